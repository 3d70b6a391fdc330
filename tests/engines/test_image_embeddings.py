"""Pictures of every mode and shape, one or several, in every place: both backends agree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idealprompt_cli.core.errors import ImageError
from idealprompt_cli.core.prompt import Content, ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp

from ..support.tiny_models import write_pair

OPTIONS = ("red", "a blue cup")
Draw = Callable[[Path], Path]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(11).integers(0, 255, shape, dtype=np.uint8)


def cmyk(folder: Path) -> Path:
    Image.fromarray(noise(30, 40, 3)).convert("CMYK").save(folder / "cmyk.jpg")
    return folder / "cmyk.jpg"


def deep(folder: Path) -> Path:
    Image.fromarray(noise(30, 40).astype(np.uint16) * 257).save(folder / "deep.png")
    return folder / "deep.png"


def palette(folder: Path) -> Path:
    image = Image.fromarray(noise(30, 40, 3)).quantize(16)
    image.save(folder / "palette.png", transparency=3)
    return folder / "palette.png"


def alpha(folder: Path) -> Path:
    Image.fromarray(noise(30, 40, 4), "RGBA").save(folder / "alpha.png")
    return folder / "alpha.png"


def grey(folder: Path) -> Path:
    Image.fromarray(noise(30, 40)).save(folder / "grey.bmp")
    return folder / "grey.bmp"


def animated(folder: Path) -> Path:
    frames = [Image.fromarray(frame) for frame in noise(3, 30, 40, 3)]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:])
    return folder / "moving.gif"


def turned(folder: Path) -> Path:
    image = Image.fromarray(noise(30, 40, 3))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(folder / "turned.jpg", exif=exif)
    return folder / "turned.jpg"


def single_pixel(folder: Path) -> Path:
    Image.new("RGB", (1, 1), (200, 10, 60)).save(folder / "pixel.png")
    return folder / "pixel.png"


def strip(folder: Path) -> Path:
    Image.fromarray(noise(20, 160, 3)).save(folder / "strip.png")
    return folder / "strip.png"


def large(folder: Path) -> Path:
    Image.fromarray(noise(300, 500, 3)).save(folder / "large.png")
    return folder / "large.png"


DRAWN: tuple[Draw, ...] = (
    cmyk, deep, palette, alpha, grey, animated, turned, single_pixel, strip, large,
)  # fmt: skip


def opened(name: str, folder: Path, **options: object) -> LlamaCppEngine:
    settings = EngineOptions(threads=1, n_ctx=2048, cache_dir=folder / "cache", **options)  # type: ignore[arg-type]
    return open_llama_cpp(ModelRef(*write_pair(name, folder)), settings, pytest.fail)


def scores(engine: LlamaCppEngine, requests: list[ScoreRequest]) -> np.ndarray:
    return np.array([answer.logprobs for answer in engine.score(requests)])


def agreed_scores(name: str, folder: Path, requests: list[ScoreRequest]) -> np.ndarray:
    """The batched backend's scores, which are the reference's too."""
    with (
        opened(name, folder / "batched") as fast,
        opened(name, folder / "reference", backend="reference") as plain,
    ):
        quick = scores(fast, requests)
        assert fast.info().mode == "batched"
        assert np.abs(quick - scores(plain, requests)).max() < 1e-3
        return quick


@pytest.mark.parametrize("name", ["janus", "smolvlm", "qwen2vl"])
def test_every_mode_and_size_on_both_paths(name: str, tmp_path: Path) -> None:
    pictures = [draw(tmp_path) for draw in DRAWN]
    ask = (Message("user", (ImageSlot(), "What is it?")),)
    requests = [ScoreRequest(ask, (picture,), OPTIONS) for picture in pictures]
    quick = agreed_scores(name, tmp_path, requests)
    rows = dict(zip((draw.__name__ for draw in DRAWN), quick, strict=True))
    assert np.array_equal(rows["deep"], rows["grey"]), "16 bits scaled to 8 are the same picture"
    assert len({tuple(row) for row in quick.round(4)}) == len(pictures) - 1, "others differ"


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    moving = animated(tmp_path)
    with Image.open(moving) as image:
        image.convert("RGB").save(tmp_path / "first.png")
    ask = (Message("user", (ImageSlot(), "What is it?")),)
    both = [ScoreRequest(ask, (path,), OPTIONS) for path in (moving, tmp_path / "first.png")]
    with opened("janus", tmp_path) as engine:
        one, other = scores(engine, both)
    assert np.abs(one - other).max() < 1e-4


SEVERAL: dict[str, Content] = {
    "first": (ImageSlot(), ImageSlot(), "Do they match?"),
    "last": ("Do they match?", ImageSlot(), ImageSlot()),
    "between": ("This: ", ImageSlot(), " and this: ", ImageSlot(), " Do they match?"),
}


@pytest.mark.parametrize("name", ["janus", "smolvlm", "qwen2vl", "gemma3"])
def test_two_pictures_wherever_they_stand(name: str, tmp_path: Path) -> None:
    one, two, three = grey(tmp_path), strip(tmp_path), alpha(tmp_path)
    pairs = [(one, two), (two, one), (one, three), (one, one)]
    requests = [
        ScoreRequest((Message("user", content),), pair, OPTIONS)
        for content in SEVERAL.values()
        for pair in pairs
    ]
    writing = [GenerateRequest(r.messages, r.images, max_tokens=6) for r in requests]
    with (
        opened(name, tmp_path / "batched", slots=3) as fast,
        opened(name, tmp_path / "reference", backend="reference") as plain,
    ):
        quick = scores(fast, requests)
        assert fast.info().mode == "batched"
        assert np.abs(quick - scores(plain, requests)).max() < 1e-3
        said = [[a.text for a in engine.generate(writing)] for engine in (fast, plain)]
        assert said[0] == said[1]


TEMPLATED = ("janus", "gemma3", "llava", "smolvlm")


@pytest.mark.parametrize("name", TEMPLATED)
def test_templates_with_and_without_a_system_role(name: str, tmp_path: Path) -> None:
    """List or string content, a system role that is taken, refused or put before the user's turn,
    and the picture before or after the text."""
    picture = grey(tmp_path)
    contents: list[Content] = [(ImageSlot(), "What is it?"), ("What is it?", ImageSlot())]
    requests = []
    for content in contents:
        user = Message("user", content)
        system = Message("system", ("describe the item",))
        requests += [
            ScoreRequest(turns, (picture,), OPTIONS) for turns in ((user,), (system, user))
        ]
    quick = agreed_scores(name, tmp_path, requests)
    assert len({tuple(row) for row in quick.round(4)}) == len(requests), "each is another prompt"


def test_one_bad_picture_among_good_ones_harms_nothing_after_it(tmp_path: Path) -> None:
    good, bad = grey(tmp_path), tmp_path / "bad.png"
    data = strip(tmp_path).read_bytes()
    bad.write_bytes(data[: len(data) // 2])
    ask = (Message("user", (ImageSlot(), "What is it?")),)
    with opened("janus", tmp_path) as engine:
        before = scores(engine, [ScoreRequest(ask, (good,), OPTIONS)])
        with pytest.raises(ImageError, match=r"bad\.png"):
            engine.score([ScoreRequest(ask, (path,), OPTIONS) for path in (good, bad)])
        assert np.array_equal(scores(engine, [ScoreRequest(ask, (good,), OPTIONS)]), before)
