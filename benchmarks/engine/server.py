"""The server contenders: llama-server on loopback, driven over HTTP with one thread per slot.

"server" is what GEPA or DSPy drive: four slots, prompt cache on, the candidate text before the
picture. "server-tuned" is what somebody gets who knows the server well: the picture first, one
slot pinned to each picture so that its prefix stays, all pictures in flight together, no copies of
prompts to the RAM cache, pictures read from a folder instead of from the request. Flash attention
makes a new picture faster and a short prompt slower, so both are tried.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from .build import programs
from .clock import Clock
from .figures import Measured, Step
from .jobs import Job
from .memory import peak_bytes
from .naive import ASKS, data_url
from .shapes import bfloat16
from .workload import ANSWER_TOKENS, OPTIONS, key, pictures, prompts

SLOTS = 4
_SLOT_TOKENS = 1024
_FLASH_PICTURES = 8
_START_SECONDS = 600


@dataclass(frozen=True)
class Question:
    """One call. `slot` -1 leaves the choice to the server; `labels` asks for the log-probabilities
    of the first token instead of a text."""

    text: str
    url: str
    image_first: bool
    slot: int = -1
    labels: bool = False


class Server:
    """A running llama-server. Each client thread keeps its own connection."""

    def __init__(self, port: int, pid: int) -> None:
        self._port, self.pid = port, pid
        self._local = threading.local()

    def ask(self, question: Question) -> dict[str, Any]:
        """One chat completion. Raises `RuntimeError` with the server's words if it refuses."""
        try:
            response = self._send(question)
        except ConnectionError:  # the server ends connections that were idle for seconds
            self._local.connection = None
            response = self._send(question)
        data = response.read().decode()
        if response.status != 200:
            raise RuntimeError(f"llama-server answered {response.status}: {data[:300]}")
        reply: dict[str, Any] = json.loads(data)
        return reply

    def _send(self, question: Question) -> http.client.HTTPResponse:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=3600)
            self._local.connection = connection
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body(question)), headers)
        found: http.client.HTTPResponse = connection.getresponse()
        return found


def body(question: Question) -> dict[str, Any]:
    """The request in OpenAI's form, with llama-server's own fields for caching and slots."""
    content: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": question.url}},
        {"type": "text", "text": question.text},
    ]
    request: dict[str, Any] = {
        "messages": [
            {"role": "user", "content": content if question.image_first else content[::-1]}
        ],
        "temperature": 0.0,
        "max_tokens": 1 if question.labels else ANSWER_TOKENS,
        "cache_prompt": True,
    }
    if question.slot >= 0:
        request["id_slot"] = question.slot
    if question.labels:
        request |= {"logprobs": True, "top_logprobs": 5 * len(OPTIONS)}
    return request


def measure(job: Job) -> list[Measured]:
    """Some calls of the default server, four at a time, after one that warms up."""
    urls = [data_url(path) for path in pictures(job.plan.images, job.cache / "pictures")]
    texts = prompts(job.plan.prompts)
    pairs = [(text, url) for text in texts for url in urls][: job.plan.server_calls]
    with running(job, ["--parallel", str(SLOTS)]) as server:
        with ThreadPoolExecutor(SLOTS) as pool:
            server.ask(Question(texts[-1], urls[-1], image_first=False))
            asked = [Question(text, url, image_first=False) for text, url in pairs]
            clock = Clock(job.clock, server.pid)
            steps, replies = _timed(pool, server, _chunks(asked, 4 * SLOTS), clock)
        peak = peak_bytes(server.pid) + peak_bytes()
    return [
        Measured(
            contender="server",
            asks=ASKS,
            images=min(len(urls), len(pairs)),
            warm=steps,
            tokens=_computed(replies),
            peak_bytes=peak,
        )
    ]


def measure_tuned(job: Job) -> list[Measured]:
    """Prompt after prompt on all pictures at a time: first cold, then with prefixes kept; and the
    same with one token and its log-probabilities, which is how labels are scored over HTTP. With
    flash attention on fewer pictures, where the plan asks for that too."""
    if job.plan.brief:
        return _tuned(job, job.named("server-tuned"), job.plan.measured_images, "on")
    found = _tuned(job, job.named("server-tuned"), job.plan.measured_images, "off")
    if job.plan.flash:
        few = min(_FLASH_PICTURES, job.plan.measured_images)
        found += _tuned(job, job.named("server-tuned", "-flash"), few, "on")[:1]
    return found


