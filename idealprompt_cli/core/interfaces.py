"""Every extension point of the package (layer 0): Engine, Metric, Strategy, Proposer, Observer.

A newcomer who adds one writes one file in the family's folder and one line in the registry in
that folder's `__init__.py` (a literal dict). The contracts are stated here and are held by the
contract tests that run over every registry entry.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from .answer_schema import AnswerKind
from .events import Event
from .prompt import Message, Prompt
from .requests import Generated, GenerateRequest, ModelInfo, Scored, ScoreRequest
from .results import Evaluation, Outcome
from .task import Example, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Notice = Callable[[str], None]
"""Receives lines for the user: a fallback, a download, a damaged cache."""


@runtime_checkable
class Engine(Protocol):
    """A vision-language model that scores options and generates text, many requests at a call.

    Contract: answers come in the order of the requests; requests are not mutated; the same
    request gives the same answer (greedy, no hidden state); a prompt that does not fit raises
    `ContextError` before anything is computed; the engine groups requests as suits it, so callers
    pass all they have in one call.
    """

    def info(self) -> ModelInfo:
        """Identity and shape of the loaded model."""

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Text tokens of the rendered chat, without the pictures'."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Log-probabilities of each request's options."""

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Greedy continuations."""

    def close(self) -> None:
        """Free everything; further calls raise `ModelError`. Safe to call twice."""


@runtime_checkable
class Accountable(Protocol):
    """What an engine may offer besides: an account of its work, for summaries and estimates."""

    def stats(self) -> Mapping[str, float]:
        """Counts and seconds since it was opened; `tokens`, `tokens_without_sharing` and
        `tokens_saved` at least."""

    def encoded(self, images: Sequence[Path]) -> int:
        """How many of these pictures were encoded before and need not be again."""

    def check(self) -> str:
        """Make sure now that quick ways of computing are right; why they are not used, or ""."""

    def reasons(self) -> Sequence[str]:
        """Why its settings are what they are, a clause each."""


@runtime_checkable
class Distinguishes(Protocol):
    """What an engine may offer besides: it knows which beginning of an option distinguishes it."""

    def beginnings(
        self, messages: tuple[Message, ...], prefill: str, options: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Of each option the shortest text that begins it and no other one, and whose tokens begin
        the option's; the options as they are where one of them begins another."""


@runtime_checkable
class Embeds(Protocol):
    """What an engine may offer besides: its view of pictures, for classifiers beside prompts."""

    def embed(self, images: Sequence[Path]) -> NDArray[np.float32]:
        """(images, width): the mean of each picture's tokens. Raises `ImageError`."""


@runtime_checkable
class SizesImages(Protocol):
    """What an engine may offer besides: it scales pictures, so that they take as many tokens as
    their `ImageSlot` says."""

    def image_tokens(self, images: Sequence[Path], limit: int = 0) -> Sequence[int]:
        """Tokens of each picture scaled to at most `limit` (0: as it is). Raises `ImageError`, or
        `ModelError` where a picture takes more at any size."""


class Metric(Protocol):
    """How answers are judged. `grade` judges one against all answers that count as right, the
    preferred one first, and is in [0, 1]; `aggregate` gives the value over a set, which need not be
    the mean of grades (macro-F1). Higher is better. The outcomes' `gold` is the accepted answer
    that the predicted one comes nearest to."""

    name: str
    summary: str

    def grade(self, predicted: str, accepted: Sequence[str]) -> float: ...

    def aggregate(self, outcomes: Sequence[Outcome]) -> float: ...


