"""The silhouettes of the goods: unit coordinates, x to the right and y down, within about -1..1.

To add a kind, write its function here, give it a line in SHAPES, and name it in `scene.KINDS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

Point = tuple[float, float]
Polygon = list[Point]


@dataclass(frozen=True)
class Shape:
    """An outline and its inner drawing.

    `solid` is filled in order (True adds, False cuts a hole); `shaded` areas are painted in a
    plain tone of the item's colour (factor below 1 darker, above 1 lighter); `lines` are inked.
    """

    solid: list[tuple[bool, Polygon]]
    shaded: list[tuple[float, Polygon]] = field(default_factory=list)
    lines: list[Polygon] = field(default_factory=list)


def _oval(
    x: float, y: float, rx: float, ry: float, start: float = 0, end: float = 360, n: int = 28
) -> Polygon:
    """Points on an ellipse; angles in degrees, clockwise from the right."""
    step = math.radians(end - start) / n
    first = math.radians(start)
    closed = end - start >= 360
    angles = [first + step * i for i in range(n if closed else n + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def _rect(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _mirrored(right: Polygon) -> Polygon:
    """A symmetric outline from its right half, listed from top to bottom."""
    return right + [(-x, y) for x, y in reversed(right)]


def _mug(rng: Random) -> Shape:
    top, low = rng.uniform(0.60, 0.66), rng.uniform(0.50, 0.60)
    body = [(x - 0.3, y) for x, y in _mirrored([(top, -0.78), (low, 0.72), (low - 0.14, 0.86)])]
    ring, hole = _oval(0.42, 0.02, 0.56, 0.50), _oval(0.44, 0.02, 0.31, 0.26)
    mouth = _oval(-0.3, -0.76, top, 0.17)
    solid = [(True, ring), (False, hole), (True, body), (True, mouth)]
    return Shape(solid, [(0.5, _oval(-0.3, -0.76, top - 0.1, 0.10))], [mouth + mouth[:1]])


def _bottle(rng: Random) -> Shape:
    wide, neck = rng.uniform(0.44, 0.50), rng.uniform(0.16, 0.20)
    shoulder = rng.uniform(-0.22, -0.10)
    body = _mirrored(
        [(neck, -0.75), (neck, -0.45), (wide, shoulder), (wide, 0.90), (wide - 0.1, 1.0)]
    )
    cap = _rect(-neck - 0.07, -1.0, neck + 0.07, -0.74)
    return Shape([(True, body), (True, cap)], [(0.55, cap)], [[(-neck, -0.72), (neck, -0.72)]])


def _shirt(rng: Random) -> Shape:
    cuff, waist = rng.uniform(0.0, 0.16), rng.uniform(0.50, 0.58)
    right = [(0.24, -0.88), (0.62, -0.74), (1.0, cuff - 0.14), (0.70, cuff + 0.08),
             (waist, -0.20), (waist, 0.90)]  # fmt: skip
    neck = _oval(0, -0.88, 0.24, 0.22, 0, 180, 8)
    body = [*right, *[(-x, y) for x, y in reversed(right)], *reversed(neck[1:-1])]
    seam = [(waist, -0.20), (0.56, -0.60)]
    return Shape([(True, body)], [], [seam, [(-x, y) for x, y in seam]])


def _shoe(rng: Random) -> Shape:
    toe = rng.uniform(0.02, 0.12)
    upper = [(-0.95, -0.62), (-0.30, -0.66), (-0.05, -0.22), (0.45, toe - 0.02), (0.85, toe + 0.1),
             (1.0, 0.36), (-0.95, 0.36), (-1.0, -0.1)]  # fmt: skip
    sole = [(-0.98, 0.32), (1.02, 0.32), (1.0, 0.58), (-0.45, 0.58), (-0.98, 0.62)]
    laces = [[(-0.42 + d, -0.26 + d * 0.8), (-0.08 + d, -0.40 + d * 0.75)] for d in (0.0, 0.2, 0.4)]
    return Shape([(True, upper), (True, sole)], [(0.45, sole)], laces)


def _hat(rng: Random) -> Shape:
    crown = rng.uniform(0.50, 0.58)
    dome = [*_oval(0, -0.2, crown, 0.58, 180, 360, 14), (crown + 0.05, 0.35), (-crown - 0.05, 0.35)]
    brim = _oval(0, 0.36, 1.0, rng.uniform(0.26, 0.32))
    band = [
        (-crown - 0.03, 0.02),
        (crown + 0.03, 0.02),
        (crown + 0.05, 0.24),
        (-crown - 0.05, 0.24),
    ]
    return Shape([(True, brim), (True, dome)], [(0.45, band)], [[(-crown, 0.24), (crown, 0.24)]])


def _bag(rng: Random) -> Shape:
    top, low = rng.uniform(0.66, 0.74), rng.uniform(0.82, 0.92)
    body = _mirrored([(top, -0.25), (low, 0.92)])
    ring, hole = _oval(0, -0.28, 0.46, 0.66), _oval(0, -0.28, 0.28, 0.47)
    flap = [(-top, -0.05), (top, -0.05)]
    return Shape([(True, ring), (False, hole), (True, body)], [], [flap])


def _lamp(rng: Random) -> Shape:
    top, low = rng.uniform(0.34, 0.42), rng.uniform(0.78, 0.88)
    shade = _mirrored([(top, -1.0), (low, 0.14)])
    stem = _rect(-0.11, 0.1, 0.11, 0.85)
    foot = _oval(0, 0.84, 0.52, 0.16)
    return Shape([(True, stem), (True, foot), (True, shade)], [(0.55, stem), (0.55, foot)], [])


def _hammer(rng: Random) -> Shape:
    half = rng.uniform(0.17, 0.20)
    handle = [(-half, -0.5), (half, -0.5), (half + 0.04, 1.0), (-half - 0.04, 1.0)]
    block = _rect(-0.42, -0.92, 0.42, -0.30)
    face = _rect(0.38, -1.0, 0.82, -0.22)
    claw = [(-0.36, -0.92), (-0.72, -0.84), (-1.0, -0.36), (-0.66, -0.52), (-0.36, -0.30)]
    solid = [(True, part) for part in (handle, block, face, claw)]
    return Shape(solid, [], [[(-half, -0.30), (half, -0.30)], [(0.40, -0.92), (0.40, -0.30)]])


def _gear(rng: Random) -> Shape:
    teeth, deep = rng.choice((8, 9)), rng.uniform(0.70, 0.74)
    outline: Polygon = []
    for i in range(teeth):
        middle = 2 * math.pi * i / teeth
        for turn, radius in ((-0.30, deep), (-0.19, 1.0), (0.19, 1.0), (0.30, deep)):
            angle = middle + turn * 2 * math.pi / teeth
            outline.append((radius * math.cos(angle), radius * math.sin(angle)))
    hole = rng.uniform(0.24, 0.28)
    return Shape([(True, outline), (False, _oval(0, 0, hole, hole))])


def _plate(rng: Random) -> Shape:
    flat = rng.uniform(0.60, 0.70)
    rim, well = _oval(0, 0, 1.0, flat, n=36), _oval(0, 0.02, 0.62, flat * 0.60)
    return Shape([(True, rim)], [], [well + well[:1]])


SHAPES: dict[str, Callable[[Random], Shape]] = {
    "mug": _mug, "bottle": _bottle, "shirt": _shirt, "shoe": _shoe, "hat": _hat, "bag": _bag,
    "lamp": _lamp, "hammer": _hammer, "gear": _gear,
    "plate": _plate,
}  # fmt: skip
