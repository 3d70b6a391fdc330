"""SIGKILL at random moments, and on purpose in the middle of a write, at a sync and at a rename:
after the last resume everything is there, and nothing was paid twice."""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
import signal
import struct
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .command import Done, run
from .grounds import SCRIPT, Grounds, copied, memory_folder

RUN = ("--run-dir", "run2", "-o", "out.yaml", "-q", "--no-priors")
RUNS: Mapping[str, tuple[str, ...]] = {
    "search": ("search", "folders", "-m", "slow.yaml", "--budget", "240", *RUN),
    "search --reflect": ("search", "folders", "-m", "slow.yaml", "--budget", "240", "--reflect",
                         *RUN),
    "search with priors": ("search", "folders", "-m", "slow.yaml", "--budget", "240", *RUN[:-1]),
    "reflect": ("reflect", "prompt.yaml", "folders", "-m", "slow.yaml", "--budget", "160", *RUN),
}  # fmt: skip
OUTPUTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "predict": (("predict", "prompt.yaml", "folders", "-m", "slow.yaml", "-o", "out"), "out"),
    "eval": (("eval", "prompt.yaml", "folders", "-m", "slow.yaml", "--jsonl", "out"), "out"),
    "report": (("report", "run", "-o", "out"), "out"),
    "report --text": (("report", "run", "--text", "-o", "out"), "out"),
    "report --png": (("report", "run", "--png", "drawn"), "drawn/tree.png"),
    "export": (("export", "prompt.yaml", "--to", "python", "-o", "out"), "out"),
    "priors import": (("priors", "import", "other.json"), "priors.json"),
    "priors export": (("priors", "export", "out"), "out"),
    "priors merge": (("priors", "merge", "other.json", "priors.json", "-o", "out"), "out"),
    "priors reset": (("priors", "reset", "--yes"), "priors.json"),
    "init": (("init", "made", "--from", "table/metadata.csv"), "made/task.yaml"),
    "doctor": (
        ("doctor", "-m", "model.gguf", "--mmproj", "mmproj.gguf"),
        "cache/machine.json",
    ),
    "synth": (("synth", "-m", "synth.yaml", "--branch", "2", "-o", "out"), "out"),
}
"""Command -> words, and the file that it writes."""
APPENDED = ("predict", "synth")
"""Commands whose file grows line by line."""
REPOSITORY = Path(__file__).parents[2]
CALLS = ("write", "sync", "rename")
MOMENTS = ("time", *CALLS)


