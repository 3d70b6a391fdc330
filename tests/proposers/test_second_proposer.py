"""A second model that writes: opened, addressed, paid, replayed; and a text model without eyes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import Generated, GenerateRequest, ScoreRequest
from idealprompt_cli.core.results import RunResult
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.evaluation.context import open_context
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.prompts.validation import SENTENCE
from idealprompt_cli.proposers import WithWriter, second_model
from idealprompt_cli.search.tree_search import SearchSettings, search
from idealprompt_cli.storage.journal import Journal
from idealprompt_cli.strategies import select

from ..conftest import SCRIPT, call
from ..support.fake_vlm import FakeVlm, graded_task
from ..support.tiny_models import write_pair
from ..support.toy_server import Behaviour, serving
from .test_proposers import Writer

WRITER = """
name: pen
rules:
  - when: "What is the color of the car?"
    text: Which color does the car have?
  - when: "How many people are in the room?"
    text: What number of people does the room hold?
  - when: "Which code?"
    text: What is the code of this?
default: {text: "What is it that we see here?"}
"""


def quiet(_line: str) -> None:
    pass


# --- addressed to one of two ----------------------------------------------------------------------


class Only(FakeVlm):
    """The pretend model, which fails if it is asked without a picture."""

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        assert all(request.images for request in requests)
        return super().generate(requests)


def searched(pen: Writer, journal: Journal | None = None) -> RunResult:
    context = open_context(
        graded_task(),
        WithWriter(Only(), pen),
        METRICS["accuracy"],
        Budget(evaluations=500),
        journal=journal,
    )
    pool, make = select(["rewrite", "cues"]), second_model(pen.info(), quiet)
    return search(context, SearchSettings(pool, proposer=make))


def test_the_writer_writes_and_the_model_answers() -> None:
    pen, journal = Writer(), Journal.memory()
    found = searched(pen, journal)
    assert len(pen.asked) > 2
    assert "rewrite" in {trial.strategy for trial in found.trials}
    again = Writer()
    assert searched(again, journal).winner == found.winner
    assert not again.asked  # what was written is in the journal


def test_requests_are_distinguished_and_stay_in_order() -> None:
    pen, model = Writer("pen"), Writer("model")
    both = WithWriter(model, pen)
    proposer = second_model(pen.info(), quiet)(WithWriter(model, Writer()))
    assert proposer is not None
    (address, *_) = proposer.address  # type: ignore[attr-defined]
    plain = (Message("user", ("a: b",)),)
    texts = both.generate(
        [GenerateRequest(plain), GenerateRequest((address, *plain)), GenerateRequest(plain)]
    )
    assert [text.text for text in texts] == ["model", "pen", "model"]
    assert both.info() == model.info()
    assert both.count_tokens(plain) == model.count_tokens(plain)


def test_a_writer_that_cannot_write_is_named() -> None:
    notices: list[str] = []
    pen = Writer("no no no no")
    assert second_model(pen.info(), notices.append)(WithWriter(Only(), pen)) is None
    assert notices == [
        f"{pen.info().name} could not rephrase a simple question: continuing without it."
    ]


# --- the option -----------------------------------------------------------------------------------


def test_search_with_a_second_model(folder: Path) -> None:
    Path("pen.yaml").write_text(WRITER)
    words = ("search", folder, "-m", SCRIPT, "--proposer", "pen.yaml", "-o", "p.yaml")
    result = call(*words, "--strategy", "rewrite", "-v", "--no-test")
    assert result.exit_code == 0, result.stderr
    assert "Edits that need text are written by pen." in result.stderr
    assert "rewrite" in result.stderr
    reflected = call(
        "reflect", "p.yaml", folder, "-m", SCRIPT, "--proposer", "pen.yaml", "--no-test"
    )
    assert reflected.exit_code == 0, reflected.stderr


def test_search_with_a_server_that_writes(folder: Path) -> None:
    with serving(Behaviour(kind="ollama", models=("pen:latest", "other:1b"))) as url:
        words = ("search", folder, "-m", SCRIPT, "--strategy", "rewrite", "--no-test", "--proposer")
        result = call(*words, f"{url}#pen")
        assert result.exit_code == 0, result.stderr
        assert "Edits that need text are written by pen:latest." in result.stderr
        assert "could not rephrase" in result.stderr  # the toy model babbles
        assert "several models" in call(*words, url).stderr
    far = call(*words, "http://192.0.2.7:1")
    assert "192.0.2.7 is another machine" in far.stderr
    assert call(*words, "somebody").exit_code == 2


# --- a text model without eyes --------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_pair("janus", tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def alone(pair: tuple[Path, Path]) -> Iterator[Engine]:
    engine = open_engine("llama_cpp_text", pair[0], EngineOptions(threads=1))
    yield engine
    engine.close()


def test_it_says_what_the_whole_model_says_to_texts(
    alone: Engine, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    messages = (Message("system", ("Be kind.",)), Message("user", ("Say this again: it is red.",)))
    options = EngineOptions(threads=1, cache_dir=tmp_path)
    whole = open_engine("llama_cpp", pair[0], options)
    requests = [
        GenerateRequest(messages, (), 12),
        GenerateRequest(messages, (), 40, grammar=SENTENCE),
        GenerateRequest(messages, (), 12, stop=("e",), prefill="Well"),
    ]
    for mine, theirs in zip(alone.generate(requests), whole.generate(requests), strict=True):
        assert (mine.text, mine.finish) == (theirs.text, theirs.finish)
    scored = ScoreRequest(messages, (), ("red", "red or blue", "no"))
    one, other = (engine.score([scored])[0].logprobs for engine in (alone, whole))
    assert np.abs(np.subtract(one, other)).max() < 1e-3
    assert alone.count_tokens(messages) == whole.count_tokens(messages)
    whole.close()


def test_what_it_cannot_do(alone: Engine, pair: tuple[Path, Path], tmp_path: Path) -> None:
    assert isinstance(alone, Engine)
    assert (alone.info().engine, alone.info().mode) == ("llama_cpp", "batched")
    seen = GenerateRequest((Message("user", (ImageSlot(), "?")),), (tmp_path / "a.png",))
    with pytest.raises(ModelError, match="without a vision projector"):
        alone.generate([seen])
    with pytest.raises(ModelError, match="is an mmproj, not a text model"):
        open_engine("llama_cpp_text", pair[1])
    long = GenerateRequest((Message("user", ("word " * 5000,)),))
    with pytest.raises(ModelError, match="holds"):
        alone.generate([long])
    other = open_engine("llama_cpp_text", pair[0], EngineOptions(threads=1))
    other.close()
    other.close()
    with pytest.raises(ModelError, match="closed"):
        other.generate([GenerateRequest((Message("user", ("x",)),))])
