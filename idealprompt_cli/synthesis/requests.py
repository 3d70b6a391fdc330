"""What the model is asked at each node of a tree, and what is taken from its texts.

Engines are greedy, so siblings differ by how their text must begin: topics by their first letter (a
grammar), questions by their first words. The path of a node is `FieldText`, which the llama.cpp
engine keeps in its prefix cache, so that all requests on a node share it.
"""

from __future__ import annotations

import re
from random import Random

from ..core.prompt import Content, FieldText, Message
from ..core.requests import GenerateRequest
from .corpus import Topic

LETTERS = "ABCDEFGHILMNOPRSTVW"
STARTS = (
    "What is", "How does", "Why do", "Which", "Can", "When", "Where", "Who", "What", "How", "Why",
    "Does", "Are", "Is", "What happens", "How can",
)  # fmt: skip
MOST = len(STARTS)
"""The most children of a node."""
_TOPIC_TOKENS, _QUESTION_TOKENS = 12, 32
_UNUSABLE = re.compile(r"[.!:;,]$|[.!] |\bthis (topic|question)\b", re.IGNORECASE)
_NUMBER = re.compile(r"^\s*(?:\d+[.)]|[-*])\s*")


def shuffled(seed: int, path: Topic, of: str, values: tuple[str, ...]) -> list[str]:
    """The values in the order that the seed gives a node."""
    return Random(f"{seed} {of} {' > '.join(path)}").sample(values, len(values))


def topics_request(path: Topic, branch: int, seed: int) -> GenerateRequest:
    """Ask for `branch` narrower topics, each with another first letter."""
    letters = sorted(shuffled(seed, path, "topics", tuple(LETTERS))[:branch])
    text: Content = (f"List {branch} broad fields of human knowledge.",)
    if path:
        text = (_shown(path), f"\nList {branch} topics within {path[-1]}.")
    lines = ' "\\n" '.join(f'"{n}. {letter}" name' for n, letter in enumerate(letters, 1))
    words = 'word (" " word)? (" " word)?'
    grammar = f"root ::= {lines}\nname ::= {words}\nword ::= [A-Za-z] [a-z]{{1,15}}\n"
    message = Message("user", text)
    return GenerateRequest((message,), max_tokens=_TOPIC_TOKENS * branch, grammar=grammar)


def parse_topics(text: str) -> tuple[str, ...]:
    """The topics in a list, a line each."""
    names = (_NUMBER.sub("", line).strip(" .:,") for line in text.splitlines())
    return tuple(name for name in names if len(name) > 2)


def question_request(path: Topic, start: str) -> GenerateRequest:
    """Ask for a question on a topic that begins with some words."""
    message = Message("user", (_shown(path), "\nWrite one question about this topic."))
    return GenerateRequest((message,), max_tokens=_QUESTION_TOKENS, stop=("\n", "?"), prefill=start)


def parse_question(start: str, text: str, finish: str) -> str:
    """The question, or "" for a text that is none: cut off, of fewer than four words or of more
    than one sentence, or about the request itself."""
    whole = " ".join(f"{start}{text}".split())
    usable = finish == "stop" and len(whole.split()) > 3 and not _UNUSABLE.search(whole)
    return f"{whole}?" if usable else ""


def answer_request(question: str, max_tokens: int, system: str = "") -> GenerateRequest:
    """Ask a question, with a system message or as the model is."""
    return GenerateRequest(asked(question, system), max_tokens=max_tokens)


def asked(question: str, system: str = "") -> tuple[Message, ...]:
    """The chat of a question."""
    before = (Message("system", (system,)),) if system else ()
    return (*before, Message("user", (question,)))


def same_words(text: str) -> str:
    """What texts have in common that differ in case and marks alone."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def _shown(path: Topic) -> FieldText:
    return FieldText(f"Topic: {' > '.join(path)}")
