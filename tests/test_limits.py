"""Commands in a poor system: little memory, few files, a full disk, no home folder, another
user, several runs at a time. Each ends with normal work or with a line that says what is missing.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from idealprompt_cli.cli.watched_folder import Watch
from idealprompt_cli.storage.cache_file import MARK

from .conftest import SCRIPT, MakePicture, call

ROOT = Path(__file__).parent.parent
SEARCH = ("search", "task", "-m", SCRIPT, "--budget", "100", "-q")
DEMO = ("search", str(ROOT / "sample_tasks" / "grade"), "--budget", "130", "--no-test", "-q")
UNEXPECTED = re.compile("Traceback|internal error|Assertion")

Limit = Callable[[], None]


def limited(what: int, value: int) -> Limit:
    return lambda: resource.setrlimit(what, (value, value))


def started(
    *words: str, limit: Limit | None = None, env: Mapping[str, str | None] | None = None
) -> subprocess.Popen[str]:
    """A command in a process of its own; an `env` value of None removes a variable."""
    changed = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(env or {})}
    return subprocess.Popen(
        [sys.executable, "-m", "idealprompt_cli", *words],
        env={name: value for name, value in changed.items() if value is not None},
        preexec_fn=limit,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was said; neither a crash nor an exception that nobody expected."""
    _, said = process.communicate(timeout=300)
    assert process.returncode in (0, 1, 2), said
    assert not UNEXPECTED.search(said)
    if process.returncode:
        assert re.fullmatch(r"(\S.*\n)*error: .+\n", said), said
    return process.returncode, said


@pytest.mark.parametrize("megabytes", [150, 420, 900])
def test_little_address_space(folder: Path, megabytes: int) -> None:
    ended(started(*DEMO, limit=limited(resource.RLIMIT_AS, megabytes << 20)))


@pytest.mark.parametrize(("files", "code"), [(6, 1), (10, None), (14, None), (40, 0)])
def test_few_open_files(folder: Path, files: int, code: int | None) -> None:
    found, said = ended(started(*SEARCH, limit=limited(resource.RLIMIT_NOFILE, files)))
    assert code in (None, found), said


@pytest.mark.parametrize("size", [0, 2_000, 20_000])
def test_a_limit_on_the_size_of_files(folder: Path, size: int) -> None:
    """The disk is full in the middle: the place, what is kept and how to resume; then the rest."""
    words = (*SEARCH, "--run-dir", "run", "--no-cache", "--no-priors")
    code, said = ended(started(*words, limit=limited(resource.RLIMIT_FSIZE, size)))
    whole = call(*SEARCH, "--run-dir", "whole", "--no-cache", "--no-priors")
    assert whole.exit_code == 0
    if code == 0:
        return
    assert "(file too large)" in said
    assert "run/" in said
    if "resume with" in said:
        assert "--resume" in said
        assert call(*words, "--resume").exit_code == 0
        runs = [yaml.safe_load(Path(name, "prompt.yaml").read_text()) for name in ("run", "whole")]
        assert [run["prompt"] for run in runs] == [runs[0]["prompt"]] * 2


def mounts() -> bool:
    """Whether a small file system in memory can be mounted (only root can, and not everywhere)."""
    words = ["unshare", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not mounts(), reason="nothing can be mounted here")
