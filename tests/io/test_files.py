"""Files are written whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import ArtifactError
from idealprompt_cli.io.files import read_text, write_text


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.yaml"
    write_text(path, "old", ArtifactError)

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ArtifactError, match=r"a\.yaml: cannot be written \(no space left"):
        write_text(path, "new", ArtifactError)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.yaml"]


def test_modes_and_links_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    write_text(path, "x", ArtifactError)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o600)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    write_text(link, "y", ArtifactError)
    assert link.is_symlink()
    assert path.read_text() == "y"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    heard: list[str] = []
    reader = threading.Thread(target=lambda: heard.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through", ArtifactError)
    reader.join(timeout=5)
    assert heard == ["through"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="cannot be written"):
        write_text(tmp_path / "none" / "a.yaml", "x", ArtifactError)


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("\ufeffé".encode())
    assert read_text(path, ArtifactError) == "é"
    with pytest.raises(ArtifactError, match="larger than 2 bytes"):
        read_text(path, ArtifactError, limit=2)
