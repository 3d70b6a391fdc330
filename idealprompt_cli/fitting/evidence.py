"""The model's own statements about the training images: descriptions, answers, word scores.

Implements `interfaces.Evidence` on a `MeteredEngine`, so that every answer is paid once and kept.
It only holds training examples; a view without some of them is `excluding`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..core.errors import ModelError
from ..core.interfaces import SizesImages
from ..core.prompt import Prompt
from ..core.requests import GenerateRequest, ScoreRequest
from ..core.task import Example
from ..evaluation.metered_engine import MeteredEngine
from ..prompts.questions import prompt_of, with_fields
from ..prompts.rendering import lead, prefill, render
from . import text_contrast

T = TypeVar("T")
Asked = tuple[Prompt, tuple[str, ...]]

# The commonest captioning instruction, fitted to no one model.
DESCRIBE = "Describe this image in one sentence."
DESCRIPTION_TOKENS = 64
ANSWER_TOKENS = 12


@dataclass
class _Heard:
    """All that was asked so far, shared by the views of one evidence."""

    texts: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    scores: dict[Asked, dict[str, Mapping[str, float]]] = field(default_factory=dict)


class ModelEvidence:
    """Evidence from one model on (some of) the training examples, in a fixed order."""

    def __init__(
        self,
        engine: MeteredEngine,
        labels: Sequence[str],
        examples: Sequence[Example],
        heard: _Heard | None = None,
    ) -> None:
        self.examples: Sequence[Example] = tuple(examples)
        self._engine = engine
        self._labels = tuple(labels)
        self._fields = tuple(dict.fromkeys(name for e in self.examples for name in e.fields))
        self._heard = heard or _Heard()
        self._kept: dict[str, Any] = {}
        self._views: dict[frozenset[str], ModelEvidence] = {}

    def descriptions(self) -> Mapping[str, str]:
        shown = [example for example in self.examples if example.images]
        said = self._texts([DESCRIBE], DESCRIPTION_TOKENS, shown)[0]
        texts = {e.id: (said.get(e.id, ""), *e.fields.values()) for e in self.examples}
        return {i: " ".join(part for part in parts if part) for i, parts in texts.items()}

    def described(self) -> bool:
        known = self._heard.texts.get((DESCRIBE, DESCRIPTION_TOKENS), {})
        return all(example.id in known for example in self.examples if example.images)

    def example_texts(self) -> Sequence[str]:
        said = self._heard.texts.get((DESCRIBE, DESCRIPTION_TOKENS), {}).values()
        return [*said, *(text for example in self.examples for text in example.fields.values())]

    def vocabulary(self, limit: int = 40) -> Sequence[str]:
        return text_contrast.vocabulary(list(self.descriptions().values()), limit)

    def ask(self, questions: Sequence[str]) -> Sequence[Mapping[str, str]]:
        said = self._texts(questions, ANSWER_TOKENS, self.examples)
        return [{i: _short(text) for i, text in answers.items()} for answers in said]

    def word_scores(
        self, asked: Sequence[tuple[Prompt, Sequence[str]]]
    ) -> Sequence[Mapping[str, Mapping[str, float]]]:
        kept = [(self.shown(prompt), apart(words)) for prompt, words in asked]
        missing = [
            (one, e)
            for one in dict.fromkeys(kept)
            for e in self.examples
            if e.id not in self._heard.scores.get(one, ())
        ]
        requests = []
        for (prompt, words), e in missing:
            start = prefill(prompt)
            messages = render(prompt, self._labels, len(e.images), e.fields)
            options = tuple(lead(start) + word for word in words)
            requests.append(ScoreRequest(messages, e.images, options, start))
        answers = self._engine.score(requests) if requests else []
        for (one, e), answer in zip(missing, answers, strict=True):
            row = dict(zip(one[1], answer.logprobs, strict=True))
            self._heard.scores.setdefault(one, {})[e.id] = row
        return [{e.id: self._heard.scores[one][e.id] for e in self.examples} for one in kept]

    def excluding(self, ids: Collection[str]) -> ModelEvidence:
        left_out = frozenset(ids)
        if left_out not in self._views:
            kept = [example for example in self.examples if example.id not in left_out]
            self._views[left_out] = ModelEvidence(self._engine, self._labels, kept, self._heard)
        return self._views[left_out]

    def sample(self, per_label: int) -> ModelEvidence:
        taken: dict[str, int] = {}
        kept = []
        for example in self.examples:
            taken[example.answer] = taken.get(example.answer, 0) + 1
            if taken[example.answer] <= per_label:
                kept.append(example)
        return ModelEvidence(self._engine, self._labels, kept, self._heard)

    def once(self, key: str, make: Callable[[], T]) -> T:
        if key not in self._kept:
            self._kept[key] = make()
        value: T = self._kept[key]
        return value

    def image_tokens(self, limit: int = 0) -> float:
        images = [image for example in self.examples for image in example.images]
        engine = self._engine.inner
        if not images or not isinstance(engine, SizesImages):
            return 0.0
        try:
            return sum(engine.image_tokens(images, limit)) / len(images)
        except ModelError:
            return 0.0

    def affordable(self) -> int:
        return self._engine.account.affordable()

    def price(self, questions: Sequence[str]) -> int:
        known = [self._heard.texts.get((q, ANSWER_TOKENS), {}) for q in questions]
        return sum(e.id not in answers for answers in known for e in self.examples)

    def _texts(
        self, questions: Sequence[str], tokens: int, examples: Sequence[Example]
    ) -> list[Mapping[str, str]]:
        """Per question: example id -> what the model writes. All that is new in one call."""
        missing = [
            (q, e)
            for q in dict.fromkeys(questions)
            for e in examples
            if e.id not in self._heard.texts.get((q, tokens), ())
        ]
        requests = [self._request(q, e, tokens) for q, e in missing]
        answers = self._engine.generate(requests) if requests else []
        for (q, e), answer in zip(missing, answers, strict=True):
            self._heard.texts.setdefault((q, tokens), {})[e.id] = answer.text.strip()
        return [{e.id: self._heard.texts[q, tokens][e.id] for e in examples} for q in questions]

    def _request(self, question: str, example: Example, tokens: int) -> GenerateRequest:
        prompt = Prompt(question) if question == DESCRIBE else self.shown(prompt_of(question))
        messages = render(prompt, images=len(example.images), fields=example.fields)
        stop, start = ("\n",), prefill(prompt)
        return GenerateRequest(messages, example.images, tokens, stop, prefill=start)

    def shown(self, prompt: Prompt) -> Prompt:
        """The prompt with every field of the examples in its question."""
        return prompt.with_(question=with_fields(prompt.question, self._fields))


def apart(words: Sequence[str]) -> tuple[str, ...]:
    """The words in order without those that begin, or are begun by, an earlier one: only such
    words have scores that do not depend on the others (see `Scored`)."""
    kept: list[str] = []
    for word in dict.fromkeys(words):
        if not any(word.startswith(other) or other.startswith(word) for other in kept):
            kept.append(word)
    return tuple(kept)


def _short(text: str) -> str:
    """A short answer without the quotation marks, brackets and stops around it."""
    return text.strip().strip("\"'“”[]()*").rstrip(".!,;: ").strip().strip("\"'“”[]()*")
