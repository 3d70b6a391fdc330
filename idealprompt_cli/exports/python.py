"""A Python script on llama-cpp-python alone that answers for new inputs as eval does."""

from __future__ import annotations

import pprint
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..artifact import Artifact
from ..core.committee import REACH, Committee
from ..core.errors import UsageError
from ..core.prompt import Prompt
from ..evaluation.evaluator import REASONING_TOKENS
from ..prompts.rendering import begins, lead, prefill
from .base import answers, chat, field_names, max_tokens, stops, thinks, written_grammar

SCRIPT = Path(__file__).with_name("python_script.txt")


class Python:
    """Labels are compared by the log-probability of their beginnings, calibration included, so the
    script agrees with eval; the constants at its top are filled in here. It carries
    committees too."""

    name = "python"
    summary = "a script on llama-cpp-python alone, with the words mapped back to labels"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        if begins(prompt) and not artifact.labels:
            raise UsageError("--to python: the script cannot begin a written answer for the model")
        words = answers(artifact, prompt)
        asked = [_asked(artifact, prompt, words, bool(prompt.verbalisers))]
        return _script(artifact, prompt, asked, dict(prompt.calibration))

    def render_committee(self, artifact: Artifact, committee: Committee) -> str:
        members = committee.members
        asked = [
            _asked(artifact, one.prompt, {word: word for word in one.words}, one.own_words)
            for one in members
        ]
        weights = [
            {label: list(row) for label, row in member.weights.items()} for member in members
        ]
        return _script(artifact, members[0].prompt, asked, committee.biases, weights)


def _script(
    artifact: Artifact,
    prompt: Prompt,
    asked: Sequence[object],
    biases: Mapping[str, float],
    weights: Sequence[object] = (),
) -> str:
    title = f"{artifact.task.name}: a prompt that idealprompt adapted to {artifact.model.name}."
    constants = {
        "MODEL": artifact.model.path or "model.gguf",
        "MMPROJ": (artifact.model.mmproj or "mmproj.gguf") if artifact.task.images else "",
        "N_CTX": artifact.model.n_ctx or 4096,
        "IMAGES": artifact.task.images,
        "FIELDS": list(field_names(prompt)),
        "PROMPTS": list(asked),
        "BIASES": dict(biases),
        "WEIGHTS": list(weights),
        "REACH": REACH,
        "GRAMMAR": "" if artifact.labels else written_grammar(artifact, prompt),
        "THOUGHT_TOKENS": REASONING_TOKENS,
        "MAX_TOKENS": max_tokens(artifact, prompt),
        "STOP": stops(artifact, prompt),
    }
    script = SCRIPT.read_text(encoding="utf-8")
    head = " ".join(title.replace("\\", "/").replace('"', "'").split())
    script = script.replace("TITLE", head, 1)
    for name, value in constants.items():
        script = script.replace(f"{name} = ...", f"{name} = {_pretty(value)}", 1)
    return script.rstrip()


def _asked(
    artifact: Artifact, prompt: Prompt, words: Mapping[str, str], whole: bool
) -> dict[str, object]:
    start = prefill(prompt)
    return {
        "messages": [m for m in chat(artifact, prompt) if m["role"] != "assistant"],
        "answers": dict(words),
        "whole": whole,
        "start": start + lead(start),
        "thinks": thinks(artifact, prompt),
    }


def _pretty(value: object) -> str:
    return pprint.pformat(value, width=110, sort_dicts=False)
