"""Nothing leaks, nothing is encoded twice, and limits on memory change no answer."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.engine.writer import Shape
from idealprompt_cli.core.errors import ContextError, ImageError, ModelError
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.backends.batched import log_sum_exp
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp
from idealprompt_cli.engines.options import in_words, parse_bytes

from ..support.tiny_models import write_pair

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


@pytest.mark.skipif(not STATM.exists(), reason="reads the held set from /proc")
def test_many_evaluations_do_not_grow_the_process(tmp_path: Path) -> None:
    with open_small(tmp_path, tmp_path / "cache") as engine:
        sizes = []
        for seed in range(16):
            work(engine, tmp_path, seed)
            sizes.append(int(STATM.read_text().split()[1]))
    assert sizes[-1] < 1.05 * sizes[5], "held pages after 600 and after 1,600"


@pytest.mark.skipif(not STATM.exists(), reason="reads the held set from /proc")
def test_failures_leave_nothing_behind(tmp_path: Path) -> None:
    """Bad pictures, prompts and grammars, models that do not fit, engines opened and closed."""
    ref = ModelRef(*write_pair("janus", tmp_path))
    _, other = write_pair("smolvlm", tmp_path / "other", shape=Shape(width=32))
    (image,) = new_pictures(tmp_path, 7, 1)
    broken = tmp_path / "broken.png"
    broken.write_bytes(image.read_bytes()[:-40])
    long = ScoreRequest(ask("red cup " * 600), (image,), ("red", "a cup"))
    bad = ScoreRequest(ask("What?"), (broken,), ("red", "a cup"))
    wrong = GenerateRequest(ask("?"), (image,), 4, grammar="root ::= [")
    good = ScoreRequest(ask("What?"), (image,), ("red", "a cup"))
    sizes = []
    for _turn in range(12):
        with open_small(tmp_path, tmp_path / "cache") as engine:
            for _ in range(10):
                with pytest.raises(ImageError):
                    engine.score([good, bad])
                with pytest.raises(ContextError):
                    engine.score([long])
                with pytest.raises(ModelError):
                    engine.generate([wrong])
            engine.score([good])
        with pytest.raises(ModelError):
            open_llama_cpp(ModelRef(ref.text, other), EngineOptions(threads=1), pytest.fail)
        sizes.append(int(STATM.read_text().split()[1]))
    assert sizes[-1] < 1.03 * sizes[4], "held pages after five rounds and after twelve"


def test_a_second_run_encodes_nothing(tmp_path: Path) -> None:
    images = new_pictures(tmp_path, 1, 6)
    requests = [ScoreRequest(ask("What?"), (image,), ("red", "blue")) for image in images]
    answers = []
    for encoded in (len(images) + 3, 0):  # the self-check encodes its picture 3 times
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


def budget(ref: ModelRef, cache: Path, memory: int, slots: int = 0) -> LlamaCppEngine:
    options = EngineOptions(threads=1, n_ctx=1024, memory=memory, slots=slots, cache_dir=cache)
    return open_llama_cpp(ref, options, pytest.fail)


def least_memory(ref: ModelRef, cache: Path) -> int:
    """What the engine says that it needs."""
    with pytest.raises(ModelError, match=r"--memory 1KiB is too small.*at least") as lack:
        budget(ref, cache, 1 << 10)
    return parse_bytes(str(lack.value).rpartition(" ")[2])


def test_little_memory_changes_no_answer(tmp_path: Path) -> None:
    ref = ModelRef(*write_pair("janus", tmp_path))
    images = new_pictures(tmp_path, 3, 12)
    questions = ("What?", "What is in the image?", "describe " * 40)
    requests = [ScoreRequest(ask(q), (i,), ("red", "a cup")) for q in questions for i in images]
    writing = [GenerateRequest(ask("?"), (image,), 4) for image in images]
    with budget(ref, tmp_path / "rich", 1 << 30) as rich:
        expected = np.array([answer.logprobs for answer in rich.score(requests)])
        said = [answer.text for answer in rich.generate(writing)]
        assert rich.stats()["prefixes_computed"] == len(images) + 2, (
            "with the two of the self-check"
        )
    little = least_memory(ref, tmp_path) + 60_000
    with budget(ref, tmp_path / "poor", little) as poor:
        scores = np.array([answer.logprobs for answer in poor.score(requests)])
        assert np.abs(scores - expected).max() < 1e-3
        assert [answer.text for answer in poor.generate(writing)] == said
        assert poor._loaded.memory.total <= little
        stats = poor.stats()
    assert stats["prefixes_restored"] > 0, "spilled to RAM"
    assert stats["prefixes_computed"] > len(images) + 2, "and computed again where that was full"


def test_recurrent_models_live_with_little_memory(tmp_path: Path) -> None:
    ref = ModelRef(*write_pair("lfm2", tmp_path))
    images = new_pictures(tmp_path, 4, 4)
    requests = [ScoreRequest(ask(q), (i,), ("red", "a cup")) for q in "abc" for i in images]
    answers = []
    for states in (-1, 0):
        options = EngineOptions(threads=1, n_ctx=512, state_bytes=states, cache_dir=tmp_path / "c")
        with open_llama_cpp(ref, options, pytest.fail) as engine:
            answers.append(np.array([answer.logprobs for answer in engine.score(requests)]))
            assert engine.info().mode == "batched"
    assert np.abs(answers[0] - answers[1]).max() < 1e-3


def test_too_little_memory_is_one_clear_line(tmp_path: Path) -> None:
    ref = ModelRef(*write_pair("janus", tmp_path))
    (image,) = new_pictures(tmp_path, 5, 1)
    with budget(ref, tmp_path, least_memory(ref, tmp_path)) as engine:
        engine.score([ScoreRequest(ask("What?"), (image,), ("red", "a cup"))])
        with pytest.raises(ModelError, match=r"key-value memory.*--memory"):
            engine.score([ScoreRequest(ask("red cup " * 150), (image,), ("red", "a cup"))])


def test_a_budget_covers_the_process_and_names_what_is_enough(tmp_path: Path) -> None:
    ref = ModelRef(*write_pair("janus", tmp_path))
    for memory, process in ((1 << 30, 80 << 20), (64 << 20, 8 << 20)):
        with budget(ref, tmp_path, memory) as engine:
            plan = engine._loaded.memory
            assert plan.total <= memory
            assert process <= plan.work < process + (4 << 20)
    with pytest.raises(ModelError, match=r"give at least (\S+)") as refused:
        budget(ref, tmp_path, 1000)
    enough = re.search(r"at least (\S+)", str(refused.value))
    assert enough is not None
    budget(ref, tmp_path, parse_bytes(enough[1])).close()


def test_many_rows_of_logits_are_added_up_like_one() -> None:
    logits = np.random.default_rng(0).normal(0, 20, (37, 50)).astype(np.float32)
    expected = [log_sum_exp(row[None])[0] for row in logits]
    assert np.array_equal(log_sum_exp(logits), expected)
    assert log_sum_exp(logits[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GiB", 2 << 30), ("512M", 512 << 20), ("1.5 gb", 3 << 29), ("4096", 4096), ("auto", 0)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1G", "2 GiBs", "0", "1e9", "GiB", "12iB"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_bytes(text)


def test_sizes_are_written_as_they_are_read() -> None:
    for size in (1, 1023, 1024, 1536, 123_456_789, 3 << 29, 1 << 40):
        assert parse_bytes(in_words(size)) == pytest.approx(size, rel=0.01)
        assert parse_bytes(in_words(size, up=True)) >= size
