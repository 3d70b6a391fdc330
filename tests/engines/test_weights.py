"""Copies of the weights in bfloat16: made once, whole or not at all, and hardly different."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from idealprompt_cli.core.errors import ModelError
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import Scored, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.caching.weight_copies import WeightCopies, size_of
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp
from idealprompt_cli.engines.llama_cpp.native import library as native
from idealprompt_cli.engines.llama_cpp.native.gguf_header import Header, read_header
from idealprompt_cli.engines.llama_cpp.setup import weights
from idealprompt_cli.io.files import TEMPORARY

from ..support.tiny_models import write_pair

OPTIONS = ("red", "a blue cup", "no")


@pytest.fixture
def ref(tmp_path: Path) -> ModelRef:
    return ModelRef(*write_pair("smolvlm", tmp_path / "model", quantise=True))


@pytest.fixture
def text(ref: ModelRef) -> Header:
    return read_header(ref.text, "text model")


def opened(ref: ModelRef, cache: Path, kind: Any, said: list[str], **more: Any) -> LlamaCppEngine:
    options = EngineOptions(threads=1, n_ctx=512, cache_dir=cache, weights=kind, **more)
    return open_llama_cpp(ref, options, said.append)


def scored(engine: LlamaCppEngine, picture: Path) -> list[Scored]:
    shown = (Message("user", (ImageSlot(), "What is in the picture?")),)
    plain = (Message("user", ("What is it?",)),)
    return engine.score(
        [ScoreRequest(shown, (picture,), OPTIONS), ScoreRequest(plain, (), OPTIONS)]
    )


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(1).integers(0, 255, (40, 56, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def copies_in(cache: Path) -> list[Path]:
    return sorted((cache / "weights").iterdir())


def test_a_copy_answers_nearly_the_same_and_says_what_it_is(
    ref: ModelRef, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    said: list[str] = []
    with opened(ref, tmp_path, "file", said) as engine:
        own, expected = engine.info(), scored(engine, picture)
    with opened(ref, tmp_path, "bf16", said) as engine:
        assert engine.check() == ""
        info, found = engine.info(), scored(engine, picture)
        assert engine.stats()["images_encoded"] > 0, (
            "embeddings of the file are not those of a copy"
        )
    assert (own.quantisation, own.details["weights"]) == ("Q8_0", "file")
    assert (info.quantisation, info.details["weights"]) == ("Q8_0 as BF16", "bf16")
    assert (info.fingerprint, info.path, info.mmproj) == (own.fingerprint, own.path, own.mmproj)
    for one, other in zip(found, expected, strict=True):
        difference = np.abs(np.subtract(one.logprobs, other.logprobs)).max()
        assert 0 < difference < 0.3
    assert said == []


def test_copies_are_private_and_made_once(
    ref: ModelRef, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    with opened(ref, tmp_path, "bf16", []) as engine:
        first = scored(engine, picture)
    made = copies_in(tmp_path)
    assert len(made) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}

    def again(*_: object) -> None:
        raise AssertionError("converted twice")

    monkeypatch.setattr(native, "write_bfloat16", again)
    with opened(ref, tmp_path, "bf16", []) as engine:
        assert engine.stats()["images_encoded"] == 0
        again_scored = [one.logprobs for one in scored(engine, picture)]
        assert again_scored == [one.logprobs for one in first]
        assert engine.stats()["images_encoded"] == 0, "embeddings are kept on disk"
    assert copies_in(tmp_path) == made


def test_a_damaged_copy_is_made_again(text: Header, tmp_path: Path) -> None:
    copies = WeightCopies(tmp_path)
    copy = copies.get(text, 1)
    whole = copy.path.read_bytes()
    assert len(whole) <= size_of(text), "the estimate of room is not too small"
    for damaged in (b"", b"GGUF", whole[:-1]):
        copy.path.write_bytes(damaged)
        assert copies.get(text, 1).path.read_bytes() == whole


def test_what_a_killed_process_left_is_removed(text: Header, tmp_path: Path) -> None:
    left = tmp_path / "weights" / f"{TEMPORARY}abc"
    left.mkdir(parents=True)
    (left / "half.gguf").write_bytes(b"GGUF")
    WeightCopies(tmp_path).get(text, 1)
    assert [path.suffix for path in copies_in(tmp_path)] == [".gguf"]


class Usage(NamedTuple):
    free: int


def test_a_disk_without_room_is_one_line(
    text: Header, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(size_of(text)))
    with pytest.raises(ModelError, match=r"smolvlm.gguf needs .*MiB and .* are free; make room"):
        WeightCopies(tmp_path).get(text, 1)
    assert copies_in(tmp_path) == []


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As on a full disk: writing fails after so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_becomes_full_leaves_nothing(text: Header, tmp_path: Path) -> None:
    with files_of_at_most(text.needs_bytes // 2), pytest.raises(ModelError, match="--weights file"):
        WeightCopies(tmp_path).get(text, 1)
    assert copies_in(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_line(text: Header, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("in the way")
    with pytest.raises(ModelError, match=r"weights: no bfloat16 copy .* set IDEALPROMPT_CACHE"):
        WeightCopies(tmp_path).get(text, 1)
    assert (tmp_path / "weights").read_text() == "in the way"


def test_old_copies_make_room_for_new_ones(ref: ModelRef, text: Header, tmp_path: Path) -> None:
    assert ref.mmproj is not None
    mmproj = read_header(ref.mmproj, "mmproj")
    copies = WeightCopies(tmp_path, limit=size_of(text) + 1)
    old = copies.get(text, 1)
    os.utime(old.path, (1, 1))
    new = copies.get(mmproj, 1)
    assert copies_in(tmp_path) == [new.path]
    copies.get(text, 1)
    assert old.path.exists()


def test_memory_and_instructions_are_looked_at(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    with pytest.raises(ModelError, match=r"--memory 100KiB does not hold .* use --weights file"):
        opened(ref, tmp_path, "bf16", [], memory=100 << 10)
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: False)
    said: list[str] = []
    opened(ref, tmp_path, "bf16", said).close()
    assert len(said) == 1
    assert "no bfloat16 instructions" in said[0]


def test_a_file_in_bfloat16_is_used_as_it_is(text: Header, tmp_path: Path) -> None:
    copy = WeightCopies(tmp_path).get(text, 1)
    found = weights.choose(copy, None, EngineOptions(weights="bf16", cache_dir=tmp_path), print)
    assert found.text == copy
    assert len(copies_in(tmp_path)) == 1


def test_the_gain_is_measured_once(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(weights, "_SMALL", 0)
    options = EngineOptions(cache_dir=tmp_path)
    assert weights.known_gain(ref, options) is None
    gain = weights.measure_gain(ref, options)
    assert gain is not None
    assert gain.prompts > 0
    assert gain.images > 0
    assert not (tmp_path / "weights").exists(), "copies for measuring are not kept"
    monkeypatch.setattr(weights, "_ratio", None)
    kept = weights.measure_gain(ref, options)
    assert kept is not None
    assert kept.prompts == pytest.approx(gain.prompts, rel=0.01)


def test_nothing_is_measured_where_copies_cannot_help(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(cache_dir=tmp_path)
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    assert weights.measure_gain(ref, options) is None, "a tiny model is fast in any case"
    monkeypatch.setattr(weights, "_SMALL", 0)
    whole = ModelRef(*write_pair("smolvlm", tmp_path / "whole"))
    assert weights.measure_gain(whole, options) is None, "it is not quantised"
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: False)
    assert weights.measure_gain(ref, options) is None, "no instructions"
