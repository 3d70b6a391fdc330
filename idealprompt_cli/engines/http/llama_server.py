"""llama-server through its own /completion: the in-process engine's scores, over HTTP.

Prompts are rendered and tokenised as in the in-process engine, with the template and the vocabulary
that the server reports. A worker is a slot of the server, so a picture's part of the prompt is
computed once and stays in the prefix cache while prompts about it come in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.errors import ModelError, ServerError
from ...core.interfaces import Notice
from ...core.prompt import Message
from ...core.requests import Generated, GenerateRequest, Scored, ScoreRequest
from ..llama_cpp.native.chat_template import load_template
from ..llama_cpp.scheduling.request_plan import Plan, Planner
from .connection import Connection
from .connection_pool import ConnectionPool, Worker
from .forced_scoring import ForcedScores, ReportedPosition, Tokens
from .images import Pictures
from .vocabulary import RemoteVocabulary

_TOP = 64
_PREFER = 1000.0
_GREEDY = {"temperature": 0, "samplers": ["temperature"], "cache_prompt": True}
_FIELDS = ["content", "tokens", "stop_type", "timings", "completion_probabilities"]

Request = ScoreRequest | GenerateRequest


class LlamaServer:
    """Answers through `pool`; `connection` is for requests outside it (tokenisation)."""

    def __init__(
        self,
        connection: Connection,
        pool: ConnectionPool,
        props: dict[str, Any],
        model: str,
        template: str | None,
        notice: Notice,
    ) -> None:
        self._pool, self._model, self._notice = pool, model, notice
        self._marker = str(props.get("media_marker") or "<__media__>")
        bos, eos = str(props.get("bos_token") or ""), str(props.get("eos_token") or "")
        source = template or str(props.get("chat_template") or "")
        if not source:
            raise ModelError(
                f"{connection.endpoint.url}: the server's model has no chat template: pass one "
                "with --chat-template"
            )
        self._vocabulary = RemoteVocabulary(connection, model, bos, eos)
        self._planner = Planner(load_template(source, bos, eos), self._vocabulary)
        self._pictures = Pictures()
        self._noticed_split = False

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Text tokens of the rendered chat."""
        plan = self._planner.plan(tuple(messages), "")
        heads = (self._vocabulary.tokenize_rendered(text) for text in plan.prefix)
        return len(plan.fields) + len(plan.suffix) + sum(map(len, heads))

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Log-probabilities of each request's options."""
        plans = [self._planner.plan(r.messages, r.prefill, r.options, r.whole) for r in requests]

        def one(worker: Worker, index: int) -> Scored:
            return self._score(worker, requests[index], plans[index])

        return self._pool.run(_groups(requests, plans), one, len(requests))

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Greedy continuations."""
        plans = [self._planner.plan(r.messages, r.prefill) for r in requests]

        def one(worker: Worker, index: int) -> Generated:
            return self._generate(worker, requests[index], plans[index])

        return self._pool.run(_groups(requests, plans), one, len(requests))

    def close(self) -> None:
        self._pool.close()

    def _score(self, worker: Worker, request: ScoreRequest, plan: Plan) -> Scored:
        forced, cost = ForcedScores(plan.options), 0
        while (path := forced.next()) is not None:
            closed = path[-1] == plan.end
            answer = self._ask(worker, request, plan, forcing(path, closed))
            forced.learn(path, map(_shown, answer.get("completion_probabilities", [])))
            cost += _computed(answer)
        if not forced.complete() and not self._noticed_split:
            self._noticed_split = True
            self._notice(
                "the server does not report tokens that end inside a character: labels with such "
                "characters are scored by their other tokens only"
            )
        return Scored(forced.totals(), cost)

    def _generate(self, worker: Worker, request: GenerateRequest, plan: Plan) -> Generated:
        if request.max_tokens <= 0:
            return Generated("", 0, "length")
        asked: dict[str, Any] = {"n_predict": request.max_tokens, "stop": list(request.stop)}
        if request.grammar:
            asked["grammar"] = request.grammar
        answer = self._ask(worker, request, plan, asked)
        text = str(answer["content"]).removeprefix(plan.separator)
        cut = answer.get("stop_type") == "limit"
        return Generated(text, _computed(answer), "length" if cut else "stop")

    def _ask(
        self, worker: Worker, request: Request, plan: Plan, asked: dict[str, Any]
    ) -> dict[str, Any]:
        body = {**_GREEDY, **asked, "prompt": self._prompt(request, plan)}
        body |= {"id_slot": worker.number, "response_fields": _FIELDS}
        if self._model:
            body["model"] = self._model
        answer = worker.connection.post("/completion", body)
        if not isinstance(answer, dict) or "content" not in answer:
            raise ServerError(
                f"{worker.connection.endpoint.url}/completion: an answer in an unknown format"
            )
        return answer

    def _prompt(self, request: Request, plan: Plan) -> Any:
        """The rendered text, with its pictures."""
        text = self._marker.join((*plan.prefix, plan.tail))
        if self._vocabulary.adds_bos:  # the server adds it to every prompt itself
            text = text.removeprefix(self._vocabulary.text(self._vocabulary.bos))
        if not request.images:
            return text
        pictures = [self._pictures.base64(path) for path in request.images]
        return {"prompt_string": text, "multimodal_data": pictures}


def takes_tokens(connection: Connection, model: str) -> bool:
    """Whether the server supports grammars that name tokens (since the end of 2025)."""
    named = {"model": model} if model else {}
    token = int(connection.post("/tokenize", {"content": "a", **named})["tokens"][-1])
    body = {**_GREEDY, **forcing((token,)), **named, "prompt": "a", "response_fields": _FIELDS}
    try:
        answer = connection.post("/completion", body)
    except ServerError as error:
        if error.status in (400, 404, 422, 500, 501):
            return False
        raise
    return isinstance(answer, dict) and answer.get("tokens") == [token]


def forcing(path: Tokens, closed: bool = False) -> dict[str, Any]:
    """The fields that make the server write exactly this path and report every position.

    Where `closed`, the last token is the end-of-turn token. A grammar cannot name it; but once the
    grammar is complete, only a token that ends the text is allowed, and a bias picks this one.
    """
    named = path[:-1] if closed else path
    asked: dict[str, Any] = {
        "grammar": "root ::= " + (" ".join(f"<[{token}]>" for token in named) or '""'),
        "n_predict": len(path),
        "n_probs": _TOP,
        "return_tokens": True,
    }
    return asked | ({"logit_bias": [[path[-1], _PREFER]]} if closed else {})


def _groups(requests: Sequence[Request], plans: Sequence[Plan]) -> list[tuple[object, list[int]]]:
    """Requests by picture and text before it; those with a common prefix follow each other."""
    found: dict[object, list[int]] = {}
    for index, (request, plan) in enumerate(zip(requests, plans, strict=True)):
        key = (request.images, plan.prefix) if request.images else ("text", index)
        found.setdefault(key, []).append(index)
    return [(key, sorted(group, key=lambda i: plans[i].tail)) for key, group in found.items()]


def _shown(position: dict[str, Any]) -> ReportedPosition:
    token = int(position["id"])
    others = {int(p["id"]): float(p["logprob"]) for p in position.get("top_logprobs", [])}
    return ReportedPosition(token, {**others, token: float(position["logprob"])})


def _computed(answer: dict[str, Any]) -> int:
    """Positions that the server computed: the part of the prompt that was not cached, and all
    written tokens but the last."""
    timings = answer.get("timings") or {}
    return int(timings.get("prompt_n", 0)) + max(0, int(timings.get("predicted_n", 0)) - 1)
