"""A promptfoo configuration for a llama-server on this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..artifact import Artifact
from ..core.committee import REACH
from ..core.prompt import Prompt
from ..evaluation.evaluator import REASONING_TOKENS
from ..io.yaml import dump
from ..prompts.rendering import ANSWER_CUE, begins, lead, prefill
from .base import against_blank, answers, chat, field_names, grammar, max_tokens, thinks

SCORES = Path(__file__).with_name("promptfoo_scores.txt")
"""JavaScript that compares labels as `eval` does; the constants at its top are filled in here."""
SERVER = "http://127.0.0.1:8080"


class Promptfoo:
    """Promptfoo fills in the strings of a JSON prompt with Nunjucks, so its marks in the prompt's
    own text are escaped, closing ones too: a lone `#}` is an error.

    A greedy answer is eval's where the model is sure of a word. Where labels are calibrated, or a
    description comes first, a transform asks the server for the probabilities of the words."""

    name = "promptfoo"
    summary = "a configuration that asks a llama-server on this machine"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        pictures = {f"image_{n + 1}": "file://picture.jpg" for n in range(artifact.task.images)}
        names = _variables(prompt)
        label = next(iter(answers(artifact, prompt).values()), "the answer")
        messages = chat(artifact, prompt, field="{{{{ {name} }}}}", escape=_escaped)
        text = json.dumps(messages, ensure_ascii=False, indent=2)
        for name, variable in names.items():
            text = text.replace(json.dumps(f"{{{{ {name} }}}}")[1:-1], f"{{{{ {variable} }}}}")
        scored = _scored(artifact, prompt)
        data = {
            "description": f"{artifact.task.name}, adapted to {artifact.model.name}",
            "prompts": [text],
            "providers": [
                {"id": f"openai:chat:{artifact.model.name}", "config": _config(artifact, prompt)}
            ],
            "defaultTest": {
                "options": {
                    "transform": _scores(artifact, prompt) if scored else _word(artifact, prompt)
                },
                "assert": [{"type": "equals", "value": "{{expected}}"}],
            },
            "tests": [
                {
                    "vars": {
                        **pictures,
                        **{variable: name for name, variable in names.items()},
                        "expected": label,
                    }
                }
            ],
        }
        head = "# One entry of `tests` per example; `expected` is its label.\n"
        if scored:
            head += "# The address of the server is in two places: apiBaseUrl and SERVER.\n"
        return (head + dump(data)).rstrip()


def _scored(artifact: Artifact, prompt: Prompt) -> bool:
    """Whether labels are compared by their words' probabilities."""
    return bool(artifact.labels) and (thinks(artifact, prompt) or bool(prompt.calibration))


def _config(artifact: Artifact, prompt: Prompt) -> dict[str, Any]:
    """Of the provider: a request for the description, or else for the answer."""
    config: dict[str, Any] = {
        "apiBaseUrl": f"{SERVER}/v1",
        "apiKeyRequired": False,
        "temperature": 0,
    }
    greedy: dict[str, Any] = {"top_k": 1, "repeat_penalty": 1.0}
    if thinks(artifact, prompt):
        stop = ["\n", ANSWER_CUE.strip()]
        return config | {"max_tokens": REASONING_TOKENS, "stop": stop, "passthrough": greedy}
    config["max_tokens"] = max_tokens(artifact, prompt)
    rules = grammar(artifact, prompt)
    if rules:
        config["passthrough"] = {"grammar": rules, **greedy}
        if prompt.reasoning == "none":
            config["passthrough"] |= against_blank(artifact, prompt)
    return config


def _word(artifact: Artifact, prompt: Prompt) -> str:
    """JavaScript for the label of the answer: servers repeat what the prompt wrote of it."""
    start = prompt.answer_start if begins(prompt) else "Answer:"
    last = f"output.split({json.dumps(start)}).pop().trim()"
    words = {word: label for word, label in answers(artifact, prompt).items() if word != label}
    found = f"(word => ({json.dumps(words)})[word] ?? word)({last})" if words else last
    return f"typeof output === 'string' ? {found} : output"


def _scores(artifact: Artifact, prompt: Prompt) -> str:
    """JavaScript for the label whose words are the most probable."""
    start = prefill(prompt)
    messages = chat(artifact, prompt, image="image_{number}")
    constants = {
        "SERVER": SERVER,
        "MESSAGES": [message for message in messages if message["role"] != "assistant"],
        "FIELDS": _variables(prompt),
        "ANSWERS": answers(artifact, prompt),
        "BIASES": dict(prompt.calibration),
        "DESCRIBES": thinks(artifact, prompt),
        "START": start + lead(start),
        "WHOLE": bool(prompt.verbalisers),
        "REACH": REACH,
    }
    script = SCORES.read_text(encoding="utf-8")
    for name, value in constants.items():
        given = json.dumps(value, ensure_ascii=False)
        script = script.replace(f"const {name} = ...", f"const {name} = {given}", 1)
    return script


def _variables(prompt: Prompt) -> dict[str, str]:
    """A field's name -> that of its Nunjucks variable."""
    return {name: re.sub(r"\W", "_", name) for name in field_names(prompt)}


def _escaped(text: str) -> str:
    """Text that Nunjucks renders as it is."""
    return re.sub(r"\{[{%#]|[}%#]\}", lambda found: f"{{{{ '{found[0]}' }}}}", text)
