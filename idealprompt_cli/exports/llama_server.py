"""A request for llama-server's /v1/chat/completions that allows only the answer words."""

from __future__ import annotations

import json
from typing import Any

from ..artifact import Artifact
from ..core.prompt import Prompt
from ..evaluation.evaluator import REASONING_TOKENS
from ..prompts.rendering import ANSWER_CUE, lead, prefill
from .base import against_blank, answers, choices, grammar, thinks
from .openai import request

_GREEDY = {"top_k": 1, "repeat_penalty": 1.0}


class LlamaServer:
    """Where the model describes first, `first` is sent before `request`, whose last message starts
    the answer: replace {{thought}} in it by the reply to `first`. The server repeats that start:
    the word is what comes after the last "Answer:"."""

    name = "llama-server"
    summary = "a chat request with a grammar of the answers and the sampling that eval uses"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        body = request(artifact, prompt) | _GREEDY
        data: dict[str, Any] = {"request": body, "answers": answers(artifact, prompt)}
        if thinks(artifact, prompt):
            stop = ["\n", "Answer:"]
            data = {"first": {**body, "stop": stop, "max_tokens": REASONING_TOKENS}, **data}
            started = {"role": "assistant", "content": "{{thought}}" + ANSWER_CUE}
            body["messages"] = [*body["messages"], started]
        if artifact.labels:
            spaced = thinks(artifact, prompt) or lead(prefill(prompt))
            blank = '" "' if spaced else '" "?'  # as eval has it
            body["grammar"] = f"root ::= {blank} answer\n{choices(artifact, prompt)}"
            body |= against_blank(artifact, prompt)
        elif rules := grammar(artifact, prompt):
            body["grammar"] = rules
        return json.dumps(data, ensure_ascii=False, indent=2)