def _tuned(job: Job, name: str, n: int, flash: str) -> list[Measured]:
    """Generated and scored, `n` slots for `n` pictures."""
    folder, count = job.cache / "pictures", job.plan.tuned_prompts
    urls = [f"file://{path.name}" for path in pictures(n, folder)]
    texts = prompts(2 * count)
    options = ["--parallel", str(n), "--ctx-size", str(n * _SLOT_TOKENS), "--no-kv-unified"]
    options += ["--flash-attn", flash, "--cache-ram", "0", "--media-path", str(folder)]

    def row(text: str, labels: bool) -> list[Question]:
        return [Question(text, url, True, slot, labels) for slot, url in enumerate(urls)]

    with running(job, options) as server, ThreadPoolExecutor(n) as pool:
        clock = Clock(job.clock, server.pid)
        (cold,), first = _timed(pool, server, [row(texts[0], False)], clock)
        steps, replies = _timed(pool, server, [row(text, False) for text in texts[1:count]], clock)
        scored, marks = _timed(pool, server, [row(text, True) for text in texts[count:]], clock)
        peak = peak_bytes(server.pid) + peak_bytes()
    answers = {
        key(*divmod(index, n)): reply["choices"][0]["message"]["content"]
        for index, reply in enumerate(first + replies)
    }
    labels = "log-probabilities of one token"
    return [
        Measured(name, ASKS, n, steps, cold, _computed(replies), 0, peak, answers),
        Measured(f"{name}-score", labels, n, scored, cold, _computed(marks), 0, peak),
    ]


@contextmanager
def running(job: Job, options: Sequence[str]) -> Iterator[Server]:
    """A server of the job's model on a free port, gone at the end of the block."""
    program = programs(job.cache) / "llama-server"
    port = free_port()
    text, mmproj = (
        (bfloat16(job.text, job.cache), bfloat16(job.mmproj, job.cache))
        if job.bfloat16
        else (job.text, job.mmproj)
    )
    command = [
        str(program), "--model", str(text), "--mmproj", str(mmproj), "--port", str(port),
        "--threads", str(job.default_threads), "--offline", "--no-ui", "--log-verbosity", "1",
        *options,
    ]  # fmt: skip
    with tempfile.TemporaryFile() as log, started(command, port, log) as process:
        yield Server(port, process.pid)


@contextmanager
def started(
    command: Sequence[str], port: int, log: BinaryIO, seconds: float = _START_SECONDS
) -> Iterator[subprocess.Popen[bytes]]:
    """A llama-server that is ready on `port`, ended at the end of the block. Raises `RuntimeError`
    with the end of its log where it ends or is not ready in time."""
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait(process, port, log, seconds)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: BinaryIO, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"llama-server ended with {process.returncode}: {_tail(log)}")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise RuntimeError(f"llama-server was not ready after {seconds:.0f} s: {_tail(log)}")


def _tail(log: BinaryIO) -> str:
    log.seek(0)
    return " ".join(log.read().decode("utf-8", "replace").split())[-300:]


def _timed(
    pool: ThreadPoolExecutor, server: Server, rows: Sequence[Sequence[Question]], clock: Clock
) -> tuple[tuple[Step, ...], list[dict[str, Any]]]:
    """Each row's questions asked together; rows one after the other."""
    steps, replies = [], []
    for row in rows:
        started = clock.now()
        replies += list(pool.map(server.ask, row))
        steps.append(Step(clock.now() - started, len(row)))
    return tuple(steps), replies


def _chunks(questions: Sequence[Question], size: int) -> list[Sequence[Question]]:
    return [questions[begin : begin + size] for begin in range(0, len(questions), size)]


def _computed(replies: Sequence[dict[str, Any]]) -> int:
    """Tokens that the server says it computed: prompts less what was cached, and answers."""
    timings = [reply.get("timings", {}) for reply in replies]
    return sum(int(t.get("prompt_n", 0)) + int(t.get("predicted_n", 0)) for t in timings)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
