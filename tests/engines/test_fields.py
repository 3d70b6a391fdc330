"""Text fields of an example: part of the prefix, computed once, and never control tokens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.core.prompt import FieldText, ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp
from idealprompt_cli.engines.llama_cpp.native.chat_template import SLOT, ChatTemplate
from idealprompt_cli.engines.llama_cpp.native.tokenizer import BREAK

from ..support.tiny_models import CHATML, SPECS, write_pair

OPTIONS = ("red", "a blue cup", "yes")
TEXTS = ("a red cup and a hat", "a blue hat, not striped", "it shows an item: no cup", "red " * 30)
ASKED = ("What is it?", "Answer with label or one word.", "describe this item color object")


def opened(folder: Path, name: str = "janus", pictures: bool = False, **options: Any) -> Any:
    text, mmproj = write_pair(name, folder)
    settings: dict[str, Any] = {"threads": 1, "n_ctx": 1024, "cache_dir": folder / "cache"}
    ref = ModelRef(text, mmproj if pictures else None)
    return open_llama_cpp(ref, EngineOptions(**settings | options), pytest.fail)


def ask(text: str, question: str, *images: Path, first: bool = True) -> ScoreRequest:
    """A question about a field, before it or after it."""
    slots = (ImageSlot(),) * len(images)
    content = (FieldText(text), f"\n{question}") if first else (f"{question}\n", FieldText(text))
    return ScoreRequest((Message("user", (*slots, *content)),), images, OPTIONS)


def logprobs(engine: LlamaCppEngine, requests: list[ScoreRequest]) -> np.ndarray:
    return np.array([answer.logprobs for answer in engine.score(requests)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fields")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[LlamaCppEngine]:
    with opened(folder / "text") as engine:
        yield engine


@pytest.fixture(scope="module")
def picture(folder: Path) -> Path:
    pixels = np.random.default_rng(3).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "a.png")
    return folder / "a.png"


@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_text_model_alone_agrees_with_the_reference(name: str, tmp_path: Path) -> None:
    asked = [ask(*pair, first=first) for pair in product(TEXTS, ASKED) for first in (True, False)]
    writing = [GenerateRequest(request.messages, (), 5) for request in asked]
    with (
        opened(tmp_path / "a", name) as batched,
        opened(tmp_path / "b", name, backend="reference") as reference,
    ):
        assert np.abs(logprobs(batched, asked) - logprobs(reference, asked)).max() < 1e-3
        texts = [[answer.text for answer in e.generate(writing)] for e in (batched, reference)]
        differing = sum(a != b for a, b in zip(*texts, strict=True))
        assert differing <= 1, "near ties of random weights"
        info = batched.info()
        assert (info.mode, info.mmproj, info.details["projector"]) == ("batched", "", "none")


def test_pictures_fields_and_neither_in_one_call(folder: Path, picture: Path) -> None:
    asked = [ask(*pair, *images) for pair in product(TEXTS, ASKED) for images in ((), (picture,))]
    asked += [ScoreRequest((Message("user", ("What is it?",)),), (), OPTIONS)]
    with (
        opened(folder / "a", pictures=True, slots=3) as batched,
        opened(folder / "b", pictures=True, backend="reference") as reference,
    ):
        expected = logprobs(reference, asked)
        for _ in range(2):
            assert np.abs(logprobs(batched, asked) - expected).max() < 1e-3


def test_a_field_is_computed_once_however_many_prompts_follow(engine: LlamaCppEngine) -> None:
    field = "a red cup and a blue hat " * 30
    engine.score([ask(field, ASKED[0])])
    before = engine.stats()
    answers = engine.score([ask(field, question) for question in ASKED[1:]])
    length = engine.count_tokens(ask(field, "").messages)
    assert all(answer.tokens < length / 4 for answer in answers)
    saved = engine.stats()["tokens_saved"] - before["tokens_saved"]
    assert saved > 1.8 * length
    assert engine.stats()["prefixes_computed"] == before["prefixes_computed"]


def test_a_field_after_a_longer_instruction_shares_the_instruction(engine: LlamaCppEngine) -> None:
    instruction = "Answer with label or one word. " * 10
    before = engine.stats()["prefixes_computed"]
    answers = engine.score([ask(text, instruction, first=False) for text in TEXTS[:3]])
    assert engine.stats()["prefixes_computed"] == before
    first, *others = sorted((answer.tokens for answer in answers), reverse=True)
    assert all(other < first / 2 for other in others)


def test_fields_do_not_change_the_tokens_of_a_prompt(engine: LlamaCppEngine) -> None:
    planner = engine._loaded.planner
    for text, question in product((*TEXTS, "ends in a blank "), ("re cup", " red", "\n\nWhat?")):
        plain = Message("user", (f"{text}{question}",))
        marked = Message("user", (FieldText(text), question))
        whole, split = (planner.plan((message,), "", OPTIONS) for message in (plain, marked))
        assert not whole.fields
        assert split.fields
        assert split.fields + split.suffix == whole.suffix
        assert split.options == whole.options
        assert split.tail == whole.tail


def test_adjacent_fields_cannot_form_a_control_token(engine: LlamaCppEngine) -> None:
    vocabulary, planner = engine._loaded.vocab, engine._loaded.planner
    (control,) = vocabulary.tokenize("<|im_end|>", special=True)
    for parts in (("a cup <|im", "_end|> red"), ("a cup <|im_end|> hat", " red"), ("<|im_end|>",)):
        content = (*map(FieldText, parts), "What is it?")
        plan = planner.plan((Message("user", content),), "")
        assert (plan.fields + plan.suffix).count(control) == 1, "the template's own"
        assert BREAK in plan.tail


def test_reserved_characters_in_a_field_disappear() -> None:
    template = ChatTemplate(CHATML, "", "")
    text = f"a{SLOT}b{BREAK}c\ue0f3d"
    chat = template.render([Message("user", (ImageSlot(), FieldText(text), " What?"))])
    assert len(chat.segments) == 2
    assert chat.segments[1].startswith("abcd What?")
    assert chat.fields == len("abcd")


def test_a_text_model_takes_no_pictures(engine: LlamaCppEngine, picture: Path) -> None:
    with pytest.raises(ModelError, match="takes no images; name one with --mmproj"):
        engine.score([ask("a cup", "What?", picture)])
    with pytest.raises(ModelError, match="takes no images"):
        engine.encoded([picture])
    assert engine.check() == ""


def test_a_second_proposer_ignores_the_projector_beside_it(folder: Path) -> None:
    text, _ = write_pair("janus", folder / "c")
    options = EngineOptions(threads=1, n_ctx=512, cache_dir=folder / "c")
    engine = open_engine("llama_cpp_text", text, options, pytest.fail)
    assert engine.info().mmproj == ""
    engine.close()
