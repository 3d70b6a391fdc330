"""Policies: which moves they choose, how gains travel up, and that whole searches obey budgets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from idealprompt_cli.core.errors import JournalError
from idealprompt_cli.core.interfaces import Draft
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import Outcome, Prefer, RunResult, Trial
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.evaluation.cross_fitting import Candidate
from idealprompt_cli.evaluation.statistics import within_one_error
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.priors import ANY, Belief, Beliefs
from idealprompt_cli.search.policies import (
    POLICIES,
    Arm,
    BestFirst,
    Move,
    Node,
    Policy,
    Puct,
    Tree,
)
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.storage.journal import Journal
from idealprompt_cli.storage.records import PriorsUsed, Record, ScoreAnswer, TextAnswer
from idealprompt_cli.strategies import STRATEGIES

from ..support.fake_vlm import FakeVlm, graded_task

POOL = tuple(STRATEGIES.values())
FEW = POOL[:3]
Make = Callable[[Beliefs], Policy]


def node(number: int, merit: float, parent: Node | None = None, strategy: str = "seed") -> Node:
    prompt = Prompt(f"question {number}")
    trial = Trial(
        number, parent.trial.id if parent else None, strategy, prompt, "complete", None, 10
    )
    gain = merit - parent.merit if parent else 0.0
    made = Node(trial, Candidate(prompt), merit, 10, parent, gain, 10)
    if parent is not None:
        parent.arms.setdefault(strategy, Arm()).children.append(made)
    return made


def grown(*merits: float) -> Tree:
    """A root at 0.5 and a child per merit, each by the next strategy of the pool."""
    tree = Tree([node(0, 0.5)])
    for place, merit in enumerate(merits):
        name = POOL[place].name
        tree.nodes.append(node(place + 1, merit, tree.nodes[0], name))
        tree.back_up(tree.nodes[0], name, merit - 0.5)
        tree.add_gain(tree.nodes[0], name, (merit - 0.5) / 0.5)
    return tree


def described(moves: list[Move]) -> list[tuple[int, str]]:
    return [(move.node.trial.id, move.strategy.name) for move in moves]


def test_gains_travel_up_to_the_root() -> None:
    tree = grown(0.7)
    child = tree.nodes[1]
    tree.back_up(child, "cues", 0.1)
    assert child.arms["cues"].best == pytest.approx(0.1)
    arm = tree.nodes[0].arms[POOL[0].name]
    assert arm.visits == 2
    assert arm.best == pytest.approx(0.3)
    assert arm.total == pytest.approx(0.5)


@pytest.mark.parametrize("make", [*POLICIES.values(), partial(Puct, width=4, nodes_per_move=1)])
def test_every_move_is_made_once_and_then_there_is_none(make: Make) -> None:
    tree, policy = grown(), make(Beliefs())
    seen: list[tuple[int, str]] = []
    while moves := policy.choose(tree, FEW):
        assert len(set(described(list(moves)))) == len(moves)
        for move in moves:
            assert move.strategy.name not in move.node.arms
            move.node.arms[move.strategy.name] = Arm()
            seen.append((move.node.trial.id, move.strategy.name))
    assert sorted(seen) == sorted((0, s.name) for s in FEW)


@pytest.mark.parametrize("make", POLICIES.values())
def test_the_memory_decides_where_nothing_is_known_yet(make: Make) -> None:
    sure = Beliefs({ANY: {FEW[2].name: Belief(0.1, 0.8, 20)}})
    assert make(Beliefs()).choose(grown(), FEW)[0].strategy is FEW[0]
    assert make(sure).choose(grown(), FEW)[0].strategy is FEW[2]


def test_puct_goes_down_where_it_was_good() -> None:
    tree = grown(0.9, 0.4)
    moves = Puct(exploration=0.1, width=1).choose(tree, FEW)
    assert moves[0].node is tree.nodes[1]


def test_puct_comes_back_to_what_was_not_tried() -> None:
    tree = grown(0.52)
    for _ in range(40):
        tree.back_up(tree.nodes[1], "cues", -0.05)
    assert Puct(width=1).choose(tree, FEW)[0].node is tree.nodes[0]


def test_an_arm_is_widened_as_its_visits_grow() -> None:
    policy = Puct(width=1, first_drafts=2)
    tree = grown(0.6)
    arm = tree.nodes[0].arms[POOL[0].name]
    prompt = Prompt("waiting")
    arm.waiting = [(Draft(prompt, "note"), Candidate(prompt))]
    for strategy in FEW[1:]:
        tree.nodes[0].arms[strategy.name] = Arm()
    move = policy.choose(tree, FEW)[0]
    assert (move.node, move.strategy, move.drafts) == (tree.nodes[0], FEW[0], 1)
    assert policy.allowed(1) == 2 < policy.allowed(9)


def test_several_moves_go_to_different_places() -> None:
    moves = Puct(width=3, nodes_per_move=1).choose(grown(0.7, 0.7), POOL)
    assert len(set(described(list(moves)))) == 3


def test_the_front_holds_what_nothing_beats() -> None:
    tree = grown(0.9, 0.8, 0.95)
    for made, tokens in zip(tree.nodes, (10, 30, 40, 50), strict=True):
        made.tokens = tokens
    assert [made.merit for made in tree.front()] == [0.5, 0.9, 0.95]


# --- whole searches -------------------------------------------------------------------------------


def searched(
    make: Make,
    journal: Journal | None = None,
    beliefs: Beliefs | None = None,
    prefer: Prefer = "score",
) -> RunResult:
    budget, metric = Budget(evaluations=300), METRICS["accuracy"]
    context = open_context(graded_task(), FakeVlm(), metric, budget, journal=journal)
    return search(context, SearchSettings(POOL, make, beliefs or Beliefs(), prefer=prefer))


@pytest.mark.parametrize(
    "make", [*POLICIES.values(), partial(Puct, width=3, nodes_per_move=1, first_drafts=1)]
)
def test_policies_find_better_prompts_within_the_budget(make: Make) -> None:
    found = searched(make)
    assert found.cost.evaluations <= 300
    assert found.selection.winner.value > found.selection.baseline.value
    assert all(trial.parent is not None for trial in found.trials[1:])


def test_a_resumed_run_keeps_the_beliefs_it_started_with() -> None:
    sure = Beliefs({ANY: {"cues": Belief(0.0, 1.0, 50)}})
    journal = Journal.memory()
    first = searched(Puct, journal, sure)
    again = searched(Puct, journal, Beliefs())
    assert [t.strategy for t in again.trials] == [t.strategy for t in first.trials]
    edits = [trial.strategy for trial in first.trials if trial.strategy != "calibration"]
    assert edits[1] == "cues"
    assert searched(Puct).trials[1].strategy != "cues"


def test_short_is_preferred_where_it_is_not_clearly_worse() -> None:
    best, short = searched(Puct), searched(Puct, prefer="short")
    tokens = {trial.prompt: trial.prompt_tokens for trial in best.trials}
    assert [trial.prompt for trial in short.trials] == [trial.prompt for trial in best.trials]
    assert tokens[short.winner] <= tokens[best.winner]
    assert (best.prefer, short.prefer) == ("score", "short")
    by_id = {trial.id: trial for trial in best.trials}
    values = [by_id[point.trial].evaluation for point in best.front]
    assert short.winner in [by_id[point.trial].prompt for point in best.front]
    assert all(value is not None for value in values)


def test_one_standard_error() -> None:
    def outcomes(*scores: float) -> list[Outcome]:
        return [Outcome(str(i), "a", "a", score) for i, score in enumerate(scores)]

    best = outcomes(1, 1, 1, 1, 1, 1, 1, 0)
    assert within_one_error(best, outcomes(1, 1, 1, 1, 1, 1, 0, 1))
    assert within_one_error(best, outcomes(1, 1, 1, 1, 1, 1, 0, 0))
    assert not within_one_error(best, outcomes(1, 0, 0, 0, 1, 1, 0, 0))


def test_a_broken_run_goes_on_with_its_own_policy() -> None:
    journal = Journal.memory()
    searched(Puct, journal)
    with pytest.raises(JournalError, match="started with policy Puct, now BestFirst"):
        searched(BestFirst, journal)


@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.8, 0.95, 0.99])
def test_a_run_cut_off_anywhere_comes_out_the_same(share: float) -> None:
    """Also where the budget ended a batch: what was computed later must not make it fit now."""
    journal = Journal.memory()
    whole = searched(Puct, journal)
    kinds: tuple[type[Record], ...] = (PriorsUsed, TextAnswer, ScoreAnswer)
    kept = [record for kind in kinds for record in journal.records(kind)]
    for records in (kept[: int(share * len(kept))], kept):
        again = searched(Puct, Journal(None, -1, list(records)))
        assert [t.prompt for t in again.trials] == [t.prompt for t in whole.trials]
        assert again.winner == whole.winner
        assert again.cost.evaluations == whole.cost.evaluations
