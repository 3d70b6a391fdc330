"""Our contender: the engine of this package with its default options, labels scored and texts
generated, siblings in one call as a tree search has them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import Generated, GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine

from .clock import Clock
from .figures import Measured, Step, rounded, spread
from .jobs import Job
from .memory import peak_bytes
from .naive import ASKS
from .native import NativeTime
from .workload import ANSWER_TOKENS, OPTIONS, SIBLINGS, fresh, key, pictures, prompts

_REPEATS = 3
Ask = Callable[[Sequence[str], Sequence[Path]], Any]


def measure(job: Job) -> list[Measured]:
    """A search with labels scored, cold and then warm, and the same with texts generated. The
    first use of a model (probes, self-check) is measured apart, because it happens once."""
    native = NativeTime().install()
    folder = job.cache / f"engine-{job.model}-{job.contender}"
    shutil.rmtree(folder, ignore_errors=True)  # nothing remembered, nothing encoded
    run = _Run(job, native, folder)
    try:
        return run.everything()
    finally:
        run.engine.close()
        shutil.rmtree(folder, ignore_errors=True)


class _Run:
    def __init__(self, job: Job, native: NativeTime, folder: Path) -> None:
        self.job, self.native, self.folder = job, native, folder
        self.clock = Clock(job.clock)
        self.notices: list[str] = []
        started = self.clock.now()
        self.engine: Any = self._open()
        if job.plan.brief:  # the self-check, a matter of the first use, is left out
            self.engine._backends._checked.update((True, False))
        *self.images, extra = pictures(job.plan.measured_images + 1, job.cache / "pictures")
        self.score([fresh(0)], [extra])
        self.generate([fresh(1)], [extra])
        self.first_use = self.clock.now() - started
        self.texts = prompts(job.plan.own_prompts)

    def everything(self) -> list[Measured]:
        plan, n = self.job.plan, len(self.images)
        cold = self._timed(self.score, self.texts[:1], self.images)
        head = self._head_tokens()
        groups = [self.texts[1:SIBLINGS], *_groups(self.texts[SIBLINGS:])]
        before, native = self.engine.stats(), self.native.seconds
        scored = tuple(self._timed(self.score, group, self.images) for group in groups if group)
        after = self.engine.stats()
        share = (self.native.seconds - native) / sum(step.seconds for step in scored)
        alone = sum(self._text_tokens(text) - head for text in self.texts[1:]) * n
        detail: dict[str, Any] = {
            "first_use_seconds": rounded(self.first_use),
            "native_share": round(share, 3),
            "text_part": self._text_part(head),
            "engine": dict(self.engine.info().details) | {"mode": self.engine.info().mode},
            "notices": self.notices,
        }
        if plan.growth:
            detail["growth"] = self._growth()
        generated, answers, generated_tokens, shared = self._generate_all(groups)
        if plan.second:
            detail["second_search"] = self._second()
        score = Measured(
            contender=self.job.named("ours", "-score"),
            asks=f"log-probabilities of {len(OPTIONS)} labels",
            images=n,
            warm=scored,
            cold=cold,
            tokens=int(after["tokens"] - before["tokens"]),
            tokens_alone=alone,
            peak_bytes=peak_bytes(),
            detail=detail,
        )
        generate = Measured(
            contender=self.job.named("ours"),
            asks=ASKS,
            images=n,
            warm=generated,
            cold=cold,
            tokens=generated_tokens,
            peak_bytes=peak_bytes(),
            detail={"native_share": shared},
            answers={key(*divmod(i, n)): text for i, text in enumerate(answers)},
        )
        return [generate, score]

    def _generate_all(
        self, groups: Sequence[Sequence[str]]
    ) -> tuple[tuple[Step, ...], list[str], int, float]:
        """The same prompts answered in text: steps, answers by prompt then picture, tokens and
        the share of time inside llama.cpp."""
        first: list[Generated] = self.generate(self.texts[:1], self.images)
        replies, steps, native = list(first), [], self.native.seconds
        for group in groups:
            started = self.clock.now()
            replies += self.generate(group, self.images)
            steps.append(Step(self.clock.now() - started, len(group) * len(self.images)))
        share = (self.native.seconds - native) / sum(step.seconds for step in steps)
        tokens = sum(reply.tokens for reply in replies[len(first) :])
        return tuple(steps), [reply.text for reply in replies], tokens, round(share, 3)

    def score(self, texts: Sequence[str], images: Sequence[Path]) -> Any:
        """All texts on all pictures, in one call."""
        requests = [ScoreRequest(_messages(t), (i,), OPTIONS) for t in texts for i in images]
        return self.engine.score(requests)

    def first_token(self, texts: Sequence[str], images: Sequence[Path]) -> Any:
        """As `score` with one label of one token, for which the prompt is all that is computed."""
        requests = [ScoreRequest(_messages(t), (i,), OPTIONS[:1]) for t in texts for i in images]
        return self.engine.score(requests)

    def generate(self, texts: Sequence[str], images: Sequence[Path]) -> Any:
        requests = [
            GenerateRequest(_messages(text), (image,), max_tokens=ANSWER_TOKENS)
            for text in texts
            for image in images
        ]
        return self.engine.generate(requests)

    def _open(self) -> Any:
        options = EngineOptions(
            cache_dir=self.folder,
            threads=self.job.threads,
            weights="bf16" if self.job.bfloat16 else "file",
        )
        ref = ModelRef(self.job.text, self.job.mmproj)
        return open_engine("llama_cpp", ref, options, self.notices.append)

    def _timed(self, ask: Ask, texts: Sequence[str], images: Sequence[Path]) -> Step:
        started = self.clock.now()
        ask(texts, images)
        return Step(self.clock.now() - started, len(texts) * len(images))

    def _text_tokens(self, text: str) -> int:
        tokens: int = self.engine.count_tokens(_messages(text))
        return tokens

    def _head_tokens(self) -> int:
        """Text tokens before the picture: a prompt that shares nothing, on a picture whose prefix
        is there, computes all others (labels beyond their first token apart)."""
        text = fresh(2)
        request = GenerateRequest(_messages(text), (self.images[-1],), max_tokens=1)
        computed: int = self.engine.generate([request])[0].tokens
        return max(0, self._text_tokens(text) - computed)

    def _text_part(self, head: int) -> dict[str, Any]:
        """Tokens a second of one prompt on all pictures, whose prefixes are there: what
        `llama-batched-bench` is to be compared with, at the same batch."""
        rates, length, sequences = [], 0, min(len(self.images), self._slots())
        images = self.images[:sequences]
        self.first_token([fresh(3)], images)
        for repeat in range(_REPEATS):
            text = fresh(10 + repeat)
            length = self._text_tokens(text) - head
            seconds = self._timed(self.first_token, [text], images).seconds
            rates.append(length * sequences / seconds)
        info = self.engine.info().details
        return {
            "tokens_per_second": spread(rates),
            "tokens": length,
            "sequences": sequences,
            "depth": self._depth(head),
            "threads": leading_number(info.get("threads", ""), self.job.default_threads),
        }

    def _depth(self, head: int) -> int:
        """Cells of the kept prefix: what is not computed of a prompt on a known image, without
        what the prompt's own text takes."""
        text = fresh(4)
        before = self.engine.stats()
        self.first_token([text], self.images[:1])
        after = self.engine.stats()
        alone = after["tokens_without_sharing"] - before["tokens_without_sharing"]
        return int(alone) - (self._text_tokens(text) - head)

    def _slots(self) -> int:
        """Images that fit into the cache together."""
        return leading_number(self.engine.info().details.get("slots", ""), len(self.images))

    def _growth(self) -> dict[str, Any]:
        """Seconds per evaluation by prompts in a call, by pictures, and by prompt length."""
        n = len(self.images)
        by_prompts = {
            str(count): self._each([fresh(100 * count + i) for i in range(count)], self.images)
            for count in (1, 5, 10)
        }
        by_images = {
            str(count): self._each([fresh(5000 + count)], self.images[:count])
            for count in (1, 4, 16)
            if count <= n
        }
        by_length = {}
        for longer in (0, 1, 3, 6):
            text = fresh(6000 + longer, longer)
            by_length[str(self._text_tokens(text))] = self._each([text], self.images)
        return {"prompts": by_prompts, "images": by_images, "prompt_tokens": by_length}

    def _each(self, texts: Sequence[str], images: Sequence[Path]) -> float:
        return rounded(self._timed(self.score, texts, images).each)

    def _second(self) -> dict[str, Any]:
        """A new engine on the same pictures: what the first prompt costs when all are encoded."""
        self.engine.close()
        started = self.clock.now()
        self.engine = self._open()
        opened = self.clock.now() - started
        step = self._timed(self.score, self.texts[:1], self.images)
        return {
            "open_seconds": rounded(opened),
            "first_prompt_seconds": rounded(step.seconds),
            "images_encoded": int(self.engine.stats()["images_encoded"]),
        }


def leading_number(text: str, otherwise: int) -> int:
    """The count that a detail of the engine begins with ("2" or "2, measured")."""
    found = re.match(r"\d+", text)
    return int(found[0]) if found else otherwise


def _messages(text: str) -> tuple[Message, ...]:
    return (Message("user", (ImageSlot(), text)),)


def _groups(texts: Sequence[str]) -> list[Sequence[str]]:
    return [texts[begin : begin + SIBLINGS] for begin in range(0, len(texts), SIBLINGS)]
