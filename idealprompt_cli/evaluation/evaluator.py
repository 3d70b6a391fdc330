"""Prompts on examples: requests, answers, grades, Evaluations.

Everything that is asked at a time goes to the engine in one call. It gets the engine and the metric
as arguments, knows no concrete one, and decides nothing about which prompts are worth asking.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..answers import KINDS, Kind
from ..core.answer_schema import PLAIN, AnswerKind, AnswerSchema
from ..core.interfaces import Engine, Metric
from ..core.prompt import Prompt
from ..core.requests import GenerateRequest, ScoreRequest
from ..core.results import Cost, Evaluation, Outcome
from ..core.task import Example, Task
from ..prompts.rendering import ANSWER_CUE, lead, ordered_labels, prefill, render, words_for
from .calibration import shifted_logs
from .metered_engine import MeteredEngine
from .statistics import interval

REASONING_TOKENS = 64
_FLOOR = -1e4

Pair = tuple[Prompt, Example]


@dataclass(frozen=True)
class Judged:
    """An outcome and what it cost."""

    outcome: Outcome
    cost: Cost


class Evaluator:
    """Scores prompts on examples of one task with one engine and one metric."""

    def __init__(self, engine: MeteredEngine, task: Task, metric: Metric) -> None:
        self.engine = engine
        self.task = task
        self.metric = metric

    def evaluate(self, prompt: Prompt, examples: Sequence[Example]) -> Evaluation:
        """One prompt on all the examples."""
        return self.summarise(self.judge([(prompt, example) for example in examples]))

    def judge(self, pairs: Sequence[Pair]) -> list[Judged]:
        """Graded outcomes of (prompt, example) pairs, in order, in at most two engine calls.

        Raises OutOfBudget before a call that cannot be paid.
        """
        task = self.task
        answers = answer(self.engine, pairs, task.labels, task.answer, task.answer_schema)
        return [
            Judged(self._graded(outcome, example), cost)
            for (outcome, cost), (_, example) in zip(answers, pairs, strict=True)
        ]

    def free(self, pairs: Sequence[Pair]) -> bool:
        """Whether these pairs of a label task cost nothing, because all that they ask is known."""
        task = self.task
        if task.answer != "label" or any(prompt.reasoning != "none" for prompt, _ in pairs):
            return False
        return self.engine.price(_choices(self.engine, pairs, [""] * len(pairs), task.labels)) == 0

    def shifted(
        self, outcome: Outcome, example: Example, offsets: Mapping[str, float], prompt: Prompt
    ) -> Outcome:
        """What the outcome of a label task is with offsets added to the labels' log-probabilities
        (see `calibration`). Asks the model nothing."""
        logs = shifted_logs(outcome.probabilities, offsets)
        words = {label: words_for(prompt, label)[0] for label in logs}
        words[outcome.predicted] = outcome.reply
        return self._graded(_decided(example, logs, words, outcome.reasoning), example)

    def summarise(self, judged: Sequence[Judged]) -> Evaluation:
        """The metric's value with its interval, the mean margin and the summed cost."""
        outcomes = tuple(item.outcome for item in judged)
        cost = sum((item.cost for item in judged), Cost())
        margin = sum(o.margin for o in outcomes) / len(outcomes) if outcomes else 0.0
        return Evaluation(
            metric=self.metric.name,
            value=self.metric.aggregate(outcomes),
            interval=interval(outcomes, self.metric),
            outcomes=outcomes,
            margin=margin,
            cost=cost,
        )

    def _graded(self, outcome: Outcome, example: Example) -> Outcome:
        """With its score, and with the accepted answer that it comes nearest to as `gold`."""
        score = self.metric.grade(outcome.predicted, example.answers)
        nearest = example.answer
        if example.accepted:
            grades = {one: self.metric.grade(outcome.predicted, (one,)) for one in example.answers}
            nearest = max(grades, key=lambda one: grades[one])
        return replace(outcome, score=score, gold=nearest)


