"""Wrong answers as lines of text: what was answered, what is right, and the example's own texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import shorten

from ..core.results import Outcome

LONGEST = 100
Wrong = tuple[Outcome, Mapping[str, str]]


def ranking(labels: bool) -> str:
    """How the lines are ranked, by the kind of answers."""
    return "Most confident wrong answers" if labels else "Worst answers"


def wrong_lines(answers: Iterable[Wrong]) -> list[str]:
    """A line for each answer, and one for each text field of its example."""
    lines = []
    for one, fields in answers:
        share = one.probabilities.get(one.predicted)
        sure = "" if share is None else f" ({100 * share:.0f} %)"
        said = one.predicted or "(nothing)"
        lines.append(f"  {one.example_id}: {said}{sure}, right is {one.gold}")
        lines += [f"    {text}" for text in quoted(fields)]
    return lines


def quoted(fields: Mapping[str, str]) -> list[str]:
    """An example's texts in short, each with its name where there are several."""
    texts = {name: shorten(text, LONGEST, placeholder="...") for name, text in fields.items()}
    return [f'"{text}"' if len(texts) == 1 else f'{name}: "{text}"' for name, text in texts.items()]
