"""Examples under a prompt as `Ask`s: planned and tokenised by the package, embedded here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import Example, ModelRef, Task
from idealprompt_cli.engines.llama_cpp.scheduling.request_plan import Plan, make_prefix
from idealprompt_cli.engines.llama_cpp.setup.load import Loaded, load
from idealprompt_cli.engines.options import EngineOptions
from idealprompt_cli.evaluation.choices import option_words
from idealprompt_cli.prompts.rendering import lead, prefill, render, words_for
from idealprompt_cli.synthesis.corpus import Pair
from idealprompt_cli.synthesis.requests import asked
from training.smollm2.language import Language

from .model import Ask, Shared, TunedLanguage


@dataclass
class Reader:
    """A model's planner and embeddings with the language model in PyTorch."""

    loaded: Loaded
    language: TunedLanguage
    _shared: dict[tuple[int, ...], Shared] = field(default_factory=dict)

    @staticmethod
    def open(model: Path, mmproj: Path) -> Reader:
        """Open a GGUF pair on the CPU, with one thread; products in bfloat16 where it has them."""
        torch.set_num_threads(1)
        options = EngineOptions(threads=1, tune="off")
        base = Language(model, torch.float32, torch.device("cpu"))
        half = torch.cpu._is_avx512_bf16_supported()
        return Reader(load(ModelRef(model, mmproj), options, print), TunedLanguage(base, half))

    def asks(self, prompt: Prompt, task: Task, examples: Sequence[Example]) -> list[Ask]:
        """Label questions; the prompt may not let the model write before it answers."""
        if prompt.reasoning != "none":
            raise ValueError("a prompt that describes first is not a single row")
        words = option_words(prompt, task.labels)
        start = prefill(prompt)
        options = tuple(lead(start) + word for word in words)
        label_of = {word: number for number, label in reversed(list(enumerate(task.labels)))
                    for word in words_for(prompt, label)}  # fmt: skip
        offsets = dict(prompt.calibration)
        draft = Ask(
            Shared(0, None), torch.zeros(0), (), tuple(label_of[word] for word in words),
            tuple(offsets.get(label, 0.0) for label in task.labels), 0,
        )  # fmt: skip
        whole = bool(prompt.verbalisers)
        found = []
        for example in examples:
            messages = render(prompt, task.labels, len(example.images), example.fields)
            request = ScoreRequest(messages, example.images, options, start, whole)
            own = replace(draft, gold=task.labels.index(example.answer))
            found.append((request, own))
        return self._placed(found)

    def pairs(self, pairs: Sequence[Pair]) -> list[Ask]:
        """Questions of a corpus, whose only option is the answer."""
        draft = Ask(Shared(0, None), torch.zeros(0), (), (0,), (0.0,), 0)
        return self._placed(
            [(ScoreRequest(asked(p.question), (), (p.answer,)), draft) for p in pairs]
        )

    def _placed(self, drafts: Sequence[tuple[ScoreRequest, Ask]]) -> list[Ask]:
        """The asks with their inputs after what all of them begin with."""
        plans = [self._plan(request) for request, _ in drafts]
        texts = [self._beginning(plan) for plan in plans]
        common = texts[0][: min(_common(texts[0], text) for text in texts)]
        if common not in self._shared:
            self._shared[common] = self.language.shared(common)
        found = []
        for (request, own), plan in zip(drafts, plans, strict=True):
            inputs = self._inputs(plan, request.images)[len(common) :]
            found.append(
                replace(own, shared=self._shared[common], inputs=inputs, options=plan.options)
            )
        return found

    def _plan(self, request: ScoreRequest) -> Plan:
        return self.loaded.planner.plan(
            request.messages, request.prefill, request.options, request.whole
        )

    def _beginning(self, plan: Plan) -> tuple[int, ...]:
        """The tokens that may be shared: those before a picture, or all but the last one."""
        if plan.prefix:
            return tuple(self.loaded.vocab.tokenize_rendered(plan.prefix[0]))
        return (*plan.fields, *plan.suffix)[:-1]

    @torch.no_grad()
    def _inputs(self, plan: Plan, images: Sequence[Path]) -> Tensor:
        """(tokens, width) of the whole prompt."""
        parts = []
        if images:
            with self.loaded.embeddings.encoded(make_prefix(plan.prefix, images)) as encoded:
                for part in encoded.parts:
                    if part.embedding is None:
                        parts.append(self._embed(part.tokens or ()))
                    else:
                        parts.append(torch.from_numpy(np.array(part.embedding, np.float32)))
        return torch.cat([*parts, self._embed((*plan.fields, *plan.suffix))])

    def _embed(self, tokens: Sequence[int]) -> Tensor:
        return self.language.embed(torch.tensor(tokens, dtype=torch.long))


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))
