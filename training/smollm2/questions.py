"""Questions about a picture's facts, in many phrasings, with the answer that training teaches.

Answers are short and in lower case where a fact is asked for, sentences where a description is
asked for. Private codes are drawn again for every question, so only the rule can be learned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from training.smollm2.words import Facts


@dataclass(frozen=True)
class Turn:
    """What the user says after the picture, and the assistant's whole answer."""

    question: str
    answer: str
    skill: str


NAMES: dict[str, tuple[str, ...]] = {
    "item": ("item", "product", "article", "object", "kind of product", "thing in the picture"),
    "color": ("color", "colour", "main color", "color of the product", "main colour"),
    "audience": ("target group", "gender", "customer group", "person it is made for"),
    "usage": ("use", "style", "occasion", "usage"),
    "category": ("type", "category", "type of product", "product category", "kind of goods"),
    "place": ("place", "part of the body", "place where it is worn"),
    "condition": ("condition", "state", "quality", "grade"),
    "defect": ("defect", "fault", "kind of defect", "flaw"),
}
ASKED: dict[str, tuple[str, ...]] = {
    "item": ("What is this?", "What product is shown?", "Which article do you see?",
             "What is in the picture?", "Name the product."),
    "color": ("What color is it?", "What colour is the product?", "Which color do you see?",
              "Name the color."),
    "audience": ("Who is it made for?", "Is it for men or women?", "For whom is this product?",
                 "Who would wear it?"),
    "usage": ("What is it used for?", "Is it casual, formal, sports or ethnic?",
              "For what occasion is it?"),
    "category": ("What type of product is it?", "Is it clothing, footwear or an accessory?",
                 "Which category does it belong to?"),
    "place": ("Where is it worn?", "Which part of the body is it for?"),
    "condition": ("What condition is it in?", "How good is it?", "Is it good or bad?"),
    "defect": ("Is there a defect?", "Which defect do you see?", "What kind of fault is there?"),
}  # fmt: skip
FRAMES = (
    "What is the {}?", "Name the {}.", "Give the {}.", "{}?", "Which {} is it?",
    "What {} does the picture show?", "State the {} of the product.", "Identify the {}.",
    "Complete: {}:", "Look at the picture. What is the {}?", "Give me the {} in one word.",
    "The {} is", "Determine the {} shown in the photo.",
)  # fmt: skip
ENDINGS = (
    "", "", "", "", " Answer with one word.", " Reply with the {} only.", " Be short.",
    "\nAnswer:", " Answer in lower case.", " Do not explain.",
)  # fmt: skip
CHOICES = (
    "Is it {}?", "Choose one: {}.", "Which of these fits: {}?", "Pick the right {name}: {}.",
    "{name}: {}?", "Classify the picture as {}.", "Options: {}. Which one?",
)  # fmt: skip
YES_NO = (
    "Is the {name} {value}?", "{name}: {value}. True?", "Does the picture show the {name} {value}?",
    "Is it {value}?", "Would you say {value}?",
)  # fmt: skip
DEFINED = (
    "{rules}. Which code?", "Codes: {rules}. What is the code of this picture?",
    "Rules: {rules}. Answer with the code.", "{rules}. Which one fits the picture?",
    "Sort the picture by {name}. {rules}. Code:",
)  # fmt: skip
DESCRIBE = (
    "Describe the picture.", "Describe the product.", "What do you see?",
    "What does the photo show?", "Write a caption.", "Write a title for the shop.",
    "Describe it in one sentence.", "Summarize the photo.",
)  # fmt: skip
SHEET = ("List the facts.", "Fill in the form: item, color, made for, use, type.",
         "Give item, color, audience, use and type.")  # fmt: skip
CODES = tuple("ABCDEFGHJKLMNPRSTUVWXYZ")
Values = Mapping[str, Sequence[str]]


def known(facts: Facts, domain: str) -> list[str]:
    """Facts worth asking about in a domain."""
    if domain != "products":
        return ["condition", "defect", "item", "category"]
    names = ("item", "item", "color", "color", "audience", "usage", "category", "place")
    return [n for n in names if getattr(facts, n)]


def joined(options: Sequence[str], rng: Random) -> str:
    link = rng.choice((" or ", " or ", ", "))
    return ", ".join(options[:-1]) + link + options[-1] if len(options) > 1 else options[0]


def some_options(value: str, values: Sequence[str], rng: Random, most: int = 6) -> list[str]:
    """The true value and one to `most` - 1 others, shuffled."""
    others = [v for v in values if v != value]
    count = min(len(others), rng.randint(1, most - 1))
    options = [value, *rng.sample(others, count)]
    rng.shuffle(options)
    return options


