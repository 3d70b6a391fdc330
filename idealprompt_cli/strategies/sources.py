"""Where the words for the labels are read from: answers to a question, or the descriptions.

Shared by the strategies that put private labels into the model's own words. Which questions are
worth asking is found out once per run (`Evidence.once`), on a part of the budget.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ..interfaces import Evidence
from ..types import Example, Prompt
from ..wording import features
from .fitting import fitted_words
from .marking import Marks, fit_marks
from .questions import QUESTIONS

MAX_QUESTIONS = 3
MAX_WORDS = 64
# Share of the remaining budget that finding the questions may take.
SCREEN_SHARE = 0.4


@dataclass(frozen=True)
class Source:
    """A question with the words to look for in its answer; "" stands for the descriptions."""

    question: str = ""
    words: tuple[str, ...] = ()

    def marks(self, evidence: Evidence, labels: Sequence[str], limit: int) -> Marks:
        """label -> the words that say it, at most `limit`; a label that no word says is missing."""
        if not self.question:
            return described_marks(evidence, labels, limit)
        fitted = fitted_words(Prompt(self.question), self.words, labels, evidence)
        return {v.label: v.words[:limit] for v in fitted}


def sources(evidence: Evidence, labels: Sequence[str]) -> Sequence[Source]:
    """The most telling questions and the descriptions, best first; found once per run."""
    return evidence.once("sources", lambda: _find(evidence, labels))


def _find(evidence: Evidence, labels: Sequence[str]) -> Sequence[Source]:
    asked = screen(QUESTIONS, evidence, len(labels))
    scored = evidence.word_scores([(Prompt(s.question), s.words) for s in asked])
    gold = {example.id: example.answer for example in evidence.examples}
    ranked = [
        (telling({i: max(row, key=lambda w: row[w]) for i, row in table.items()}, gold), source)
        for source, table in zip(asked, scored, strict=True)
    ]
    ranked.append((_described_telling(evidence, labels), Source()))
    return [source for _, source in sorted(ranked, key=lambda pair: -pair[0])]


# --- questions ------------------------------------------------------------------------------------


def screen(questions: Sequence[str], evidence: Evidence, labels: int) -> list[Source]:
    """The most telling questions with the words to score for each.

    Successive halving (Karnin et al. 2013): all questions that the budget bears on a few pictures
    per label, the better half on twice as many, and so on. Answers are kept, so each round pays
    for its new pictures only.
    """
    everything = len(evidence.examples)
    per_label = 3 if labels == 2 else 2
    room = int(SCREEN_SHARE * max(0, evidence.affordable()))
    # A round costs half as much as all those before it: three equal shares, and the word scores.
    left = list(questions[: max(0, room // (3 * per_label * labels))])
    while True:
        part = evidence.sample(per_label)
        answers = dict(zip(left, part.ask(left), strict=True))
        left = _ranked(answers, part.examples)
        if len(left) <= MAX_QUESTIONS or len(part.examples) == everything:
            break
        left = left[: max(MAX_QUESTIONS, len(left) // 2)]
        per_label *= 2
    afford = max(0, evidence.affordable()) // max(1, everything)
    best = left[: min(MAX_QUESTIONS, afford)]
    return [Source(question, _words(answers[question], evidence)) for question in best]


def _ranked(answers: Mapping[str, Mapping[str, str]], examples: Sequence[Example]) -> list[str]:
    """Questions, the most telling first."""
    gold = {example.id: example.answer for example in examples}
    return sorted(answers, key=lambda question: -telling(answers[question], gold))


def telling(answers: Mapping[str, str], gold: Mapping[str, str]) -> float:
    """How well answers tell the labels apart, in [0, 1]: the mean leave-one-out probability of the
    gold label among the other examples that got the same answer (add-one over the labels)."""
    labels, total = len(set(gold.values())), 0.0
    table = Counter((answers[i].casefold(), gold[i]) for i in gold)
    sizes = Counter(answers[i].casefold() for i in gold)
    for i, label in gold.items():
        said = answers[i].casefold()
        total += (table[said, label] - 1 + 1 / labels) / sizes[said]
    return total / max(1, len(gold))


def _words(answers: Mapping[str, str], evidence: Evidence) -> tuple[str, ...]:
    """Words to score: the answers by frequency (with the other half of yes/no), then words of the
    model's descriptions. Labels are not looked at, so the list is the same for every fold."""
    counts = Counter(answer for answer in answers.values() if answer)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    for yes, no in (("yes", "no"), ("Yes", "No")):
        if yes in counts or no in counts:
            return tuple(dict.fromkeys((*words, yes, no)))[:MAX_WORDS]
    return tuple(dict.fromkeys((*words, *evidence.vocabulary(MAX_WORDS))))[:MAX_WORDS]


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


def _described_telling(evidence: Evidence, labels: Sequence[str]) -> float:
    """Like `telling`, for the words of the descriptions: on every fourth of the examples the share
    of the marks found that are the gold label's, with marks from the other three quarters."""
    total, examples = 0.0, evidence.examples
    for part in range(4):
        held = examples[part::4]
        marks = described_marks(evidence.excluding([e.id for e in held]), labels, 3)
        for example in held:
            said = described_features(evidence)[example.id]
            hits = Counter(
                label for label, words in marks.items() for word in words if word in said
            )
            total += (hits[example.answer] + 1 / len(labels)) / (sum(hits.values()) + 1)
    return total / max(1, len(examples))


def either(words: Sequence[str]) -> str:
    """ "a", "a or b", "a, b or c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"
