"""What bfloat16 copies of the weights change in scores, beside what llama.cpp's kernels change.

    python -m benchmarks.engine.weights --model SmolLM2.gguf --table banking77/train.csv

Scores whole labels of the same prompts on the same rows with the file's weights, with them and
flash attention, with a bfloat16 and an F16 copy, and with a copy in F32, which is what the file's
weights say without rounding of activations. Writes results/weights.json: how far log-probabilities
and the chances of labels are from the F32 copy's, and how often the best label is the same.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from idealprompt_cli.core.prompt import FieldText, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import open_llama_cpp
from idealprompt_cli.engines.llama_cpp.native.library import library

from .fields import INSTRUCTIONS, rows

RESULTS = Path(__file__).parents[1] / "results" / "weights.json"
PROMPTS = 3
ALL = 1 << 30
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Way:
    """A way of computing: the format of a copy ("" for the file) and flash attention."""

    name: str
    copy: str = ""
    flash: Literal["off", "on"] = "off"


EXACT = Way("copy in F32 (no rounding of activations)", "ALL_F32")
WAYS = (
    Way("the file"),
    Way("the file, flash attention", flash="on"),
    Way("copy in bfloat16", "MOSTLY_BF16"),
    Way("copy in F16", "MOSTLY_F16"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a text GGUF")
    parser.add_argument("--table", type=Path, required=True, help="a CSV file")
    parser.add_argument("--rows", type=int, default=24)
    options = parser.parse_args()
    every = rows(options.table, "text", "category", ALL)
    examples = every[:: max(1, len(every) // options.rows)][: options.rows]
    labels = tuple(sorted({label for _, label in examples}))
    exact, seconds = measured(EXACT, options.model, examples, labels)
    found = [{"way": EXACT.name, "processor_seconds": seconds}]
    own: Scores | None = None
    for way in WAYS:
        scores, seconds = measured(way, options.model, examples, labels)
        own = scores if own is None else own
        found.append(
            {"way": way.name, "processor_seconds": seconds, **compared(scores, exact, own)}
        )
        print(json.dumps(found[-1]), flush=True)
    report = {"rows": len(examples), "prompts": PROMPTS, "labels": len(labels), "ways": found}
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def measured(
    way: Way, model: Path, examples: Sequence[tuple[str, str]], labels: tuple[str, ...]
) -> tuple[Scores, float]:
    """Log-probabilities (prompts x rows, labels), and the processor time of one thread."""
    with tempfile.TemporaryDirectory() as folder:
        file = copied(model, Path(folder) / "copy.gguf", way.copy) if way.copy else model
        options = EngineOptions(
            threads=1, cache_dir=Path(folder), disk_bytes=0, tune="off", flash=way.flash
        )
        with open_llama_cpp(ModelRef(file), options, print) as engine:
            engine.check()
            started, scores = time.process_time(), []
            for instruction in INSTRUCTIONS[:PROMPTS]:
                asked = "\n\n" + instruction.format(labels=", ".join(labels))
                requests = [
                    ScoreRequest((Message("user", (FieldText(text), asked)),), (), labels)
                    for text, _ in examples
                ]
                scores += [answer.logprobs for answer in engine.score(requests)]
            return np.array(scores), round(time.process_time() - started, 1)


def copied(model: Path, out: Path, file_type: str) -> Path:
    """The file's weights in another format. Raises `RuntimeError`."""
    llama = library().llama
    params = llama.llama_model_quantize_default_params()
    params.ftype = getattr(llama, f"LLAMA_FTYPE_{file_type}")
    params.allow_requantize, params.nthread = True, 1
    if llama.llama_model_quantize(str(model).encode(), str(out).encode(), ctypes.byref(params)):
        raise RuntimeError(f"{model} cannot be written as {file_type}")
    return out


def compared(scores: Scores, exact: Scores, own: Scores) -> dict[str, Any]:
    """How far scores are from the exact ones, and how often the best label agrees with them and
    with the file's."""
    chances = np.abs(_chances(scores) - _chances(exact))
    best = scores.argmax(axis=1)
    return {
        "log_probability_off_by": round(float(np.abs(scores - exact).mean()), 4),
        "label_chance_off_by": round(float(chances.mean()), 4),
        "label_chance_off_by_at_most": round(float(chances.max()), 3),
        "same_label_as_exact": round(float((best == exact.argmax(axis=1)).mean()), 4),
        "same_label_as_file": round(float((best == own.argmax(axis=1)).mean()), 4),
    }


def table() -> str:
    """Markdown of the results."""
    report = json.loads(RESULTS.read_text(encoding="utf-8"))
    lines = [
        "| computed with | processor seconds | log-probability off by | chance off by (most) "
        "| same label as the F32 copy | as the file |",
        "|---|---|---|---|---|---|",
    ]
    for one in report["ways"]:
        if "same_label_as_file" not in one:
            lines.append(f"| {one['way']} | {one['processor_seconds']} | | | | |")
            continue
        lines.append(
            f"| {one['way']} | {one['processor_seconds']} | {one['log_probability_off_by']:.3f} | "
            f"{one['label_chance_off_by']:.3f} ({one['label_chance_off_by_at_most']:.2f}) | "
            f"{100 * one['same_label_as_exact']:.0f} % | {100 * one['same_label_as_file']:.0f} % |"
        )
    return "\n".join(lines)


def _chances(scores: Scores) -> Scores:
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances: Scores = shifted / shifted.sum(axis=1, keepdims=True)
    return chances


if __name__ == "__main__":
    main()
