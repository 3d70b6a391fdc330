"""A real search on real text with a real model, and what its requests cost in other ways.

    python -m benchmarks.engine.real_search --model SmolLM2.gguf --table banking77/train.csv

Searches a task of six intents, with the file's weights and with bfloat16 copies, and records every
request. Then some of them, evenly over the record, are made to `create_chat_completion` of the
binding and to llama-server with its prompt cache, with the file and with the copy: where labels
were scored, these write an answer of as many tokens as the labels have at most. All that with the
example's text before the question, where the text is kept and the question computed for each, and
after it, where the question is shared by the examples. Seconds are of processor time, on one thread
each. Writes results/real_search.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from idealprompt_cli import metrics, strategies
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import Example, ModelRef, Task
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import open_llama_cpp
from idealprompt_cli.engines.llama_cpp.native.library import write_bfloat16
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.search.tree_search import SearchSettings, search
from tests.support.llama_server import BINARY

from .clock import Clock
from .fields import rows
from .memory import peak_bytes
from .server import free_port, started

RESULTS = Path(__file__).parents[1] / "results" / "real_search.json"
LABEL_TOKENS = 6
ORDERS = {
    "text first": "{text}\n\nWhich intent is it?",
    "question first": "Which intent is it?\n\n{text}",
}
TARGETS = {"create_chat_completion": 10.0, "llama-server": 3.0}
Asked = ScoreRequest | GenerateRequest
Ask = Callable[[dict[str, Any]], None]


@dataclass
class Recorder:
    """Requests of a search with the processor time of the calls."""

    requests: list[Asked] = field(default_factory=list)
    seconds: float = 0.0

    def listen(self, engine: Any) -> None:
        for name in ("score", "generate"):
            setattr(engine, name, self._recorded(getattr(engine, name)))

    def _recorded(self, call: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
        def recorded(requests: Sequence[Any]) -> Any:
            begin = time.process_time()
            answers = call(requests)
            self.seconds += time.process_time() - begin
            self.requests += requests
            return answers

        return recorded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a text GGUF")
    parser.add_argument("--table", type=Path, required=True, help="a CSV file")
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--examples", type=int, default=32)
    parser.add_argument("--repeated", type=int, default=20, help="requests made in other ways")
    options = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.gguf"
        write_bfloat16(options.model, copy, 1)
        for order, question in ORDERS.items():
            task = made_task(options.table, options.examples, question)
            report[order] = measured(task, options, copy)
            print(order, json.dumps(report[order], indent=1), flush=True)
    report["peak_mib"] = round(peak_bytes() / 2**20)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measured(task: Task, options: argparse.Namespace, copy: Path) -> dict[str, Any]:
    """A search, and some of its requests in other ways."""
    found, requests = searched(task, options.model, options.budget, "file")
    found_copy, _ = searched(task, options.model, options.budget, "bf16")
    chosen = spread_over(requests, options.repeated)
    others = {"create_chat_completion": bound(options.model, chosen)}
    if BINARY:
        others["llama-server"] = served(options.model, chosen)
        others["llama-server, bfloat16 file"] = served(copy, chosen)
    report: dict[str, Any] = {
        "examples": len(task.train),
        "repeated": len(chosen),
        "ours": found,
        "ours_bfloat16": found_copy,
        "seconds_each": {name: round(seconds, 4) for name, seconds in others.items()},
    }
    return {**report, "times_faster": compared(report)}


def made_task(table: Path, count: int, question: str) -> Task:
    """The rows of six intents, `count` of them evenly over the file."""
    every = rows(table, "text", "category", 1 << 30)
    chosen = every[:: max(1, len(every) // count)][:count]
    labels = tuple(sorted({label for _, label in every}))
    examples = tuple(
        Example(str(index), (), label, table.name, {"text": text})
        for index, (text, label) in enumerate(chosen)
    )
    return Task(
        name="bank",
        root=Path(),
        question=question,
        labels=labels,
        metric="accuracy",
        train=examples,
        test=(),
        fingerprint="benchmark",
        fields=("text",),
    )


def searched(
    task: Task, model: Path, budget: int, weights: Literal["file", "bf16"]
) -> tuple[dict[str, Any], list[Asked]]:
    """Figures of a search with empty caches, and its requests."""
    with tempfile.TemporaryDirectory() as folder:
        options = EngineOptions(threads=1, cache_dir=Path(folder), weights=weights)
        with open_llama_cpp(ModelRef(model), options, print) as engine:
            engine.check()
            before, recorder = engine.stats(), Recorder()
            recorder.listen(engine)
            metric = metrics.get(task.metric)
            context = open_context(task, engine, metric, Budget.parse(str(budget)))
            search(context, SearchSettings(strategies.select(None)))
            after = engine.stats()
    count = len(recorder.requests)
    tokens, alone = (after[name] - before[name] for name in ("tokens", "tokens_without_sharing"))
    drafts, right = (
        after[name] - before[name] for name in ("draft_tokens", "draft_tokens_accepted")
    )
    return {
        "seconds": round(recorder.seconds, 2),
        "seconds_each": round(recorder.seconds / count, 4),
        "requests": count,
        "tokens_each": round(tokens / count, 1),
        "tokens_each_without_sharing": round(alone / count, 1),
        "draft_tokens": drafts,
        "share_of_drafts_accepted": round(right / max(1, drafts), 3),
    }, recorder.requests


def spread_over(requests: Sequence[Asked], count: int) -> list[dict[str, Any]]:
    """So many requests, evenly over the record, as chats."""
    count = min(count, len(requests))
    return [chat(requests[index * len(requests) // count]) for index in range(count)]


def chat(request: Asked) -> dict[str, Any]:
    """A request in OpenAI's form."""
    most = request.max_tokens if isinstance(request, GenerateRequest) else LABEL_TOKENS
    messages = [
        {"role": one.role, "content": "".join(map(str, one.content))} for one in request.messages
    ]
    return {"messages": messages, "max_tokens": most, "temperature": 0}


