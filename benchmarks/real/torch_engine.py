"""The same model in PyTorch, for measuring many searches on a GPU in little time.

Templates, tokens, plans and picture embeddings are those of our llama.cpp engine; only the language
model's forward pass is computed in PyTorch, from the GGUF's dequantised weights, many requests at
once and without caches. llama.cpp also rounds activations, so log-probabilities differ by some
tenths for whole phrases (mean 0.19, most 0.87 on nine requests with four options each); the texts
that both generated were the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from idealprompt_cli.core.requests import Generated, ModelInfo, Scored, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine
from idealprompt_cli.engines.llama_cpp.scheduling.continuation import Continuation
from idealprompt_cli.engines.llama_cpp.scheduling.request_plan import (
    GenerateJob,
    Prefix,
    ScoreJob,
    make_prefix,
)
from idealprompt_cli.engines.llama_cpp.setup.load import Loaded, load
from idealprompt_cli.engines.options import EngineOptions
from training.smollm2.language import Cache, Language

CHUNK = 192
"""Sequences computed at once."""
HIDDEN = -1e9


class TorchBackend:
    """Computes the jobs of `request_plan.py` with `Language`."""

    def __init__(self, loaded: Loaded, language: Language) -> None:
        self._loaded, self._language = loaded, language
        self._prefixes: dict[object, Tensor] = {}

    def score(self, jobs: list[ScoreJob]) -> list[Scored]:
        """Log-probabilities of each job's options, in the jobs' order."""
        order = sorted(range(len(jobs)), key=lambda i: self._length(jobs[i]))
        found: dict[int, Scored] = {}
        for begin in range(0, len(order), CHUNK):
            part = order[begin : begin + CHUNK]
            found.update(zip(part, self._score([jobs[i] for i in part]), strict=True))
        return [found[i] for i in range(len(jobs))]

    def generate(self, jobs: list[GenerateJob]) -> list[Generated]:
        """Greedy continuations, in the jobs' order."""
        answers: list[Generated] = []
        for begin in range(0, len(jobs), CHUNK):
            answers += self._generate(jobs[begin : begin + CHUNK])
        return answers

    def states(self, jobs: Sequence[ScoreJob]) -> np.ndarray:
        """(jobs, width): the mean of the last layer's normed states over each prompt's tokens."""
        rows = []
        for job in jobs:
            states, _, _ = self._trunk([job])
            rows.append(states[0].mean(dim=0).float().cpu().numpy())
        return np.stack(rows)

    def close(self) -> None:
        self._prefixes.clear()

    def _length(self, job: ScoreJob) -> int:
        return len(job.plan.suffix) + len(job.prefix.fields)

    @torch.no_grad()
    def _embedded(self, prefix: Prefix) -> Tensor:
        """(tokens, width) inputs of a prefix."""
        if prefix.key in self._prefixes:
            return self._prefixes[prefix.key]
        parts = []
        if prefix.images:
            with self._loaded.embeddings.encoded(prefix) as encoded:
                for part in encoded.parts:
                    if part.embedding is None:
                        parts.append(self._tokens(part.tokens or ()))
                    else:
                        values = torch.from_numpy(np.array(part.embedding, np.float32))
                        parts.append(values.to(self._language.device, self._language.dtype))
        parts.append(self._tokens(prefix.fields))
        whole = torch.cat(parts)
        self._prefixes[prefix.key] = whole
        return whole

    def _tokens(self, tokens: Sequence[int]) -> Tensor:
        return self._language.embed(
            torch.tensor(tokens, dtype=torch.long, device=self._language.device)
        )

    @torch.no_grad()
    def _trunk(self, jobs: Sequence[ScoreJob | GenerateJob]) -> tuple[Tensor, Cache, Tensor]:
        """States (B, L, width) of prompts padded on the right, keys and values, lengths (B,)."""
        rows = [
            torch.cat((self._embedded(job.prefix), self._tokens(job.plan.suffix))) for job in jobs
        ]
        device, n = self._language.device, max(map(len, rows))
        lengths = torch.tensor([len(row) for row in rows], device=device)
        inputs = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        allowed = torch.ones(n, n, dtype=torch.bool, device=device).tril()[None]
        allowed = allowed & (torch.arange(n, device=device)[None, None] < lengths[:, None, None])
        allowed = allowed | torch.eye(n, dtype=torch.bool, device=device)[None]
        positions = torch.arange(n, device=device)[None].expand(len(rows), -1)
        states, cache = self._language.states(inputs, self._mask(allowed), positions)
        return states, cache, lengths

    def _mask(self, allowed: Tensor) -> Tensor:
        mask = torch.zeros(allowed.shape, dtype=self._language.dtype, device=allowed.device)
        return mask.masked_fill(~allowed, HIDDEN)[:, None]

    @torch.no_grad()
    def _score(self, jobs: list[ScoreJob]) -> list[Scored]:
        states, cache, lengths = self._trunk(jobs)
        rows = torch.arange(len(jobs), device=states.device)
        first = self._language.logits(states[rows, lengths - 1]).log_softmax(-1)
        pairs = [(i, option) for i, job in enumerate(jobs) for option in job.plan.options]
        heads = torch.tensor([option[0] for _, option in pairs], device=states.device)
        owners = torch.tensor([i for i, _ in pairs], device=states.device)
        sums = first[owners, heads].double().cpu().numpy()
        longer = [place for place, (_, option) in enumerate(pairs) if len(option) > 1]
        for begin in range(0, len(longer), CHUNK):
            part = longer[begin : begin + CHUNK]
            sums[part] += self._rest([pairs[place] for place in part], cache, lengths)
        values = iter(sums.tolist())
        return [
            Scored(
                tuple(next(values) for _ in job.plan.options),
                int(lengths[i]) + sum(len(option) - 1 for option in job.plan.options),
            )
            for i, job in enumerate(jobs)
        ]

    def _rest(
        self, pairs: Sequence[tuple[int, tuple[int, ...]]], cache: Cache, lengths: Tensor
    ) -> np.ndarray:
        """(pairs,) log-probabilities of the tokens after the first of each (prompt, option)."""
        device, n = lengths.device, max(len(option) for _, option in pairs) - 1
        rows = torch.tensor([row for row, _ in pairs], device=device)
        padded = [[*option, *[0] * (n + 1 - len(option))] for _, option in pairs]
        tokens = torch.tensor(padded, device=device)
        sizes = torch.tensor([len(option) - 1 for _, option in pairs], device=device)
        past = [(k[rows], v[rows]) for k, v in cache]
        states, _ = self._language.states(
            self._language.embed(tokens[:, :-1]), self._after(lengths[rows], past, n),
            lengths[rows][:, None] + torch.arange(n, device=device)[None], past,
        )  # fmt: skip
        chances = self._language.logits(states).log_softmax(-1)
        chosen = chances.gather(2, tokens[:, 1:, None])[..., 0]
        kept = torch.arange(n, device=device)[None] < sizes[:, None]
        return np.asarray((chosen * kept).sum(1).double().cpu().numpy())

    def _after(self, lengths: Tensor, past: Cache, n: int, grown: int = 0) -> Tensor:
        """Mask of `n` new tokens behind prompts of these lengths, of which `grown` tokens were
        added behind the padding before."""
        total = past[0][0].shape[2]
        prompt = total - grown
        device = lengths.device
        places = torch.arange(total, device=device)[None, None]
        allowed = (places < lengths[:, None, None]) | (places >= prompt)
        allowed = allowed.expand(-1, n, -1)
        new = torch.ones(n, n, dtype=torch.bool, device=device).tril()[None]
        return self._mask(torch.cat((allowed, new.expand(len(lengths), -1, -1)), 2))

    @torch.no_grad()
    def _generate(self, jobs: list[GenerateJob]) -> list[Generated]:
        states, cache, lengths = self._trunk(jobs)
        rows = torch.arange(len(jobs), device=states.device)
        logits = self._language.logits(states[rows, lengths - 1])
        limit = self._loaded.n_ctx
        answers = [
            Continuation(job, self._loaded.vocab, limit - int(n))
            for job, n in zip(jobs, lengths, strict=True)
        ]
        try:
            for grown in range(max(job.max_tokens for job in jobs)):
                self._feed(answers, jobs, logits)
                if all(answer.done for answer in answers):
                    break
                last = torch.tensor([[max(0, a.last)] for a in answers], device=states.device)
                states, cache = self._language.states(
                    self._language.embed(last), self._after(lengths, cache, 1, grown),
                    (lengths + grown)[:, None], cache,
                )  # fmt: skip
                logits = self._language.logits(states[:, 0])
            sizes = lengths.tolist()
            return [a.result(n + a.count) for a, n in zip(answers, sizes, strict=True)]
        finally:
            for answer in answers:
                answer.close()

    def _feed(
        self, answers: Sequence[Continuation], jobs: Sequence[GenerateJob], logits: Tensor
    ) -> None:
        best = logits.argmax(-1).tolist()
        for row, (answer, job) in enumerate(zip(answers, jobs, strict=True)):
            if not answer.done:
                # A grammar looks at all logits; nobody else does.
                values = logits[row if job.grammar else slice(0, 0)].float().cpu().numpy()
                answer.feed(values, best[row])


