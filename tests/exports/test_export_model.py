"""The exported script and requests, run through the binding's own chat handler, against eval."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import idealprompt_cli
from idealprompt_cli.artifact import Artifact, from_run, schema_data
from idealprompt_cli.core.answer_schema import PLAIN, AnswerKind, AnswerSchema, Field
from idealprompt_cli.core.committee import Committee, Member
from idealprompt_cli.core.prompt import Prompt, Verbaliser
from idealprompt_cli.core.task import Example, ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.evaluator import predict
from idealprompt_cli.exports import EXPORTS, rendered
from idealprompt_cli.task import load_task

from ..support.factories import run_result

FOLDER = Path(idealprompt_cli.__file__).parent / "models" / "demo"
REF = ModelRef(FOLDER / "model.gguf", FOLDER / "mmproj.gguf")
TASK = Path(__file__).parents[2] / "sample_tasks" / "defect_routing"
PICTURES = 16
# Greedy decoding takes the most likely word, eval the label whose words are most likely together;
# and two builds round differently. So near-ties may differ (see exports/base.py).
LEAST_AGREEMENT = 0.85
# With a JSON schema, what is compared is the word after a quotation mark.
LEAST_WITH_SCHEMA = 0.5

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not REF.text.is_file(), reason="the demonstration model is not built yet"),
]
COLOURS = Prompt(
    "What colour is it?",
    verbalisers=(
        Verbaliser("D0", ("red",)),
        Verbaliser("D4", ("blue",)),
        Verbaliser("D9", ("yellow",)),
    ),
)
PROMPTS = {
    "seed": Prompt("Where does this go: D0, D4 or D9?"),
    "words": COLOURS,
    "role": COLOURS.with_(role="You are an inspector.", constraints=("Answer with one word.",)),
    "several": COLOURS.with_(
        verbalisers=(
            Verbaliser("D0", ("red", "pink")),
            Verbaliser("D4", ("blue", "green")),
            Verbaliser("D9", ("yellow", "white")),
        )
    ),
    "described": COLOURS.with_(reasoning="describe"),
    "begun": COLOURS.with_(question="Fill in the form.", answer_start="color:"),
    "calibrated": COLOURS.with_(calibration=(("D0", -1.5), ("D4", 0.75), ("D9", 1.0))),
    "long": COLOURS.with_(
        verbalisers=(
            Verbaliser("D0", ("red", "red or pink")),
            Verbaliser("D4", ("blue", "a dark blue")),
            Verbaliser("D9", ("yellow",)),
        )
    ),
}
COMMITTEE = Committee(
    (
        Member(
            Prompt("What colour is it?"),
            ("red", "blue", "yellow", "green"),
            {
                "D0": (1.5, -0.5, -0.5, -0.5),
                "D4": (-1.0, 1.0, -1.0, 1.0),
                "D9": (0.0, -1.0, 2.0, -1.0),
            },
        ),
        Member(
            Prompt("Fill in the form.", answer_start="pattern:"),
            ("plain", "striped", "dotted"),
            {"D0": (0.5, -0.25, -0.25), "D4": (0.0, 0.25, -0.25), "D9": (-0.5, 0.0, 0.5)},
        ),
    ),
    {"D0": 0.25, "D4": 0.0, "D9": -0.25},
)
FIELDS = (Field("colour", "choice", ("red", "blue", "green")), Field("count", "integer"))
WRITTEN: dict[AnswerKind, tuple[AnswerSchema, Prompt]] = {
    "text": (PLAIN, Prompt("Describe this image in one sentence.")),
    "json": (AnswerSchema(fields=FIELDS), Prompt("What is it?")),
    "labels": (
        AnswerSchema(options=("red", "striped", "mug")),
        Prompt("Check: red, striped, mug."),
    ),
}


@pytest.fixture(scope="module")
def examples() -> tuple[Example, ...]:
    return load_task(TASK).test[: 3 * PICTURES : 3]


@pytest.fixture(scope="module")
def ours(examples: tuple[Example, ...], tmp_path_factory: pytest.TempPathFactory) -> Any:
    options = EngineOptions(threads=1, cache_dir=tmp_path_factory.mktemp("cache"))
    engine = open_engine("llama_cpp", REF, options)
    labels = ("D0", "D4", "D9")
    try:
        chosen = {
            name: [one.predicted for one in predict(engine, prompt, labels, examples)]
            for name, prompt in PROMPTS.items()
        }
        written = {
            kind: [one.reply for one in predict(engine, prompt, (), examples[:6], kind, schema)]
            for kind, (schema, prompt) in WRITTEN.items()
        }
        together = [one.predicted for one in predict(engine, COMMITTEE, labels, examples)]
        return {**chosen, **written, "committee": together}
    finally:
        engine.close()


@pytest.fixture(scope="module")
def llama() -> Iterator[Any]:
    """The script's own `load`; one model for all tests."""
    script = run_script(PROMPTS["seed"])
    model = script["load"](n_threads=1, n_threads_batch=1)
    yield model
    model.close()


