"""What a box may let out: group size, noise, and the account of what it has released.

A release is the sums of one prompt over the groups of a split. With noise, each sum gets discrete
Gaussian noise (Canonne, Kamath & Steinke 2020, Algorithm 3). Exchanging one example changes the
vector of a release (three one-hot parts: margin bin, answered label, right label) by at most
sqrt(6) in the Euclidean norm. A release with noise sigma is then rho-zCDP with

    rho = 6 / (2 sigma^2)                                  (their Theorem 4, Corollary 14)

releases add up, rho_total = K rho (Bun & Steinke 2016, Lemma 1.7), groups of one split hold
different examples and count once, and rho-zCDP is (epsilon, delta)-differentially private for

    epsilon = rho_total + 2 sqrt(rho_total ln(1 / delta))  (Bun & Steinke 2016, Proposition 1.3)

Neighbours are data sets that differ in the content of one example; how many examples a group has is
public. Drafted texts are not covered by this.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from ...core.errors import StorageError, UsageError
from ...io.files import PRIVATE, append, reason

SENSITIVITY_SQUARED = 6.0
LEAST_GROUP = 2
Sums = tuple[int, ...]


@dataclass(frozen=True)
class Policy:
    """What a box's owner allows. `min_group`: examples in a group at least, the unit that sums are
    over; with noise a split is one group. `epsilon` 0 means no noise. `prompts` can be measured on
    a split at most. `drafts`: texts of strategies that learn from the box's examples may leave;
    None allows them where there is no noise."""

    min_group: int = 5
    epsilon: float = 0.0
    delta: float = 1e-5
    prompts: int = 500
    drafts: bool | None = None

    def check(self) -> None:
        """Raise `UsageError` for values that make no sense."""
        if self.min_group < LEAST_GROUP:
            raise UsageError(f"--min-group {self.min_group}: at least {LEAST_GROUP} examples")
        if self.epsilon < 0 or not math.isfinite(self.epsilon):
            raise UsageError(f"--epsilon {self.epsilon}: a positive number, or 0 for no noise")
        if not 0 < self.delta < 1:
            raise UsageError(f"--delta {self.delta}: between 0 and 1")
        if self.prompts < 1:
            raise UsageError(f"--prompts {self.prompts}: at least 1")

    @property
    def noisy(self) -> bool:
        return self.epsilon > 0

    @property
    def drafts_allowed(self) -> bool:
        return not self.noisy if self.drafts is None else self.drafts

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise on each sum, 0.0 for none."""
        if not self.noisy:
            return 0.0
        return math.sqrt(
            SENSITIVITY_SQUARED * self.prompts / (2 * rho_of(self.epsilon, self.delta))
        )

    def statement(self) -> str:
        """The policy for people."""
        if not self.noisy:
            return f"groups of {self.min_group} examples or more, no noise"
        return (
            f"noise of standard deviation {self.sigma:.1f} on each sum: ({self.epsilon:g}, "
            f"{self.delta:g})-differentially private for {self.prompts} prompts, drafted texts "
            f"{'not covered' if self.drafts_allowed else 'stay on the box'}"
        )


def rho_of(epsilon: float, delta: float) -> float:
    """The rho for which rho-zCDP is (epsilon, delta)-differentially private: the root of
    epsilon = rho + 2 sqrt(rho ln(1/delta))."""
    log = math.log(1 / delta)
    return (math.sqrt(log + epsilon) - math.sqrt(log)) ** 2


def epsilon_of(rho: float, delta: float) -> float:
    return rho + 2 * math.sqrt(rho * math.log(1 / delta))


# --- noise ----------------------------------------------------------------------------------------


def discrete_gaussian(sigma: float, rng: random.Random) -> int:
    """A draw with probability proportional to exp(-x^2 / (2 sigma^2)), without floating-point
    arithmetic (Canonne, Kamath & Steinke 2020, Algorithm 3)."""
    variance = Fraction(sigma) ** 2
    scale = math.floor(sigma) + 1
    while True:
        draw = _discrete_laplace(scale, rng)
        if _bernoulli_exp((abs(draw) - variance / scale) ** 2 / (2 * variance), rng):
            return draw


def _discrete_laplace(scale: int, rng: random.Random) -> int:
    """Probability proportional to exp(-|x| / scale) (Algorithm 2, for a whole scale)."""
    while True:
        low = rng.randrange(scale)
        if not _bernoulli_exp(Fraction(low, scale), rng):
            continue
        high = 0
        while _bernoulli_exp(Fraction(1), rng):
            high += 1
        size, negative = low + scale * high, rng.randrange(2)
        if not (negative and size == 0):
            return -size if negative else size


