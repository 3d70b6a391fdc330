"""The http engine on the real llama-server, beside the in-process engine on the same weights.

Tolerance: log-probabilities above -20 agree to 0.02 (another build of llama.cpp may round
otherwise; with the llama.cpp that the binding has inside they were equal to the last digit), and
each answer is the same one. Both compute attention in the same way here: with and without flash
attention, this model's log-probabilities differ by up to 0.13.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import idealprompt_cli
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, ServerRef, open_engine
from idealprompt_cli.engines.http.address import locate
from idealprompt_cli.engines.http.chat_protocol import Abilities, Chat
from idealprompt_cli.engines.http.chat_server import ChatServer
from idealprompt_cli.engines.http.connection import Connection, Endpoint
from idealprompt_cli.engines.http.connection_pool import ConnectionPool
from idealprompt_cli.engines.http.server import identify
from idealprompt_cli.task import load_task

from ..support import llama_server

FOLDER = Path(idealprompt_cli.__file__).parent / "models" / "demo"
REF = ModelRef(FOLDER / "model.gguf", FOLDER / "mmproj.gguf")
TASK = Path(__file__).parents[2] / "sample_tasks" / "defect_routing"
TOLERANCE = 0.02
COLOURS = ("red", "orange", "blue", "pink", "yellow", "black")
LOWEST = -20.0
FLASH = ("-fa", "on")
QUESTIONS = ("What colour is it?", "Where does this go: D0, D4 or D9? Answer with one word.")
OPTIONS = (
    ("red", "blue", "yellow"),
    ("D0", "D4", "D9", "no such thing"),
    ("red", "red or blue", "redder"),  # the first begins the others: the end of the turn counts
)

pytestmark = [
    pytest.mark.model,
    llama_server.needed,
    pytest.mark.skipif(not REF.text.is_file(), reason="the demonstration model is not built yet"),
]


@pytest.fixture(scope="module")
def pictures() -> list[Path]:
    return [example.images[0] for example in load_task(TASK).test[:15:3]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_server.running(REF, tmp_path_factory.mktemp("server") / "log", *FLASH) as url:
        yield url


@pytest.fixture(scope="module")
def theirs(server: str) -> Iterator[Engine]:
    engine = open_engine("http", ServerRef(server), EngineOptions(timeout=120))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    options = EngineOptions(threads=1, flash="on", cache_dir=tmp_path_factory.mktemp("cache"))
    engine = open_engine("llama_cpp", REF, options)
    yield engine
    engine.close()


def ask(text: str, role: str = "") -> tuple[Message, ...]:
    user = Message("user", (ImageSlot(), text))
    return (Message("system", (role,)), user) if role else (user,)


def test_what_it_says_of_itself(theirs: Engine, server: str) -> None:
    info = theirs.info()
    assert (info.engine, info.path, info.mode) == ("http", server, "exact")
    assert info.architecture
    assert info.n_ctx > 0
    assert info.details["images"] == "yes"


def test_tokens_are_counted_alike(ours: Engine, theirs: Engine) -> None:
    for question in QUESTIONS:
        for messages in (ask(question), ask(question, "You are an inspector.")):
            assert theirs.count_tokens(messages) == ours.count_tokens(messages)


def test_label_scores_agree(ours: Engine, theirs: Engine, pictures: list[Path]) -> None:
    requests = [
        ScoreRequest(ask(question, role), (picture,), options, prefill)
        for question, picture, options in product(QUESTIONS, pictures, OPTIONS)
        for role, prefill in (("", ""), ("You are an inspector.", "a red mug\nAnswer:"))
    ]
    mine, others = ours.score(requests), theirs.score(requests)
    worst = 0.0
    for own, other in zip(mine, others, strict=True):
        a, b = np.array(own.logprobs), np.array(other.logprobs)
        seen = a > LOWEST
        worst = max(worst, float(np.abs(a - b)[seen].max(initial=0.0)))
        assert (b[~seen] < LOWEST / 2).all()
        first, second = sorted(own.logprobs, reverse=True)[:2]
        if first - second > 2 * TOLERANCE:
            assert own.logprobs.index(first) == int(b.argmax())
    print(f"label scores: largest difference {worst:.2g} over {len(requests)} requests")
    assert worst < TOLERANCE


def test_greedy_answers_agree(ours: Engine, theirs: Engine, pictures: list[Path]) -> None:
    requests = [
        GenerateRequest(ask(question), (picture,), max_tokens, stop, grammar, prefill)
        for question, picture in product((*QUESTIONS, "What is it?"), pictures)
        for max_tokens, stop, grammar, prefill in (
            (12, (), None, ""),
            (3, (), None, ""),
            (12, (" ",), None, "It is"),
            (12, (), 'root ::= [a-z ]+ "."', ""),
        )
    ]
    mine, others = ours.generate(requests), theirs.generate(requests)
    same = [a.text == b.text and a.finish == b.finish for a, b in zip(mine, others, strict=True)]
    share = sum(same) / len(same)
    print(f"greedy answers: {share:.1%} of {len(same)} agree")
    assert share >= 0.97


def test_text_alone(ours: Engine, theirs: Engine) -> None:
    request = GenerateRequest((Message("user", ("Say yes or no.",)),), (), 6)
    assert theirs.generate([request])[0].text == ours.generate([request])[0].text


def test_a_picture_is_computed_once(theirs: Engine, pictures: list[Path]) -> None:
    first = [ScoreRequest(ask(QUESTIONS[0]), (p,), OPTIONS[0]) for p in pictures[:3]]
    theirs.score(first)
    again = [ScoreRequest(ask("Which hue has it?"), (p,), OPTIONS[0]) for p in pictures[:3]]
    costs = [scored.tokens for scored in theirs.score(again)]
    assert max(costs) < 40, "the picture's part of the prompt was computed again"


def test_as_a_chat_server_it_says_the_same_of_what_it_lists(
    theirs: Engine, server: str, pictures: list[Path]
) -> None:
    """The same server, asked as vLLM, Ollama and others are."""
    endpoint = Endpoint(locate(server, allow_network=False), 120.0, print)
    connection = Connection(endpoint)
    chat = Chat(replace(identify(connection, ""), kind="openai"))
    chat.probe(connection)
    assert chat.abilities == Abilities(20, continues=True)
    plain = ChatServer(connection, ConnectionPool(endpoint, 4, connection), chat, print)
    scores = [
        ScoreRequest(ask(QUESTIONS[0]), (p,), tuple(lead + c for c in COLOURS), begun)
        for p, (lead, begun) in product(pictures, (("", ""), (" ", "a red mug\nAnswer:")))
    ]
    same = 0
    for exact, found in zip(theirs.score(scores), plain.score(scores), strict=True):
        best = exact.logprobs.index(max(exact.logprobs))
        assert found.logprobs.index(max(found.logprobs)) == best
        pairs = zip(exact.logprobs, found.logprobs, strict=True)
        same += sum(abs(one - other) < TOLERANCE for one, other in pairs)
    print(f"as a chat server: {same} of {len(COLOURS) * len(scores)} label scores are the same")
    assert same >= 2 * len(scores)
    texts = [
        GenerateRequest(ask(question), (picture,), 12, stop, prefill=prefill)
        for question, picture in product(QUESTIONS, pictures)
        for stop, prefill in (((), ""), ((",",), "It is"))
    ]
    written = [[text.text for text in engine.generate(texts)] for engine in (theirs, plain)]
    assert written[0] == written[1]
    plain.close()
