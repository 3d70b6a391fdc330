"""The practical limit: `llama-batched-bench`'s prompt processing, at the batch that ours had."""

from __future__ import annotations

import json
import subprocess

from .build import programs
from .figures import Measured, Step, spread
from .jobs import Job

_REPEATS = 3
_CELLS = 256


def measure(job: Job) -> list[Measured]:
    """Tokens a second of `sequences` prompts of `tokens` tokens in one batch, with flash attention
    or without, whichever is faster."""
    tokens = int(job.beside.get("tokens", 38))
    sequences = int(job.beside.get("sequences", job.plan.measured_images))
    threads = int(job.beside.get("threads", job.default_threads))
    by_flash = {flash: _run(job, tokens, sequences, threads, flash) for flash in ("off", "on")}
    flash = min(by_flash, key=lambda one: min(by_flash[one]))
    seconds = by_flash[flash]
    return [
        Measured(
            contender="batched-bench",
            asks="prompt processing",
            images=sequences,
            warm=tuple(Step(one, sequences) for one in seconds),
            tokens=tokens * sequences * len(seconds),
            detail={
                "tokens_per_second": spread([tokens * sequences / one for one in seconds]),
                "tokens": tokens,
                "sequences": sequences,
                "threads": threads,
                "flash_attention": flash,
            },
        )
    ]


def _run(job: Job, tokens: int, sequences: int, threads: int, flash: str) -> list[float]:
    """Seconds of each repetition. Raises `RuntimeError` with the program's words."""
    cells = -(-(tokens + 1) // _CELLS) * _CELLS * sequences
    command = [
        str(programs(job.cache) / "llama-batched-bench"), "--model", str(job.text),
        "-npp", ",".join([str(tokens)] * (_REPEATS + 1)), "-ntg", "1", "-npl", str(sequences),
        "--ctx-size", str(cells), "--threads", str(threads), "--flash-attn", flash,
        "--output-format", "jsonl",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"llama-batched-bench failed: {done.stderr[-300:]}")
    return [line["t_pp"] for line in lines[1:]]  # the first one still warms up
