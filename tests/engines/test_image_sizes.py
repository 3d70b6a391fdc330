"""Images scaled to a number of tokens: by models that take any size, and by no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.core.interfaces import SizesImages
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine

from .test_image_tokens import opened

LIMIT = 64


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """A large one, a tall one and a small one."""
    random, made = np.random.default_rng(7), []
    for width, height in ((640, 480), (200, 500), (56, 56)):
        pixels = random.integers(0, 255, (height, width, 3), dtype=np.uint8)
        made.append(tmp_path / f"{width}.png")
        Image.fromarray(pixels).save(made[-1])
    return made


def asked(engine: LlamaCppEngine, images: list[Path], limit: int) -> list[float]:
    """The first option's log-probability for each image."""
    message = (Message("user", (ImageSlot(limit), "What is it?")),)
    requests = [ScoreRequest(message, (image,), ("red", "hat")) for image in images]
    return [answer.logprobs[0] for answer in engine.score(requests)]


@pytest.mark.parametrize("name", ["qwen2vl", "qwen25vl"])
def test_images_are_scaled_to_the_tokens_asked_for(
    name: str, tmp_path: Path, images: list[Path]
) -> None:
    with opened(tmp_path, name) as engine:
        assert isinstance(engine, SizesImages)
        own, scaled = engine.image_tokens(images), engine.image_tokens(images, LIMIT)
        assert own[0] > 2 * LIMIT
        assert own[2] < LIMIT / 2
        assert all(0.7 * LIMIT < count <= LIMIT for count in scaled)
        assert engine.image_tokens(images, max(own))[0] == own[0]


def test_every_size_has_embeddings_of_its_own(tmp_path: Path, images: list[Path]) -> None:
    """Asked in turns, in one call and by the reference backend, answers stay those of the size."""
    with opened(tmp_path) as engine:
        whole, half = asked(engine, images, 0), asked(engine, images, LIMIT)
        assert np.abs(np.subtract(whole, half)).max() > 0.01
        assert asked(engine, images, 0) == pytest.approx(whole, abs=1e-4)
        assert asked(engine, images, LIMIT) == pytest.approx(half, abs=1e-4)
        assert engine.info().mode == "batched"
        encoded = engine.stats()["images_encoded"]
        asked(engine, images, LIMIT)
        assert engine.stats()["images_encoded"] == encoded
    with opened(tmp_path, backend="reference") as engine:
        assert asked(engine, images, LIMIT) == pytest.approx(half, abs=0.05)
        assert asked(engine, images, 0) == pytest.approx(whole, abs=0.05)


def test_a_model_of_fixed_size_says_so(tmp_path: Path, images: list[Path]) -> None:
    with opened(tmp_path, "janus") as engine:
        (count,) = set(engine.image_tokens(images))
        assert engine.image_tokens(images, 10 * count) == [count] * 3
        with pytest.raises(ModelError, match=rf"640\.png: takes {count} tokens .* remove that"):
            asked(engine, images, count - 1)
