"""The evaluator of a federation: a group of examples on a box is what the search calls an example.

Sums travel as the log-probabilities of an ordinary `ScoreRequest`, so that the metered engine keeps
them in the journal, charges them once and finds them again when a run is resumed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.committee import Asked
from ...core.errors import UsageError
from ...core.interfaces import Metric
from ...core.prompt import FieldText, Message, Prompt
from ...core.requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from ...core.results import Cost, Evaluation, Interval, Outcome
from ...core.task import Example, Task
from ...evaluation.evaluator import Evaluator, Judged, Pair
from ...evaluation.metered_engine import MeteredEngine
from ...evaluation.statistics import wilson
from ...prompts.serialisation import to_dict
from .federation import Federation
from .sums import expanded, margin_of, names, right_of

_EVERYWHERE = 1 << 30
"""Groups that are asked about at once: every box at the same time."""


@dataclass(frozen=True)
class GroupId:
    """A group on a box. As text: box/data/split/place."""

    box: str
    data: str
    split: str
    place: int

    def __str__(self) -> str:
        return f"{self.box}/{self.data}/{self.split}/{self.place}"

    @staticmethod
    def of(text: str) -> GroupId:
        box, data, split, place = text.split("/")
        return GroupId(box, data, split, int(place))


def task_of(federation: Federation, members: Sequence[str]) -> Task:
    """The task as the search sees it: its examples are the boxes' groups, and an example's answer
    is its box, so that boxes take turns in every block."""
    first = federation.first

    def examples(split: str) -> tuple[Example, ...]:
        return tuple(
            Example(
                str(GroupId(box.name, box.data, split, place)),
                (Path("image"),) * box.images,
                box.name,
                f"box {box.name}",
            )
            for box in federation.boxes.values()
            for place in range(len(box.sizes[split]))
        )

    name = "federation"
    common = [first.question, first.labels, first.metric, sorted(members)]
    return Task(
        name=name,
        root=Path(name),
        question=first.question,
        labels=first.labels,
        metric=first.metric,
        train=examples("train"),
        test=examples("test"),
        language=first.language,
        fields=first.fields,
        fingerprint=_digest(common),
    )


def _digest(value: object) -> str:
    import hashlib

    return hashlib.sha256(json.dumps(value, default=list).encode()).hexdigest()[:16]


def prompt_text(prompt: Prompt | None) -> str:
    """A prompt as it travels; "" asks for the labels' own counts."""
    if prompt is None:
        return ""
    return json.dumps(to_dict(prompt), ensure_ascii=False, separators=(",", ":"))


