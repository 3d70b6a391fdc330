"""The practical limit: `llama-batched-bench`'s prompt processing, at the batch that ours had and
with as many cells before it.

The program has no option for that depth. So it processes prompts that are longer and shorter by the
same number of tokens, and the difference is the time of tokens at that depth on average. Processor
time counts, which other programs do not change; divided by the threads, it is the time of an idle
machine.
"""

from __future__ import annotations

import os
import resource
import subprocess

from .build import programs
from .figures import Measured, Step, spread
from .jobs import Job
from .shapes import bfloat16

_REPEATS = 2
_CELLS = 256
_HALF = 64
"""The prompts are this much longer and shorter."""


def measure(job: Job) -> list[Measured]:
    """Tokens a second of `sequences` prompts of `tokens` tokens after `depth` cells, with flash
    attention or without, whichever is faster."""
    tokens = int(job.beside.get("tokens", 38))
    sequences = int(job.beside.get("sequences", job.plan.measured_images))
    threads = int(job.beside.get("threads", job.default_threads))
    depth = int(job.beside.get("depth", 0))
    middle = max(depth + tokens // 2, _HALF + 1)
    by_flash = {
        flash: _difference(job, middle, sequences, threads, flash) for flash in ("off", "on")
    }
    flash = min(by_flash, key=lambda one: by_flash[one])
    each = by_flash[flash]
    return [
        Measured(
            contender=job.contender,
            asks="prompt processing",
            images=sequences,
            warm=(Step(each * tokens * sequences, sequences),),
            tokens=tokens * sequences,
            detail={
                "tokens_per_second": spread([1 / each]),
                "tokens": tokens,
                "sequences": sequences,
                "depth": depth,
                "threads": threads,
                "flash_attention": flash,
            },
        )
    ]


def _difference(job: Job, middle: int, sequences: int, threads: int, flash: str) -> float:
    """Seconds of a token of the middle of a prompt."""
    long, short = (_run(job, middle + more, sequences, threads, flash) for more in (_HALF, -_HALF))
    return (long - short) / (_REPEATS * sequences * 2 * _HALF) / threads


def _run(job: Job, tokens: int, sequences: int, threads: int, flash: str) -> float:
    """Processor seconds of all repetitions. Raises `RuntimeError` with the program's words."""
    cells = -(-(tokens + 1) // _CELLS) * _CELLS * sequences
    text = bfloat16(job.text, job.cache) if job.bfloat16 else job.text
    folder = programs(job.cache)
    command = [
        str(folder / "llama-batched-bench"), "--model", str(text),
        "-npp", ",".join([str(tokens)] * _REPEATS), "-ntg", "1", "-npl", str(sequences),
        "--ctx-size", str(cells), "--threads", str(threads), "--flash-attn", flash,
        "--output-format", "jsonl",
    ]  # fmt: skip
    before = _children()
    # Copied libraries find each other by this alone.
    found = os.environ | {"LD_LIBRARY_PATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=found)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or len(lines) < _REPEATS:
        raise RuntimeError(f"llama-batched-bench failed: {done.stderr[-300:]}")
    return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
