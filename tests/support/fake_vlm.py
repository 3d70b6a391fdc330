"""A pretend vision-language model for the search's tests: sees attributes, knows no private label.

It describes a picture, answers questions that name an attribute, picks the offered word that fits,
looks labels up in definitions (not always), and is at chance on anything else.
"""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from idealprompt_cli.core.errors import ContextError
from idealprompt_cli.core.prompt import FieldText, Message
from idealprompt_cli.core.requests import (
    Generated,
    GenerateRequest,
    ModelInfo,
    Scored,
    ScoreRequest,
)
from idealprompt_cli.core.task import Example, Task

WORLD: Mapping[str, tuple[str, ...]] = {
    "colour": ("red", "green", "blue", "white"),
    "pattern": ("plain", "striped", "dotted", "checked"),
    "kind": ("mug", "lamp", "shirt", "vase"),
    "condition": ("intact", "scratched"),
}
MAX_CHARACTERS = 600


def picture(seed: int, **fixed: str) -> Path:
    """The name of a picture carries what it shows: no file is needed."""
    rng = random.Random(seed)
    seen = {name: fixed.get(name) or rng.choice(values) for name, values in WORLD.items()}
    return Path(f"{seed:04d}_" + "_".join(seen[name] for name in WORLD) + ".png")


def graded_task(n_train: int = 24, n_test: int = 40) -> Task:
    """C if scratched; else A if plain or striped, B if dotted or checked: two attributes."""
    task = shop_task(n_train, n_test)

    def label(example: Example) -> Example:
        _, _, pattern, _, condition = example.images[0].stem.split("_")
        whole = "A" if pattern in ("plain", "striped") else "B"
        return replace(example, answer="C" if condition == "scratched" else whole)

    return replace(
        task,
        name="graded",
        question="Grade it with A, B or C.",
        labels=("A", "B", "C"),
        train=tuple(label(e) for e in task.train),
        test=tuple(label(e) for e in task.test),
        fingerprint="graded",
    )


def shop_task(n_train: int = 16, n_test: int = 40, attribute: str = "pattern") -> Task:
    """K7 if the attribute has its second or fourth value, M2 if its first or third."""
    values = WORLD[attribute]

    def examples(start: int, count: int) -> tuple[Example, ...]:
        made = []
        for place in range(start, start + count):
            value = values[place % len(values)]
            path = picture(place, **{attribute: value})
            label = "K7" if values.index(value) % 2 else "M2"
            made.append(Example(path.name, (path,), label, "made"))
        return tuple(made)

    return Task(
        name="shop",
        root=Path(),
        question="Which code is it, K7 or M2?",
        labels=("K7", "M2"),
        metric="accuracy",
        train=examples(0, n_train),
        test=examples(1000, n_test),
        fingerprint=f"{attribute}-{n_train}",
    )


def letters_task(n_train: int = 24, n_test: int = 40) -> Task:
    """The shop's task on letters about goods, in a text field, without pictures."""

    def letters(examples: Sequence[Example]) -> tuple[Example, ...]:
        return tuple(
            replace(
                e, images=(), fields={"letter": LETTER.format(*e.images[0].stem.split("_")[1:])}
            )
            for e in examples
        )

    task = shop_task(n_train, n_test)
    return replace(
        task,
        name="letters",
        question="Letter: {letter}\nWhich code is it, K7 or M2?",
        train=letters(task.train),
        test=letters(task.test),
        fields=("letter",),
        fingerprint="letters",
    )


LETTER = "Dear shop, I bought a {0} {1} {2} from you and it arrived {3} on Friday morning."


class FakeVlm:
    """An `Engine` that counts its calls. `fail_after` raises KeyboardInterrupt at that call."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.calls = 0
        self.scored: list[ScoreRequest] = []
        self.generated: list[GenerateRequest] = []
        self._fail_after = fail_after

    def info(self) -> ModelInfo:
        # The path of a small file, as a small model's: large ones are asked in smaller chunks.
        return ModelInfo("fake", "fake", "f00d", "fake", "fake", "none", 2048, __file__)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return len(_text(messages).split())

    def beginnings(
        self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Options are scored as a whole here."""
        del messages, prefill
        return options

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        self._called(requests)
        self.scored += requests
        return [_score(request) for request in requests]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        self._called(requests)
        self.generated += requests
        return [Generated(_reply(_text(r.messages), _seen(r)), 9) for r in requests]

    def close(self) -> None:
        pass

    @property
    def requests(self) -> int:
        return len(self.scored) + len(self.generated)

    def _called(self, requests: Sequence[ScoreRequest | GenerateRequest]) -> None:
        self.calls += 1
        if self._fail_after is not None and self.calls > self._fail_after:
            raise KeyboardInterrupt
        for request in requests:
            if len(_text(request.messages)) > MAX_CHARACTERS:
                raise ContextError("prompt does not fit")


def _text(messages: Sequence[Message]) -> str:
    return " ".join(p for m in messages for p in m.content if isinstance(p, str))


def _seen(request: ScoreRequest | GenerateRequest) -> dict[str, str]:
    """What the picture shows (nothing, for one without content), or without one, what the example's
    text fields speak of."""
    if request.images:
        shown = request.images[0].stem.split("_")[1:]
        return dict(zip(WORLD, shown, strict=True)) if shown else {}
    fields = (p for m in request.messages for p in m.content if isinstance(p, FieldText))
    words = set(re.findall(r"\w+", " ".join(fields)))
    found = {name: next((v for v in values if v in words), "") for name, values in WORLD.items()}
    return {name: value for name, value in found.items() if value}


def _asked(attribute: str, text: str) -> bool:
    """Whether the text names an attribute, in either spelling."""
    return attribute in text.replace("color", "colour").replace("main object", "kind")


def _reply(text: str, seen: Mapping[str, str]) -> str:
    if "escribe" in text and len(seen) == len(WORLD):
        return f"a {seen['colour']} {seen['pattern']} {seen['kind']}, {seen['condition']}."
    for name, value in seen.items():
        if _asked(name, text):
            return value
    return "item"


def _chance(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    return int(hashlib.sha256(repr(parts).encode()).hexdigest()[:8], 16) / 16**8


def _score(request: ScoreRequest) -> Scored:
    text, seen = _text(request.messages), _seen(request)
    name = request.images[0].name if request.images else str(sorted(seen.items()))
    weights = [
        2 * _chance(text, name, option) + 6 * _fits(text, seen, option.strip(), name)
        for option in request.options
    ]
    # The rest of the vocabulary weighs the same whatever else is offered, as in a real model.
    total = math.log(math.exp(8) + 20.0)
    return Scored(tuple(w - total for w in weights), len(text.split()))


def _fits(text: str, seen: Mapping[str, str], option: str, name: str) -> float:
    asked = [value for attribute, value in seen.items() if _asked(attribute, text)]
    if asked:
        return float(option == asked[0])
    defined = dict(re.findall(r"(\w+): ([\w ,]+)[;.]", text))
    if option in defined and any(v in defined[option] for v in seen.values()):
        return float(_chance(text, name) < 0.85)
    offered = option in seen.values() and option in text
    return float(offered)
