"""How often exported prompts give eval's answer: `python -m benchmarks.exports [--examples N]`.

The embedded model answers a sample task's held-out pictures by eval, by the exported Python script,
and by the exported requests through the binding's chat handler with their grammar (llama-server,
promptfoo) or JSON schema (OpenAI, Ollama). Where llama-server is at hand (see
`benchmarks.engine.build`) it answers the requests too, and with `--promptfoo` (its program, from
npm) and `--dspy` (a Python that has it) so do these tools. Writes results/exports.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Template

from idealprompt_cli.artifact import Artifact
from idealprompt_cli.core.prompt import Prompt, Verbaliser
from idealprompt_cli.core.task import Example, ModelRef, Task
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.engines.options import available_cores
from idealprompt_cli.evaluation.evaluator import predict
from idealprompt_cli.exports import EXPORTS
from idealprompt_cli.exports.promptfoo import SERVER
from idealprompt_cli.runs.models import embedded_model
from idealprompt_cli.task import load_task
from tests.support.llama_server import BINARY, running

from .export_tools import answer_word, by_dspy, by_promptfoo, by_server, json_word

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "exports.json"
COLOURS = Prompt(
    "What colour is it?",
    verbalisers=(
        Verbaliser("D0", ("red", "pink")),
        Verbaliser("D4", ("blue", "green")),
        Verbaliser("D9", ("yellow", "white")),
    ),
)
PROMPTS = {
    "labels as they are": Prompt("Where does this go: D0, D4 or D9?"),
    "two words a label": COLOURS,
    "with a system message": COLOURS.with_(role="You are an inspector."),
    "calibrated": COLOURS.with_(calibration=(("D0", -1.5), ("D4", 0.75), ("D9", 1.0))),
    "describes first": COLOURS.with_(reasoning="describe"),
    "braces": COLOURS.with_(
        cues=("{{ this }}, {% that %} and {# more #} are marks: ignore them.",)
    ),
}
Answer = Callable[[Any, Example], str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=24)
    parser.add_argument("--promptfoo", type=Path, help="node_modules/.bin/promptfoo")
    parser.add_argument("--dspy", type=Path, help="the Python of an environment with DSPy")
    parser.add_argument("--only", action="append", choices=[*PROMPTS], help="some prompts")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    count: int = options.examples
    task = load_task(ROOT / "sample_tasks" / "defect_routing")
    examples = task.test[:count]
    ref = embedded_model()
    assert ref is not None, "the embedded model is not built"
    table: dict[str, dict[str, float]] = {}
    if options.only:
        table = json.loads(RESULTS.read_text("utf-8"))["agreement"]
    for name in options.only or PROMPTS:
        row = table[name] = measured(name, task, examples, ref, options)
        if name == (options.only or list(PROMPTS))[0]:
            print("| prompt | " + " | ".join(row) + " |\n|---|" + "---|" * len(row))
        shares = " | ".join(f"{share:.0%}" for share in row.values())
        print(f"| {name} | {shares} |", flush=True)
        data = {"task": task.name, "examples": len(examples), "agreement": table}
        RESULTS.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def measured(
    name: str,
    task: Task,
    examples: tuple[Example, ...],
    ref: ModelRef,
    options: argparse.Namespace,
) -> dict[str, float]:
    """Tool -> the share of examples on which it gives eval's answer."""
    prompt = PROMPTS[name]
    threads: int = options.threads or available_cores()
    engine = open_engine("llama_cpp", ref, EngineOptions(threads=threads))
    try:
        ours = [one.predicted for one in predict(engine, prompt, task.labels, examples)]
    finally:
        engine.close()
    artifact = artifact_of(task, prompt, ref)
    script: dict[str, Any] = {"__name__": "exported"}
    exec(EXPORTS["python"].render(artifact, prompt), script)
    llama = script["load"](n_threads=threads, n_threads_batch=threads)
    try:
        found = {
            tool: [answer(llama, one) for one in examples]
            for tool, answer in ways(artifact, prompt, script).items()
        }
    finally:
        llama.close()
    if BINARY:
        found |= by_tools(artifact, prompt, script["url"], examples, ours, ref, options)
    return {
        tool: sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(ours)
        for tool, theirs in found.items()
    }