def test_a_full_disk_and_no_shared_memory(folder: Path) -> None:
    Path("small").mkdir()
    line = (
        "mount -t tmpfs -o size=24k tmpfs small && mount -t tmpfs -o ro tmpfs /dev/shm && "
        f'exec "{sys.executable}" -m idealprompt_cli "$@"'
    )
    for place, code in (("small/run", 1), ("large", 0)):
        words = (*SEARCH, "--run-dir", place, "--no-cache", "--no-priors")
        process = subprocess.Popen(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", line, "sh", *words],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        found, said = ended(process)
        assert found == code, said
        if code:
            assert "(no space left on device)" in said
            assert "small/run/" in said


def test_standard_output_on_a_full_device(folder: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    for words in ((*SEARCH, "-o", "-"), ("priors", "list"), ("--help",)):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "idealprompt_cli", *words],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        assert done.returncode == 1
        assert "<stdout>: cannot be written (no space left on device)" in done.stderr
        assert not UNEXPECTED.search(done.stderr)


NO_HOME = {"HOME": None, "XDG_CACHE_HOME": None, "XDG_DATA_HOME": None}


def test_without_home(folder: Path) -> None:
    places = {"IDEALPROMPT_CACHE": str(folder.parent / "c"), "IDEALPROMPT_ANSWERS": None}
    code, said = ended(started(*SEARCH, env={**NO_HOME, **places}))
    assert code == 0, said
    assert (folder.parent / "c" / "answers.sqlite").stat().st_mode & 0o777 == 0o600
    assert (folder.parent / "c").stat().st_mode & 0o777 == 0o700
    assert not Path("~").exists()


@pytest.fixture
def shared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that every user can read, with the task and a home in it. pytest's own are closed to
    others."""
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        place.chmod(0o755)
        shutil.copytree(folder, place / "task")
        shutil.copyfile(SCRIPT, place / "script.yaml")
        (place / "home").mkdir()
        os.chown(place / "home", 54321, 54321)
        monkeypatch.chdir(place)
        yield place


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become another")
@pytest.mark.parametrize("home", ["none", "own"])
def test_another_user_in_a_read_only_folder(shared: Path, home: str) -> None:
    """Everything is imported before the user changes, who may not read this Python."""
    code = (
        "import codecs, os, sys; from benchmarks.torture.command import preload; preload()\n"
        "codecs.lookup('utf-8-sig')\n"
        "from PIL import Image; Image.init()\n"
        "from idealprompt_cli.cli.main import main\n"
        "os.setgroups([]); os.setgid(54321); os.setuid(54321)\n"
        "sys.argv = ['idealprompt', *sys.argv[1:]]; main()"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in ("IDEALPROMPT_CACHE", "IDEALPROMPT_ANSWERS", "IDEALPROMPT_PRIORS", *NO_HOME):
        env.pop(name, None)
    if home == "own":
        env["HOME"] = str(shared / "home")
    words = ["search", "task", "-m", "script.yaml", "--budget", "100", "-q"]

    def run(*more: str) -> tuple[int, str]:
        return ended(
            subprocess.Popen(
                [sys.executable, "-c", code, *words, *more],
                env=env,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )

    found, said = run()
    assert found in (1, 2)
    assert ("set HOME" if home == "none" else "name another place with --run-dir") in said
    if home == "own":
        found, said = run("--run-dir", str(shared / "home" / "run"))
        assert found == 0, said
    assert not (shared / "~").exists()


def test_four_searches_share_one_cache_and_one_priors_store(folder: Path, memory: Path) -> None:
    alone = memory.with_name("alone.json")
    env = {
        "IDEALPROMPT_PRIORS": str(alone),
        "IDEALPROMPT_ANSWERS": str(alone.with_suffix(".sqlite")),
    }
    assert ended(started(*SEARCH, "--run-dir", "alone", env=env))[0] == 0
    runs = [
        started(*SEARCH, "--seed", str(seed), "--run-dir", f"run-{seed}") for seed in (0, 0, 1, 2)
    ]
    codes, said = zip(*(ended(run) for run in runs), strict=True)
    assert sorted(codes) == [0, 0, 0, 1], said
    rows = [row for rows in json.loads(memory.read_text())["boxes"].values() for row in rows]
    lessons = [
        json.loads(line)["lessons"]
        for seed in (0, 1, 2)
        for line in Path(f"run-{seed}", "journal.jsonl").read_text().splitlines()
        if '"priors updated"' in line
    ]
    assert len(lessons) == 3
    assert lessons[0] > 0
    assert len(rows) > 0
    cache = memory.with_name("answers.sqlite").read_bytes()
    assert cache[68:72] == MARK.to_bytes(4, "big")
    assert not list(memory.parent.glob("*.damaged*"))
    first, other = (
        yaml.safe_load(Path(name, "prompt.yaml").read_text()) for name in ("alone", "run-0")
    )
    assert first["prompt"] == other["prompt"]


def test_a_clock_that_is_set_back(tmp_path: Path, make_picture: MakePicture) -> None:
    """A picture is taken although its time lies in the future; the last run is the last."""
    picture = make_picture(tmp_path / "a.png")
    now = time.time() - 7200
    os.utime(picture, (now + 7200, now + 7200))
    clock = [now]
    watch = Watch(tmp_path, clock=lambda: clock[0])
    assert watch.ready() == []
    clock[0] -= 3600
    assert watch.ready() == []
    clock[0] += 2
    assert watch.ready() == [str(picture)]
