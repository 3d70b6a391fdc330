"""Policies: which moves they choose, how gains travel up, and that whole searches obey budgets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from idealprompt_cli.budget import Budget
from idealprompt_cli.console import SilentObserver
from idealprompt_cli.crossfit import Candidate
from idealprompt_cli.interfaces import Draft
from idealprompt_cli.journal import Journal
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.policies import POLICIES, Arm, Move, Node, Policy, Puct, Tree
from idealprompt_cli.priors import ANY, Belief, Beliefs
from idealprompt_cli.search import run
from idealprompt_cli.strategies import STRATEGIES
from idealprompt_cli.types import Prompt, RunResult, Trial

from .fake_vlm import FakeVlm, graded_task

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
        tree.won(tree.nodes[0], name, (merit - 0.5) / 0.5)
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


@pytest.mark.parametrize("make", [*POLICIES.values(), partial(Puct, width=4)])
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
    moves = Puct(width=3).choose(grown(0.7, 0.7), POOL)
    assert len(set(described(list(moves)))) == 3


def test_the_front_holds_what_nothing_beats() -> None:
    tree = grown(0.9, 0.8, 0.95)
    for made, tokens in zip(tree.nodes, (10, 30, 40, 50), strict=True):
        made.tokens = tokens
    assert [made.merit for made in tree.front()] == [0.5, 0.9, 0.95]


# --- whole searches -------------------------------------------------------------------------------


def searched(
    make: Make, journal: Journal | None = None, beliefs: Beliefs | None = None
) -> RunResult:
    task = graded_task()
    return run(
        task, FakeVlm(), METRICS["accuracy"], POOL, Budget(evaluations=300),
        observer=SilentObserver(), journal=journal, policy=make, beliefs=beliefs,
    )  # fmt: skip


@pytest.mark.parametrize("make", [*POLICIES.values(), partial(Puct, width=3, first_drafts=1)])
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
    assert first.trials[1].strategy == "cues"
    assert searched(Puct).trials[1].strategy != "cues"
