"""Measurements, stored so that an interrupted run can be resumed, and the published results.

Raw rounds lie in the cache, one file for each; `results/engine.json` is made from them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .build import version
from .figures import Measured, agreement, result
from .plan import Plan


class Rounds:
    """Raw measurements by model, contender and round below `folder`. They are good as long as the
    plan and the library are those that they were made with."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, model: str, contender: str, number: int, plan: Plan) -> list[Measured] | None:
        """What a worker measured, or None if it has not or measured something else."""
        try:
            data = json.loads(self._path(model, contender, number).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if data.get("for") != _made_for(plan):
            return None
        return [Measured.parse(one) for one in data["measured"]]

    def put(
        self, model: str, contender: str, number: int, plan: Plan, measured: list[Measured]
    ) -> None:
        data = {"for": _made_for(plan), "measured": [asdict(one) for one in measured]}
        path = self._path(model, contender, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, data)

    def _path(self, model: str, contender: str, number: int) -> Path:
        return self._folder / f"{model}.{contender}.{number}.json"


def results(rounds: Rounds, model: str, contenders: list[str], plan: Plan) -> list[dict[str, Any]]:
    """The published objects of a model, from all rounds that were made."""
    by_name: dict[str, list[Measured]] = {}
    for contender in contenders:
        for number in range(plan.rounds):
            for measured in rounds.get(model, contender, number, plan) or []:
                by_name.setdefault(measured.contender, []).append(measured)
    naive = by_name["naive"][-1].answers if "naive" in by_name else {}
    made = []
    for repeated in by_name.values():
        found = result(model, repeated, plan.prompts, plan.images)
        same = agreement(repeated[-1].answers, naive)
        if same is not None and found["contender"] != "naive":
            found["answers_as_naive"] = same
        made.append(found)
    return made


def merged(old: dict[str, Any], machine: dict[str, Any], new: list[dict[str, Any]]) -> list[Any]:
    """New objects in the place of old ones of the same model and contender; old ones from another
    machine or library are dropped, since figures of two machines say nothing side by side."""
    kept = {} if old.get("machine") != machine else {_name(one): one for one in old["results"]}
    return list((kept | {_name(one): one for one in new}).values())


def read(path: Path) -> dict[str, Any]:
    """A results file, or an empty one."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"machine": {}, "results": []}
    return data


def write(path: Path, data: Any) -> None:
    """JSON under a temporary name, then renamed."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def _made_for(plan: Plan) -> dict[str, Any]:
    return {**asdict(plan), "rounds": None, "version": version()}


def _name(found: dict[str, Any]) -> tuple[str, str]:
    return found["model"], found["contender"]
