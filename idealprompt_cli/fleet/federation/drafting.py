"""Strategies in a federation: those that need evidence run on boxes.

A strategy is first tried here, with no evidence; as soon as it asks for any, a box makes the drafts
from its own examples. The groups of that box are then scored by the version that another box made
(cross-fitting with boxes as folds), so that no example is scored by a draft that it inspired.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from ...core.answer_schema import AnswerKind
from ...core.interfaces import Draft, Evidence, Strategy, StrategyContext
from ...core.prompt import Message, Prompt
from ...core.requests import GenerateRequest
from ...core.task import Example
from ...evaluation.metered_engine import MeteredEngine
from ...prompts.serialisation import from_dict, to_dict
from .box import DRAFTS
from .evaluator import GroupId
from .federation import Federation


class NeedsEvidence(Exception):
    """Raised where a strategy asks for what only boxes have."""


class _Nothing:
    """In place of evidence or an evaluation: there is nothing here to look at."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NeedsEvidence(name)


@dataclass
class BoxEvidence(_Nothing):
    """The boxes that may draft, without those whose groups are left out. Everything else that
    evidence offers is on the boxes."""

    federation: Federation
    excluded: frozenset[str] = frozenset()
    examples: Sequence[Example] = ()

    def excluding(self, ids: Collection[str]) -> BoxEvidence:
        boxes = frozenset(GroupId.of(one).box for one in ids)
        return BoxEvidence(self.federation, self.excluded | boxes)

    def boxes(self) -> list[str]:
        """Boxes whose drafts may leave, in the order of their names."""
        return sorted(
            name
            for name, box in self.federation.boxes.items()
            if box.drafts and name not in self.excluded
        )

    def affordable(self) -> int:
        return 0

    def described(self) -> bool:
        return False

    def image_tokens(self, limit: int = 0) -> float:
        del limit
        return 0.0


@dataclass
class FederatedStrategy(Strategy):
    """A strategy as the search sees it. `held_back` counts drafts that the boxes' guards kept."""

    inner: Strategy
    federation: Federation
    engine: MeteredEngine
    seed: int
    name: str = ""
    summary: str = ""
    source: str = ""
    kinds: tuple[AnswerKind, ...] = ()
    needs_images: bool = False
    held_back: int = 0
    _known: dict[tuple[str, str, int], list[Prompt]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in ("name", "summary", "source", "kinds", "needs_images"):
            setattr(self, part, getattr(self.inner, part))

    def possible(self, evidence: Evidence) -> bool:
        try:
            return self.inner.possible(evidence)
        except NeedsEvidence:
            return True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        del prompt, context
        return True

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterable[Draft]:
        here = _without_data(context)
        try:
            if self.inner.applies(prompt, here):
                yield from self.inner.propose(prompt, here)
        except NeedsEvidence:
            yield from self._on_boxes(prompt)

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        del prompt, context
        return None  # the evidence is elsewhere

    def _on_boxes(self, prompt: Prompt) -> Iterator[Draft]:
        evidence = BoxEvidence(self.federation)
        boxes = evidence.boxes()
        if not boxes:
            return
        box = boxes[self._turn(prompt) % len(boxes)]
        for place, made in enumerate(self._drafts(prompt, box)):
            refit = partial(self._refit, place=place, box=box)
            yield Draft(made, self.summary, refit)

    def _refit(self, prompt: Prompt, evidence: Evidence, *, place: int, box: str) -> Prompt | None:
        """The draft of that place by a box that is not left out: the first choice is `box`."""
        assert isinstance(evidence, BoxEvidence)
        boxes = evidence.boxes()
        if not boxes:
            return None
        chosen = box if box in boxes else boxes[self._turn(prompt) % len(boxes)]
        made = self._drafts(prompt, chosen)
        return made[place] if place < len(made) else None

    def _turn(self, prompt: Prompt) -> int:
        text = f"{self.seed} {self.name} {json.dumps(to_dict(prompt), sort_keys=True)}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def _drafts(self, prompt: Prompt, box: str) -> list[Prompt]:
        """What a box drafts; kept in the journal, so that it is asked once."""
        question = {"box": box, "prompt": to_dict(prompt), "strategy": self.name, "seed": self.seed}
        text = json.dumps(question, sort_keys=True, ensure_ascii=False)
        key = (box, text, DRAFTS)
        if key not in self._known:
            request = GenerateRequest((Message("user", (text,)),))
            (answer, _), *_ = self.engine.texts_with_cost([request], evaluations=0)
            found: dict[str, Any] = json.loads(answer.text)
            self.held_back += int(found["held_back"])
            self._known[key] = [from_dict(one) for one in found["drafts"]]
        return self._known[key]


def _without_data(context: StrategyContext) -> StrategyContext:
    nothing: Any = _Nothing()
    return StrategyContext(
        context.task, nothing, context.rng, nothing, context.proposer, context.versions
    )