def _bernoulli_exp(gamma: Fraction, rng: random.Random) -> bool:
    """True with probability exp(-gamma) (Algorithm 1)."""
    while gamma > 1:
        if not _bernoulli_exp(Fraction(1), rng):
            return False
        gamma -= 1
    count = 1
    while _bernoulli(gamma / count, rng):
        count += 1
    return count % 2 == 1


def _bernoulli(chance: Fraction, rng: random.Random) -> bool:
    return rng.randrange(chance.denominator) < chance.numerator


# --- the account ----------------------------------------------------------------------------------


@dataclass
class Releases:
    """All that a box has let out, kept on its disk. The same question gets the same answer again,
    noise included, so that asking twice teaches nothing and costs nothing. `data` names the
    examples and the model: what was released of other ones is no answer, but it counts, because
    most examples may be the same."""

    path: Path | None
    policy: Policy
    data: str = ""
    rng: random.Random = field(default_factory=random.SystemRandom)
    _kept: dict[str, Sums] = field(default_factory=dict)
    _spent: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path | None, policy: Policy, data: str) -> Releases:
        """The account in a file, which need not exist. Raises `StorageError`."""
        made = cls(path, policy, data)
        if path is None or not path.exists():
            return made
        try:
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if whole != content:  # a crash cut the last line off: it was never sent
                os.truncate(path, len(whole))
        except OSError as error:
            raise StorageError(f"{path}: cannot be used ({reason(error)})") from error
        for number, line in enumerate(whole.decode("utf-8", "replace").splitlines(), start=1):
            try:
                made._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise StorageError(
                    f"{path}:{number}: not a line of this file: move it away only if the "
                    "releases in it do not count"
                ) from None
        return made

    def known(self, split: str, prompt: str, group: str) -> Sums | None:
        """The sums that were released before."""
        return self._kept.get(_key(self.data, split, prompt, group, self.policy.sigma))

    def left(self, split: str) -> int:
        """How many more prompts can be measured on a split."""
        if not self.policy.noisy:
            return max(0, self.policy.prompts - len(self._spent.get(split, {})))
        each = SENSITIVITY_SQUARED / (2 * self.policy.sigma**2)
        rest = rho_of(self.policy.epsilon, self.policy.delta) - self.rho(split)
        return max(0, math.floor(rest / each + 1e-9))

    def rho(self, split: str) -> float:
        """The zCDP parameter that was spent on a split, 0.0 without noise."""
        return math.fsum(self._spent.get(split, {}).values())

    def release(self, split: str, prompt: str, sums: dict[str, Sums]) -> dict[str, Sums]:
        """The sums of a prompt by group as they may leave, written down first. Raises
        `UsageError` where the split's budget is spent."""
        release = _key(self.data, split, prompt, "", self.policy.sigma)
        if release not in self._spent.get(split, {}) and self.left(split) < 1:
            raise UsageError(
                f"the privacy budget of the {split} split is spent: {self.policy.prompts} prompts "
                "were measured"
            )
        sigma = self.policy.sigma
        rho = SENSITIVITY_SQUARED / (2 * sigma**2) if sigma else 0.0
        made = {group: self._noised(own, sigma) for group, own in sums.items()}
        rows = [
            {"data": self.data, "split": split, "prompt": prompt, "group": group,
             "sigma": sigma, "rho": rho, "sums": list(own)}
            for group, own in made.items()
        ]  # fmt: skip
        self._write(rows)
        for row in rows:
            self._take(row)
        return made

    def _noised(self, sums: Sums, sigma: float) -> Sums:
        return tuple(s + discrete_gaussian(sigma, self.rng) for s in sums) if sigma else sums

    def _take(self, row: dict[str, Any]) -> None:
        data, split, prompt = str(row["data"]), str(row["split"]), str(row["prompt"])
        sigma = float(row["sigma"])
        key = _key(data, split, prompt, str(row["group"]), sigma)
        self._kept[key] = tuple(int(one) for one in row["sums"])
        # Groups of one grouping hold different examples and count once.
        spent = self._spent.setdefault(split, {})
        release = _key(data, split, prompt, "", sigma)
        spent[release] = max(spent.get(release, 0.0), float(row["rho"]))

    def _write(self, rows: Sequence[dict[str, Any]]) -> None:
        if self.path is None:
            return
        data = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, PRIVATE)
            try:
                append(handle, data, os.fstat(handle).st_size)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be written ({reason(error)})") from error


def _key(data: str, split: str, prompt: str, group: str, sigma: float) -> str:
    return f"{data} {split} {prompt} {group} {sigma!r}"
