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
from ..core.committee import Asked, Committee, prompts_of
from ..core.interfaces import Engine, Metric
from ..core.prompt import Prompt
from ..core.requests import GenerateRequest, ScoreRequest
from ..core.results import Cost, Evaluation, Outcome
from ..core.task import Example, Task
from ..prompts.rendering import ANSWER_CUE, lead, prefill, render, words_for
from .calibration import shifted_logs
from .choices import FLOOR, chosen, decided, joined, option_words
from .metered_engine import MeteredEngine
from .statistics import interval

REASONING_TOKENS = 64

Pair = tuple[Asked, Example]
Single = tuple[Prompt, Example]


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

    def evaluate(self, asked: Asked, examples: Sequence[Example]) -> Evaluation:
        """One prompt, or one committee, on all the examples."""
        return self.summarise(self.judge([(asked, example) for example in examples]))

    def judge(self, pairs: Sequence[Pair]) -> list[Judged]:
        """Graded outcomes of pairs, in order, in at most two engine calls.

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
        return self.task.answer == "label" and all(self._known(pair) for pair in pairs)

    def _known(self, pair: Pair) -> bool:
        prompts = prompts_of(pair[0])
        if any(prompt.reasoning != "none" for prompt in prompts):
            return False
        asked = _choices(self.engine, [pair], [""] * len(prompts), self.task.labels)
        return self.engine.price(asked) == 0

    def shifted(
        self, outcome: Outcome, example: Example, offsets: Mapping[str, float], prompt: Prompt
    ) -> Outcome:
        """What the outcome of a label task is with offsets added to the labels' log-probabilities
        (see `calibration`). Asks the model nothing."""
        logs = shifted_logs(outcome.probabilities, offsets)
        words = {label: words_for(prompt, label)[0] for label in logs}
        words[outcome.predicted] = outcome.reply
        return self._graded(decided(example, logs, words, outcome.reasoning), example)

    def joined(
        self, committee: Committee, example: Example, logs: Sequence[Sequence[float]]
    ) -> Outcome:
        """What a committee answers whose members' words have these log-probabilities. Asks the
        model nothing."""
        return self._graded(joined(committee, example, logs), example)

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
    asked: Asked,
    labels: Sequence[str],
    examples: Sequence[Example],
    kind: AnswerKind = "label",
    schema: AnswerSchema = PLAIN,
) -> list[Outcome]:
    """Answers without grades (score 0.0); an example's `answer` may be ""."""
    pairs = [(asked, example) for example in examples]
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
        math.exp(max(FLOOR, one.logprobs[0])) if outcome.reply else 0.0
        for one, outcome in zip(found, outcomes, strict=True)
    ]


def answer(
    engine: MeteredEngine,
    pairs: Sequence[Pair],
    labels: Sequence[str],
    kind: AnswerKind,
    schema: AnswerSchema = PLAIN,
) -> list[tuple[Outcome, Cost]]:
    """Ungraded outcomes with their costs. A pair counts as one evaluation for each prompt in it,
    described first or not: the description is charged by its tokens and seconds."""
    single = [(prompt, example) for asked, example in pairs for prompt in prompts_of(asked)]
    thoughts, costs = _reason(engine, single, labels)
    if kind != "label" or not labels:
        written = "text" if kind == "label" else kind
        return _write(engine, single, thoughts, costs, KINDS[written], schema)
    return _choose(engine, pairs, thoughts, costs, labels)


def _reason(
    engine: MeteredEngine, pairs: Sequence[Single], labels: Sequence[str]
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
    pairs: Sequence[Single],
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
    """Labels by the probability of their words; one thought and one cost for each prompt."""
    answers = engine.scores_with_cost(_choices(engine, pairs, thoughts, labels))
    found = iter(zip(answers, thoughts, costs, strict=True))
    results = []
    for asked, example in pairs:
        made = [next(found) for _ in prompts_of(asked)]
        logs = [scored.logprobs for (scored, _), _, _ in made]
        if isinstance(asked, Committee):
            outcome = joined(asked, example, logs)
        else:
            outcome = chosen(asked, example, labels, logs[0], made[0][1])
        results.append((outcome, sum((cost + spent for (_, cost), _, spent in made), Cost())))
    return results


def _choices(
    engine: MeteredEngine, pairs: Sequence[Pair], thoughts: Sequence[str], labels: Sequence[str]
) -> list[ScoreRequest]:
    """What is scored to choose labels. Of the labels themselves, the shortest beginnings that
    differ, so that a long name is at no disadvantage (`python -m benchmarks.label_length`). The
    model's own words as a whole: they were fitted so, and scores of a word then hold in any
    company, so that what was scored to fit them is known already."""
    requests: list[ScoreRequest] = []
    for asked, example in pairs:
        for prompt, words, own in _compared(asked, labels):
            messages = render(prompt, labels, len(example.images), example.fields)
            start = prefill(prompt, thoughts[len(requests)])
            options = tuple(lead(start) + word for word in words)
            if own:
                requests.append(ScoreRequest(messages, example.images, options, start))
            else:
                requests.append(engine.choice(messages, example.images, options, start))
    return requests


def _compared(asked: Asked, labels: Sequence[str]) -> list[tuple[Prompt, tuple[str, ...], bool]]:
    """The prompts, each with the words that are compared as its answer, and whether these are the
    model's own."""
    if isinstance(asked, Committee):
        return [(one.prompt, one.words, one.own_words) for one in asked.members]
    return [(asked, option_words(asked, labels), bool(asked.verbalisers))]