def bound(model: Path, chats: Sequence[dict[str, Any]]) -> float:
    """Seconds of a chat with the binding, which keeps the tokens that the last one began with."""
    from llama_cpp import Llama

    llama = Llama(str(model), n_ctx=2048, n_threads=1, n_threads_batch=1, verbose=False)
    return timed(lambda body: llama.create_chat_completion(**body), chats, Clock("processor"))


def served(model: Path, chats: Sequence[dict[str, Any]]) -> float:
    """Seconds of a chat with llama-server, of its own process."""
    with running(model) as (ask, clock):
        return timed(ask, chats, clock)


def timed(
    ask: Callable[[dict[str, Any]], Any], chats: Sequence[dict[str, Any]], clock: Clock
) -> float:
    ask(chats[0])  # touches the weights
    begin = clock.now()
    for one in chats:
        ask(one)
    return (clock.now() - begin) / len(chats)


@contextmanager
def running(model: Path) -> Iterator[tuple[Ask, Clock]]:
    """llama-server with one slot and its prompt cache."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    port = free_port()
    command = [BINARY, "--model", str(model), "--port", str(port), "-c", "4096", "-np", "1"]
    command += ["-t", "1", "--no-ui", "--offline"]
    with tempfile.TemporaryFile() as log, started(command, port, log) as process:

        def ask(body: dict[str, Any]) -> None:
            sent = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/chat/completions",
                json.dumps({**body, "cache_prompt": True}).encode(),
                {"Content-Type": "application/json"},
            )
            with opener.open(sent, timeout=600) as reply:
                reply.read()

        yield ask, Clock("processor", process.pid)


def compared(report: dict[str, Any]) -> dict[str, dict[str, float]]:
    """How many times faster a request of ours is, with the file and with copies."""
    found = {}
    for ours in ("ours", "ours_bfloat16"):
        own = report[ours]["seconds_each"]
        for name, seconds in report["seconds_each"].items():
            target = TARGETS.get(name.partition(",")[0], 0.0)
            found[f"{ours} against {name}"] = {"times": round(seconds / own, 2), "target": target}
    return found


if __name__ == "__main__":
    main()
