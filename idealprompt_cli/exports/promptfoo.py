"""A promptfoo configuration for a llama-server on this machine."""

from __future__ import annotations

import json
import re
from typing import Any

from ..artifact import Artifact
from ..core.prompt import Prompt
from ..io.yaml import dump
from ..prompts.rendering import begins
from .base import against_blank, answers, chat, field_names, grammar, max_tokens


class Promptfoo:
    """Promptfoo fills in the strings of a JSON prompt with Nunjucks, so its marks in the prompt's
    own text are escaped, closing ones too: a lone `#}` is an error. A description that comes first
    is removed before the assertion."""

    name = "promptfoo"
    summary = "a configuration that asks a llama-server on this machine"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        config: dict[str, Any] = {
            "apiBaseUrl": "http://127.0.0.1:8080/v1",
            "apiKeyRequired": False,
            "temperature": 0,
            "max_tokens": max_tokens(artifact, prompt),
        }
        rules = grammar(artifact, prompt)
        if rules:
            config["passthrough"] = {"grammar": rules, "top_k": 1, "repeat_penalty": 1.0}
            if prompt.reasoning == "none":
                config["passthrough"] |= against_blank(artifact, prompt)
        pictures = {f"image_{n + 1}": "file://picture.jpg" for n in range(artifact.task.images)}
        names = {_variable(name): name for name in field_names(prompt)}
        word = next(iter(answers(artifact, prompt)), "the answer")
        messages = chat(artifact, prompt, field="{{{{ {name} }}}}", escape=_escaped)
        text = json.dumps(messages, ensure_ascii=False, indent=2)
        for variable, name in names.items():
            text = text.replace(json.dumps(f"{{{{ {name} }}}}")[1:-1], f"{{{{ {variable} }}}}")
        data = {
            "description": f"{artifact.task.name}, adapted to {artifact.model.name}",
            "prompts": [text],
            "providers": [{"id": f"openai:chat:{artifact.model.name}", "config": config}],
            "defaultTest": {
                "options": {"transform": _transform(prompt)},
                "assert": [{"type": "equals", "value": "{{expected}}"}],
            },
            "tests": [{"vars": {**pictures, **names, "expected": word}}],
        }
        words = answers(artifact, prompt).items()
        lines = [f"# {word} = {label}\n" for word, label in words if word != label]
        head = "# One entry of `tests` per picture; `expected` is the answer word.\n"
        return (head + "".join(lines) + dump(data)).rstrip()


def _transform(prompt: Prompt) -> str:
    """JavaScript for the answer alone: servers repeat what the prompt wrote of it."""
    start = prompt.answer_start if begins(prompt) else "Answer:"
    last = f"output.split({json.dumps(start)}).pop().trim()"
    return f"typeof output === 'string' ? {last} : output"


def _escaped(text: str) -> str:
    """Text that Nunjucks renders as it is."""
    return re.sub(r"\{[{%#]|[}%#]\}", lambda found: f"{{{{ '{found[0]}' }}}}", text)


def _variable(name: str) -> str:
    """A field's name as a Nunjucks variable."""
    return re.sub(r"\W", "_", name)
