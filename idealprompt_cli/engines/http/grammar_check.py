"""Whether a text is what a GBNF grammar allows, for servers that support no grammars.

The notation is that of llama.cpp (rules, literals, classes, groups, repetition); tokens by name
are not supported. Texts are answers of a few hundred characters, so a recursive matcher
with memoisation is fast enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ...core.errors import ModelError

_TOKEN = re.compile(
    r"""\s+|\#[^\n]*
    |(?P<rule>[A-Za-z][\w-]*)\s*::=
    |(?P<name>[A-Za-z][\w-]*)
    |(?P<text>"(?:\\.|[^"\\])*")
    |(?P<set>\[(?:\\.|[^\]\\])*\])
    |(?P<count>\{\s*\d+\s*(?:,\s*\d*\s*)?\})
    |(?P<sign>[().|*+?])""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_COUNTS = {"*": (0, None), "+": (1, None), "?": (0, 1)}


@dataclass(frozen=True)
class Chars:
    """One character: inside (or outside) the ranges."""

    ranges: tuple[tuple[str, str], ...]
    outside: bool = False


@dataclass(frozen=True)
class Name:
    """Another rule."""

    rule: str


@dataclass(frozen=True)
class Sequence:
    """Parts one after another."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """Any one of these."""

    options: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """`least` to `most` times (None: without end)."""

    part: Node
    least: int
    most: int | None


Node = Chars | Name | Sequence | Choice | Repeat


def longest(grammar: str, text: str) -> str | None:
    """The longest beginning of `text` that is a whole sentence of the grammar; None if none is.
    Raises `ModelError` for a grammar that cannot be read."""
    ends = _Match(_parse(grammar), text).ends(Name("root"), 0)
    return text[: max(ends)] if ends else None


class _Match:
    """Where parts can end in one text."""

    def __init__(self, rules: dict[str, Node], text: str) -> None:
        self._rules, self._text = rules, text
        self._known: dict[tuple[int, int], frozenset[int]] = {}

    def ends(self, node: Node, start: int) -> frozenset[int]:
        key = (id(node) if not isinstance(node, Name) else hash(node), start)
        if key not in self._known:
            self._known[key] = frozenset()  # a rule that begins with itself ends here
            self._known[key] = self._find(node, start)
        return self._known[key]

    def _find(self, node: Node, start: int) -> frozenset[int]:
        match node:
            case Chars():
                found = start < len(self._text) and _fits(node, self._text[start])
                return frozenset({start + 1}) if found else frozenset()
            case Name():
                return self.ends(self._rules[node.rule], start)
            case Sequence():
                return self._follow(node, start)
            case Choice():
                return frozenset().union(*(self.ends(one, start) for one in node.options))
            case Repeat():
                return self._again(node, start)

    def _follow(self, node: Sequence, start: int) -> frozenset[int]:
        here = frozenset({start})
        for part in node.parts:
            here = frozenset().union(*(self.ends(part, at) for at in here))
        return here

    def _again(self, node: Repeat, start: int) -> frozenset[int]:
        here, count = {start}, 0
        found: set[int] = set()
        while here and (node.most is None or count <= node.most):
            if count >= node.least:
                here -= found
                found |= here
            here = set().union(*(self.ends(node.part, at) for at in here))
            count += 1
        return frozenset(found)


def _fits(node: Chars, letter: str) -> bool:
    return node.outside != any(low <= letter <= high for low, high in node.ranges)


@lru_cache(maxsize=32)
def _parse(grammar: str) -> dict[str, Node]:
    rules: dict[str, Node] = {}
    words = _words(grammar)
    while words:
        kind, value = words.pop(0)
        if kind != "rule":
            raise ModelError(f"the grammar is not valid GBNF: {value!r} is outside a rule")
        rules[value] = _choice(words)
    for missing in {"root", *_named(rules)} - set(rules):
        raise ModelError(f"the grammar is not valid GBNF: it has no rule {missing!r}")
    return rules


def _words(grammar: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(grammar):
        match = _TOKEN.match(grammar, at)
        if match is None:
            raise ModelError(f"the grammar is not valid GBNF near {grammar[at : at + 20]!r}")
        if match.lastgroup:
            found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _choice(words: list[tuple[str, str]]) -> Node:
    options = [_sequence(words)]
    while words and words[0] == ("sign", "|"):
        words.pop(0)
        options.append(_sequence(words))
    return options[0] if len(options) == 1 else Choice(tuple(options))


def _sequence(words: list[tuple[str, str]]) -> Node:
    parts: list[Node] = []
    while words and words[0][0] != "rule" and words[0] not in (("sign", "|"), ("sign", ")")):
        kind, value = words.pop(0)
        if kind == "count" or value in _COUNTS:
            parts.append(_repeat(parts, value))
        else:
            parts.append(_part(kind, value, words))
    return Sequence(tuple(parts))


def _part(kind: str, value: str, words: list[tuple[str, str]]) -> Node:
    if kind == "name":
        return Name(value)
    if kind == "text":
        letters = _letters(value[1:-1])
        return Sequence(tuple(Chars(((letter, letter),)) for letter, _ in letters))
    if kind == "set":
        return _set(value[1:-1])
    if value == ".":
        return Chars((), outside=True)
    if value == "(":
        inner = _choice(words)
        if words and words.pop(0) == ("sign", ")"):
            return inner
    raise ModelError("the grammar is not valid GBNF: a bracket has no partner")


def _repeat(parts: list[Node], value: str) -> Node:
    if not parts:
        raise ModelError(f"the grammar is not valid GBNF: nothing precedes {value!r}")
    if value in _COUNTS:
        least, most = _COUNTS[value]
        return Repeat(parts.pop(), least, most)
    low, comma, high = value.strip("{} ").partition(",")
    end = int(high) if high.strip() else (None if comma else int(low))
    return Repeat(parts.pop(), int(low), end)


def _set(body: str) -> Chars:
    outside = body.startswith("^")
    letters = _letters(body[outside:])
    ranges: list[tuple[str, str]] = []
    while letters:
        low, _ = letters.pop(0)
        if len(letters) > 1 and letters[0] == ("-", False):
            letters.pop(0)
            ranges.append((low, letters.pop(0)[0]))
        else:
            ranges.append((low, low))
    return Chars(tuple(ranges), outside)


def _letters(body: str) -> list[tuple[str, bool]]:
    """Characters with their escapes resolved, and whether each was escaped."""
    pattern = re.compile(r"\\x([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})|\\(.)|(.)", re.DOTALL)
    found = []
    for match in pattern.finditer(body):
        code = match[1] or match[2]
        if code:
            found.append((chr(int(code, 16)), True))
        elif match[3]:
            found.append((_ESCAPES.get(match[3], match[3]), True))
        else:
            found.append((match[4], False))
    return found


def _named(rules: dict[str, Node]) -> set[str]:
    """Every rule that is referred to."""
    names, waiting = set(), list(rules.values())
    while waiting:
        node = waiting.pop()
        match node:
            case Name():
                names.add(node.rule)
            case Sequence():
                waiting.extend(node.parts)
            case Choice():
                waiting.extend(node.options)
            case Repeat():
                waiting.append(node.part)
    return names
