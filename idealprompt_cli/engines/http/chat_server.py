"""Scores and texts from a chat server, by the best method that it supports.

listed     the server lists the most likely next tokens (`logprobs`): options are followed through
           them; vLLM also reports log-probabilities of a prompt, for tokens that are not listed
chosen     no log-probabilities: the server answers, restricted to the options where it supports a
           schema, and the option that it chose gets nearly all of the probability
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from typing import Any

from ...core.errors import ServerError
from ...core.interfaces import Notice
from ...core.prompt import Message
from ...core.requests import Generated, GenerateRequest, Scored, ScoreRequest
from .chat_protocol import Chat, Reply, schema
from .connection import Connection
from .connection_pool import ConnectionPool, Worker
from .grammar_check import longest
from .top_logprobs import Prefixes

_CHOSEN, _OTHERS = -0.001, -7.0
_FIRST = 0.5
_AHEAD = 8
_EMPTY = (
    "{url}: the model's reply is empty (a thinking model may have spent it on hidden thoughts): "
    "turn thinking off where the server is started, or choose another model"
)

Request = ScoreRequest | GenerateRequest


class ChatServer:
    """Answers through `pool`; `connection` is for requests outside it, such as token counts."""

    def __init__(
        self,
        connection: Connection,
        pool: ConnectionPool,
        chat: Chat,
        notice: Notice,
    ) -> None:
        self._connection, self._pool, self._chat = connection, pool, chat
        self._notice, self._notified = notice, set[str]()
        self._takes_schema = True

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Text tokens of the chat, estimated where the server does not count."""
        return self._chat.count(self._connection, messages)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Log-probabilities of each request's options."""

        def one(worker: Worker, index: int) -> Scored:
            if self._chat.abilities.top:
                return self._listed(worker, requests[index])
            return self._choice(worker, requests[index])

        if not self._chat.abilities.top:
            self._notify_once(
                "this server reports no log-probabilities: labels are read from its answers, so "
                "their probabilities are not meaningful"
            )
        return self._pool.run(_groups(requests), one, len(requests))

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Greedy continuations. A grammar is checked here too, whether or not the server supports
        it."""

        def one(worker: Worker, index: int) -> Generated:
            return self._generate(worker, requests[index])

        return self._pool.run(_groups(requests), one, len(requests))

    def close(self) -> None:
        self._pool.close()

    def _notify_once(self, line: str) -> None:
        """Notify the user of something once."""
        if line not in self._notified:
            self._notified.add(line)
            self._notice(line)

    def _messages(self, request: Request, begun: str) -> list[Any]:
        found = self._chat.messages(request.messages, request.images)
        if begun:
            if not self._chat.abilities.continues:
                self._notify_once(
                    "this server cannot continue a started answer: the description that comes "
                    "first is sent as an earlier answer"
                )
            found.append({"role": "assistant", "content": begun})
        return found

    # --- texts ------------------------------------------------------------------------------------

    def _generate(self, worker: Worker, request: GenerateRequest) -> Generated:
        if request.max_tokens <= 0:
            return Generated("", 0, "length")
        extra: dict[str, Any] = {"stop": list(request.stop)} if request.stop else {}
        if request.grammar:
            extra |= self._chat.grammar(request.grammar)
        messages = self._messages(request, request.prefill)
        reply = self._chat.send(worker.connection, messages, request.max_tokens, **extra)
        if not reply.text and reply.finish == "length":
            raise ServerError(_EMPTY.format(url=worker.connection.endpoint.url))
        text = reply.text.removeprefix(request.prefill)  # llama-server repeats the prefill
        for stop in request.stop:
            text = text.partition(stop)[0]
        if request.grammar:
            text = longest(request.grammar, text.strip()) or ""
        return Generated(text, reply.tokens, "length" if reply.finish == "length" else "stop")

    # --- scores from lists ------------------------------------------------------------------------

    def _listed(self, worker: Worker, request: ScoreRequest) -> Scored:
        prefixes, cost = Prefixes(request.options, request.whole), 0
        while (before := prefixes.missing()) is not None:
            if before and not self._chat.abilities.continues:
                self._notify_once(
                    "this server cannot continue a started answer: labels are distinguished by the "
                    "first token in which they differ"
                )
                prefixes.give_up(before)
                continue
            reply = self._after(worker, request, prefixes, before)
            if not before and not reply.positions:
                raise ServerError(_EMPTY.format(url=worker.connection.endpoint.url))
            prefixes.learn(before, reply.positions)
            cost += reply.tokens
            if before not in prefixes.tops:  # the answer ended at once
                prefixes.give_up(before)
        totals, bounds = list(prefixes.totals()), prefixes.unlisted()
        if self._chat.server.kind == "vllm":
            for i in (i for i, bound in enumerate(bounds) if bound):
                option = request.options[i] if request.whole else prefixes.beginning(i)
                totals[i], spent = self._by_prompt_logprobs(worker, request, option)
                cost += spent
        elif all(bounds):  # nothing is listed: the server's own choice comes first
            chosen = self._choice(worker, request)
            pairs = zip(totals, chosen.logprobs, strict=True)
            totals = [total + _FIRST * (own == _CHOSEN) for total, own in pairs]
            cost += chosen.tokens
        return Scored(tuple(totals), cost)

    def _after(
        self, worker: Worker, request: ScoreRequest, prefixes: Prefixes, before: str
    ) -> Reply:
        """The token lists after a prefix of the options, and along the model's continuation."""
        begun = request.prefill + (prefixes.blank if before and request.prefill else "") + before
        rest = max(len(option.strip()) - len(before) for option in request.options)
        ahead = max(1, min(_AHEAD, rest))
        messages = self._messages(request, begun)
        return self._chat.send(worker.connection, messages, ahead, top=self._chat.abilities.top)

    def _by_prompt_logprobs(
        self, worker: Worker, request: ScoreRequest, option: str
    ) -> tuple[float, int]:
        """vLLM's log-probabilities of a prompt that ends with the option: summed over the tokens
        that make up its text."""
        messages = self._messages(request, request.prefill + option)
        reply = self._chat.send(worker.connection, messages, 1, prompt_logprobs=0)
        total, text = 0.0, ""
        for position in reversed(reply.prompt_logprobs):
            if len(text.strip()) >= len(option.strip()) or not position:
                break
            reported = next(iter(position.values()))
            total += float(reported["logprob"])
            text = str(reported.get("decoded_token") or "") + text
        return total, reply.tokens

    # --- scores from what was chosen --------------------------------------------------------------

    def _choice(self, worker: Worker, request: ScoreRequest) -> Scored:
        options = [option.strip() for option in request.options]
        reply = self._chosen(worker, request, options)
        said = _answer(reply.text)
        if not said:
            raise ServerError(_EMPTY.format(url=worker.connection.endpoint.url))
        found = _find(said, options)
        values = [_CHOSEN if option == found else _OTHERS for option in options]
        return Scored(tuple(values), reply.tokens)

    def _chosen(self, worker: Worker, request: ScoreRequest, options: list[str]) -> Reply:
        """An answer restricted to the options, or a free one where the server refuses that."""
        messages = self._messages(request, request.prefill)
        room = 24 + max(len(option) for option in options)
        if self._takes_schema and not request.prefill:
            try:
                return self._chat.send(worker.connection, messages, room, **schema(options))
            except ServerError as error:
                if error.status not in (400, 422, 501):
                    raise
                self._takes_schema = False
        return self._chat.send(worker.connection, messages, room)


def _groups(requests: Sequence[Request]) -> list[tuple[object, list[int]]]:
    """Requests by pictures; each request without pictures is a group of its own."""
    found: dict[object, list[int]] = {}
    for index, request in enumerate(requests):
        found.setdefault(request.images or ("text", index), []).append(index)
    return list(found.items())


def _answer(text: str) -> str:
    """The answer, without the schema's wrapping."""
    try:
        data = json.loads(text)
    except ValueError:
        return text.strip()
    return str(data["answer"]) if isinstance(data, dict) and "answer" in data else text.strip()


def _find(said: str, options: Sequence[str]) -> str:
    """The option that an answer names: exactly, in other case, or inside it; else the nearest."""
    plain = said.strip(" .!\"'").casefold()
    for option in options:
        if option.casefold() == plain:
            return option
    inside = [option for option in options if option.casefold() in plain]
    if inside:
        return max(inside, key=len)
    near = difflib.get_close_matches(plain, [o.casefold() for o in options], 1, cutoff=0.0)
    return next((option for option in options if option.casefold() in near), options[0])
