"""Opening an engine on a cluster: what every worker must have, and what is stated about it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ...core.errors import TaskError, UsageError
from ...core.interfaces import Notice
from ...core.task import Example, ModelRef, Task
from ...engines import EngineOptions, ServerRef, engine_for
from ...engines.options import RecordedWeights, available_cores
from ...io.images import content_hash
from ...runs.models import ModelChoice, choose, engine_options, without_auto_weights
from .choice import ClusterChoice, connected
from .engine import ClusterEngine, EmbeddingClusterEngine
from .model_files import WantedModel, fingerprint_of
from .pool import Worker, WorkerPool
from .wire import text_digest
from .worker import WantedTask

if TYPE_CHECKING:
    from distributed import Client

    from ...engines import Ref

# Of how a model computes, what changes the last bits of its answers.
_BITS = (
    "llama_cpp_python", "kernels", "weight_layouts", "gpu_offload", "flash_attention",
    "micro_batch", "weights",
)  # fmt: skip
_SHARE_OF_MEMORY = 0.5


@contextmanager
def opened_on_cluster(
    model: ModelChoice,
    cluster: ClusterChoice,
    task: Task,
    say: Notice,
    named: Ref | None = None,
    recorded: RecordedWeights | None = None,
) -> Iterator[ClusterEngine]:
    """The chosen model on all workers of a cluster, closed at the end. `named` is what the task
    names, `recorded` the weights of the run that is resumed. Raises `UsageError`, `ModelError` or
    `ServerError`."""
    cluster.check()
    wanted = wanted_model(model, cluster, named, say, recorded)
    with connected(cluster) as client, opened_with(client, wanted, cluster, task, say) as engine:
        yield engine


@contextmanager
def opened_with(
    client: Client, wanted: WantedModel, cluster: ClusterChoice, task: Task, say: Notice
) -> Iterator[ClusterEngine]:
    """The same on a client that is connected already."""
    folder = wanted_task(task)
    local = cluster.local_workers > 0
    pool = WorkerPool(client, wanted, folder, cluster.patience, say, local)
    try:
        pool.open()
        yield _engine(pool, cluster, task, folder, say)
    finally:
        pool.close()


def wanted_model(
    model: ModelChoice,
    cluster: ClusterChoice,
    named: Ref | None,
    say: Notice,
    recorded: RecordedWeights | None = None,
) -> WantedModel:
    """The model that workers must have, by the coordinator's own files."""
    chosen = choose(replace(model, allow_network=False), named, say)
    if isinstance(chosen, ServerRef):
        raise UsageError(
            f"{cluster.option}: workers open the model themselves: leave out --server and "
            "IDEALPROMPT_SERVER"
        )
    name = model.engine or engine_for(chosen)
    if name == "llama_cpp":
        from ...engines.llama_cpp.native.model_pair import open_ref

        chosen = open_ref(chosen, say)
    files = (chosen.text, chosen.mmproj) if isinstance(chosen, ModelRef) else (chosen,)
    paths = [file.absolute() for file in files if file is not None]
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None:
        raise UsageError(f"{missing}: no such file: check the path of the model")
    alike = model if recorded else without_auto_weights(model)
    options = replace(engine_options(alike), recorded=recorded)
    if cluster.local_workers:
        options = _share(options, cluster.local_workers)
    return WantedModel(name, tuple(map(str, paths)), fingerprint_of(paths), options)