class Counts:
    """How often a child called what it may be killed in; shared with it."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8 * len(CALLS))

    def add(self, call: str) -> int:
        place = 8 * CALLS.index(call)
        count = int(struct.unpack_from("q", self._memory, place)[0]) + 1
        struct.pack_into("q", self._memory, place, count)
        return count

    def all(self) -> dict[str, int]:
        return dict(zip(CALLS, struct.unpack("q" * len(CALLS), self._memory[:]), strict=True))


@dataclass(frozen=True)
class Blow:
    """When a process dies: at its `number`-th call of a kind, before it, after it or (a write)
    with a `share` of it done; or, for "time", after `seconds`."""

    moment: str
    number: int = 0
    share: float = 0.0
    seconds: float = 0.0

    def arm(self, counts: Counts) -> Callable[[], None]:
        """What the child does first: it counts its calls and dies in the chosen one."""

        def wrap(call: str, function: Callable[..., Any]) -> Callable[..., Any]:
            def called(first: Any, *rest: Any) -> Any:
                if call == "write" and first <= 2:
                    return function(first, *rest)
                if counts.add(call) != self.number or call != self.moment:
                    return function(first, *rest)
                if call == "write":
                    function(first, bytes(rest[0])[: int(self.share * len(rest[0]))])
                elif self.share > 0.5:
                    function(first, *rest)
                os.kill(os.getpid(), signal.SIGKILL)
                raise SystemExit("unreachable")

            return called

        def install() -> None:
            os.write = wrap("write", os.write)
            os.fsync = wrap("sync", os.fsync)
            Path.replace = wrap("rename", Path.replace)  # type: ignore[method-assign]

        return install


@dataclass
class Kills:
    """How often each command was killed at which moment, and what was wrong afterwards."""

    killed: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    paid_twice: list[str] = field(default_factory=list)

    def add(self, name: str, blow: Blow, done: Done) -> None:
        if done.code == -signal.SIGKILL:
            self.killed[name] += 1
            self.moments[blow.moment] += 1


@dataclass(frozen=True)
class Whole:
    """What an uninterrupted command made, in how many seconds and with how many calls."""

    result: Any
    seconds: float
    calls: Mapping[str, int]


def prepared(grounds: Grounds) -> dict[str, Whole]:
    """What every command does when nothing happens to it."""
    (grounds.root / "slow.yaml").write_text(yaml.safe_dump({**SCRIPT, "seconds": 0.0003}))
    return {name: _whole(grounds, name) for name in (*RUNS, *OUTPUTS)}


def campaign(grounds: Grounds, count: int, seed: str, whole: Mapping[str, Whole]) -> Kills:
    """At least `count` kills over all commands."""
    found, rng = Kills(), random.Random(seed)
    while found.killed.total() < count:
        for name in whole:
            with tempfile.TemporaryDirectory(dir=memory_folder()) as text:
                own = copied(grounds, Path(text) / "g")
                _prepare(own, name)
                (_broken_run if name in RUNS else _broken_output)(
                    own, name, rng, whole[name], found
                )
    return found


def _prepare(grounds: Grounds, name: str) -> None:
    """The files that a command needs beside the grounds."""
    if name.startswith("priors"):
        learned = REPOSITORY / "benchmarks" / "results" / "priors.json"
        shutil.copyfile(learned, grounds.root / "other.json")
    if name == "synth":
        shutil.copyfile(REPOSITORY / "tests" / "synth.yaml", grounds.root / "synth.yaml")


def _words(name: str) -> tuple[str, ...]:
    return RUNS[name] if name in RUNS else OUTPUTS[name][0]


def _whole(grounds: Grounds, name: str) -> Whole:
    """An uninterrupted command in a copy of the grounds."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as text:
        own, counts = copied(grounds, Path(text) / "g"), Counts()
        _prepare(own, name)
        done = _run(own, _words(name), Blow("none"), counts)
        if done.code:
            raise SystemExit(f"the uninterrupted {name} failed: {done.stderr}")
        return Whole(_result(own, name), done.seconds, counts.all())


def _run(grounds: Grounds, words: tuple[str, ...], blow: Blow, counts: Counts) -> Done:
    return run(
        words,
        grounds.root,
        grounds.environment,
        seconds=120.0,
        before=blow.arm(counts),
        **({"kill_after": blow.seconds} if blow.moment == "time" else {}),
    )