def case(text: str, rng: Random) -> str:
    return text[0].upper() + text[1:] if rng.random() < 0.5 else text


def ask_plain(facts: Facts, name: str, values: Values, rng: Random) -> Turn:
    if rng.random() < 0.4:
        question = rng.choice(ASKED[name])
    else:
        question = case(rng.choice(FRAMES).format(rng.choice(NAMES[name])), rng)
    question += rng.choice(ENDINGS).format(rng.choice(NAMES[name]))
    return Turn(question, getattr(facts, name), "plain")


def ask_choice(facts: Facts, name: str, values: Values, rng: Random) -> Turn:
    value = getattr(facts, name)
    options = joined(some_options(value, values[name], rng), rng)
    frame = rng.choice(CHOICES)
    question = case(frame.format(options, name=rng.choice(NAMES[name])), rng)
    return Turn(question + rng.choice(ENDINGS[:7]).format("word"), value, "choice")


def ask_yes_no(facts: Facts, name: str, values: Values, rng: Random) -> Turn:
    value, right = getattr(facts, name), rng.random() < 0.5
    shown = value if right else rng.choice([v for v in values[name] if v != value])
    question = rng.choice(YES_NO).format(name=rng.choice(NAMES[name]), value=shown)
    ending = rng.choice(("", "", " Yes or no?", " Answer yes or no."))
    return Turn(case(question, rng) + ending, "yes" if right else "no", "yes_no")


def ask_code(facts: Facts, name: str, values: Values, rng: Random) -> Turn:
    """A private code for each option; the order of code and meaning varies."""
    value = getattr(facts, name)
    options = some_options(value, values[name], rng, 4)
    letter = rng.choice(CODES)
    if rng.random() < 0.6:
        codes = [f"{letter}{n}" for n in rng.sample(range(1, 10), len(options))]
    else:
        codes = rng.sample(CODES, len(options))
    sign = rng.choice((": ", " = ", " means "))
    pairs = [
        f"{v}{sign}{c}" if sign == " = " else f"{c}{sign}{v}"
        for c, v in zip(codes, options, strict=True)
    ]
    rules = rng.choice(("; ", ", ", "\n")).join(pairs)
    question = rng.choice(DEFINED).format(rules=rules, name=rng.choice(NAMES[name]))
    return Turn(question, codes[options.index(value)], "code")


def sentence(facts: Facts, domain: str) -> str:
    """The caption of a picture with all its facts known."""
    if domain == "textiles":
        return f"Fabric in {facts.condition} condition, defect: {facts.defect}."
    if domain == "solar":
        return f"A solar cell in {facts.condition} condition, defect: {facts.defect}."
    return f"A {facts.color} {facts.usage} {facts.item} for {facts.audience}."


def ask_description(facts: Facts, name: str, values: Values, rng: Random) -> Turn:
    domain = {"material": "textiles", "equipment": "solar"}.get(facts.category or "", "products")
    return Turn(rng.choice(DESCRIBE), sentence(facts, domain), "description")


def ask_sheet(facts: Facts, name: str, values: Values, rng: Random) -> Turn:
    answer = (
        f"item: {facts.item}\ncolor: {facts.color}\nmade for: {facts.audience}\n"
        f"use: {facts.usage}\ntype: {facts.category}"
    )
    return Turn(rng.choice(SHEET), answer, "sheet")


Asker = Callable[[Facts, str, Values, Random], Turn]
ASKERS: tuple[tuple[Asker, float], ...] = (
    (ask_plain, 0.46), (ask_choice, 0.18), (ask_yes_no, 0.12), (ask_code, 0.16),
    (ask_description, 0.06), (ask_sheet, 0.02),
)  # fmt: skip


def is_whole(facts: Facts) -> bool:
    return None not in (facts.item, facts.color, facts.audience, facts.usage, facts.category)


def questions(facts: Facts, domain: str, values: Values, count: int, rng: Random) -> list[Turn]:
    """`count` questions on one picture; `values` are the values a fact has in this domain."""
    names = known(facts, domain)
    askers, weights = zip(*ASKERS, strict=True)
    turns: list[Turn] = []
    while len(turns) < count and names:
        asker = rng.choices(askers, weights)[0]
        if asker in (ask_description, ask_sheet) and not is_whole(facts):
            continue
        name = rng.choice(names)
        if len(values[name]) < 2:
            asker = ask_plain
        turns.append(asker(facts, name, values, rng))
    return turns
