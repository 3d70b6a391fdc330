"""The fast path, scoring: heads kept, prompts of many pictures in one decode, prefixes shared.

Each of a wave's slots holds one head and follows the walk of its prompts (`tree.py`); the slots
take their k-th steps together, in few batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from ....core.requests import Generated, Scored
from ..caching.context_pool import Arena
from ..caching.image_embeddings import Head, Key
from ..native.context import Floats, Ints
from ..native.tokenizer import Vocabulary
from .batch_decode import Piece, decode
from .generation import generate
from .jobs import GenerateJob, ScoreJob
from .request_plan import Plan
from .speculative import Drafts
from .token_trie import Step, walk

_ENOUGH = 16
"""Sequences in a batch from which on more of them hardly make a token cheaper."""


@dataclass(frozen=True)
class Compiled:
    """A step as arrays, made once and used for every picture. `rows` number the step's own
    outputs; `token[i]` is looked up in row `rows[i]` and added to result `target[i]`. `owned`
    counts the step's tokens by the prompt that first needed them."""

    start: int
    tokens: Ints
    outputs: npt.NDArray[np.int8]
    n_outputs: int
    rows: Ints
    token: Ints
    target: Ints
    owned: Ints


@dataclass
class Task:
    """One head with the plans that one slot scores on it."""

    head: Head
    plans: list[Plan]
    steps: list[Compiled]
    sums: npt.NDArray[np.float64]
    cost: Ints
    slot: int = -1


@dataclass
class _Group:
    head: Head
    jobs: dict[int, list[int]] = field(default_factory=dict)
    plans: dict[int, Plan] = field(default_factory=dict)


