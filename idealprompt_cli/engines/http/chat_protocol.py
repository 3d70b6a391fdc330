"""Any server with /v1/chat/completions: request bodies, and the parts of its answers.

Which extras a server supports (log-probabilities, continuing a started answer) is found out with
two requests of one token; nothing but the spelling of extras is assumed from its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...core.errors import ContextError, ModelError, ServerError
from ...core.prompt import ImageSlot, Message
from .connection import Connection
from .images import Pictures
from .server import Server
from .top_logprobs import Top

PATH = "/v1/chat/completions"
_TOPS = (20, 5)
_REFUSED = (400, 404, 422, 501)


@dataclass(frozen=True)
class Abilities:
    """`top`: how many of the most likely tokens are listed, 0 for none; `continues`: whether a
    final assistant message is continued; `effort`: whether thinking can be turned off by a
    reasoning effort of "none"."""

    top: int = 0
    continues: bool = False
    effort: bool = False


@dataclass(frozen=True)
class Reply:
    """One answer. `positions`: the written tokens, each with its list of the most likely ones."""

    text: str
    finish: str
    tokens: int
    prompt_tokens: int
    positions: tuple[tuple[str, Top], ...] = ()
    prompt_logprobs: tuple[Any, ...] = ()


class Chat:
    """Builds and parses requests for one model of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.abilities = Abilities()
        self._pictures = Pictures()

    def probe(self, connection: Connection) -> None:
        """Find out what the server supports. Raises `ServerError` if it cannot answer at all."""
        hello = [{"role": "user", "content": "Hello"}]
        if self.server.kind == "ollama":
            self.abilities = Abilities(effort=self._takes_effort(connection, hello))
        plain = None
        for top in (*_TOPS, 0):
            try:
                plain = self.send(connection, hello, 1, top=top)
                break
            except ServerError as error:
                if not top or error.status not in _REFUSED:
                    raise
        assert plain is not None
        listed = max((len(top) for _, top in plain.positions), default=0)
        top = top if listed > 1 else 0
        continues = self._continues(connection, hello, plain)
        self.abilities = replace(self.abilities, top=top, continues=continues)

    def _takes_effort(self, connection: Connection, hello: list[Any]) -> bool:
        """Whether a thinking model's thoughts can be turned off (recent Ollama; older refuse)."""
        try:
            self.send(connection, hello, 1, reasoning_effort="none")
        except ServerError as error:
            if error.status not in _REFUSED:
                raise
            return False
        return True

    def _continues(self, connection: Connection, hello: list[Any], plain: Reply) -> bool:
        """Whether a started answer adds its own token or two to the prompt, not a whole turn."""
        try:
            begun = self.send(connection, [*hello, {"role": "assistant", "content": "A"}], 1)
        except ServerError:
            return False
        return 1 <= begun.prompt_tokens - plain.prompt_tokens <= 2

    def messages(self, request_messages: Sequence[Message], images: Sequence[Any]) -> list[Any]:
        """Messages of a request, with pictures as data URLs in their places."""
        _check_sizes(self.server, request_messages)
        places = iter(images)
        found = []
        for message in request_messages:
            parts = [
                _picture(self._pictures.base64(next(places)))
                if isinstance(part, ImageSlot)
                else {"type": "text", "text": part}
                for part in message.content
            ]
            plain = not any(part["type"] == "image_url" for part in parts)
            text = "".join(part["text"] for part in parts) if plain else ""
            found.append({"role": message.role, "content": text if plain else parts})
        return found

    def send(
        self,
        connection: Connection,
        messages: list[Any],
        max_tokens: int,
        *,
        top: int = 0,
        **extra: Any,
    ) -> Reply:
        """One greedy answer. Raises `ServerError` or `ContextError`."""
        body: dict[str, Any] = {
            "model": self.server.model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": 0,
            "seed": 0,
            **extra,
        }
        if top:
            body |= {"logprobs": True, "top_logprobs": top}
        if self.server.kind == "vllm" and messages[-1]["role"] == "assistant":
            body |= {"add_generation_prompt": False, "continue_final_message": True}
        if self.abilities.effort:
            body |= {"reasoning_effort": "none"}
        if self.server.kind in ("vllm", "llama-server"):
            body |= {"chat_template_kwargs": {"enable_thinking": False}}
        return self._read(connection, connection.post(PATH, body))

    def _read(self, connection: Connection, answer: Any) -> Reply:
        try:
            choice = answer["choices"][0]
            usage = answer.get("usage") or {}
            listed = (choice.get("logprobs") or {}).get("content") or []
            reply = Reply(
                text=str(choice["message"].get("content") or ""),
                finish="length" if choice.get("finish_reason") == "length" else "stop",
                tokens=_computed(usage),
                prompt_tokens=int(usage.get("prompt_tokens") or 0),
                positions=tuple((str(p["token"]), _top(p)) for p in listed),
                prompt_logprobs=tuple(answer.get("prompt_logprobs") or ()),
            )
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            url = connection.endpoint.url
            raise ServerError(f"{url}{PATH}: an answer in an unknown format") from error
        n_ctx = self.server.n_ctx
        if n_ctx and reply.prompt_tokens > n_ctx:
            raise ContextError(
                f"{connection.endpoint.url}: a prompt needs {reply.prompt_tokens} tokens and the "
                f"context holds {n_ctx}: shorten the prompt, or start the server with a larger "
                "context"
            )
        return reply

    def grammar(self, text: str) -> dict[str, Any]:
        """The body's part for a grammar; empty where the server supports none."""
        if self.server.kind == "llama-server":
            return {"grammar": text}
        if self.server.kind == "vllm":
            recent = _version(self.server.version) >= (0, 11)
            name = "structured_outputs" if recent else "guided_grammar"
            return {name: {"grammar": text} if recent else text}
        return {}

    def count(self, connection: Connection, messages: Sequence[Message]) -> int:
        """Text tokens of a chat: vLLM counts them; elsewhere one per four characters."""
        bare = self.messages([_without_pictures(message) for message in messages], ())
        if self.server.kind == "vllm":
            body = {"model": self.server.model, "messages": bare}
            return int(connection.post("/tokenize", body).get("count", 0))
        return sum(4 + -(-len(message["content"]) // 4) for message in bare)


def schema(options: Sequence[str]) -> dict[str, Any]:
    """Restricts an answer to one of `options`: {"answer": ...}."""
    return response_format(json_object({"answer": {"type": "string", "enum": list(options)}}))


def json_object(properties: dict[str, Any]) -> dict[str, Any]:
    """JSON schema of an object that has exactly these properties, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def response_format(rules: dict[str, Any]) -> dict[str, Any]:
    """The part of a chat request that restricts the answer to a JSON schema."""
    named = {"name": "answer", "strict": True, "schema": rules}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _check_sizes(server: Server, messages: Sequence[Message]) -> None:
    slots = (part for m in messages for part in m.content if isinstance(part, ImageSlot))
    if limit := max((slot.tokens for slot in slots), default=0):
        raise ModelError(
            f"{server.model}: a server cannot be asked to scale images to {limit} tokens: remove "
            "image_tokens from the prompt, or open the model's files"
        )


def _picture(data: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def _without_pictures(message: Message) -> Message:
    return Message(message.role, tuple(part for part in message.content if isinstance(part, str)))


def _top(position: dict[str, Any]) -> Top:
    listed = [*position.get("top_logprobs", []), position]
    found: dict[str, float] = {}
    for entry in listed:  # two tokens may have one text: the more likely comes first
        found.setdefault(str(entry["token"]), float(entry["logprob"]))
    return found


def _computed(usage: dict[str, Any]) -> int:
    """Prompt tokens that were not cached, and written ones."""
    details = usage.get("prompt_tokens_details") or {}
    prompt = int(usage.get("prompt_tokens") or 0) - int(details.get("cached_tokens") or 0)
    return max(0, prompt) + int(usage.get("completion_tokens") or 0)


def _version(text: str) -> tuple[int, int]:
    numbers = [int("0" + "".join(filter(str.isdigit, part))) for part in text.split(".")[:2]]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else (0, 0)
