"""A search on worker processes finds what a search in one process finds, whatever happens to them.

Needs the extra "fleet". The workers are real processes behind real (temporary) certificates.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idealprompt_cli.core.errors import ModelError, ServerError, TaskError, UsageError
from idealprompt_cli.core.requests import ModelInfo
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.fleet.cluster.agreement import check_same
from idealprompt_cli.fleet.cluster.choice import ClusterChoice, connected
from idealprompt_cli.fleet.cluster.engine import ClusterEngine
from idealprompt_cli.fleet.cluster.model_files import (
    MODELS,
    WantedModel,
    find_model,
    fingerprint_of,
)
from idealprompt_cli.fleet.cluster.opening import opened_with, wanted_model
from idealprompt_cli.fleet.cluster.worker import Opened
from idealprompt_cli.runs.config import RunConfig
from idealprompt_cli.runs.models import ModelChoice, embedded_model
from idealprompt_cli.runs.run import run_search
from idealprompt_cli.storage.journal import read_records
from idealprompt_cli.storage.records import ScoreAnswer, TextAnswer, TrialRecord
from idealprompt_cli.task import load_task

from ..conftest import SCRIPT, MakeTask
from ..support import misbehaving

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ROOT = Path(__file__).parent.parent.parent
PATIENCE = 8.0
WORKERS = 5  # a test may lose one
CONFIG = RunConfig(budget="160", priors=False, cache=False)
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    pytest.importorskip("distributed")
    with connected(ClusterChoice(local_workers=WORKERS)) as found:
        yield found


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The scripted model in a folder of its own, where a test may leave a fault."""
    path = tmp_path / "model" / "script.yaml"
    path.parent.mkdir()
    path.write_text(Path(SCRIPT).read_text(encoding="utf-8"), encoding="utf-8")
    return path


@pytest.fixture
def said() -> list[str]:
    return []


def opened(client: Any, script: Path, task: Any, said: list[str], **options: Any) -> Any:
    choice = ModelChoice(model=script, engine="tests.support.misbehaving:open_misbehaving")
    cluster = ClusterChoice(local_workers=WORKERS, patience=PATIENCE, **options)
    wanted = wanted_model(choice, cluster, None, said.append)
    return opened_with(client, wanted, cluster, task, said.append)


def answers(folder: Path) -> dict[object, object]:
    """All that a run's journal says, without what it cost."""
    found: dict[object, object] = {}
    for record in read_records(folder):
        if isinstance(record, ScoreAnswer):
            found.setdefault(record.key, {}).update(record.scores)  # type: ignore[attr-defined]
        elif isinstance(record, TextAnswer):
            found[record.key] = record.text
        elif isinstance(record, TrialRecord):
            found[record.id] = (record.strategy, record.value, record.margin, record.prompt)
    return found


def one_machine(script: Path, task: Any) -> dict[object, object]:
    folder = script.parent / "one"
    name = "tests.support.misbehaving:open_misbehaving"
    engine = open_engine(name, script, EngineOptions())
    run_search(task, engine, RunConfig(**{**vars(CONFIG), "run_dir": folder}))
    return answers(folder)


def searched(engine: ClusterEngine, folder: Path, task: Any) -> dict[object, object]:
    run_search(task, engine, RunConfig(**{**vars(CONFIG), "run_dir": folder}))
    return answers(folder)


def test_the_same_result_as_on_one_machine(
    client: Any, script: Path, make_task: MakeTask, said: list[str], tmp_path: Path
) -> None:
    task = load_task(make_task(per_label=10))
    with opened(client, script, task, said) as engine:
        found = searched(engine, tmp_path / "run", task)
        boxes = engine.boxes()
    assert found == one_machine(script, task)
    assert said == [f"{WORKERS} workers with pretend (none)."]
    assert sorted(box.images for box in boxes) == [4] * WORKERS
    assert all(box.requests and box.sent and box.received for box in boxes)


@pytest.mark.parametrize(
    ("fault", "stated"),
    [
        ("die", "left out, "),
        ("full", "failed (no space left on device): left out, "),
        ("stop", "gave no sign of life for"),
        ("slow", "takes much longer than the others"),
    ],
)
def test_a_worker_that_fails_is_left_out(
    client: Any,
    script: Path,
    make_task: MakeTask,
    said: list[str],
    tmp_path: Path,
    fault: str,
    stated: str,
) -> None:
    task = load_task(make_task(per_label=10))
    with opened(client, script, task, said) as engine:
        (script.parent / misbehaving.FAULT).write_text(fault, encoding="utf-8")
        found = searched(engine, tmp_path / "run", task)
    assert stated in " ".join(said)
    assert found == one_machine(script, task)


def test_a_worker_that_comes_back_replaces_the_lost_one(
    client: Any, script: Path, make_task: MakeTask, said: list[str]
) -> None:
    task = load_task(make_task(per_label=10))
    with opened(client, script, task, said) as engine:
        (script.parent / misbehaving.FAULT).write_text("die", encoding="utf-8")
        end = time.monotonic() + 120
        while not any("was replaced" in line for line in said):
            assert time.monotonic() < end, said
            run_search(task, engine, CONFIG)
            time.sleep(0.5)


