"""Every export holds the prompt, and is what it says it is."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from idealprompt_cli.answers.base import gbnf_literal
from idealprompt_cli.artifact import Artifact, dump, from_run, load
from idealprompt_cli.core.prompt import Prompt, Verbaliser
from idealprompt_cli.exports import EXPORTS
from idealprompt_cli.exports.base import answers, grammar, json_answer

from ..conftest import call
from ..support.factories import awkward_prompt, run_result

PLAIN = Prompt("Which code?", verbalisers=(Verbaliser("K7", ('str"iped', "stripes")),))


@pytest.fixture
def artifact() -> Artifact:
    return from_run(run_result())


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("prompt", [PLAIN, awkward_prompt()], ids=["plain", "awkward"])
def test_contract(name: str, prompt: Prompt, artifact: Artifact) -> None:
    form = EXPORTS[name]
    assert form.name == name
    assert form.summary
    text = form.render(artifact, prompt)
    assert text == text.rstrip()
    if name != "gbnf":
        assert "Which code?" in text
    for word, label in answers(artifact, prompt).items():
        if word != label and name != "gbnf":
            assert word.replace('"', "") in text.replace("\\", "").replace('"', "")


def test_requests_are_json(artifact: Artifact) -> None:
    for name in ("openai", "llama-server"):
        data = json.loads(EXPORTS[name].render(artifact, PLAIN))
        assert data["answers"]['str"iped'] == "K7"
        (message,) = data["request"]["messages"]
        assert message["content"][0]["image_url"]["url"] == "{{image_1}}"
        assert data["request"]["temperature"] == 0
    assert data["request"]["grammar"] == grammar(artifact, PLAIN)
    assert data["request"]["repeat_penalty"] == 1.0


def test_a_description_first_takes_two_requests(artifact: Artifact) -> None:
    shown = EXPORTS["llama-server"].render(artifact, PLAIN.with_(reasoning="describe"))
    data = json.loads(shown)
    assert list(data) == ["first", "request", "answers"]
    assert "grammar" not in data["first"]
    begun = {"role": "assistant", "content": "{{thought}}\nAnswer:"}
    assert data["request"]["messages"] == [*data["first"]["messages"], begun]


def test_a_role_is_a_system_turn(artifact: Artifact) -> None:
    data = json.loads(EXPORTS["openai"].render(artifact, PLAIN.with_(role="A clerk.")))
    assert data["request"]["messages"][0] == {"role": "system", "content": "A clerk."}
    ollama = json.loads(EXPORTS["ollama"].render(artifact, PLAIN.with_(role="A clerk.")))
    assert ollama["request"]["messages"][0] == {"role": "system", "content": "A clerk."}


def test_the_grammar(artifact: Artifact) -> None:
    assert grammar(artifact, PLAIN).splitlines() == [
        'root ::= " "? answer',
        'answer ::= "str\\"iped" | "stripes" | "M: 2" | "yes"',
    ]
    thinking = grammar(artifact, PLAIN.with_(reasoning="describe"))
    assert thinking.startswith('root ::= thought "\\nAnswer: " answer\n')
    assert gbnf_literal("a\nb\\") == '"a\\nb\\\\"'


@pytest.mark.parametrize("prompt", [PLAIN, awkward_prompt()], ids=["plain", "awkward"])
def test_llama_cpp_reads_the_grammar(artifact: Artifact, prompt: Prompt) -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    assert llama_cpp.LlamaGrammar.from_string(grammar(artifact, prompt), verbose=False)


def test_the_script_is_python(artifact: Artifact) -> None:
    for prompt in (PLAIN, awkward_prompt()):
        tree = ast.parse(EXPORTS["python"].render(artifact, prompt))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert {"load", "url", "ask", "answer", "main"} <= names
        values = [ast.unparse(node.value) for node in tree.body if isinstance(node, ast.Assign)]
        assert "..." not in values, "every constant is filled in"


def test_a_state_for_dspy(artifact: Artifact) -> None:
    data = json.loads(EXPORTS["dspy"].render(artifact, PLAIN.with_(role="A clerk.")))
    assert data["signature"]["instructions"] == "A clerk.\nWhich code?"
    assert [field["prefix"] for field in data["signature"]["fields"]] == ["Image 1:", "Answer:"]
    kept = data["idealprompt"]
    assert kept["signature"].startswith("image_1: dspy.Image -> answer: Literal['str\"iped', ")
    assert kept["answers"]["stripes"] == "K7"
    assert kept["llama_server"]["grammar"] == grammar(artifact, PLAIN)
    assert data["lm"] is None


def test_replies_are_restricted_by_a_schema(artifact: Artifact) -> None:
    words = ['str"iped', "stripes", "M: 2", "yes"]
    choice = {"type": "string", "enum": words}
    thought = {"type": "string", "maxLength": 300}
    for prompt, properties in (
        (PLAIN, {"answer": choice}),
        (PLAIN.with_(reasoning="describe"), {"thought": thought, "answer": choice}),
    ):
        openai, ollama = (
            json.loads(EXPORTS[name].render(artifact, prompt)) for name in ("openai", "ollama")
        )
        schema = openai["request"]["response_format"]["json_schema"]["schema"]
        assert schema == ollama["request"]["format"]
        assert schema["properties"] == properties
        assert list(properties) == schema["required"]
    assert "stop" not in openai["request"]
    assert ollama["request"]["think"] is False
    assert ollama["request"]["messages"][0]["images"] == ["{{image_1}}"]
    assert ollama["modelfile"].startswith("FROM ./tab le.gguf\n")


def test_written_answers_have_a_schema(artifact: Artifact) -> None:
    declared: dict[str, str | list[str]] = {"colour": ["red", "blue"], "count": "integer?"}
    task = replace(artifact.task, answer="json", fields=declared)
    found = replace(artifact, labels=(), task=task)
    schema = json_answer(found, PLAIN)
    assert schema is not None
    assert schema["properties"] == {
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "count": {"type": ["integer", "null"]},
    }
    several = replace(found, task=replace(task, answer="labels", options=("a", "b"), fields={}))
    schema = json_answer(several, PLAIN)
    assert schema is not None
    assert schema["properties"]["answer"]["items"]["enum"] == ["a", "b"]
    number = json_answer(replace(found, task=replace(task, answer="number", fields={})), PLAIN)
    assert number is not None
    assert number["properties"]["answer"] == {"type": "number"}
    text = replace(found, task=replace(task, answer="text", fields={}))
    assert json_answer(text, PLAIN) is None
    assert "response_format" not in json.loads(EXPORTS["openai"].render(text, PLAIN))["request"]


def test_promptfoo_gets_the_text_as_it_is(artifact: Artifact) -> None:
    """Promptfoo renders each string of a JSON prompt with Nunjucks, which reads as Jinja here."""
    awkward = "Write {{name}} or {% if %}, {# not a note #}, {{{x}}} and }}, %} or #}."
    data = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, PLAIN.with_(context=awkward)))
    (message,) = json.loads(data["prompts"][0])
    texts = [part["text"] for part in message["content"] if part["type"] == "text"]
    shown = jinja2.Environment().from_string(texts[0]).render()
    assert awkward in shown
    assert message["content"][0]["image_url"]["url"] == "{{image_1}}"


def test_promptfoo_compares_labels_after_a_description(artifact: Artifact) -> None:
    data = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, PLAIN.with_(reasoning="describe")))
    config = data["providers"][0]["config"]
    assert config["stop"] == ["\n", "Answer:"]
    assert "grammar" not in config["passthrough"]
    code = data["defaultTest"]["options"]["transform"]
    assert "const DESCRIBES = true;" in code
    assert " = ..." not in code
    assert f'const SERVER = "{config["apiBaseUrl"].removesuffix("/v1")}";' in code
    assert data["defaultTest"]["assert"] == [{"type": "equals", "value": "{{expected}}"}]
    assert data["tests"][0]["vars"]["expected"] in artifact.labels


def test_promptfoo_compares_calibrated_labels_by_their_probabilities(artifact: Artifact) -> None:
    label = artifact.labels[0]
    calibrated = PLAIN.with_(calibration=((label, -0.5),))
    data = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, calibrated))
    code = data["defaultTest"]["options"]["transform"]
    assert f'const BIASES = {{"{label}": -0.5}};' in code
    plain = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, PLAIN))
    assert "fetch" not in plain["defaultTest"]["options"]["transform"]


def test_promptfoo_turns_words_into_labels(artifact: Artifact) -> None:
    label = artifact.labels[0]
    said = PLAIN.with_(verbalisers=(Verbaliser(label, ("cat", "kitten")),))
    data = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, said))
    code = data["defaultTest"]["options"]["transform"]
    assert f'"cat": "{label}", "kitten": "{label}"' in code
    assert data["tests"][0]["vars"]["expected"] in artifact.labels


def test_promptfoo_is_yaml(artifact: Artifact) -> None:
    data = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, awkward_prompt()))
    assert json.loads(data["prompts"][0])[0]["role"] == "user"
    assert data["providers"][0]["config"]["passthrough"]["top_k"] == 1


def test_the_command(prompt: Path) -> None:
    result = call("export", prompt, "--to", "text", "-q")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("user: [image] ")
    assert call("export", prompt, "--to", "gbnf", "-o", "g.gbnf", "-q").stdout == ""
    assert Path("g.gbnf").read_text().startswith("root ::= ")
    wrong = call("export", prompt, "--to", "olama")
    assert wrong.exit_code == 2
    assert "did you mean ollama?" in wrong.stderr
    listed = call("export", "--help").stdout
    assert all(name in listed for name in EXPORTS)
    piped = call("export", "-", "--to", "text", "--use", "baseline", stdin=prompt.read_text())
    assert piped.stdout == "user: [image] Which code?\n"


def test_only_formats_without_offsets_warn_of_them(prompt: Path, tmp_path: Path) -> None:
    kept = load(prompt.read_text(), "prompt")
    offsets = tuple((label, 0.5 * place) for place, label in enumerate(kept.labels))
    shifted = replace(kept, prompt=kept.prompt.with_(calibration=offsets))
    path = tmp_path / "shifted.yaml"
    path.write_text(dump(shifted))
    for name, warned in (("text", True), ("llama-server", True), ("python", False)):
        result = call("export", path, "--to", name, "--use", "winner")
        assert result.exit_code == 0, result.stderr
        assert ("shifts the labels' probabilities" in result.stderr) == warned


FIELDS = Prompt("Does {title} by {the maker} fit {{it}}?", context="Not a {placeholder}.")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("openai", "Does {{title}} by {{the maker}} fit {it}?"),
        ("llama-server", "Does {{title}} by {{the maker}} fit {it}?"),
        ("ollama", "Does {{title}} by {{the maker}} fit {it}?"),
        ("promptfoo", "Does {{ title }} by {{ the_maker }} fit {it}?"),
        ("text", "Does {title} by {the maker} fit {it}?"),
        ("python", "Does {{title}} by {{the maker}} fit {it}?"),
        ("dspy", "Does {title} by {the maker} fit {it}?"),
    ],
)
def test_fields_in_each_tools_own_way(artifact: Artifact, name: str, shown: str) -> None:
    text = " ".join(EXPORTS[name].render(artifact, FIELDS).replace("'\n", "").split())
    text = re.sub(r"' ' ?|' +'", "", text)
    assert shown in text
    assert "Not a {placeholder}." in text


def test_fields_are_inputs(artifact: Artifact) -> None:
    dspy = json.loads(EXPORTS["dspy"].render(artifact, FIELDS))
    assert dspy["idealprompt"]["signature"].startswith(
        "image_1: dspy.Image, title: str, the_maker: str -> answer: "
    )
    promptfoo = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, FIELDS))
    assert {"title", "the_maker"} <= set(promptfoo["tests"][0]["vars"])
    script: dict[str, Any] = {"__name__": "exported"}
    code = EXPORTS["python"].render(artifact, FIELDS)
    pytest.importorskip("llama_cpp")
    exec(code, script)
    assert script["FIELDS"] == ["title", "the maker"]
    script["url"] = lambda path: f"data:{path}"
    (message,) = script["filled"](
        script["PROMPTS"][0]["messages"], ["a.png"], {"title": "A mug", "the maker": "Us"}
    )
    texts = [part["text"] for part in message["content"] if part["type"] == "text"]
    assert "Does A mug by Us fit {it}?" in texts[0]


@pytest.mark.parametrize("form", ["openai", "ollama"])
def test_what_json_does_to_labels_is_said(form: str, artifact: Artifact, tmp_path: Path) -> None:
    (tmp_path / "prompt.yaml").write_text(dump(artifact))
    said = call("export", str(tmp_path / "prompt.yaml"), "--to", form)
    assert "Note: answers are written as JSON" in said.stderr
    assert "JSON" not in call("export", str(tmp_path / "prompt.yaml"), "--to", "python").stderr
