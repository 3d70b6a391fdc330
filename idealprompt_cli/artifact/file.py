"""YAML text <-> `Artifact`: reading with errors that name file and line, writing with comments."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from ..core.errors import ArtifactError
from ..io.files import read_text
from ..io.validation import validated
from ..io.yaml import MAX_BYTES, Section, parse
from ..io.yaml import dump as dump_yaml
from .content import SCHEMA, Artifact

_ADAPTER = TypeAdapter(Artifact)
_COMMENTS = {
    "schema": "An adapted prompt, written by idealprompt. `prompt` is what eval and predict use.",
    "task": "What is asked about which examples.",
    "model": "The model that the prompt was adapted to.",
    "prompt": "The winning prompt in its parts.",
    "messages": "The same prompt as chat messages, for other tools.",
    "labels": "The possible answers.",
    "verbalisers": "The words by which the model says each label.",
    "scores": "The metric with its 95 % interval. selection: the examples that the search chose by,"
    " so the winner's score is optimistic. test: examples that it never saw."
    " majority: what always answering the commonest training label scores."
    " probe: a linear classifier on the model's image embeddings, cross-validated in selection.",
    "cost": "One evaluation is one prompt on one example.",
    "trail": "The edits that led from the seed prompt to the winner.",
    "baseline_name": "What the winner is compared with.",
    "committee": "Prompts that answer together (--use committee). A label's score: its bias, plus"
    " the log-probability of each word (at most 15 below the best word's) times its weight."
    " evaluations, tokens: what an answer takes.",
    "boxes": "The scores of both prompts on each box of a federation.",
    "front": "Score against time: prompts that none beats in score at fewer tokens. seconds: an"
    " answer about a new example.",
}
_OMITTED_WHEN_EMPTY = ("options", "fields", "max_tokens")


def read_artifact(source: str) -> Artifact:
    """The artifact in a file, or on stdin for "-". Raises `ArtifactError`."""
    if source == "-":
        return load(_stdin(), "<stdin>")
    path = Path(source)
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder: name the YAML file that search wrote")
    return load(read_text(path, ArtifactError, MAX_BYTES), source)


def _stdin() -> str:
    if sys.stdin.isatty():
        raise ArtifactError("<stdin>: is a terminal: pipe a YAML file in, or name one")
    try:
        text = sys.stdin.read(MAX_BYTES + 1)
    except UnicodeDecodeError:
        raise ArtifactError("<stdin>: is not UTF-8 text: pipe a YAML file in") from None
    if len(text) > MAX_BYTES:
        raise ArtifactError(f"<stdin>: is larger than {MAX_BYTES} bytes: no prompt is that large")
    if not text.strip():
        raise ArtifactError("<stdin>: is empty: the command before the pipe wrote no prompt")
    return text


def load(text: str, source: str) -> Artifact:
    """The artifact in a YAML text; `source` names it in messages. Raises `ArtifactError`."""
    top = parse(text, source, ArtifactError)
    _check_schema(top)
    return validated(_ADAPTER, top)


def _check_schema(top: Section) -> None:
    if "schema" not in top:
        raise top.fail("", "has no schema key: this is not a file that idealprompt search wrote")
    if top.text("schema") != str(SCHEMA):
        found = top.text("schema")
        raise top.fail(
            "schema", f"is {found}: this version reads {SCHEMA}: run search again, or update"
        )


def to_data(artifact: Artifact) -> dict[str, Any]:
    """Plain data in the order of the file; the keys are the file's schema."""
    data: dict[str, Any] = _ADAPTER.dump_python(artifact, mode="json", by_alias=True)
    for key in _OMITTED_WHEN_EMPTY:
        if not data["task"][key]:
            del data["task"][key]
    if data["scores"]["majority"] is None:
        del data["scores"]["majority"]
    if data["scores"]["probe"] is None:
        del data["scores"]["probe"]
    if data["committee"] is None:
        del data["committee"]
    for key in ("boxes", "front"):
        if not data[key]:
            del data[key]
    for step in data["trail"]:
        if step["edit"] is None:
            del step["edit"]
    return data


def dump(artifact: Artifact) -> str:
    """The YAML text, with a comment above what needs one."""
    blocks = []
    for key, value in to_data(artifact).items():
        comment = f"# {_COMMENTS[key]}\n" if key in _COMMENTS else ""
        blocks.append(comment + dump_yaml({key: value}))
    return "".join(blocks)


def json_schema() -> dict[str, Any]:
    """JSON schema of the file, as YAML or JSON readers see it."""
    schema = _ADAPTER.json_schema(mode="serialization")
    # What the file omits where it is empty must not be required of a reader's file.
    task = schema["$defs"]["TaskSummary"]
    task["required"] = [key for key in task["required"] if key not in _OMITTED_WHEN_EMPTY]
    pair = schema["$defs"]["ScorePair"]
    pair["required"] = [key for key in pair["required"] if key not in ("majority", "probe")]
    step = schema["$defs"]["Step"]
    step["required"] = [key for key in step["required"] if key != "edit"]
    optional = ("committee", "boxes", "front")
    schema["required"] = [key for key in schema["required"] if key not in optional]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "An adapted prompt, written by idealprompt",
    }