def artifact(prompt: Prompt) -> Artifact:
    found = from_run(run_result(winner=prompt))
    model = replace(found.model, path=str(REF.text), mmproj=str(REF.mmproj), n_ctx=1024)
    return replace(found, labels=("D0", "D4", "D9"), model=model)


def run_script(prompt: Prompt) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "exported"}
    exec(EXPORTS["python"].render(artifact(prompt), prompt), names)
    return names


def agreement(mine: list[str], theirs: list[str]) -> float:
    return sum(a == b for a, b in zip(mine, theirs, strict=True)) / len(mine)


@pytest.mark.parametrize("name", PROMPTS)
def test_the_script_answers_like_eval(
    name: str, ours: Any, llama: Any, examples: tuple[Example, ...]
) -> None:
    script = run_script(PROMPTS[name])
    theirs = [script["answer"](llama, example.images[0]) for example in examples]
    share = agreement(ours[name], theirs)
    print(f"python export, {name}: {share:.1%} of {len(theirs)} answers agree with eval")
    assert share == 1.0


def test_the_script_answers_like_a_committee(
    ours: Any, llama: Any, examples: tuple[Example, ...]
) -> None:
    found = artifact(PROMPTS["seed"])
    script: dict[str, Any] = {"__name__": "exported"}
    exec(rendered(EXPORTS["python"], found, COMMITTEE), script)
    theirs = [script["answer"](llama, example.images[0]) for example in examples]
    assert ours["committee"] == theirs
    assert len(set(theirs)) > 1


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_script_writes_like_eval(
    kind: AnswerKind, ours: Any, llama: Any, examples: tuple[Example, ...]
) -> None:
    schema, prompt = WRITTEN[kind]
    found = artifact(prompt)
    found = replace(found, labels=(), task=replace(found.task, answer=kind, **schema_data(schema)))
    script: dict[str, Any] = {"__name__": "exported"}
    exec(EXPORTS["python"].render(found, prompt), script)
    theirs = [script["answer"](llama, example.images[0]) for example in examples[:6]]
    assert agreement(ours[kind], theirs) >= 5 / 6


def say(llama: Any, request: dict[str, Any], url: str) -> str:
    """The reply to an exported request, through the code that a server has, in this process."""
    from llama_cpp import LlamaGrammar

    filled = json.loads(json.dumps(request).replace("{{image_1}}", url))
    del filled["model"]
    filled.pop("logit_bias", None)  # the binding knows tokens by number only
    grammar = LlamaGrammar.from_string(filled.pop("grammar"), verbose=False)
    reply = llama.create_chat_completion(**filled, grammar=grammar)
    return str(reply["choices"][0]["message"]["content"]).strip()


@pytest.mark.parametrize("name", ["words", "role"])
def test_the_requests_answer_like_eval(
    name: str, ours: Any, llama: Any, examples: tuple[Example, ...]
) -> None:
    url = run_script(PROMPTS[name])["url"]
    data = json.loads(EXPORTS["llama-server"].render(artifact(PROMPTS[name]), PROMPTS[name]))
    replies = [say(llama, data["request"], url(example.images[0])) for example in examples]
    theirs = [data["answers"][reply] for reply in replies]
    share = agreement(ours[name], theirs)
    print(f"llama-server export, {name}: {share:.1%} of {len(theirs)} answers agree with eval")
    assert share >= LEAST_AGREEMENT


@pytest.mark.parametrize("name", ["words", "role"])
def test_a_schema_restricts_the_answer(
    name: str, ours: Any, llama: Any, examples: tuple[Example, ...]
) -> None:
    from llama_cpp import LlamaGrammar

    url = run_script(PROMPTS[name])["url"]
    data = json.loads(EXPORTS["openai"].render(artifact(PROMPTS[name]), PROMPTS[name]))
    schema = data["request"].pop("response_format")["json_schema"]["schema"]
    rules = LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)._grammar
    replies = [
        json.loads(say(llama, {**data["request"], "grammar": rules}, url(one.images[0])))["answer"]
        for one in examples
    ]
    share = agreement(ours[name], [data["answers"][reply] for reply in replies])
    print(f"openai export, {name}: {share:.1%} of {len(replies)} answers agree with eval")
    assert share >= LEAST_WITH_SCHEMA


def test_the_script_as_a_command(ours: Any, examples: tuple[Example, ...], tmp_path: Path) -> None:
    """A picture that cannot be read does not end it, and nothing but that is on stderr."""
    (tmp_path / "bad.png").write_text("not a picture")
    script = EXPORTS["python"].render(artifact(COLOURS), COLOURS)
    (tmp_path / "answer.py").write_text(script)
    pictures = [examples[0].images[0], tmp_path / "bad.png", examples[1].images[0]]
    result = subprocess.run(
        [sys.executable, "answer.py", *map(str, pictures)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines == [[str(pictures[0]), ours["words"][0]], [str(pictures[2]), ours["words"][1]]]
    (complaint,) = result.stderr.splitlines()
    assert complaint.startswith(f"{pictures[1]}\terror: UnidentifiedImageError: ")
