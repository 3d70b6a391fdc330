"""Values of the package's types, for tests that need one and do not care how it came about."""

from __future__ import annotations

from pathlib import Path

from idealprompt_cli.core.edits import Change, EditReport
from idealprompt_cli.core.prompt import Demonstration, LabelText, Prompt, Verbaliser
from idealprompt_cli.core.requests import ModelInfo
from idealprompt_cli.core.results import (
    Comparison,
    Cost,
    Evaluation,
    Interval,
    Outcome,
    RunResult,
    SplitScores,
    Trial,
)
from idealprompt_cli.core.task import Example, Task

LABELS = ("K7", "M: 2", "yes")
ALL = "all parts\nfilled"
EDIT = EditReport(
    changes=(Change("role", "", "You: a 'clerk'"),),
    why="because: # of this",
    confusion="K7 predicted as M: 2",
    inspired_by=("train/1.png",),
    fixed=("train/2.png", "train/3.png"),
    p_value=0.0123,
    level=0.05,
)


def examples(count: int, part: str) -> tuple[Example, ...]:
    return tuple(
        Example(
            f"{part}/{n}.png", (Path(f"{part}/{n}.png"),), LABELS[n % 3], f"class folder {n % 3}/"
        )
        for n in range(count)
    )


def evaluation(right: int, n: int) -> Evaluation:
    outcomes = tuple(
        Outcome(
            f"{i}.png", LABELS[i % 3], LABELS[(i if i < right else i + 1) % 3], float(i < right)
        )
        for i in range(n)
    )
    low, high = max(0.0, right / n - 0.123456789), min(1.0, right / n + 0.1)
    cost = Cost(n, n * 40, 0.5)
    return Evaluation("accuracy", right / n, Interval(low, high), outcomes, 0.3, cost)


def awkward_prompt() -> Prompt:
    """Every part filled, with text that YAML could trip over."""
    return Prompt(
        question="Which code? # not a comment\nSay: it.",
        role="You are a clerk: exact.",
        role_channel="user",
        context="- a shop\n  with two lines ",
        label_descriptions=(LabelText("K7", "striped 😀"), LabelText("M: 2", "'dotted'")),
        label_order=("yes", "K7", "M: 2"),
        definition_style="description_first",
        cues=("Look at the pattern.", "[bold]not markup[/bold]"),
        constraints=("no",),
        reasoning="describe",
        demonstrations=(Demonstration("a cup, *plain*", "yes"),),
        output_format="null",
        image_position="after",
        verbalisers=(Verbaliser("K7", ("striped", "stripes")), Verbaliser("yes", ("plain",))),
        calibration=(("K7", -0.25), ("yes", 1.0)),
    )


def task() -> Task:
    return Task(
        name="codes",
        root=Path("codes"),
        question="Which code?",
        labels=LABELS,
        metric="accuracy",
        train=examples(6, "train"),
        test=examples(9, "test"),
        fingerprint="00e1234567890123",
    )


def model() -> ModelInfo:
    return ModelInfo(
        engine="scripted",
        name="table.yaml",
        fingerprint="1e10",
        architecture="llama",
        family="demo",
        quantisation="Q8_0",
        n_ctx=512,
        path="/models/tab le.gguf",
        mmproj="",
        mode="scripted",
    )


def run_result(*, winner: Prompt | None = None, tested: bool = True) -> RunResult:
    seed = Prompt(question="Which code?")
    best = winner or awkward_prompt()
    comparison = Comparison(3, 0, 0.25, False)
    middle = Prompt(question="Which code, please?")
    return RunResult(
        task=task(),
        model=model(),
        baseline=seed,
        winner=best,
        selection=SplitScores(evaluation(2, 6), evaluation(5, 6), comparison),
        test=SplitScores(evaluation(3, 9), evaluation(7, 9), comparison) if tested else None,
        trials=(
            Trial(0, None, "seed", seed, "complete", evaluation(2, 6), 5),
            Trial(1, 0, "rephrase", middle, "complete", evaluation(3, 6), 6, "politer: why not"),
            Trial(2, 0, "role", seed.with_(role="x"), "pruned", evaluation(1, 4), 7, "a role"),
            Trial(3, 1, "everything", best, "complete", evaluation(5, 6), 60, ALL, edit=EDIT),
        ),
        cost=Cost(96, 4321, 12.3456),
        stop="evaluations",
        seed=3,
        verdict="Better by 44 points on 9 held-out examples: 95 % sure? No.",
        recommended="baseline",
    )