def predict(
    engine: Engine,
    prompt: Prompt,
    labels: Sequence[str],
    examples: Sequence[Example],
    kind: AnswerKind = "label",
    schema: AnswerSchema = PLAIN,
) -> list[Outcome]:
    """Answers without grades (score 0.0); an example's `answer` may be ""."""
    pairs = [(prompt, example) for example in examples]
    answers = answer(MeteredEngine(engine), pairs, labels, kind, schema)
    return [outcome for outcome, _ in answers]


def probabilities_of(
    engine: Engine, prompt: Prompt, examples: Sequence[Example], outcomes: Sequence[Outcome]
) -> list[float]:
    """How probable the model finds the answers that it wrote, each as a whole; 0 for none."""
    requests = [
        ScoreRequest(
            render(prompt, (), len(example.images), example.fields),
            example.images,
            (lead(start) + (outcome.reply or " "),),
            start,
        )
        for example, outcome in zip(examples, outcomes, strict=True)
        for start in [prefill(prompt, outcome.reasoning)]
    ]
    found = engine.score(requests) if requests else []
    return [
        math.exp(max(_FLOOR, one.logprobs[0])) if outcome.reply else 0.0
        for one, outcome in zip(found, outcomes, strict=True)
    ]


def answer(
    engine: MeteredEngine,
    pairs: Sequence[Pair],
    labels: Sequence[str],
    kind: AnswerKind,
    schema: AnswerSchema = PLAIN,
) -> list[tuple[Outcome, Cost]]:
    """Ungraded outcomes with their costs. A pair counts as one evaluation, described first or not:
    the description is charged by its tokens and seconds."""
    thoughts, costs = _reason(engine, pairs, labels)
    if kind != "label" or not labels:
        written = "text" if kind == "label" else kind
        return _write(engine, pairs, thoughts, costs, KINDS[written], schema)
    return _choose(engine, pairs, thoughts, costs, labels)


def _reason(
    engine: MeteredEngine, pairs: Sequence[Pair], labels: Sequence[str]
) -> tuple[list[str], list[Cost]]:
    """What the model writes before it answers, "" where the prompt asks for nothing."""
    thoughts, costs = [""] * len(pairs), [Cost()] * len(pairs)
    asked = [i for i, (prompt, _) in enumerate(pairs) if prompt.reasoning != "none"]
    requests = [
        GenerateRequest(
            render(pairs[i][0], labels, len(pairs[i][1].images), pairs[i][1].fields),
            pairs[i][1].images,
            max_tokens=REASONING_TOKENS,
            stop=("\n", ANSWER_CUE.strip()),
        )
        for i in asked
    ]
    answers = engine.texts_with_cost(requests, evaluations=0) if requests else []
    for i, (generated, cost) in zip(asked, answers, strict=True):
        thoughts[i], costs[i] = generated.text.strip(), cost
    return thoughts, costs


def _write(
    engine: MeteredEngine,
    pairs: Sequence[Pair],
    thoughts: Sequence[str],
    costs: Sequence[Cost],
    kind: Kind,
    schema: AnswerSchema,
) -> list[tuple[Outcome, Cost]]:
    """Answers that the model writes, under their kind's grammar."""
    requests = [
        GenerateRequest(
            render(prompt, (), len(example.images), example.fields),
            example.images,
            max_tokens=schema.max_tokens or kind.longest(schema),
            stop=kind.ends(schema),
            grammar=kind.grammar(schema),
            prefill=prefill(prompt, thought),
        )
        for (prompt, example), thought in zip(pairs, thoughts, strict=True)
    ]
    results = []
    texts = engine.texts_with_cost(requests)
    for (_, example), thought, spent, (made, cost) in zip(
        pairs, thoughts, costs, texts, strict=True
    ):
        said = made.text.strip()
        read = kind.read(said, schema)
        outcome = Outcome(example.id, example.answer, read, 0.0, reply=said, reasoning=thought)
        results.append((outcome, cost + spent))
    return results


