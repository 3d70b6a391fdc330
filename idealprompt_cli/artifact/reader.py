"""YAML text -> `Artifact`, checked key by key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

from ..answers import parse_field
from ..core.answer_schema import AnswerKind, AnswerSchema
from ..core.edits import Change, EditReport
from ..core.errors import ArtifactError
from ..core.prompt import Content, ImageSlot, Message, Prompt
from ..core.requests import ModelInfo
from ..core.results import Cost, TrialState
from ..io.files import read_text
from ..io.yaml import Section, parse
from ..prompts.prompts import from_dict
from .content import SCHEMA, STOP_REASONS, Artifact, Recommended, Score, Scores, Step, TaskSummary

KEYS = (
    "schema",
    "task",
    "model",
    "prompt",
    "messages",
    "labels",
    "verbalisers",
    "scores",
    "verdict",
    "recommended",
    "baseline",
    "cost",
    "seed",
    "trail",
)
_ROLES = ("system", "user", "assistant")


def read_artifact(source: str) -> Artifact:
    """The artifact in a file, or on stdin for "-". Raises `ArtifactError`."""
    if source == "-":
        return load(_stdin(), "<stdin>")
    path = Path(source)
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder: name the YAML file that search wrote")
    return load(read_text(path, ArtifactError), source)


def _stdin() -> str:
    if sys.stdin.isatty():
        raise ArtifactError("<stdin>: is the keyboard: pipe a YAML file in, or name one")
    text = sys.stdin.read()
    if not text.strip():
        raise ArtifactError("<stdin>: nothing came: the command before the pipe wrote no prompt")
    return text


def load(text: str, source: str) -> Artifact:
    """The artifact in a YAML text; `source` names it in messages. Raises `ArtifactError`."""
    top = parse(text, source, ArtifactError)
    _check_schema(top)
    top.known(*KEYS)
    labels = top.texts("labels")
    scores = top.section("scores").known("baseline", "winner")
    cost = top.section("cost").known("evaluations", "tokens", "seconds", "stopped")
    top.section("verbalisers")
    return Artifact(
        task=_task(top.section("task")),
        model=_model(top.section("model")),
        prompt=_prompt(top, "prompt"),
        baseline_prompt=_prompt(top, "baseline"),
        messages=tuple(_message(one) for one in top.sections("messages")),
        labels=labels,
        baseline=_scores(scores.section("baseline")),
        winner=_scores(scores.section("winner")),
        verdict=top.text("verdict"),
        recommended=top.choice("recommended", get_args(Recommended)),
        cost=Cost(cost.integer("evaluations"), cost.integer("tokens"), cost.number("seconds")),
        stop=cost.choice("stopped", STOP_REASONS),
        seed=top.integer("seed"),
        trail=tuple(_step(one) for one in top.sections("trail")),
    )


def _check_schema(top: Section) -> None:
    if "schema" not in top:
        raise top.fail("", "has no schema key: this is not a file that idealprompt search wrote")
    if top.text("schema") != str(SCHEMA):
        found = top.text("schema")
        raise top.fail(
            "schema", f"is {found}: this version reads {SCHEMA}: run search again, or update"
        )


def _prompt(top: Section, key: str) -> Prompt:
    section = top.section(key)
    return from_dict(section.plain(), f"{section.source}:{section.line}: {key}")


def _task(section: Section) -> TaskSummary:
    texts = ("name", "question", "answer", "metric", "language", "images", "fingerprint")
    section.known(*texts, "options", "fields", "max_tokens")
    images = section.integer("images")
    if images < 1:
        raise section.fail("images", f"is {images}: should be 1 or more")
    return TaskSummary(
        name=section.text("name"),
        question=section.text("question"),
        answer=section.choice("answer", get_args(AnswerKind)),
        metric=section.text("metric"),
        language=section.text("language"),
        images=images,
        fingerprint=section.text("fingerprint"),
        answer_schema=_answer_schema(section),
    )


def _answer_schema(section: Section) -> AnswerSchema:
    fields = []
    for name, declared in (section.plain().get("fields") or {}).items():
        try:
            fields.append(parse_field(name, declared))
        except ValueError as problem:
            raise section.fail("fields", f"{name} {problem}") from None
    return AnswerSchema(section.texts("options"), tuple(fields), section.integer("max_tokens", 0))


def _model(section: Section) -> ModelInfo:
    texts = ("name", "engine", "architecture", "family", "quantisation", "fingerprint")
    section.known(*texts, "n_ctx", "mode", "path", "mmproj")
    name, engine, architecture, family, quantisation, fingerprint = (
        section.text(key) for key in texts
    )
    return ModelInfo(
        engine=engine,
        name=name,
        fingerprint=fingerprint,
        architecture=architecture,
        family=family,
        quantisation=quantisation,
        n_ctx=section.integer("n_ctx"),
        path=section.text("path", ""),
        mmproj=section.text("mmproj", ""),
        mode=section.text("mode", ""),
    )


def _message(section: Section) -> Message:
    section.known("role", "content")
    content: Content = tuple(_piece(piece) for piece in section.sections("content"))
    return Message(section.choice("role", _ROLES), content)  # type: ignore[arg-type]


def _piece(section: Section) -> str | ImageSlot:
    section.known("text", "image")
    if "image" in section:
        section.integer("image")
        return ImageSlot()
    return section.text("text")


def _scores(section: Section) -> Scores:
    section.known("selection", "test")
    test = _score(section.section("test")) if "test" in section else None
    return Scores(_score(section.section("selection")), test)


def _score(section: Section) -> Score:
    section.known("metric", "value", "low", "high", "n")
    return Score(
        section.text("metric"),
        section.number("value"),
        section.number("low"),
        section.number("high"),
        section.integer("n"),
    )


def _step(section: Section) -> Step:
    section.known("strategy", "note", "state", "value", "n", "prompt_tokens", "edit")
    return Step(
        strategy=section.text("strategy"),
        note=section.text("note"),
        state=section.choice("state", get_args(TrialState)),
        value=section.number("value") if "value" in section else None,
        n=section.integer("n"),
        prompt_tokens=section.integer("prompt_tokens"),
        edit=_edit(section.section("edit")) if "edit" in section else None,
    )


def _edit(section: Section) -> EditReport:
    lists = ("inspired_by", "fixed", "broke")
    section.known("changes", "why", "confusion", *lists, "p_value", "level")
    inspired, fixed, broke = (section.texts(key) for key in lists)
    return EditReport(
        changes=tuple(_change(one) for one in section.sections("changes")),
        why=section.text("why"),
        confusion=section.text("confusion"),
        inspired_by=inspired,
        fixed=fixed,
        broke=broke,
        p_value=section.number("p_value"),
        level=section.number("level"),
    )


def _change(section: Section) -> Change:
    section.known("part", "before", "after")
    return Change(section.text("part"), section.text("before"), section.text("after"))
