"""A person's say on an accepted edit: keep it, change it or refuse it (for --interactive)."""

from __future__ import annotations

import sys
from typing import Any

import typer

from ..core.errors import ArtifactError
from ..core.placeholders import placeholder_names
from ..core.prompt import Prompt
from ..core.results import Trial
from ..io.terminal import one_line, printable

_ASK = "Keep, change or refuse it? [k/c/r] "
_CHANGE = "The part and its new value, like  question: What is it?  > "


def ask(trial: Trial, before: Prompt) -> Prompt | None:
    """The prompt to continue with; None if the edit is rejected or the input ends."""
    del before
    for line in _lines(trial):
        typer.echo(printable(line), err=True)
    while True:
        answer = _read(_ASK)
        if answer is None or answer.lower() in ("r", "refuse"):
            return None
        if answer.lower() in ("", "k", "keep"):
            return trial.prompt
        if answer.lower() in ("c", "change"):
            changed = _changed(trial.prompt)
            if changed is not None:
                return changed
        else:
            typer.echo(f"{answer!r} is none of k, c, r", err=True)


def _lines(trial: Trial) -> list[str]:
    edit, evaluation = trial.edit, trial.evaluation
    lines = ["", f"Accepted edit: {trial.note}"]
    for change in edit.changes if edit else ():
        lines += [f"  {change.part}: {change.before or '(nothing)'}", f"    -> {change.after}"]
    if edit and evaluation:
        fixed, broke = len(edit.fixed), len(edit.broke)
        value = 100 * evaluation.value
        lines.append(f"  now {value:.1f} %: {fixed} fixed, {broke} broken (p = {edit.p_value:.2g})")
    return lines


def _changed(prompt: Prompt) -> Prompt | None:
    """The prompt with one part as it was typed; None where that makes no sense."""
    import yaml

    from ..prompts.serialisation import from_dict, to_dict

    text = _read(_CHANGE)
    try:
        data: Any = yaml.safe_load(text or "")
    except yaml.YAMLError as error:
        data = " ".join(str(error).split())
    if not isinstance(data, dict):
        typer.echo(f"not a part with a value: {data!r}", err=True)
        return None
    try:
        return _with_its_fields(from_dict({**to_dict(prompt), **data}), prompt)
    except ArtifactError as error:
        typer.echo(one_line(str(error)), err=True)
        return None


def _with_its_fields(changed: Prompt, before: Prompt) -> Prompt:
    """The changed prompt. Raises `ArtifactError` where it refers to other fields than before."""
    has, needs = (set(placeholder_names(one.question)) for one in (changed, before))
    for name in sorted(needs - has):
        raise ArtifactError(f"question: has lost {{{name}}}: the example's own text has to stay")
    for name in sorted(has - needs):
        raise ArtifactError(f"question: {{{name}}} is no field of the task: double braces of text")
    return changed


def _read(question: str) -> str | None:
    """A line from the person; None at the end of the input."""
    typer.echo(question, err=True, nl=False)
    line = sys.stdin.readline()
    return line.strip() if line else None
