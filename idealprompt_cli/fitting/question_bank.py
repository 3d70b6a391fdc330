"""Which of the generic questions separate a task's labels, measured only as far as needed.

In two rounds over a batch of questions that a share of the budget allows (after successive halving,
Karnin et al. 2013): all of them are asked about a few pictures of two labels; of the informative
ones the words of the answers are scored on more pictures, where the chances of all words say more
than the one that is answered. What was asked and scored is kept, so a question that is used pays
for the other pictures only. A further batch is asked when the good ones are used up.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..core.interfaces import Evidence
from ..core.task import Example
from ..prompts.questions import prompt_of
from .answer_reading import centred
from .answer_rules import separation
from .questions import questions_for, usual_answers
from .verbalisers import NOISE, Scores, fit_verbalisers, owners, word_chances
from .word_sources import Source, answer_words, known_questions, short_forms

# Share of the remaining budget that a batch of questions may take.
SCREEN_SHARE = 0.5
# All questions of a batch are asked about so many pictures; the words of the best are scored on
# so many.
ASKED, SCORED = 4, 16
FINALISTS = 4
# What a batch has at least, where the budget pays for that and for scoring one question.
FEW_QUESTIONS = 6
# How much better than chance a question has to be to be worth scoring.
EDGE = 0.12
# Parts of the examples that `held_out_share` leaves out in turn.
PARTS = 4


@dataclass
class Bank:
    """The questions of a run: asked, ranked, used. `asked` is the task's own question."""

    evidence: Evidence
    labels: Sequence[str]
    asked: str = ""
    left: list[str] = field(default_factory=list)
    ranked: dict[str, float] = field(default_factory=dict)
    answers: dict[str, Mapping[str, str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    sources: dict[str, Source] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.left = list(questions_for(self.evidence.examples, self.asked))

    def outlook(self) -> float | None:
        """How well the best question that is ready tells the labels apart; None before any was
        asked, or when the next ones are still to be."""
        if self.left and not self._promising():
            return None
        return max((self.ranked[question] for question in self._ready()), default=0.0)

    def next(self) -> Source | None:
        """The most distinctive question not returned yet, with the words to score for it."""
        while not self._promising() and self.left and self._affordable()[0] > 0:
            self._screen()
        # What was scored is ranked on more examples than what was only asked.
        first = {q for q in self.sources if self._promises(q)}
        ready = sorted(self._ready(), key=lambda q: (q not in first, -self.ranked[q]))
        if not ready or self.evidence.affordable() < len(self.evidence.examples):
            return None
        self.used.add(ready[0])
        source = self._source(ready[0])
        return source if source.words else self.next()  # no answer had a word in it

    def _ready(self) -> list[str]:
        return [question for question in self.ranked if question not in self.used]

    def _promising(self) -> bool:
        return any(map(self._promises, self._ready()))

    def _promises(self, question: str) -> bool:
        return self.ranked[question] >= 1 / len(self.labels) + EDGE

    def _affordable(self) -> tuple[int, bool]:
        """(questions of the next batch, whether the words of the best are scored for it)."""
        room = self.evidence.affordable() - len(self.evidence.examples)
        questions = len(self.left)
        usual = _batch(questions, int(SCREEN_SHARE * room), scored=True)
        if usual >= min(questions, FEW_QUESTIONS):
            return usual, True
        # A small budget is better spent on a few questions than on none.
        return _batch(min(questions, FEW_QUESTIONS), room, scored=False), False

    def _screen(self) -> None:
        count, scored = self._affordable()
        batch, self.left = self.left[:count], self.left[count:]
        order = rounds_order(self.evidence.examples)
        self._ask(batch, order[:ASKED], order[ASKED:])
        chance = 1 / len({example.answer for example in order[:ASKED]})
        good: list[str] = []
        seen: set[tuple[str, ...]] = set()
        for question in sorted(batch, key=lambda one: -self.ranked[one]):
            said = tuple(self.answers[question].values())
            if said in seen:
                self.ranked[question] = 0.0  # answered like a better one
            elif self.ranked[question] > 0.9 * chance:
                good.append(question)
            seen.add(said)
        best = good[: _survivors(len(batch))]
        if scored:
            self._score(best, order[SCORED:])
        else:
            self._ask(best, order[: 2 * ASKED], order[2 * ASKED :])

    def _ask(self, batch: Sequence[str], part: Sequence[Example], rest: Sequence[Example]) -> None:
        """Ask about some of the pictures; a question is ranked by the most that it was asked."""
        view = self.evidence.excluding([example.id for example in rest])
        gold = {example.id: example.answer for example in part}
        for question, asked in zip(batch, view.ask(batch), strict=True):
            answers = short_forms(asked)
            self.answers[question] = answers
            self.ranked[question] = separation(answers, gold)

    def _score(self, batch: Sequence[str], rest: Sequence[Example]) -> None:
        """Score the words of the answers on some of the pictures: the chances of all words rank
        a question better than the one word that it is answered with."""
        view = self.evidence.excluding([example.id for example in rest])
        gold = {example.id: example.answer for example in view.examples}
        found = [source for one in batch if (source := self._source(one)).words]
        asked = [(prompt_of(source.question), source.words) for source in found]
        for source, scores in zip(found, view.word_scores(asked), strict=True):
            self.sources[source.question] = source
            self.ranked[source.question] = held_out_share(scores, gold, self.labels, source.foreign)

    def _source(self, question: str) -> Source:
        """A question with its words: those scored already, if any were."""
        if question in self.sources:
            return self.sources[question]
        best = sorted(self.answers, key=lambda one: -self.ranked[one])
        others = [self.answers[one] for one in best]
        own, usual = self.answers[question], usual_answers(question)
        words = answer_words(own, self.evidence, others=others, usual=usual)
        return Source(question, words, len(set(words) & {*own.values(), *usual}))


def held_out_share(
    scores: Scores, gold: Mapping[str, str], labels: Sequence[str], foreign: Collection[str] = ()
) -> float:
    """Mean probability of the gold label, a quarter of the examples at a time, by words fitted on
    the other three quarters to the scores less each word's mean; chance where none can be."""
    ids, present = list(gold), [x for x in labels if x in set(gold.values())]
    count = Counter(gold.values())  # the only example of a label cannot be left out
    random.Random(0).shuffle(ids)  # an order in which kinds take turns would leave out whole kinds
    total = 0.0
    for part in range(PARTS):
        held = ids[part::PARTS]
        rest = {i: gold[i] for i in ids if i not in held or count[gold[i]] == 1}
        even = centred(scores, list(rest))
        known = [x for x in present if x in set(rest.values())]
        fitted = fit_verbalisers(even, rest, known, foreign=foreign)
        if fitted is None:
            total += len(held) / len(labels)
            continue
        words = list(scores[ids[0]])
        owner, chances = owners(words, known, fitted), word_chances(even, held, words)
        mass = np.stack([chances[:, owner == p].sum(axis=1) for p in range(len(known))], axis=1)
        for row, i in zip(mass, held, strict=True):
            own = row[known.index(gold[i])] if gold[i] in known else 0.0
            total += NOISE / len(labels) + (1 - NOISE) * float(own / max(row.sum(), 1e-12))
    return total / max(1, len(ids))


def _survivors(questions: int) -> int:
    return max(FINALISTS, questions // 3)


def _batch(questions: int, room: int, scored: bool) -> int:
    """How many of the questions so many answers and scorings can screen."""
    fitting = (count for count in range(questions, 0, -1) if _price(count, scored) <= room)
    return next(fitting, 0)


def _price(questions: int, scored: bool) -> int:
    """What screening so many questions takes, in answers and scorings."""
    return ASKED * questions + min(questions, _survivors(questions)) * (SCORED if scored else ASKED)


def rounds_order(examples: Sequence[Example]) -> list[Example]:
    """The examples with two of each of two labels first, then two of each other label."""
    piles: dict[str, list[Example]] = {}
    for example in examples:
        piles.setdefault(example.answer, []).append(example)
    first = [example for pile in piles.values() for example in pile[:2]]
    return [*first, *(example for example in examples if example not in first)]


def bank(evidence: Evidence, labels: Sequence[str], asked: str = "") -> Bank:
    """The run's one bank, made for the task's question at first."""
    return evidence.once("bank", lambda: Bank(evidence, labels, asked))


def asked_sources(evidence: Evidence, labels: Sequence[str], asked: str = "") -> Iterator[Source]:
    """Questions with their words, the most distinctive first, each scored on all pictures before it
    is given out; as many as the budget allows."""
    gold = {example.id: example.answer for example in evidence.examples}
    known = known_questions(evidence)
    yield from sorted(known, key=lambda source: -known[source])
    while (source := bank(evidence, labels, asked).next()) is not None:
        table = evidence.word_scores([(prompt_of(source.question), source.words)])[0]
        said = {i: max(row, key=row.__getitem__) for i, row in table.items()}
        known[source] = separation(said, gold)
        yield source
