"""Evidence in the model's own words: probing questions put to bad cases and good neighbours.

Which questions tell the labels apart, alone or together with what the incumbent says already, is
found on a few examples of each label (those that a search asks about too, so that its answers are
used again), then on the most consequential cases and the right examples that look most like them;
the best few are then answered for every picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..core.interfaces import Evidence
from ..core.prompt import Prompt
from ..core.task import Example
from ..fitting.answer_rules import joint_separation, separation
from ..fitting.text_contrast import features, marking, terms
from ..fitting.word_sources import answer_words, short_forms
from ..prompts.questions import prompt_of
from .cases import Case

KEPT = 4
# Of these, how many are asked again for the chance of every word.
FITTED = 2
MAX_WORDS = 32
# Share of the remaining budget that the questions may take.
SHARE = 0.5
# Questions that are put to more than the first few pictures.
SECOND = 2 * KEPT
_POLAR = frozenset({"yes", "no"})


@dataclass(frozen=True)
class Probe:
    """A question, example id -> what it was answered, and the words to score as its answer."""

    question: str
    answers: Mapping[str, str]
    words: tuple[str, ...]

    @property
    def prompt(self) -> Prompt:
        return prompt_of(self.question)


def probes(
    evidence: Evidence,
    cases: Sequence[Case],
    questions: Sequence[str],
    known: Mapping[str, str] | None = None,
) -> tuple[Probe, ...]:
    """The most distinctive questions, best first; () if the budget allows none.

    `known`: example id -> what the incumbent says, which a question may complete: a rule about two
    attributes needs the second one. All questions are put to a few pictures per label, the best
    `SECOND` of them to twice as many, and so on until the best few are put to all (successive
    halving, Karnin et al. 2013). What was not asked is read off the descriptions meanwhile.
    """
    said = known or {}
    gold = {example.id: example.answer for example in evidence.examples}
    read = {i: set(terms(text)) for i, text in evidence.descriptions().items()}
    per_label = _first_round(evidence, questions)
    order = _ordered(evidence, cases, per_label)
    room = int(SHARE * evidence.affordable()) - KEPT * len(evidence.examples)
    left = _affordable(questions, _part(evidence, order, per_label), room // 2)
    answers: Mapping[str, Mapping[str, str]] = {}
    while left:
        part = _part(evidence, order, per_label)
        answers = dict(zip(left, map(short_forms, part.ask(left)), strict=True))
        full = {q: filled(heard, read) for q, heard in answers.items()}
        left = _ranked(full, gold, said)
        if len(left) <= KEPT or len(part.examples) == len(evidence.examples):
            break
        left, per_label = left[: SECOND if len(left) > SECOND else KEPT], 2 * per_label
    best = left[:KEPT]
    if best and evidence.price(best) <= evidence.affordable():
        answers = dict(zip(best, map(short_forms, evidence.ask(best)), strict=True))
        best.sort(key=lambda question: -separation(answers[question], gold))
        return tuple(
            Probe(q, answers[q], answer_words(answers[q], evidence, MAX_WORDS)) for q in best
        )
    return ()


def _first_round(evidence: Evidence, questions: Sequence[str]) -> int:
    """Pictures per label for the first round: as many as a search asks about, one where those
    answers are not there and would take too much."""
    wanted = 3 if len({example.answer for example in evidence.examples}) == 2 else 2
    price = evidence.sample(wanted).price(questions)
    return wanted if price <= SHARE * evidence.affordable() / 3 else 1


def filled(answers: Mapping[str, str], read: Mapping[str, set[str]]) -> dict[str, str]:
    """The answers, and for every picture that was not asked about the one answer that a word of its
    description gives; "" where none or several would."""
    words = {answer.casefold(): answer for answer in answers.values() if answer}
    found = {}
    for i, heard in read.items():
        hits = [answer for word, answer in words.items() if word in heard]
        found[i] = answers.get(i) or (hits[0] if len(hits) == 1 else "")
    return found


def _affordable(questions: Sequence[str], part: Evidence, room: int) -> list[str]:
    """The first questions that the budget allows; those whose answers are known cost nothing."""
    found, spent = [], 0
    for question in questions:
        price = part.price([question])
        if price == 0 or spent + price <= room:
            found.append(question)
            spent += price
    return found


def _ranked(
    answers: Mapping[str, Mapping[str, str]], gold: Mapping[str, str], known: Mapping[str, str]
) -> list[str]:
    """The question that adds most to what is known, the one that separates most alone, and so on,
    two of the first kind to one of the second; of those with the same answers the first."""
    alone = {q: separation(said, gold) for q, said in answers.items()}
    if not known:
        return _distinct(sorted(answers, key=lambda q: -alone[q]), answers)
    joint = {q: joint_separation(known, said, gold) for q, said in answers.items()}
    adding = _distinct(sorted(answers, key=lambda q: (-joint[q], -alone[q])), answers)
    most_distinctive = _distinct(sorted(answers, key=lambda q: (-alone[q], -joint[q])), answers)
    turns = zip(adding[::2], most_distinctive, adding[1::2], strict=False)
    return list(dict.fromkeys([*(q for turn in turns for q in turn), *adding]))


def _distinct(questions: Sequence[str], answers: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Without those that are answered like an earlier one."""
    seen: dict[tuple[str, ...], str] = {}
    for question in questions:
        seen.setdefault(tuple(answers[question].values()), question)
    return list(seen.values())


