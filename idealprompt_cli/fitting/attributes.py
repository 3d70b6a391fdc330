"""Finds the attributes that a set of descriptions speaks of: red/green/blue, intact/scratched, ...

Nobody names them, and no label is looked at. Two words are values of one attribute when they occur
in the same places (between the same words) and never side by side in one clause: distributional
similarity (Harris 1954) under mutual exclusion, merged from the bottom up by average linkage. With
whole attributes in hand, what sets labels apart is one of a few hypotheses and not any of a hundred
words, so a value that was seen once can be put to use.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core.interfaces import Evidence
from .text_contrast import GRAMMAR

# Words are merged while the contexts of two groups are at least so alike (cosine).
ALIKE = 0.35
PASSES = 3
MAX_WORDS = 160
# An attribute is spoken of in at least so many of the texts.
COVERS = 0.6
_TOKEN = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*|[.,;:!?]")
_BREAKS = frozenset((*".,;:!?", "and", "with", "while", "but", "which", "that"))
_SIDES = ("left", "right", "top", "bottom", "front", "back", "first", "second")
_EDGE = "\n"
SAME, DIFFERENT = "same", "different"


@dataclass(frozen=True)
class Attribute:
    """Values that exclude each other; `which` of the mentions in a text counts ("first", "last",
    "only" where no text has two), and `where` a text says that it is ("on the right"). For "both"
    the value is whether the first and the last mention are the same."""

    values: tuple[str, ...]
    which: str = "only"
    where: str = ""

    def value(self, text: str) -> str:
        """The value that a text gives, "" for none."""
        found = [word for word in tokens(text) if word in self.values]
        if self.which == "both":
            return "" if len(found) < 2 else SAME if found[0] == found[-1] else DIFFERENT
        return "" if not found else found[-1 if self.which == "last" else 0]


@dataclass
class _Word:
    """The contexts of a word: its texts, its clauses, and the words around it by distance."""

    texts: set[int]
    clauses: set[tuple[int, int]]
    around: list[tuple[str, ...]]


def tokens(text: str) -> list[str]:
    """Lower-case words and punctuation marks."""
    return [token.casefold() for token in _TOKEN.findall(text)]


def attributes(evidence: Evidence) -> tuple[Attribute, ...]:
    """The attributes of the evidence's descriptions, found once."""
    return evidence.once("attributes", lambda: discover(list(evidence.descriptions().values())))


def discover(texts: Sequence[str]) -> tuple[Attribute, ...]:
    """Attributes with at least two values that most texts speak of; the best covered first."""
    words = _words(texts)
    names = sorted(words, key=lambda word: (-len(words[word].texts), word))[:MAX_WORDS]
    groups: list[list[str]] = []
    for _ in range(PASSES):
        groups = _merged(names, words, {w: f"#{i}" for i, g in enumerate(groups) for w in g})
    found = []
    for group in (part for whole in groups for part in _parted(whole, texts)):
        covered = len(set().union(*(words[word].texts for word in group)))
        if len(group) > 1 and covered >= COVERS * len(texts):
            found += [(covered, one) for one in _sided(tuple(group), texts)]
    return tuple(one for _, one in sorted(found, key=lambda pair: (-pair[0], pair[1].values)))


def _words(texts: Sequence[str]) -> dict[str, _Word]:
    """Content words that carry information: not in (nearly) all texts."""
    found: dict[str, _Word] = {}
    for number, text in enumerate(texts):
        flow = [_EDGE, _EDGE, *tokens(text), _EDGE, _EDGE]
        clause = 0
        for place in range(2, len(flow) - 2):
            word = flow[place]
            if word in _BREAKS:
                clause += 1
            elif word not in GRAMMAR and (len(word) > 1 or not word.isascii()):
                seen = found.setdefault(word, _Word(set(), set(), []))
                seen.texts.add(number)
                seen.clauses.add((number, clause))
                seen.around.append(
                    (flow[place - 2], flow[place - 1], flow[place + 1], flow[place + 2])
                )
    limit = max(2, round(0.9 * len(texts)))
    return {word: seen for word, seen in found.items() if len(seen.texts) < limit}


