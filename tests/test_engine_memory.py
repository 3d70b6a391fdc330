"""Nothing leaks, nothing is encoded twice, and limits on memory change no answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp
from idealprompt_cli.types import GenerateRequest, ImageSlot, Message, ModelRef, ScoreRequest

from .tiny_models import write_pair

STATM = Path("/proc/self/statm")


def open_small(folder: Path, cache: Path) -> LlamaCppEngine:
    """Room for a few pictures in every cache."""
    options = EngineOptions(
        threads=1,
        n_ctx=512,
        slots=4,
        state_bytes=1 << 18,
        embedding_bytes=1 << 15,
        disk_bytes=1 << 20,
        cache_dir=cache,
    )
    return open_llama_cpp(ModelRef(*write_pair("janus", folder)), options, pytest.fail)


def new_pictures(folder: Path, seed: int, count: int) -> list[Path]:
    rng = np.random.default_rng(seed)
    paths = [folder / f"{seed}-{index}.png" for index in range(count)]
    for path in paths:
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
    return paths


def ask(text: str) -> tuple[Message, ...]:
    return (Message("user", (ImageSlot(), text)),)


def work(engine: LlamaCppEngine, folder: Path, seed: int) -> None:
    """A hundred evaluations of new prompts on new pictures, and some writing."""
    images = new_pictures(folder, seed, 10)
    for number in range(10):
        messages = ask(f"What is {seed} {number}?")
        engine.score([ScoreRequest(messages, (image,), ("red", "a cup")) for image in images])
    grammar = 'root ::= "red" | "blue"'
    engine.generate([GenerateRequest(ask("?"), (i,), 4, grammar=grammar) for i in images])


@pytest.mark.skipif(not STATM.exists(), reason="reads the resident set from /proc")
def test_many_evaluations_do_not_grow_the_process(tmp_path: Path) -> None:
    with open_small(tmp_path, tmp_path / "cache") as engine:
        sizes = []
        for seed in range(16):
            work(engine, tmp_path, seed)
            sizes.append(int(STATM.read_text().split()[1]))
    assert sizes[-1] < 1.05 * sizes[5], "resident pages after 600 and after 1,600"


def test_a_second_run_encodes_nothing(tmp_path: Path) -> None:
    images = new_pictures(tmp_path, 1, 6)
    requests = [ScoreRequest(ask("What?"), (image,), ("red", "blue")) for image in images]
    answers = []
    for encoded in (len(images) + 3, 0):  # the proof encodes its picture once, the plain way twice
        with open_small(tmp_path, tmp_path / "cache") as engine:
            answers.append(np.array([answer.logprobs for answer in engine.score(requests)]))
            assert engine.stats()["images_encoded"] == encoded
    assert np.abs(answers[0] - answers[1]).max() < 1e-4


def test_a_damaged_store_is_encoded_again(tmp_path: Path) -> None:
    (image,) = new_pictures(tmp_path, 2, 1)
    request = ScoreRequest(ask("What?"), (image,), ("red", "blue"))
    with open_small(tmp_path, tmp_path / "cache") as engine:
        expected = engine.score([request])
    for file in (tmp_path / "cache").rglob("*.bin"):
        file.write_bytes(file.read_bytes()[:100])
    with open_small(tmp_path, tmp_path / "cache") as engine:
        assert engine.score([request]) == expected
        assert engine.stats()["images_encoded"] >= 1


def test_memory_is_divided() -> None:
    options = EngineOptions().with_memory(1 << 20)
    assert options.kv_bytes + options.state_bytes + options.embedding_bytes == 1 << 20
