"""An edit that is proposed: what it changes, why, and which examples gave the idea."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core.edits import Change
from ..core.interfaces import Draft, Evidence
from ..core.prompt import Prompt
from ..evaluation.cross_fitting import Candidate, Fold, derive
from ..prompts.serialisation import to_dict


@dataclass(frozen=True)
class Proposal:
    """`draft.refit` makes the edit again without a fold's examples; an edit without it is tested
    on the examples outside `inspired_by` only. `versions` are given where the edit brings its own
    version for each fold (parts of another cross-fitted candidate)."""

    kind: str
    draft: Draft
    why: str
    confusion: str = ""
    inspired_by: tuple[str, ...] = ()
    versions: Mapping[int, Prompt] = field(default_factory=dict)

    def candidate(
        self, incumbent: Candidate, evidence: Evidence, folds: Sequence[Fold]
    ) -> Candidate:
        """The child of the incumbent, with its versions for the folds."""
        if self.versions:
            return Candidate(self.draft.prompt, self.versions)
        return derive(incumbent, self.draft, evidence, folds)

    def untested(self) -> tuple[str, ...]:
        """Examples that must not score it."""
        fitted = self.draft.refit is not None or self.versions
        return () if fitted else self.inspired_by


def differences(before: Prompt, after: Prompt) -> tuple[Change, ...]:
    """The parts that differ, as text."""
    old, new = to_dict(before), to_dict(after)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return tuple(Change(name, _text(old.get(name)), _text(new.get(name))) for name in names)


def key(changes: Sequence[Change]) -> str:
    """Equal for edits that leave the same parts with the same content."""
    content = sorted((change.part, change.after) for change in changes)
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()[:16]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
