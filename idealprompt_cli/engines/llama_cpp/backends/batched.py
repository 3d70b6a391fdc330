"""The batched backend: prefixes are kept, prompts of many examples are decoded together, and
prompts with a common beginning share its computation.

In each round, a slot holds one prefix and follows the trie of its prompts (`token_trie.py`); the
k-th steps of all slots are decoded together, in few batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from ....core.requests import Generated, Scored
from ..caching.context_pool import ContextPool
from ..native.library import Floats, Ints
from ..native.tokenizer import Vocabulary
from ..scheduling.batch_decode import Segment, decode
from ..scheduling.request_plan import GenerateJob, Key, Plan, Prefix, ScoreJob
from ..scheduling.speculative import Speculation
from ..scheduling.token_trie import Step, decode_steps
from .generation import generate
from .slot_assignment import cheapest_split, split_evenly

_ROWS = 16
"""Rows of logits that are copied at a time."""
_FULL_BATCH = 16
"""Sequences in a batch from which on more of them hardly make a token cheaper."""


@dataclass(frozen=True)
class CompiledStep:
    """A step as arrays, made once and used for every example. `rows` number the step's own
    outputs; `token[i]` is looked up in row `rows[i]` and added to result `target[i]`. `owners` are
    the prompts that first needed each token. The tokens before `needed` have no outputs: they are
    not decoded again where the slot holds them."""

    start: int
    tokens: Ints
    outputs: npt.NDArray[np.int8]
    n_outputs: int
    rows: Ints
    token: Ints
    target: Ints
    owners: Ints
    needed: int


@dataclass
class SlotWork:
    """One prefix with the plans that one slot scores after it."""

    prefix: Prefix
    plans: list[Plan]
    steps: list[CompiledStep]
    sums: npt.NDArray[np.float64]
    cost: Ints
    slot: int = -1


@dataclass
class _Group:
    """The jobs of one prefix, by the identity of their plans."""

    prefix: Prefix
    jobs: dict[int, list[int]] = field(default_factory=dict)
    plans: dict[int, Plan] = field(default_factory=dict)


class BatchedBackend:
    """Scores and generates on a context whose prefixes are kept between calls."""

    def __init__(self, pool: ContextPool, vocab: Vocabulary) -> None:
        self._pool, self._vocab = pool, vocab
        self._branching = pool.prefixes.truncatable
        self.speculation = Speculation()
        self._compiled: dict[object, list[CompiledStep]] = {}

    def score(self, jobs: list[ScoreJob]) -> list[Scored]:
        """Log-probabilities of each job's options, in the jobs' order."""
        results: list[Scored | None] = [None] * len(jobs)
        groups = _grouped(jobs)
        need = max(self._pool.cells(job.prefix) + job.plan.n_decoded for job in jobs)
        self._make_room(need, len(groups), sum(len(group.plans) for group in groups.values()))
        self._compiled.clear()
        work = [item for group in groups.values() for item in self._work(group, len(groups))]
        work.sort(key=lambda item: not self._pool.prefixes.holds(item.prefix))
        slots = self._pool.context.slots
        for begin in range(0, len(work), slots):
            self._round(work[begin : begin + slots])
        for item in work:
            self._collect(item, groups[item.prefix.key], results)
        return [result for result in results if result is not None]

    def generate(self, jobs: list[GenerateJob]) -> list[Generated]:
        """Greedy continuations, in the jobs' order."""
        need = max(self._pool.cells(j.prefix) + len(j.plan.suffix) + j.max_tokens for j in jobs)
        self._make_room(need, len({job.prefix.key for job in jobs}), len(jobs))
        try:
            return generate(self._pool, self._vocab, self.speculation, jobs)
        except BaseException:
            self._pool.prefixes.reset()
            raise

    def close(self) -> None:
        self._pool.close()

    def _make_room(self, need: int, prefixes: int, jobs: int) -> None:
        """A sequence for each prefix; more where few prefixes would make small batches."""
        self._pool.make_room(need, max(prefixes, min(jobs, _FULL_BATCH)))

    def _work(self, group: _Group, n_groups: int) -> Iterable[SlotWork]:
        """The work of each slot that this prefix gets: more than one where that is cheaper."""
        plans = sorted(group.plans.values(), key=lambda plan: plan.suffix)
        most = self._pool.context.slots // n_groups if self._branching else 1
        copy = self._pool.cost.copying(self._pool.cells(group.prefix)) * n_groups
        count = cheapest_split(len(plans), most, copy, lambda n: self._cost(plans, n, n_groups))
        for part in split_evenly(plans, count):
            steps = self._compile(part)
            n_options = sum(len(plan.options) for plan in part)
            sums, cost = np.zeros(n_options), np.zeros(len(part), np.int32)
            yield SlotWork(group.prefix, list(part), steps, sums, cost)

    def _cost(self, plans: Sequence[Plan], count: int, n_groups: int) -> float:
        """The cost of all steps where each of `n_groups` prefixes has `count` slots."""
        compiled = [self._compile(part) for part in split_evenly(plans, count)]
        n_ubatch, total = self._pool.context.n_ubatch, 0.0
        for steps in zip_longest(*compiled):
            lengths = [len(step.tokens) for step in steps if step]
            sequences = n_groups * len(lengths)
            total += self._pool.cost.of(sequences, max(lengths), n_ubatch)
        return total

    def _compile(self, plans: Sequence[Plan]) -> list[CompiledStep]:
        """The steps of some plans, made once for all examples of a call."""
        paths = tuple((plan.suffix, plan.options) for plan in plans)
        if paths not in self._compiled:
            steps = decode_steps(paths, self._pool.context.n_batch, self._branching)
            self._compiled[paths] = [_compile(step) for step in steps]
        return self._compiled[paths]

    def _round(self, work: list[SlotWork]) -> None:
        """One item per slot, all slots step by step together."""
        work.sort(key=lambda item: -len(item.steps))
        try:
            places = self._pool.prefixes.place([item.prefix for item in work])
            for item, (slot, cells) in zip(work, places, strict=True):
                item.slot = slot
                item.cost[0] += cells
            for k in range(max(len(item.steps) for item in work)):
                self._step([item for item in work if k < len(item.steps)], k)
        except BaseException:
            self._pool.prefixes.reset()
            raise

    def _step(self, work: list[SlotWork], k: int) -> None:
        """Decode the k-th step of all slots and add up the log-probabilities that it gives."""
        pool, segments = self._pool, []
        for item in work:
            step = item.steps[k]
            done = pool.prefixes.reusable(item.slot, step.start, step.tokens[: step.needed])
            pool.prefixes.rewind(item.slot, step.start + done)
            segments.append(
                Segment(item.slot, step.tokens[done:], step.outputs[done:], step.n_outputs)
            )
            np.add.at(item.cost, step.owners[done:], 1)
        for chosen, logits in decode(
            pool.context, pool.prefixes.table, segments, pool.cost, self._branching
        ):
            normal, row = log_sum_exp(logits), 0
            for index in chosen:
                item, step = work[index], work[index].steps[k]
                if step.n_outputs:
                    rows = step.rows + row
                    gained = logits[rows, step.token] - normal[rows]
                    np.add.at(item.sums, step.target, gained)
                    row += step.n_outputs

    def _collect(self, item: SlotWork, group: _Group, results: list[Scored | None]) -> None:
        begin = 0
        for index, plan in enumerate(item.plans):
            end = begin + len(plan.options)
            values = tuple(item.sums[begin:end].tolist())
            for nth, job in enumerate(group.jobs[id(plan)]):
                results[job] = Scored(values, int(item.cost[index]) if nth == 0 else 0)
            begin = end


