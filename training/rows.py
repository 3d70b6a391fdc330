"""Pack turns into fixed-length rows that share one image prefix.

A row is an image prefix followed by branches (question and answer). A branch sees the prefix and
itself, never its siblings, and its positions continue after the prefix, so seven questions share
one image, exactly as the engine evaluates them. A few branches are independent: questions with the
image after the text, and pure-text exercises (repeated random sequences, key-value recall)
that make induction heads form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import numpy as np
from tokenizers import Tokenizer

from training.language import ROLES, TEXT_MIXTURE, Turn, sample_turn
from training.scene import Scene
from training.tokens import ASSISTANT, TURN_END, TURN_START, USER

IMAGE = -1
QUESTION_WEIGHT = 0.08
LONG_ANSWER = 8
PICTURE_LAST = 0.02
TEXT_SHARE = 0.01  # questions about text alone that come with a picture nevertheless


@dataclass
class Row:
    """One training row, each array (length,). `slot` is the image-token index or -1."""

    tokens: list[int] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    segments: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def add(self, ids: list[int], weights: list[float], segment: int, start: int) -> None:
        """Append a segment; `weights[i]` is the loss weight of predicting ids[i + 1]."""
        slot = 0
        for i, token in enumerate(ids):
            self.tokens.append(max(token, 0))
            self.slots.append(slot if token == IMAGE else -1)
            slot += token == IMAGE
            self.positions.append(start + i)
            self.segments.append(segment)
            following = ids[i + 1] if i + 1 < len(ids) else 0
            self.targets.append(max(following, 0))
            self.weights.append(weights[i] if following != IMAGE else 0.0)


@dataclass(frozen=True)
class Batch:
    """Arrays (B, L); segment 0 is the picture prefix that every segment > 0 sees, segments < 0
    are independent, and padding has segment -999."""

    tokens: np.ndarray
    positions: np.ndarray
    segments: np.ndarray
    slots: np.ndarray
    targets: np.ndarray
    weights: np.ndarray

    def mask(self) -> np.ndarray:
        """(B, 1, L, L) True where a token may attend."""
        seg = self.segments
        same = seg[:, :, None] == seg[:, None, :]
        prefix = (seg[:, None, :] == 0) & (seg[:, :, None] > 0)
        causal = np.tril(np.ones((seg.shape[1],) * 2, bool))
        return ((same | prefix) & causal)[:, None]


class Packer:
    """Builds rows of `length` tokens for scenes, with `image_tokens` picture positions each."""

    def __init__(self, tokenizer: Tokenizer, length: int, image_tokens: int, seed: int) -> None:
        self.tokenizer, self.length, self.image_tokens = tokenizer, length, image_tokens
        self.rng = Random(seed)
        self.image = [IMAGE] * image_tokens
        self.user = self.ids(USER)
        self.assistant = self.ids(ASSISTANT)
        self.end = self.ids(TURN_END)
        vocab = tokenizer.get_vocab()
        self.verdicts = {vocab["\u0120yes"], vocab["\u0120no"]}
        self.plain = [i for t, i in vocab.items() if not t.startswith("<|") and len(t) > 1]

    def ids(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text).ids)

    def branch(self, turn: Turn) -> tuple[list[int], list[float]]:
        """Question, turn marks, answer and end; the weight of each token's successor."""
        question, answer = self.ids(turn.question), self.ids(turn.answer)
        ids = [*question, *self.assistant, *answer, *self.end]
        head = len(question) + len(self.assistant) - 1
        each = min(1.0, LONG_ANSWER / (len(answer) + 1))
        weights = [QUESTION_WEIGHT] * head + [each] * (len(answer) + 1) + [0.0]
        if turn.skill == "checklist":
            weights[head:-1] = [1.0 if i in self.verdicts else 0.1 for i in [*answer, *self.end]]
        if turn.skill in ("describe_first", "compare"):
            weights[-4:-2] = [1.0, 1.0]
        return ids, weights

    def prefix(self) -> list[int]:
        if self.rng.random() > 0.12:
            return [*self.user, *self.image]
        system = self.ids(f"{TURN_START}system\n{self.rng.choice(ROLES)}{TURN_END}\n")
        return [*system, *self.user, *self.image]

    def exercise(self) -> tuple[list[int], list[float]]:
        """A repeated random sequence, or keys and values with the keys asked again."""
        rng = self.rng
        if rng.random() < 0.5:
            part = [rng.choice(self.plain) for _ in range(rng.randint(4, 20))]
            ids = part + part
            return ids, [0.0] * (len(part) - 1) + [1.0] * len(part) + [0.0]
        pairs = rng.randint(2, 8)
        keys, values = (rng.sample(self.plain, pairs) for _ in range(2))
        first, mid, end = (rng.choice(self.plain) for _ in range(3))
        flip = rng.random() < 0.5
        ids, weights = [], []
        for k, v in zip(keys, values, strict=True):
            ids += [v, mid, k, end] if flip else [k, mid, v, end]
        weights = [0.0] * len(ids)
        for i in rng.sample(range(pairs), min(4, pairs)):
            ids += [first, keys[i], mid, values[i]]
            weights += [0.0, 0.0, 1.0, 0.0]
        return ids, weights

    def row(self, scene: Scene, exercises: float) -> Row:
        """A picture's prefix and as many branches as fit."""
        row = Row()
        prefix = self.prefix()
        row.add(prefix, [0.0] * len(prefix), 0, 0)
        segment = 1
        while True:
            ids, weights, alone = self._segment(scene, exercises)
            if len(row.tokens) + len(ids) > self.length:
                return row
            row.add(ids, weights, -segment if alone else segment, 0 if alone else len(prefix))
            segment += 1

    def text_row(self, scene: Scene) -> Row:
        """A row of questions about text alone, each a turn of its own."""
        row, segment = Row(), 1
        while True:
            ids, weights = self.branch(sample_turn(scene, self.rng, TEXT_MIXTURE))
            if len(row.tokens) + len(self.user) + len(ids) > self.length:
                return row
            row.add([*self.user, *ids], [0.0] * len(self.user) + weights, -segment, 0)
            segment += 1

    def _segment(self, scene: Scene, exercises: float) -> tuple[list[int], list[float], bool]:
        """The next segment of a row, and whether it is independent."""
        if self.rng.random() < exercises:
            return (*self.exercise(), True)
        if self.rng.random() < TEXT_SHARE:
            return (*self.branch(sample_turn(scene, self.rng, TEXT_MIXTURE)), False)
        ids, weights = self.branch(sample_turn(scene, self.rng))
        if self.rng.random() < PICTURE_LAST:
            return (*self._picture_last(ids, weights), True)
        return ids, weights, False

    def _picture_last(self, ids: list[int], weights: list[float]) -> tuple[list[int], list[float]]:
        """The same branch as a turn of its own with the picture after the question."""
        n = len(self.assistant)
        at = next(i for i in range(len(ids)) if ids[i : i + n] == self.assistant)
        zero = [0.0] * (len(self.user) + at + self.image_tokens)
        return [*self.user, *ids[:at], *self.image, *ids[at:]], zero + weights[at:]

    def batch(self, scenes: list[Scene], exercises: float, texts: int = 0) -> Batch:
        """One row for each scene, then `texts` rows without a picture."""
        rows = [self.row(s, exercises) for s in scenes]
        rows += [self.text_row(scenes[0]) for _ in range(texts)]
        shape = (len(rows), self.length)
        ints = {
            name: np.full(shape, fill, np.int64)
            for name, fill in (
                ("tokens", 0), ("positions", 0), ("segments", -999), ("slots", -1), ("targets", 0),
            )
        }  # fmt: skip
        weights = np.zeros(shape, np.float32)
        for i, row in enumerate(rows):
            n = len(row.tokens)
            for name, array in ints.items():
                array[i, :n] = getattr(row, name)
            weights[i, :n] = row.weights
        return Batch(**ints, weights=weights)