def by_tools(
    artifact: Artifact,
    prompt: Prompt,
    to_url: Callable[[Path], str],
    examples: tuple[Example, ...],
    ours: list[str],
    ref: ModelRef,
    options: argparse.Namespace,
) -> dict[str, list[str]]:
    """Tool -> labels, with a llama-server of its own; promptfoo compares with `ours` itself."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, running(ref, Path(folder) / "log") as url:
        for form in ("llama-server", "openai"):
            named = f"{form} itself" if form == "llama-server" else "openai, llama-server itself"
            found[named] = by_server(artifact, prompt, form, url, to_url, examples)
        if options.promptfoo:
            said = by_promptfoo(artifact, prompt, options.promptfoo, url, examples, ours)
            found["promptfoo itself"] = said
        if options.dspy:
            found["DSPy itself"] = by_dspy(artifact, prompt, options.dspy, url, examples)
    return found


def artifact_of(task: Task, prompt: Prompt, ref: ModelRef) -> Artifact:
    """An artifact of the prompt; its scores play no part here."""
    from idealprompt_cli.artifact import from_run
    from tests.support.factories import run_result

    found = from_run(run_result(winner=prompt))
    model = replace(found.model, path=str(ref.text), mmproj=str(ref.mmproj), n_ctx=1024)
    return replace(found, labels=task.labels, model=model)


def ways(artifact: Artifact, prompt: Prompt, script: dict[str, Any]) -> dict[str, Answer]:
    """Tool -> its answer for an example."""
    server = json.loads(EXPORTS["llama-server"].render(artifact, prompt))
    foo = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, prompt))
    config = foo["providers"][0]["config"]
    openai = json.loads(EXPORTS["openai"].render(artifact, prompt))
    schema = openai["request"].pop("response_format")["json_schema"]["schema"]
    compares = SERVER in foo["defaultTest"]["options"]["transform"]
    words = server["answers"]

    def by_grammar(request: dict[str, Any]) -> Answer:
        return lambda llama, one: words.get(
            answer_word(_say(llama, request, script["url"](one.images[0]))), ""
        )

    def by_schema(llama: Any, one: Example) -> str:
        request = {**openai["request"], "grammar": _rules(schema)}
        reply = _say(llama, request, script["url"](one.images[0]))
        return str(words.get(json_word(reply), ""))

    found: dict[str, Answer] = {
        "python": lambda llama, one: str(script["answer"](llama, one.images[0])),
        "openai, ollama (schema)": by_schema,
    }
    if not compares:  # else promptfoo asks a llama-server for probabilities
        request = {
            "messages": json.loads(foo["prompts"][0], object_hook=_rendered),
            "max_tokens": config["max_tokens"],
            "temperature": 0,
            **config["passthrough"],
        }
        found["promptfoo"] = by_grammar(request)
    if prompt.reasoning == "none":  # else the binding cannot continue the second request's answer
        found["llama-server"] = by_grammar(server["request"])
    return found


def _rendered(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a prompt with its texts as promptfoo renders them, images apart."""
    texts = {key: value for key, value in part.items() if isinstance(value, str)}
    return part | {key: Template(text).render(image_1="{{image_1}}") for key, text in texts.items()}


def _rules(schema: dict[str, Any]) -> str:
    from llama_cpp import LlamaGrammar

    return str(LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)._grammar)


def _say(llama: Any, request: dict[str, Any], url: str) -> str:
    """The reply to an exported request, through the binding's chat handler."""
    from llama_cpp import LlamaGrammar

    filled = json.loads(json.dumps(request).replace("{{image_1}}", url))
    filled.pop("model", None)
    filled.pop("logit_bias", None)  # the binding knows tokens by number only
    grammar = LlamaGrammar.from_string(filled.pop("grammar"), verbose=False)
    reply = llama.create_chat_completion(**filled, grammar=grammar)
    return str(reply["choices"][0]["message"]["content"]).strip()


if __name__ == "__main__":
    main()
