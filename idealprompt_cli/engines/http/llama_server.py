"""llama-server through its own /completion: the in-process engine's scores, over HTTP.

Prompts are rendered and cut into tokens as the in-process engine does it, from the template and
the vocabulary that the server names. A lane is a slot of the server, so that a picture's part of
the prompt is computed once and kept while prompts about it come in.
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
from .connection import Wire
from .connection_pool import Lane, Lanes
from .forced_scoring import Forced, Shown, Tokens
from .images import Pictures
from .vocabulary import RemoteVocabulary

_TOP = 64
_PREFER = 1000.0
_GREEDY = {"temperature": 0, "samplers": ["temperature"], "cache_prompt": True}
_FIELDS = ["content", "tokens", "stop_type", "timings", "completion_probabilities"]

Request = ScoreRequest | GenerateRequest


class LlamaServer:
    """Answers through `lanes`; `wire` serves what is asked on the side (tokens)."""

    def __init__(
        self,
        wire: Wire,
        lanes: Lanes,
        props: dict[str, Any],
        model: str,
        template: str | None,
        notice: Notice,
    ) -> None:
        self._lanes, self._model, self._notice = lanes, model, notice
        self._marker = str(props.get("media_marker") or "<__media__>")
        bos, eos = str(props.get("bos_token") or ""), str(props.get("eos_token") or "")
        source = template or str(props.get("chat_template") or "")
        if not source:
            raise ModelError(
                f"{wire.line.url}: the server's model has no chat template; pass one with "
                "--chat-template"
            )
        self._vocabulary = RemoteVocabulary(wire, model, bos, eos)
        self._planner = Planner(load_template(source, bos, eos), self._vocabulary)
        self._pictures = Pictures()
        self._told_split = False

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Text tokens of the rendered chat."""
        plan = self._planner.plan(tuple(messages), "")
        heads = (self._vocabulary.tokenize_rendered(text) for text in plan.prefix)
        return len(plan.suffix) + sum(map(len, heads))

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Log-probabilities of each request's options."""
        plans = [self._planner.plan(r.messages, r.prefill, r.options) for r in requests]
        closed = [self._closed(plan) for plan in plans]  # now: lanes must not share the side wire

        def one(lane: Lane, index: int) -> Scored:
            return self._score(lane, requests[index], plans[index], closed[index])

        return self._lanes.run(_groups(requests, plans), one, len(requests))

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Greedy continuations."""
        plans = [self._planner.plan(r.messages, r.prefill) for r in requests]

        def one(lane: Lane, index: int) -> Generated:
            return self._generate(lane, requests[index], plans[index])

        return self._lanes.run(_groups(requests, plans), one, len(requests))

    def close(self) -> None:
        self._lanes.close()

    def _closed(self, plan: Plan) -> bool:
        """Whether the plan's options end with the end of the turn."""
        lasts = {option[-1] for option in plan.options}
        return len(lasts) == 1 and self._vocabulary.ends(lasts.pop())

    def _score(self, lane: Lane, request: ScoreRequest, plan: Plan, closed: bool) -> Scored:
        forced, cost = Forced(plan.options), 0
        while (path := forced.next()) is not None:
            answer = self._ask(lane, request, plan, forcing(path, closed))
            forced.learn(path, map(_shown, answer.get("completion_probabilities", [])))
            cost += _computed(answer)
        if not forced.complete() and not self._told_split:
            self._told_split = True
            self._notice(
                "the server hides tokens that end inside a character: labels in such letters are "
                "scored by their other tokens only"
            )
        return Scored(forced.totals(), cost)

    def _generate(self, lane: Lane, request: GenerateRequest, plan: Plan) -> Generated:
        if request.max_tokens <= 0:
            return Generated("", 0, "length")
        asked: dict[str, Any] = {"n_predict": request.max_tokens, "stop": list(request.stop)}
        if request.grammar:
            asked["grammar"] = request.grammar
        answer = self._ask(lane, request, plan, asked)
        text = str(answer["content"]).removeprefix(plan.separator)
        cut = answer.get("stop_type") == "limit"
        return Generated(text, _computed(answer), "length" if cut else "stop")

    def _ask(
        self, lane: Lane, request: Request, plan: Plan, asked: dict[str, Any]
    ) -> dict[str, Any]:
        body = {**_GREEDY, **asked, "prompt": self._prompt(request, plan)}
        body |= {"id_slot": lane.number, "response_fields": _FIELDS}
        if self._model:
            body["model"] = self._model
        answer = lane.wire.post("/completion", body)
        if not isinstance(answer, dict) or "content" not in answer:
            raise ServerError(f"{lane.wire.line.url}/completion: an answer of an unknown form")
        return answer

    def _prompt(self, request: Request, plan: Plan) -> Any:
        """The rendered text, with the pictures beside it."""
        text = self._marker.join((*plan.prefix, plan.tail))
        if self._vocabulary.adds_bos:  # the server puts it before every prompt itself
            text = text.removeprefix(self._vocabulary.text(self._vocabulary.bos))
        if not request.images:
            return text
        pictures = [self._pictures.base64(path) for path in request.images]
        return {"prompt_string": text, "multimodal_data": pictures}


def takes_tokens(wire: Wire, model: str) -> bool:
    """Whether the server is recent enough for grammars that name tokens (end of 2025)."""
    named = {"model": model} if model else {}
    token = int(wire.post("/tokenize", {"content": "a", **named})["tokens"][-1])
    body = {**_GREEDY, **forcing((token,)), **named, "prompt": "a", "response_fields": _FIELDS}
    try:
        answer = wire.post("/completion", body)
    except ServerError as error:
        if error.status in (400, 404, 422, 500, 501):
            return False
        raise
    return isinstance(answer, dict) and answer.get("tokens") == [token]


def forcing(path: Tokens, closed: bool = False) -> dict[str, Any]:
    """What makes the server write just this path and show every position.

    Where `closed`, the last token is the end of the turn. No grammar can name that one; but where
    the grammar is through, only a token that ends a text may come, and a bias picks ours.
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
    """Requests by picture and text before it; those whose text begins alike follow each other."""
    found: dict[object, list[int]] = {}
    for index, (request, plan) in enumerate(zip(requests, plans, strict=True)):
        key = (request.images, plan.prefix) if request.images else ("text", index)
        found.setdefault(key, []).append(index)
    return [(key, sorted(group, key=lambda i: plans[i].tail)) for key, group in found.items()]


def _shown(position: dict[str, Any]) -> Shown:
    token = int(position["id"])
    others = {int(p["id"]): float(p["logprob"]) for p in position.get("top_logprobs", [])}
    return Shown(token, {**others, token: float(position["logprob"])})


def _computed(answer: dict[str, Any]) -> int:
    """Positions that the server computed: what was new of the prompt, and all written tokens but
    the last."""
    timings = answer.get("timings") or {}
    return int(timings.get("prompt_n", 0)) + max(0, int(timings.get("predicted_n", 0)) - 1)