def _choose(
    engine: MeteredEngine,
    pairs: Sequence[Pair],
    thoughts: Sequence[str],
    costs: Sequence[Cost],
    labels: Sequence[str],
) -> list[tuple[Outcome, Cost]]:
    """Labels by the probability of their words."""
    answers = engine.scores_with_cost(_choices(engine, pairs, thoughts, labels))
    results = []
    for pair, thought, spent, (scored, cost) in zip(pairs, thoughts, costs, answers, strict=True):
        prompt, example = pair
        outcome = _outcome(prompt, example, labels, scored.logprobs, thought)
        results.append((outcome, cost + spent))
    return results


def _choices(
    engine: MeteredEngine, pairs: Sequence[Pair], thoughts: Sequence[str], labels: Sequence[str]
) -> list[ScoreRequest]:
    """What is scored to choose labels. Of the labels themselves, the shortest beginnings that
    differ, so that a long name is at no disadvantage (`python -m benchmarks.label_length`). The
    model's own words as a whole: they were fitted so, and scores of a word then hold in any
    company, so that what was scored to fit them is known already."""
    requests = []
    for (prompt, example), thought in zip(pairs, thoughts, strict=True):
        messages = render(prompt, labels, len(example.images), example.fields)
        start = prefill(prompt, thought)
        options = tuple(lead(start) + word for word in option_words(prompt, labels))
        if prompt.verbalisers:
            requests.append(ScoreRequest(messages, example.images, options, start))
        else:
            requests.append(engine.choice(messages, example.images, options, start))
    return requests


def option_words(prompt: Prompt, labels: Sequence[str]) -> tuple[str, ...]:
    """Every word that stands for a label, in the prompt's order; a word that two labels claim
    belongs to the first."""
    order = ordered_labels(prompt, labels)
    return tuple(dict.fromkeys(word for label in order for word in words_for(prompt, label)))


def _outcome(
    prompt: Prompt,
    example: Example,
    labels: Sequence[str],
    logprobs: Sequence[float],
    thought: str,
) -> Outcome:
    words = option_words(prompt, labels)
    scores = {w: max(_FLOOR, s) for w, s in zip(words, logprobs, strict=True)}
    claimed: set[str] = set()
    by_label, best_word, offsets = {}, {}, dict(prompt.calibration)
    for label in ordered_labels(prompt, labels):
        own = [word for word in words_for(prompt, label) if word not in claimed]
        claimed.update(own)
        by_label[label] = _logsumexp([scores[word] for word in own]) + offsets.get(label, 0.0)
        best_word[label] = max(own, key=lambda word: scores[word], default=label)
    return _decided(example, by_label, best_word, thought)


def _decided(
    example: Example, by_label: Mapping[str, float], words: Mapping[str, str], thought: str
) -> Outcome:
    """The outcome that label scores (log-probabilities, not normalised) lead to, ungraded; `words`
    has the word by which the model says each label."""
    total = _logsumexp(list(by_label.values()))
    chosen = max(by_label, key=lambda label: by_label[label])
    right = [score for label, score in by_label.items() if label in example.answers]
    others = [score for label, score in by_label.items() if label not in example.answers]
    margin = max(right) - max(others) if right and others else 0
    return Outcome(
        example_id=example.id,
        gold=example.answer,
        predicted=chosen,
        score=0.0,
        margin=float(max(-60.0, min(60.0, margin))),
        probabilities={label: math.exp(score - total) for label, score in by_label.items()},
        reply=words[chosen],
        reasoning=thought,
    )


def _logsumexp(values: Sequence[float]) -> float:
    """log of the sum of exponentials; the floor for none, so that a label without words loses."""
    if not values:
        return _FLOOR
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
