"""Where the words for the labels are read from: the model's descriptions, or answers to a question.

Shared by the strategies that put private labels into the model's own words. Which questions are
worth asking is found out by `questions.bank`, on a part of the budget, once a strategy needs one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ..core.interfaces import Evidence
from ..prompts.questions import prompt_of
from .answer_reading import fitted_words
from .attribute_tables import Table, tables
from .label_words import Marks, fit_marks
from .text_contrast import features, terms

__all__ = [
    "MAX_WORDS",
    "Source",
    "answer_words",
    "described_marks",
    "known_questions",
    "outlook",
    "short_forms",
    "sources",
]

MAX_WORDS = 64
# Values of an attribute that stand for one label.
MAX_VALUES = 8
# How much more words of no attribute must label right to be used.
LOOSE = 0.04
PARTS = 4
# An answer of at most so many words is taken as it is.
SHORT = 2
# An answer that people would call one: words, or a number.
_WORDED = re.compile(r"[^\W\d_]+(?:[ '-][^\W\d_]+)*|[0-9]{1,3}")
# Of a compound, a part of fewer letters is no word of its own; what is left has to be one.
_WHOLE = 3
_ENDINGS = frozenset({"ing", "ers", "ies", "able", "ness", "ment", "less", "like", "ish"})
# Words in a larger share of the answers than this are the question's own.
COMMON = 0.8


@dataclass(frozen=True)
class Source:
    """A question with the words to look for in its answer, or an attribute that the descriptions
    speak of, or neither: then all words of the descriptions. The first `answered` of the words are
    what the question was or usually is answered with."""

    question: str = ""
    words: tuple[str, ...] = ()
    answered: int = 0
    table: Table | None = None

    @property
    def foreign(self) -> frozenset[str]:
        """Words that are no answer to the question."""
        return frozenset(self.words[self.answered :]) - {"yes", "no", "Yes", "No"}

    @property
    def where(self) -> str:
        """Where in the picture it is looked for: "on the right", or ""."""
        return self.table.attributes[0].where if self.table else ""

    def right(self, evidence: Evidence, labels: Sequence[str]) -> float:
        """Share of the pictures that its words label right (leaving each out in turn)."""
        if self.table is not None:
            return self.table.right
        if self.question:
            return known_questions(evidence).get(self, 0.0)
        return described_right(evidence, labels)

    def marks(self, evidence: Evidence, labels: Sequence[str], limit: int) -> Marks:
        """label -> the words that say it, at most `limit` (of an attribute, if several are asked
        for, all); a label that no word says is missing."""
        if self.table is not None:
            return _valued(self.table, evidence, labels, limit if limit == 1 else MAX_VALUES)
        if not self.question:
            return described_marks(evidence, labels, limit)
        asked = prompt_of(self.question)
        fitted = fitted_words(asked, self.words, labels, evidence, self.foreign)
        return {v.label: v.words[:limit] for v in fitted.verbalisers} if fitted else {}

    def defining(self, evidence: Evidence, labels: Sequence[str], limit: int) -> Marks | None:
        """The marks, where every label has one and they are more than yes and no."""
        found = self.marks(evidence, labels, limit)
        words = {word for marks in found.values() for word in marks}
        return None if len(found) < len(labels) or words <= {"yes", "no"} else found


def sources(evidence: Evidence, labels: Sequence[str]) -> list[Source]:
    """What the words can be read from, the most distinctive first: the descriptions (asked for, if
    they were not), and the questions whose words were scored on all pictures by now."""
    evidence.descriptions()
    found = [(table.right, Source(table=table)) for table in _singles(evidence, labels)]
    found += [(value, source) for source, value in known_questions(evidence).items()]
    if (right := _loose(evidence, labels)) is not None:
        found.append((right, Source()))
    return [source for _, source in sorted(found, key=lambda pair: -round(pair[0], 2))]


def outlook(evidence: Evidence, labels: Sequence[str]) -> float | None:
    """The share of pictures that the best of these words would label right if the model kept to
    them; None where nothing was said yet. Costs nothing."""
    known = [*known_questions(evidence).values()]
    if evidence.described():
        known += [table.right for table in _singles(evidence, labels)]
        known.append(_loose(evidence, labels) or 0.0)
    return max(known, default=None)


def _loose(evidence: Evidence, labels: Sequence[str]) -> float | None:
    """What words of no attribute label right, where that is more than attributes do: any of a
    hundred words is easily right by chance."""
    right = described_right(evidence, labels)
    best = max((table.right for table in tables(evidence, labels)), default=0.0)
    return right if right > best + LOOSE else None


def _singles(evidence: Evidence, labels: Sequence[str]) -> list[Table]:
    return [t for t in tables(evidence, labels) if len(t.attributes) == 1 and not t.relates]


def _valued(table: Table, evidence: Evidence, labels: Sequence[str], limit: int) -> Marks:
    """label -> the values that go with it, the most frequent first."""
    texts = evidence.descriptions().values()
    counts = Counter(table.attributes[0].value(text) for text in texts)
    found: dict[str, list[str]] = {}
    for (value,), label in table.cells(evidence, labels).items():
        found.setdefault(label, []).append(value)
    return {
        label: tuple(sorted(values, key=lambda v: (-counts[v], v))[:limit])
        for label, values in found.items()
    }


def known_questions(evidence: Evidence) -> dict[Source, float]:
    """Questions whose words were scored on all pictures -> how well they tell the labels apart."""
    return evidence.once("known questions", dict[Source, float])


def short_forms(answers: Mapping[str, str]) -> dict[str, str]:
    """example id -> its answer as a word or short phrase. A whole sentence ("The product is a red
    shirt") comes down to the content word that most other answers share, of the informative
    ones: words in nearly all answers come from the question."""
    long = {i: terms(text) for i, text in answers.items() if len(text.split()) > SHORT}
    counts = Counter(word for words in long.values() for word in set(words))
    limit = max(1.0, COMMON * len(long))
    short = dict(answers)
    for i, words in long.items():
        own = [word for word in words if counts[word] <= limit]
        short[i] = max(own, key=lambda word: counts[word], default="")
    return short


def answer_words(
    answers: Mapping[str, str],
    evidence: Evidence,
    limit: int = MAX_WORDS,
    others: Sequence[Mapping[str, str]] = (),
    usual: Sequence[str] = (),
) -> tuple[str, ...]:
    """Words to score as answers: those given, by frequency (with the other half of yes/no), the
    `usual` ones, then words of the model's descriptions, or where there are none the answers to
    other questions. Labels are not looked at, so the list is the same for every fold."""
    counts = Counter(answer for answer in short_forms(answers).values() if answer)
    words = sorted(counts, key=lambda word: (not _WORDED.fullmatch(word), -counts[word], word))
    for yes, no in (("yes", "no"), ("Yes", "No")):
        if yes in counts or no in counts:
            return tuple(dict.fromkeys((*words, yes, no)))[:limit]
    if evidence.described():
        more = evidence.vocabulary(limit)
    else:
        more = [word for one in others for word in one.values() if _WORDED.fullmatch(word)]
    every = tuple(dict.fromkeys((*words, *usual, *more)))
    return tuple(word for word in every if word in usual or not is_piece(word, every))[:limit]


def is_piece(word: str, words: Sequence[str]) -> bool:
    """Whether a word is a piece of another one: "up" of "top-up", "hand" of "handbag"."""
    for other in words:
        if len(word) < _WHOLE and word in other.split("-")[1:]:
            return True
        rest = other.removeprefix(word)
        if rest != other and len(rest) >= _WHOLE and rest.isalpha() and rest not in _ENDINGS:
            return True
    return False


# --- descriptions ---------------------------------------------------------------------------------


def described_features(evidence: Evidence) -> Mapping[str, set[str]]:
    """example id -> the features of its description."""
    return evidence.once(
        "features", lambda: {i: features(text) for i, text in evidence.descriptions().items()}
    )


def described_marks(evidence: Evidence, labels: Sequence[str], limit: int) -> Marks:
    """label -> up to `limit` words of the descriptions that say it; examples of other labels than
    `labels` are not looked at."""
    gold = {example.id: example.answer for example in evidence.examples}
    make = partial(fit_marks, described_features(evidence), gold, labels, limit)
    return evidence.once(f"marks {limit}: {labels}", make)


def described_right(evidence: Evidence, labels: Sequence[str], limit: int = 4) -> float:
    """Share of the examples that the words of the descriptions label right: every fourth of them
    by the marks found on the other three quarters. Chance where there are no descriptions yet:
    finding them out is not this function's to pay for."""
    if not evidence.described():
        return 1 / len(labels)
    return evidence.once(f"right {limit}", lambda: _described_right(evidence, labels, limit))


def _described_right(evidence: Evidence, labels: Sequence[str], limit: int) -> float:
    total, examples = 0.0, evidence.examples
    for part in range(PARTS):
        held = examples[part::PARTS]
        marks = described_marks(evidence.excluding([e.id for e in held]), labels, limit)
        for example in held:
            said = described_features(evidence)[example.id]
            hits = {label: sum(word in said for word in marks.get(label, ())) for label in labels}
            named = [label for label in labels if hits[label] == max(hits.values())]
            total += (example.answer in named) / len(named)
    return total / max(1, len(examples))
