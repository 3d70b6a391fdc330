"""A share of many examples, drawn alike on every machine and with every label in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeVar

from ..core.errors import TaskError
from ..core.task import Example, Task
from .splits import lot

One = TypeVar("One")

LARGEST_TRAIN, LARGEST_TEST = 96, 400
"""Number of examples that a search takes from a larger table by default."""
PER_LABEL = 4
PROMPTS, FEWEST = 4, 16
"""A small budget uses so few training examples that it scores at least `PROMPTS` prompts on all of
them, but not fewer examples than `FEWEST`."""


@dataclass(frozen=True)
class Share:
    """What `sensible_share` chose, and a sentence that states it ("" where all is taken)."""

    task: Task
    notice: str


def subsample(task: Task, train: int = 0, test: int = 0, seed: int = 0) -> Task:
    """The task with at most `train` training and `test` held-out examples (0: all of them).

    Each label keeps its share, and at least one training example. Validation examples are kept up
    to the number of training examples. Raises `TaskError` where there are more labels than `train`
    or fewer examples than asked for. The fingerprint tells the sample apart.
    """
    _check_enough(task, train, test)
    chosen = replace(
        task,
        train=_sampled(task.train, train, seed, task),
        test=_sampled(task.test, test, seed, task),
        validation=_sampled(task.validation, min(train, len(task.validation)), seed, task),
    )
    if (chosen.train, chosen.test) == (task.train, task.test):
        return task
    fingerprint = _fingerprint(task, len(chosen.train), len(chosen.test), seed)
    return replace(chosen, fingerprint=fingerprint)


def _fingerprint(task: Task, train: int, test: int, seed: int) -> str:
    """The fingerprint of a sample of these sizes."""
    return lot(seed, f"{task.fingerprint}:{train}:{test}:{seed}")[:16]


def sensible_share(task: Task, seed: int = 0, evaluations: int | None = None) -> Share:
    """The task itself, or of a large one as many examples as a search can use well; fewer training
    examples still where a budget of `evaluations` would score hardly a prompt on them."""
    each = PER_LABEL * len(task.labels)
    train = min(len(task.train), max(LARGEST_TRAIN, each))
    test = min(len(task.test), max(LARGEST_TEST, each))
    why = ""
    if evaluations is not None:
        affordable = max(FEWEST, each, evaluations // PROMPTS)
        if affordable < train:
            train, why = affordable, f"a budget of {evaluations} evaluations is small; "
    if (train, test) == (len(task.train), len(task.test)):
        return Share(task, "")
    share = subsample(task, train, test, seed)
    options = " and ".join(
        option
        for option, drawn, there in (
            ("--train N", train, task.train),
            ("--test M", test, task.test),
        )
        if drawn < len(there)
    )
    choose = "choose other numbers" if " and " in options else "chooses another number"
    everything = f"--train {len(task.train)} takes all"
    return Share(share, f"Using {counts(share, task)} ({why}{options} {choose}, {everything}).")


def counts(share: Task, task: Task) -> str:
    """How many examples of the task a share has: "25 of 32 training examples"."""
    kinds = (("training", share.train, task.train), ("held-out", share.test, task.test))
    parts = [
        f"{len(some)} of {len(every)} {kind}"
        for kind, some, every in kinds
        if len(some) < len(every)
    ]
    return f"{' and '.join(parts)} examples"


def same_share(task: Task, seed: int, fingerprint: str) -> Task | None:
    """The share of the task that has this fingerprint, as an earlier run with another budget or
    other numbers of examples drew it; None where none has."""
    trains = _sizes(task.train, max(1, len(task.labels)), LARGEST_TRAIN)
    tests = _sizes(task.test, 1, LARGEST_TEST)
    for train, test in product(trains, tests):
        if _fingerprint(task, train, test, seed) == fingerprint:
            return subsample(task, train, test, seed)
    return None


def _sizes(examples: Sequence[Example], least: int, most: int) -> list[int]:
    """How many of the examples a share may have: from `least` to `most`, or all."""
    return [*range(least, min(len(examples) - 1, most) + 1), len(examples)]


def _check_enough(task: Task, train: int, test: int) -> None:
    for flag, wanted, there in (("train", train, task.train), ("test", test, task.test)):
        if wanted > len(there):
            raise TaskError(f"{task.root}: has {len(there)} {flag} examples, not {wanted}")
    if 0 < train < len(task.labels):
        raise TaskError(
            f"{task.root}: {train} training examples cannot hold {len(task.labels)} labels: take "
            f"{PER_LABEL * len(task.labels)} or more"
        )


def _sampled(examples: Sequence[Example], count: int, seed: int, task: Task) -> tuple[Example, ...]:
    """The examples that are drawn, in their order."""
    if not count or count >= len(examples):
        return tuple(examples)

    def stratum(example: Example) -> str:
        return example.answer if task.answer == "label" else ""

    chosen = {one.id for one in draw(examples, count, seed, stratum, lambda one: one.id)}
    return tuple(one for one in examples if one.id in chosen)


def draw(
    items: Sequence[One],
    count: int,
    seed: int,
    stratum: Callable[[One], str],
    name: Callable[[One], str],
) -> list[One]:
    """`count` items: of each stratum its share, at least one where there is room."""
    strata: dict[str, list[One]] = defaultdict(list)
    for item in items:
        strata[stratum(item)].append(item)
    sizes = {key: len(strata[key]) for key in sorted(strata)}
    found: list[One] = []
    for key, quota in shares(sizes, count).items():
        ranked = sorted(strata[key], key=lambda item: lot(seed, name(item)))
        found += ranked[:quota]
    return found


def shares(sizes: dict[str, int], count: int) -> dict[str, int]:
    """How many of each stratum make `count`: one each, the rest by largest remainder of what is
    proportional; none gets more than it has."""
    total = sum(sizes.values())
    if count >= total:
        return dict(sizes)
    least = 1 if count >= len(sizes) else 0
    exact = {key: size * count / total for key, size in sizes.items()}
    quotas = {key: min(sizes[key], max(least, int(exact[key]))) for key in sizes}
    while sum(quotas.values()) > count:
        above = [key for key in quotas if quotas[key] > least]
        most = max(above, key=lambda key: (quotas[key] - exact[key], key))
        quotas[most] -= 1
    while sum(quotas.values()) < count:
        open_keys = [key for key in quotas if quotas[key] < sizes[key]]
        least_served = min(open_keys, key=lambda key: (quotas[key] - exact[key], key))
        quotas[least_served] += 1
    return quotas
