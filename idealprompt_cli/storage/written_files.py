"""Outputs, and which existing files they may replace: those that this program wrote.

A kind of file that can carry a mark is recognised by it. A text that another tool reads as it is
carries none: the cache folder keeps the digests of those that were written, and one is replaced
only where it is still as it was written. A user may ask to replace any file.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import ArtifactError, IdealPromptError
from ..io.files import (
    PRIVATE,
    append_text,
    check_writable,
    is_regular,
    open_file,
    read_bytes,
    reason,
    write_bytes,
    write_text,
)
from ..io.folders import user_cache_dir
from .cache_file import MAGIC

Recognise = Callable[[bytes], bool]
"""Whether the first bytes of a file are those of a kind of file that this program writes."""
HEAD = 1 << 16
CORPUS = b'{"kind": "header", "corpus": '
GENERATOR = b'<meta name="generator" content="idealprompt">'
RECORD = "written.txt"
"""The file of the digests, in the cache folder."""
MARK = "idealprompt: digests of the texts that were written"
"""Its first line."""
MOST = 1 << 20
"""Its size from which on the older half of it is dropped."""
FORCE = "name another file, or give --force to replace it"
MOVE = "name another file, or move it away"

_HEADER = b"# An adapted prompt, written by idealprompt."
_SCHEMA = re.compile(rb"(?:\xef\xbb\xbf)?(?:(?:#.*|---.*|\s*)\n)*schema: \d+\s")
_ANSWER_KEYS = {"image", "row", "input"}


@dataclass(frozen=True)
class Target:
    """Where an output goes: a file, or nowhere and stdout ("" and "-"). `what` names what it may
    replace, which `ours` recognises (None: a text without a mark)."""

    name: str
    what: str
    ours: Recognise | None
    force: bool = False
    fix: str = FORCE
    error: type[IdealPromptError] = ArtifactError

    @property
    def is_file(self) -> bool:
        return self.name not in ("", "-")

    def check(self) -> None:
        """Raise now what `write` would raise after hours of work, as far as can be known."""
        if self.is_file:
            check_writable(Path(self.name), self.error)
            if self.ours is not None:
                self._check_replaceable(self.ours)

    def write(self, data: str | bytes, mode: int | None = None) -> None:
        """Write a whole file, unless a foreign one is there by now. Raises `error`."""
        path = Path(self.name)
        content = data.encode("utf-8") if isinstance(data, str) else data
        self._check_replaceable(self.ours or (lambda head: _written_before(path, head, content)))
        if self.ours is None:
            _remember(content)
        if isinstance(data, str):
            write_text(path, data, self.error, mode)
        else:
            write_bytes(path, data, self.error, mode)

    def _check_replaceable(self, ours: Recognise) -> None:
        path = Path(self.name)
        if self.force or not is_regular(path):
            return
        try:
            with open_file(path) as file:
                head = file.read(HEAD)
        except OSError as problem:
            raise self.error(f"{path}: cannot be read ({reason(problem)}): {self.fix}") from None
        if head and not ours(head):
            raise self.error(
                f"{path}: is there already and is {kind_of(head)}, not {self.what}, so it is not "
                f"overwritten: {self.fix}"
            )


# --- by mark --------------------------------------------------------------------------------------


def is_artifact(head: bytes) -> bool:
    """A file with our first line, or (rewritten by another tool) with our first keys."""
    named = all(re.search(rb"^%b:" % key, head, re.MULTILINE) for key in (b"task", b"model"))
    return _HEADER in head[:200] or (named and _SCHEMA.match(head) is not None)


def is_page(head: bytes) -> bool:
    return GENERATOR in head


def is_drawing(head: bytes) -> bool:
    """Images of `report --png`, which name their maker."""
    return head.startswith(b"\x89PNG") and b"idealprompt" in head


def is_answers(head: bytes) -> bool:
    """Lines of `predict -o`, of which the first may be cut off."""
    first, end, _ = head.partition(b"\n")
    line = _object(first)
    if line:
        return bool(line.keys() & _ANSWER_KEYS) and bool(line.keys() & {"seconds", "error"})
    return not end and head.startswith((b'{"image": ', b'{"row": ', b'{"input": '))


def is_rows(head: bytes) -> bool:
    """Lines of `eval --jsonl`, of which the first may be longer than the head."""
    first = head.partition(b"\n")[0]
    return first.startswith(b'{"id": ') and b'"gold": ' in first and b'"predicted": ' in first


def is_corpus(head: bytes) -> bool:
    """Lines of `synth`, of which the first may be cut off."""
    return head.startswith(CORPUS) or CORPUS.startswith(head)


def is_priors(head: bytes) -> bool:
    return b'"schema": "idealprompt-priors"' in head[:200]


def _object(line: bytes) -> dict[str, object]:
    """A JSON object; an empty one for what is none."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def kind_of(head: bytes) -> str:
    """What a file is, in words."""
    known = (name for is_one, name in _KINDS if is_one(head))
    return next(known, "a binary file" if b"\0" in head else "another text")


_KINDS: tuple[tuple[Recognise, str], ...] = (
    (is_artifact, "an adapted prompt"),
    (is_page, "the page of a report"),
    (is_drawing, "a drawing of a report"),
    (is_priors, "a file of priors"),
    (is_corpus, "a corpus of synth"),
    (lambda head: head.startswith(b'{"kind": "header"'), "the journal of a run"),
    (lambda head: head.startswith(MAGIC), "a database"),
    (is_rows, "a file of eval --jsonl"),
    (lambda head: b"\n" in head and is_answers(head), "a file of predict's answers"),
)


# --- by digest ------------------------------------------------------------------------------------


def _written_before(path: Path, head: bytes, content: bytes) -> bool:
    """Whether a file is as it was once written, or as it will be."""
    data = head if len(head) < HEAD else read_bytes(path, ArtifactError)
    return data == content or _digest(data) in _record()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _record() -> list[str]:
    """The digests of the texts that were written; none where no record is kept."""
    with contextlib.suppress(IdealPromptError):
        text = read_bytes(user_cache_dir() / RECORD, ArtifactError, 4 * MOST)
        mark, *digests = text.decode("ascii", "replace").split("\n")
        return digests if mark == MARK else []
    return []


def _remember(content: bytes) -> None:
    """Keep the digest of a text before it is written. What cannot be kept is not: the text has to
    be replaced with --force then."""
    digest, known = _digest(content), _record()
    if digest in known:
        return
    with contextlib.suppress(IdealPromptError, OSError):
        path = user_cache_dir() / RECORD
        if not known or len(known) * (len(digest) + 1) > MOST:
            if path.exists() and not known:
                return  # not ours
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            rows = [MARK, *known[len(known) // 2 :]] if known else [MARK, ""]
            write_text(path, "\n".join(rows), ArtifactError, PRIVATE)
        append_text(path, f"{digest}\n", ArtifactError)
