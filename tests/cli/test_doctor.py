"""`doctor`: what it finds, what it foretells, what it advises."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from idealprompt_cli.cli.advice import advice
from idealprompt_cli.cli.forecast import OWN_SECONDS, OWN_START, WRITTEN_SHARE, forecast
from idealprompt_cli.cli.speeds import PictureSpeed, Speeds, measure
from idealprompt_cli.cli.system import machine
from idealprompt_cli.core.requests import Generated, GenerateRequest, Scored, ScoreRequest
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.engines.llama_cpp.setup.copy_gain import Gain
from idealprompt_cli.evaluation.budget import Budget

from ..conftest import SCRIPT, call
from ..support.fake_vlm import FakeVlm, letters_task, shop_task
from ..support.tiny_models import write_pair

SPEEDS = Speeds(
    (PictureSpeed((224, 224), 2.0, 1.5),), call=0.1, token=0.01, answer=0.2, description=0.5
)


class Knowing(FakeVlm):
    """Knows some pictures."""

    def __init__(self, known: int) -> None:
        super().__init__()
        self.known = known

    def stats(self) -> dict[str, float]:
        return {}

    def encoded(self, images: object) -> int:
        return self.known

    def check(self) -> str:
        return ""

    def reasons(self) -> tuple[str, ...]:
        return ()


def test_a_forecast_adds_up() -> None:
    task = shop_task(16, 40)
    found = forecast(task, Budget(evaluations=800), FakeVlm(), SPEEDS)
    assert found["images"] == 56
    assert found["encoding_seconds"] == pytest.approx(56 * 1.5)
    tokens = found["tokens_per_evaluation"]
    assert tokens == 2 * len(["Which", "code", "is", "it,", "K7", "or", "M2?"])
    asked = 0.1 + tokens / 2 * 0.01 + OWN_SECONDS
    each = (1 - WRITTEN_SHARE) * asked + WRITTEN_SHARE * (0.2 + OWN_SECONDS)
    assert found["seconds_per_evaluation"] == pytest.approx(each, rel=1e-3)
    work = 800 * each + 16 * 0.3 + 80 * asked
    assert found["seconds"] == pytest.approx(OWN_START + 56 * 2.0 + work, abs=0.1)
    assert found["in_words"].startswith("about 5 min: 56 images to encode (84 s)")


def test_pictures_of_other_sizes_cost_in_proportion() -> None:
    small, large = PictureSpeed((10, 10), 1.0, 0.5), PictureSpeed((30, 10), 3.0, 1.5)
    speeds = replace(SPEEDS, pictures=(small, large))
    assert speeds.picture(200).seconds == pytest.approx(2.0)
    assert speeds.picture(200).encoding == pytest.approx(1.0)
    assert speeds.picture(1).seconds == 0.25
    assert SPEEDS.picture(10**7) == SPEEDS.pictures[0]
    same = replace(large, seconds=1.0, encoding=0.5)
    assert replace(SPEEDS, pictures=(small, same)).picture(10**6).seconds == 1.0


def test_the_largest_and_the_median_picture_are_measured(tmp_path: Path) -> None:
    sizes = [(8, 8), (16, 16), (16, 16), (32, 32), (400, 300)]
    examples = []
    for number, size in enumerate(sizes):
        path = tmp_path / f"{number}.png"
        Image.new("RGB", size, "teal").save(path)
        examples.append(Example(path.name, (path,), "yes", "made"))
    labels = ("yes", "no")
    task = Task("t", tmp_path, "Is it?", labels, "accuracy", tuple(examples), tuple(examples))
    copies = tmp_path / "copies"
    copies.mkdir()
    engine = Seeing()
    speeds = measure(engine, copies, task)
    assert [one.size for one in speeds.pictures] == [(16, 16), (400, 300)]
    assert not {path.read_bytes() for path in engine.seen if path.parent == copies} & {
        one.images[0].read_bytes() for one in examples
    }
    shown = speeds.as_dict()
    assert shown["new_image_pixels"] == "16x16"
    assert shown["largest_image_pixels"] == "400x300"
    assert speeds.together == 5
    assert forecast(task, Budget(100), engine, speeds)["images"] == 5


class Seeing(FakeVlm):
    """Takes files as pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[Path] = set()

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        self.seen |= {image for request in requests for image in request.images}
        return [Scored((-1.0,) * len(request.options)) for request in requests]

    def generate(self, requests: Sequence[GenerateRequest]) -> list[Generated]:
        return [Generated("a thing", 3) for _ in requests]


