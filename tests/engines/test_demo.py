"""The shipped demonstration model, as it is: both backends, and the binding's own chat handler."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import idealprompt_cli
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp

FOLDER = Path(idealprompt_cli.__file__).parent / "models" / "demo"
REF = ModelRef(FOLDER / "model.gguf", FOLDER / "mmproj.gguf")
QUESTIONS = ("What colour is it?", "What colour is it? Answer with one word.", "What is it?")
COLOURS = ("red", "green", "blue", "yellow")
OPTIONS = (*COLOURS, "K7", "M2", "a red mug")

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not REF.text.is_file(), reason="the demonstration model is not built yet"),
]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("demo")
    paths = []
    for colour in COLOURS:
        image = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(image).ellipse((14, 16, 50, 52), fill=colour)
        paths.append(folder / f"{colour}.png")
        image.save(paths[-1])
    return paths


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LlamaCppEngine]]:
    cache = tmp_path_factory.mktemp("cache")
    fast = EngineOptions(threads=1, cache_dir=cache)
    plain = EngineOptions(threads=1, cache_dir=cache, backend="reference")
    both = {
        "batched": open_llama_cpp(REF, fast, pytest.fail),
        "reference": open_llama_cpp(REF, plain, pytest.fail),
    }
    yield both
    for engine in both.values():
        engine.close()


def ask(text: str) -> tuple[Message, ...]:
    return (Message("user", (ImageSlot(), text)),)


def test_label_scores_equal_the_plain_path(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    requests = [ScoreRequest(ask(q), (p,), OPTIONS) for q, p in product(QUESTIONS, pictures)]
    scores = [
        np.array([answer.logprobs for answer in engines[path].score(requests)])
        for path in ("batched", "reference")
    ]
    assert engines["batched"].info().mode == "batched"
    assert np.abs(scores[0] - scores[1]).max() < 1e-3


def test_generation_equals_the_plain_path(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    requests = [GenerateRequest(ask(q), (p,), 12) for q, p in product(QUESTIONS, pictures)]
    texts = [
        [a.text for a in engines[path].generate(requests)] for path in ("batched", "reference")
    ]
    assert texts[0] == texts[1]


def test_the_bindings_own_chat_handler_says_the_same(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    from llama_cpp import Llama
    from llama_cpp.llama_chat_format import MTMDChatHandler

    handler = MTMDChatHandler(clip_model_path=str(REF.mmproj), verbose=False, use_gpu=False)
    theirs = Llama(
        str(REF.text),
        chat_handler=handler,
        n_ctx=1024,
        n_threads=1,
        n_threads_batch=1,
        verbose=False,
    )
    for picture in pictures:
        buffer = io.BytesIO()
        Image.open(picture).save(buffer, "PNG")
        url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": QUESTIONS[1]},
        ]
        reply = theirs.create_chat_completion(
            [{"role": "user", "content": content}],
            max_tokens=8,
            temperature=0,
            repeat_penalty=1.0,
        )
        (ours,) = engines["batched"].generate([GenerateRequest(ask(QUESTIONS[1]), (picture,), 8)])
        assert reply["choices"][0]["message"]["content"] == ours.text
    theirs.close()


def test_a_picture_s_embedding_is_the_mean_of_its_tokens(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    engine = engines["batched"]
    found = engine.embed(pictures)
    assert found.shape[0] == len(pictures)
    assert np.isfinite(found).all()
    assert np.array_equal(found[1:2], engine.embed(pictures[1:2]))
    gaps = np.abs(found[:, None] - found[None]).max(axis=2)
    assert (gaps[np.triu_indices(len(pictures), 1)] > 1e-3).all()
    assert engine.encoded(pictures) == len(pictures), "the embeddings are the cached ones"