def _ordered(evidence: Evidence, cases: Sequence[Case], per_label: int) -> tuple[Example, ...]:
    """The sample that a search looks at first, then the bad cases and their neighbours."""
    first = tuple(evidence.sample(per_label).examples)
    taken = {example.id for example in first}
    return (*first, *(e for e in neighbourly(evidence, cases) if e.id not in taken))


def neighbourly(evidence: Evidence, cases: Sequence[Case]) -> tuple[Example, ...]:
    """Per label in turn: the worst case, then the right example most like the cases, and so on."""
    said = {i: features(text) for i, text in evidence.descriptions().items()}
    bad = [case.example_id for case in cases if case.example_id in said]
    marks = Counter(feature for i in bad for feature in said[i])
    place = {example_id: rank for rank, example_id in enumerate(bad)}
    piles: dict[str, tuple[list[Example], list[Example]]] = {}
    for example in evidence.examples:
        pair = piles.setdefault(example.answer, ([], []))
        pair[example.id not in place].append(example)
    ordered = []
    for wrong, right in piles.values():
        wrong.sort(key=lambda e: place[e.id])
        right.sort(key=lambda e: -sum(marks[f] for f in said[e.id]) / max(1, len(said[e.id])))
        ordered.append(_in_turn(wrong, right))
    width = max((len(pile) for pile in ordered), default=0)
    return tuple(pile[row] for row in range(width) for pile in ordered if row < len(pile))


def _in_turn(first: Sequence[Example], second: Sequence[Example]) -> list[Example]:
    width = max(len(first), len(second))
    return [pile[row] for row in range(width) for pile in (first, second) if row < len(pile)]


def _part(evidence: Evidence, order: Sequence[Example], per_label: int) -> Evidence:
    taken: Counter[str] = Counter()
    kept = set()
    for example in order:
        taken[example.answer] += 1
        if taken[example.answer] <= per_label:
            kept.add(example.id)
    return evidence.excluding([e.id for e in evidence.examples if e.id not in kept])


# --- what the answers say -------------------------------------------------------------------------


def said(evidence: Evidence, kept: Sequence[Probe]) -> Mapping[str, str]:
    """example id -> its description and its answers to the kept questions."""

    def make() -> Mapping[str, str]:
        texts = dict(evidence.descriptions())
        for probe in kept:
            for i, text in texts.items():
                word = probe.answers.get(i, "")
                if word and word.casefold() not in _POLAR:
                    texts[i] = f"{text.rstrip('. ')}. {word}"
        return texts

    return evidence.once(f"said {[probe.question for probe in kept]}", make)


def phrases(
    evidence: Evidence, kept: Sequence[Probe], label: str, against: Sequence[str], limit: int
) -> tuple[str, ...]:
    """Words that mark `label` against other labels, the most distinctive first (weighted log-odds
    with a Dirichlet prior, see `text_contrast.contrast`)."""
    marks = marking(said(evidence, kept), evidence.examples, label, against)
    return tuple(marks[:limit])
