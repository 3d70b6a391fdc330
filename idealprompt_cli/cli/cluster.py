"""The options that spread a run over several machines, and what is shown of their work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.events import Event, TrialDone
from ..fleet.account import BoxAccount, progress_line, straggler
from ..fleet.cluster.choice import ClusterChoice
from ..fleet.network import TlsFiles
from ..runs.models import ModelChoice, opened

if TYPE_CHECKING:
    from ..core.interfaces import Engine, Observer
    from ..core.task import Task
    from ..engines.options import RecordedWeights
    from ..ui.console import Console

Address = Annotated[
    str,
    typer.Option(
        "--cluster", metavar="URL", help="Spread the work over the workers of a Dask scheduler."
    ),
]
LocalWorkers = Annotated[
    int,
    typer.Option(
        min=0, metavar="N", show_default=False, help="Spread the work over N processes here."
    ),
]
SendPictures = Annotated[
    bool,
    typer.Option(
        "--send-pictures", help="Send workers the images and texts that their task folder lacks."
    ),
]
Patience = Annotated[
    float,
    typer.Option(
        "--worker-timeout",
        min=1,
        metavar="SECONDS",
        help="How long a worker may give no sign of life, or lag behind the others.",
    ),
]
TlsCa = Annotated[
    Path | None, typer.Option(metavar="PEM", help="Certificate authority of both sides.")
]
TlsCert = Annotated[Path | None, typer.Option(metavar="PEM", help="This side's certificate.")]
TlsKey = Annotated[Path | None, typer.Option(metavar="PEM", help="This side's private key.")]


SECONDS_BETWEEN = 10.0


@dataclass(frozen=True)
class TlsFlags:
    """The files for encrypted connections, as a group (see `shared_options.grouped`)."""

    tls_ca: TlsCa = None
    tls_cert: TlsCert = None
    tls_key: TlsKey = None

    @property
    def files(self) -> TlsFiles:
        return TlsFiles(self.tls_ca, self.tls_cert, self.tls_key)


@dataclass(frozen=True)
class ClusterFlags(TlsFlags):
    """The options for a cluster, as a group."""

    cluster: Address = ""
    local_workers: LocalWorkers = 0
    send_pictures: SendPictures = False
    worker_timeout: Patience = 30.0

    def choice(self, allow_network: bool) -> ClusterChoice:
        """The cluster that these options ask for."""
        return ClusterChoice(
            self.cluster,
            self.local_workers,
            self.send_pictures,
            self.worker_timeout,
            allow_network,
            self.files,
        )


class WithBoxes:
    """An observer that also shows, with -v, what the boxes have done, every few seconds."""

    def __init__(
        self,
        shown: Observer,
        console: Console,
        boxes: Callable[[], Sequence[BoxAccount]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shown, self._console, self._boxes = shown, console, boxes
        self._clock, self._last = clock, clock()

    def notify(self, event: Event) -> None:
        self._shown.notify(event)
        if isinstance(event, TrialDone) and self._clock() - self._last >= SECONDS_BETWEEN:
            self._last = self._clock()
            self._console.detail(f"  {progress_line(self._boxes())}")


def watched(shown: Observer, engine: Engine, console: Console) -> Observer:
    """The observer, with a view of the boxes where the engine has any."""
    boxes = getattr(engine, "boxes", None)
    return shown if boxes is None else WithBoxes(shown, console, boxes)


@contextmanager
def opened_anywhere(
    model: ModelChoice,
    cluster: ClusterChoice,
    task: Task,
    console: Console,
    recorded: RecordedWeights | None = None,
) -> Iterator[Engine]:
    """The chosen model here, or on a cluster where one is asked for; `recorded` are the weights of
    the run that is resumed."""
    if not cluster:
        with opened(model, console.say, named=task.model, recorded=recorded) as engine:
            yield engine
        return
    from ..fleet.cluster.opening import opened_on_cluster

    with opened_on_cluster(model, cluster, task, console.say, task.model, recorded) as engine:
        yield engine
        engine.stats()
        show_boxes("Worker", engine.boxes(), console)


def show_boxes(what: str, boxes: Sequence[BoxAccount], console: Console) -> None:
    """A line on each box at the end of a run, and on one that was slow."""
    for box in boxes:
        console.say(f"{what} {box.line()}.")
    slow = straggler(boxes)
    if slow is not None:
        console.say(f"{what} {slow.name} takes more than twice as long as the others.")
