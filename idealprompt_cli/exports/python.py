"""A Python script on llama-cpp-python alone that answers for pictures."""

from __future__ import annotations

import pprint

from ..artifact import Artifact
from ..core.prompt import Prompt
from ..evaluation.evaluator import REASONING_TOKENS
from .base import answers, chat, max_tokens, stops, thinks, written_grammar

_SCRIPT = '''\
"""{title}

Usage: python THIS.py picture.jpg ...   (needs llama-cpp-python, numpy and pillow)
"""

import base64
import io
import json
import sys

import numpy as np
from llama_cpp import Llama, LlamaGrammar, LogitsProcessorList
from llama_cpp.llama_chat_format import MTMDChatHandler
from PIL import Image, ImageOps

MODEL = {model}
MMPROJ = {mmproj}
IMAGES = {images}  # pictures for one answer
MESSAGES = {messages}
# The words by which this model says each label.
ANSWERS = {answers}
# What a written answer may look like, in llama.cpp's notation; "" for anything.
GRAMMAR = {grammar}
THINKS = {thinks}


def load(model=MODEL, mmproj=MMPROJ, n_ctx={n_ctx}, gpu_layers=0, **options):
    handler = MTMDChatHandler(clip_model_path=mmproj, verbose=False, use_gpu=gpu_layers != 0)
    return Llama(
        model, chat_handler=handler, n_ctx=n_ctx, n_gpu_layers=gpu_layers, verbose=False, **options
    )


def url(path):
    """The picture as eval sees it: upright, RGB."""
    data = io.BytesIO()
    ImageOps.exif_transpose(Image.open(path)).convert("RGB").save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def only(llm, texts):
    """Allows the tokens of these texts and nothing else, as eval compares only them."""
    ways = [(*llm.tokenize(text.encode(), add_bos=False), llm.token_eos()) for text in texts]
    start = None

    def limit(tokens, scores):
        nonlocal start
        start = len(tokens) if start is None else start
        done = tuple(tokens[start:])
        allowed = [way[len(done)] for way in ways if way[: len(done)] == done and way != done]
        limited = np.full_like(scores, -np.inf)
        limited[..., allowed] = scores[..., allowed]
        return limited if allowed else scores

    return LogitsProcessorList([limit]), max(len(way) for way in ways)


def ask(llm, messages, max_tokens, stop=(), texts=(), grammar=""):
    """The model's words, one of `texts` if there are any, or as the grammar has them."""
    limit = None
    if texts:
        limit, max_tokens = only(llm, texts)
    reply = llm.create_chat_completion(
        messages,
        max_tokens=max_tokens,
        stop=list(stop),
        temperature=0,
        repeat_penalty=1.0,
        logits_processor=limit,
        grammar=LlamaGrammar.from_string(grammar, verbose=False) if grammar else None,
    )
    return reply["choices"][0]["message"]["content"].strip()


def answer(llm, *pictures):
    """The label of the picture(s) that belong together."""
    places = iter([url(path) for path in pictures])
    messages = []
    for message in MESSAGES:
        content = message["content"]
        if isinstance(content, list):
            content = [
                {{"type": "image_url", "image_url": {{"url": next(places)}}}}
                if part["type"] == "image_url"
                else part
                for part in content
            ]
        messages.append({{"role": message["role"], "content": content}})
    before = ""
    if THINKS:  # the model writes its thought first, then answers after it
        thought = ask(llm, messages, {thought_tokens}, ["\\n", "Answer:"])
        before = thought + "\\nAnswer: " if thought else ""
    word = ask(llm, messages, {max_tokens}, {stop}, [before + word for word in ANSWERS], GRAMMAR)
    word = word.rpartition("Answer:")[2].strip() if THINKS else word
    return ANSWERS.get(word, word)


if __name__ == "__main__":
    llm = load()
    for start in range(1, len(sys.argv), IMAGES):
        group = sys.argv[start : start + IMAGES]
        print(*group, answer(llm, *group), sep="\\t")
    llm.close()
'''


class Python:
    name = "python"
    summary = "a script on llama-cpp-python alone, with the words mapped back to labels"

    def render(self, artifact: Artifact, prompt: Prompt) -> str:
        thought = thinks(artifact, prompt)
        title = f"{artifact.task.name}: a prompt that idealprompt adapted to {artifact.model.name}."
        return _SCRIPT.format(
            title=" ".join(title.replace("\\", "/").replace('"', "'").split()),
            model=repr(artifact.model.path or "model.gguf"),
            mmproj=repr(artifact.model.mmproj or "mmproj.gguf"),
            images=artifact.task.images,
            messages=_pretty(chat(artifact, prompt)),
            answers=_pretty(answers(artifact, prompt)),
            grammar=_pretty("" if artifact.labels else written_grammar(artifact, prompt)),
            n_ctx=artifact.model.n_ctx or 4096,
            max_tokens=max_tokens(artifact, prompt),
            stop=stops(artifact, prompt),
            thinks=thought,
            thought_tokens=REASONING_TOKENS,
        ).rstrip()


def _pretty(value: object) -> str:
    return pprint.pformat(value, width=96, sort_dicts=False)
