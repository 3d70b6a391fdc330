"""A committee after a search: its price, its cross-fitted score, and its way into the artifact."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from idealprompt_cli import artifact, metrics, strategies
from idealprompt_cli.artifact import StoredCommittee, StoredMember
from idealprompt_cli.core.committee import MOST_MEMBERS
from idealprompt_cli.core.errors import ArtifactError, UsageError
from idealprompt_cli.core.results import CommitteeResult, RunResult
from idealprompt_cli.core.task import Task
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.committee_layer import fit
from idealprompt_cli.evaluation.context import RunContext, open_context
from idealprompt_cli.evaluation.evaluator import Evaluator, predict
from idealprompt_cli.evaluation.held_out import held_out_test
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.exports import EXPORTS, rendered
from idealprompt_cli.runs.config import RunConfig
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.ui.formats import get
from idealprompt_cli.ui.formats.base import Screen

from ..conftest import SCRIPT, call
from ..support.fake_vlm import FakeVlm, graded_task

SEEDS = 5


def context_for(task: Task, budget: int = 900, seed: int = 0) -> RunContext:
    return open_context(
        task, FakeVlm(), metrics.get(task.metric), Budget(evaluations=budget), seed=seed
    )


def searched(
    task: Task, most: int | None, budget: int = 900, seed: int = 0
) -> tuple[RunContext, RunResult]:
    context = context_for(task, budget, seed)
    settings = SearchSettings(strategies.select(None, task.answer), committee=most)
    return context, search(context, settings)


def read_out(task: Task, result: RunResult) -> RunResult:
    return held_out_test(
        result, Evaluator(MeteredEngine(FakeVlm()), task, metrics.get(task.metric))
    )


@pytest.fixture(scope="module")
def found() -> RunResult:
    """A search whose budget leaves room for a committee to be better."""
    task = graded_task()
    _, result = searched(task, 3, budget=300)
    return read_out(task, result)


def committee_of(result: RunResult) -> CommitteeResult:
    assert result.committee is not None
    return result.committee


def test_it_costs_nothing_and_changes_nothing_else() -> None:
    task = graded_task()
    with_one, result = searched(task, 3, budget=300)
    without, plain = searched(task, 0, budget=300)
    assert with_one.account.spent.evaluations == without.account.spent.evaluations
    assert result.winner == plain.winner
    assert [trial.prompt for trial in result.trials] == [trial.prompt for trial in plain.trials]
    assert plain.committee is None
    assert "committee" not in plain.verdict


def test_a_committee_of_one_weighs_the_words_of_one_prompt() -> None:
    task = graded_task()
    _, result = searched(task, 1, budget=100)
    made = committee_of(read_out(task, result))
    assert len(made.committee.members) == 1
    assert artifact.from_run(result).committee is not None
    assert " One prompt with weighted answer words scores " in result.verdict
    _, none = searched(task, 1, budget=300)
    assert "One prompt with weighted answer words is not as good as the winner" in none.verdict
    assert " for 1 evaluation and " in result.verdict


def test_a_search_weighs_the_words_of_one_prompt_unasked() -> None:
    task = graded_task()
    _, unasked = searched(task, None, budget=100)
    _, asked = searched(task, 1, budget=100)
    assert committee_of(unasked) == committee_of(asked)
    _, none = searched(task, None, budget=300)
    assert none.committee is None
    assert "weighted" not in none.verdict, "nobody asked, so nothing is said"


def test_nothing_is_weighted_unasked_beside_a_validation_split() -> None:
    task = graded_task()
    _, result = searched(replace(task, validation=task.test), None, budget=100)
    assert result.committee is None


def test_every_training_example_is_scored_once(found: RunResult) -> None:
    task, made = found.task, committee_of(found)
    scored = [outcome.example_id for outcome in made.selection.outcomes]
    assert sorted(scored) == sorted(example.id for example in task.train)
    assert 1 <= len(made.committee.members) <= 3
    assert made.selection.cost.evaluations == 0
    assert all(
        set(member.weights) == set(task.labels)
        and {len(row) for row in member.weights.values()} == {len(member.words)}
        for member in made.committee.members
    )


def test_the_held_out_test_reads_it_too(found: RunResult) -> None:
    made = committee_of(found)
    assert made.test is not None
    assert made.test.n == len(found.task.test)
    answered = predict(FakeVlm(), made.committee, found.task.labels, found.task.test)
    assert [one.predicted for one in answered] == [one.predicted for one in made.test.outcomes]
    assert "A committee of" in found.verdict
    assert f"{made.tokens} prompt tokens an example" in found.verdict


def test_random_labels_give_no_reliable_committee() -> None:
    reliable = 0
    for seed in range(SEEDS):
        task, rng = graded_task(24, 60), random.Random(seed)
        train, test = (
            tuple(replace(e, answer=rng.choice(task.labels)) for e in part)
            for part in (task.train, task.test)
        )
        task = replace(task, train=train, test=test, fingerprint=f"random {seed}")
        result = read_out(task, searched(task, 3, 300, seed)[1])
        reliable += result.recommended == "committee"
    assert reliable == 0


# --- the artifact ---------------------------------------------------------------------------------


def test_the_artifact_carries_it(found: RunResult) -> None:
    kept = artifact.from_run(found)
    text = artifact.dump(kept)
    assert artifact.load(text, "file") == kept
    assert kept.asked("committee") == committee_of(found).committee
    assert kept.single("committee") == kept.prompt
    count = len(committee_of(found).committee.members)
    name = f"committee of {count}" if count > 1 else "weighted words"
    assert kept.score_rows[-1][0] == name
    without = artifact.from_run(replace(found, committee=None, recommended="winner"))
    assert "committee:" not in artifact.dump(without)
    with pytest.raises(ArtifactError, match="has no committee: search with --committee"):
        without.asked("committee")


def test_faults_are_named(found: RunResult) -> None:
    good = artifact.dump(artifact.from_run(found))
    for old, new, message in (
        ("  biases:\n    A:", "  biases:\n    Z:", "committee.biases: has Z, B, C: give each of A"),
        (
            "      weights:\n        A:",
            "      weights:\n        Z:",
            "committee.members[1].weights",
        ),
        ("  evaluations: ", "  evaluation: ", "unknown key: did you mean evaluations?"),
        ("      words:\n        - ", "      words:\n        - more\n        - ", "number for each"),
    ):
        start = good.index("committee:\n")
        assert old in good[start:]
        with pytest.raises(ArtifactError) as caught:
            artifact.load(good[:start] + good[start:].replace(old, new, 1), "f.yaml")
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    none = good[: good.index("# Prompts that answer together")]
    none = re.sub("recommended: .*", "recommended: committee", none)
    with pytest.raises(ArtifactError, match="recommended is 'committee', but there is none"):
        artifact.load(none, "f.yaml")


def test_the_table_shows_members_and_price(found: RunResult) -> None:
    kept = artifact.from_run(found)
    text = get("table").run(kept, "", Screen())
    assert kept.committee is not None
    assert f"The {kept.committee.name} (--use committee):" in text
    for member in kept.committee.members:
        assert member.prompt.question.split("\n")[0] in text


# --- exports --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in EXPORTS if name != "python"])
def test_other_exports_refuse_it(name: str, found: RunResult) -> None:
    kept = artifact.from_run(found)
    with pytest.raises(UsageError) as caught:
        rendered(EXPORTS[name], kept, kept.asked("committee"))
    assert str(caught.value).startswith(f"--to {name}: cannot carry a committee")
    assert "\n" not in str(caught.value)
    assert rendered(EXPORTS[name], kept, kept.asked("winner"))


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [-1, MOST_MEMBERS + 1])
def test_sizes_that_are_refused(size: int) -> None:
    with pytest.raises(UsageError, match=f"--committee {size}: choose 0 to 5"):
        RunConfig(committee=size).check()


def test_tasks_that_are_refused() -> None:
    task = graded_task()
    written = replace(task, labels=(), answer="text")
    with pytest.raises(UsageError, match="has no labels whose probabilities could be added"):
        RunConfig(committee=3).prepared(written)
    validated = replace(task, validation=task.test)
    with pytest.raises(UsageError, match="leave out the validation split"):
        RunConfig(committee=3).prepared(validated)


def test_a_search_without_one_says_so(folder: Path) -> None:
    run = call("search", folder, "-m", SCRIPT, "-q", "--committee", 2, "-o", "p.yaml")
    assert run.exit_code == 0, run.stderr
    kept = artifact.read_artifact("p.yaml")
    assert ("committee of up to 2" in kept.verdict) == (kept.committee is None)
    plain = artifact.dump(replace(kept, committee=None, recommended="winner"))
    Path("plain.yaml").write_text(plain, encoding="utf-8")
    refused = call("eval", "plain.yaml", folder, "-m", SCRIPT, "--use", "committee")
    assert refused.exit_code == 1
    assert "has no committee: search with --committee" in refused.stderr


def test_the_commands(folder: Path) -> None:
    assert call("search", folder, "-m", SCRIPT, "-q", "-o", "p.yaml").exit_code == 0
    kept = artifact.read_artifact("p.yaml")
    weights = {label: (float(place), -1.0) for place, label in enumerate(kept.labels)}
    member = StoredMember(kept.baseline_prompt, kept.labels, weights)
    biases = dict.fromkeys(kept.labels, 0.0)
    made = StoredCommittee((member, member), biases, kept.scores.winner, 2, 9)
    text = artifact.dump(replace(kept, committee=made, recommended="committee"))
    Path("c.yaml").write_text(text, encoding="utf-8")
    image = next(folder.rglob("*.png"))
    measured = call("eval", "c.yaml", folder, "-m", SCRIPT)
    assert (
        "An answer by the committee of 2 takes 2 evaluations and 9 prompt tokens" in measured.stderr
    )
    answered = call("predict", "c.yaml", image, "-m", SCRIPT, "-q")
    assert set(json.loads(answered.stdout)["probabilities"]) == set(kept.labels)
    refused = call("export", "c.yaml", "--to", "openai", "--use", "committee")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "cannot carry a committee" in refused.stderr
    exported = call("export", "c.yaml", "--to", "openai")
    assert exported.exit_code == 0
    assert exported.stdout == call("export", "c.yaml", "--to", "openai", "--use", "winner").stdout
    assert "this is the single prompt, as --use winner" in exported.stderr
    assert "Note:" not in call("export", "c.yaml", "--to", "python").stderr
    shown = call("report", "c.yaml", "--text")
    assert "The committee of 2 (2 evaluations and 9 prompt tokens an example):" in shown.stdout
    reflected = call("reflect", "c.yaml", folder, "-m", SCRIPT, "--dry-run")
    assert "reflection works on a single prompt, here the winner" in reflected.stderr


def test_few_examples_are_answered_by_the_nearest_mean() -> None:
    rng = np.random.default_rng(0)
    means = np.array([[0.0, -4.0, -4.0], [-4.0, 0.0, -4.0]])
    gold = np.array([0, 1, 0, 1])
    logs = means[gold] + rng.normal(0, 0.3, (4, 3))
    layer = fit([logs], gold, 3, 1)
    unseen = means[[0, 1]] + rng.normal(0, 0.3, (2, 3))
    scores = (unseen - unseen.mean(axis=1, keepdims=True)) @ layer.weights[0].T + layer.biases
    assert scores.argmax(axis=1).tolist() == [0, 1]
    # The third label has no example.
    assert scores[:, 2].max() < scores[:, :2].min() - 10
