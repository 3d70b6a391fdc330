"""Whole commands on a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from ..conftest import SCRIPT, MakeTask, call
from ..support.toy_server import Behaviour, serving


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def server(behaviour: Behaviour) -> Iterator[str]:
    with serving(behaviour) as url:
        yield url


@pytest.fixture
def task(make_task: MakeTask, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("IDEALPROMPT_SERVER", raising=False)
    return make_task("question: Which code?\nlabels: [A, B]\n", per_label=4, name="few")


def complaint(result: Result, code: int = 1) -> str:
    assert result.exit_code == code, (result.stderr, result.exception)
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]


def test_search_eval_predict_reflect(task: Path, server: str, behaviour: Behaviour) -> None:
    made = call("search", task, "--server", server, "-o", "p.yaml", "--budget", "30", "--no-priors")
    assert made.exit_code == 0, made.stderr
    assert f"Using toy on the llama-server at {server}." in made.stderr
    artifact = yaml.safe_load(Path("p.yaml").read_text())
    assert artifact["model"]["engine"] == "http"
    assert artifact["model"]["path"] == server
    found = call("eval", "p.yaml", task, "--server", server, "--json")
    assert found.exit_code == 0, found.stderr
    data = json.loads(found.stdout)
    assert data["value"] == data["recorded"]
    answered = call("predict", "p.yaml", task / "A" / "0.png", "--server", server)
    assert json.loads(answered.stdout)["label"] in "AB"
    again = call("reflect", "p.yaml", task, "--server", server, "--dry-run", "--budget", "30")
    assert again.exit_code == 0, again.stderr


def test_the_server_from_the_environment(
    task: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDEALPROMPT_SERVER", server)
    result = call("doctor", "--json")
    assert result.exit_code == 0, result.stderr
    model = json.loads(result.stdout)["model"]
    assert (model["address"], model["engine"], model["mode"]) == (server, "http", "exact")
    assert model["server"] == "llama-server b1-toy"
    made = call("search", task, "-m", SCRIPT, "-o", "p.yaml", "-q")  # a flag goes before it
    assert made.exit_code == 0, made.stderr
    assert yaml.safe_load(Path("p.yaml").read_text())["model"]["engine"] == "scripted"


def test_an_address_in_a_file_is_not_talked_to(
    task: Path, server: str, behaviour: Behaviour
) -> None:
    call("search", task, "--server", server, "-o", "p.yaml", "--budget", "16", "--no-priors")
    count = len(behaviour.calls)
    message = complaint(call("eval", "p.yaml", task))
    assert f"made for toy on the server at {server}: give --server" in message
    assert len(behaviour.calls) == count


def test_flags_that_do_not_go_together(task: Path, server: str) -> None:
    for words, message in (
        (("--server", server, "-m", SCRIPT), "--server and --model exclude each other"),
        (("--server", server, "--threads", "2"), "--threads is the server's own business"),
        (("--server", server, "--n-ctx", "512"), "--n-ctx is the server's own business"),
        (("--server", server, "--gpu-layers", "0"), "--gpu-layers is the server's own business"),
        (("--server-model", "x"), "need --server with its address"),
        (("--allow-network",), "need --server with its address"),
    ):
        assert message in complaint(call("search", task, *words), 2)


def test_another_machine(task: Path) -> None:
    message = complaint(call("search", task, "--server", "http://192.0.2.7:8080"))
    assert message == (
        "error: http://192.0.2.7:8080: 192.0.2.7 is another machine, and private data would leave "
        "this one: add --allow-network if that is intended"
    )


def test_a_server_without_pictures(task: Path, server: str, behaviour: Behaviour) -> None:
    behaviour.vision = False
    message = complaint(call("search", task, "--server", server))
    assert message.endswith("the model toy takes no images: start llama-server with --mmproj")


def test_a_server_that_is_lost_in_the_middle(task: Path, server: str, behaviour: Behaviour) -> None:
    words = ("search", task, "--server", server, "--budget", "60", "--no-priors", "--run-dir", "r")
    fault = [(500, "out of memory")]
    answers = 0

    def lose(path: str) -> list[tuple[int, str]]:
        nonlocal answers
        answers += path == "/completion"
        return fault if answers > 20 else []

    behaviour.fails = lose
    message = complaint(call(*words, "-o", "p.yaml"))
    assert (
        "/completion: the server answered 500: out of memory; what was computed is kept;" in message
    )
    assert "--run-dir r" in message
    assert message.endswith("--resume")
    behaviour.fails = lambda _path: []
    assert call(*words, "-o", "p.yaml", "--resume").exit_code == 0
