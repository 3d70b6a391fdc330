"""Which of the generic questions separate a task's labels, measured only as far as needed.

Successive halving (Karnin et al. 2013) over a batch of questions that a share of the budget allows:
all of them on a few pictures of two labels, the informative ones on twice as many, and so on.
Answers are kept, so each round pays for its new pictures only. A further batch is asked when the
good ones of those before are used up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..core.interfaces import Evidence
from ..core.task import Example
from ..prompts.questions import prompt_of
from .answer_rules import separation
from .questions import questions_for
from .word_sources import Source, answer_words, known_questions, short_forms

# Share of the remaining budget that a batch of questions may take.
SCREEN_SHARE = 0.4
# Pictures of a first round; each later one has half of the questions on twice the pictures.
FIRST_PICTURES = 4
# The last questions of a batch are asked about so many pictures, and no more than that.
FINALISTS, LAST_PICTURES = 2, 16
# What a batch has at least, where the budget pays for that and for scoring one question.
FEW_QUESTIONS = 6
# How much better than chance a question has to be to be worth scoring.
EDGE = 0.12


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
        ready = sorted(self._ready(), key=lambda q: -self.ranked[q])
        if not ready or self.evidence.affordable() < len(self.evidence.examples):
            return None
        self.used.add(ready[0])
        best = sorted(self.ranked, key=lambda question: -self.ranked[question])
        others = [self.answers[question] for question in best]
        words = answer_words(own := self.answers[ready[0]], self.evidence, others=others)
        answered = len(set(words) & {*own.values()})
        return Source(ready[0], words, answered)

    def _ready(self) -> list[str]:
        return [question for question in self.ranked if question not in self.used]

    def _promising(self) -> bool:
        chance = 1 / len(self.labels)
        return any(self.ranked[q] >= chance + EDGE for q in self._ready())

    def _affordable(self) -> tuple[int, int]:
        """(questions of the next batch, pictures that its last round has)."""
        room = self.evidence.affordable() - len(self.evidence.examples)
        most = len(self.evidence.examples)
        questions, last = len(self.left), min(LAST_PICTURES, most)
        usual = _batch(questions, int(SCREEN_SHARE * room), last)
        if usual >= min(questions, FEW_QUESTIONS):
            return usual, last
        # A small budget is better spent on a few questions than on none.
        last = min(2 * FIRST_PICTURES, most)
        return _batch(min(questions, FEW_QUESTIONS), room, last), last

    def _screen(self) -> None:
        count, last = self._affordable()
        batch, self.left = self.left[:count], self.left[count:]
        order, size = rounds_order(self.evidence.examples), FIRST_PICTURES
        while batch:
            self._ask(batch, order[:size], order[size:])
            chance = 1 / len({example.answer for example in order[:size]})
            batch = sorted(batch, key=lambda question: -self.ranked[question])
            if size >= last:
                break
            good = [question for question in batch if self.ranked[question] > 0.9 * chance]
            batch = good[: _survivors(len(batch))]
            size *= 2

    def _ask(self, batch: Sequence[str], part: Sequence[Example], rest: Sequence[Example]) -> None:
        """Ask about some of the pictures; a question is ranked by the most that it was asked."""
        view = self.evidence.excluding([example.id for example in rest])
        gold = {example.id: example.answer for example in part}
        for question, asked in zip(batch, view.ask(batch), strict=True):
            answers = short_forms(asked)
            self.answers[question] = answers
            self.ranked[question] = separation(answers, gold)


def _survivors(questions: int) -> int:
    return max(FINALISTS, questions // 2)


def _batch(questions: int, room: int, last: int) -> int:
    """How many of the questions so many answers can screen, on up to `last` pictures."""
    fitting = (count for count in range(questions, 0, -1) if _price(count, last) <= room)
    return next(fitting, 0)


def _price(questions: int, last: int) -> int:
    """Answers that the rounds for so many questions take."""
    size = FIRST_PICTURES
    price = questions * size
    while size < last:
        questions = min(questions, _survivors(questions))
        price += questions * min(size, last - size)
        size *= 2
    return price


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
        said = {i: max(row, key=lambda word: row[word]) for i, row in table.items()}
        known[source] = separation(said, gold)
        yield source
