"""Files are written whole or not at all."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import ArtifactError
from idealprompt_cli.io.files import (
    TEMPORARY,
    check_writable,
    is_regular,
    open_file,
    read_text,
    temporary_folder,
    write_text,
)


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


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "fifo", "link", "folder", "a" * 300])
def test_what_is_no_file_is_named_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("idealprompt_cli.io.files.PIPE_SECONDS", 0.2)  # nobody writes to it
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    path = tmp_path / name
    started = time.monotonic()
    with pytest.raises(OSError, match=r"is a (device|pipe|folder)|File name too long"):
        open_file(path)
    assert not is_regular(path)
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_text(path, ArtifactError)
    assert time.monotonic() - started < 5


def test_a_pipe_is_read_while_somebody_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idealprompt_cli.io.files.PIPE_SECONDS", 0.3)
    read, write = os.pipe()
    try:
        os.write(write, b"through")
        with pytest.raises(ArtifactError, match=r"not closed within 0\.3 seconds"):
            read_text(Path(f"/dev/fd/{read}"), ArtifactError)
    finally:
        os.close(write)
        os.close(read)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{_READS}' <(sleep 0.2; echo through)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "through\n"


_READS = (
    "import sys, pathlib; from idealprompt_cli.io.files import read_text;"
    'print(read_text(pathlib.Path(sys.argv[1]), SystemExit), end="")'
)


def test_leftovers_of_a_killed_writer_are_removed_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from idealprompt_cli.io import files\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        "files.write_text(Path(sys.argv[1]), 'new', SystemExit)"
    )
    path = tmp_path / "a.yaml"
    path.write_text("old")
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    assert path.read_text() == "old"
    (left,) = tmp_path.glob(f"{TEMPORARY}*")
    (tmp_path / ".new-foreign").write_text("somebody's")
    with temporary_folder(tmp_path) as used:
        (tmp_path / f"{TEMPORARY}folder" / "inner").mkdir(parents=True)
        (tmp_path / f"{TEMPORARY}link").symlink_to(tmp_path)
        write_text(path, "new", ArtifactError)
        assert not left.exists()
        assert sorted(one.name for one in tmp_path.iterdir()) == [
            used.name,
            f"{TEMPORARY}link",
            ".new-foreign",
            "a.yaml",
        ]


def test_a_file_size_limit_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(ArtifactError, match=r"\(file too large\): make room"):
            write_text(path, "x" * 5000, ArtifactError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize("name", ["a" * 300, "circle", "none/a", "a\0b"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ArtifactError) as caught:
        check_writable(tmp_path / name, ArtifactError)
    assert "\n" not in str(caught.value)