def _share(options: EngineOptions, workers: int) -> EngineOptions:
    """A worker's share of this machine's cores and memory."""
    from ...engines.llama_cpp.setup.memory_budget import available

    threads = options.threads or max(1, available_cores() // workers)
    free = available()
    memory = options.memory or int(_SHARE_OF_MEMORY * free) if free else options.memory
    return replace(options, threads=threads, memory=memory // workers)


def wanted_task(task: Task) -> WantedTask:
    """The digests of a task's images and text fields."""
    root = task.root.absolute()
    examples = _examples(task)
    images = {
        content_hash(image): os.path.relpath(image.absolute(), root)
        for example in examples
        for image in example.images
    }
    texts = {text for example in examples for text in example.fields.values() if text}
    return WantedTask(task.root.name, str(root), images, tuple(sorted(map(text_digest, texts))))


def _examples(task: Task) -> tuple[Example, ...]:
    return (*task.train, *task.validation, *task.test)


def _engine(
    pool: WorkerPool, cluster: ClusterChoice, task: Task, folder: WantedTask, say: Notice
) -> ClusterEngine:
    """The engine, after what workers lack and where they differ was stated."""
    images = [image for example in _examples(task) for image in example.images]
    _state_images(pool, cluster, folder, say)
    lacking = {one for worker in pool.workers.values() for one in worker.holding.lacking_texts}
    if lacking and not cluster.send_pictures:
        name = next(w.name for w in pool.workers.values() if w.holding.lacking_texts)
        raise TaskError(
            f"worker {name} lacks {len(lacking)} texts of {task.name}: copy the task folder there "
            "(its place in IDEALPROMPT_TASKS), or add --send-pictures"
        )
    texts = {text: text_digest(text) for e in _examples(task) for text in e.fields.values()}
    known = {text: digest for text, digest in texts.items() if digest not in lacking}
    _state_bits(pool, say)
    embeds = all(worker.opened.embeds for worker in pool.workers.values())
    kind = EmbeddingClusterEngine if embeds else ClusterEngine
    engine = kind(pool, known, cluster.send_pictures)
    engine.belongs(images)
    return engine


def _state_images(
    pool: WorkerPool, cluster: ClusterChoice, folder: WantedTask, say: Notice
) -> None:
    """State which workers lack images. Raises `TaskError` for an image that no worker has and that
    may not travel."""
    workers = list(pool.workers.values())
    for worker in workers:
        missing = worker.holding.lacking
        if missing:
            first = folder.images[missing[0]]
            say(
                f"Worker {worker.name} lacks {len(missing)} of {len(folder.images)} images, such "
                f"as {first}."
            )
    nowhere = _everywhere(set(worker.holding.lacking) for worker in workers)
    if nowhere and not cluster.send_pictures:
        first = min(folder.images[one] for one in nowhere)
        raise TaskError(
            f"{first}: no worker has this image, and {len(nowhere) - 1} more: copy the task folder "
            "to the workers (its place in IDEALPROMPT_TASKS), or add --send-pictures"
        )


def _everywhere(sets: Iterable[set[str]]) -> set[str]:
    return set.intersection(*sets)


def _state_bits(pool: WorkerPool, say: Notice) -> None:
    """State where workers compute in ways that may differ in the last bits."""
    workers = list(pool.workers.values())
    first = workers[0].opened
    count = "1 worker" if len(workers) == 1 else f"{len(workers)} workers"
    say(f"{count} with {first.info.name} ({first.info.quantisation}).")
    for worker in workers[1:]:
        own = worker.opened
        differing = [n for n in _BITS if own.info.details.get(n) != first.info.details.get(n)]
        differing += ["processor"] * (own.cpu != first.cpu)
        if differing:
            say(
                f"Worker {worker.name} differs from {workers[0].name} in "
                f"{', '.join(one.replace('_', ' ') for one in differing)}: results are equal to "
                "those of one machine up to rounding, so near-ties may be decided differently."
            )


def examined(
    model: ModelChoice, cluster: ClusterChoice, task: Task | None, say: Notice, named: Ref | None
) -> dict[str, str]:
    """A line on each worker, for `doctor`. Raises like `opened_on_cluster`."""
    cluster.check()
    wanted = wanted_model(model, cluster, named, say)
    folder = wanted_task(task) if task else WantedTask("", "", {})
    with connected(cluster) as client:
        pool = WorkerPool(client, wanted, folder, cluster.patience, say, cluster.local_workers > 0)
        try:
            pool.open()
            delays = {name: pool.delay(name) for name in list(pool.workers)}
            return {
                name: _worker_line(worker, delays[name], folder)
                for name, worker in pool.workers.items()
            }
        finally:
            pool.close()


def _worker_line(worker: Worker, delay: float, folder: WantedTask) -> str:
    opened, details = worker.opened, worker.opened.info.details
    parts = [
        f"{opened.info.name} on {opened.host}",
        f"{opened.cores} cores",
        f"llama.cpp {details.get('llama_cpp_python', 'not used')}",
        f"answers in {1000 * delay:.0f} ms",
    ]
    if folder.images:
        missing = len(worker.holding.lacking)
        parts.append(f"lacks {missing} of {len(folder.images)} images")
        parts.append(f"has encoded {len(worker.holding.encoded)}")
    return ", ".join(parts)
