"""The exported requests, sent to the real llama-server, against eval of the same prompts.

Both compute attention in the same way here, so that what differs is how an answer is found: eval
compares whole answers, a server writes one token by token inside a grammar of letters (see
exports/base.py). Where the model finds one of the words likely, that is the same.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.task import Example
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.evaluator import predict
from idealprompt_cli.exports import EXPORTS
from idealprompt_cli.exports.promptfoo import SERVER
from idealprompt_cli.task import load_task

from ..support import llama_server
from .test_export_model import PICTURES, PROMPTS, REF, TASK, agreement, artifact, run_script

LABELS = ("D0", "D4", "D9")
# For "several" eval adds up the probabilities of a label's words; calibration is not carried.
LEAST_AGREEMENT = {
    "seed": 1.0, "words": 1.0, "role": 1.0, "several": 0.8, "described": 0.9, "begun": 0.9,
    "calibrated": 0.5, "long": 0.9,
}  # fmt: skip

NODE = shutil.which("node") or ""
_RUN = """
const [code, inputs] = JSON.parse(require("fs").readFileSync(process.argv[1]));
const transform = new Function("output", "context", "process", code);
(async () => {
  const found = [];
  for (const { output, vars } of inputs) found.push(await transform(output, { vars }, process));
  console.log(JSON.stringify(found));
})();
"""

pytestmark = [
    pytest.mark.model,
    llama_server.needed,
    pytest.mark.skipif(not REF.text.is_file(), reason="the demonstration model is not built yet"),
]


@pytest.fixture(scope="module")
def examples() -> tuple[Example, ...]:
    return load_task(TASK).test[: 3 * PICTURES : 3]


@pytest.fixture(scope="module")
def ours(
    examples: tuple[Example, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    options = EngineOptions(threads=1, flash="on", cache_dir=tmp_path_factory.mktemp("cache"))
    engine = open_engine("llama_cpp", REF, options)
    try:
        return {
            name: [one.predicted for one in predict(engine, prompt, LABELS, examples)]
            for name, prompt in PROMPTS.items()
        }
    finally:
        engine.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("server") / "log"
    with llama_server.running(REF, log, "-fa", "on") as url:
        yield url


@pytest.fixture(scope="module")
def urls(examples: tuple[Example, ...]) -> list[str]:
    to_url = run_script(PROMPTS["seed"])["url"]
    return [to_url(example.images[0]) for example in examples]


def rendered(form: str, prompt: Prompt) -> str:
    return EXPORTS[form].render(artifact(prompt), prompt)


def say(server: str, request: dict[str, Any], url: str, thought: str = "") -> str:
    """The reply to an exported request, filled in as its text says."""
    body = json.dumps(request).replace("{{image_1}}", url)
    body = body.replace("{{thought}}", json.dumps(thought)[1:-1])
    sent = urllib.request.Request(
        f"{server}/v1/chat/completions", body.encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sent, timeout=60) as got:
        return str(json.load(got)["choices"][0]["message"]["content"]).strip()


@pytest.mark.parametrize("name", PROMPTS)
def test_the_llama_server_request_answers_like_eval(
    name: str, ours: dict[str, list[str]], server: str, urls: list[str]
) -> None:
    data = json.loads(rendered("llama-server", PROMPTS[name]))
    replies = []
    for url in urls:
        thought = say(server, data["first"], url) if "first" in data else ""
        reply = say(server, data["request"], url, thought)
        # the server repeats what was begun
        replies.append(re.split("Answer:|color:", reply)[-1].strip())
    share = agreement(ours[name], [data["answers"][reply] for reply in replies])
    print(f"llama-server export, {name}: {share:.1%} of {len(replies)} answers agree with eval")
    assert share >= LEAST_AGREEMENT[name]


@pytest.mark.parametrize("name", ["seed", "words", "role", "several"])
def test_the_promptfoo_request_answers_like_eval(
    name: str, ours: dict[str, list[str]], server: str, urls: list[str]
) -> None:
    """What promptfoo makes of its configuration: the messages, and `passthrough` beside them."""
    data = yaml.safe_load(rendered("promptfoo", PROMPTS[name]))
    config = data["providers"][0]["config"]
    words = json.loads(rendered("openai", PROMPTS[name]))["answers"]
    request = {
        "messages": json.loads(data["prompts"][0]),
        "temperature": config["temperature"],
        "max_tokens": config["max_tokens"],
        **config["passthrough"],
    }
    replies = [say(server, request, url) for url in urls]
    share = agreement(ours[name], [words[reply] for reply in replies])
    print(f"promptfoo export, {name}: {share:.1%} of {len(replies)} answers agree with eval")
    assert share >= LEAST_AGREEMENT[name]


@pytest.mark.skipif(not NODE, reason="no Node.js")
@pytest.mark.parametrize("name", ["described", "calibrated"])
def test_promptfoos_transform_compares_labels_as_eval_does(
    name: str, ours: dict[str, list[str]], server: str, urls: list[str], tmp_path: Path
) -> None:
    """Promptfoo runs the code as the body of a function of `output` and `context`."""
    data = yaml.safe_load(rendered("promptfoo", PROMPTS[name]))
    config = data["providers"][0]["config"]
    request = {
        "messages": json.loads(data["prompts"][0]),
        "temperature": config["temperature"],
        "max_tokens": config["max_tokens"],
        **({"stop": config["stop"]} if "stop" in config else {}),
        **config["passthrough"],
    }
    code = data["defaultTest"]["options"]["transform"].replace(SERVER, server)
    inputs = [{"output": say(server, request, url), "vars": {"image_1": url}} for url in urls]
    (tmp_path / "inputs.json").write_text(json.dumps([code, inputs]), encoding="utf-8")
    done = subprocess.run(
        [NODE, "-e", _RUN, str(tmp_path / "inputs.json")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert agreement(ours[name], json.loads(done.stdout)) == 1.0


@pytest.mark.parametrize("name", ["words", "role"])
def test_the_openai_request_answers_like_eval(
    name: str, ours: dict[str, list[str]], server: str, urls: list[str]
) -> None:
    """A schema restricts it to the words; what is compared comes after a quotation mark."""
    data = json.loads(rendered("openai", PROMPTS[name]))
    said = [json.loads(say(server, data["request"], url))["answer"] for url in urls]
    share = agreement(ours[name], [data["answers"][word] for word in said])
    print(f"openai export, {name}: {share:.1%} of {len(said)} answers agree with eval")
    assert share >= 0.5


def test_the_recipe_for_dspy_answers_like_eval(
    ours: dict[str, list[str]],
    server: str,
    examples: tuple[Example, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The code of docs/recipes.md, on a state that was exported. Checked with DSPy 3.4.1."""
    monkeypatch.setenv("DSPY_CACHEDIR", str(tmp_path / "cache"))
    pytest.importorskip("dspy")
    text = (TASK.parent.parent / "docs" / "recipes.md").read_text()
    (code,) = re.findall(r"```python\n(# idealprompt export.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("state.json").write_text(rendered("dspy", PROMPTS["words"]))
    code = code.replace("http://127.0.0.1:8080", server)
    for example, label in list(zip(examples, ours["words"], strict=True))[:3]:
        shutil.copy(example.images[0], "photo.jpg")
        exec(code, {})
        assert capsys.readouterr().out.split() == [label]
