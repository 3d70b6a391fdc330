"""GEPA (arXiv 2507.19457) on our engine, through its adapter interface, for `compare.py`.

Needs `pip install gepa` (0.1 or newer), which nothing else in this repository needs. Three modes:
"own": one text component, the question, rewritten by GEPA's reflection with the same model;
"writer": the same with a second, larger model, whose texts cost nothing in the budget;
"pool": one component that holds the structured prompt, with edits from our pool of strategies as
its custom candidate proposer, so that both search policies choose from the same edits. Without a
validation set, GEPA uses the training images as both, as its documentation says; its scores are not
cross-fitted. Everything that the model under adaptation generates and scores counts in the budget.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from idealprompt_cli.core.errors import ContextError
from idealprompt_cli.core.interfaces import Engine, Strategy, StrategyContext
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import Cost, Outcome
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.evaluation.budget import OutOfBudget
from idealprompt_cli.evaluation.cross_fitting import shuffled
from idealprompt_cli.evaluation.evaluator import Evaluator, Judged
from idealprompt_cli.fitting.evidence import ModelEvidence
from idealprompt_cli.prompts.serialisation import from_dict, to_dict
from idealprompt_cli.proposers.same_model import SameModel

COMPONENT = "prompt"
# (evaluations spent, prompt, score on the training images)
Step = tuple[int, Prompt, float]
REFLECTION_TOKENS = 160


@dataclass
class Adapter:
    """GEPA's view of a task: a candidate's text on a batch of examples."""

    evaluator: Evaluator
    read: Callable[[str], Prompt]
    seen: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    propose_new_texts: None = None

    def evaluate(
        self, batch: list[Example], candidate: dict[str, str], capture_traces: bool = False
    ) -> Any:
        from gepa.core.adapter import EvaluationBatch

        text = candidate[COMPONENT]
        try:
            pairs = [(self.read(text), example) for example in batch]
            outcomes = [judged.outcome for judged in self.evaluator.judge(pairs)]
        except ContextError as error:
            outcomes = [Outcome(e.id, e.answer, "", 0.0, reply=str(error)) for e in batch]
        self._note(text, outcomes)
        scores = [o.score for o in outcomes]
        return EvaluationBatch(outcomes, scores, outcomes if capture_traces else None)

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """The answer for each image, and the right one."""
        examples = {example.id: example for example in self.evaluator.task.train}
        rows = [
            {
                "Inputs": shown(examples[outcome.example_id]),
                "Generated Outputs": outcome.predicted or outcome.reply,
                "Feedback": "correct" if outcome.score == 1.0 else f"wrong: {outcome.gold}",
            }
            for outcome in eval_batch.trajectories or eval_batch.outputs
        ]
        return dict.fromkeys(components_to_update, rows)

    def _note(self, text: str, outcomes: list[Outcome]) -> None:
        """Keep answers; a candidate that has been scored on every training picture is a step."""
        known, n = self.seen.setdefault(text, {}), len(self.evaluator.task.train)
        before = len(known)
        known.update({o.example_id: o for o in outcomes})
        if before < n == len(known):
            mean = sum(o.score for o in known.values()) / n
            self.steps.append(
                (self.evaluator.engine.account.spent.evaluations, self.read(text), mean)
            )


class PoolProposer:
    """Drafts of random strategies of our pool, as GEPA's custom candidate proposer."""

    def __init__(
        self, evaluator: Evaluator, pool: Sequence[Strategy], adapter: Adapter, seed: int
    ) -> None:
        task = evaluator.task
        self.rng = random.Random(f"gepa {seed}")
        self.pool, self.adapter, self.evaluator = pool, adapter, evaluator
        examples = shuffled(task.train, seed)
        self.evidence = ModelEvidence(evaluator.engine, task.labels, examples)

    def __call__(
        self, candidate: dict[str, str], dataset: object, components: list[str]
    ) -> dict[str, str]:
        del dataset, components
        parent = from_dict(json.loads(candidate[COMPONENT]))
        known = tuple(self.adapter.seen.get(candidate[COMPONENT], {}).values())
        judged = [Judged(outcome, Cost()) for outcome in known]
        incumbent = self.evaluator.summarise(judged) if judged else None
        context = StrategyContext(self.evaluator.task, self.evidence, self.rng, incumbent)
        for strategy in self.rng.sample(list(self.pool), len(self.pool)):
            if strategy.applies(parent, context):
                texts = [write(d.prompt) for d in strategy.propose(parent, context)]
                fresh = [text for text in texts if text not in self.adapter.seen]
                if fresh:
                    return {COMPONENT: self.rng.choice(fresh)}
        return dict(candidate)