def _merged(
    names: Sequence[str], words: dict[str, _Word], known: dict[str, str]
) -> list[list[str]]:
    """Groups of at least two words by average linkage; `known` words stand for their group when
    they are the context of another."""
    vectors, clauses, texts = _tables(names, words, known)
    groups = [[name] for name in names]
    alive = np.ones(len(names), dtype=bool)
    if not len(names):
        return []
    while True:
        norms = np.sqrt((vectors**2).sum(axis=1))
        alike = (vectors @ vectors.T) / np.maximum(np.outer(norms, norms), 1e-9)
        sizes = texts.sum(axis=1)
        both = (texts @ texts.T) / np.maximum(np.minimum.outer(sizes, sizes), 1.0)
        alike = np.where((clauses @ clauses.T) > 0, -1.0, alike * (1.0 - 0.5 * both))
        alike[~alive, :] = alike[:, ~alive] = -1.0
        np.fill_diagonal(alike, -1.0)
        one, two = np.unravel_index(int(alike.argmax()), alike.shape)
        if alike[one, two] < ALIKE:
            return [group for group, kept in zip(groups, alive, strict=True) if kept and group[1:]]
        for table in (vectors, clauses, texts):
            table[one] += table[two]
        np.minimum(texts, 1.0, out=texts)
        groups[one] += groups[two]
        alive[two] = False


def _tables(
    names: Sequence[str], words: dict[str, _Word], known: dict[str, str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per word: counts of the words around it, its clauses, its texts (0/1)."""
    contexts = [_contexts(words[name], known) for name in names]
    keys = {key: i for i, key in enumerate(sorted({k for c in contexts for k in c}))}
    places = {c: i for i, c in enumerate(sorted({c for n in names for c in words[n].clauses}))}
    count = 1 + max((t for n in names for t in words[n].texts), default=0)
    vectors = np.zeros((len(names), len(keys)))
    clauses, texts = np.zeros((len(names), len(places))), np.zeros((len(names), count))
    for row, name in enumerate(names):
        for key, weight in contexts[row].items():
            vectors[row, keys[key]] = weight
        clauses[row, [places[clause] for clause in words[name].clauses]] = 1.0
        texts[row, list(words[name].texts)] = 1.0
    return vectors, clauses, texts


def _contexts(word: _Word, known: dict[str, str]) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for around in word.around:
        for place, other in enumerate(around):
            # The neighbours count twice as much as the words behind them.
            found[place, known.get(other, other)] += 2 if place in (1, 2) else 1
    return found


def _parted(group: list[str], texts: Sequence[str]) -> list[list[str]]:
    """The group, or two of it where one half of its words always comes before the other: those
    are two attributes that are named one after the other, and not one of two things."""
    first, last = Counter[str](), Counter[str]()
    for text in texts:
        found = [word for word in tokens(text) if word in group]
        if len(found) > 1:
            first[found[0]] += 1
            last[found[-1]] += 1
    early = [word for word in group if first[word] > last[word]]
    late = [word for word in group if word not in early]
    strays = sum(min(first[word], last[word]) for word in group)
    if not early or not late or sum(first.values()) < 0.5 * len(texts):
        return [group]
    return [early, late] if strays <= 0.1 * sum(first.values()) else [group]


def _sided(values: tuple[str, ...], texts: Sequence[str]) -> list[Attribute]:
    """The attribute, or where many texts give two values, the first and the last of them."""
    given = [[w for w in tokens(text) if w in values] for text in texts]
    several = sum(len(set(found)) > 1 for found in given)
    if several < 0.3 * len(texts):
        return [Attribute(values)]
    sides = [Attribute(values, which, _where(values, which, texts)) for which in ("first", "last")]
    return [*sides, Attribute(values, "both")]


def _where(values: tuple[str, ...], which: str, texts: Sequence[str]) -> str:
    """How most texts say where the first or last mention is: "on the right", or ""."""
    sides: Counter[str] = Counter()
    for text in texts:
        flow = tokens(text)
        places = [i for i, word in enumerate(flow) if word in values]
        if places:
            start = places[-1 if which == "last" else 0]
            near = [word for word in flow[start : start + 8] if word in _SIDES]
            sides.update(near[:1])
    side, count = sides.most_common(1)[0] if sides else ("", 0)
    return f"on the {side}" if count >= 0.5 * len(texts) else ""