def log_sum_exp(logits: Floats) -> npt.NDArray[np.float64]:
    """log(sum(exp(row))) of each row of (n, n_vocab) logits, shifted by the row's maximum; a few
    rows at a time, since a copy of all of them can take hundreds of megabytes."""
    result = np.empty(len(logits))
    for begin in range(0, len(logits), _ROWS):
        rows = logits[begin : begin + _ROWS]
        top = rows.max(axis=1, keepdims=True)
        shifted = rows - top
        total = np.exp(shifted, out=shifted).sum(axis=1, dtype=np.float64)
        result[begin : begin + _ROWS] = top[:, 0].astype(np.float64) + np.log(total)
    return result


def _grouped(jobs: Sequence[ScoreJob]) -> dict[Key, _Group]:
    groups: dict[Key, _Group] = {}
    for index, job in enumerate(jobs):
        group = groups.setdefault(job.prefix.key, _Group(job.prefix))
        group.plans[id(job.plan)] = job.plan
        group.jobs.setdefault(id(job.plan), []).append(index)
    return groups


def _compile(step: Step) -> CompiledStep:
    pairs = [(row, lookup) for row, lookups in enumerate(step.lookups) for lookup in lookups]
    outputs = np.zeros(len(step.tokens), np.int8)
    outputs[list(step.offsets)] = 1
    return CompiledStep(
        start=step.start,
        tokens=np.array(step.tokens, np.int32),
        outputs=outputs,
        n_outputs=len(step.offsets),
        rows=np.array([row for row, _ in pairs], np.int32),
        token=np.array([lookup.token for _, lookup in pairs], np.int32),
        target=np.array([lookup.target for _, lookup in pairs], np.int32),
        owners=np.array(step.owners, np.int32),
        needed=step.offsets[0] if step.offsets else len(step.tokens) - 1,
    )