def test_images_encoded_before_cost_no_encoding() -> None:
    task = shop_task(16, 40)
    every, none = (forecast(task, Budget(1), Knowing(k), SPEEDS) for k in (0, 56))
    assert every["seconds"] - none["seconds"] == pytest.approx(56 * 1.5, abs=0.2)
    assert none["images_encoded_before"] == 56


def test_budgets_of_time_and_tokens_are_evaluations_too() -> None:
    task, engine = shop_task(16, 40), FakeVlm()
    each = forecast(task, Budget(1), engine, SPEEDS)
    by_time = forecast(task, Budget(seconds=60.0), engine, SPEEDS)
    assert by_time["evaluations"] == int(60 / each["seconds_per_evaluation"])
    by_tokens = forecast(task, Budget(evaluations=10**6, tokens=4200), engine, SPEEDS)
    assert by_tokens["evaluations"] == 4200 // each["tokens_per_evaluation"]


def test_advice_fits_what_was_found() -> None:
    good: dict[str, dict[str, Any]] = {
        "machine": {"load": 0.1, "cores_used_at_most": 4, "memory_free_gib": 8.0, "gpu": ""},
        "model": {"quantisation": "Q8_0", "weights_gib": 0.5, "settings": "remembered"},
    }
    assert advice(good) == []

    def changed(part: str, **values: Any) -> str:
        return " ".join(advice({**good, part: {**good.get(part, {}), **values}}))

    assert (
        "built without CUDA"
        in advice(
            {
                "machine": {**good["machine"], "gpu": "CUDA"},
                "model": {**good["model"], "gpu_offload": "no"},
            }
        )[0]
    )
    assert "busy" in changed("machine", load=9.0)
    assert "smaller quantisation" in changed("machine", memory_free_gib=0.4)
    assert "Q8_0" in changed("model", quantisation="F16")
    assert changed("model", quantisation="BF16") != ""
    fast = {**good["machine"], "cpu_features": "avx2 avx512_bf16"}
    assert advice({"machine": fast, "model": {**good["model"], "quantisation": "BF16"}}) == []
    copies = changed("bfloat16_copies", prompts_times_faster=3.1, images_times_faster=1.5)
    assert "--weights bf16 computes prompts 3.1 times as fast" in copies
    assert "images 1.5 times as fast" in copies
    assert changed("bfloat16_copies", prompts_times_faster=1.1, images_times_faster=None) == ""
    assert "AMX" in changed("model", kernels="safe")
    assert "batched backend is off (it lies)" in changed("model", batched_backend_off="it lies")
    assert "--retune" in changed("model", settings="default")
    assert "--resume" in changed("search", seconds=1e5)
    assert advice({"machine": good["machine"], "model": {"problem": "no such file"}}) == []


def test_a_forecast_names_copies_that_help() -> None:
    task = shop_task(16, 40)
    own = forecast(task, Budget(evaluations=800), FakeVlm(), SPEEDS)
    assert own["seconds_with_bfloat16_copies"] is None
    found = forecast(task, Budget(evaluations=800), FakeVlm(), SPEEDS, Gain(4.0, 2.0))
    assert found["seconds"] == own["seconds"]
    assert own["seconds"] / 4 < found["seconds_with_bfloat16_copies"] < own["seconds"] / 2
    assert found["in_words"].endswith("with --weights bf16")
    small = forecast(task, Budget(evaluations=800), FakeVlm(), SPEEDS, Gain(1.1))
    assert small["seconds_with_bfloat16_copies"] is None
    assert "bf16" not in small["in_words"]