class _Only:
    """A choice of backends with one member."""

    mode, disabled = "batched", ""

    def __init__(self, backend: TorchBackend) -> None:
        self.backend = backend

    def best(self, with_pictures: bool) -> TorchBackend:
        del with_pictures
        return self.backend

    def close(self) -> None:
        self.backend.close()


class TorchEngine(LlamaCppEngine):
    """Our engine with its forward passes in PyTorch."""

    def __init__(self, loaded: Loaded, language: Language) -> None:
        super().__init__(loaded, print)
        self.backend = TorchBackend(loaded, language)
        self._backends = _Only(self.backend)  # type: ignore[assignment]

    def info(self) -> ModelInfo:
        """The model's, marked as computed here, so that answers are kept apart."""
        info = super().info()
        return replace(info, fingerprint=f"torch-{info.fingerprint}")

    def text_embeddings(self, requests: Sequence[ScoreRequest]) -> np.ndarray:
        """(requests, width): mean states of prompts without pictures."""
        planner = self._loaded.planner
        plans = [planner.plan(r.messages, r.prefill, r.options) for r in requests]
        return self.backend.states([ScoreJob(make_prefix((), (), p.fields), p) for p in plans])


def open_language(text: Path, device: str) -> Language:
    """The language model's weights on a device ("cuda", "cpu")."""
    torch.backends.cuda.matmul.allow_tf32 = True
    return Language(text, torch.float32, torch.device(device))


def open_torch(ref: ModelRef, language: Language, options: EngineOptions) -> TorchEngine:
    """Open a GGUF pair, or a text model alone, with its forward passes in PyTorch."""
    return TorchEngine(load(ref, options, print), language)
