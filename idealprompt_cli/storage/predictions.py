"""What the two prompts answered, example by example: `outcomes.jsonl` beside a run's artifact.

The artifact holds figures; this holds what a report shows: who was confused with whom. One JSON
object a line. Knows no formats and no models.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..answers import object_of, same, split
from ..core.errors import JournalError
from ..core.results import Outcome, RunResult
from ..core.task import Split
from ..io.files import PRIVATE, read_text, write_text

FILE_NAME = "outcomes.jsonl"
MAX_BYTES = 256 * 1024 * 1024
Which = Literal["baseline", "winner"]


@dataclass(frozen=True)
class Kept:
    """One answer: of which prompt, on which split, where its pictures were, and its texts."""

    split: Split
    which: Which
    outcome: Outcome
    images: tuple[Path, ...]
    fields: Mapping[str, str] = field(default_factory=dict)


def of_run(result: RunResult) -> list[Kept]:
    """Baseline and winner on the selection part, and on the test part where it was read."""
    task = result.task
    examples = (*task.train, *task.validation, *task.test)
    seen = {e.id: (e.images, e.fields) for e in examples}
    parts: list[tuple[Split, Any]] = [("train", result.selection), ("test", result.test)]
    pairs: tuple[Which, ...] = ("baseline", "winner")
    return [
        Kept(split, which, outcome, *seen.get(outcome.example_id, ((), {})))
        for split, scores in parts
        if scores is not None
        for which in pairs
        for outcome in getattr(scores, which).outcomes
    ]


def data_of(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain data, for one line of JSON."""
    data: dict[str, Any] = {
        "id": outcome.example_id,
        "gold": outcome.gold,
        "predicted": outcome.predicted,
        "score": outcome.score,
        "margin": round(outcome.margin, 4),
        "probabilities": {k: round(p, 6) for k, p in outcome.probabilities.items()},
        "reply": outcome.reply,
    }
    return data | ({"reasoning": outcome.reasoning} if outcome.reasoning else {})


def confusion(outcomes: Sequence[Outcome], labels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Counts by gold label (rows) and answered label (columns)."""
    pairs = Counter((one.gold, one.predicted) for one in outcomes)
    return tuple(tuple(pairs[gold, answered] for answered in labels) for gold in labels)


@dataclass(frozen=True)
class LabelScore:
    """One label: its examples, how often it was answered and rightly so; shares in [0, 1], 0 where
    there is nothing to divide by."""

    label: str
    n: int
    answered: int
    right: int

    @property
    def precision(self) -> float:
        return self.right / self.answered if self.answered else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.n if self.n else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.n + self.answered) if self.right else 0.0


def per_label(outcomes: Sequence[Outcome], labels: Sequence[str]) -> tuple[LabelScore, ...]:
    """Precision and recall of every label, in their order."""
    counts = confusion(outcomes, labels)
    asked = Counter(one.gold for one in outcomes)
    return tuple(
        LabelScore(label, asked[label], sum(row[place] for row in counts), counts[place][place])
        for place, label in enumerate(labels)
    )


def per_option(outcomes: Sequence[Outcome], options: Sequence[str]) -> tuple[LabelScore, ...]:
    """The same where several labels may hold at once."""
    pairs = [(split(one.gold), split(one.predicted)) for one in outcomes]
    return tuple(
        LabelScore(
            option,
            sum(option in gold for gold, _ in pairs),
            sum(option in said for _, said in pairs),
            sum(option in gold and option in said for gold, said in pairs),
        )
        for option in options
    )


@dataclass(frozen=True)
class FieldScore:
    """One field of a JSON answer: how often it was right, and the first wrong value as an example
    ("" for none)."""

    name: str
    n: int
    right: int
    wrong: str = ""

    @property
    def share(self) -> float:
        return self.right / self.n if self.n else 0.0


def per_field(outcomes: Sequence[Outcome], names: Sequence[str]) -> tuple[FieldScore, ...]:
    """Every field's share of right values."""
    pairs = [
        (one.example_id, object_of(one.predicted) or {}, object_of(one.gold) or {})
        for one in outcomes
    ]
    found = []
    for name in names:
        wrong = [
            f"{place}: {_shown(said.get(name))}, right is {_shown(gold.get(name))}"
            for place, said, gold in pairs
            if not same(said.get(name), gold.get(name))
        ]
        found.append(FieldScore(name, len(pairs), len(pairs) - len(wrong), (wrong or [""])[0]))
    return tuple(found)


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def worst(outcomes: Sequence[Outcome], limit: int) -> tuple[Outcome, ...]:
    """Wrong answers, the most confident first; of written ones those with the lowest grade."""
    wrong = [one for one in outcomes if one.score < 1.0]
    return tuple(sorted(wrong, key=lambda one: (one.margin, one.score))[:limit])


def save(folder: Path, result: RunResult) -> None:
    """Write a run's outcomes into its folder."""
    lines = [
        json.dumps(
            {
                "split": kept.split,
                "prompt": kept.which,
                **data_of(kept.outcome),
                "images": [str(path.resolve()) for path in kept.images],
                **({"fields": dict(kept.fields)} if kept.fields else {}),
            },
            ensure_ascii=False,
        )
        for kept in of_run(result)
    ]
    write_text(folder / FILE_NAME, "".join(f"{line}\n" for line in lines), JournalError, PRIVATE)


def load(folder: Path) -> list[Kept]:
    """The outcomes in a run's folder, [] where there are none. Raises `JournalError` for a file
    that is damaged."""
    path = folder / FILE_NAME
    if not path.is_file():
        return []
    text = read_text(path, JournalError, MAX_BYTES)
    return [_kept(line, f"{path}:{n}") for n, line in enumerate(text.split("\n"), 1) if line]


def _kept(line: str, where: str) -> Kept:
    try:
        data = json.loads(line)
        outcome = Outcome(
            data["id"],
            data["gold"],
            data["predicted"],
            data["score"],
            data["margin"],
            data["probabilities"],
            data["reply"],
            data.get("reasoning", ""),
        )
        images = tuple(Path(name) for name in data["images"])
        return Kept(data["split"], data["prompt"], outcome, images, data.get("fields", {}))
    except (ValueError, KeyError, TypeError):
        raise JournalError(f"{where}: is no outcome: run search with --resume to make it") from None