def test_facts_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    found = machine(tmp_path)
    assert found["cache_mib"] == 1.0
    assert 1 <= found["cores_used_at_most"] <= found["cpus"]
    assert machine(tmp_path / "gone")["cache_mib"] == 0


def test_a_task_gets_an_estimate(folder: Path) -> None:
    data = json.loads(call("doctor", folder, "-m", SCRIPT, "--budget", "500", "--json").stdout)
    assert data["search"]["evaluations"] == 500
    assert data["search"]["images"] == 20
    assert data["suggestions"] == [] or "busy" in data["suggestions"][0]
    text = call("doctor", folder, "-m", SCRIPT).stdout
    assert "  in words: about " in text
    refused = call("doctor", "-m", SCRIPT, "--budget", "500")
    assert refused.exit_code == 2
    assert "name the task folder" in refused.stderr


def test_a_real_model_is_explained(folder: Path, tmp_path: Path) -> None:
    text, mmproj = write_pair("janus", tmp_path / "model")
    words = ("doctor", folder, "-m", text, "--mmproj", mmproj, "--threads", "1")
    data = json.loads(call(*words, "--retune", "--json").stdout)
    model = data["model"]
    assert model["mode"] == "batched"
    assert model["batched_backend_off"] == ""
    assert model["settings"] == "measured"
    assert any(reason.startswith("threads 1") for reason in model["chosen_because"])
    assert model["projector"] == "janus_pro"
    assert "weights" in model["memory"]
    assert data["speed"]["new_image_seconds"] > 0
    assert data["speed"]["prompt_tokens_per_second"] > 0
    assert data["search"]["images_encoded_before"] == 12  # those that were timed
    shown = call(*words, "--memory", "64MiB").stdout
    assert "memory: at most about 64MiB" in shown


def test_a_text_only_model_needs_no_picture(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    text = Path(shutil.copy(write_pair("janus", tmp_path / "model")[0], "alone.gguf"))
    rows = [f"{'lost' if n % 2 else 'late'} card {n},{'ab'[n % 2]}" for n in range(12)]
    Path("t.csv").write_text("\n".join(["text,label", *rows]))
    assert call("init", "intents", "--from", "t.csv").exit_code == 0
    words = ("-m", text, "--threads", "1", "--budget", "50", "--json")
    result = call("doctor", "intents", *words)
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    assert data["search"]["images"] == 0
    assert re.fullmatch(
        r"about .*: \d+ evaluations of about \d+ tokens", data["search"]["in_words"]
    )
    assert "new_image_seconds" not in data["speed"]
    assert data["speed"]["prompt_tokens_per_second"] > 0
    alone = json.loads(call("doctor", *words[:4], "--json").stdout)
    assert "new_image_seconds" not in alone["speed"]


def test_fields_count_in_a_forecast() -> None:
    task = letters_task(8)
    short = replace(task, train=tuple(replace(e, fields={"letter": "x"}) for e in task.train))
    found = [forecast(one, Budget(100), FakeVlm(), SPEEDS) for one in (short, task)]
    assert found[0]["tokens_per_evaluation"] < found[1]["tokens_per_evaluation"]


@pytest.mark.parametrize("size", ["2 parrots", "-1GiB", "0"])
def test_a_memory_that_is_no_size(folder: Path, size: str) -> None:
    for command in ("doctor", "search"):
        result = call(command, folder, "-m", SCRIPT, f"--memory={size}")
        assert result.exit_code == 2
        assert result.stderr.splitlines()[-1] == (
            f"error: --memory {size}: give a size such as 512MiB or 2GiB"
        )


def test_too_little_memory_for_the_model(folder: Path, tmp_path: Path) -> None:
    text, mmproj = write_pair("janus", tmp_path / "model")
    result = call("search", folder, "-m", text, "--mmproj", mmproj, "--memory", "100KiB")
    assert result.exit_code == 1
    assert "--memory 100KiB is too small for this model" in result.stderr.splitlines()[-1]
