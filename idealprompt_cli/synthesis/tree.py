"""Tree generation: a model writes down what it knows as topics, questions and answers.

After arXiv 2406.11354 (model-agnostic self-decompression). Level by level the model names topics
within each topic; on each of the last level's it writes questions, and answers them. Questions are
written in rounds over all topics, so that a budget that ends early leaves an even corpus. What is
written already is in the `Corpus`; everything else follows from it and the seed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from ..core.interfaces import Engine
from ..core.requests import Generated, GenerateRequest
from ..core.results import StopReason
from ..evaluation.budget import Budget, OutOfBudget
from .corpus import Corpus, Pair, Question, Record, Topic, Topics
from .requests import (
    STARTS,
    answer_request,
    parse_question,
    parse_topics,
    question_request,
    same_words,
    shuffled,
    topics_request,
)

AT_ONCE = 16
"""Requests in one call of the engine: as many texts as a killed run can lose."""
T = TypeVar("T")
Clock = Callable[[], float]


@dataclass
class Tree:
    """A tree that grows in `corpus`. `on_written` hears how many texts were written."""

    engine: Engine
    corpus: Corpus
    budget: Budget
    on_written: Callable[[int], None] = lambda count: None
    clock: Clock = time.perf_counter

    def grow(self) -> StopReason:
        """Write what is missing; why it ended. Raises what the engine raises."""
        try:
            leaves = self._leaves()
            for place in range(self.corpus.header.branch):
                self._write_questions(leaves, place)
                self._answer(leaves, place)
        except OutOfBudget as end:
            return end.reason
        return "exhausted"

    # --- topics -----------------------------------------------------------------------------------

    def _leaves(self) -> list[Topic]:
        """The topics of the last level."""
        header = self.corpus.header
        seen = {same_words(name) for name in header.topics}
        level: list[Topic] = [(name,) for name in header.topics] or [()]
        for _ in range(header.depth - 1 - bool(header.topics)):
            missing = [path for path in level if path not in self.corpus.topics]
            for paths in self._affordable(missing):
                self._ask(paths, self._topics_of, _topics_record)
            level = [child for path in level for child in self._children(path, seen)]
        return level

    def _topics_of(self, path: Topic) -> GenerateRequest:
        return topics_request(path, self.corpus.header.branch, self.corpus.header.seed)

    def _children(self, path: Topic, seen: set[str]) -> Iterator[Topic]:
        """Those of a node's topics that are nowhere else in the tree."""
        for name in self.corpus.topics[path].found[: self.corpus.header.branch]:
            words = same_words(name)
            if words and words not in seen:
                seen.add(words)
                yield (*path, name)

    # --- questions and answers --------------------------------------------------------------------

    def _write_questions(self, leaves: Sequence[Topic], place: int) -> None:
        keys = [(path, self._start(path, place)) for path in leaves]
        missing = [key for key in keys if key not in self.corpus.questions]
        for some in self._affordable(missing):
            self._ask(some, lambda key: question_request(*key), _question_record)

    def _start(self, path: Topic, place: int) -> str:
        return shuffled(self.corpus.header.seed, path, "questions", STARTS)[place]

    def _answer(self, leaves: Sequence[Topic], last: int) -> None:
        """Answer the questions of all rounds up to `last` that have no answer yet."""
        new: dict[str, Question] = {}
        for place in range(last + 1):
            for path in leaves:
                question = self.corpus.questions[path, self._start(path, place)]
                if question.text:
                    new.setdefault(same_words(question.text), question)
        missing = [one for one in new.values() if one.text not in self.corpus.pairs]
        for some in self._affordable(missing):
            self._ask(some, self._answer_of, _pair_record)

    def _answer_of(self, question: Question) -> GenerateRequest:
        return answer_request(question.text, self.corpus.header.max_tokens)

    # --- paying -----------------------------------------------------------------------------------

    def _affordable(self, waiting: Sequence[T]) -> Iterator[list[T]]:
        """What is waiting, in parts that the budget allows. Raises `OutOfBudget` at its end."""
        left = iter(waiting)
        done = 0
        while done < len(waiting):
            count = min(AT_ONCE, self.budget.affordable(self.corpus.cost), len(waiting) - done)
            if count <= 0:
                raise OutOfBudget(self.budget.tightest(self.corpus.cost))
            done += count
            yield list(islice(left, count))

    def _ask(
        self,
        items: Sequence[T],
        request: Callable[[T], GenerateRequest],
        record: Callable[[T, Generated, float], Record],
    ) -> None:
        """Let the model write for each item, and keep it."""
        start = self.clock()
        answers = self.engine.generate([request(item) for item in items])
        seconds = round((self.clock() - start) / len(items), 6)
        pairs = zip(items, answers, strict=True)
        self.corpus.add([record(item, answer, seconds) for item, answer in pairs])
        self.on_written(len(items))


def _topics_record(path: Topic, answer: Generated, seconds: float) -> Topics:
    return Topics(path, parse_topics(answer.text), answer.tokens, seconds)


def _question_record(key: tuple[Topic, str], answer: Generated, seconds: float) -> Question:
    path, start = key
    text = parse_question(start, answer.text, answer.finish)
    return Question(path, start, text, answer.tokens, seconds)


def _pair_record(question: Question, answer: Generated, seconds: float) -> Pair:
    return Pair(
        question.text, answer.text.strip(), question.path, answer.finish, answer.tokens, seconds
    )


def most_texts(depth: int, branch: int, topics: int) -> int:
    """How many texts a tree takes at most."""
    nodes, total = topics or 1, 0
    for _ in range(depth - 1 - bool(topics)):
        total, nodes = total + nodes, nodes * branch
    return total + 2 * nodes * branch