def _blow(rng: random.Random, whole: Whole) -> Blow:
    """A moment that the command reaches: a resumed one makes fewer calls, so early ones are taken
    as often as late ones."""
    known = [call for call in CALLS if whole.calls[call]]
    moment = rng.choice(("time", *known))
    if moment == "time":
        return Blow("time", seconds=whole.seconds * rng.uniform(0.2, 1.05))
    most = whole.calls[moment]
    number = rng.randint(1, most if rng.random() < 0.5 else max(1, most // 4))
    return Blow(moment, number, rng.random())


# --- runs -----------------------------------------------------------------------------------------


def _broken_run(
    grounds: Grounds, name: str, rng: random.Random, whole: Whole, found: Kills
) -> None:
    """Kill a run and its resumes up to five times, resume it to the end and compare."""
    journal = grounds.root / "run2" / "journal.jsonl"
    kept = b""
    for _ in range(rng.randint(2, 5)):
        blow = _blow(rng, whole)
        found.add(name, blow, _run(grounds, _again(name, journal), blow, Counts()))
        now = _lines(journal)
        if not now.startswith(kept):
            found.lost.append(f"{name}: lines of the journal are gone")
        kept = now
    problem = _half_written(grounds)
    done = _run(grounds, _again(name, journal), Blow("none"), Counts())
    if done.code:
        problem = f"resume ended with {done.code}: {done.stderr[-300:]}"
    elif _result(grounds, name) != whole.result:
        problem = "another result than the uninterrupted run"
    elif not _lines(journal).startswith(kept):
        problem = "lines of the journal are gone"
    elif left := list((grounds.root / "run2").glob(".idealprompt-new-*")):
        problem = f"a leftover: {left[0].name}"
    if problem:
        found.lost.append(f"{name}: {problem}")
    found.paid_twice += [f"{name}: {key}" for key in paid_twice(journal)]


def _again(name: str, journal: Path) -> tuple[str, ...]:
    return (*RUNS[name], "--resume") if journal.exists() else RUNS[name]


def _lines(journal: Path) -> bytes:
    """The whole lines of a journal."""
    data = journal.read_bytes() if journal.exists() else b""
    return data[: data.rfind(b"\n") + 1]


def _half_written(grounds: Grounds) -> str:
    for output in (grounds.root / "out.yaml", grounds.root / "run2" / "prompt.yaml"):
        try:
            if output.exists():
                yaml.safe_load(output.read_text())["cost"]
        except (yaml.YAMLError, KeyError, TypeError):
            return "a half-written artifact"
    return ""


def paid_twice(journal: Path) -> list[str]:
    """Keys of requests that are in a journal more than once with a price. A request with further
    options is another one, which an uninterrupted run makes too."""
    seen: set[tuple[str, ...]] = set()
    twice = []
    for line in journal.read_text().splitlines():
        record = json.loads(line)
        if record.get("kind") not in ("score", "text") or record["cached"]:
            continue
        place = (record["key"], *sorted(record.get("scores", ())))
        if place in seen:
            twice.append(record["key"])
        seen.add(place)
    return twice


# --- commands that write one file -----------------------------------------------------------------


def _broken_output(
    grounds: Grounds, name: str, rng: random.Random, whole: Whole, found: Kills
) -> None:
    """Kill a command that writes a file, run it again to the end and compare."""
    path = grounds.root / OUTPUTS[name][1]
    before = path.read_bytes() if path.exists() else None
    for _ in range(rng.randint(2, 5)):
        blow = _blow(rng, whole)
        found.add(name, blow, _run(grounds, _words(name), blow, Counts()))
        now = path.read_bytes() if path.exists() else None
        whole_or_old = now == before or _result(grounds, name) == whole.result
        if name not in APPENDED and not whole_or_old:
            found.lost.append(f"{name}: {path.name} is neither the old file nor the new one")
        if name == "init" and (grounds.root / "made").exists():
            if _result(grounds, name) != whole.result:
                found.lost.append("init: a folder that is half made")
            shutil.rmtree(grounds.root / "made")
    done = _run(grounds, _words(name), Blow("none"), Counts())
    if done.code:
        found.lost.append(f"{name}: ended with {done.code}: {done.stderr[-300:]}")
    elif _result(grounds, name) != whole.result:
        found.lost.append(f"{name}: another result than the uninterrupted command")
    for folder in {path.parent, grounds.root}:
        if left := list(folder.glob(".idealprompt-new-*")):
            found.lost.append(f"{name}: a leftover: {left[0].name}")


def _result(grounds: Grounds, name: str) -> Any:
    """What a command made, without what differs from run to run (times, random names)."""
    if name in RUNS:
        data = yaml.safe_load((grounds.root / "out.yaml").read_text())
        data["cost"].pop("seconds")
        kept = json.loads((grounds.root / "priors.json").read_text())["boxes"]
        return data, list(kept.values()) if "priors" in name else []
    path = grounds.root / OUTPUTS[name][1]
    if not path.exists():
        return None
    if path.suffix == ".png":
        return path.read_bytes()
    text = path.read_text()
    try:
        if name == "doctor":  # measured, so that only the names of the facts are the same
            return sorted(json.loads(text))
        if name.startswith("priors"):
            return json.loads(text)["boxes"]
        if name == "synth":
            return [json.loads(line)["kind"] for line in text.splitlines()]
        if name == "predict":
            rows = [json.loads(line) for line in text.splitlines()]
            return sorted((row["image"], row["label"]) for row in rows)
    except ValueError:
        return "damaged"
    return text
