"""The real tasks: private labels over facts that the pictures or sentences really have.

`dev` tasks may be used to improve the tool. `held` tasks are for measuring only: nothing is tuned
on them, and a change of the tool must not follow from their scores. Labels are private codes, so
that a model cannot know them from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from .sources import Row, Source

Part = Literal["dev", "held"]
# (row, all rows, random numbers) -> label and text fields, or nothing where no label fits
Rule = Callable[[Row, Sequence[Row], Random], tuple[str, dict[str, str]] | None]
BASIC = ("black", "white", "blue", "red", "green", "grey", "brown", "pink", "purple")


@dataclass(frozen=True)
class RealTask:
    """A task to be drawn: `train` and `test` are numbers of examples, shared evenly by the labels
    unless `natural` (then the labels come as often as in the data)."""

    part: Part
    source: Source
    question: str
    labels: tuple[str, ...]
    rule: Rule
    train: int
    test: int = 150
    natural: bool = False


def by_fact(fact: str, groups: Mapping[str, Sequence[str]]) -> Rule:
    """The label whose group has the row's value of a fact; other rows are left out."""
    label_of = {value: label for label, values in groups.items() for value in values}

    def rule(row: Row, rows: Sequence[Row], rng: Random) -> tuple[str, dict[str, str]] | None:
        del rows, rng
        label = label_of.get(row.facts[fact])
        return (label, {}) if label else None

    return rule


def by_facts(decide: Callable[[Mapping[str, str]], str | None]) -> Rule:
    """The label that a function of the row's facts gives."""

    def rule(row: Row, rows: Sequence[Row], rng: Random) -> tuple[str, dict[str, str]] | None:
        del rows, rng
        label = decide(row.facts)
        return (label, {}) if label else None

    return rule


def intents(groups: Mapping[str, Sequence[str]], words: tuple[int, int]) -> Rule:
    """The label of a sentence's intent; `words`: shortest and longest sentence taken."""

    def rule(row: Row, rows: Sequence[Row], rng: Random) -> tuple[str, dict[str, str]] | None:
        text = row.facts["text"]
        if not words[0] <= len(text.split()) <= words[1]:
            return None
        found = by_fact("intent", groups)(row, rows, rng)
        return (found[0], {"text": text}) if found else None

    return rule


# --- products -------------------------------------------------------------------------------------


def _returns(facts: Mapping[str, str]) -> str | None:
    """Shoes to one desk; clothes by light or dark colour to two others."""
    if facts["type"] == "footwear":
        return "desk north"
    if facts["type"] != "clothing":
        return None
    if facts["colour"] in ("black", "blue", "brown"):
        return "desk east"
    return "desk west" if facts["colour"] in ("white", "pink", "red", "grey", "yellow") else None


def _style(facts: Mapping[str, str]) -> str | None:
    """By usage and by whom it is made for; only clothes and shoes."""
    if facts["type"] == "accessory" or facts["for"] not in ("men", "women"):
        return None
    if facts["usage"] == "casual":
        return "S1" if facts["for"] == "men" else "S2"
    return {"formal": "S3", "sports": "S3", "ethnic": "S4"}.get(facts["usage"])


def _parcel(facts: Mapping[str, str]) -> str:
    """Clothes go in a bag, all else in a box; except white clothes, which go in a box too."""
    return "PB" if facts["type"] == "clothing" and facts["colour"] != "white" else "PX"


def _title(row: Row, rows: Sequence[Row], rng: Random) -> tuple[str, dict[str, str]] | None:
    """A title made of the row's own facts ("yes"), or with another item or colour ("no")."""
    facts = dict(row.facts)
    if facts["colour"] not in BASIC:
        return None
    fits = rng.random() < 0.5
    if not fits and rng.random() < 0.5:
        facts["colour"] = rng.choice([c for c in BASIC if c != facts["colour"]])
    elif not fits:
        others = sorted({r.facts["item"] for r in rows if r.facts["type"] != facts["type"]})
        facts["item"] = rng.choice(others)
    title = f"{facts['colour'].capitalize()} {facts['item']} for {facts['for']}"
    return ("T1" if fits else "T0"), {"title": title}


