"""The content of a training image in words: the vocabulary of scenes and how they are sampled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random
from typing import Any

KINDS = ("mug", "bottle", "plate", "shirt", "shoe", "hat", "bag", "lamp", "hammer", "gear")
PAIR_SIZES = ("small", "large")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "black", "white")
PATTERNS = ("plain", "striped", "dotted", "checked")
SIZES = ("small", "medium", "large")
SURFACES = ("light", "dark", "wooden", "tiled")
CONDITIONS = ("intact", "scratched", "stained")
PHOTOS = ("sharp", "blurred", "dim")
MARKS = ("clean", "watermarked")
LAYOUTS = ("single", "pair", "group")

# Half a picture leaves too little room to distinguish a medium item from the other sizes.
SIZES_IN = {"single": SIZES, "pair": PAIR_SIZES, "group": ("small",)}

LAYOUT_WEIGHTS = (0.65, 0.22, 0.13)
CONDITION_WEIGHTS = (0.60, 0.20, 0.20)
PHOTO_WEIGHTS = (0.72, 0.14, 0.14)
MARK_WEIGHTS = (0.82, 0.18)

# What the right-hand item of a pair takes over from the left-hand one, and how often.
SHARED = ((), ("kind",), ("colour",), ("pattern",), ("colour", "pattern"))
SHARED_WEIGHTS = (0.40, 0.20, 0.15, 0.10, 0.15)

PINS = {
    "kind": KINDS, "colour": COLOURS, "pattern": PATTERNS, "size": SIZES, "surface": SURFACES,
    "condition": CONDITIONS, "photo": PHOTOS, "mark": MARKS, "layout": LAYOUTS, "count": (1, 2, 3),
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One object: what it is and what it looks like."""

    kind: str
    colour: str
    pattern: str
    size: str


@dataclass(frozen=True)
class Scene:
    """One picture: its objects from left to right, what they lie on, and how it was taken.

    The condition holds for every object of the scene.
    """

    items: tuple[Item, ...]
    surface: str
    condition: str
    photo: str
    mark: str

    @property
    def count(self) -> int:
        """How many objects are shown."""
        return len(self.items)

    @property
    def layout(self) -> str:
        """`single`, `group` (two or three that are all alike) or `pair` (two that differ)."""
        if len(self.items) == 1:
            return "single"
        return "group" if len(set(self.items)) == 1 else "pair"

    def as_dict(self) -> dict[str, Any]:
        """The scene as plain data, ready for JSON."""
        return asdict(self)


def scene_from_dict(data: dict[str, Any]) -> Scene:
    """The scene that `Scene.as_dict` wrote."""
    items = tuple(Item(**item) for item in data["items"])
    return Scene(items, data["surface"], data["condition"], data["photo"], data["mark"])


def sample_scene(rng: Random, **fixed: Any) -> Scene:
    """A random scene; `fixed` pins attributes of the scene or of its first item.

    Raises ValueError for an unknown attribute or value, or for pins that exclude each other.
    """
    for name, value in fixed.items():
        if value not in PINS.get(name, ()):
            raise ValueError(f"cannot pin {name}={value!r}")
    layout, count = _layout(rng, fixed)
    first = Item(
        kind=fixed.get("kind") or rng.choice(KINDS),
        colour=fixed.get("colour") or rng.choice(COLOURS),
        pattern=fixed.get("pattern") or rng.choice(PATTERNS),
        size=_size(rng, layout, fixed.get("size")),
    )
    items = (first, _partner(rng, first)) if layout == "pair" else (first,) * count
    return Scene(
        items=items,
        surface=fixed.get("surface") or rng.choice(SURFACES),
        condition=fixed.get("condition") or _weighted(rng, CONDITIONS, CONDITION_WEIGHTS),
        photo=fixed.get("photo") or _weighted(rng, PHOTOS, PHOTO_WEIGHTS),
        mark=fixed.get("mark") or _weighted(rng, MARKS, MARK_WEIGHTS),
    )


def _weighted(rng: Random, values: tuple[Any, ...], weights: tuple[float, ...]) -> Any:
    return rng.choices(values, weights)[0]


def _layout(rng: Random, fixed: dict[str, Any]) -> tuple[str, int]:
    """Layout and count that agree with the pins."""
    counts = {"single": (1,), "pair": (2,), "group": (2, 3)}
    wanted = fixed.get("count")
    allowed = [
        layout
        for layout in LAYOUTS
        if fixed.get("layout") in (None, layout)
        and wanted in (None, *counts[layout])
        and fixed.get("size") in (None, *SIZES_IN[layout])
    ]
    if not allowed:
        raise ValueError(f"no scene has all of {fixed}")
    weights = [LAYOUT_WEIGHTS[LAYOUTS.index(layout)] for layout in allowed]
    layout = rng.choices(allowed, weights)[0]
    return layout, wanted or rng.choice(counts[layout])


def _size(rng: Random, layout: str, wanted: str | None) -> str:
    return wanted or rng.choice(SIZES_IN[layout])


def _partner(rng: Random, first: Item) -> Item:
    """The other item of a pair: never alike in kind, colour and pattern at once."""
    shared = _weighted(rng, SHARED, SHARED_WEIGHTS)
    while True:
        kind = first.kind if "kind" in shared else rng.choice(KINDS)
        colour = first.colour if "colour" in shared else rng.choice(COLOURS)
        pattern = first.pattern if "pattern" in shared else rng.choice(PATTERNS)
        if (kind, colour, pattern) != (first.kind, first.colour, first.pattern):
            return Item(kind, colour, pattern, rng.choice(PAIR_SIZES))
