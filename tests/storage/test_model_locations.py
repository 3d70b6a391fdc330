"""An artifact names no place of this machine, and its model is found here all the same."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from idealprompt_cli.io.folders import user_cache_dir
from idealprompt_cli.storage import model_locations

from ..conftest import SCRIPT, call


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IDEALPROMPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_found_again(tmp_path: Path) -> None:
    assert model_locations.find("f1") == ()
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    files = (tmp_path / "a.gguf", tmp_path / "b.gguf")
    model_locations.remember("f1", files)
    model_locations.remember("f2", files[:1])
    assert model_locations.find("f1") == files
    assert model_locations.find("f2") == files[:1]
    index = user_cache_dir() / model_locations.FILE
    assert stat.S_IMODE(index.stat().st_mode) == 0o600
    files[1].unlink()
    assert model_locations.find("f1") == ()
    index.write_text('{"idealprompt models": 1, "f1": 3, "f2": [1], "f3": [')
    assert model_locations.find("f2") == ()
    model_locations.remember("f3", files[:1])
    assert model_locations.find("f3") == files[:1]


def test_the_index_stays_small(tmp_path: Path) -> None:
    for number in range(model_locations.MOST + 5):
        model_locations.remember(str(number), [tmp_path / "a"])
    text = (user_cache_dir() / model_locations.FILE).read_text()
    assert text.count("/a") == model_locations.MOST


def test_an_artifact_holds_no_place(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "home-of-jane-doe" / "models"
    secret.mkdir(parents=True)
    shutil.copy(SCRIPT, secret / "mine.yaml")
    made = call(
        "search", folder, "-m", secret / "mine.yaml", "-q", "-o", "p.yaml", "--run-dir", "r"
    )
    assert made.exit_code == 0, made.stderr
    for file in (Path("p.yaml"), Path("r/prompt.yaml")):
        assert "jane-doe" not in file.read_text()
    assert "path: mine.yaml" in Path("p.yaml").read_text()
    for to in ("python", "ollama", "openai", "dspy", "promptfoo"):
        assert "jane-doe" not in call("export", "p.yaml", "--to", to).stdout
    assert call("eval", "p.yaml", folder, "-q").exit_code == 0, "found by its fingerprint"
    shutil.rmtree(secret)
    gone = call("eval", "p.yaml", folder)
    assert gone.exit_code == 1
    assert "mine.yaml: the model that the prompt was made for is not known" in gone.stderr
