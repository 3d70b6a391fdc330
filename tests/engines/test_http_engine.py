"""The http engine against a server that speaks as llama-server does, with a known model inside."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from idealprompt_cli.core.errors import ContextError, ModelError, ServerError, UsageError
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.engines import EngineOptions, ServerRef, engine_for, open_engine
from idealprompt_cli.engines.http import address, connection

from ..conftest import MakePicture
from ..support.toy_server import END, TOY, VOCABULARY, Behaviour, chatml, serving

Open = Callable[..., Engine]
OPTIONS = ("red", "blue", "K7")


@pytest.fixture
def behaviour() -> Behaviour:
    """Change it before `opened` is called."""
    return Behaviour()


@pytest.fixture
def notices() -> list[str]:
    return []


@contextlib.contextmanager
def opening(behaviour: Behaviour, notices: list[str]) -> Iterator[Open]:
    """Opens engines of a server with this behaviour, and closes them."""
    engines: list[Engine] = []
    with serving(behaviour) as url:

        def make(model: str = "", timeout: float = 20.0, **options: Any) -> Engine:
            made = EngineOptions(timeout=timeout, **options)
            engines.append(open_engine("http", ServerRef(url, model), made, notices.append))
            return engines[-1]

        yield make
        for engine in engines:
            engine.close()


@pytest.fixture
def opened(behaviour: Behaviour, notices: list[str]) -> Iterator[Open]:
    with opening(behaviour, notices) as make:
        yield make


@pytest.fixture
def pictures(tmp_path: Path, make_picture: MakePicture) -> list[Path]:
    return [make_picture(tmp_path / f"{number}.png", number) for number in range(6)]


def ask(text: str, slots: int = 1) -> tuple[Message, ...]:
    return (Message("user", (*[ImageSlot()] * slots, text)),)


def before(text: str, *paths: Path, prefill: str = "") -> str:
    """The text before the answer, as the toy model sees it."""
    marks = [hashlib.sha256(Image.open(p).convert("RGB").tobytes()).hexdigest() for p in paths]
    content = "".join(f"[{mark[:12]}]" for mark in marks) + text
    return chatml([{"role": "user", "content": content}]) + prefill


def near(value: float) -> object:
    return pytest.approx(value, abs=1e-6)


# --- what it computes -----------------------------------------------------------------------------


def test_scores_are_the_models(opened: Open, behaviour: Behaviour, pictures: list[Path]) -> None:
    engine = opened()
    requests = [ScoreRequest(ask(f"Q{n % 3}?"), (pictures[n],), OPTIONS) for n in range(6)]
    for scored, request in zip(engine.score(requests), requests, strict=True):
        text = before(str(request.messages[0].content[1]), *request.images)
        assert scored.logprobs == tuple(near(TOY.score(text, option)) for option in OPTIONS)
        assert scored.tokens > 0
    assert engine.info().mode == "exact"


def test_options_of_several_tokens(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    engine, options = opened(), ("red a", "red bx", "blue", "zebra", "zeal")
    (scored,) = engine.score([ScoreRequest(ask("Q?"), (pictures[0],), options)])
    text = before("Q?", pictures[0])
    assert scored.logprobs == tuple(near(TOY.score(text, option)) for option in options)
    assert len([b for b in behaviour.bodies("/completion") if "n_probs" in b]) <= 1 + len(options)


def test_one_token_labels_mostly_take_one_request(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    engine = opened()
    asked = len(behaviour.bodies("/completion"))
    engine.score([ScoreRequest(ask("Q?"), (p,), OPTIONS) for p in pictures])
    assert len(behaviour.bodies("/completion")) - asked <= 2 * len(pictures)


def test_an_option_that_begins_another_counts_its_end(opened: Open, pictures: list[Path]) -> None:
    engine, options = opened(), ("red", "red a")
    (scored,) = engine.score([ScoreRequest(ask("Q?"), (pictures[0],), options, prefill="So: ")])
    text = before("Q?", pictures[0], prefill="So: ")
    assert scored.logprobs == tuple(near(TOY.score(text, option, end=True)) for option in options)


def test_texts(opened: Open, pictures: list[Path]) -> None:
    engine, text = opened(), before("Say?", pictures[0], prefill="A")
    request = GenerateRequest(ask("Say?"), (pictures[0],), 12, prefill="A")
    whole = engine.generate([request])[0]
    written = ""
    while len(TOY.tokens(written)) < 12:
        token = int(TOY.next(text + written).argmax())
        if token == END:
            break
        written += VOCABULARY[token]
    assert whole.text == written
    stop = written[4]
    request = GenerateRequest(ask("Say?"), (pictures[0],), 12, stop=(stop,), prefill="A")
    cut = engine.generate([request])[0]
    assert (cut.text, cut.finish) == (written.partition(stop)[0], "stop")
    assert engine.generate([GenerateRequest(ask("Say?"), (pictures[0],), 0)])[0].text == ""


def test_pictures_and_text_alone(opened: Open, pictures: list[Path]) -> None:
    engine = opened()
    two = ScoreRequest(ask("Same?", 2), (pictures[0], pictures[1]), OPTIONS)
    none = ScoreRequest(ask("Well?", 0), (), OPTIONS)
    scored = engine.score([two, none])
    assert scored[0].logprobs[0] == near(TOY.score(before("Same?", *pictures[:2]), "red"))
    assert scored[1].logprobs[0] == near(TOY.score(before("Well?"), "red"))
    with pytest.raises(ModelError, match="2 image slots and was given 1"):
        engine.score([ScoreRequest(ask("Same?", 2), (pictures[0],), OPTIONS)])


def test_pictures_are_sent_upright_and_in_rgb(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "grey.tif"
    Image.new("I;16", (4, 4), 30000).save(path)
    opened().score([ScoreRequest(ask("Q?"), (path,), OPTIONS)])  # the toy server checks the mode


def test_count_tokens(opened: Open) -> None:
    messages = (Message("system", ("You are red.",)), *ask("What?"))
    bare = [{"role": "system", "content": "You are red."}, {"role": "user", "content": "What?"}]
    assert opened().count_tokens(messages) == len(TOY.tokens(chatml(bare)))


def test_a_picture_keeps_to_its_slot(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    engine = opened()
    for question in ("First?", "Second?"):
        engine.score([ScoreRequest(ask(question), (p,), OPTIONS) for p in pictures[:2]])
    slots: dict[str, set[int]] = {}
    for body in behaviour.bodies("/completion"):
        if isinstance(body["prompt"], dict):
            assert body["cache_prompt"]
            slots.setdefault(body["prompt"]["multimodal_data"][0], set()).add(body["id_slot"])
    assert len(slots) == 2
    assert sorted(map(sorted, slots.values())) == [[0], [1]]


def test_requests_about_a_picture_follow_each_other(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    behaviour.slots = 1
    engine = opened()
    mixed = [ScoreRequest(ask(f"{n}?"), (p,), OPTIONS) for n in range(3) for p in pictures[:3]]
    engine.score(mixed)
    seen = [b["prompt"]["multimodal_data"][0] for b in behaviour.bodies("/completion")
            if isinstance(b["prompt"], dict)]  # fmt: skip
    changes = sum(a != b for a, b in pairwise(seen))
    assert changes == 2


def test_connections_are_kept_and_few(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    engine = opened()
    for number in range(4):
        engine.score([ScoreRequest(ask(f"{number}?"), (p,), OPTIONS) for p in pictures])
    assert len({call.client for call in behaviour.calls}) <= behaviour.slots


def test_the_contract(opened: Open) -> None:
    engine = opened()
    assert isinstance(engine, Engine)
    info = engine.info()
    assert (info.engine, info.name, info.n_ctx) == ("http", "toy", 2000)
    assert info.fingerprint == opened().info().fingerprint
    assert engine.score([]) == []
    engine.close()
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.count_tokens(ask("x"))
    assert engine_for(ServerRef("http://127.0.0.1:1")) == "http"


def test_a_server_of_several_models(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    behaviour.models = ("toy", "other")
    assert "several models: choose one of toy, other" in fails(opened)
    engine = opened("other")
    assert engine.info().name == "other"
    engine.score([ScoreRequest(ask("Q?"), (pictures[0],), OPTIONS)])
    assert {body.get("model") for body in behaviour.bodies("/completion")} == {"other"}
    assert behaviour.bodies("/tokenize")[-1]["model"] == "other"


# --- what goes wrong ------------------------------------------------------------------------------


def fails(opened: Open, kind: type[ModelError] = ServerError, **how: object) -> str:
    """The one line by which opening fails."""
    with pytest.raises(kind) as caught:
        opened(**how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_nobody_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(ServerError, match="connection refused: start the server"):
        open_engine("http", ServerRef(url))


def test_a_server_that_loads_is_waited_for(
    opened: Open, behaviour: Behaviour, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_PAUSE", 0.01)
    loading = (503, '{"error": {"message": "Loading model", "type": "unavailable_error"}}')
    behaviour.faults["/props"] = [loading] * 3
    opened()
    assert [line for line in notices if "Loading model" in line]
    assert len([line for line in notices if "not ready" in line]) == 1


def test_a_server_that_never_loads(
    opened: Open, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_PAUSE", 20.0)
    monkeypatch.setattr("time.sleep", lambda _: None)
    behaviour.faults["/props"] = [(503, '{"error": {"message": "Loading model"}}')] * 9
    message = fails(opened)
    assert "still not ready after 60 seconds (503: Loading model)" in message
    assert len(behaviour.faults["/props"]) == 5


def test_an_answer_that_does_not_come(opened: Open, behaviour: Behaviour) -> None:
    behaviour.delay = 0.6
    assert "no answer within 0.2 seconds" in fails(opened, timeout=0.2)


def test_redirects_are_refused(opened: Open, behaviour: Behaviour) -> None:
    behaviour.faults["/props"] = [(307, "")]
    behaviour.headers["Location"] = "http://203.0.113.9/props"
    message = fails(opened)
    assert "redirects to http://203.0.113.9/props" in message
    assert len(behaviour.calls) == 1


def test_no_pictures(opened: Open, behaviour: Behaviour, pictures: list[Path]) -> None:
    behaviour.vision = False
    engine = opened()
    with pytest.raises(ModelError, match="takes no images: start llama-server with --mmproj"):
        engine.score([ScoreRequest(ask("Q?"), (pictures[0],), OPTIONS)])
    assert engine.score([ScoreRequest(ask("Q?", 0), (), OPTIONS)])


def test_a_prompt_that_does_not_fit(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    behaviour.n_ctx = 60
    engine = opened()
    with pytest.raises(ContextError, match="exceeds the available context size: shorten"):
        engine.score([ScoreRequest(ask("word " * 40), (pictures[0],), OPTIONS)])
    assert engine.score([ScoreRequest(ask("Q?"), (pictures[0],), OPTIONS)])


def test_an_error_of_the_server_is_one_short_line(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    engine = opened()
    behaviour.faults["/completion"] = [
        (500, '{"error": {"message": "a\\nb ' + "x" * 500 + '"}}')
    ] * 9
    with pytest.raises(ServerError) as caught:
        engine.score([ScoreRequest(ask("Q?"), (p,), OPTIONS) for p in pictures])
    assert "/completion: the server answered 500: a b xxx" in str(caught.value)
    assert len(str(caught.value)) < 300
    behaviour.faults.clear()
    assert engine.score([ScoreRequest(ask("Q?"), (pictures[0],), OPTIONS)])


def test_something_else_listens_there(opened: Open, behaviour: Behaviour) -> None:
    for answer in ((200, "<html>hello</html>"), (404, "no")):
        behaviour.faults["/props"], behaviour.faults["/v1/models"] = [answer], [answer]
        assert "not an inference server (it has no /v1/models)" in fails(opened)
    behaviour.faults["/completion"] = [(200, "<html>hello</html>")]
    assert "/completion: the answer is not JSON" in fails(opened)


def test_a_kept_connection_that_was_dropped(
    opened: Open, behaviour: Behaviour, pictures: list[Path]
) -> None:
    behaviour.headers["Connection"] = "close"
    engine = opened()
    assert engine.score([ScoreRequest(ask("Q?"), (p,), OPTIONS) for p in pictures])


def test_an_old_server_is_asked_for_lists(
    opened: Open, behaviour: Behaviour, notices: list[str], pictures: list[Path]
) -> None:
    behaviour.old = True
    engine = opened()
    assert engine.info().mode == "listed"
    assert [line for line in notices if "too old" in line]
    assert engine.score([ScoreRequest(ask("Q?"), (pictures[0],), OPTIONS)])


# --- nobody else hears of it ----------------------------------------------------------------------


def test_the_key_goes_into_a_header_and_nowhere_else(
    opened: Open, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour.key = "sesame-street"
    assert "needs a key (401: Invalid API Key): set the variable IDEALPROMPT_API_KEY" in fails(
        opened
    )
    monkeypatch.setenv(connection.KEY, behaviour.key)
    engine = opened()
    assert behaviour.key not in repr(engine.info())
    assert behaviour.key not in str(behaviour.calls[-1].body)
    assert behaviour.calls[-1].headers["Authorization"] == f"Bearer {behaviour.key}"
    behaviour.faults["/completion"] = [(500, f"no: {behaviour.key}")]
    with pytest.raises(ServerError) as caught:
        engine.generate([GenerateRequest(ask("Q?", 0))])
    assert behaviour.key not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = []
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.settimeout(5)

        def wait() -> None:
            with contextlib.suppress(OSError):
                met.append(trap.accept())

        thread = threading.Thread(target=wait)
        thread.start()
        place = f"http://127.0.0.1:{trap.getsockname()[1]}"
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, place)
        monkeypatch.delenv("no_proxy", raising=False)
        assert opened().info().name == "toy"
        trap.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert not met


def resolves(monkeypatch: pytest.MonkeyPatch, *numbers: str) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 80)) for number in numbers]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


def test_only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for good in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert address.is_loopback(good)
    for bad in ("10.0.0.1", "192.168.1.2", "0.0.0.0", "::", "fe80::1%eth0", "::ffff:10.0.0.1"):
        assert not address.is_loopback(bad)
    with pytest.raises(ServerError) as caught:
        address.locate("http://192.0.2.7:8080", allow_network=False)
    assert str(caught.value).startswith("http://192.0.2.7:8080: 192.0.2.7 is another machine")
    assert "--allow-network" in str(caught.value)
    resolves(monkeypatch, "127.0.0.1", "192.0.2.7")  # one of two is enough
    with pytest.raises(ServerError, match=r"trusted is 192\.0\.2\.7, which is another machine"):
        address.locate("http://trusted:8080", allow_network=False)
    assert address.locate("http://trusted:8080", allow_network=True).numbers[1] == "192.0.2.7"


def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it could mean another machine by the time it is connected to."""
    behaviour = Behaviour()
    with serving(behaviour) as url:
        resolves(monkeypatch, "127.0.0.1")
        place = address.locate(url.replace("127.0.0.1", "box"), allow_network=False)
        resolves(monkeypatch, "192.0.2.7")
        made = socket.create_connection
        reached: list[str] = []

        def connect(where: tuple[str, int], *rest: object) -> socket.socket:
            reached.append(where[0])
            monkeypatch.undo()
            return made(where, *rest)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "create_connection", connect)
        opened = connection.Connection(connection.Endpoint(place, 5.0, print))
        assert opened.get("/props")
        opened.close()
    assert reached == ["127.0.0.1"]
    assert behaviour.calls[0].headers["Host"].startswith("box:")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://127.0.0.1", "not the address of a server"),
        ("http://", "not the address of a server"),
        ("http://127.0.0.1:port", "the port is not a number"),
        ("http://127.0.0.1?a=b", "not the address of a server"),
        ("http://me:secret@127.0.0.1", "must not contain a user name or password"),
    ],
)
def test_addresses_that_are_none(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        address.locate(text, allow_network=False)
    assert "secret" not in str(caught.value)


def test_addresses_as_people_write_them() -> None:
    assert address.locate("127.0.0.1:8080", False).url == "http://127.0.0.1:8080"
    assert address.locate("http://127.0.0.1:11434/v1/", False).url == "http://127.0.0.1:11434"
    assert address.locate("https://127.0.0.1/api", False).url == "https://127.0.0.1:443/api"
    assert address.locate("http://[::1]:8080", False).url == "http://[::1]:8080"


def test_the_native_library_is_not_loaded() -> None:
    code = (
        "import sys\n"
        "from tests.support.toy_server import Behaviour, serving\n"
        "from idealprompt_cli.engines import ServerRef, open_engine\n"
        "from idealprompt_cli.core.prompt import Message\n"
        "from idealprompt_cli.core.requests import ScoreRequest\n"
        "with serving(Behaviour()) as url:\n"
        "    engine = open_engine('http', ServerRef(url))\n"
        "    engine.score([ScoreRequest((Message('user', ('Q',)),), (), ('red', 'blue'))])\n"
        "    engine.close()\n"
        "sys.exit(any(name.split('.')[0] == 'llama_cpp' for name in sys.modules))\n"
    )
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
