"""The campaign's figures, kept in a file that a later slice adds to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .command import Done
from .inputs import Fault, Inputs, Slow, slowest
from .kills import Kills


@dataclass
class Record:
    """Totals over all slices. `fixed` counts cases that showed a fault in an earlier slice and none
    when they were repeated; `timed` counts those whose processor time was measured, `slow` has the
    slowest of them; `seconds` is the most wall time of all."""

    killed: Counter[str] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    paid_twice: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    cases: list[Fault] = field(default_factory=list)
    fixed: int = 0
    seconds: float = 0.0
    timed: int = 0
    slow: list[Slow] = field(default_factory=list)
    processor: float = 0.0
    peak: int = 0

    @property
    def kills(self) -> int:
        return self.killed.total()

    @property
    def inputs(self) -> int:
        return self.asked.total()

    @property
    def faults(self) -> int:
        return len(self.lost) + len(self.paid_twice) + len(self.cases)

    def cases_with_faults(self) -> list[tuple[str, int]]:
        return [(case.target, case.number) for case in self.cases]

    def repeated(self, target: str, number: int, done: Done, fault: str) -> None:
        """A case that showed a fault before, again."""
        place = self.cases_with_faults().index((target, number))
        if fault:
            self.cases[place] = Fault(target, number, fault, done.words, done.stderr[-600:])
        else:
            del self.cases[place]
            self.fixed += 1

    def add_kills(self, found: Kills) -> None:
        self.killed += found.killed
        self.moments += found.moments
        self.lost += found.lost
        self.paid_twice += found.paid_twice

    def add_inputs(self, found: Inputs) -> None:
        self.asked += found.asked
        self.cases += found.faults
        self.timed += found.asked.total()
        self.slow = slowest([*self.slow, *found.slow])
        self.seconds = max([self.seconds, *(case.seconds for case in found.slow)])
        self.processor = max(self.processor, found.processor)
        self.peak = max(self.peak, found.peak)

    def summary(self) -> str:
        kinds = dict(Counter(case.fault for case in self.cases))
        return (
            f"{self.kills} kills: {len(self.lost)} lost, {len(self.paid_twice)} paid twice; "
            f"{self.inputs} inputs: {len(self.cases)} faults {kinds}, slowest "
            f"{self.seconds:.1f} s, at most {self.processor:.1f} s of processor time and "
            f"{self.peak / 2**20:.0f} MiB"
        )

    def write(self, path: Path, seed: int) -> None:
        data = {
            "seed": seed,
            "kills": {
                "total": self.kills,
                "by command": dict(self.killed),
                "by moment": dict(self.moments),
                "lost": self.lost,
                "paid twice": self.paid_twice,
            },
            "inputs": {
                "total": self.inputs,
                "by target": dict(self.asked),
                "faults": [asdict(case) for case in self.cases],
                "faults fixed during the campaign": self.fixed,
                "slowest seconds": self.seconds,
                "with processor time": self.timed,
                "most processor seconds": self.processor,
                "slowest": [asdict(case) for case in self.slow],
                "peak MiB": round(self.peak / 2**20),
            },
        }
        path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    @staticmethod
    def read(path: Path, seed: int) -> Record:
        """What earlier slices with this seed found; nothing where there is no file."""
        if not path.exists():
            return Record()
        data: dict[str, Any] = json.loads(path.read_text())
        if data["seed"] != seed:
            raise SystemExit(f"{path}: is of seed {data['seed']}: give --seed {data['seed']}")
        killed, asked = data["kills"], data["inputs"]
        return Record(
            Counter(killed["by command"]),
            Counter(killed["by moment"]),
            killed["lost"],
            killed["paid twice"],
            Counter(asked["by target"]),
            [Fault(**{**case, "words": tuple(case["words"])}) for case in asked["faults"]],
            asked["faults fixed during the campaign"],
            asked["slowest seconds"],
            asked["with processor time"],
            [Slow(**case) for case in asked["slowest"]],
            asked["most processor seconds"],
            asked["peak MiB"] << 20,
        )
