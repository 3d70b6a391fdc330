"""The naive contender: the binding's own chat handler, one call per (prompt, picture)."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from .clock import Clock
from .figures import Measured, Step
from .jobs import Job
from .memory import peak_bytes
from .workload import ANSWER_TOKENS, key, pictures, prompts

ASKS = f"{ANSWER_TOKENS} tokens, temperature 0"


def data_url(path: Path) -> str:
    """A picture as OpenAI's API takes it."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def measure(job: Job) -> list[Measured]:
    """Some calls after one that warms up."""
    from llama_cpp import Llama
    from llama_cpp.llama_chat_format import MTMDChatHandler

    handler = MTMDChatHandler(clip_model_path=str(job.mmproj), verbose=False)
    seen = _Pictures(handler._mtmd_cpp)
    model = Llama(
        model_path=str(job.text),
        chat_handler=handler,
        n_ctx=4096,
        n_threads=job.default_threads,
        n_threads_batch=job.default_threads,
        verbose=False,
    )
    urls = [data_url(path) for path in pictures(job.plan.images, job.cache / "pictures")]
    texts = prompts(job.plan.prompts)
    _ask(model, texts[-1], urls[-1])
    seen.beyond = 0
    clock = Clock(job.clock)
    steps, tokens, answers = [], 0, {}
    for call in range(job.plan.naive_calls):
        prompt, picture = divmod(call, len(urls))
        started = clock.now()
        reply = _ask(model, texts[prompt], urls[picture])
        steps.append(Step(clock.now() - started, 1))
        tokens += reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]
        answers[key(prompt, picture)] = reply["choices"][0]["message"]["content"]
    return [
        Measured(
            contender="naive",
            asks=ASKS,
            images=min(len(urls), job.plan.naive_calls),
            warm=tuple(steps),
            tokens=tokens + seen.beyond,
            peak_bytes=peak_bytes(),
            answers=answers,
        )
    ]


class _Pictures:
    """Counts tokens of pictures beyond their positions: under M-RoPE the handler's own count of a
    prompt is one of positions."""

    def __init__(self, mtmd: Any) -> None:
        self.beyond, self._mtmd = 0, mtmd
        self._evaluate = mtmd.mtmd_helper_eval_chunk_single
        mtmd.mtmd_helper_eval_chunk_single = self._counted

    def _counted(self, context: Any, llama: Any, chunk: Any, *rest: Any) -> Any:
        tokens: int = self._mtmd.mtmd_input_chunk_get_n_tokens(chunk)
        self.beyond += tokens - self._mtmd.mtmd_input_chunk_get_n_pos(chunk)
        return self._evaluate(context, llama, chunk, *rest)


def _ask(model: Any, text: str, url: str) -> Any:
    content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": text}]
    return model.create_chat_completion(
        messages=[{"role": "user", "content": content}],
        max_tokens=ANSWER_TOKENS,
        temperature=0.0,
        repeat_penalty=1.0,
    )
