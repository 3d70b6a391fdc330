"""hf: references, against a hub on this machine; the published hub is never asked."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.io.hub import HubRef, is_reference, parse
from idealprompt_cli.runs.models import embedded_model

from ..conftest import MakeTask

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's HTTP interface as its library uses for listing and downloading."""

    files: dict[str, bytes]
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.split("?")[0]
        self.asked.append(f"{self.command} {path}")
        if path.startswith("/api/models/shop/vlm/tree/"):
            self._send(json.dumps([self._entry(name) for name in self.files]).encode(), body)
        elif path.startswith("/api/models/shop/vlm"):
            found = [{"rfilename": name} for name in self.files]
            info = {"id": "shop/vlm", "modelId": "shop/vlm", "sha": COMMIT, "siblings": found}
            self._send(json.dumps(info).encode(), body)
        elif path.startswith("/shop/vlm/resolve/") and path.split("/", 5)[5] in self.files:
            self._send(self.files[path.split("/", 5)[5]], body)
        else:
            known = path.startswith("/shop/vlm/")
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if known else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _entry(self, name: str) -> dict[str, object]:
        data = self.files[name]
        return {"type": "file", "path": name, "size": len(data), "oid": _digest(data)}

    def _send(self, data: bytes, body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{_digest(data)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        del args


def _digest(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeHub]]:
    """A hub on loopback with the demonstration model in a repository."""
    pytest.importorskip("huggingface_hub")
    model = embedded_model()
    assert model is not None
    assert model.mmproj is not None
    text, projector = model.text.read_bytes(), model.mmproj.read_bytes()

    class Hub(FakeHub):
        files = {  # noqa: RUF012 - one for each test
            "README.md": b"# A model",
            "model-Q8_0.gguf": text,
            "model-F16.gguf": b"GGUF",
            "mmproj-model-Q8_0.gguf": projector,
        }
        asked: list[str] = []  # noqa: RUF012

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "IDEALPROMPT_MODEL"):
            monkeypatch.delenv(name, raising=False)
        yield Hub
        server.shutdown()


def doctor(*words: str) -> subprocess.CompletedProcess[str]:
    """The library reads its settings when it is imported: a process of its own."""
    call = (sys.executable, "-m", "idealprompt_cli", "doctor", "--threads", "1", "--json")
    return subprocess.run([*call, *words], capture_output=True, text=True, env=os.environ)


@pytest.mark.model
def test_a_model_is_downloaded_once(hub: type[FakeHub], tmp_path: Path) -> None:
    first = doctor("-m", "hf:shop/vlm:Q8_0")
    assert first.returncode == 0, first.stderr
    data = json.loads(first.stdout)
    assert data["model"]["name"] == "IdealPrompt Demo VLM"
    places = [name for name in data["model"]["files"] if "hf/hub/models--shop--vlm" in name]
    assert len(places) == 2
    assert "Downloading model-Q8_0.gguf of shop/vlm from the hub" in first.stderr
    got = [line for line in hub.asked if line.startswith("GET /shop")]
    assert len(got) == 2
    hub.asked.clear()
    again = doctor(
        "-m", "hf:shop/vlm:model-Q8_0.gguf", "--mmproj", "hf:shop/vlm:mmproj-model-Q8_0.gguf"
    )
    assert again.returncode == 0, again.stderr
    assert hub.asked == [], "what is named by its file and is there needs no network"


def test_what_can_be_wrong(hub: type[FakeHub], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, message in {
        "hf:shop/vlm": "2 of its 2 GGUF models: name one, such as hf:shop/vlm:model-F16.gguf",
        "hf:shop/vlm:Q4": "none of its 2 GGUF models fit 'Q4'",
        "hf:shop/none:Q8_0": "hf:shop/none: no such repository, or it is private",
        "hf:shop/vlm:none.gguf": "hf:shop/vlm:none.gguf: no such file in the repository",
        "hf:vlm": "hf:vlm: should be hf:owner/repo",
    }.items():
        result = doctor("-m", name)
        assert result.returncode in (1, 2), result.stdout
        assert message in result.stderr
        assert "Traceback" not in result.stderr
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "hf:shop/vlm" in doctor("-m", "hf:shop/vlm:model-F16.gguf").stderr


def test_the_form_of_a_reference() -> None:
    assert is_reference(Path("hf:a/b"))
    assert not is_reference("models/hf.gguf")
    assert parse("hf:a/b") == HubRef("a/b")
    assert parse(Path("hf:a/b:Q8_0")) == HubRef("a/b", "Q8_0")
    assert parse("hf:a/b:sub/x.gguf@v1") == HubRef("a/b", "sub/x.gguf", "v1")
    for wrong in ("hf:a", "hf:a/b/c", "hf:a/../b", "hf:"):
        with pytest.raises(UsageError, match="should be hf:owner/repo"):
            parse(wrong)


def test_a_task_downloads_nothing(make_task: MakeTask) -> None:
    from ..conftest import call

    task = make_task("question: Which?\nmodel: hf:a/b\nmmproj: hf:a/b\n")
    result = call("search", task)
    assert result.exit_code == 1
    assert "task.yaml:2: model: a task downloads nothing: name it with --model" in result.stderr


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    from ..conftest import call

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    result = call("doctor", "-m", "hf:a/b:x.gguf")
    assert "pip install 'idealprompt[hub]'" in result.stderr
