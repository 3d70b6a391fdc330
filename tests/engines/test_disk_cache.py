"""What is kept on disk: sound, bounded, shared by processes, and worth its reading."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from idealprompt_cli.engines.llama_cpp.caching.disk_cache import (
    DiskCache,
    DiskEmbeddings,
    DiskStates,
)
from idealprompt_cli.engines.llama_cpp.native.sequence_state import SequenceState
from idealprompt_cli.io.files import TEMPORARY
from idealprompt_cli.io.locks import try_lock

from ..support.tiny_models import write_pair

ROOT = Path(__file__).parents[2]


def embedding(value: float, rows: int = 8) -> npt.NDArray[np.float32]:
    return np.full((rows, 16), value, np.float32)


def pictures(root: Path, limit: int = 1 << 20, model: str = "model") -> DiskEmbeddings:
    return DiskEmbeddings(DiskCache(root, limit), model)


def test_store_keeps_and_checks(tmp_path: Path) -> None:
    store = pictures(tmp_path)
    assert store.get("a") is None
    store.put("a", embedding(1.5))
    again = pictures(tmp_path).get("a")
    assert again is not None
    assert np.array_equal(again, embedding(1.5))
    assert pictures(tmp_path, model="another").get("a") is None
    (file,) = tmp_path.rglob("*.bin")
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    for damage in (bytes(data), bytes(data[:60]), bytes(data[:20]), b"", bytes(data) + b"more"):
        file.write_bytes(damage)
        assert store.get("a") is None
        assert not file.exists(), "a damaged entry is thrown away"


def test_a_foreign_file_stays_where_an_entry_would_be(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 10_000)
    place = tmp_path / "entries" / "kind-model" / "name.bin"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"somebody's own")
    cache.put("kind", "model", "name", np.zeros(8, np.uint8), 1, 2)
    assert cache.get("kind", "model", "name") is None
    assert place.read_bytes() == b"somebody's own"


def test_store_is_bounded(tmp_path: Path) -> None:
    size = embedding(0).nbytes + 60
    store = pictures(tmp_path, 10 * size)
    for index in range(40):
        store.put(f"{index:02}", embedding(index))
    kept = list(tmp_path.rglob("*.bin"))
    assert 5 <= len(kept) <= 10
    store.put("large", embedding(0, rows=100))
    assert store.get("large") is None


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    size = embedding(0).nbytes + 60
    store = pictures(tmp_path, 10 * size)
    for index in range(9):
        store.put(str(index), embedding(index))
    for age, file in enumerate(sorted(tmp_path.rglob("*.bin"))):
        os.utime(file, (1000 + age, 1000 + age))
    assert store.get("0") is not None, "used just now"
    store.put("9", embedding(9))
    store.put("x", embedding(10))
    assert store.get("0") is not None
    assert store.get("1") is None
    assert store.get("x") is not None


def test_what_dead_writers_left_is_swept(tmp_path: Path) -> None:
    size = embedding(0).nbytes + 60
    store = pictures(tmp_path, 5 * size)
    store.put("0", embedding(0))
    (folder,) = (tmp_path / "entries").iterdir()
    old, new = folder / f"{TEMPORARY}old", folder / f"{TEMPORARY}new"
    for path in (old, new):
        path.write_bytes(b"half")
    with new.open("rb") as writer:
        assert try_lock(writer.fileno())
        for index in range(1, 7):
            store.put(str(index), embedding(index))
    assert not old.exists()
    assert new.exists(), "somebody may be writing it now"


def state(size: int) -> SequenceState:
    buffer = np.arange(size + 1024, dtype=np.int64).astype(np.uint8)
    return SequenceState(buffer, size - 12, 7)


def test_states_come_back_as_they_were(tmp_path: Path) -> None:
    store = DiskStates(DiskCache(tmp_path, 1 << 20), "model")
    store.put(b"key", state(5000))
    again = store.get(b"key")
    assert again is not None
    assert again.slots == 7
    assert np.array_equal(again.content, state(5000).content)
    assert store.get(b"other") is None


def test_only_what_is_slow_to_compute_is_kept_on_disk(tmp_path: Path) -> None:
    store = DiskStates(DiskCache(tmp_path, 1 << 20), "model")
    assert store.pays(10 << 20, 1.0), "10 MiB are read in a few hundredths of a second"
    assert not store.pays(10 << 20, 0.01)
    assert not store.pays(1 << 30, 1.0)
    assert not store.pays(100, 0.001)


HAMMER = """
import contextlib
import sys
from pathlib import Path
import numpy as np
from idealprompt_cli.engines.llama_cpp.caching.disk_cache import DiskCache, DiskEmbeddings

root, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(seed)
store = DiskEmbeddings(DiskCache(root, 30_000), "model")
found = 0
for turn in range(600):
    key = int(rng.integers(40))
    if rng.random() < 0.5:
        store.put(str(key), np.full((1 + key, 16), key, np.float32))
    else:
        kept = store.get(str(key))
        if kept is not None:
            assert kept.shape == (1 + key, 16) and (kept == key).all(), (key, kept)
            found += 1
    if turn % 50 == 0:  # somebody damages a file now and then
        for path in sorted(root.rglob("*.bin"))[:1]:
            with contextlib.suppress(FileNotFoundError):  # the other process swept it
                path.write_bytes(path.read_bytes()[:-1])
print(found)
"""


def test_two_processes_may_hammer_one_store(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HAMMER, str(tmp_path)]
    started = [
        subprocess.Popen(
            [*command, str(seed)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2)
    ]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert int(out) > 20
    assert not list(tmp_path.rglob(f"{TEMPORARY}*"))
    used = sum(path.stat().st_size for path in tmp_path.rglob("*.bin"))
    assert used < 1.5 * 30_000, "each process knows of the other's entries when it sweeps"


SCORE = """
import json, sys
from pathlib import Path
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import open_llama_cpp
from idealprompt_cli.engines.llama_cpp.caching.disk_cache import DiskStates
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import ModelRef

DiskStates.pays = lambda self, n_bytes, seconds: True  # it never pays for tiny prefixes
folder = Path(sys.argv[1])
ref = ModelRef(folder / "janus.gguf", folder / "mmproj-janus.gguf")
images = sorted(folder.glob("*.png"))
options = EngineOptions(threads=1, n_ctx=512, cache_dir=folder / "cache")
with open_llama_cpp(ref, options, print) as engine:
    messages = (Message("user", (ImageSlot(), sys.argv[2])),)
    answers = engine.score([ScoreRequest(messages, (i,), ("red", "a cup")) for i in images])
    print(json.dumps({**engine.stats(), "answers": [a.logprobs for a in answers]}))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model and six pictures."""
    write_pair("janus", tmp_path)
    rng = np.random.default_rng(5)
    for index in range(6):
        pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    return tmp_path


def start(folder: Path, question: str = "What?") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCORE, str(folder), question],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen[str]) -> dict[str, float]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found: dict[str, float] = json.loads(out)
    return found


def test_a_second_process_encodes_nothing_and_computes_no_prefix(folder: Path) -> None:
    first = result(start(folder))
    second = result(start(folder, "What else?"))
    assert first["images_encoded"] >= 6
    assert first["prefixes_from_disk"] == 0
    assert second["images_encoded"] == 0
    assert second["prefixes_computed"] == 0
    assert second["prefixes_from_disk"] == 6
    again = result(start(folder))
    assert np.abs(np.subtract(again["answers"], first["answers"])).max() < 1e-4


def test_damaged_prefixes_and_pictures_are_computed_again(folder: Path) -> None:
    first = result(start(folder))
    for number, file in enumerate(sorted((folder / "cache").rglob("*.bin"))):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 255
        file.write_bytes(data if number % 2 else data[: len(data) // 2])
    second = result(start(folder))
    assert second["images_encoded"] == 6
    assert second["prefixes_computed"] == 6
    assert np.abs(np.subtract(second["answers"], first["answers"])).max() < 1e-4


def test_two_engines_at_once_on_one_cache(folder: Path) -> None:
    both = [start(folder), start(folder)]
    one, two = map(result, both)
    assert np.abs(np.subtract(one["answers"], two["answers"])).max() < 1e-4
    after = result(start(folder))
    assert after["images_encoded"] == 0
