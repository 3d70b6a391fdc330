"""A real search, with a clock around every call into llama.cpp: how much of its time is theirs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from idealprompt_cli import metrics, strategies
from idealprompt_cli.core.task import Example, ModelRef, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.engines.options import in_words
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.task import load_task

from .figures import Measured, Step, rounded
from .jobs import Job
from .memory import peak_bytes
from .native import NativeTime
from .workload import OPTIONS, fresh, pictures

_SAMPLE = Path(__file__).resolve().parent.parent.parent / "sample_tasks" / "style_code"
_PICTURES = 8


def measure(job: Job) -> list[Measured]:
    """A search of the plan's budget. The model and its pictures are used for the first time in
    it; opening the model is not counted."""
    native = NativeTime().install()
    folder = job.cache / f"search-{job.model}"
    shutil.rmtree(folder, ignore_errors=True)
    ref = ModelRef(job.text, job.mmproj)
    options = EngineOptions(
        cache_dir=folder,
        threads=job.threads,
        memory=job.memory,
        weights="bf16" if job.bfloat16 else "file",
    )
    engine: Any = open_engine("llama_cpp", ref, options, lambda _: None)
    task = load_task(_SAMPLE) if job.model == "demo" else _task(job)
    before, started = native.seconds, time.perf_counter()
    budget = Budget.parse(str(job.plan.search_budget))
    context = open_context(task, engine, metrics.get(task.metric), budget)
    found = search(context, SearchSettings(strategies.select(None)))
    seconds = time.perf_counter() - started
    inside = native.seconds - before
    stats = engine.stats()
    engine.close()
    shutil.rmtree(folder, ignore_errors=True)
    evaluations = found.cost.evaluations
    alone, computed = stats["tokens_without_sharing"], stats["tokens"]
    return [
        Measured(
            contender=job.named("search", f"-{in_words(job.memory)}" if job.memory else ""),
            asks="a real search",
            images=len(task.train),
            warm=(Step(seconds, evaluations),),
            detail={
                "tokens_saved": round(1 - computed / alone, 3),
                "peak_memory_mib": round(peak_bytes() / 2**20),
                "native_share": round(inside / seconds, 3),
                "native_seconds": rounded(inside),
                "seconds": rounded(seconds),
                "evaluations": evaluations,
                "images_encoded": int(stats["images_encoded"]),
            },
        )
    ]


def _task(job: Job) -> Task:
    """The benchmark's pictures with labels in turn: a model of random weights can learn nothing,
    and has the same work."""
    found = pictures(min(_PICTURES, job.plan.measured_images), job.cache / "pictures")
    labels = OPTIONS[:2]
    examples = tuple(
        Example(path.name, (path,), labels[index % 2], "made") for index, path in enumerate(found)
    )
    return Task(
        name="made",
        root=Path(),
        question=fresh(0),
        labels=labels,
        metric="accuracy",
        train=examples,
        test=(),
        fingerprint="benchmark",
    )
