"""The report as plain text for a terminal of any width, without colour."""

from __future__ import annotations

import textwrap

from ...artifact import Artifact, Score
from ...io.terminal import printable
from ...prompts.readability import readability
from ...prompts.rendering import calibration_text
from ...storage.predictions import confusion
from ..confusion_matrix import confusion_lines
from ..front import TITLE, front_lines
from ..members import member_lines
from ..wrong_answers import ranking, wrong_lines
from .comparison import box_rows, changes, parts, prompt_text
from .gather import ALL, Report
from .reflection_work import lines as work_lines
from .tree import Spot, cut, lay_out

WORST = 8


def text(report: Report, width: int = 80) -> str:
    """Sections in the order of the page; lines are at most `width` wide where words allow."""
    artifact = report.artifact
    blocks = [
        [artifact.task.name, *_folded(artifact.verdict, width)],
        _scores(report, width),
        _boxes(artifact),
        ["Prompt ({+added+}, [-removed-]):", *_prompt(report, width)],
        _committee(artifact, width),
        _front(artifact, width),
        _tree(report, width),
        _matrices(report, width),
        _parts(report),
        _hung(_worst(report), width),
        _hung(work_lines(report.work), width),
        _cost(artifact, width),
    ]
    return printable("\n\n".join("\n".join(block) for block in blocks if block))


def _folded(sentence: str, width: int) -> list[str]:
    return textwrap.wrap(sentence, width, break_on_hyphens=False)


def _hung(lines: list[str], width: int) -> list[str]:
    """Each line folded under its own indent; names of pictures stay whole."""
    return [
        piece
        for line in lines
        for piece in textwrap.wrap(
            line,
            width,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 2),
            break_on_hyphens=False,
            break_long_words=False,
        )
    ]


def _cost(artifact: Artifact, width: int) -> list[str]:
    cost = artifact.cost
    return _folded(
        f"Cost: {cost.evaluations:,} evaluations, {cost.tokens:,} tokens, {cost.seconds:.1f} "
        f"seconds; stopped because {artifact.stopped_because}.",
        width,
    )


def _scores(report: Report, width: int) -> list[str]:
    """A prompt a line, or a part a line where both do not fit."""
    lines = [report.artifact.task.metric]
    for name, scores in report.artifact.score_rows:
        parts = [("test", scores.test), ("selection", scores.selection)]
        shown = [f"{part} {_percent(score)}" for part, score in parts if score is not None]
        line = f"  {name:<15} {'   '.join(shown)}"
        apart = [f"  {name}", *(f"    {part}" for part in shown)]
        lines += [line] if len(line) <= width else apart
    return lines


def _boxes(artifact: Artifact) -> list[str]:
    """Both prompts on each box of a federation."""
    rows = box_rows(artifact)
    if not rows:
        return []
    width = max(len(row.name) for row in rows)
    head = f"Boxes{'':<{width - 1}}seed   adapted   examples"
    return [head] + [
        f"  {row.name:<{width}}{100 * row.before:7.1f} %{100 * row.after:8.1f} %{row.n:9}"
        for row in rows
    ]


def _percent(score: Score) -> str:
    figures = f"{100 * score.value:5.1f} % [{100 * score.low:.0f}, {100 * score.high:.0f}]"
    return f"{figures} n {score.n}"


def _prompt(report: Report, width: int) -> list[str]:
    artifact = report.artifact
    before, after = (
        prompt_text(prompt, artifact.labels, artifact.task.images)
        for prompt in (artifact.baseline_prompt, artifact.prompt)
    )
    marks = {"same": "{}", "new": "{{+{}+}}", "gone": "[-{}-]"}
    marked = "".join(marks[kind].format(piece) for kind, piece in changes(before, after))
    lines = [
        line
        for paragraph in marked.split("\n")
        for line in textwrap.wrap(paragraph, width, initial_indent="  ", subsequent_indent="  ")
    ]
    words = [v for v in artifact.prompt.verbalisers if v.words != (v.label,)]
    lines += [f"  {', '.join(entry.words)} = {entry.label}" for entry in words]
    if artifact.prompt.calibration:
        lines += _hung([f"  {calibration_text(artifact.prompt)}"], width)
    sentence = readability(artifact.prompt, artifact.labels).describe()
    return [*lines, *textwrap.wrap(sentence, width, initial_indent="  ", subsequent_indent="  ")]


def _committee(artifact: Artifact, width: int) -> list[str]:
    if artifact.committee is None:
        return []
    made = artifact.committee
    head = f"The {made.name} ({made.price}):"
    return [head, *_hung([f"  {line}" for line in member_lines(made)], width)]


def _front(artifact: Artifact, width: int) -> list[str]:
    lines = front_lines(artifact)
    return [f"{TITLE}:", *_hung([f"  {line}" for line in lines], width)] if lines else []


def _tree(report: Report, width: int) -> list[str]:
    spots = lay_out(report.nodes, report.path())
    return ["Tried:", *(_branch(spot, width) for spot in spots)] if spots else []


def _branch(spot: Spot, width: int) -> str:
    mark = {"winner": "*", "path": "*", "tried": "-"}.get(spot.kind, ".")
    start = f"  {'  ' * spot.depth}{mark} "
    return start + cut(spot.label, max(12, width - len(start)))


def _matrices(report: Report, width: int) -> list[str]:
    labels = report.artifact.labels
    if not report.kept or not labels:
        return []
    counts = confusion(report.outcomes("winner"), labels)
    part = "held-out" if report.split() == "test" else "selection"
    head = (
        f"Confusion matrix of the adapted prompt on the {part} examples (rows: right label, "
        "columns: answer):"
    )
    return [*_folded(head, width), *confusion_lines(labels, counts, width)]


def _parts(report: Report) -> list[str]:
    kind, found = parts(report)
    if not found:
        return []
    width = max(len(kind), *(len(part.name) for part in found))
    lines = [f"{kind:<{width + 4}}seed   adapted"]
    return lines + [
        f"  {part.name:<{width}}{100 * part.before:6.1f} %{100 * part.after:6.1f} %"
        for part in found
    ]


def _worst(report: Report) -> list[str]:
    worst = report.worst(WORST)
    if not worst:
        return []
    wrong = len(report.worst(ALL))
    shown = f" ({len(worst)} of {wrong})" if wrong > len(worst) else ""
    lines = wrong_lines((kept.outcome, kept.fields) for kept in worst)
    return [f"{ranking(bool(report.artifact.labels))}{shown}:", *lines]
