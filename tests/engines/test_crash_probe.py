"""The crash probe chooses kernels and remembers."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import EngineCrash
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.setup import crash_probe as probe
from idealprompt_cli.engines.llama_cpp.setup.machine_facts import MachineFacts
from idealprompt_cli.runs.models import embedded_model

from ..support.tiny_models import SPECS, write_pair

DIE = "import os, signal; os.kill(os.getpid(), signal.{})"


@pytest.fixture
def ref(tmp_path: Path) -> ModelRef:
    return ModelRef(*write_pair("janus", tmp_path / "model"))


def dying(monkeypatch: pytest.MonkeyPatch, *kernels: str) -> list[str]:
    """Let the child die by a signal with these kernels; returns the record of what was tried."""
    tried: list[str] = []
    real = probe.command

    def command(ref: ModelRef, choice: str, gpu_layers: int) -> list[str]:
        tried.append(choice)
        if choice in kernels:
            return [sys.executable, "-c", DIE.format("SIGILL")]
        return real(ref, choice, gpu_layers)

    monkeypatch.setattr(probe, "command", command)
    return tried


def test_a_model_that_runs_gets_all_kernels(ref: ModelRef, tmp_path: Path) -> None:
    assert not probe.needs_safe_kernels(ref, "f", EngineOptions(probe=True, cache_dir=tmp_path))


@pytest.mark.skipif(not hasattr(signal, "SIGILL"), reason="needs POSIX signals")
def test_a_crash_leads_to_safe_kernels_and_is_remembered(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dying(monkeypatch, "all")
    monkeypatch.setattr(probe, "cpu_flags", lambda: frozenset({"amx_int8"}))
    options = EngineOptions(cache_dir=tmp_path)
    assert probe.needs_safe_kernels(ref, "f", options)
    assert tried == ["all", "safe"]
    assert probe.needs_safe_kernels(ref, "f", options), "remembered"
    assert tried == ["all", "safe"]
    assert probe.needs_safe_kernels(ref, "another model", options)
    assert len(tried) == 4


def test_two_crashes_are_one_line(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying(monkeypatch, "all", "safe")
    with pytest.raises(EngineCrash, match=r"SIGILL.*safe kernels SIGILL.*F16") as caught:
        probe.needs_safe_kernels(ref, "f", EngineOptions(probe=True, cache_dir=tmp_path))
    assert "\n" not in str(caught.value)


def test_a_projector_that_crashes_the_process_is_named(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = probe.command

    def command(ref: ModelRef, choice: str, gpu_layers: int) -> list[str]:
        if ref.mmproj:
            return [sys.executable, "-c", DIE.format("SIGABRT")]
        return real(ref, choice, gpu_layers)

    monkeypatch.setattr(probe, "command", command)
    monkeypatch.setattr(probe, "cpu_flags", lambda: frozenset({"avx2"}))
    monkeypatch.delenv(probe.SWITCH)
    with pytest.raises(EngineCrash, match=r"mmproj-janus\.gguf: .*SIGABRT.*pass the mmproj"):
        probe.needs_safe_kernels(ref, "f", EngineOptions(cache_dir=tmp_path))


@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_new_pair_is_tried_in_a_child_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dying(monkeypatch)
    monkeypatch.setattr(probe, "cpu_flags", lambda: frozenset({"avx2"}))
    monkeypatch.delenv(probe.SWITCH)
    ref, options = ModelRef(*write_pair(name, tmp_path)), EngineOptions(cache_dir=tmp_path)
    for _ in range(2):
        assert not probe.needs_safe_kernels(ref, name, options)
    assert tried == ["all"]
    for _ in range(2):
        assert not probe.needs_safe_kernels(ModelRef(ref.text), "text", options)
    assert tried == ["all", "all"], "a text model is tried too"
    demo = embedded_model()
    assert demo is not None
    assert not probe.needs_safe_kernels(demo, "demo", options)
    assert tried == ["all", "all"], "the package's own model is not tried"


def test_a_child_that_sees_ends_well(ref: ModelRef) -> None:
    done = subprocess.run(probe.command(ref, "all", 0), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_amx_no_child_is_started(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = dying(monkeypatch, "all", "safe")
    monkeypatch.setattr(probe, "cpu_flags", lambda: frozenset({"avx2"}))
    assert not probe.needs_safe_kernels(ref, "f", EngineOptions(cache_dir=tmp_path))
    assert probe.needs_safe_kernels(ref, "f", EngineOptions(kernels="safe", cache_dir=tmp_path))
    assert tried == []


def test_memory_survives_damage(tmp_path: Path) -> None:
    memory = MachineFacts(tmp_path / "new")
    assert memory.get("a", "b") is None
    memory.put("1", "a", "b")
    assert memory.get("a", "b") == "1"
    assert memory.get("a", "c") is None
    (tmp_path / "new" / "machine.json").write_text('{"idealprompt machine": broken')
    assert memory.get("a", "b") is None
    memory.put("2", "a", "b")
    assert memory.get("a", "b") == "2"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["machine.json"]


def test_memory_without_a_writable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = MachineFacts(tmp_path / "file" / "below")
    memory.put("1", "a")
    assert memory.get("a") is None