def shown(example: Example) -> str:
    """What a writer reads of an example: its texts, and that there is an image."""
    texts = [f"{name}: {text}" for name, text in example.fields.items()]
    return "\n".join([*texts, *["an image" for _ in example.images]])


def asked(text: str, task: Task) -> Prompt:
    """A reworded question as a prompt. Fields that the writer lost are put in front of it, and
    braces that name no field are text."""
    question = text.replace("{", "{{").replace("}", "}}")
    for name in task.fields:
        question = question.replace("{{" + name + "}}", "{" + name + "}")
    lost = [name for name in task.fields if "{" + name + "}" not in question]
    return Prompt("\n".join([*("{" + name + "}" for name in lost), question]))


def write(prompt: Prompt) -> str:
    """A structured prompt as a component's text."""
    return json.dumps(to_dict(prompt), sort_keys=True)


# Rounds in which nothing was asked that had not been asked before.
IDLE_ROUNDS = 40


@dataclass
class _Enough:
    """Stops where not even one full scoring can be paid, or nothing new comes any more."""

    evaluator: Evaluator
    idle: int = 0
    spent: int = -1

    def __call__(self, state: object) -> bool:
        spent = self.evaluator.engine.account.spent.evaluations
        self.idle = self.idle + 1 if spent == self.spent else 0
        self.spent = spent
        full = len(self.evaluator.task.train)
        return self.evaluator.engine.account.affordable() < full or self.idle > IDLE_ROUNDS


def reflector(engine: Engine) -> Callable[[Any], str]:
    """GEPA's reflection model on an engine. A request that does not fit its context gets an empty
    answer, as from a model that has nothing to say."""
    writer = SameModel(engine)

    def reflect(prompt: Any) -> str:
        try:
            return writer.write(str(prompt), REFLECTION_TOKENS)
        except ContextError:
            return ""

    return reflect


def optimise(
    evaluator: Evaluator, pool: Sequence[Strategy], seed: int, writer: Engine | None
) -> list[Step]:
    """Every prompt that GEPA scored on all training pictures, within the engine's budget. `writer`
    writes its texts; without one, the strategies of `pool` propose."""
    import gepa

    question = evaluator.task.question
    task = evaluator.task
    read: Callable[[str], Prompt] = (
        (lambda text: asked(text, task)) if writer else (lambda text: from_dict(json.loads(text)))
    )
    adapter = Adapter(evaluator, read)
    options: dict[str, Any] = {
        "custom_candidate_proposer": PoolProposer(evaluator, pool, adapter, seed)
    }
    if writer:
        options = {"reflection_lm": reflector(writer)}
    start = question if writer else write(Prompt(question))
    budget = evaluator.engine.account.budget.evaluations or 1_000
    data = list(evaluator.task.train)
    adapter.evaluate(data, {COMPONENT: start})
    with contextlib.suppress(OutOfBudget, ContextError):
        gepa.optimize(
            {COMPONENT: start}, data, data, adapter, max_metric_calls=10 * budget, seed=seed,
            stop_callbacks=_Enough(evaluator),
            logger=_Silent(), raise_on_exception=True, cache_evaluation=True, **options,
        )  # fmt: skip
    return adapter.steps


class _Silent:
    def log(self, message: str) -> None:
        """GEPA's lines are of no use here."""
