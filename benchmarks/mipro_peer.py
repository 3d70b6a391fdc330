"""MIPROv2 (arXiv 2406.11695) from DSPy on our engine, through a custom language model.

Needs `pip install dspy optuna`, which nothing else in this repository does. One predictor whose
instructions are the question that our engine is asked; the same model writes the proposals. Without
demonstrations, because those that MIPRO bootstraps would each need a picture in the prompt. Its
trials score the whole training set, which is what its own settings choose for so few examples. A
reply that does not keep to DSPy's format is taken as the field that was asked for, and one that
does not fit the model's context is empty: both are kinder than an error, which would end the run.
"""

from __future__ import annotations

import contextlib
import io
import logging
from types import SimpleNamespace
from typing import Any

from idealprompt_cli.core.errors import ContextError
from idealprompt_cli.core.prompt import Message, Prompt
from idealprompt_cli.core.requests import GenerateRequest
from idealprompt_cli.core.task import Example
from idealprompt_cli.evaluation.budget import OutOfBudget
from idealprompt_cli.evaluation.evaluator import Evaluator

from .gepa_peer import asked

REPLY_TOKENS = 160
# Instructions to choose from, and the trials that compare them: more than the largest budget
# allows.
CANDIDATES, TRIALS = 18, 400
Step = tuple[int, Prompt, float]


class Scores:
    """Grades of (instructions, example), computed for all examples at a time; `steps` has every
    prompt that was scored on all of them."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.known: dict[str, dict[str, float]] = {}
        self.steps: list[Step] = []

    def of(self, instructions: str, example: Example) -> float:
        if instructions not in self.known:
            self.known[instructions] = self._scored(asked(instructions, self.evaluator.task))
        return self.known[instructions][example.id]

    def _scored(self, prompt: Prompt) -> dict[str, float]:
        train = self.evaluator.task.train
        try:
            judged = self.evaluator.judge([(prompt, example) for example in train])
        except ContextError:
            return dict.fromkeys((example.id for example in train), 0.0)
        found = {item.outcome.example_id: item.outcome.score for item in judged}
        mean = sum(found.values()) / len(found)
        self.steps.append((self.evaluator.engine.account.spent.evaluations, prompt, mean))
        return found


class _Done(BaseException):
    """Ends MIPRO's run; not an Exception, because its evaluation counts those as wrong answers."""


def optimise(evaluator: Evaluator, seed: int) -> list[Step]:
    """Every prompt that MIPROv2 scored on all training pictures, within the engine's budget."""
    import dspy

    logging.getLogger("dspy").setLevel(logging.CRITICAL)
    scores = Scores(evaluator)
    task = evaluator.task
    by_id = {example.id: example for example in task.train}

    class Writer(dspy.BaseLM):  # type: ignore[misc]
        """The model under adaptation as DSPy's language model: text in, text out."""

        def forward(self, prompt: Any = None, messages: Any = None, **rest: Any) -> Any:
            del rest
            text = _write(evaluator, _flat(prompt, messages))
            choice = SimpleNamespace(
                message=SimpleNamespace(content=text, tool_calls=None), finish_reason="stop"
            )
            usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
            return SimpleNamespace(choices=[choice], usage=usage, model="ours")

    class Lenient(dspy.ChatAdapter):  # type: ignore[misc]
        def parse(self, signature: Any, completion: str) -> dict[str, Any]:
            try:
                found: dict[str, Any] = super().parse(signature, completion)
            except Exception:
                found = dict.fromkeys(signature.output_fields, completion.strip())
            return found

    class Asker(dspy.Module):  # type: ignore[misc]
        """Answers by our engine with the predictor's instructions as the question."""

        def __init__(self) -> None:
            super().__init__()
            fields = dspy.Signature("picture -> answer", task.question)
            self.ask = dspy.Predict(fields)

        def forward(self, picture: str) -> Any:
            try:
                score = scores.of(self.ask.signature.instructions, by_id[picture])
            except OutOfBudget:
                raise _Done from None
            return dspy.Prediction(answer=by_id[picture].answer, score=score)

    model = Writer("ours/same")
    rows = [dspy.Example(picture=e.id, answer=e.answer).with_inputs("picture") for e in task.train]
    optimizer = dspy.MIPROv2(
        metric=lambda example, found, trace=None: found.score,
        prompt_model=model, task_model=model, auto=None, num_candidates=CANDIDATES, num_threads=1,
        max_bootstrapped_demos=0, max_labeled_demos=0, seed=seed, track_stats=False,
    )  # fmt: skip
    with (
        contextlib.suppress(_Done, OutOfBudget),
        contextlib.redirect_stderr(bars := io.StringIO()),  # a bar per trial
        contextlib.redirect_stdout(bars),
        dspy.context(lm=model, adapter=Lenient()),
    ):
        scores.of(task.question, task.train[0])
        optimizer.compile(
            Asker(), trainset=rows, valset=rows, num_trials=TRIALS, minibatch=False, seed=seed
        )
    return scores.steps


def _flat(prompt: Any, messages: Any) -> str:
    """A request to DSPy's model as one text."""
    if not messages:
        return str(prompt)
    return "\n\n".join(str(message["content"]) for message in messages)


def _write(evaluator: Evaluator, text: str) -> str:
    request = GenerateRequest((Message("user", (text,)),), (), REPLY_TOKENS)
    try:
        # DSPy takes an empty reply for a fault of the server.
        return evaluator.engine.generate([request])[0].text.strip() or "-"
    except ContextError:
        return "-"
    except OutOfBudget:
        raise _Done from None