class FederatedEngine:
    """An `Engine` whose scores are sums of boxes, and whose texts are their drafts."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._names = names(federation.first.labels)

    def info(self) -> ModelInfo:
        return self._federation.first.model

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Words of the rendered chat: how long a prompt is beside another one. The boxes' own
        counts are those of the artifact."""
        parts = (part for message in messages for part in message.content)
        return sum(len(part.split()) for part in parts if isinstance(part, str))

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """The sums of each (prompt, group), in one question to each box."""
        questions: dict[str, dict[str, Any]] = {}
        places: list[tuple[str, int]] = []
        for request in requests:
            text, group = request.messages[0].content
            wanted = GroupId.of(str(group))
            question = questions.setdefault(wanted.box, {"prompts": [], "asks": [], "texts": {}})
            known = question["texts"]
            if text not in known:
                known[text] = len(known)
                question["prompts"].append(json.loads(str(text)) if text else None)
            places.append((wanted.box, len(question["asks"])))
            question["asks"].append((known[text], wanted.split, wanted.place))
        for question in questions.values():
            del question["texts"]
        values = self._federation.ask("measure", questions)
        for box, question in questions.items():
            account = self._federation.accounts[box]
            account.requests += len(question["asks"])
        return [Scored(self._checked(values[box][place])) for box, place in places]

    def _checked(self, sums: Sequence[Any]) -> tuple[float, ...]:
        if len(sums) != len(self._names):
            raise UsageError("a box gave sums of another length: install the same idealprompt")
        return tuple(float(one) for one in sums)

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """The drafts of strategies on boxes: each request is the JSON of a question."""
        answers = []
        for request in requests:
            question = json.loads(str(request.messages[0].content[0]))
            box = question.pop("box")
            value = self._federation.ask("draft", {box: question})[box]
            answers.append(Generated(json.dumps(value, ensure_ascii=False)))
        return answers

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class FederatedEvaluator(Evaluator):
    """Grades groups: the outcome of a group has the share of right answers as its score."""

    engine: MeteredEngine
    task: Task
    metric: Metric
    sizes: Mapping[str, int]
    sigma: Mapping[str, float]
    _gold: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @staticmethod
    def on(federation: Federation, task: Task, metric: Metric, engine: MeteredEngine) -> Any:
        """The evaluator for a federation's boxes."""
        sizes, sigma = {}, {}
        for example in (*task.train, *task.test):
            group = GroupId.of(example.id)
            box = federation.boxes[group.box]
            sizes[example.id] = box.sizes[group.split][group.place]
            sigma[example.id] = box.sigma
        return FederatedEvaluator(engine, task, metric, sizes, sigma)

    def judge(self, pairs: Sequence[Pair]) -> list[Judged]:
        labels = self.task.labels
        answers = self.engine.scores_with_cost([self._request(one, e) for one, e in pairs])
        return [
            Judged(
                Outcome(
                    example.id,
                    "",
                    "",
                    right_of(sums.logprobs, labels, self.sizes[example.id])
                    / self.sizes[example.id],
                    margin_of(sums.logprobs),
                ),
                cost,
            )
            for (sums, cost), (_, example) in zip(answers, pairs, strict=True)
        ]

    def free(self, pairs: Sequence[Pair]) -> bool:
        return self.engine.price([self._request(one, example) for one, example in pairs]) == 0

    def summarise(self, judged: Sequence[Judged]) -> Evaluation:
        """The share of right answers over all examples of the groups, with Wilson's interval, made
        wider by the noise."""
        outcomes = tuple(item.outcome for item in judged)
        sizes = [self.sizes[outcome.example_id] for outcome in outcomes]
        total = sum(sizes)
        weighted = list(zip(sizes, outcomes, strict=True))
        value = sum(n * o.score for n, o in weighted) / total if total else 0.0
        margin = sum(n * o.margin for n, o in weighted) / total if total else 0.0
        cost = sum((item.cost for item in judged), Cost())
        interval = self._interval(value, total, [o.example_id for o in outcomes])
        return Evaluation(self.metric.name, value, interval, outcomes, margin, cost)

    def _interval(self, value: float, total: int, groups: Sequence[str]) -> Interval:
        found = wilson(value * total, total)
        labels = len(self.task.labels)
        variance = sum(labels * self.sigma[group] ** 2 for group in groups)
        noise = 1.96 * variance**0.5 / total if total else 0.0
        return Interval(max(0.0, found.low - noise), min(1.0, found.high + noise))

    def _request(self, asked: Asked, example: Example) -> ScoreRequest:
        assert isinstance(asked, Prompt), "a federation has no committees"
        return self._sums_request(asked, example.id)

    def _sums_request(self, prompt: Prompt | None, group: str) -> ScoreRequest:
        message = Message("user", (prompt_text(prompt), FieldText(group)))
        return ScoreRequest((message,), (), names(self.task.labels))

    # --- for the end ------------------------------------------------------------------------------

    def counted(self, versions: Mapping[str, Prompt]) -> list[Outcome]:
        """Outcomes of single examples whose counts are those of the groups (see `sums.expanded`);
        `versions` has the prompt of each group. What is known costs nothing."""
        self._ask_gold(list(versions))
        asked = [self._sums_request(prompt, group) for group, prompt in versions.items()]
        found = self.engine.scores_with_cost(asked)
        made = []
        for group, (sums, _) in zip(versions, found, strict=True):
            gold, size = self._gold[group], self.sizes[group]
            made += expanded(group, sums.logprobs, gold, self.task.labels, size)
        return made

    def gold(self, groups: Sequence[str]) -> dict[str, int]:
        """How many examples of the groups have each label."""
        self._ask_gold(groups)
        labels = self.task.labels
        rows = [self._gold[group][-len(labels) :] for group in groups]
        return {
            label: max(0, round(sum(row[place] for row in rows)))
            for place, label in enumerate(labels)
        }

    def _ask_gold(self, groups: Sequence[str]) -> None:
        missing = [group for group in groups if group not in self._gold]
        asked = [self._sums_request(None, group) for group in missing]
        found = self.engine.scores_with_cost(asked, evaluations=0) if asked else []
        for group, (sums, _) in zip(missing, found, strict=True):
            self._gold[group] = sums.logprobs
