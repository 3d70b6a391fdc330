"""The traversal of a tree of prompts visits every token once and asks for every option's tokens."""

from __future__ import annotations

import random

import pytest

from idealprompt_cli.engines.llama_cpp.scheduling.token_trie import (
    Step,
    Tokens,
    decode_steps,
    shared,
)

Path = tuple[Tokens, list[Tokens]]
Seen = tuple[Tokens, int, int]


def follow(steps: tuple[Step, ...], branching: bool = True) -> list[Seen]:
    """Follow the steps -> (context, token, target) of every lookup."""
    sequence: list[int] = []
    seen: list[Seen] = []
    for step in steps:
        assert step.start <= len(sequence)
        assert branching or step.start in (0, len(sequence)), "only back to the prefix"
        del sequence[step.start :]
        lookups = dict(zip(step.offsets, step.lookups, strict=True))
        for offset, token in enumerate(step.tokens):
            sequence.append(token)
            seen += [(tuple(sequence), w.token, w.target) for w in lookups.get(offset, ())]
    return seen


def expected(paths: list[Path]) -> list[Seen]:
    """What scoring every path on its own would look up."""
    options = [(suffix, option) for suffix, options in paths for option in options]
    return [
        ((*suffix, *option[:depth]), token, target)
        for target, (suffix, option) in enumerate(options)
        for depth, token in enumerate(option)
    ]


def random_tokens(rng: random.Random, longest: int) -> Tokens:
    return tuple(rng.randint(0, 2) for _ in range(rng.randint(1, longest)))


@pytest.mark.parametrize("branching", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_random_trees(limit: int, branching: bool) -> None:
    rng = random.Random(limit)
    for _ in range(200):
        paths: list[Path] = [
            (random_tokens(rng, 6), [random_tokens(rng, 3) for _ in range(rng.randint(1, 4))])
            for _ in range(rng.randint(1, 5))
        ]
        steps = decode_steps(paths, limit, branching)
        assert sorted(follow(steps, branching)) == sorted(expected(paths))
        assert all(len(step.tokens) <= limit for step in steps)
        nodes = {context[: n + 1] for context, _, _ in expected(paths) for n in range(len(context))}
        if branching:
            assert sum(len(step.tokens) for step in steps) == len(nodes), "each token once"


def test_one_token_options_need_no_tokens_of_their_own() -> None:
    (step,) = decode_steps([((1, 2, 3), [(7,), (8,), (9,)])], 100)
    assert step.tokens == (1, 2, 3)
    assert step.offsets == (2,)


def test_thousands_of_tokens_do_not_recurse() -> None:
    long = tuple(range(20_000))
    steps = decode_steps([(long, [(1,)]), ((*long[:-1], 5), [(1,)])], 512)
    assert sum(len(step.tokens) for step in steps) == 20_001


def test_owners_pay_for_what_they_first_need() -> None:
    steps = decode_steps([((1, 2, 3), [(9,)]), ((1, 2, 4, 5), [(9,)])], 100)
    assert [step.owners for step in steps] == [(0, 0, 0), (1, 1)]


@pytest.mark.parametrize(
    ("before", "tokens", "count"),
    [
        ((), (1, 2), 0),
        ((1, 2, 3), (1, 2, 4), 2),
        ((1, 2), (1, 2, 3), 2),
        ((1, 2, 3), (1, 2), 1),
        ((1,), (1,), 0),
    ],
)
def test_the_last_token_is_never_shared(before: Tokens, tokens: Tokens, count: int) -> None:
    assert shared(before, tokens) == count
