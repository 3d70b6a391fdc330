"""Wrong model files are one clear line each, and never reach the native library unchecked."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.engine.writer import Shape
from idealprompt_cli.core.errors import ModelError, UsageError
from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, engine_for, open_engine
from idealprompt_cli.engines.llama_cpp.native import gguf_header as files
from idealprompt_cli.engines.llama_cpp.native.model_pair import check_pair, fits

from ..conftest import MakePicture
from ..support.tiny_models import write_pair

Pair = tuple[Path, Path]


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return write_pair("janus", tmp_path)


def open_pair(text: Path, mmproj: Path) -> Engine:
    options = EngineOptions(threads=1, n_ctx=512, cache_dir=text.parent / "cache")
    return open_engine("llama_cpp", ModelRef(text, mmproj), options)


def fails(text: Path, mmproj: Path) -> str:
    """The one line by which opening these fails."""
    with pytest.raises(ModelError) as caught:
        open_pair(text, mmproj)
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message, "an error states the fix"
    return message


def test_a_good_pair_says_what_it_is(pair: Pair) -> None:
    engine = open_pair(*pair)
    info = engine.info()
    assert isinstance(engine, Engine)
    assert (info.engine, info.architecture, info.n_ctx) == ("llama_cpp", "llama", 512)
    assert info.family == "llama+janus_pro-tiny"
    assert info.quantisation == "F32"
    assert info.fingerprint == files.fingerprint(*pair)
    engine.close()


def test_missing(pair: Pair, tmp_path: Path) -> None:
    assert "gone.gguf: no such file" in fails(tmp_path / "gone.gguf", pair[1])
    assert "no such file; pass the mmproj's GGUF" in fails(pair[0], tmp_path / "gone.gguf")
    assert "is a folder" in fails(tmp_path, pair[1])


def test_not_gguf(pair: Pair, tmp_path: Path) -> None:
    wrong = tmp_path / "weights.gguf"
    wrong.write_bytes(b"PK\x03\x04 something else")
    assert "not a GGUF file" in fails(wrong, pair[1])
    wrong.write_bytes(b"")
    assert "not a GGUF file" in fails(wrong, pair[1])
    wrong.write_bytes(b"GGUF" + struct.pack(">I", 3) + bytes(40))
    assert "version" in fails(wrong, pair[1])


@pytest.mark.parametrize("part", [0.001, 0.02, 0.3, 0.99])
@pytest.mark.parametrize("half", [0, 1])
def test_truncated(pair: Pair, half: int, part: float) -> None:
    data = pair[half].read_bytes()
    pair[half].write_bytes(data[: int(len(data) * part)])
    assert f"{pair[half].name}: the" in fails(*pair)


def test_wrong_halves(pair: Pair) -> None:
    text, mmproj = pair
    assert "swap the two" in fails(mmproj, text)
    assert "not a text model" in fails(mmproj, mmproj)
    assert "is a text model (llama), not an mmproj" in fails(text, text)


def test_mmproj_of_another_model(pair: Pair, tmp_path: Path) -> None:
    _, wider = write_pair("janus", tmp_path / "other", shape=Shape(width=96))
    assert "width 96, the text model janus.gguf takes 64" in fails(pair[0], wider)


def test_native_complaints_are_passed_on(pair: Pair) -> None:
    """The header is sound and the tensors are not what the architecture needs."""
    data = pair[0].read_bytes()
    pair[0].write_bytes(data.replace(b"blk.1.attn_q.weight", b"blk.1.attn_x.weight"))
    message = fails(*pair)
    assert "cannot be loaded (llama.cpp says:" in message
    assert "attn_q" in message


def test_no_chat_template(tmp_path: Path) -> None:
    text, mmproj = write_pair("janus", tmp_path, template="")
    assert "no chat template; pass one with --chat-template" in fails(text, mmproj)
    options = EngineOptions(
        threads=1, n_ctx=512, cache_dir=tmp_path, chat_template="{{ messages[0]['content'] }}:"
    )
    open_engine("llama_cpp", ModelRef(text, mmproj), options).close()


def test_the_projector_beside_the_text_model_is_used_if_it_fits(pair: Pair, tmp_path: Path) -> None:
    notices: list[str] = []

    def projector() -> str:
        options = EngineOptions(threads=1, n_ctx=512, cache_dir=tmp_path)
        engine = open_engine("llama_cpp", pair[0], options, notices.append)
        name = Path(engine.info().mmproj).name
        engine.close()
        return name

    assert projector() == pair[1].name
    assert notices.pop() == f"Using the vision projector beside the model: {pair[1]}"
    copy = tmp_path / "MMPROJ-copy.gguf"
    shutil.copy(pair[1], copy)
    with pytest.raises(ModelError, match=r"several mmproj files fit it .*; name one with --mmproj"):
        projector()
    copy.unlink()
    shutil.copy(pair[0], copy)  # a text model under such a name
    assert projector() == pair[1].name
    notices.clear()
    pair[1].unlink()
    assert projector() == ""
    assert notices.pop().endswith("MMPROJ-copy.gguf beside it belongs to another model.")
    copy.unlink()
    assert projector() == ""
    assert not notices


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("embedding_length", 1_000_000, "embedding_length is 1000000"),
        ("block_count", 0, "block_count is 0"),
        ("attention.head_count", 3, "not divisible by 3 attention heads"),
        ("attention.head_count", "many", "head_count is 'many'"),
        ("feed_forward_length", 1 << 31, "feed_forward_length is 2147483648"),
    ],
)
def test_impossible_sizes_in_a_header_are_one_line(
    key: str, value: int | str, words: str, tmp_path: Path
) -> None:
    file = tmp_path / "crafted.gguf"
    file.write_bytes(crafted({"general.architecture": "llama", "llama.embedding_length": 64}))
    files.read_header(file, "text model")
    sound: dict[str, int | str] = {
        "general.architecture": "llama",
        "llama.embedding_length": 64,
    }
    file.write_bytes(crafted({**sound, f"llama.{key}": value}))
    with pytest.raises(ModelError, match="header is damaged") as caught:
        files.read_header(file, "text model")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("<QQ", (1 << 64) - 1, 0),  # -1 tensors
        struct.pack("<QQ", 0, (1 << 64) - 1),  # -1 pairs
        struct.pack("<QQQ", 0, 1, (1 << 64) - 1),  # a key of -1 characters
        struct.pack("<QQQ1sII", 0, 1, 1, b"k", 9, 9) + struct.pack("<QI", 1, 9) * 5000,
        struct.pack("<QQQ1sI", 1, 0, 1, b"t", (1 << 32) - 1),  # a tensor of 2^32 dimensions
        struct.pack("<QQQ17sII", 0, 1, 17, b"general.alignment", 4, 0),
        struct.pack("<QQQ17sIQ1s", 0, 1, 17, b"general.alignment", 8, 1, b"x"),
    ],
)
def test_crafted_headers_are_one_line(body: bytes, tmp_path: Path) -> None:
    file = tmp_path / "crafted.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<I", 3) + body)
    with pytest.raises(ModelError, match="damaged in its header") as caught:
        files.read_header(file, "text model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        struct.pack("<QQ", 0, 1 << 40),
        struct.pack("<QQ", 1 << 40, 0),
        struct.pack("<QQQ1sIIQ", 0, 1, 1, b"k", 9, 8, 1 << 40),
        struct.pack("<QQQ1sIIQ", 0, 1, 1, b"k", 9, 9, 1 << 40),
    ],
)
def test_a_hole_in_a_file_is_not_read_to_its_end(body: bytes, tmp_path: Path) -> None:
    """Zeros are valid keys, tensors and strings, and holes take no room on the disk."""
    file = tmp_path / "sparse.gguf"
    with file.open("wb") as out:
        out.write(b"GGUF" + struct.pack("<I", 3) + body)
        out.truncate(1 << 40)
    started = time.process_time()
    with pytest.raises(ModelError, match="damaged in its header"):
        files.read_header(file, "text model")
    assert time.process_time() - started < 1


def crafted(meta: dict[str, int | str]) -> bytes:
    """A GGUF file of metadata alone."""
    body = b"GGUF" + struct.pack("<IQQ", 3, 0, len(meta))
    for key, value in meta.items():
        body += struct.pack("<Q", len(key)) + key.encode()
        if isinstance(value, str):
            body += struct.pack("<IQ", 8, len(value)) + value.encode()
        else:
            body += struct.pack("<II", 4, value)
    return body


@pytest.mark.parametrize(
    ("text", "projector", "related"),
    [("qwen2vl", "qwen2vl", True), ("janus", "smolvlm", True), ("gemma3", "gemma3", True),
     ("janus", "qwen2vl", False), ("qwen2vl", "janus", False), ("lfm2", "gemma3", False)],
)  # fmt: skip
def test_projectors_of_another_family_are_refused_before_loading(
    text: str, projector: str, related: bool, tmp_path: Path
) -> None:
    model = files.read_header(write_pair(text, tmp_path)[0], "text model")
    mmproj = write_pair(projector, tmp_path)[1]
    assert fits(model, mmproj) == related
    if not related:
        with pytest.raises(ModelError, match="belongs to another family than the text model"):
            check_pair(model, files.read_header(mmproj, "mmproj"))


def test_nothing_is_printed(pair: Pair, capfd: pytest.CaptureFixture[str]) -> None:
    open_pair(*pair).close()
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_registry(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown engine .*did you mean llama_cpp"):
        open_engine("lama_cpp", tmp_path)
    script = tmp_path / "model.yaml"
    script.write_text("name: fake\n")
    assert open_engine("auto", script).info().engine == "scripted"
    assert engine_for(Path("a.yaml")) == "scripted"
    assert engine_for(Path("a.gguf")) == "llama_cpp"


def test_importing_the_registry_does_not_import_the_library() -> None:
    code = "import sys, idealprompt_cli.engines; sys.exit('llama_cpp.llama_cpp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("part", [0, 1])
def test_weights_that_are_no_numbers_are_one_line(
    part: int, pair: Pair, tmp_path: Path, make_picture: MakePicture
) -> None:
    """NaN would make every answer equally likely, and the score that of chance."""
    data = pair[part].read_bytes()
    start = len(data) - len(data) // 4
    pair[part].write_bytes(data[:start] + b"\xff" * (len(data) - start))
    options = EngineOptions(threads=1, n_ctx=512, cache_dir=tmp_path)
    picture = make_picture(tmp_path / "a.png")
    shown = (Message("user", (ImageSlot(), "What?")),)
    for backend in ("auto", "reference"):
        engine = open_engine(
            "llama_cpp", ModelRef(*pair), replace(options, backend=backend), pytest.fail
        )
        with pytest.raises(ModelError, match=r"no numbers \(NaN\) for .* damaged") as found:
            engine.score([ScoreRequest(shown, (picture,), ("red", "no"))])
        engine.close()
        assert str(pair[0]) in str(found.value)
        assert pair[1].name in str(found.value)
    engine = open_engine("llama_cpp", ModelRef(*pair), replace(options, backend="reference"))
    with pytest.raises(ModelError, match=r"no numbers \(NaN\) where it writes"):
        engine.generate([GenerateRequest(shown, (picture,))])
    engine.close()
