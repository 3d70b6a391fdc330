"""The fast path, scoring: heads kept, prompts of many pictures in one decode, prefixes shared.

Each of a wave's slots holds one head and follows the walk of its prompts (`tree.py`); the slots
take their k-th steps together, in one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from ...types import Generated, Scored
from .context import Context, Floats, Ints
from .heads import Heads
from .pictures import Head, Key
from .plan import Plan
from .stream import generate_wave
from .tree import Step, walk
from .vocabulary import Vocabulary
from .work import GenerateJob, ScoreJob

_SMALL_DECODE = 48
"""A decode of fewer tokens costs about as much as one of this many (weights are read anyway)."""


@dataclass(frozen=True)
class Compiled:
    """A step as arrays, made once and used for every picture. `rows` number the step's own
    outputs; `token[i]` is looked up in row `rows[i]` and added to result `target[i]`."""

    start: int
    tokens: Ints
    outputs: npt.NDArray[np.int8]
    n_outputs: int
    rows: Ints
    token: Ints
    target: Ints
    owners: Ints


@dataclass
class Task:
    """One head with the plans that one slot scores on it."""

    head: Head
    plans: list[Plan]
    steps: list[Compiled]
    sums: npt.NDArray[np.float64]
    cost: Ints
    n_pos: int = 0
    slot: int = -1
    depth: int = 0


@dataclass
class _Group:
    head: Head
    jobs: dict[int, list[int]] = field(default_factory=dict)
    plans: dict[int, Plan] = field(default_factory=dict)


class FastPath:
    """Scores and generates on a context whose heads are kept between calls."""

    def __init__(self, context: Context, heads: Heads, vocab: Vocabulary, branching: bool) -> None:
        self._context, self._heads, self._vocab = context, heads, vocab
        self._branching = branching
        self._compiled: dict[tuple[int, ...], list[Compiled]] = {}

    def score(self, jobs: list[ScoreJob]) -> list[Scored]:
        """Log-probabilities of each job's options, in the jobs' order."""
        results: list[Scored | None] = [None] * len(jobs)
        groups = _grouped(jobs)
        self._compiled.clear()  # its keys are only good while the plans live
        tasks = [task for group in groups.values() for task in self._tasks(group, len(groups))]
        slots = self._context.slots
        for begin in range(0, len(tasks), slots):
            self._run(tasks[begin : begin + slots])
        for task in tasks:
            self._collect(task, groups[task.head.key], results)
        return [result for result in results if result is not None]

    def generate(self, jobs: list[GenerateJob]) -> list[Generated]:
        """Greedy continuations, in the jobs' order; those on the same head follow each other."""
        order = sorted(range(len(jobs)), key=lambda i: (jobs[i].head.key, i))
        results: dict[int, Generated] = {}
        slots = self._context.slots
        for begin in range(0, len(order), slots):
            wave = order[begin : begin + slots]
            try:
                done = generate_wave(
                    self._context, self._heads, self._vocab, [jobs[i] for i in wave]
                )
            except BaseException:
                self._heads.forget()
                raise
            results.update(zip(wave, done, strict=True))
        return [results[i] for i in range(len(jobs))]

    def close(self) -> None:
        self._context.close()

    def _tasks(self, group: _Group, n_groups: int) -> Iterable[Task]:
        """One task per slot that this head gets: more than one where that is cheaper."""
        plans = sorted(group.plans.values(), key=lambda plan: plan.suffix)
        for part in self._split(plans, n_groups):
            steps = self._compile(part)
            n_options = sum(len(plan.options) for plan in part)
            cost = np.zeros(len(part), np.int32)
            yield Task(group.head, part, steps, np.zeros(n_options), cost)

    def _split(self, plans: list[Plan], n_groups: int) -> list[list[Plan]]:
        """Plans over the slots that a head may have: together they share prefixes, apart they
        make larger batches. Takes the cheapest of 1, 2, 4, ... parts."""
        most = min(len(plans), self._context.slots // n_groups)
        best, least = [plans], self._cost([plans], n_groups)
        count = 2
        while self._branching and count <= most:
            parts = [
                plans[len(plans) * i // count : len(plans) * (i + 1) // count] for i in range(count)
            ]
            cost = self._cost(parts, n_groups)
            if cost >= least:
                break
            best, least, count = parts, cost, count * 2
        return best

    def _cost(self, parts: list[list[Plan]], n_groups: int) -> int:
        """Tokens that the steps of `n_groups` heads amount to, small decodes counted as full."""
        walks = [self._compile(part) for part in parts]
        lengths = (
            sum(len(step.tokens) for step in steps if step) * n_groups
            for steps in zip_longest(*walks)
        )
        return sum(max(length, _SMALL_DECODE) for length in lengths)

    def _compile(self, plans: list[Plan]) -> list[Compiled]:
        """The walk of some plans, made once for all pictures of a call."""
        key = tuple(id(plan) for plan in plans)
        if key not in self._compiled:
            paths = [(plan.suffix, plan.options) for plan in plans]
            steps = walk(paths, self._context.n_batch, self._branching)
            self._compiled[key] = [_compile(step) for step in steps]
        return self._compiled[key]

    def _run(self, tasks: list[Task]) -> None:
        """A wave: one task per slot, all slots step by step together."""
        tasks.sort(key=lambda task: -len(task.steps))
        try:
            slots = self._heads.arrange([task.head for task in tasks])
            for task, slot in zip(tasks, slots, strict=True):
                task.slot = slot
                task.n_pos, cells = self._heads.place(slot, task.head)
                task.cost[0] += cells
            tasks = sorted(tasks, key=lambda task: task.slot)
            for k in range(max(len(task.steps) for task in tasks)):
                active = [task for task in tasks if k < len(task.steps)]
                for part in self._parts(active, k):
                    self._step(part, k)
        except BaseException:
            self._heads.forget()
            raise

    def _parts(self, tasks: list[Task], k: int) -> Iterable[list[Task]]:
        """Split a step over slots into decodes that each fill one native micro-batch evenly."""
        longest = max(len(task.steps[k].tokens) for task in tasks)
        fit = max(1, self._context.n_ubatch // longest)
        parts = -(-len(tasks) // fit)
        for index in range(parts):
            yield tasks[len(tasks) * index // parts : len(tasks) * (index + 1) // parts]

    def _step(self, tasks: list[Task], k: int) -> None:
        batch, n, outputs = self._context.batch, 0, 0
        for task in tasks:
            step = task.steps[k]
            if step.start != task.depth:
                self._heads.rewind(task.slot, task.head, step.start)
            task.depth = step.start + len(step.tokens)
            self._heads.dirty(task.slot)
            end, pos = n + len(step.tokens), task.n_pos + step.start
            batch.token[n:end] = step.tokens
            batch.pos[n:end] = np.arange(pos, pos + end - n)
            batch.seq[n:end] = batch.address[task.slot]
            batch.logits[n:end] = step.outputs
            n, outputs = end, outputs + step.n_outputs
        logits = self._context.decode(n, outputs)
        normal = log_sum_exp(logits)
        row = 0
        for task in tasks:
            step = task.steps[k]
            rows = step.rows + row
            np.add.at(task.sums, step.target, logits[rows, step.token] - normal[rows])
            np.add.at(task.cost, step.owners, 1)
            row += step.n_outputs

    def _collect(self, task: Task, group: _Group, results: list[Scored | None]) -> None:
        begin = 0
        for index, plan in enumerate(task.plans):
            end = begin + len(plan.options)
            values = tuple(float(value) for value in task.sums[begin:end])
            for nth, job in enumerate(group.jobs[id(plan)]):
                results[job] = Scored(values, int(task.cost[index]) if nth == 0 else 0)
            begin = end


def log_sum_exp(logits: Floats) -> npt.NDArray[np.float64]:
    """log(sum(exp(row))) of each row of (n, n_vocab) logits, shifted by the row's maximum."""
    if not len(logits):
        return np.empty(0)
    top = logits.max(axis=1, keepdims=True)
    total = np.exp(logits - top).sum(axis=1, dtype=np.float64)
    result: npt.NDArray[np.float64] = top[:, 0].astype(np.float64) + np.log(total)
    return result


def _grouped(jobs: Sequence[ScoreJob]) -> dict[Key, _Group]:
    groups: dict[Key, _Group] = {}
    for index, job in enumerate(jobs):
        group = groups.setdefault(job.head.key, _Group(job.head))
        group.plans[id(job.plan)] = job.plan
        group.jobs.setdefault(id(job.plan), []).append(index)
    return groups


def _compile(step: Step) -> Compiled:
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
        owners=np.array(step.owners, np.int32),
    )
