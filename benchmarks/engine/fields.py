"""What a search saves when an example's text field belongs to the cached prefix.

    python -m benchmarks.engine.fields --model SmolLM2.gguf --table banking77/train.csv

Scores prompts one after another on the same rows, as a search does: once with the field marked as
the example's own text, so that it is computed once per row, and once as a part of the prompt.
Prints one JSON object: tokens and seconds of both ways, and how far their scores differ.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from idealprompt_cli.core.prompt import FieldText, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.engine import open_llama_cpp

INSTRUCTIONS = (
    "Which of these is it about: {labels}?",
    "The text above is a customer's question. Choose the topic: {labels}.",
    "You sort questions to a bank. Answer with one of {labels} and nothing else.",
    "Topic ({labels}):",
    "What does the customer ask about? Possible answers are {labels}.",
    "Read the question, then name its intent. One of {labels}.",
    "Classify the text. Labels: {labels}.",
    "Which team should answer, {labels}?",
)


def rows(table: Path, column: str, label: str, n: int) -> list[tuple[str, str]]:
    """The first `n` (text, label) of the six most frequent labels."""
    with table.open(encoding="utf-8", newline="") as file:
        found = [(row[column], row[label]) for row in csv.DictReader(file)]
    labels = [name for _, name in found]
    kept = sorted(set(labels), key=lambda name: (-labels.count(name), name))[:6]
    return [row for row in found if row[1] in kept][:n]


def measure(
    model: Path, examples: list[tuple[str, str]], threads: int, marked: bool
) -> tuple[dict[str, float], np.ndarray]:
    """Counts and seconds of all prompts on all examples, and the scores (prompts x rows, labels).
    Disk caches are off, so that both ways start with nothing."""
    labels = tuple(sorted({label for _, label in examples}))
    field = FieldText if marked else str
    with tempfile.TemporaryDirectory() as folder:
        options = EngineOptions(threads=threads, disk_bytes=0, cache_dir=Path(folder), n_ctx=2048)
        with open_llama_cpp(ModelRef(model), options, print) as engine:
            engine.check()
            before, started, scores = engine.stats(), time.perf_counter(), []
            for instruction in INSTRUCTIONS:
                asked = "\n\n" + instruction.format(labels=", ".join(labels))
                requests = [
                    ScoreRequest((Message("user", (field(text), asked)),), (), labels)
                    for text, _ in examples
                ]
                scores += [answer.logprobs for answer in engine.score(requests)]
            seconds, after = time.perf_counter() - started, engine.stats()
    kinds = ("tokens", "tokens_without_sharing", "tokens_saved", "tokens_padding", "decodes")
    counts = {kind: after[kind] - before[kind] for kind in kinds}
    return {"seconds": round(seconds, 2), **counts}, np.array(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a text GGUF")
    parser.add_argument("--table", type=Path, required=True, help="a CSV file")
    parser.add_argument("--column", default="text")
    parser.add_argument("--label", default="category")
    parser.add_argument("--rows", type=int, default=48)
    parser.add_argument("--threads", type=int, default=0, help="0: measured")
    options = parser.parse_args()
    examples = rows(options.table, options.column, options.label, options.rows)
    part, part_scores = measure(options.model, examples, options.threads, marked=False)
    own, own_scores = measure(options.model, examples, options.threads, marked=True)
    found = {
        "prompts": len(INSTRUCTIONS),
        "rows": len(examples),
        "part of the prompt": part,
        "in the prefix": own,
        "tokens_saved_share": round(1 - own["tokens"] / part["tokens"], 3),
        "speed_up": round(part["seconds"] / own["seconds"], 2),
        "greatest_difference": round(float(np.abs(own_scores - part_scores).max()), 4),
        "same_best_label": round(
            float((own_scores.argmax(axis=1) == part_scores.argmax(axis=1)).mean()), 4
        ),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
