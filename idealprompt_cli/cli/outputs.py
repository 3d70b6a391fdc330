"""Which files an output may replace: those that this program wrote.

Every kind of output is recognised by its own mark. Exports and texts have none, because other tools
read them: for these, a text is replaced that is none of the other kinds.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..core.errors import ArtifactError, IdealPromptError
from ..io.files import Recognise, check_writable
from ..storage.cache_file import MAGIC

_SCHEMA = re.compile(rb"^(schema:|# An adapted prompt, written by idealprompt)", re.MULTILINE)
_PRIORS = b'"schema": "idealprompt-priors"'
_JOURNAL = b'{"kind": "header"'
CORPUS = b'{"kind": "header", "corpus": '
GENERATOR = b'<meta name="generator" content="idealprompt">'


def is_artifact(head: bytes) -> bool:
    return bool(_SCHEMA.search(head))


def is_page(head: bytes) -> bool:
    return GENERATOR in head


def is_drawing(head: bytes) -> bool:
    """Images of `report --png`, which name their maker."""
    return head.startswith(b"\x89PNG") and b"idealprompt" in head


def is_answers(head: bytes) -> bool:
    """Lines of `predict -o`, of which the first may be cut off."""
    return head.startswith((b'{"image": ', b'{"row": ', b'{"input": '))


def is_rows(head: bytes) -> bool:
    """Lines of `eval --jsonl`."""
    return head.startswith(b'{"id": ')


def is_corpus(head: bytes) -> bool:
    """Lines of `synth`, of which the first may be cut off."""
    return head.startswith(CORPUS)


def is_text(head: bytes) -> bool:
    """Text that is neither an artifact nor another file of a run."""
    others = is_artifact(head) or _PRIORS in head or head.startswith((_JOURNAL, MAGIC))
    return not others and b"\0" not in head


def check_target(
    target: str, ours: Recognise, what: str, error: type[IdealPromptError] = ArtifactError
) -> None:
    """Raise `error` for a file that cannot be written, or that is there and is not `ours`; nothing
    for standard output."""
    if target not in ("", "-"):
        check_writable(Path(target), error, ours, what)
