"""Settings that are measured or follow from the machine, where the user has not chosen."""

from __future__ import annotations

import os
import time

from ..options import EngineOptions, available_cores
from .clock import Clock
from .context import Context
from .native import TextModel

_SMALL = 100_000_000
_TOKENS, _REPEATS = 64, 3


def flash(model: TextModel, options: EngineOptions) -> bool:
    """Whether to leave flash attention to the library (it then uses it where it can)."""
    if options.flash != "auto":
        return options.flash == "on"
    return options.gpu_layers != 0 and bool(model.lib.llama.llama_supports_gpu_offload())


def threads(model: TextModel, options: EngineOptions) -> int:
    """The number of threads. A small model's threads wait for each other many times per layer,
    which on a busy machine costs far more than they bring: there it gets one, and on a quiet one
    it is timed with one and with all."""
    if options.threads:
        return options.threads
    cores = available_cores()
    if cores == 1 or model.n_params() > _SMALL or flash(model, options):
        return cores
    if _busy(cores):
        return 1
    context = Context(
        model,
        n_ctx=256,
        slots=1,
        n_batch=_TOKENS,
        n_ubatch=_TOKENS,
        threads=cores,
        flash=False,
        clock=Clock(),
    )
    try:
        _time(context, 1)
        one = min(_time(context, 1) for _ in range(_REPEATS))
        faster = (_time(context, cores) < one for _ in range(_REPEATS))
        return cores if any(faster) else 1
    finally:
        context.close()


def _busy(cores: int) -> bool:
    """Whether others already keep most of the cores at work (unknown counts as no)."""
    try:
        return os.getloadavg()[0] > 0.7 * cores
    except (AttributeError, OSError):
        return False


def _time(context: Context, count: int) -> float:
    context.use_threads(count)
    context.clear()
    started = time.perf_counter()
    context.decode_tokens(0, (0,) * _TOKENS, 0, outputs=1)
    return time.perf_counter() - started
