"""Drift: how far a system message moves a model's answers to questions that it is not about.

Each question is asked with and without the message. Two things are measured: how many greedy
answers come out otherwise, and how likely the corpus's answers still are (mean log-probability for
each token). The second decides the verdict: greedy texts of a small model change at the slightest
touch, while their likelihood shows how much of the model's behaviour has moved.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..core.interfaces import Engine
from ..core.prompt import Message
from ..core.requests import GenerateRequest, ModelInfo, ScoreRequest
from ..core.results import Interval
from ..evaluation.statistics import wilson
from .corpus import Header, Pair
from .requests import answer_request, asked, same_words

LIMIT = 0.05
"""Natural log a token. A mean loss below this, 5 % of perplexity, counts as no drift."""
AT_ONCE = 16
Verdict = Literal["no drift", "drift", "unclear"]


@dataclass(frozen=True)
class Moved:
    """A question with the model's answers without (`before`) and with the message (`after`), and
    the corpus's answer's log-probability a token in both cases."""

    question: str
    before: str
    after: str
    logprob_before: float
    logprob_after: float

    @property
    def changed(self) -> bool:
        return same_words(self.before) != same_words(self.after)

    @property
    def loss(self) -> float:
        return self.logprob_before - self.logprob_after


@dataclass(frozen=True)
class DriftReport:
    """What a message does to the answers of a corpus. `loss` is the mean fall of the answers'
    log-probability a token, with its 95 % interval; `overlap` the mean word F1 of the answers."""

    model: ModelInfo
    system: str
    moved: tuple[Moved, ...]
    changed: float
    changed_interval: Interval
    overlap: float
    loss: float
    loss_interval: Interval
    verdict: Verdict

    @property
    def n(self) -> int:
        return len(self.moved)

    @property
    def perplexities(self) -> tuple[float, float]:
        """Of the corpus's answers without and with the message."""
        means = (
            statistics.fmean(one.logprob_before for one in self.moved),
            statistics.fmean(one.logprob_after for one in self.moved),
        )
        return math.exp(-means[0]), math.exp(-means[1])

    def furthest(self, count: int) -> list[Moved]:
        """The questions whose answers lost most."""
        return sorted(self.moved, key=lambda one: -one.loss)[:count]


def measure_drift(
    engine: Engine,
    pairs: Sequence[Pair],
    system: str,
    header: Header | None = None,
    on_answers: Callable[[int], None] = lambda count: None,
) -> DriftReport:
    """Ask every question with and without `system`. What the same model has answered in the corpus
    is not asked again. Raises what the engine raises."""
    info = engine.info()
    moved: list[Moved] = []
    weights = info.details.get("weights", "file")
    own = header is not None and (header.fingerprint, header.weights) == (info.fingerprint, weights)
    limit = header.max_tokens if header else Header("").max_tokens
    for start in range(0, len(pairs), AT_ONCE):
        part = pairs[start : start + AT_ONCE]
        moved += _moved(engine, part, system, limit, own)
        on_answers(len(part))
    loss, interval = _mean([one.loss for one in moved])
    changed = sum(one.changed for one in moved)
    return DriftReport(
        info,
        system,
        tuple(moved),
        changed / len(moved),
        wilson(changed, len(moved)),
        statistics.fmean(word_f1(one.before, one.after) for one in moved),
        loss,
        interval,
        verdict(interval),
    )


def verdict(loss: Interval) -> Verdict:
    """What the interval of the mean loss says."""
    if loss.high < LIMIT:
        return "no drift"
    return "drift" if loss.low > LIMIT else "unclear"


def _moved(
    engine: Engine, pairs: Sequence[Pair], system: str, limit: int, own: bool
) -> list[Moved]:
    requests: list[GenerateRequest] = []
    if not own:
        requests += [answer_request(pair.question, limit) for pair in pairs]
    requests += [answer_request(pair.question, limit, system) for pair in pairs]
    texts = [answer.text.strip() for answer in engine.generate(requests)]
    before = [pair.answer for pair in pairs] if own else texts[: len(pairs)]
    after = texts[-len(pairs) :]
    chats = [asked(pair.question, text) for text in ("", system) for pair in pairs]
    scored = engine.score(
        [ScoreRequest(c, (), (p.answer,)) for c, p in zip(chats, [*pairs, *pairs], strict=True)]
    )
    found = []
    for place, pair in enumerate(pairs):
        tokens = _tokens(engine, pair.answer)
        old, new = (scored[i].logprobs[0] / tokens for i in (place, place + len(pairs)))
        found.append(Moved(pair.question, before[place], after[place], old, new))
    return found


def _tokens(engine: Engine, text: str) -> int:
    """Tokens of an answer: what a message is longer by that holds it."""
    longer, shorter = (engine.count_tokens((Message("user", (t,)),)) for t in (f"a {text}", "a"))
    return max(1, longer - shorter)


def word_f1(a: str, b: str) -> float:
    """The harmonic mean of precision and recall of words (as in SQuAD, arXiv 1606.05250)."""
    one, other = Counter(same_words(a).split()), Counter(same_words(b).split())
    if not one or not other:
        return float(one == other)
    return 2 * sum((one & other).values()) / (sum(one.values()) + sum(other.values()))


def _mean(values: Sequence[float]) -> tuple[float, Interval]:
    """Mean and 95 % interval by the normal approximation; no bound for a single value."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return mean, Interval(-math.inf, math.inf)
    half = 1.96 * statistics.stdev(values) / math.sqrt(len(values))
    return mean, Interval(mean - half, mean + half)
