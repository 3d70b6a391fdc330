"""Autotuning: settings that the user has not chosen are measured once and kept.

Timed on the loaded text model with arbitrary tokens, within a few seconds; a model too slow for
comparisons gets the defaults and the measurements that batch planning needs. Settings change the
speed and, at most, the last bits of a result. On a busy machine processor time is measured, of what
does not depend on other programs: threads and weight layouts keep their defaults there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from ....core.errors import ModelError
from ....core.interfaces import Notice
from ...options import EngineOptions, available_cores
from ..native import library as native
from ..native.library import TextModel
from ..scheduling.sequence_groups import DecodeCost
from .decode_timing import SLOTS, Bench
from .machine_facts import MachineFacts

EDITION = "3"
"""Raised when the measurements change, so that kept settings are measured again."""
SWITCH = "IDEALPROMPT_TUNE"
"""Environment variable; "off" disables measurements."""

_SMALL = 100_000_000
_BOUND_SECONDS = 5.0
_LONG, _SHORT = 64, 8
_TEXT_DEPTH, _IMAGE_DEPTH = 64, 320
"""Tokens of the prefix that prompts are decoded after: an example's text, or its image."""
_QUICK_SECONDS, _FLOPS = 0.5, 20e9
_CALL_SECONDS = 2e-4
"""The least cost of a native call, Python's work around it included."""
_CLEARLY = 0.95
"""A choice other than the default must take at most this share of the default's time."""

Choice = TypeVar("Choice", int, str)


@dataclass(frozen=True)
class Settings:
    """Chosen settings; `reasons` has a clause for each choice. `cost` is in seconds if `source` is
    "measured" or "kept", in tokens if it is "default"."""

    threads: int
    flash: bool
    n_ubatch: int
    extra_buffers: bool = True
    cost: DecodeCost = field(default_factory=DecodeCost)
    source: str = "default"
    reasons: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Settings:
        """Raises `ValueError`, `TypeError` or `KeyError` if the text is no settings."""
        found = json.loads(text)
        cost = DecodeCost(**found.pop("cost"))
        return Settings(**{**found, "cost": cost, "reasons": tuple(found["reasons"])})


def kept(options: EngineOptions, fingerprint: str, safe: bool, notice: Notice) -> Settings | None:
    """Settings that an earlier run measured for this model on this machine, None if there are none
    or they are to be measured again."""
    if options.tune != "auto" or os.environ.get(SWITCH) == "off":
        return None
    facts = MachineFacts(options.cache_folder(), notice)
    for busy in (False, True) if _busy(available_cores()) else (False,):
        text = facts.get(*_key(options, fingerprint, safe, busy))
        if text is None:
            continue
        try:
            return replace(Settings.from_json(text), source="kept")
        except (ValueError, TypeError, KeyError):
            notice("the kept settings of this model are damaged; they are measured again")
            return None
    return None


def measured(
    model: TextModel,
    options: EngineOptions,
    fingerprint: str,
    safe: bool,
    reload: Callable[[bool], TextModel],
    notice: Notice,
    images: bool,
) -> Settings:
    """Settings for a model, measured now and kept, or the defaults where measuring is switched off
    or fails. `reload` opens the model once more, with or without special weight layouts. `images`
    says whether prompts come after an image. What was measured on a busy machine is kept apart,
    until it is idle."""
    base = defaults(model, options, safe)
    if options.tune == "off" or (options.tune == "auto" and os.environ.get(SWITCH) == "off"):
        return base
    busy = options.tune == "auto" and _busy(available_cores())
    try:
        depth = _IMAGE_DEPTH if images else _TEXT_DEPTH
        other = None if safe or busy else reload
        found = _Probe(model, options, base, other, depth, busy).run()
    except ModelError as error:
        notice(f"speed settings could not be measured and keep their defaults: {error}")
        return replace(base, reasons=("the measurement failed",))
    key = _key(options, fingerprint, safe, busy)
    MachineFacts(options.cache_folder()).put(found.to_json(), *key)
    return found


