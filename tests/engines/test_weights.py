"""Copies of the weights in bfloat16: made once, whole or not at all, and hardly different."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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
from idealprompt_cli.engines.llama_cpp.setup import autotune, copy_gain, weights
from idealprompt_cli.engines.options import RecordedWeights
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
    assert info.details["weights"] == "bf16 (text, images)"
    assert info.quantisation == "Q8_0 as bf16 (text, images)"
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
    with (
        files_of_at_most(text.needs_bytes // 2),
        pytest.raises(ModelError, match="make room on the disk"),
    ):
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
    options = EngineOptions(weights="bf16", cache_dir=tmp_path)
    found = weights.choose(copy, None, "f", options, print)
    assert found.text == copy
    assert len(copies_in(tmp_path)) == 1


def test_the_gain_is_measured_once(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(copy_gain, "_SMALL", 0)
    options = EngineOptions(cache_dir=tmp_path)
    assert copy_gain.known_gain(ref, options) is None
    gain = copy_gain.measure_gain(ref, options)
    assert gain is not None
    assert gain.prompts > 0
    assert gain.images > 0
    monkeypatch.setattr(copy_gain, "_ratio", None)
    kept = copy_gain.measure_gain(ref, options)
    assert kept is not None
    assert kept.prompts == pytest.approx(gain.prompts, rel=0.01)


def test_nothing_is_measured_where_copies_cannot_help(
    ref: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = EngineOptions(cache_dir=tmp_path)
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    assert copy_gain.measure_gain(ref, options) is None, "a tiny model is fast in any case"
    monkeypatch.setattr(copy_gain, "_SMALL", 0)
    whole = ModelRef(*write_pair("smolvlm", tmp_path / "whole"))
    assert copy_gain.measure_gain(whole, options) is None, "it is not quantised"
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: False)
    assert copy_gain.measure_gain(ref, options) is None, "no instructions"


@pytest.fixture
def gained(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """What the measurement finds, where settings are measured; sizes do not matter."""
    found = {"prompts": 1.0, "images": 1.0}

    def ratio(_seconds: object, own: Path, _copy: Path) -> float:
        return found["images" if "mmproj" in own.name else "prompts"]

    monkeypatch.delenv(autotune.SWITCH)
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: True)
    monkeypatch.setattr(copy_gain, "_SMALL", 0)
    monkeypatch.setattr(copy_gain, "_ratio", ratio)
    return found


def chosen(
    ref: ModelRef, cache: Path, said: list[str], **more: Any
) -> tuple[weights.Weights, list[str]]:
    """What is chosen, and the files of the cache."""
    assert ref.mmproj is not None
    text, mmproj = read_header(ref.text, "text model"), read_header(ref.mmproj, "mmproj")
    options = EngineOptions(threads=1, cache_dir=cache, **more)
    found = weights.choose(text, mmproj, "f", options, said.append)
    return found, sorted(path.name for path in (cache / "weights").glob("*"))


@pytest.mark.parametrize(
    ("prompts", "images", "name"),
    [
        (1.1, 1.2, "file"),
        (3.4, 1.0, "bf16 (text)"),
        (0.9, 1.5, "bf16 (images)"),
        (3.4, 1.5, "bf16 (text, images)"),
    ],
)
def test_parts_that_gain_are_copied(
    ref: ModelRef,
    tmp_path: Path,
    gained: dict[str, float],
    prompts: float,
    images: float,
    name: str,
) -> None:
    gained.update(prompts=prompts, images=images)
    said: list[str] = []
    found, copies = chosen(ref, tmp_path, said)
    assert found.name == name
    assert len(copies) == found.text_copied + found.mmproj_copied, "others are removed"
    assert len(said) == found.copied
    assert all("--weights file uses the file's own" in line for line in said)
    again, _ = chosen(ref, tmp_path, said)
    assert again == found
    assert len(said) == found.copied, "said once"


def test_own_weights_where_nothing_is_measured_or_there_is_no_room(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    gained.update(prompts=3.0, images=2.0)
    for more in ({"tune": "off"}, {"weights": "file"}, {"memory": 100 << 10}):
        found, copies = chosen(ref, tmp_path, [], **more)
        assert (found.name, copies) == ("file", [])
    monkeypatch.setenv(autotune.SWITCH, "off")
    assert chosen(ref, tmp_path, [])[0].name == "file"


def test_copies_that_cannot_be_made_are_a_notice(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    gained.update(prompts=3.0, images=2.0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000))
    said: list[str] = []
    found, copies = chosen(ref, tmp_path, said)
    assert (found.name, copies) == ("file", [])
    assert len(said) == 1
    assert said[0].startswith("The model's files are computed with as they are: ")


def test_the_engine_says_why_it_uses_copies(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float]
) -> None:
    gained.update(prompts=3.0, images=2.0)
    with opened(ref, tmp_path, "auto", []) as engine:
        assert engine.info().details["weights"] == "bf16 (text, images)"
        expected = "weights in bfloat16: prompts 3.0 times as fast and images 2.0 times as fast"
        assert engine.reasons()[-1].startswith(expected)


# --- the same choice again ------------------------------------------------------------------------


def test_the_choice_does_not_depend_on_what_is_free(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    gained.update(prompts=3.0, images=2.0)
    size = sum(size_of(read_header(path, "model")) for path in (ref.text, ref.mmproj) if path)
    said: list[str] = []
    for free in (100 * size, size):
        monkeypatch.setattr(weights, "available", lambda free=free: free)
        assert chosen(ref, tmp_path, said)[0].copied
    assert len(said) == 1
    monkeypatch.setattr(weights, "available", lambda: size - 1)
    assert chosen(ref, tmp_path, said)[0].name == "file"
    assert len(said) == 2
    assert "of memory are free, so the model's files are computed with" in said[1]
    monkeypatch.setattr(weights, "installed", lambda: size)
    assert chosen(ref, tmp_path, said)[0].name == "file"
    assert len(said) == 2, "a machine that is too small decides alike in every run"


def test_nothing_is_said_of_memory_where_copies_gain_nothing(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    gained.update(prompts=1.1, images=1.1)
    said: list[str] = []
    assert chosen(ref, tmp_path, said)[0].name == "file"
    monkeypatch.setattr(weights, "available", lambda: 1)
    assert chosen(ref, tmp_path, said)[0].name == "file"
    assert said == []


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"own": [4.0], "copy": [1.0]}, 4.0),
        ({"own": [1.0], "copy": [4.0]}, 0.25),
        ({"own": [1.3, 1.0], "copy": [1.0, 1.0]}, 1.0),  # the first was disturbed
        ({"own": [1.4, 1.4], "copy": [1.2, 1.0]}, 1.4),
    ],
)
def test_a_gain_that_may_be_chance_is_measured_twice(
    times: dict[str, list[float]], expected: float
) -> None:
    left = {name: list(seconds) for name, seconds in times.items()}
    gain = copy_gain._ratio(lambda path: left[path.name].pop(0), Path("own"), Path("copy"))
    assert gain == pytest.approx(expected)
    assert left == {"own": [], "copy": []}


def test_tuning_again_measures_the_gain_again(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float]
) -> None:
    assert chosen(ref, tmp_path, [])[0].name == "file"
    gained.update(prompts=3.0)
    assert chosen(ref, tmp_path, [])[0].name == "file", "kept"
    said: list[str] = []
    assert chosen(ref, tmp_path, said, tune="again")[0].name == "bf16 (text)"
    assert chosen(ref, tmp_path, said)[0].name == "bf16 (text)", "kept"
    assert len(said) == 1


@pytest.mark.parametrize("name", ["file", "bf16 (text)", "bf16 (images)", "bf16 (text, images)"])
@pytest.mark.parametrize("needed_by", ["", "run", "corpus"])
def test_recorded_weights_are_used_again(
    name: str,
    needed_by: Any,
    ref: ModelRef,
    tmp_path: Path,
    gained: dict[str, float],
) -> None:
    """Whatever a measurement would find, and where settings are not measured."""
    recorded = RecordedWeights("f", name, needed_by)
    said: list[str] = []
    for gain, more in ((3.0, {}), (1.0, {}), (1.0, {"tune": "off"})):
        gained.update(prompts=gain, images=gain)
        found, copies = chosen(ref, tmp_path, said, recorded=recorded, **more)
        assert found.name == name
        assert len(copies) == found.text_copied + found.mmproj_copied
    assert len(said) == found.copied, "said where copies are made"
    of = f"{needed_by} that is resumed" if needed_by else "prompt"
    assert all(f"as the {of} was measured." in line for line in said)


def test_a_record_of_another_model_counts_for_nothing(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float]
) -> None:
    recorded = RecordedWeights("another", "bf16 (text, images)", "run")
    assert chosen(ref, tmp_path, [], recorded=recorded)[0].name == "file"


def test_what_is_asked_for_goes_before_what_is_recorded(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float]
) -> None:
    recorded = RecordedWeights("f", "bf16 (text)")
    found, _ = chosen(ref, tmp_path, [], recorded=recorded, weights="file")
    assert found.name == "file"
    recorded = RecordedWeights("f", "file")
    found, _ = chosen(ref, tmp_path, [], recorded=recorded, weights="bf16")
    assert found.name == "bf16 (text, images)"


def test_recorded_copies_that_cannot_be_made(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run cannot continue with other weights; a prompt can be used with them."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000))
    run = RecordedWeights("f", "bf16 (text)", "run")
    with pytest.raises(ModelError) as caught:
        chosen(ref, tmp_path, [], recorded=run)
    message = str(caught.value)
    assert message.startswith("the run that is resumed was computed with copies of the weights, ")
    assert message.endswith("make room, or start a new run with another --run-dir")
    assert "\n" not in message
    with pytest.raises(ModelError, match=r"^the corpus that .* make room, or name another file$"):
        chosen(ref, tmp_path, [], recorded=replace(run, needed_by="corpus"))
    said: list[str] = []
    found, _ = chosen(ref, tmp_path, said, recorded=RecordedWeights("f", "bf16 (text)"))
    assert found.name == "file"
    assert len(said) == 1


def test_a_prompt_of_copies_is_used_with_the_file_where_copies_are_slow(
    ref: ModelRef, tmp_path: Path, gained: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "multiplies_bfloat16", lambda: False)
    needs: tuple[tuple[Any, str], ...] = (("", "file"), ("run", "bf16 (text)"))
    for needed_by, name in needs:
        recorded = RecordedWeights("f", "bf16 (text)", needed_by)
        assert chosen(ref, tmp_path, [], recorded=recorded)[0].name == name
