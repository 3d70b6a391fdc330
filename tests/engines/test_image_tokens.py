"""Large pictures: their tokens are bounded, and an error names the one that does not fit."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from idealprompt_cli.core.errors import ContextError, ModelError
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp

from ..support.tiny_models import SPECS, write_pair

PICTURE_TOKENS = 64


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    Image.new("RGB", (1600, 1200), "teal").save(tmp_path / "large.png")
    return tmp_path / "large.png"


def opened(folder: Path, name: str = "qwen2vl", **options: int | str) -> LlamaCppEngine:
    settings = EngineOptions(threads=1, cache_dir=folder, **{"n_ctx": 512, **options})  # type: ignore[arg-type]
    return open_llama_cpp(ModelRef(*write_pair(name, folder)), settings, pytest.fail)


def ask(image: Path) -> ScoreRequest:
    return ScoreRequest((Message("user", (ImageSlot(), "What is it?")),), (image,), ("red", "hat"))


def tokens(engine: LlamaCppEngine, image: Path) -> int:
    """What a picture takes with the prompt's text."""
    return int(engine.score([ask(image)])[0].tokens)


def test_a_large_picture_fits_the_context_by_default(tmp_path: Path, photograph: Path) -> None:
    with opened(tmp_path) as engine:
        assert engine.info().details["image_tokens"] == "at most 256"
        assert 128 < tokens(engine, photograph) < 256 + 64
    with opened(tmp_path, "janus") as fixed:
        assert fixed.info().details["image_tokens"] == "as the model chooses"


def test_limits_of_a_picture_s_tokens(tmp_path: Path, photograph: Path) -> None:
    Image.new("RGB", (16, 16), "teal").save(tmp_path / "small.png")
    with opened(tmp_path / "a", image_max_tokens=PICTURE_TOKENS) as engine:
        few = tokens(engine, photograph)
    with opened(tmp_path / "a", image_max_tokens=3 * PICTURE_TOKENS) as engine:
        many = tokens(engine, photograph)
        least = tokens(engine, tmp_path / "small.png")
    assert PICTURE_TOKENS < many - few < 3 * PICTURE_TOKENS
    with opened(tmp_path / "a", image_min_tokens=PICTURE_TOKENS) as engine:
        assert tokens(engine, tmp_path / "small.png") > least + PICTURE_TOKENS / 2
    with pytest.raises(ModelError, match="--image-min-tokens 9 is more than --image-max-tokens 8"):
        opened(tmp_path / "a", image_min_tokens=9, image_max_tokens=8)


def test_the_error_names_the_picture(tmp_path: Path, photograph: Path) -> None:
    with (
        opened(tmp_path, image_max_tokens=2000) as engine,
        pytest.raises(ContextError, match=r"large\.png: .*1600x1200 pixels, \d+ tokens.*smaller"),
    ):
        engine.score([ask(photograph)])


def test_the_context_is_as_large_as_the_pictures_need(tmp_path: Path, photograph: Path) -> None:
    """Several pictures that do not fit the usual 4,096 tokens, without --n-ctx; and more of them
    than the model was trained for."""
    shape = replace(SPECS["qwen2vl"].shape, context=8192)
    pair = write_pair("qwen2vl", tmp_path, shape=shape)
    options = EngineOptions(threads=1, cache_dir=tmp_path)
    with open_llama_cpp(ModelRef(*pair), options, pytest.fail) as engine:
        assert engine.info().n_ctx == 4096
        each = tokens(engine, photograph)
        assert engine.info().n_ctx == 4096

        def pictures(count: int) -> ScoreRequest:
            slots = (ImageSlot(),) * count
            message = Message("user", (*slots, "Which is it?"))
            return ScoreRequest((message,), (photograph,) * count, ("red", "hat"))

        many = 4096 // each + 2
        (answer,) = engine.score([pictures(many)])
        assert sum(map(math.exp, answer.logprobs)) < 1
        assert 4096 < engine.info().n_ctx <= 8192
        with pytest.raises(ContextError, match=r"large\.png.*largest context here holds 8192"):
            engine.score([pictures(3 * many)])
