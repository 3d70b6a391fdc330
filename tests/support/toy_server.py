"""A small HTTP server that behaves like llama-server, vLLM, Ollama or a plain chat server.

Behind it is a toy language model: the log-probabilities of the next token are drawn from a
generator seeded with everything before it (text, and the bytes of the pictures). So what an
engine should return is known exactly, without weights.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import numpy.typing as npt
from PIL import Image

SPECIAL = ("<|im_start|>", "<|im_end|>", "<s>")
WORDS = ("red", "blue", "yellow", " red", " blue", "K7", "M2", " a", "assistant", "user", "Answer")
LETTERS = tuple(chr(code) for code in (10, *range(32, 127)))
VOCABULARY = (*SPECIAL, *WORDS, *LETTERS)
END = 1
MARKER = "<__media_test__>"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
Floats = npt.NDArray[np.float64]


class Toy:
    """The model. Tokens are indices of VOCABULARY."""

    def tokens(self, text: str, special: bool = True) -> list[int]:
        """Greedy: the longest piece that fits."""
        known = VOCABULARY if special else VOCABULARY[len(SPECIAL) :]
        found = []
        while text:
            piece = max((v for v in known if text.startswith(v)), key=len, default="?")
            found.append(VOCABULARY.index(piece))
            text = text[max(1, len(piece)) :]
        return found

    def next(self, before: str) -> Floats:
        """Log-probabilities (vocabulary,) after a text."""
        seed = int.from_bytes(hashlib.sha256(before.encode()).digest()[:8], "little")
        logits = np.random.default_rng(seed).normal(0.0, 2.0, len(VOCABULARY))
        result: Floats = logits - np.log(np.exp(logits).sum())
        return result

    def score(self, before: str, text: str, end: bool = False) -> float:
        """Log-probability of a text after another one."""
        total = 0.0
        for token in [*self.tokens(text), *([END] if end else [])]:
            total += self.next(before)[token]
            before += VOCABULARY[token]
        return float(total)


TOY = Toy()


def picture_mark(data: str) -> str:
    """What a picture is in the toy's text: a hash of its pixels, from base64."""
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.mode == "RGB"
    return f"[{hashlib.sha256(image.tobytes()).hexdigest()[:12]}]"


def chatml(messages: Sequence[Any], opened: bool = True) -> str:
    """Chat messages as the toy sees them; a last message of the assistant stays open."""
    text = ""
    for message in messages:
        content = message["content"]
        if isinstance(content, list):
            content = "".join(
                part["text"]
                if part["type"] == "text"
                else picture_mark(part["image_url"]["url"].partition("base64,")[2])
                for part in content
            )
        text += f"<|im_start|>{message['role']}\n{content}<|im_end|>\n"
    last = messages[-1]["role"] == "assistant"
    return (
        text.removesuffix("<|im_end|>\n") if last and opened else f"{text}<|im_start|>assistant\n"
    )


@dataclass
class Call:
    """One request that came in."""

    method: str
    path: str
    body: Any
    headers: dict[str, str]
    client: tuple[str, int]


@dataclass
class Behaviour:
    """What kind of server this is, and what goes wrong in it. `faults`: path -> answers
    (status, body) that are given first, one a request; `fails` gives more, by path."""

    kind: str = "llama-server"
    models: tuple[str, ...] = ("toy",)
    slots: int = 2
    vision: bool = True
    n_ctx: int = 2000
    tops: int = 20
    logprobs: bool = True
    continues: bool = True
    schema: bool = True
    key: str = ""
    old: bool = False
    faults: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    fails: Callable[[str], list[tuple[int, str]]] = lambda _path: []
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    calls: list[Call] = field(default_factory=list)

    def bodies(self, path: str) -> list[Any]:
        return [call.body for call in self.calls if call.path.partition("?")[0] == path]


