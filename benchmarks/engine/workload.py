"""The workload of every contender: P prompts on N images, four tokens or one of four labels.

The prompts are what a tree search has in hand: families of five that begin alike and differ in
their last sentence. Nothing is random: the same counts give the same work.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import ascii_letters

import numpy as np
from PIL import Image

SIBLINGS = 5
ANSWER_TOKENS = 4
OPTIONS = ("red", "blue", "green", "other")
SIZE = 448, 336
"""Width and height of the pictures, in pixels."""

_OPENINGS = (
    "You sort the pictures of a small shop.",
    "Look at the whole picture before you answer.",
    "A customer sent this picture to the shop.",
    "You are a careful inspector of small items.",
    "The item is shown from the front, in day light.",
    "This picture was taken by hand, so some of it may be dark.",
    "Every item has one main colour and sometimes a pattern.",
    "First find the item, then look at its surface.",
    "You know all the items of this shop well.",
    "Do not look at the table or the wall behind the item.",
)
_QUESTION = "What is the main colour of the item in the picture?"
_ENDINGS = (
    "Answer with one word.",
    "Answer with red, blue, green or other.",
    "If you can not tell, say other.",
    "Say only the colour and nothing else.",
    "Name the colour that covers most of the item.",
)
_LONGER = (
    "Light from a lamp can make white look like yellow, and shadow can make blue look like dark "
    "green, so look at more than one place of the item."
)
_AGAIN = "Take your time."


def prompts(count: int) -> list[str]:
    """`count` different prompts, siblings next to each other."""
    made = []
    for index in range(count):
        family, sibling = divmod(index, SIBLINGS)
        extra, opening = divmod(family, len(_OPENINGS))
        again = [_AGAIN] * extra
        made.append(" ".join([*again, _OPENINGS[opening], _QUESTION, _ENDINGS[sibling]]))
    return made


def fresh(index: int, longer: int = 0) -> str:
    """A prompt whose first token no neighbour has, so that it shares no beginning with them;
    `longer` adds sentences of 29 words."""
    lead = f"{ascii_letters[index % len(ascii_letters)]}{index}:"
    return " ".join([lead, *[_LONGER] * longer, _QUESTION, _ENDINGS[1]])


def key(prompt: int, picture: int) -> str:
    """Which question an answer belongs to."""
    return f"{prompt}/{picture}"


def words() -> list[str]:
    """Every word of the prompts and options: the made-up vocabularies have them as tokens."""
    text = " ".join((*_OPENINGS, _QUESTION, *_ENDINGS, _LONGER, _AGAIN, *OPTIONS))
    roles = ("User", "Assistant", "System", "user", "assistant", "system")
    return list(dict.fromkeys([*re.findall(r"\w+", text), *roles]))


def pictures(count: int, folder: Path) -> list[Path]:
    """`count` different PNG files: a coloured item on a textured ground."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_picture(index, folder) for index in range(count)]


def _picture(index: int, folder: Path) -> Path:
    path = folder / f"{index:03d}.png"
    if path.is_file():
        return path
    rng = np.random.default_rng(index)
    width, height = SIZE
    y, x = np.mgrid[0:height, 0:width]
    ground = 120 + 60 * np.sin(x / rng.uniform(9, 40)) * np.cos(y / rng.uniform(9, 40))
    pixels = np.repeat(ground[..., None], 3, axis=2) + rng.uniform(-30, 30, 3)
    centre_x, centre_y = width * rng.uniform(0.3, 0.7), height * rng.uniform(0.3, 0.7)
    item = np.hypot(x - centre_x, y - centre_y) < rng.uniform(50, 110)
    pixels[item] = rng.uniform(0, 255, 3)
    new = path.with_suffix(".new")
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(new, format="PNG")
    new.replace(path)
    return path
