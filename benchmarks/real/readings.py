"""How well single questions separate a task's labels when their answers are read by fitted words.

    python -m benchmarks.real.readings TASK_FOLDER -m text.gguf [--mmproj mmproj.gguf]

For each question: held-out accuracy with words fitted to the scores as they are, and with words and
offsets as `fit_reading` chooses them; both fitted on the same training examples.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from idealprompt_cli.core.interfaces import Evidence
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.task import Example, ModelRef, Task
from idealprompt_cli.engines import open_engine
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.fitting.answer_reading import Reading, fit_reading
from idealprompt_cli.fitting.evidence import ModelEvidence
from idealprompt_cli.fitting.questions import questions_for
from idealprompt_cli.fitting.verbalisers import fit_verbalisers
from idealprompt_cli.fitting.word_sources import answer_words
from idealprompt_cli.task import load_task

Row = Mapping[str, float]


def read(row: Row, reading: Reading) -> str:
    """The label whose best word (with its offset) is likeliest."""
    offsets = dict(reading.calibration)
    found = {
        v.label: max(row[word] for word in v.words) + offsets.get(v.label, 0.0)
        for v in reading.verbalisers
    }
    return max(found, key=lambda label: found[label])


def accuracy(rows: Mapping[str, Row], examples: Sequence[Example], reading: Reading) -> float:
    return sum(read(rows[e.id], reading) in e.answers for e in examples) / len(examples)


def measure(task: Task, train: Evidence, test: Evidence, question: str) -> str:
    """A line on one question."""
    answers = train.ask([question])[0]
    words = answer_words(answers, train, 24)
    asked = [(Prompt(question), words)]
    seen, held = train.word_scores(asked)[0], test.word_scores(asked)[0]
    gold = {example.id: example.answer for example in train.examples}
    plain, chosen = fit_verbalisers(seen, gold, task.labels), fit_reading(seen, gold, task.labels)
    figures = [
        f"{100 * accuracy(held, test.examples, reading):5.1f}" if reading else "    -"
        for reading in (Reading(plain) if plain else None, chosen)
    ]
    fitted = chosen.verbalisers if chosen else ()
    said = "; ".join(f"{v.label}: {', '.join(v.words[:3])}" for v in fitted)
    return f"{figures[0]} {figures[1]}  {question}  [{said}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", type=Path)
    parser.add_argument("-m", "--model", type=Path, required=True)
    parser.add_argument("--mmproj", type=Path)
    parser.add_argument("--questions", type=int, default=6)
    parser.add_argument("--test", type=int, default=60, help="held-out examples")
    options = parser.parse_args()
    task = load_task(options.task)
    task = replace(task, test=task.test[:: max(1, len(task.test) // options.test)])
    engine = MeteredEngine(open_engine("llama_cpp", ModelRef(options.model, options.mmproj)))
    whole = ModelEvidence(engine, task.labels, (*task.train, *task.test))
    train = whole.excluding([example.id for example in task.test])
    test = whole.excluding([example.id for example in task.train])
    print(f"{task.name}: {len(task.train)} training, {len(task.test)} held-out examples")
    print("plain chosen  question  [words]")
    for question in questions_for(task.train, task.question)[: options.questions]:
        print(measure(task, train, test, question), flush=True)


if __name__ == "__main__":
    main()
