"""The benchmark of the engine: plans, prompts, arithmetic, tables, and that its models load."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from benchmarks import searches
from benchmarks.engine import (
    build,
    figures,
    machine,
    overlap,
    plan,
    real_search,
    server,
    shapes,
    store,
    table,
    worker,
    workload,
    writer,
)
from benchmarks.engine.clock import Clock
from benchmarks.engine.figures import Measured, Step
from benchmarks.engine.jobs import Job
from benchmarks.engine.leak import measure as leak
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.task import load_task

BUSY = (
    "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ntime.sleep(60)"
)
NAIVE = Measured("naive", "4 tokens", 3, (Step(6.0, 1), Step(8.0, 1), Step(7.0, 1)), tokens=900)
OURS = Measured(
    "ours",
    "4 tokens",
    16,
    tuple(Step(16 * 5 * 0.1, 16 * 5) for _ in range(10)),
    cold=Step(112.0, 16),
    tokens=24000,
    tokens_alone=32000,
    peak_bytes=300 << 20,
)


def test_a_search_is_summed_where_measured_and_in_proportion_where_not() -> None:
    assert figures.search_seconds(NAIVE, 50, 16) == pytest.approx(7.0 * 800)
    assert not figures.is_whole(NAIVE, 50, 16)
    assert figures.search_seconds(OURS, 51, 16) == pytest.approx(112 + 800 * 0.1)
    assert figures.is_whole(OURS, 51, 16)
    half = replace(OURS, images=8, cold=Step(56.0, 8))
    assert figures.search_seconds(half, 51, 16) == pytest.approx(112 + 800 * 0.1)
    assert not figures.is_whole(half, 51, 16)


def test_results_say_what_was_measured() -> None:
    naive = figures.result("m", [NAIVE], 50, 16)
    assert naive["measured_calls"] == 3
    assert naive["extrapolated"]
    assert naive["seconds_per_evaluation"] == {"min": 6.0, "median": 7.0, "max": 8.0, "mean": 7.0}
    assert naive["seconds_per_image"] is None
    assert naive["tokens_per_evaluation"] == 300
    ours = figures.result("m", [OURS, OURS], 51, 16)
    assert ours["rounds"] == 2
    assert not ours["extrapolated"]
    assert ours["seconds_per_image"] == 7.0
    assert ours["prefix_tokens_saved"] == 0.25
    assert ours["peak_memory_mib"] == 300
    with pytest.raises(ValueError, match="nothing"):
        figures.result("m", [], 50, 16)


def test_measurements_survive_json_and_answers_are_compared() -> None:
    from dataclasses import asdict

    kept = replace(OURS, answers={"0/0": "red", "0/1": "blue"}, detail={"native_share": 0.95})
    assert Measured.parse(json.loads(json.dumps(asdict(kept)))) == kept
    assert figures.agreement(kept.answers, {"0/0": "red", "0/1": "red", "9/9": ""}) == 0.5
    assert figures.agreement(kept.answers, {}) is None


def test_plans_cover_every_model_and_ask_for_no_more_than_there_is() -> None:
    assert set(plan.PLANS) == set(shapes.names())
    small = plan.resized(plan.PLANS["demo"], 3, 2)
    assert (small.prompts, small.images, small.naive_calls) == (3, 2, 6)
    assert small.own_prompts == 3
    quick = plan.quick(plan.PLANS["smolvlm-256m-q8_0"])
    assert quick.prompts == 50
    assert quick.measured_images == 2
    job = Job("demo", "ours", quick, Path("a"), Path("b"), Path("c"), 2, {"tokens": 38.0})
    assert Job.parse(job.dump()) == job


def test_prompts_differ_and_siblings_begin_alike(tmp_path: Path) -> None:
    made = workload.prompts(200)
    assert len(set(made)) == 200
    assert made[:50] == workload.prompts(50)
    first, second = made[5], made[6]
    assert first.split("?")[0] == second.split("?")[0]
    assert workload.fresh(3)[0] != workload.fresh(4)[0]
    assert len(workload.fresh(1, 3).split()) > 90
    one, two = workload.pictures(2, tmp_path)
    assert one.read_bytes() != two.read_bytes()
    assert workload.pictures(2, tmp_path) == [one, two]


def test_the_server_is_asked_the_same_in_either_order() -> None:
    tuned = server.body(server.Question("Which?", "data:x", image_first=True, slot=3))
    assert [part["type"] for part in tuned["messages"][0]["content"]] == ["image_url", "text"]
    assert tuned["id_slot"] == 3
    assert tuned["max_tokens"] == workload.ANSWER_TOKENS
    plain = server.body(server.Question("Which?", "data:x", image_first=False))
    assert plain["messages"][0]["content"] == tuned["messages"][0]["content"][::-1]
    assert "id_slot" not in plain
    labels = server.body(server.Question("Which?", "data:x", True, labels=True))
    assert labels["max_tokens"] == 1
    assert labels["logprobs"]


def test_the_servers_are_built_like_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=on -DX='a b'")
    monkeypatch.setattr(build, "has_amx", lambda: False)
    plain = build.flags()
    assert plain[-2:] == ["-DGGML_CUDA=on", "-DX=a b"]
    monkeypatch.setattr(build, "has_amx", lambda: True)
    assert len(build.flags()) == len(plain) + 2
    assert "-mno-amx-tile" in build.flags()[-1]


def test_the_machine_is_described_and_not_named() -> None:
    found = machine.describe()
    assert found["cores"] >= 1
    assert found["llama_cpp_python"]
    assert str(Path.home()) not in json.dumps(found)


def results(model: str = "smolvlm-256m-q8_0") -> list[dict[str, Any]]:
    bench = Measured(
        "batched-bench", "", 16, (Step(1.0, 16),),
        detail={
            "tokens_per_second": {"median": 1000.0}, "sequences": 16, "tokens": 38, "depth": 320
        },
    )  # fmt: skip
    scored = replace(
        OURS,
        contender="ours-score",
        detail={
            "text_part": {"tokens_per_second": {"median": 800.0}},
            "growth": {"prompt_tokens": {"38": 0.08, "92": 0.2}},
        },
    )
    return [figures.result(model, [one], 51, 16) for one in (NAIVE, OURS, scored, bench)]


def test_targets_are_met_missed_or_not_measured() -> None:
    found = {(row["target"], row["model"]): row for row in table.targets(results())}
    smol = "smolvlm-256m-q8_0"
    assert found["an evaluation, against naive", smol]["reached"] == 70.0
    assert found["an evaluation, against naive", smol]["met"]
    assert found["a whole search, against naive", smol]["reached"] == 29.8
    assert found["text part, against llama-batched-bench", smol]["met"] is False
    assert found["a whole search, against the server", smol]["met"] is None
    text = table.tables({"machine": {}, "results": results(), "targets": []})
    assert "| 80 % | **missed** |" in text
    assert "not measured" in text
    assert "51x16, extrapolated" in text
    assert "38: 80, 92: 200." in text


def test_a_ratio_is_to_the_better_of_two_settings() -> None:
    ways = {"seconds_per_evaluation": {"median": 0.3}, "search_seconds": 300}
    flash = {"seconds_per_evaluation": {"median": 0.4}, "search_seconds": 200}
    ours = {"seconds_per_evaluation": {"median": 0.1}, "search_seconds": 100}
    found: dict[str, dict[str, Any]]
    found = {"server-tuned": ways, "server-tuned-flash": flash, "ours": ours}
    assert table.each(found, "server-tuned") == pytest.approx(3)
    mean = {"seconds_per_evaluation": {"median": 0.1, "mean": 0.15}, "search_seconds": 100}
    assert table.each({**found, "ours": mean}, "server-tuned") == pytest.approx(2)
    assert table.whole(found, "server-tuned") == pytest.approx(2)
    assert table.whole(found, "naive") is None


def test_copies_are_compared_with_the_same_and_with_the_file() -> None:
    def way(each: float, whole: float) -> dict[str, Any]:
        return {"seconds_per_evaluation": {"median": each}, "search_seconds": whole}

    found: dict[str, dict[str, Any]] = {
        "server-tuned": way(0.3, 300),
        "server-tuned-bf16": way(0.2, 200),
        "ours": way(0.2, 250),
        "ours-bf16": way(0.1, 100),
        "ours-bf16-score": {"text_part": {"tokens_per_second": {"median": 95.0}}},
        "batched-bench-bf16": {"tokens_per_second": {"median": 100.0}, "depth": 320},
    }
    assert table.each(found, "server-tuned", "ours-bf16") == pytest.approx(3)
    assert table.whole(found, "server-tuned-bf16", "ours-bf16") == pytest.approx(2)
    assert table.throughput(found, "-bf16") == pytest.approx(95)
    assert table.throughput(found) is None
    found["batched-bench-bf16"].pop("depth")
    assert table.throughput(found, "-bf16") is None, "a limit without depth is another one"


def test_brief_results_show_what_was_measured() -> None:
    described = {**machine.describe("processor", 1), "instructions": []}
    text = table.tables({"machine": described, "results": results(), "targets": []})
    assert "Seconds of processor time on 1 thread." in text
    assert "not measured" not in text
    plans = [plan.brief(one) for one in plan.PLANS.values()]
    assert all(one.tuned_prompts == one.own_prompts <= 10 for one in plans)
    assert machine.describe() == {
        name: value
        for name, value in machine.describe("processor", 1).items()
        if name not in ("clock", "threads")
    }


def test_processor_time_of_another_process_counts() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE) as child:
        clock = Clock("processor", child.pid)
        assert child.stdout is not None
        before = clock.now()
        assert child.stdout.readline() == b"done\n"
        assert clock.now() - before > 0.05
        child.kill()
    assert Clock("wall").now() > 0


def test_a_job_names_its_results_by_its_weights() -> None:
    chosen = plan.PLANS["demo"]
    job = Job("demo", "ours-bf16", chosen, Path("a"), Path("b"), Path("c"), 1, {}, "processor")
    assert Job.parse(job.dump()) == job
    assert job.bfloat16
    assert job.named("ours", "-score") == "ours-bf16-score"
    assert set(plan.CONTENDERS) == set(worker.RUNS)


@pytest.mark.model
def test_a_search_is_recorded_and_repeated(tmp_path: Path) -> None:
    table_file = tmp_path / "train.csv"
    lines = [f"text {index} about red,label{index % 2}" for index in range(12)]
    table_file.write_text("\n".join(["text,category", *lines]))
    task = real_search.made_task(table_file, 6, real_search.ORDERS["question first"])
    assert len(task.train) == 6
    model, _ = shapes.files("demo", tmp_path)
    found, requests = real_search.searched(task, model, 30, "file")
    assert found["requests"] == len(requests) > 0
    assert found["seconds"] > 0
    assert found["tokens_each"] < found["tokens_each_without_sharing"]
    chats = real_search.spread_over(requests, 3)
    assert len(chats) == 3
    assert all(chat["messages"][-1]["content"] for chat in chats)
    assert real_search.bound(model, chats) > 0


def test_rounds_are_kept_for_their_plan_and_results_for_their_machine(tmp_path: Path) -> None:
    rounds, chosen = store.Rounds(tmp_path), plan.PLANS["demo"]
    assert rounds.get("demo", "naive", 0, chosen) is None
    rounds.put("demo", "naive", 0, chosen, [replace(NAIVE, answers={"0/0": "red"})])
    assert rounds.get("demo", "naive", 0, replace(chosen, images=3)) is None
    rounds.put("demo", "ours", 0, chosen, [replace(OURS, answers={"0/0": "red"})])
    naive, ours = store.results(rounds, "demo", ["naive", "ours"], chosen)
    assert ours["answers_as_naive"] == 1.0
    assert "answers_as_naive" not in naive
    here = {"cpu": "x"}
    old = {"machine": here, "results": [{**naive, "rounds": 7}, {"model": "n", "contender": "c"}]}
    assert [one.get("rounds") for one in store.merged(old, here, [naive])] == [1, None]
    assert store.merged(old, {"cpu": "y"}, [naive]) == [naive]


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_drawn_blocks_have_the_spread_of_weights(tmp_path: Path, kind: writer.Kind) -> None:
    made = writer.Writer(tmp_path / "w.gguf", "llama", "seed", writer.Shape())
    made.blocks("a", 64, 256, kind)
    (tensor,) = gguf.GGUFReader(made.close()).tensors
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    assert values.shape == (64, 256)
    assert np.std(values) * 16 == pytest.approx(1.0, abs=0.05)
    assert abs(np.mean(values)) * 16 < 0.03


@pytest.mark.parametrize("name", list(shapes.FAMILIES))
def test_models_of_the_benchmark_load(name: str, tmp_path: Path) -> None:
    spec = shapes.FAMILIES[name]
    text = writer.Shape(width=128, layers=2, heads=2, kv_heads=1, feed=64, context=2048)
    patch = spec.vision_shape.patch
    vision = writer.Shape(width=64, layers=1, heads=4, feed=64, image=4 * patch, patch=patch)
    small = replace(spec, text=text, vision_shape=vision, vocab=2048)
    mmproj = tmp_path / "mmproj.gguf"
    pair = ModelRef(tmp_path / "text.gguf", mmproj)
    shapes.write_text(small, pair.text, "Q4_0")
    shapes.write_vision(small, mmproj)
    (image,) = workload.pictures(1, tmp_path)
    messages = (Message("user", (ImageSlot(), workload.prompts(1)[0])),)
    engine = open_engine("llama_cpp", pair, EngineOptions(cache_dir=tmp_path), print)
    (scored,) = engine.score([ScoreRequest(messages, (image,), workload.OPTIONS)])
    words = len(workload.prompts(1)[0].split())
    assert engine.count_tokens(messages) < words + 25
    assert all(-20 < value < 0 for value in scored.logprobs)
    engine.close()


@pytest.mark.model
def test_the_leak_check_counts(tmp_path: Path) -> None:
    found = leak(*shapes.files("demo", tmp_path), 64, tmp_path, threads=1)
    assert found["evaluations"] == 64
    assert len(found["resident_mib"]) == 4
    assert isinstance(found["growth_percent"], float)


def test_what_overlapping_could_save_is_measured(tmp_path: Path) -> None:
    options = overlap.Options(*shapes.files("demo", tmp_path), prompts=1, rounds=1, search=12)
    found = overlap.compared(options, tmp_path)
    assert found["at the same time, a thread each"] > 0
    assert set(found["efficiency of two threads"]) == {"encode", "evaluate"}
    share = overlap.searched(options, tmp_path / "search")["search"]
    assert 0 < share["could be overlapped"] <= share["encoding"] < 1


def test_the_task_of_the_engines_pictures_can_be_searched(tmp_path: Path) -> None:
    task = load_task(searches.made_task(tmp_path))
    assert len(task.train) + len(task.test) == searches.PICTURES
    assert len(task.labels) == 2
