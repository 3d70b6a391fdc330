"""Damaged versions of valid files: bytes, lines, and values inside YAML, JSON and CSV."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

NASTY: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 1e308, float("nan"), float("inf"), "", " ", "\x00", "\x1b[2J\x07",
    "a" * 5000, "../../x", "/dev/zero", "/", ".", "{title}", "{", "}}", "[x]", ";", "\u202e\ufeff",
    "\ud7ff", "e\u0301", [], {}, [[]], [None], {"": ""}, {"x": {"y": [1]}}, "nan",
    "!!python/object",
    "&a [*a]", "=cmd", "0x10", "1_000", "2026-11-28", "yes", "~",
)  # fmt: skip
TOKENS = (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b'"', b"'", b"\t", b": ", b"- ",
          b"&a *a", b"<<: *a", b"%YAML 9", b"{{", b"{%", b"%}", b"]" * 50, b"[" * 3000,
          b"\xf0\x9f\x92\xa9", b"9" * 400, b"-1", b"../")  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    """`data` after one to four random changes of its bytes."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_BYTES)(data, rng)
    return data


def _flip(data: bytes, rng: random.Random) -> bytes:
    if not data:
        return b"\x00"
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.randint(1, 40) :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.choice(TOKENS) + data[place:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    part = data[start : start + rng.randint(1, 200)]
    return data[:start] + part * rng.randint(2, 20) + data[start:]


def _number(data: bytes, rng: random.Random) -> bytes:
    """Eight bytes that a binary header may read as a count or a length."""
    place = rng.randrange(max(1, min(len(data), 4096)))
    value = rng.choice((0, 1, 2**31 - 1, 2**32, 2**62, 2**64 - 1, 1_000_000))
    return data[:place] + value.to_bytes(8, "little") + data[place + 8 :]


def _lines(data: bytes, rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines)


_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _flip, _cut, _drop, _insert, _insert, _repeat, _number, _lines,
)  # fmt: skip


def with_nasty_value(value: Any, rng: random.Random) -> Any:
    """A copy of plain data with one value replaced, removed, or put under a misspelt key."""
    places = list(_places(value))
    if not places:
        return rng.choice(NASTY)
    path = rng.choice(places)
    return _changed(value, path, rng)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


def _changed(value: Any, path: tuple[Any, ...], rng: random.Random) -> Any:
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[key] = _changed(value[key], tuple(rest), rng)
    elif rng.random() < 0.15:
        del copy[key]
    elif isinstance(copy, dict) and rng.random() < 0.15:
        copy[f"{key}x"] = copy.pop(key)
    else:
        copy[key] = rng.choice(NASTY)
    return copy


def json_text(value: Any) -> bytes:
    """JSON that may hold what strict JSON does not (NaN), as careless programs write it."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
