"""The http engine on chat servers (vLLM, Ollama, others): what each offers is found and used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import ContextError, ModelError, ServerError, UsageError
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest

from ..conftest import MakePicture
from ..support.toy_server import TOY, VOCABULARY, Behaviour
from .test_http_engine import ask, before, near, opening

Open = Callable[..., Engine]
ALL = len(VOCABULARY)
OPTIONS = ("red", "blue", "K7")


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour(kind="vllm", tops=ALL)


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def opened(behaviour: Behaviour, notices: list[str]) -> Iterator[Open]:
    with opening(behaviour, notices) as make:
        yield make


@pytest.fixture
def picture(tmp_path: Path, make_picture: MakePicture) -> Path:
    return make_picture(tmp_path / "a.png", 7)


def scores(engine: Engine, picture: Path, *options: str, prefill: str = "") -> tuple[float, ...]:
    (scored,) = engine.score([ScoreRequest(ask("Q?"), (picture,), options, prefill)])
    return scored.logprobs


@pytest.mark.parametrize("kind", ["vllm", "ollama", "openai"])
def test_who_it_is(kind: str, behaviour: Behaviour, opened: Open, notices: list[str]) -> None:
    behaviour.kind = kind
    info = opened().info()
    assert (info.engine, info.name, info.mode) == ("http", "toy", "listed")
    assert info.details["server"].startswith(kind)
    assert notices[0].startswith(f"Using toy on the {kind} at http://127.0.0.1:")


def test_vllm_tells_of_unlisted_tokens_too(
    opened: Open, behaviour: Behaviour, picture: Path
) -> None:
    engine, options = opened(), ("red", "blue", "zebra", "q!")
    text = before("Q?", picture)
    assert scores(engine, picture, *options) == tuple(near(TOY.score(text, o)) for o in options)
    asked = behaviour.bodies("/v1/chat/completions")
    assert any("prompt_logprobs" in body for body in asked)
    assert engine.count_tokens(ask("Q?")) == len(TOY.tokens(before("Q?")))


def test_what_is_begun_is_gone_on_with(opened: Open, behaviour: Behaviour, picture: Path) -> None:
    engine, begun = opened(), "a red mug\nAnswer:"
    text = before("Q?", picture, prefill=begun)
    found = scores(engine, picture, " red", " blue", prefill=begun)
    assert found == tuple(near(TOY.score(text, option)) for option in (" red", " blue"))


def test_others_are_followed_through_what_is_listed(
    opened: Open, behaviour: Behaviour, picture: Path
) -> None:
    behaviour.kind = "ollama"
    engine, text = opened(), before("Q?", picture)
    values = TOY.next(text)
    order = [VOCABULARY[i] for i in (-values).argsort() if len(VOCABULARY[i].strip()) == 1]
    best, last = order[0] + "x", order[-1]
    found = scores(engine, picture, best, last)
    listed = sorted(values)[-20:]
    assert found[0] <= TOY.score(text, order[0])  # its first letter is listed, the rest is followed
    assert found[1] == near(listed[0] - 1.0)  # not listed: less likely than all that are


def test_where_nothing_is_listed_the_servers_own_choice_comes_first(
    opened: Open, behaviour: Behaviour, picture: Path
) -> None:
    behaviour.kind, behaviour.tops = "ollama", 5
    engine, text = opened(), before("Q?", picture)
    values = TOY.next(text)
    order = [VOCABULARY[i] for i in (-values).argsort() if VOCABULARY[i].isalpha()]
    options = tuple(letter for letter in order if len(letter) == 1)[-3:]
    found = scores(engine, picture, *options)
    best = max(options, key=lambda option: TOY.score(text, option, end=True))
    assert options[found.index(max(found))] == best
    assert len(set(found)) == 2


def test_no_continuing(
    opened: Open, behaviour: Behaviour, notices: list[str], picture: Path
) -> None:
    behaviour.kind, behaviour.continues = "openai", False
    engine, text = opened(), before("Q?", picture)
    values = TOY.next(text)
    order = [VOCABULARY[i] for i in (-values).argsort() if len(VOCABULARY[i].strip()) == 1]
    behaviour.tops = 20
    found = scores(engine, picture, order[0] + "!?", order[1] + "?!")
    assert found[1] == near(TOY.score(text, order[1]))
    for _ in range(2):
        scores(engine, picture, order[0] + "!?", order[1] + "?!")
    assert len([line for line in notices if "first token in which they differ" in line]) == 1
    scores(engine, picture, "red", "blue", prefill="Hm.")
    assert [line for line in notices if "cannot continue a started answer" in line]


@pytest.mark.parametrize("schema", [True, False])
def test_no_log_probabilities(
    schema: bool, opened: Open, behaviour: Behaviour, notices: list[str], picture: Path
) -> None:
    behaviour.kind, behaviour.logprobs, behaviour.schema = "ollama", False, schema
    engine = opened()
    assert engine.info().mode == "chosen"
    for _ in range(2):
        found = scores(engine, picture, *OPTIONS)
        assert sorted(found)[-1] > -0.1
        assert sorted(found)[-2] < -5
    if schema:
        text = before("Q?", picture)
        best = max(OPTIONS, key=lambda option: TOY.score(text, option, end=True))
        assert OPTIONS[found.index(max(found))] == best
    assert len([line for line in notices if "reports no log-probabilities" in line]) == 1


def test_fewer_are_listed(opened: Open, behaviour: Behaviour) -> None:
    behaviour.kind, behaviour.tops = "openai", 5
    assert opened().info().mode == "listed"
    assert [b.get("top_logprobs") for b in behaviour.bodies("/v1/chat/completions")] == [
        20,
        5,
        None,
    ]


def test_texts_are_held_to_the_grammar(opened: Open, behaviour: Behaviour, picture: Path) -> None:
    behaviour.kind = "openai"
    engine = opened()
    (free,) = engine.generate([GenerateRequest(ask("Q?"), (picture,), 8)])
    first = free.text.strip()[:3]
    literal = first.replace("\\", "\\\\").replace('"', '\\"')
    allowed = GenerateRequest(ask("Q?"), (picture,), 8, grammar=f'root ::= "{literal}"')
    assert engine.generate([allowed])[0].text == first
    never = GenerateRequest(ask("Q?"), (picture,), 8, grammar='root ::= "never this"')
    assert engine.generate([never])[0].text == ""
    assert not any("grammar" in body for body in behaviour.bodies("/v1/chat/completions"))


def test_vllm_gets_the_grammar(opened: Open, behaviour: Behaviour, picture: Path) -> None:
    request = GenerateRequest(ask("Q?"), (picture,), 2, grammar="root ::= [a-z]+")
    opened().generate([request])
    body = behaviour.bodies("/v1/chat/completions")[-1]
    assert body["structured_outputs"] == {"grammar": "root ::= [a-z]+"}


def test_which_model(opened: Open, behaviour: Behaviour) -> None:
    behaviour.kind, behaviour.models = "ollama", ("qwen:latest", "llava:7b")
    with pytest.raises(ServerError, match="several models: choose one of qwen"):
        opened()
    with pytest.raises(ServerError, match="no model 'gemma': --server-model can be qwen"):
        opened("gemma")
    assert opened("qwen").info().name == "qwen:latest"
    behaviour.models = ()
    with pytest.raises(ServerError, match="no model loaded"):
        opened()


def test_it_is_too_long(opened: Open, behaviour: Behaviour, picture: Path) -> None:
    behaviour.n_ctx = 100
    engine = opened()
    with pytest.raises(ContextError, match="exceeds the context length of 100: shorten"):
        engine.generate([GenerateRequest(ask("word " * 100), (picture,))])


def test_a_model_without_eyes(opened: Open, behaviour: Behaviour, picture: Path) -> None:
    behaviour.kind, behaviour.vision = "ollama", False
    with pytest.raises(ModelError, match="takes no images: choose a model that does"):
        scores(opened(), picture, *OPTIONS)


def test_the_template_is_the_servers(opened: Open) -> None:
    with pytest.raises(UsageError, match="--chat-template: the server applies its own template"):
        opened(chat_template="{{ messages }}")