@contextmanager
def serving(settings: Behaviour) -> Iterator[str]:
    """The server, on a free loopback port -> its address."""

    class Bound(_Handler):
        behaviour = settings

    server = _Quiet(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Ignore clients that close the connection."""


class _Handler(BaseHTTPRequestHandler):
    behaviour: Behaviour
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve(dict(parse_qsl(urlsplit(self.path).query)))

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, body: Any) -> None:
        behaviour, path = self.behaviour, self.path.partition("?")[0]
        call = Call(self.command, self.path, body, dict(self.headers), self.client_address)
        behaviour.calls.append(call)
        if behaviour.delay:
            time.sleep(behaviour.delay)
        faults = behaviour.faults.get(path) or list(behaviour.fails(path))
        if faults:
            status, text = faults.pop(0)
            return self._reply(status, text.encode())
        if behaviour.key and self.headers.get("Authorization") != f"Bearer {behaviour.key}":
            return self._reply(401, b'{"error": {"message": "Invalid API Key"}}')
        answer = _DIALECTS[behaviour.kind](behaviour).answer(path, body)
        if isinstance(answer, tuple):
            return self._reply(answer[0], json.dumps({"error": {"message": answer[1]}}).encode())
        return self._reply(200, json.dumps(answer).encode())

    def _reply(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in self.behaviour.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


Answer = Any


class _Chat:
    """What all servers have: models and chat completions."""

    owner = "someone"

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    def answer(self, path: str, body: Any) -> Answer:
        if path == "/v1/models":
            entries = [{"id": name, "owned_by": self.owner} for name in self.behaviour.models]
            return {"object": "list", "data": entries}
        if path == "/v1/chat/completions":
            return self.chat(body)
        return 404, "File Not Found"

    def chat(self, body: Any) -> Answer:
        behaviour = self.behaviour
        if body["model"] not in behaviour.models:
            return 404, f"model '{body['model']}' not found"
        if body.get("top_logprobs", 0) > behaviour.tops:
            return 400, "top_logprobs is too large"
        if "response_format" in body and not behaviour.schema:
            return 400, "response_format is not supported"
        before = chatml(body["messages"], behaviour.continues)
        prompt = len(TOY.tokens(re.sub(r"\[\w{12}\]", "#", before)))
        if prompt > behaviour.n_ctx:
            return 400, f"the prompt exceeds the context length of {behaviour.n_ctx}"
        text, positions, finish = self.write(before, body)
        choice: dict[str, Any] = {
            "message": {"role": "assistant", "content": text},
            "finish_reason": finish,
        }
        if body.get("logprobs") and behaviour.logprobs:
            choice["logprobs"] = {"content": positions}
        usage = {"prompt_tokens": prompt, "completion_tokens": len(positions)}
        return {"choices": [choice], "usage": usage} | self.more(body, before)

    def more(self, body: Any, before: str) -> dict[str, Any]:
        return {}

    def write(self, before: str, body: Any) -> tuple[str, list[Any], str]:
        if "response_format" in body:
            options = body["response_format"]["json_schema"]["schema"]["properties"]["answer"]
            best = max(options["enum"], key=lambda option: TOY.score(before, option, end=True))
            return json.dumps({"answer": best}), [], "stop"
        text, positions = "", []
        for _ in range(body["max_tokens"]):
            logprobs = TOY.next(before + text)
            token = int(logprobs.argmax())
            positions.append(_position(logprobs, token, body.get("top_logprobs", 0)))
            if token == END:
                return text, positions, "stop"
            text += VOCABULARY[token]
            for stop in body.get("stop", []):
                if stop in text:
                    return text.partition(stop)[0], positions, "stop"
        return text, positions, "length"


class _Vllm(_Chat):
    owner = "vllm"

    def answer(self, path: str, body: Any) -> Answer:
        if path == "/version":
            return {"version": "0.12.0"}
        if path == "/tokenize":
            return {"count": len(TOY.tokens(chatml(body["messages"])))}
        return super().answer(path, body)

    def chat(self, body: Any) -> Answer:
        open_end = body.get("continue_final_message", False)
        assert open_end == (body["messages"][-1]["role"] == "assistant")
        assert open_end != body.get("add_generation_prompt", True)
        return super().chat(body)

    def more(self, body: Any, before: str) -> dict[str, Any]:
        if body.get("prompt_logprobs") is None:
            return {}
        listed, at = [], ""
        for token in TOY.tokens(before):
            value = float(TOY.next(at)[token])
            listed.append({str(token): {"logprob": value, "decoded_token": VOCABULARY[token]}})
            at += VOCABULARY[token]
        return {"prompt_logprobs": [None, *listed[1:]]}


class _Ollama(_Chat):
    owner = "library"

    def answer(self, path: str, body: Any) -> Answer:
        if path == "/api/version":
            return {"version": "0.12.11"}
        if path == "/api/tags":
            return {"models": [{"name": name, "digest": "abc"} for name in self.behaviour.models]}
        if path == "/api/show":
            seen = ["completion", *(["vision"] if self.behaviour.vision else [])]
            facts = {"general.architecture": "qwen2", "general.parameter_count": 3_000_000}
            return {
                "capabilities": seen,
                "model_info": facts,
                "details": {"quantization_level": "Q8_0"},
            }
        return super().answer(path, body)


class _LlamaServer(_Chat):
    owner = "llamacpp"

    def answer(self, path: str, body: Any) -> Answer:
        behaviour = self.behaviour
        if path == "/props" and len(behaviour.models) > 1 and "model" not in body:
            return {"role": "router", "default_generation_settings": {"n_ctx": 0}}
        if path == "/props":
            return {
                "default_generation_settings": {"n_ctx": behaviour.n_ctx},
                "total_slots": behaviour.slots,
                "model_path": "/models/toy-Q8_0.gguf",
                "modalities": {"vision": behaviour.vision},
                "media_marker": MARKER,
                "chat_template": TEMPLATE,
                "bos_token": "<s>",
                "eos_token": "<|im_end|>",
                "build_info": "b1-toy",
                "model_ftype": "Q8_0",
            }
        if path == "/tokenize":
            return {"tokens": TOY.tokens(body["content"], body.get("parse_special", True))}
        if path == "/detokenize":
            return {"content": "".join(VOCABULARY[token] for token in body["tokens"])}
        if path == "/completion":
            return self.completion(body)
        return super().answer(path, body)

    def completion(self, body: Any) -> Answer:
        behaviour = self.behaviour
        forced = [int(token) for token in re.findall(r"<\[(\d+)\]>", body.get("grammar", ""))]
        if forced and behaviour.old:
            return 400, "failed to parse grammar"
        prompt = body["prompt"]
        if isinstance(prompt, dict):
            marks = iter(map(picture_mark, prompt["multimodal_data"]))
            text = re.sub(re.escape(MARKER), lambda _: next(marks), prompt["prompt_string"])
        else:
            text = prompt
        count = len(TOY.tokens(re.sub(r"\[\w{12}\]", "#", text)))
        if count >= behaviour.n_ctx:
            return 400, f"request ({count} tokens) exceeds the available context size"
        return self.run(text, body, forced, count)

    def run(self, before: str, body: Any, forced: list[int], count: int) -> Answer:
        text, tokens, positions, stop = "", [], [], "limit"
        for index in range(body["n_predict"]):
            logprobs = TOY.next(before + text)
            token = int(logprobs.argmax())
            if "grammar" in body:
                token = forced[index] if index < len(forced) else END
            tokens.append(token)
            positions.append(_position(logprobs, token, body.get("n_probs", 0)))
            if token == END:
                stop = "eos"
                break
            text += VOCABULARY[token]
            cut = [word for word in body.get("stop", []) if word in text]
            if cut:
                text, stop = text.partition(cut[0])[0], "word"
                break
        found = {
            "content": text,
            "tokens": tokens,
            "stop_type": stop,
            "timings": {"prompt_n": count, "predicted_n": len(tokens)},
            "completion_probabilities": positions,
        }
        return {key: value for key, value in found.items() if key in body["response_fields"]}


def _position(logprobs: Floats, token: int, tops: int) -> dict[str, Any]:
    def entry(index: int) -> dict[str, Any]:
        text = "" if index == END else VOCABULARY[index]
        return {"id": index, "token": text, "logprob": float(logprobs[index])}

    best = np.argsort(-logprobs)[:tops]
    return {**entry(token), "top_logprobs": [entry(int(index)) for index in best]}


_DIALECTS = {
    "llama-server": _LlamaServer,
    "vllm": _Vllm,
    "ollama": _Ollama,
    "openai": _Chat,
}