def _key(options: EngineOptions, fingerprint: str, safe: bool, busy: bool) -> tuple[str, ...]:
    """All that the settings depend on, besides the CPU."""
    fixed = (options.threads, options.flash, options.n_ubatch, options.gpu_layers, safe, busy)
    cores = str(available_cores())
    return "tuning", EDITION, fingerprint, native.build(), cores, str(fixed)


def defaults(model: TextModel, options: EngineOptions, safe: bool) -> Settings:
    """Settings without measurements. Threads synchronise many times per layer, so a small model
    gets one."""
    gpu = options.gpu_layers != 0 and bool(model.lib.llama.llama_supports_gpu_offload())
    cores = 1 if model.n_params() < _SMALL and not gpu else available_cores()
    flash = options.flash == "on" or (options.flash == "auto" and gpu)
    return Settings(options.threads or cores, flash, options.n_ubatch or 512, not safe)


def _busy(cores: int) -> bool:
    """Whether other processes keep most of the cores busy (unknown counts as no)."""
    try:
        return os.getloadavg()[0] > 0.7 * cores
    except (AttributeError, OSError):
        return False


class _Probe:
    """Measures the open settings, the most important first, until the time is up."""

    def __init__(
        self,
        model: TextModel,
        options: EngineOptions,
        base: Settings,
        reload: Callable[[bool], TextModel] | None,
        depth: int,
        busy: bool,
    ) -> None:
        self._model, self._options, self._reload = model, options, reload
        self._depth, self._busy = depth, busy
        self._best = base
        self._reasons: list[str] = []
        self._now = time.process_time if busy else time.perf_counter
        self._end = self._now() + _BOUND_SECONDS
        self._long = 0.0

    def run(self) -> Settings:
        """The settings, with reasons and costs."""
        gpu = self._best.flash and self._options.flash == "auto"
        self._threads()
        if not gpu and self._options.flash == "auto":
            self._flash()
        if not self._options.n_ubatch:
            self._micro_batch()
        if self._reload is not None and not gpu:
            self._buffers(self._reload)
        cost = self._cost()
        self._reasons.append(
            f"a batch costs {1e3 * cost.fixed:.3g} ms, each sequence {1e3 * cost.per_sequence:.3g} "
            f"ms and each token {1e3 * cost.per_token:.3g} ms"
        )
        reasons = tuple(self._reasons)
        return replace(self._best, cost=cost, source="measured", reasons=reasons)

    def _bench(self, model: TextModel | None = None, depth: int = 0, **chosen: Any) -> Bench:
        """A bench with the settings so far, but for the `chosen` ones."""
        best = replace(self._best, **chosen)
        timed = (best.threads, best.flash, best.n_ubatch, depth)
        return Bench(model or self._model, *timed, processor=self._busy)

    def _affords(self, tokens: int) -> bool:
        """Whether so many tokens can be computed in the remaining time."""
        return self._now() + self._long * tokens / _LONG < self._end

    def _threads(self) -> None:
        """One thread, all cores, half of them; measured on a batch of one sequence. One thread goes
        first where it is fast: on a shared machine, many threads wait for each other."""
        cores = available_cores()
        alone = 2 * self._model.n_params() * _LONG / _FLOPS
        fixed = self._options.threads or (self._best.threads if self._busy else 0)
        choices = [fixed or cores]
        if not fixed:
            choices = [*([1] if alone < _QUICK_SECONDS else []), cores, cores // 2]
            choices = [count for count in dict.fromkeys(choices) if count]
        timed: dict[int, float] = {}
        with self._bench(threads=choices[0]) as bench:
            self._long = _LONG / _SHORT * bench.seconds(1, _SHORT)  # also touches the weights
            for count in choices:
                if timed and not self._affords(2 * _LONG):
                    break
                bench.use_threads(count)
                timed[count] = bench.seconds(1, _LONG)
                self._long = min(timed.values())
        # fewer threads win a near tie: they leave cores to others and synchronise less
        best = min(count for count, taken in timed.items() if taken * _CLEARLY <= self._long)
        self._best = replace(self._best, threads=best)
        self._reasons.append(_compared("threads", str(best), timed))
        if self._busy:
            self._reasons.append("the machine was busy: processor time, only that of these threads")

    def _flash(self) -> None:
        """Flash attention, on prompts of a few sequences after a prefix, and on single tokens, of
        which a search has about three batches for each batch of prompts: it is faster after short
        prefixes and slower after long ones."""
        if not self._affords(2 * (3 * SLOTS * _LONG + self._depth)):
            self._reasons.append("flash attention off: not tried, the model is slow")
            return
        timed = {}
        for flash in (False, True):
            with self._bench(depth=self._depth, flash=flash) as bench:
                bench.fill(self._depth)
                timed[flash] = bench.seconds(SLOTS, 16) + 3 * bench.seconds(SLOTS, 1)
        best = timed[True] < _CLEARLY * timed[False]
        self._best = replace(self._best, flash=best)
        named = {"on": timed[True], "off": timed[False]}
        self._reasons.append(_compared("flash attention", "on" if best else "off", named))

    def _micro_batch(self) -> None:
        """The size of a micro-batch, on as many tokens as the largest of them."""
        sizes = (512, 256, 128)
        if not self._affords(3 * len(sizes) * sizes[0]):
            self._reasons.append(f"micro-batch {self._best.n_ubatch}: not tried, the model is slow")
            return
        timed = {}
        for size in sizes:
            with self._bench(n_ubatch=size) as bench:
                timed[size] = bench.seconds(SLOTS, sizes[0] // SLOTS)
        quickest = min(timed, key=lambda size: timed[size])
        best = quickest if timed[quickest] < _CLEARLY * timed[sizes[0]] else sizes[0]
        self._best = replace(self._best, n_ubatch=best)
        self._reasons.append(_compared("micro-batch", str(best), timed))

    def _buffers(self, reload: Callable[[bool], TextModel]) -> None:
        """Special weight layouts (repacking), against the file's own."""
        if self._model.clock.native_seconds > 0.5 or not self._affords(8 * _LONG):
            self._reasons.append("weight layouts as llama.cpp chooses: not tried, slow to load")
            return
        with self._bench() as bench:
            timed = {"special": bench.seconds(1, _LONG) + bench.seconds(1, 1)}
        other = reload(False)
        try:
            with self._bench(other) as bench:
                timed["plain"] = bench.seconds(1, _LONG) + bench.seconds(1, 1)
        finally:
            other.close()
        special = not timed["plain"] < _CLEARLY * timed["special"]
        self._best = replace(self._best, extra_buffers=special)
        self._reasons.append(_compared("weight layouts", "special" if special else "plain", timed))

    def _cost(self) -> DecodeCost:
        """The costs of a batch, a sequence and a token, from three batch shapes."""
        if not self._affords(2 * _LONG):
            return DecodeCost(0.0, 0.0, self._long / _LONG)
        with self._bench() as bench:
            few = bench.seconds(1, _SHORT)
            long = bench.seconds(1, _LONG)
            wide = bench.seconds(SLOTS, 1)
        token = max(1e-9, (long - few) / (_LONG - _SHORT))
        sequence = max(0.0, (wide - few) / (SLOTS - 1))
        fixed = max(_CALL_SECONDS, few - _SHORT * token - sequence)
        return DecodeCost(fixed, sequence, token)


def _compared(what: str, best: str, timed: Mapping[Choice, float]) -> str:
    """ "threads 2: 3.1 ms, against 1: 5.9 ms"."""
    figures = {str(choice): f"{1e3 * seconds:.3g} ms" for choice, seconds in timed.items()}
    others = [f"{name}: {took}" for name, took in figures.items() if name != best]
    against = f", against {', '.join(others)}" if others else ""
    return f"{what} {best}: {figures[best]}{against}"
