"""A search's work on real text with a real model, against the ways that others do it.

    python -m benchmarks.engine.real_text --model SmolLM2.gguf --table banking77/train.csv

Every contender answers the same prompts on the same rows, one prompt on all rows at a time and in
turns, on as many threads each: a loop over the binding's `create_chat_completion`; llama-server
with its prompt cache (if it is at hand, see `benchmarks.engine.build`), four requests at a time;
and this package, which scores the labels or writes as many tokens as the others. Then the rows are
summarised with every prompt, and how many tokens of the drafts for speculative decoding were right
is reported. Writes results/real_text.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from idealprompt_cli.core.prompt import FieldText, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp
from tests.support.llama_server import BINARY, running

from .fields import INSTRUCTIONS, rows
from .memory import peak_bytes

RESULTS = Path(__file__).parents[1] / "results" / "real_text.json"
TOKENS = 6
DESCRIBED = 24
IN_FLIGHT = 4
Ask = Callable[[str, Sequence[str]], None]
"""A prompt on all texts."""
TARGETS = {"create_chat_completion": 10.0, "llama-server": 3.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a text GGUF")
    parser.add_argument("--table", type=Path, required=True, help="a CSV file")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--prompts", type=int, default=len(INSTRUCTIONS))
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    examples = rows(options.table, "text", "category", options.rows)
    labels = tuple(sorted({label for _, label in examples}))
    texts = [text for text, _ in examples]
    prompts = [one.format(labels=", ".join(labels)) for one in INSTRUCTIONS[: options.prompts]]
    with ExitStack() as stack:
        engine = stack.enter_context(opened(options.model, options.threads))
        asks: dict[str, Ask] = {
            "ours, scores": scoring(engine, labels),
            "ours, writes": writing(engine, TOKENS),
            "create_chat_completion": binding(options.model, options.threads),
        }
        if BINARY:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            asks["llama-server"] = stack.enter_context(server(options.model, Path(folder)))
        seconds = timed(asks, prompts, texts)
        found = {"rows": len(texts), "prompts": len(prompts), **summary(seconds, len(texts))}
        found["drafts"] = drafts(engine, texts)
        found["peak_mib_with_the_binding"] = round(peak_bytes() / 2**20)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def timed(
    asks: dict[str, Ask], prompts: Sequence[str], texts: Sequence[str]
) -> dict[str, list[float]]:
    """Seconds of each prompt on all texts; the first prompt, which warms up, is part of them."""
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    for prompt in prompts:
        for name, ask in asks.items():
            started = time.perf_counter()
            ask(prompt, texts)
            seconds[name].append(time.perf_counter() - started)
            print(f"{name}: {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    return seconds


def summary(seconds: dict[str, list[float]], count: int) -> dict[str, Any]:
    """Seconds of all prompts and of the median evaluation, and how many times faster ours are."""
    whole = {name: round(sum(values), 2) for name, values in seconds.items()}
    each = {name: round(median(values) / count, 4) for name, values in seconds.items()}
    faster = {
        f"{ours} against {name}": {
            "whole": round(whole[name] / whole[ours], 2),
            "per_evaluation": round(each[name] / each[ours], 2),
            "target": target,
        }
        for ours in seconds
        if ours.startswith("ours")
        for name, target in TARGETS.items()
        if name in seconds
    }
    return {"seconds": whole, "seconds_per_evaluation": each, "times_faster": faster}


@contextmanager
def opened(model: Path, threads: int) -> Iterator[LlamaCppEngine]:
    """The engine with empty caches."""
    with tempfile.TemporaryDirectory() as folder:
        options = EngineOptions(threads=threads, cache_dir=Path(folder))
        with open_llama_cpp(ModelRef(model), options, print) as engine:
            engine.check()
            yield engine


def scoring(engine: LlamaCppEngine, labels: tuple[str, ...]) -> Ask:
    def ask(prompt: str, texts: Sequence[str]) -> None:
        first = chat(prompt, texts[0])
        short = engine.beginnings(first, "", labels)
        engine.score([ScoreRequest(chat(prompt, text), (), short) for text in texts])

    return ask


def writing(engine: LlamaCppEngine, tokens: int) -> Ask:
    def ask(prompt: str, texts: Sequence[str]) -> None:
        engine.generate([GenerateRequest(chat(prompt, text), max_tokens=tokens) for text in texts])

    return ask


def chat(prompt: str, text: str) -> tuple[Message, ...]:
    return (Message("user", (FieldText(text), "\n\n" + prompt)),)


def request(prompt: str, text: str) -> dict[str, Any]:
    """The same chat as others send it."""
    messages = [{"role": "user", "content": f"{text}\n\n{prompt}"}]
    return {"messages": messages, "max_tokens": TOKENS, "temperature": 0}


def binding(model: Path, threads: int) -> Ask:
    from llama_cpp import Llama

    llama = Llama(
        str(model), n_ctx=2048, n_threads=threads or None, n_threads_batch=threads or None,
        verbose=False,
    )  # fmt: skip

    def ask(prompt: str, texts: Sequence[str]) -> None:
        for text in texts:
            llama.create_chat_completion(**request(prompt, text))

    return ask


@contextmanager
def server(model: Path, folder: Path) -> Iterator[Ask]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with running(ModelRef(model), folder / "log", pictures=False) as url:

        def one(body: dict[str, Any]) -> None:
            sent = urllib.request.Request(
                f"{url}/v1/chat/completions",
                json.dumps({**body, "cache_prompt": True}).encode(),
                {"Content-Type": "application/json"},
            )
            with opener.open(sent, timeout=300) as reply:
                reply.read()

        def ask(prompt: str, texts: Sequence[str]) -> None:
            with ThreadPoolExecutor(IN_FLIGHT) as pool:
                list(pool.map(one, [request(prompt, text) for text in texts]))

        yield ask


def drafts(engine: LlamaCppEngine, texts: Sequence[str]) -> dict[str, float]:
    """Draft tokens, and the share of them that was right, while every text is summarised in answer
    to prompts that differ a little, as candidates of a search do."""
    before = engine.stats()
    for prompt in (
        "What is the customer asking for?",
        "What is the customer asking for? Answer in one sentence.",
        "In one sentence, what is the customer's problem?",
        "Summarise the message in one short sentence.",
    ):
        writing(engine, DESCRIBED)(prompt, texts)
    after = engine.stats()
    drafted, right = (
        after[name] - before[name] for name in ("draft_tokens", "draft_tokens_accepted")
    )
    return {"tokens": drafted, "share_accepted": round(right / max(1, drafted), 3)}


if __name__ == "__main__":
    main()
