"""Pictures and task folders made on the spot, for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from idealprompt_cli.cli.main import app

MakePicture = Callable[..., Path]
MakeTask = Callable[..., Path]
SCRIPT = str(Path(__file__).parent / "script.yaml")


def call(*words: object, stdin: str | None = None) -> Result:
    """A whole command."""
    return CliRunner().invoke(app, [str(word) for word in words], input=stdin)


def pytest_configure() -> None:
    """Each of several test processes, and what it starts, has a core of its own: models that run
    with as many threads as there are cores would slow each other down."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


@pytest.fixture(scope="session", autouse=True)
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own, and nothing measured: results do not hang on how busy it is. A job
    that a shell put into the background ignores Ctrl-C, and one under nohup a closed terminal, and
    so would the commands that tests stop.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IDEALPROMPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("IDEALPROMPT_TUNE", "off")
        patch.setenv("IDEALPROMPT_PROBE", "off")
        yield


@pytest.fixture(autouse=True)
def memory(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A memory of strategies and of answers of the test's own: none reads or changes the user's."""
    path = tmp_path_factory.mktemp("memory") / "priors.json"
    monkeypatch.setenv("IDEALPROMPT_PRIORS", str(path))
    monkeypatch.setenv("IDEALPROMPT_ANSWERS", str(path.with_name("answers.sqlite")))
    return path


@pytest.fixture
def make_picture() -> MakePicture:
    """A small PNG whose pixels depend on `number`, so that no two are the same file."""

    def make(path: Path, number: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = (number * 37 % 256, number * 91 % 256, number % 256)
        Image.new("RGB", (8, 8), colour).save(path)
        return path

    return make


@pytest.fixture
def make_task(tmp_path: Path, make_picture: MakePicture) -> MakeTask:
    """A task folder with class folders A/ and B/ and the given lines of task.yaml."""

    def make(text: str = "question: Which code?\n", per_label: int = 5, name: str = "task") -> Path:
        folder = tmp_path / name
        for offset, label in enumerate("AB"):
            for number in range(per_label):
                make_picture(folder / label / f"{number}.png", offset * 100 + number)
        (folder / "task.yaml").write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def folder(make_task: MakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task that the scripted model can learn, and a working folder of our own."""
    monkeypatch.chdir(tmp_path)
    for name in ("IDEALPROMPT_MODEL", "IDEALPROMPT_MMPROJ", "IDEALPROMPT_SERVER"):
        monkeypatch.delenv(name, raising=False)
    return make_task(per_label=10)


@pytest.fixture
def prompt(folder: Path) -> Path:
    """The artifact of a search on `folder`."""
    result = call("search", folder, "-m", SCRIPT, "-o", "prompt.yaml", "-q")
    assert result.exit_code == 0, result.stderr
    return folder.parent / "prompt.yaml"