def test_workers_without_the_images(
    client: Any, script: Path, make_task: MakeTask, said: list[str], tmp_path: Path
) -> None:
    """They are asked for by content, and sent only where that is allowed."""
    task = load_task(make_task(per_label=10))
    moved = task.root.rename(task.root.parent / "elsewhere")
    with (
        pytest.raises(TaskError, match=r"A/0.png: no worker has this image, and 19 more"),
        opened(client, script, _as_if_in(task, moved), said),
    ):
        pass
    with opened(client, script, _as_if_in(task, moved), said, send_pictures=True) as engine:
        found = searched(engine, tmp_path / "run", _as_if_in(task, moved))
        sent = sum(box.sent for box in engine.boxes())
    assert any("lacks 20 of 20 images" in line for line in said)
    assert found
    assert sent > sum(path.stat().st_size for path in moved.rglob("*.png"))


def _as_if_in(task: Any, folder: Path) -> Any:
    """The task with images that lie in `folder`, while workers look in the folder it names."""
    from dataclasses import replace

    def moved(examples: Any) -> Any:
        return tuple(
            replace(e, images=tuple(folder / p.relative_to(task.root) for p in e.images))
            for e in examples
        )

    return replace(task, root=task.root, train=moved(task.train), test=moved(task.test))


def test_a_scheduler_by_its_address(
    script: Path, make_task: MakeTask, said: list[str], tmp_path: Path
) -> None:
    """As with --cluster: questions pass through the scheduler."""
    distributed = pytest.importorskip("distributed")
    task = load_task(make_task(per_label=10))
    with distributed.LocalCluster(
        n_workers=1, processes=False, host="tcp://127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        choice = ClusterChoice(address=cluster.scheduler_address)
        choice.check()
        with connected(choice) as client, opened(client, script, task, said) as engine:
            found = searched(engine, tmp_path / "run", task)
    assert found == one_machine(script, task)


def test_no_scheduler_at_the_address() -> None:
    pytest.importorskip("distributed")
    with (
        pytest.raises(ServerError, match="no Dask scheduler answers there"),
        connected(ClusterChoice(address="tcp://127.0.0.1:1")),
    ):
        pass


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.model
def test_the_command_with_the_embedded_model(make_task: MakeTask, tmp_path: Path) -> None:
    """The winning prompt and every answer of the model are the same, bit for bit."""
    pytest.importorskip("distributed")
    task = ROOT / "sample_tasks" / "grade"
    words = ["search", str(task), "--budget", "120", "--no-priors", "--no-cache", "--no-test"]
    results = []
    for name, more in (("one", []), ("two", ["--local-workers", "2"])):
        line = [*words, *more, "--threads", "1", "--run-dir", str(tmp_path / name), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "idealprompt_cli", *line],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    first, second = results
    assert first["prompt"] == second["prompt"]
    assert first["scores"] == second["scores"]
    assert answers(tmp_path / "one") == answers(tmp_path / "two")
    assert "Worker 1: " in done.stderr


# --- the worker's model ---------------------------------------------------------------------------


def test_a_worker_finds_the_model_by_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = embedded_model()
    assert model is not None
    assert model.mmproj is not None
    files = (model.text, model.mmproj)
    elsewhere = tuple(f"/nowhere/{file.name}" for file in files)
    wanted = WantedModel("llama_cpp", elsewhere, fingerprint_of(files), EngineOptions())
    assert find_model(wanted, "a") == model
    monkeypatch.setenv(MODELS, str(tmp_path))
    for file in files:
        (tmp_path / file.name).write_bytes(b"another quantisation")
    other = WantedModel("llama_cpp", elsewhere, "0123456789abcdef", EngineOptions())
    with pytest.raises(ModelError, match="has another fingerprint than 0123456789abcdef"):
        find_model(other, "a")
    gone = WantedModel("llama_cpp", ("/nowhere/x.gguf",), "0123456789abcdef", EngineOptions())
    with pytest.raises(ModelError, match=r"worker a has no x\.gguf"):
        find_model(gone, "a")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"fingerprint": "2"}, "model"),
        ({"quantisation": "Q4_0"}, "quantisation"),
        ({"details": {"llama_cpp_python": "0.4-aa"}}, "build of llama.cpp"),
    ],
)
def test_a_worker_that_differs_is_refused(change: dict[str, Any], what: str) -> None:
    def one(**parts: Any) -> Opened:
        known = {"fingerprint": "1", "quantisation": "Q8_0", "details": {"llama_cpp_python": "0.3"}}
        info = ModelInfo(
            "llama_cpp", "m", architecture="a", family="f", n_ctx=1, **{**known, **parts}
        )
        return Opened(info, "1", "host", 2, "cpu")

    check_same("b", one(details={"llama_cpp_python": "0.3-bb"}), [one()])
    with pytest.raises(UsageError, match=f"worker b has another {what}"):
        check_same("b", one(**change), [one()])