class Evidence(Protocol):
    """What the model itself says about the examples that may inspire a strategy.

    Implemented by `evidence.py`; answers are generated once and kept. Examples that inspire a
    draft are reported, so that the evaluator can leave them out of its score.
    """

    examples: Sequence[Example]

    def descriptions(self) -> Mapping[str, str]:
        """example id -> the model's own one-sentence description of its picture, then its text
        fields; for examples without a picture the fields alone, which cost nothing."""

    def described(self) -> bool:
        """Whether all descriptions were asked for before, so that they cost nothing now."""

    def example_texts(self) -> Sequence[str]:
        """All that is known in words of the examples, asked for or given: prompts must not quote
        it."""

    def vocabulary(self, limit: int = 40) -> Sequence[str]:
        """Content words of the descriptions, the most frequent first; labels are not looked at."""

    def ask(self, questions: Sequence[str]) -> Sequence[Mapping[str, str]]:
        """Per question: example id -> the model's short answer. All in one engine call."""

    def word_scores(
        self, asked: Sequence[tuple[Prompt, Sequence[str]]]
    ) -> Sequence[Mapping[str, Mapping[str, float]]]:
        """Per (prompt, words): example id -> word -> log p(word as the answer). One engine call;
        a word that begins another one is left out, so that words do not disturb each other."""

    def excluding(self, ids: Collection[str]) -> Evidence:
        """The same answers seen without some examples: what a cross-fitted edit may look at.
        The same view each time, with its own `once`."""

    def sample(self, per_label: int) -> Evidence:
        """The first `per_label` examples of each label (in a fixed shuffled order)."""

    def once(self, key: str, make: Callable[[], T]) -> T:
        """The value that `make` gave when this was first called with `key` on this evidence: for
        what takes long, or would come out differently later, because it depends on the budget."""

    def affordable(self) -> int:
        """Evaluations that the budget still allows; evidence costs one per new answer."""

    def image_tokens(self, limit: int = 0) -> float:
        """Tokens of an image on average, scaled to at most `limit` (0: as it is); 0 where there are
        no images, or that is not known or not possible."""

    def price(self, questions: Sequence[str]) -> int:
        """The number of new answers that `ask` would need: what was asked before is free."""


@dataclass(frozen=True)
class StrategyContext:
    """What a strategy may look at: never the test split.

    `incumbent` is the parent's evaluation. `versions` counts the different texts that the parent
    has over the folds: asking the model again for each costs that many times more.
    """

    task: Task
    evidence: Evidence
    rng: random.Random
    incumbent: Evaluation | None = None
    proposer: Proposer | None = None
    versions: int = 1


@dataclass(frozen=True)
class Draft:
    """An edited prompt with one clause on what was changed and why.

    `refit` makes the same edit from other evidence (None when that evidence supports no such
    edit); it must be given whenever the edit learnt anything from labelled examples, so that each
    example can be scored by an edit that it did not inspire. An edit without it is transplanted
    part by part. `agreement` is the share of the pictures, in [0, 1], for which what the model said
    unasked speaks for the draft (None: as for its parent); it decides between equal scores.
    """

    prompt: Prompt
    note: str
    refit: Callable[[Prompt, Evidence], Prompt | None] | None = None
    agreement: float | None = None


class Strategy(Protocol):
    """An operator on prompts. Inherit from it: every member but the first three has a default.

    Contract: `propose` does not mutate its input, yields drafts that differ from the parent and
    from each other, keeps the task's labels intact, and is deterministic given `context.rng`. It
    may be a generator: drafts beyond those that the search takes are then never made, and their
    evidence is never paid. It loses no placeholder of the question (see
    `prompts.questions`), and leaves a question alone that is nothing but a placeholder.

    `kinds` are the kinds of answers that it is meant for (`()`: all). `needs_images`: it is left
    out where no example has a picture. `needs_proposer`: it is left out where nothing can write.
    `reads_descriptions`: it learns from the descriptions of the
    training examples, so they are worth asking for before the search starts. `saves`: its drafts
    may be worth their price though not better, so the best prompt's cheaper ones are scored at the
    end, for the front of scores against cost.
    """

    name: str
    summary: str
    source: str
    kinds: tuple[AnswerKind, ...] = ()
    needs_images: bool = False
    needs_proposer: bool = False
    reads_descriptions: bool = False
    saves: bool = False

    def possible(self, evidence: Evidence) -> bool:
        """Whether it can do anything with this model and these examples. Must ask the model
        nothing."""
        del evidence
        return True

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool: ...

    def propose(self, prompt: Prompt, context: StrategyContext) -> Iterable[Draft]: ...

    def outlook(self, prompt: Prompt, context: StrategyContext) -> float | None:
        """The share of right answers, in [0, 1], that the evidence at hand lets expect of the
        drafts; None where it says nothing. Must ask the model nothing."""
        del prompt, context
        return None


class Proposer(Protocol):
    """Something that writes text on request: the same model, a second one, a loopback server."""

    def write(self, instruction: str, max_tokens: int = 64, grammar: str | None = None) -> str: ...


class Observer(Protocol):
    """Listens to a run: gets every event of `core.events` as it happens. Must not raise."""

    def notify(self, event: Event) -> None: ...