class FastPath:
    """Scores and generates on a context whose heads are kept between calls."""

    def __init__(self, arena: Arena, vocab: Vocabulary) -> None:
        self._arena, self._vocab = arena, vocab
        self._branching = arena.heads.cuttable
        self._drafts = Drafts()
        self._compiled: dict[tuple[int, ...], list[Compiled]] = {}

    def score(self, jobs: list[ScoreJob]) -> list[Scored]:
        """Log-probabilities of each job's options, in the jobs' order."""
        results: list[Scored | None] = [None] * len(jobs)
        groups = _grouped(jobs)
        need = max(self._arena.cells(job.head) + _longest(job.plan) for job in jobs)
        self._make_room(need, len(groups), sum(len(group.plans) for group in groups.values()))
        self._compiled.clear()  # its keys are only good while the plans live
        tasks = [task for group in groups.values() for task in self._tasks(group, len(groups))]
        tasks.sort(key=lambda task: not self._arena.heads.resident(task.head))
        slots = self._arena.context.slots
        for begin in range(0, len(tasks), slots):
            self._run(tasks[begin : begin + slots])
        for task in tasks:
            self._collect(task, groups[task.head.key], results)
        return [result for result in results if result is not None]

    def generate(self, jobs: list[GenerateJob]) -> list[Generated]:
        """Greedy continuations, in the jobs' order."""
        need = max(self._arena.cells(j.head) + len(j.plan.suffix) + j.max_tokens for j in jobs)
        self._make_room(need, len({job.head.key for job in jobs}), len(jobs))
        try:
            return generate(self._arena, self._vocab, self._drafts, jobs)
        except BaseException:
            self._arena.heads.forget()
            raise

    def close(self) -> None:
        self._arena.close()

    def _make_room(self, need: int, heads: int, jobs: int) -> None:
        """A sequence for each head; more where few heads would make small batches."""
        self._arena.make_room(need, max(heads, min(jobs, _ENOUGH)))

    def _tasks(self, group: _Group, n_groups: int) -> Iterable[Task]:
        """One task per slot that this head gets: more than one where that is cheaper."""
        plans = sorted(group.plans.values(), key=lambda plan: plan.suffix)
        for part in self._split(group.head, plans, n_groups):
            steps = self._compile(part)
            n_options = sum(len(plan.options) for plan in part)
            yield Task(group.head, part, steps, np.zeros(n_options), np.zeros(len(part), np.int32))

    def _split(self, head: Head, plans: list[Plan], n_groups: int) -> list[list[Plan]]:
        """Plans over the slots that a head may have: together they share prefixes, apart they
        make larger batches. Takes the cheapest of 1, 2, 4, ... parts."""
        most = min(len(plans), self._arena.context.slots // n_groups)
        best, least = [plans], self._cost([plans], n_groups)
        copy = self._arena.cost.copying(self._arena.cells(head)) * n_groups
        count = 2
        while self._branching and count <= most:
            parts = [
                plans[len(plans) * i // count : len(plans) * (i + 1) // count] for i in range(count)
            ]
            cost = self._cost(parts, n_groups) + copy * (count - 1)
            if cost >= least:
                break
            best, least, count = parts, cost, count * 2
        return best

    def _cost(self, parts: list[list[Plan]], n_groups: int) -> float:
        """What the steps of `n_groups` heads cost, those of all their slots taken together."""
        walks = [self._compile(part) for part in parts]
        n_ubatch, total = self._arena.context.n_ubatch, 0.0
        for steps in zip_longest(*walks):
            lengths = [len(step.tokens) for step in steps if step]
            sequences = n_groups * len(lengths)
            total += self._arena.cost.of(sequences, max(lengths), n_ubatch)
        return total

    def _compile(self, plans: list[Plan]) -> list[Compiled]:
        """The walk of some plans, made once for all pictures of a call."""
        key = tuple(id(plan) for plan in plans)
        if key not in self._compiled:
            paths = [(plan.suffix, plan.options) for plan in plans]
            steps = walk(paths, self._arena.context.n_batch, self._branching)
            self._compiled[key] = [_compile(step, len(plans)) for step in steps]
        return self._compiled[key]

    def _run(self, tasks: list[Task]) -> None:
        """A wave: one task per slot, all slots step by step together."""
        tasks.sort(key=lambda task: -len(task.steps))
        try:
            places = self._arena.heads.place([task.head for task in tasks])
            for task, (slot, cells) in zip(tasks, places, strict=True):
                task.slot = slot
                task.cost[0] += cells
            for k in range(max(len(task.steps) for task in tasks)):
                self._step([task for task in tasks if k < len(task.steps)], k)
        except BaseException:
            self._arena.heads.forget()
            raise

    def _step(self, tasks: list[Task], k: int) -> None:
        """Everybody's k-th step, and what its logits say."""
        arena, pieces = self._arena, []
        for task in tasks:
            step = task.steps[k]
            arena.heads.rewind(task.slot, step.start)
            pieces.append(Piece(task.slot, step.tokens, step.outputs, step.n_outputs))
            task.cost += step.owned
        for chosen, logits in decode(arena.context, arena.heads, pieces, arena.cost):
            normal, row = log_sum_exp(logits), 0
            for index in chosen:
                task, step = tasks[index], tasks[index].steps[k]
                if step.n_outputs:
                    rows = step.rows + row
                    gained = logits[rows, step.token] - normal[rows]
                    np.add.at(task.sums, step.target, gained)
                    row += step.n_outputs

    def _collect(self, task: Task, group: _Group, results: list[Scored | None]) -> None:
        begin = 0
        for index, plan in enumerate(task.plans):
            end = begin + len(plan.options)
            values = tuple(task.sums[begin:end].tolist())
            for nth, job in enumerate(group.jobs[id(plan)]):
                results[job] = Scored(values, int(task.cost[index]) if nth == 0 else 0)
            begin = end


def log_sum_exp(logits: Floats) -> npt.NDArray[np.float64]:
    """log(sum(exp(row))) of each row of (n, n_vocab) logits, shifted by the row's maximum."""
    if not len(logits):
        return np.empty(0)
    top = logits.max(axis=1, keepdims=True)
    shifted = logits - top
    total = np.exp(shifted, out=shifted).sum(axis=1, dtype=np.float64)
    result: npt.NDArray[np.float64] = top[:, 0].astype(np.float64) + np.log(total)
    return result


def _longest(plan: Plan) -> int:
    """Tokens of a prompt with the longest of its options, as far as they are decoded."""
    return len(plan.suffix) + max((len(option) for option in plan.options), default=1) - 1


def _grouped(jobs: Sequence[ScoreJob]) -> dict[Key, _Group]:
    groups: dict[Key, _Group] = {}
    for index, job in enumerate(jobs):
        group = groups.setdefault(job.head.key, _Group(job.head))
        group.plans[id(job.plan)] = job.plan
        group.jobs.setdefault(id(job.plan), []).append(index)
    return groups


def _compile(step: Step, n_plans: int) -> Compiled:
    wants = [(row, want) for row, wanted in enumerate(step.wants) for want in wanted]
    outputs = np.zeros(len(step.tokens), np.int8)
    outputs[list(step.offsets)] = 1
    return Compiled(
        start=step.start,
        tokens=np.array(step.tokens, np.int32),
        outputs=outputs,
        n_outputs=len(step.offsets),
        rows=np.array([row for row, _ in wants], np.int32),
        token=np.array([want.token for _, want in wants], np.int32),
        target=np.array([want.target for _, want in wants], np.int32),
        owned=np.bincount(step.owners, minlength=n_plans).astype(np.int32),
    )
