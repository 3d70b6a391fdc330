"""`idealprompt synth`: a corpus of questions and answers that a model writes itself."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core.errors import CorpusError, ModelError, UsageError
from ..io.files import read_text
from ..io.terminal import json_text
from ..runs.models import opened
from ..storage.written_files import MOVE, Target, is_corpus
from .interrupts import resumable
from .models import ModelFlags
from .run_options import budget_option
from .shared_options import Json, Talk, grouped

if TYPE_CHECKING:
    from ..core.requests import ModelInfo
    from ..core.results import StopReason
    from ..engines.options import RecordedWeights
    from ..evaluation.budget import Budget
    from ..synthesis.corpus import Corpus, Header
    from ..ui.console import Console

MOST_DEPTH, MOST_BRANCH = 6, 16
EPILOG = """\b
Examples:
  idealprompt synth -m smollm2 --depth 3 --branch 5 -o corpus.jsonl
  idealprompt synth -m model.gguf --topics topics.txt --budget 10m -o corpus.jsonl
  idealprompt eval prompt.yaml --regression corpus.jsonl
Each text that the model writes is a line: topics, question or pair (question and answer).
The same command continues a corpus that was interrupted, or whose budget was spent."""

Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE|-",
        help="Where the corpus is written; an unfinished one is continued.",
    ),
]
Depth = Annotated[
    int,
    typer.Option(
        min=2,
        max=MOST_DEPTH,
        metavar="N",
        help="Levels of the tree: N - 1 of topics, one of questions.",
    ),
]
Branch = Annotated[
    int,
    typer.Option(
        min=1, max=MOST_BRANCH, metavar="N", help="Topics within a topic, questions on each."
    ),
]
TopicsFile = Annotated[
    Path | None,
    typer.Option(
        "--topics",
        metavar="FILE",
        help="The topics of the first level, one a line. Default: the model names its own.",
    ),
]
BudgetText = Annotated[str, budget_option("the whole tree (an evaluation is a text)")]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the tree.")]
MaxTokens = Annotated[
    int, typer.Option(min=1, max=4096, metavar="N", help="Most tokens of an answer.")
]


@dataclass(frozen=True)
class Plan:
    """The tree that the command line asks for, as a group of options."""

    depth: Depth = 3
    branch: Branch = 5
    topics: TopicsFile = None
    budget: BudgetText = ""
    seed: Seed = 0
    max_tokens: MaxTokens = 64


@grouped
def synth(
    plan: Plan,
    output: Output = "-",
    *,
    flags: ModelFlags,
    json: Json = False,
    talk: Talk,
) -> None:
    """Let a model write down what it knows: topics, questions and its own answers.

    The tree grows from a list of topics or from the model's own. The corpus shows whether a
    prompt changes unrelated answers (eval --regression), and guards fine-tuning against forgetting.
    """
    from ..evaluation.budget import Budget
    from ..ui.console import Console

    if json and output == "-":
        raise UsageError("--json and -o - both write to stdout: write the corpus to a file")
    Target(output, "a corpus that synth wrote", is_corpus, fix=MOVE, error=CorpusError).check()
    budget = Budget.parse(plan.budget) if plan.budget else Budget()
    topics = read_topics(plan.topics) if plan.topics else ()
    console = Console(talk.level)
    with (
        resumable(console.write, lambda: _hint(output)),
        opened(flags, console.say, recorded=_recorded(output)) as engine,
    ):
        header = _header(engine.info(), plan, topics)
        summary = _grow(engine, header, budget, "" if output == "-" else output, console)
    if json:
        typer.echo(json_text(summary, indent=2))
    else:
        typer.echo(_in_words(summary), err=output == "-")


def _recorded(output: str) -> RecordedWeights | None:
    """What the corpus that is continued was written with."""
    from ..engines.options import RecordedWeights
    from ..synthesis.corpus import header_of

    found = header_of(Path(output)) if output != "-" else None
    return RecordedWeights(found.fingerprint, found.weights, "corpus") if found else None


def _header(info: ModelInfo, plan: Plan, topics: tuple[str, ...]) -> Header:
    from ..synthesis.corpus import Header

    return Header(
        info.fingerprint,
        info.name,
        plan.depth,
        plan.branch,
        plan.seed,
        plan.max_tokens,
        topics,
        weights=info.details.get("weights", "file"),
    )


def read_topics(path: Path) -> tuple[str, ...]:
    """The topics in a text file, each once. Raises `CorpusError` for a file without any."""
    lines = (" ".join(line.split()) for line in read_text(path, CorpusError).splitlines())
    topics = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not topics:
        raise CorpusError(f"{path}: has no topics: write one on each line")
    return topics


def _grow(
    engine: Any, header: Header, budget: Budget, target: str, console: Console
) -> dict[str, Any]:
    from ..synthesis.corpus import Corpus, open_corpus
    from ..synthesis.tree import Tree, most_texts

    corpus = open_corpus(Path(target), header) if target else Corpus(header, sink=_print)
    try:
        before = corpus.cost.evaluations
        if before:
            console.say(f"{target}: has {before} texts; continuing.")
        most = most_texts(header.depth, header.branch, len(header.topics))
        left = max(0, min(budget.evaluations or most, most) - before)
        with console.counting("texts", left) as add:
            stop = Tree(engine, corpus, budget, add).grow()
    finally:
        corpus.close()
    if not corpus.pairs and stop == "exhausted":
        raise ModelError(f"{header.model} wrote no usable question: try another model, or --topics")
    return _summary(corpus, stop, budget, target)


def _print(lines: str) -> None:
    sys.stdout.write(lines)
    sys.stdout.flush()


def _summary(corpus: Corpus, stop: StopReason, budget: Budget, target: str) -> dict[str, Any]:
    header = asdict(corpus.header)
    return {
        **{name: header[name] for name in ("model", "depth", "branch", "seed")},
        "topics": len(corpus.leaves()),
        "questions": len(corpus.questions),
        "pairs": len(corpus.pairs),
        "finished": stop == "exhausted",
        "budget": budget.spent(corpus.cost),
        "cost": {
            "texts": corpus.cost.evaluations,
            "tokens": corpus.cost.tokens,
            "seconds": round(corpus.cost.seconds, 3),
        },
        "written": [target] if target else [],
    }


def _in_words(summary: dict[str, Any]) -> str:
    cost, written = summary["cost"], summary["written"]
    lines = [
        f"{summary['pairs']} questions with answers on {summary['topics']} topics, written by "
        f"{summary['model']}.",
        f"Cost: {cost['texts']} texts, {cost['tokens']:,} tokens, {cost['seconds']:.1f} s.",
    ]
    if not summary["finished"]:
        lines.append("The budget is spent; the same command with a larger one continues.")
    return "\n".join([*lines, *(f"Written to {name}" for name in written)])


def _hint(output: str) -> str:
    """How the corpus is continued, "" where nothing was written to a file yet."""
    if output == "-" or not Path(output).exists():
        return ""
    return f"resume with: {shlex.join(['idealprompt', *sys.argv[1:]])}"
