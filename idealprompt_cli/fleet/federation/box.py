"""A box: its own task folder, its own model, and the few questions that it answers.

The coordinator's questions are JSON. Answers hold sums over groups of examples, drafted prompts
that passed the guard, token counts and the model's identity; no example, image, name or answer.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import __version__, metrics, strategies
from ...core.errors import IdealPromptError, UsageError
from ...core.interfaces import Draft, Engine, StrategyContext
from ...core.prompt import Prompt
from ...core.task import Example, Task
from ...evaluation.budget import Budget, OutOfBudget
from ...evaluation.cross_fitting import shuffled
from ...evaluation.evaluator import Evaluator
from ...evaluation.metered_engine import MeteredEngine
from ...fitting.evidence import ModelEvidence
from ...prompts.rendering import render
from ...prompts.serialisation import fingerprint, from_dict, to_dict
from ...prompts.validation import copies
from ...storage.journal import Journal
from ...storage.response_cache import ResponseCache
from .privacy import Policy, Releases, Sums
from .sums import gold_of, sums_of

PROTOCOL = 1
DRAFTS = 5
"""Drafts of a strategy that are made at a time."""
_EVIDENCE_PER_EXAMPLE = 8
_GOLD = "gold"


@dataclass(frozen=True)
class Group:
    """Examples that are summed over. Its name is public."""

    name: str
    examples: tuple[Example, ...]


def groups_of(examples: Sequence[Example], policy: Policy) -> tuple[Group, ...]:
    """Stratified groups of at least `min_group` examples, in an order that depends on the examples
    alone; one group where there is noise, none where there are too few examples."""
    ordered = shuffled(examples, 0)
    if len(ordered) < policy.min_group:
        return ()
    count = 1 if policy.noisy else len(ordered) // policy.min_group
    parts = [ordered[start::count] for start in range(count)]
    return tuple(Group(str(place), tuple(part)) for place, part in enumerate(parts))


class Box:
    """Answers questions. One at a time: the model is not shared between threads."""

    def __init__(
        self,
        task: Task,
        engine: Engine,
        policy: Policy,
        releases: Releases | None = None,
        cache: ResponseCache | None = None,
    ) -> None:
        policy.check()
        if task.answer != "label" or not task.labels:
            raise UsageError(
                f"{task.root}: has answers of kind {task.answer}: a federation needs one label for "
                "each example"
            )
        self.task, self.policy = task, policy
        self._engine = engine
        self._releases = releases or Releases(None, policy)
        self._measuring = MeteredEngine(engine, Journal.memory(), cache=cache)
        self._metric = metrics.get(task.metric)
        splits = {"train": task.selection, "test": task.test}
        self._groups = {name: groups_of(own, policy) for name, own in splits.items()}
        self._operations: Mapping[str, Callable[..., Any]] = {
            "describe": self.describe,
            "measure": self._measure,
            "compare": self._compare,
            "draft": self._draft,
            "count": self._count,
        }

    def ask(self, data: bytes) -> bytes:
        """The answer to a question, {"error": ...} where it cannot be given."""
        started = time.perf_counter()
        try:
            question = json.loads(data)
            operation = self._operations[question.pop("op")]
            answer = {"ok": operation(**question)}
        except IdealPromptError as error:
            answer = {"error": self._without_names(str(error))}
        except (ValueError, KeyError, TypeError, AttributeError):
            answer = {"error": "not a question of this protocol: install the same idealprompt"}
        answer["seconds"] = round(time.perf_counter() - started, 6)
        return json.dumps(answer, separators=(",", ":")).encode()

    # --- operations -------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """What must agree between boxes, and what the coordinator plans with."""
        info = self._engine.info()
        return {
            "protocol": PROTOCOL,
            "version": __version__,
            "data": self._releases.data,
            "question": self.task.question,
            "labels": self.task.labels,
            "metric": self.task.metric,
            "language": self.task.language,
            "images": max((len(e.images) for e in self.task.train), default=0),
            "fields": self.task.fields,
            "model": {
                **{k: v for k, v in asdict(info).items() if k not in ("path", "mmproj", "details")},
                "build": info.details.get("llama_cpp_python", ""),
            },
            "groups": {
                split: [len(group.examples) for group in groups]
                for split, groups in self._groups.items()
            },
            "left": {split: self._releases.left(split) for split in self._groups},
            "policy": self.policy.statement(),
            "sigma": self.policy.sigma,
            "drafts": self.policy.drafts_allowed,
        }

    def _measure(self, prompts: Sequence[Any], asks: Sequence[Sequence[Any]]) -> list[Sums]:
        """Sums for each of `asks`: (number of the prompt, split, number of the group). A prompt
        that is None asks for the labels' own counts."""
        parsed = [None if one is None else from_dict(one) for one in prompts]
        keys = [_GOLD if one is None else fingerprint(one) for one in parsed]
        missing: dict[tuple[int, str], list[Group]] = {}
        for number, split, place in asks:
            group = self._groups[split][place]
            if self._releases.known(split, keys[number], group.name) is None:
                missing.setdefault((number, split), []).append(group)
        for (number, split), groups in missing.items():
            self._releases.release(split, keys[number], {})  # raises before anything is computed
            sums = self._sums(parsed[number], groups)
            self._releases.release(split, keys[number], sums)
        found = (
            self._releases.known(split, keys[number], self._groups[split][place].name)
            for number, split, place in asks
        )
        return [one for one in found if one is not None]

    def _sums(self, prompt: Prompt | None, groups: Sequence[Group]) -> dict[str, Sums]:
        labels = self.task.labels
        if prompt is None:
            return {g.name: gold_of([e.answer for e in g.examples], labels) for g in groups}
        pairs = [(prompt, example) for group in groups for example in group.examples]
        judged = iter(self._evaluator().judge(pairs))
        return {
            group.name: sums_of([next(judged).outcome for _ in group.examples], labels)
            for group in groups
        }

    def _compare(self, first: Any, second: Any, split: str) -> Sums:
        """(better, worse): on how many examples of a split the second is right and the first wrong,
        and the other way round. Each is a prompt, or a label that is always answered."""
        groups = self._groups[split]
        key = "compare " + json.dumps([first, second], sort_keys=True)
        known = self._releases.known(split, key, "all")
        if known is None:
            self._releases.release(split, key, {})
            examples = [example for group in groups for example in group.examples]
            before, after = (self._scores(one, examples) for one in (first, second))
            pairs = list(zip(before, after, strict=True))
            counts = (sum(b > a for a, b in pairs), sum(b < a for a, b in pairs))
            known = self._releases.release(split, key, {"all": counts})["all"]
        return known

    def _scores(self, asked: Any, examples: Sequence[Example]) -> list[float]:
        if isinstance(asked, str):
            return [self._metric.grade(asked, example.answers) for example in examples]
        prompt = from_dict(asked)
        judged = self._evaluator().judge([(prompt, example) for example in examples])
        return [one.outcome.score for one in judged]

    def _count(self, prompts: Sequence[Any]) -> list[int]:
        """Tokens of each prompt, without the images'."""
        labels = self.task.labels
        return [self._engine.count_tokens(render(from_dict(one), labels)) for one in prompts]

    # --- drafts -----------------------------------------------------------------------------------

    def _draft(self, prompt: Any, strategy: str, seed: int, skip: int = 0) -> dict[str, Any]:
        """What a strategy makes of a prompt with this box's examples: drafted prompts that passed
        the guard, and how many did not."""
        if not self.policy.drafts_allowed:
            raise UsageError("drafted texts stay on this box")
        parent = from_dict(prompt)
        member = strategies.select((strategy,), self.task.answer)[0]
        limit = Budget(_EVIDENCE_PER_EXAMPLE * len(self.task.train))
        metered = self._measuring.with_budget(limit)
        train = shuffled(self.task.train, 0)
        evidence = ModelEvidence(metered, self.task.labels, train)
        made, held_back = [], 0
        for draft in _within_budget(self._proposed(parent, member, evidence, metered, seed), skip):
            if self._may_leave(draft.prompt, parent, evidence):
                made.append(to_dict(draft.prompt))
            else:
                held_back += 1
        return {"drafts": made, "held_back": held_back}

    def _proposed(
        self,
        parent: Prompt,
        member: Any,
        evidence: ModelEvidence,
        metered: MeteredEngine,
        seed: int,
    ) -> Iterator[Draft]:
        name = f"{seed} {fingerprint(parent)} {member.name}"
        incumbent = Evaluator(metered, self.task, self._metric).evaluate(parent, self.task.train)
        context = StrategyContext(
            self.task, evidence, random.Random(name), incumbent=incumbent, versions=1
        )
        if member.applies(parent, context):
            yield from member.propose(parent, context)

    def _may_leave(self, prompt: Prompt, parent: Prompt, evidence: ModelEvidence) -> bool:
        """Whether a drafted prompt copies no run of words from what is known of the examples, and
        names none of them."""
        said = [*evidence.example_texts(), *(e.answer for e in self._examples())]
        known = " ".join(_texts(to_dict(parent)))
        for text in _texts(to_dict(prompt)):
            if copies(text, said, known) or self._names(text, known):
                return False
        return True

    def _names(self, text: str, known: str) -> bool:
        """Whether a text has a name of an example or of its file as a word of its own, or one of
        the examples' texts as a whole, that the parent has not."""
        secrets = {Path(str(part)).stem for e in self._examples() for part in (e.id, *e.images)}
        secrets |= {value for e in self._examples() for value in e.fields.values()}
        return any(
            re.search(rf"(?<!\w){re.escape(one)}(?!\w)", text, re.IGNORECASE) is not None
            and one.casefold() not in known.casefold()
            for one in secrets
            if len(one) > 2 and one not in self.task.labels
        )

    # --- inside -----------------------------------------------------------------------------------

    def _examples(self) -> tuple[Example, ...]:
        return (*self.task.train, *self.task.validation, *self.task.test)

    def _evaluator(self) -> Evaluator:
        return Evaluator(self._measuring, self.task, self._metric)

    def _without_names(self, text: str) -> str:
        """An error without paths and names of examples, which it may name."""
        names = sorted(
            {str(part) for e in self._examples() for part in (e.id, e.source, *e.images)},
            key=len,
            reverse=True,
        )
        for one in (*names, str(self.task.root)):
            text = text.replace(one, "(an example)")
        return text


def _within_budget(drafts: Iterator[Draft], skip: int) -> Iterator[Draft]:
    """The next drafts, as far as their evidence can be paid."""
    try:
        for place, draft in enumerate(drafts):
            if place >= skip + DRAFTS:
                return
            if place >= skip:
                yield draft
    except OutOfBudget:
        return


def _texts(value: Any) -> Iterator[str]:
    """All texts in plain data, keys included: label descriptions are kept under their labels."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, Sequence):
        for inner in value:
            yield from _texts(inner)
