"""The front of scores against time, a line for each prompt."""

from __future__ import annotations

from ..artifact import Artifact, StoredPoint

TITLE = "Score against time, on the selection examples"


def front_lines(artifact: Artifact) -> list[str]:
    """Score, seconds of an answer about a new example, and tokens; none where no time was
    measured."""
    return [_line(point, point.prompt == artifact.prompt) for point in artifact.front]


def _line(point: StoredPoint, adapted: bool) -> str:
    question = " ".join(f"{point.prompt.question} {point.prompt.answer_start}".split())
    what = "the adapted prompt" if adapted else f'"{question}"'
    return (
        f"{100 * point.selection.value:.1f} % in {point.seconds:.2f} s: {point.image_tokens} "
        f"tokens of images and {point.tokens} of text, {what}"
    )
