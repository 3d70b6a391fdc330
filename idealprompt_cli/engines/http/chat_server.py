"""Scores and texts from a chat server, by the best means that it offers.

listed     the likeliest next tokens are listed (`logprobs`): options are followed through them;
           vLLM also tells the log-probabilities of a prompt, for what is not listed
chosen     nothing of that: the server answers, held to the options where it takes a schema,
           and the option that it chose gets nearly all of the probability
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
from .connection import Wire
from .connection_pool import Lane, Lanes
from .grammar_check import longest
from .top_logprobs import Prefixes

_CHOSEN, _OTHERS = -0.001, -7.0
_FIRST = 0.5
_AHEAD = 8

Request = ScoreRequest | GenerateRequest


class ChatServer:
    """Answers through `lanes`; `wire` serves what is asked on the side."""

    def __init__(self, wire: Wire, lanes: Lanes, chat: Chat, notice: Notice) -> None:
        self._wire, self._lanes, self._chat = wire, lanes, chat
        self._notice, self._told = notice, set[str]()
        self._takes_schema = True

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Text tokens of the chat, estimated where the server does not count."""
        return self._chat.count(self._wire, messages)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        """Log-probabilities of each request's options."""

        def one(lane: Lane, index: int) -> Scored:
            if self._chat.abilities.top:
                return self._listed(lane, requests[index])
            return self._choice(lane, requests[index])

        if not self._chat.abilities.top:
            self._tell(
                "this server gives no log-probabilities: labels are taken from its own words, so "
                "their probabilities say nothing"
            )
        return self._lanes.run(_groups(requests), one, len(requests))

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        """Greedy continuations. What a grammar allows is checked, wherever the server takes it."""

        def one(lane: Lane, index: int) -> Generated:
            return self._generate(lane, requests[index])

        return self._lanes.run(_groups(requests), one, len(requests))

    def close(self) -> None:
        self._lanes.close()

    def _tell(self, line: str) -> None:
        """Say something once."""
        if line not in self._told:
            self._told.add(line)
            self._notice(line)

    def _messages(self, request: Request, begun: str) -> list[Any]:
        found = self._chat.messages(request.messages, request.images)
        if begun:
            if not self._chat.abilities.continues:
                self._tell(
                    "this server does not go on with an answer that is begun: what the model "
                    "described first is shown to it as an earlier answer"
                )
            found.append({"role": "assistant", "content": begun})
        return found

    # --- texts ------------------------------------------------------------------------------------

    def _generate(self, lane: Lane, request: GenerateRequest) -> Generated:
        if request.max_tokens <= 0:
            return Generated("", 0, "length")
        extra: dict[str, Any] = {"stop": list(request.stop)} if request.stop else {}
        if request.grammar:
            extra |= self._chat.grammar(request.grammar)
        messages = self._messages(request, request.prefill)
        reply = self._chat.send(lane.wire, messages, request.max_tokens, **extra)
        text = reply.text.removeprefix(request.prefill)  # llama-server repeats what was begun
        for stop in request.stop:
            text = text.partition(stop)[0]
        if request.grammar:
            text = longest(request.grammar, text.strip()) or ""
        return Generated(text, reply.tokens, "length" if reply.finish == "length" else "stop")

    # --- scores from lists ------------------------------------------------------------------------

    def _listed(self, lane: Lane, request: ScoreRequest) -> Scored:
        walk, cost = Prefixes(request.options), 0
        while (before := walk.missing()) is not None:
            if before and not self._chat.abilities.continues:
                self._tell(
                    "this server does not go on with an answer that is begun: labels are told "
                    "apart by the first token in which they differ"
                )
                walk.give_up(before)
                continue
            reply = self._after(lane, request, walk, before)
            walk.learn(before, reply.positions)
            cost += reply.tokens
            if before not in walk.tops:  # an answer that ended at once
                walk.give_up(before)
        totals, bounds = list(walk.totals()), walk.unlisted()
        if self._chat.server.kind == "vllm":
            for i in (i for i, bound in enumerate(bounds) if bound):
                totals[i], spent = self._told_exactly(lane, request, request.options[i])
                cost += spent
        elif all(bounds):  # nothing is known of any: the server's own choice comes first
            chosen = self._choice(lane, request)
            pairs = zip(totals, chosen.logprobs, strict=True)
            totals = [total + _FIRST * (own == _CHOSEN) for total, own in pairs]
            cost += chosen.tokens
        return Scored(tuple(totals), cost)

    def _after(self, lane: Lane, request: ScoreRequest, walk: Prefixes, before: str) -> Reply:
        """The lists after a beginning of the options, and along what the model would say next."""
        begun = request.prefill + (walk.blank if before and request.prefill else "") + before
        rest = max(len(option.strip()) - len(before) for option in request.options)
        ahead = max(1, min(_AHEAD, rest))
        messages = self._messages(request, begun)
        return self._chat.send(lane.wire, messages, ahead, top=self._chat.abilities.top)

    def _told_exactly(self, lane: Lane, request: ScoreRequest, option: str) -> tuple[float, int]:
        """vLLM's log-probabilities of a prompt that ends with the option: summed over the tokens
        that make up its text."""
        messages = self._messages(request, request.prefill + option)
        reply = self._chat.send(lane.wire, messages, 1, prompt_logprobs=0)
        total, text = 0.0, ""
        for position in reversed(reply.prompt_logprobs):
            if len(text.strip()) >= len(option.strip()) or not position:
                break
            told = next(iter(position.values()))
            total += float(told["logprob"])
            text = str(told.get("decoded_token") or "") + text
        return total, reply.tokens

    # --- scores from what was chosen --------------------------------------------------------------

    def _choice(self, lane: Lane, request: ScoreRequest) -> Scored:
        options = [option.strip() for option in request.options]
        reply = self._chosen(lane, request, options)
        said = _answer(reply.text)
        found = _find(said, options)
        values = [_CHOSEN if option == found else _OTHERS for option in options]
        return Scored(tuple(values), reply.tokens)

    def _chosen(self, lane: Lane, request: ScoreRequest, options: list[str]) -> Reply:
        """An answer held to the options, or a free one where the server refuses that."""
        messages = self._messages(request, request.prefill)
        room = 24 + max(len(option) for option in options)
        if self._takes_schema and not request.prefill:
            try:
                return self._chat.send(lane.wire, messages, room, **schema(options))
            except ServerError as error:
                if error.status not in (400, 422, 501):
                    raise
                self._takes_schema = False
        return self._chat.send(lane.wire, messages, room)


def _groups(requests: Sequence[Request]) -> list[tuple[object, list[int]]]:
    """Requests by pictures; those without are each for itself."""
    found: dict[object, list[int]] = {}
    for index, request in enumerate(requests):
        found.setdefault(request.images or ("text", index), []).append(index)
    return list(found.items())


def _answer(text: str) -> str:
    """What an answer says, out of the schema's wrapping."""
    try:
        data = json.loads(text)
    except ValueError:
        return text.strip()
    return str(data["answer"]) if isinstance(data, dict) and "answer" in data else text.strip()


def _find(said: str, options: Sequence[str]) -> str:
    """The option that was said: as it is, in other letters, inside the words; else the nearest."""
    plain = said.strip(" .!\"'").casefold()
    for option in options:
        if option.casefold() == plain:
            return option
    inside = [option for option in options if option.casefold() in plain]
    if inside:
        return max(inside, key=len)
    near = difflib.get_close_matches(plain, [o.casefold() for o in options], 1, cutoff=0.0)
    return next((option for option in options if option.casefold() in near), options[0])
