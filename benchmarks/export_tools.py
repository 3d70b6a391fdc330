"""Exported prompts in the tools that they are for: llama-server, promptfoo and DSPy themselves.

Each gets a llama-server with the embedded model, and answers every example. `python -m
benchmarks.exports` runs those that it finds; it can be passed the paths of the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from idealprompt_cli.artifact import Artifact
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.task import Example
from idealprompt_cli.exports import EXPORTS
from idealprompt_cli.exports.promptfoo import SERVER

_DSPY = """
import json, sys
import dspy

class AsScored(dspy.Adapter):
    def __init__(self, kept):
        super().__init__()
        self.messages = json.dumps(kept["messages"])

    def format(self, signature, demos, inputs):
        text = self.messages
        for name, image in inputs.items():
            text = text.replace("{{" + name + "}}", image.url)
        return json.loads(text)

    def parse(self, signature, completion):
        return {"answer": completion.rpartition("Answer:")[2].strip()}

state, url, *images = sys.argv[1:]
with open(state) as file:
    program = dspy.Predict(json.load(file)["idealprompt"]["signature"])
program.load(state)
kept = program.idealprompt
lm = dspy.LM("openai/local", api_base=url + "/v1", api_key="none", temperature=0, cache=False,
             extra_body=kept["llama_server"])
with dspy.context(lm=lm, adapter=AsScored(kept)):
    words = [program(image_1=dspy.Image.from_path(one)).answer for one in images]
print(json.dumps([kept["answers"].get(word, word) for word in words]))
"""
"""The program of docs/recipes.md, for several pictures."""


def by_server(
    artifact: Artifact,
    prompt: Prompt,
    form: str,
    url: str,
    to_url: Callable[[Path], str],
    examples: Sequence[Example],
) -> list[str]:
    """Labels by an exported request (`form` llama-server or openai); a description is asked for
    first where the export says so."""
    data = json.loads(EXPORTS[form].render(artifact, prompt))
    words, found = data["answers"], []
    read = json_word if form == "openai" else answer_word
    for one in examples:
        fillers = {"image_1": to_url(one.images[0])}
        if "first" in data:
            fillers["thought"] = _posted(url, data["first"], fillers).strip()
        word = read(_posted(url, data["request"], fillers))
        found.append(words.get(word, word))
    return found


def answer_word(text: str) -> str:
    """The word of an answer; servers repeat what was begun for them."""
    return text.rpartition("Answer:")[2].strip()


def json_word(text: str) -> str:
    """The word of an answer in JSON: its member "answer"; "" where it was cut off."""
    try:
        answer = json.loads(text, strict=False)
    except json.JSONDecodeError:
        return ""
    return str(answer["answer"])


def _posted(url: str, request: object, fillers: Mapping[str, str]) -> str:
    """A server's reply to a request whose placeholders are filled in."""
    body = json.dumps(request)
    for name, value in fillers.items():
        body = body.replace(f"{{{{{name}}}}}", json.dumps(value)[1:-1])
    sent = urllib.request.Request(
        f"{url}/v1/chat/completions", body.encode(), {"Content-Type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(sent, timeout=60) as reply:
        return str(json.load(reply)["choices"][0]["message"]["content"])


def by_promptfoo(
    artifact: Artifact,
    prompt: Prompt,
    program: Path,
    url: str,
    examples: Sequence[Example],
    expected: Sequence[str],
) -> list[str]:
    """Labels by the exported configuration in promptfoo, with a test for each example; "" where its
    own assertion fails: that the answer is the label expected."""
    config = yaml.safe_load(EXPORTS["promptfoo"].render(artifact, prompt))
    config["providers"][0]["config"]["apiBaseUrl"] = f"{url}/v1"
    options = config["defaultTest"]["options"]
    options["transform"] = options["transform"].replace(SERVER, url)
    config["tests"] = [
        {
            "vars": {"image_1": f"file://{one.images[0].absolute()}", "expected": label},
            "metadata": {"place": place, "label": label},
        }
        for place, (one, label) in enumerate(zip(examples, expected, strict=True))
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        out = folder / "out.json"
        command = [str(program), "eval", "-c", str(folder / "config.yaml"), "-o", str(out)]
        command += ["--no-cache", "--no-write", "--no-table", "--no-progress-bar", "-j", "1"]
        quiet = {
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_CONFIG_DIR": str(folder / "home"),
        }
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | quiet, check=False
        )
        if not out.is_file():
            raise RuntimeError(f"promptfoo failed: {done.stderr[-500:]}{done.stdout[-500:]}")
        results = json.loads(out.read_text(encoding="utf-8"))["results"]["results"]
    passed = {
        one["testCase"]["metadata"]["place"]: one["testCase"]["metadata"]["label"]
        for one in results
        if one["success"]
    }
    return [passed.get(place, "") for place in range(len(examples))]


def by_dspy(
    artifact: Artifact, prompt: Prompt, python: Path, url: str, examples: Sequence[Example]
) -> list[str]:
    """Labels by the exported state in DSPy, with the program of docs/recipes.md."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state.json"
        state.write_text(EXPORTS["dspy"].render(artifact, prompt), encoding="utf-8")
        images = [str(one.images[0].absolute()) for one in examples]
        command = [str(python), "-c", _DSPY, str(state), url, *images]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"DSPy failed: {done.stderr[-800:]}")
    return [str(label) for label in json.loads(done.stdout.splitlines()[-1])]