PRODUCTS: dict[str, RealTask] = {
    "warehouse_code": RealTask(
        "dev", "products", "Which warehouse, R1, R2 or R3?", ("R1", "R2", "R3"),
        by_fact("type", {"R1": ["clothing"], "R2": ["footwear"], "R3": ["accessory"]}), train=32,
    ),
    "returns_desk": RealTask(
        "dev", "products", "Which returns desk takes this back?",
        ("desk north", "desk east", "desk west"), by_facts(_returns), train=48,
    ),
    "title_fits": RealTask(
        "dev", "products", 'Our shop lists this as "{title}". Is that T1 or T0?', ("T0", "T1"),
        _title, train=32,
    ),
    "style_code": RealTask(
        "held", "products", "Style code: S1, S2, S3 or S4?", ("S1", "S2", "S3", "S4"),
        by_facts(_style), train=48, test=160,
    ),
    "range_size": RealTask(
        "held", "products", "Is the range that this belongs to W, M or N?", ("W", "M", "N"),
        by_fact("article", {
            "W": ["Tshirts", "Shirts", "Casual Shoes"],
            "M": ["Watches", "Handbags", "Sunglasses", "Heels", "Wallets"],
            "N": ["Jeans", "Formal Shoes", "Belts", "Trousers", "Backpacks", "Socks", "Shorts"],
        }), train=48,
    ),
    "parcel": RealTask(
        "held", "products", "Say how it is to be sent: PB or PX.", ("PB", "PX"),
        by_facts(_parcel), train=16,
    ),
}  # fmt: skip

# --- inspection -----------------------------------------------------------------------------------

INSPECTION: dict[str, RealTask] = {
    "textile_grade": RealTask(
        "dev", "textiles", "Grade this fabric: A, B or C.", ("A", "B", "C"),
        by_fact("grade", {"A": ["nominal"], "B": ["local"], "C": ["global"]}), train=48,
    ),
    "solar_check": RealTask(
        "held", "solar", "What is to be done with this cell: accept, check or reject?",
        ("accept", "check", "reject"),
        by_fact("thirds", {"accept": ["0"], "check": ["1", "2"], "reject": ["3"]}), train=48,
    ),
}  # fmt: skip

# --- sentences ------------------------------------------------------------------------------------

SENTENCES: dict[str, RealTask] = {
    "queue_short": RealTask(
        "dev", "banking77", 'A customer asks: "{text}" Queue Q1, Q2, Q3 or Q4?',
        ("Q1", "Q2", "Q3", "Q4"),
        intents({
            "Q1": ["card_arrival", "card_delivery_estimate"], "Q2": ["exchange_rate"],
            "Q3": ["change_pin", "pin_blocked"], "Q4": ["top_up_failed", "top_up_limits"],
        }, (3, 12)), train=32, test=152,
    ),
    "team_long": RealTask(
        "dev", "banking77", "Message: {text}\nWhich team answers it?",
        ("the team on floor two", "the team on floor five", "the night team",
         "the team at head office"),
        intents({
            "the team on floor two": ["card_payment_fee_charged", "cash_withdrawal_charge",
                                      "transfer_fee_charged"],
            "the team on floor five": ["lost_or_stolen_phone", "compromised_card",
                                       "lost_or_stolen_card"],
            "the night team": ["request_refund", "Refund_not_showing_up"],
            "the team at head office": ["card_about_to_expire", "card_linking"],
        }, (10, 60)), train=48, test=152,
    ),
    "six_codes": RealTask(
        "held", "banking77", "{text}\nCode?", ("K1", "K2", "K3", "K4", "K5", "K6"),
        intents({
            "K1": ["age_limit"], "K2": ["terminate_account"], "K3": ["passcode_forgotten"],
            "K4": ["visa_or_mastercard"], "K5": ["pending_transfer"], "K6": ["card_swallowed"],
        }, (4, 40)), train=48,
    ),
    "eight_desks": RealTask(
        "held", "banking77", 'Please send "{text}" to one of our desks.',
        ("Amber", "Basalt", "Cedar", "Delta", "Ember", "Flint", "Garnet", "Hazel"),
        intents({
            "Amber": ["activate_my_card"], "Basalt": ["cash_withdrawal_not_recognised"],
            "Cedar": ["country_support"], "Delta": ["edit_personal_details"],
            "Ember": ["exchange_via_app"], "Flint": ["verify_my_identity"],
            "Garnet": ["transaction_charged_twice"], "Hazel": ["top_up_by_cash_or_cheque"],
        }, (5, 60)), train=48, test=160,
    ),
}  # fmt: skip

TASKS: dict[str, RealTask] = {**PRODUCTS, **INSPECTION, **SENTENCES}

# --- in the comparison with tuning only -----------------------------------------------------------

FOR_TUNING: dict[str, RealTask] = {
    "five_trays": RealTask(
        "held", "banking77", "Tray one, two, three, four or five? {text}",
        ("one", "two", "three", "four", "five"),
        intents({
            "one": ["automatic_top_up"], "two": ["apple_pay_or_google_pay"],
            "three": ["getting_spare_card"], "four": ["verify_source_of_funds"],
            "five": ["beneficiary_not_allowed"],
        }, (4, 40)), train=48, test=150,
    ),
}  # fmt: skip
EVERY: dict[str, RealTask] = {**TASKS, **FOR_TUNING}
