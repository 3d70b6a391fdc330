"""Words of short texts, and which of them set one group of texts apart from another.

Pure functions on strings: the statistics behind label descriptions. Knows no model.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from ..core.task import Example

_WORD = re.compile(r"[^\W_]+(?:[-'][^\W_]+)*")
_PIECE = re.compile(_WORD.pattern + r"|[^\w\s]")
_NEGATIONS = frozenset({"no", "not", "without"})
# Words that carry grammar only. Others that are everywhere drop out by their frequency, so that
# descriptions in a language not listed here still work.
GRAMMAR = frozenset(
    (
        *("a", "an", "the", "this", "that", "it", "its", "there", "s"),
        *("of", "on", "in", "at", "to", "with", "by", "from", "for", "as", "into"),
        *("and", "or", "is", "are", "was", "were", "be", "been", "has", "have", "had"),
        *(
            "i",
            "you",
            "he",
            "she",
            "we",
            "they",
            "me",
            "him",
            "us",
            "them",
            "i'm",
            "you're",
            "it's",
        ),
        *("my", "your", "his", "her", "our", "their", "what", "which", "who", "how"),
        *("do", "does", "did", "can", "could", "will", "would", "may", "might"),
    )
)
_PRIOR_WEIGHT = 2.0
# A contrast below this z score is as likely to be chance as not.
MIN_Z = 1.0
MANY_TEXTS = 8


def terms(text: str) -> list[str]:
    """Content words of a text in order, lower case; "no watermark" is one term of its own."""
    return [term for term, _, _ in _placed(text)]


def _placed(text: str) -> list[tuple[str, int, int]]:
    """Terms with the places of their first and last word; a break in the sentence is a place."""
    words = [word.casefold() for word in _PIECE.findall(text)]
    found, skip = [], False
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        if skip:
            skip = False
        elif word in _NEGATIONS and _WORD.fullmatch(following):
            found.append((f"{word} {following}", place, place + 1))
            skip = True
        elif (
            word not in GRAMMAR and _WORD.fullmatch(word) and (len(word) > 1 or not word.isascii())
        ):
            found.append((word, place, place))
    return found


def features(text: str) -> set[str]:
    """Terms and pairs of adjacent terms: the features of a text. A pair with a
    word or a break between would be a fragment that nobody says."""
    found = _placed(text)
    pairs = {f"{a} {b}" for (a, _, end), (b, start, _) in pairwise(found) if start == end + 1}
    return {*(term for term, _, _ in found), *pairs}


def vocabulary(texts: Sequence[str], limit: int) -> list[str]:
    """Terms by the number of texts that hold them, most frequent first; those in nearly all of
    the texts carry no information and are left out, and of many texts those that only one holds:
    a small model invents words."""
    counts = Counter(term for text in texts for term in set(terms(text)))
    least = 2 if len(texts) >= MANY_TEXTS else 1
    known = [term for term, n in counts.items() if n >= least]
    common = [term for term in known if counts[term] < 0.95 * len(texts) or len(texts) < 3]
    return sorted(common, key=lambda term: (-counts[term], term))[:limit]


def contrast(inside: Iterable[str], outside: Iterable[str]) -> list[tuple[str, float]]:
    """Features that mark the texts `inside` against those `outside`, with their z scores.

    Weighted log-odds with an informative Dirichlet prior (Monroe, Colaresi & Quinn 2008, eqs. 15,
    16, 22), on the number of texts that hold a feature; the prior is their pooled frequency.
    Highest z first; only positive ones. A pair of words stays only if it is clearly more
    distinctive than either word alone.
    """
    left, right = [features(text) for text in inside], [features(text) for text in outside]
    if not left or not right:
        return []
    counts = Counter(f for text in left for f in text), Counter(f for text in right for f in text)
    pooled, total = counts[0] + counts[1], len(left) + len(right)
    scores = {
        feature: _log_odds(
            counts[0][feature], len(left), counts[1][feature], len(right), pooled[feature] / total
        )
        for feature in pooled
    }
    kept = {f: z for f, z in scores.items() if z > 0 and not _redundant(f, scores)}
    return sorted(kept.items(), key=lambda pair: (-pair[1], pair[0]))


def marking(
    texts: Mapping[str, str], examples: Sequence[Example], label: str, against: Collection[str]
) -> list[str]:
    """Features of the texts of `label`'s examples that mark them against other labels, the most
    distinctive first; empty if nothing separates them."""
    inside = [texts[e.id] for e in examples if e.answer == label]
    outside = [texts[e.id] for e in examples if e.answer in against and e.answer != label]
    return [phrase for phrase, z in contrast(inside, outside) if z >= MIN_Z]


def _log_odds(a: int, n: int, b: int, m: int, share: float) -> float:
    """z score of the difference in log-odds of a feature held by a of n and b of m texts."""
    yes, no = _PRIOR_WEIGHT * share, _PRIOR_WEIGHT * (1 - share) + 1e-9
    first = math.log((a + yes) / (n - a + no))
    second = math.log((b + yes) / (m - b + no))
    return (first - second) / math.sqrt(1 / (a + yes) + 1 / (b + yes))


def _redundant(feature: str, scores: dict[str, float]) -> bool:
    """A pair of terms whose better half does (nearly) as well."""
    words = feature.split()
    halves = [" ".join(words[:cut]) for cut in range(1, len(words))]
    halves += [" ".join(words[cut:]) for cut in range(1, len(words))]
    return any(scores.get(half, 0.0) > 0.8 * scores[feature] for half in halves)


def either(words: Sequence[str]) -> str:
    """ "a", "a or b", "a, b or c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"
