"""Draw a scene as a small synthetic product photo and turns photos into model input."""

from __future__ import annotations

import colorsys
import io
import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

from training.scene import Item, Scene
from training.shapes import SHAPES, Point, Polygon, Shape

Colour = tuple[int, int, int]
Place = tuple[float, float, float]

# Hue (degrees), saturation and value ranges: jitter stays inside what the name means.
SHADES: dict[str, tuple[Point, Point, Point]] = {
    "red": ((-4, 3), (0.86, 0.97), (0.74, 0.90)),
    "orange": ((23, 30), (0.90, 1.00), (0.92, 1.00)),
    "yellow": ((50, 56), (0.78, 0.95), (0.93, 1.00)),
    "green": ((112, 145), (0.60, 0.85), (0.48, 0.72)),
    "blue": ((212, 228), (0.72, 0.92), (0.70, 0.92)),
    "purple": ((270, 285), (0.58, 0.78), (0.52, 0.70)),
    "pink": ((328, 343), (0.34, 0.48), (0.95, 1.00)),
    "black": ((0, 360), (0.00, 0.15), (0.05, 0.12)),
    "white": ((0, 360), (0.00, 0.03), (0.95, 1.00)),
}
# How often the second tone of a pattern is dark and not pale; always, for bright colours.
DARK_ACCENT = {"red": 0.5, "green": 0.35, "blue": 0.35, "purple": 0.2}
INK: Colour = (28, 26, 30)
GLOW: Colour = (222, 222, 226)

SINGLE_SCALE = {"small": 0.48, "medium": 0.68, "large": 0.92}
PAIR_SCALE = {"small": 0.36, "large": 0.49}
GROUP_SCALE = 0.40
GROUP_PLACES: dict[int, tuple[tuple[Point, ...], ...]] = {
    2: (((0.27, 0.5), (0.73, 0.5)), ((0.27, 0.3), (0.73, 0.7)), ((0.27, 0.7), (0.73, 0.3))),
    3: (
        ((0.27, 0.73), (0.5, 0.27), (0.73, 0.73)),
        ((0.27, 0.27), (0.5, 0.73), (0.73, 0.27)),
        ((0.25, 0.25), (0.72, 0.3), (0.45, 0.74)),
    ),
}
WATERMARKS = ("SAMPLE", "PREVIEW", "STOCK", "DEMO", "PROOF")
NOISE_SIDE = 640


# --- colours ---


def _shade(name: str, rng: Random) -> Colour:
    """A jittered shade of a named colour."""
    hue, saturation, value = (rng.uniform(*span) for span in SHADES[name])
    red, green, blue = colorsys.hsv_to_rgb((hue % 360) / 360, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _toned(colour: Colour, factor: float) -> Colour:
    """Darker for a factor below 1, nearly white for one above; black is lifted, not darkened."""
    if factor > 1:
        return tuple(round(c + (246 - c) * 0.86) for c in colour)  # type: ignore[return-value]
    if max(colour) < 60:
        return tuple(c + 62 for c in colour)  # type: ignore[return-value]
    return tuple(round(c * factor) for c in colour)  # type: ignore[return-value]


def _accent(name: str, base: Colour, rng: Random) -> Colour:
    """The second tone of a pattern: never a colour that has a name of its own here."""
    if name in ("black", "white"):
        grey = rng.randint(125, 150)
        return grey, grey, grey
    if rng.random() < DARK_ACCENT.get(name, 1.0):
        return _toned(base, rng.uniform(0.22, 0.32))
    return tuple(round(c + (250 - c) * 0.82) for c in base)  # type: ignore[return-value]


# --- surfaces ---


@lru_cache(maxsize=1)
def _noise() -> Image.Image:
    """A bank of fixed grey noise around 128, from which pictures cut random pieces."""
    bank = np.random.default_rng(7).normal(128, 40, (NOISE_SIDE, NOISE_SIDE))
    return Image.fromarray(np.clip(bank, 0, 255).astype(np.uint8))


def _noise_piece(width: int, height: int, rng: Random) -> Image.Image:
    x, y = rng.randrange(NOISE_SIDE - width + 1), rng.randrange(NOISE_SIDE - height + 1)
    return _noise().crop((x, y, x + width, y + height))


def _mottle(picture: Image.Image, cells: tuple[int, int], depth: float, rng: Random) -> Image.Image:
    """Adds smooth light and dark areas: few cells are clouds, unequal cells are grain."""
    noise = _noise_piece(*cells, rng).resize(picture.size, Image.Resampling.BILINEAR)
    noise = noise.point([round(128 + (v - 128) * depth) for v in range(256)])
    return ImageChops.add(picture, Image.merge("RGB", (noise,) * 3), 1, -128)


def _tint(level: float, spread: int, rng: Random) -> Colour:
    red, green, blue = (round(level + rng.uniform(-spread, spread)) for _ in range(3))
    return red, green, blue


def _wood(side: int, rng: Random) -> Image.Image:
    """Brown planks with grain along them."""
    picture = Image.new("RGB", (side, side))
    pen = ImageDraw.Draw(picture)
    y = -rng.uniform(0, 0.2) * side
    seam = max(2, round(side / 64 * 1.1))
    while y < side:
        deep = rng.uniform(0.80, 1.12)
        high = rng.uniform(0.19, 0.27) * side
        fill = (round(150 * deep), round(100 * deep), round(58 * deep))
        pen.rectangle((0, y, side, y + high), fill=fill)
        pen.rectangle((0, y + high - seam, side, y + high), fill=(66, 40, 22))
        y += high
    picture = _mottle(picture, (3, side // 3), 0.42, rng)
    return picture.transpose(Image.Transpose.ROTATE_90) if rng.random() < 0.5 else picture


def _tiles(side: int, rng: Random) -> Image.Image:
    """A grid of pale tiles with dark joints."""
    level = rng.uniform(165, 200)
    picture = Image.new("RGB", (side, side), _tint(level * 0.46, 6, rng))
    pen = ImageDraw.Draw(picture)
    tile = rng.uniform(0.19, 0.26) * side
    joint = side / 64 * rng.uniform(1.2, 1.7)
    base = _tint(level, 12, rng)
    x0, y0 = -rng.random() * tile, -rng.random() * tile
    for i in range(int(side / tile) + 2):
        for j in range(int(side / tile) + 2):
            x, y = x0 + i * tile, y0 + j * tile
            lift = rng.randint(-9, 9)
            fill = (base[0] + lift, base[1] + lift, base[2] + lift)
            pen.rectangle((x, y, x + tile - joint, y + tile - joint), fill=fill)
    return picture


def _surface(name: str, side: int, rng: Random) -> Image.Image:
    if name == "wooden":
        return _wood(side, rng)
    if name == "tiled":
        return _tiles(side, rng)
    level, spread, depth = {"light": (228, 8, 0.10), "dark": (54, 5, 0.10)}[name]
    picture = Image.new("RGB", (side, side), _tint(level + rng.uniform(-9, 9), spread, rng))
    return _mottle(picture, (5, 5), depth, rng)


# --- items ---


class _Frame:
    """Maps unit coordinates of a shape to the canvas: scale, aspect, lean, mirror, rotation."""

    def __init__(self, shape: Shape, place: Place, rng: Random) -> None:
        points = [p for added, part in shape.solid if added for p in part]
        xs, ys = [p[0] for p in points], [p[1] for p in points]
        stretch = rng.uniform(0.92, 1.09)
        wide, high = (max(xs) - min(xs)) * stretch, (max(ys) - min(ys)) / stretch
        x, y, extent = place
        scale = extent / max(wide, high)
        turn = math.radians(rng.uniform(-8, 8))
        cos, sin = math.cos(turn) * scale, math.sin(turn) * scale
        flip = stretch * (1 if rng.random() < 0.5 else -1)
        squash, lean = 1 / stretch, rng.uniform(-0.06, 0.06)
        self.a, self.b = cos * flip, cos * lean - sin * squash
        self.d, self.e = sin * flip, sin * lean + cos * squash
        mid_x, mid_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
        self.c = x - self.a * mid_x - self.b * mid_y
        self.f = y - self.d * mid_x - self.e * mid_y

    def points(self, polygon: Polygon) -> Polygon:
        a, b, c, d, e, f = self.a, self.b, self.c, self.d, self.e, self.f
        return [(a * x + b * y + c, d * x + e * y + f) for x, y in polygon]


@dataclass(frozen=True)
class _Grid:
    """A turned and shifted grid that covers an area of `box` pixels with cells of `step`."""

    box: Point
    step: float
    cos: float
    sin: float
    shift: Point

    @property
    def reach(self) -> float:
        return math.hypot(*self.box) / 2

    @property
    def cells(self) -> range:
        """Numbers of the rows (or columns) that can touch the area."""
        count = int(self.reach / self.step) + 2
        return range(-count, count)

    def at(self, u: float, v: float) -> Point:
        """The place on the area of a grid position in cells."""
        u, v = u * self.step + self.shift[0], v * self.step + self.shift[1]
        x, y = u * self.cos - v * self.sin, u * self.sin + v * self.cos
        return self.box[0] / 2 + x, self.box[1] / 2 + y

    def near(self, x: float, y: float) -> bool:
        slack = 2 * self.step
        return -slack < x < self.box[0] + slack and -slack < y < self.box[1] + slack


def _stripes(pen: ImageDraw.ImageDraw, grid: _Grid, tone: Colour, rng: Random) -> None:
    thick = rng.uniform(0.38, 0.44)
    far = grid.reach / grid.step + 1
    for i in grid.cells:
        corners = ((i, -far), (i + thick, -far), (i + thick, far), (i, far))
        pen.polygon([grid.at(u, v) for u, v in corners], fill=tone)


def _dots(pen: ImageDraw.ImageDraw, grid: _Grid, tone: Colour, rng: Random) -> None:
    radius = grid.step * rng.uniform(0.28, 0.32)
    for i in grid.cells:
        for j in grid.cells:
            x, y = grid.at(i + (j % 2) / 2, j * 0.9)
            if grid.near(x, y):
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tone)


def _checks(pen: ImageDraw.ImageDraw, grid: _Grid, tone: Colour, rng: Random) -> None:
    high = rng.uniform(0.90, 0.94)
    for i in grid.cells:
        for j in grid.cells[(i % 2) :: 2]:
            if grid.near(*grid.at(i, j)):
                corners = ((i, j), (i + high, j), (i + high, j + high), (i, j + high))
                pen.polygon([grid.at(u, v) for u, v in corners], fill=tone)


# Painter, widest turn in degrees, cell as a share of the item, least cell in 64-pixel pixels.
PAINTERS = {
    "striped": (_stripes, 40, 0.25, 8.0),
    "dotted": (_dots, 20, 0.26, 8.0),
    "checked": (_checks, 20, 0.18, 5.5),
}


def _pattern(
    pen: ImageDraw.ImageDraw, name: str, box: Point, extent: float, unit: float, tone: Colour,
    rng: Random,
) -> None:  # fmt: skip
    """Paints stripes, dots or checks over an area; `unit` is one pixel of a 64-pixel picture."""
    painter, widest, share, least = PAINTERS[name]
    turn = math.radians(rng.uniform(-widest, widest))
    step = max(extent * share * rng.uniform(0.85, 1.15), least * unit)
    shift = (rng.random() * step, rng.random() * step)
    painter(pen, _Grid(box, step, math.cos(turn), math.sin(turn), shift), tone, rng)


def _spot_inside(mask: Image.Image, rng: Random) -> Point:
    """A random point of the item, away from its edges where that is easily found."""
    width, height = mask.size
    x, y = width // 2, height // 2
    for margin in (0.2, 0.2, 0.15, 0.15, 0.1, 0.1, *(0.05,) * 14):
        x = int(rng.uniform(margin, 1 - margin) * (width - 1))
        y = int(rng.uniform(margin, 1 - margin) * (height - 1))
        if mask.getpixel((x, y)):
            break
    return x, y


def _scratch(
    pen: ImageDraw.ImageDraw, mask: Image.Image, unit: float, base: Colour, soft: bool, rng: Random
) -> None:
    """Thin jagged lines, each a light and a dark one side by side.

    Blur would hide such a pair, so `soft` draws one broader, visible line instead.
    """
    width, height = mask.size
    reach = math.hypot(width, height) / 2
    thick = max(1, round(unit * (1.7 if soft else 1.1)))
    light, dark = (240, 240, 238), (58, 58, 58) if max(base) < 60 else (20, 18, 18)
    if soft:
        red, green, blue = base
        light = dark if 0.3 * red + 0.59 * green + 0.11 * blue > 135 else light
    turn = rng.uniform(0, math.pi)
    for _ in range(2 if reach < 14 * unit else rng.choice((3, 3, 4))):
        x, y = _spot_inside(mask, rng)
        turn += rng.uniform(0.5, 1.2)
        length = reach * rng.uniform(0.55, 0.9)
        line: Polygon = []
        knots = 7
        for i in range(knots):
            along = (i / (knots - 1) - 0.5) * length
            across = (1 if i % 2 else -1) * rng.uniform(0.4, 1.3) * max(0.8 * unit, length * 0.05)
            line.append((
                x + along * math.cos(turn) - across * math.sin(turn),
                y + along * math.sin(turn) + across * math.cos(turn),
            ))  # fmt: skip
        if not soft:
            pen.line([(px + thick, py + thick) for px, py in line], fill=dark, width=thick)
        pen.line(line, fill=light, width=thick)


def _stain(
    pen: ImageDraw.ImageDraw, mask: Image.Image, extent: float, base: Colour, rng: Random
) -> None:
    """One or two irregular brown blotches with a darker edge."""
    lift = 1.9 if max(base) < 60 else 1.0
    for radius in (0.22, 0.15)[: rng.choice((1, 2))]:
        x, y = _spot_inside(mask, rng)
        size = extent * radius * rng.uniform(0.9, 1.15)
        wobble = [rng.uniform(0.65, 1.25) for _ in range(11)]
        flat = rng.uniform(0.7, 1.0)
        for grow, tone in ((1.0, (58, 36, 14)), (0.74, (92, 62, 30))):
            ring = []
            for i, w in enumerate(wobble):
                angle = 2 * math.pi * i / len(wobble)
                far = size * w * grow
                ring.append((x + far * math.cos(angle), y + far * flat * math.sin(angle)))
            pen.polygon(ring, fill=tuple(round(c * lift) for c in tone))


def _shadow(picture: Image.Image, outline: list[tuple[bool, Polygon]], rng: Random) -> None:
    """A soft shadow to one side of the item, worked out at a quarter of the size."""
    side = picture.width // 4
    low = Image.new("L", (side, side))
    pen = ImageDraw.Draw(low)
    dx, dy = rng.uniform(-0.03, 0.03) * side, rng.uniform(0.015, 0.045) * side
    for added, part in outline:
        pen.polygon([(x / 4 + dx, y / 4 + dy) for x, y in part], fill=130 if added else 0)
    low = low.filter(ImageFilter.GaussianBlur(side / 64 * rng.uniform(1.0, 2.0)))
    picture.paste((12, 10, 10), (0, 0), low.resize(picture.size, Image.Resampling.BILINEAR))


def _put_item(
    picture: Image.Image, item: Item, paint: tuple[Colour, Colour], place: Place, scene: Scene,
    rng: Random,
) -> None:  # fmt: skip
    """Draws one item at (x, y, extent), in a base tone and, for its pattern, a second one."""
    base, tone = paint
    unit = picture.width / 64
    extent = place[2]
    shape = SHAPES[item.kind](rng)
    frame = _Frame(shape, place, rng)
    outline = [(added, frame.points(part)) for added, part in shape.solid]
    _shadow(picture, outline, rng)

    bright = scene.surface == "dark" or item.colour == "black"
    rim = max(2, round(2 * unit * (0.55 + 0.5 * extent / picture.width)))
    pen = ImageDraw.Draw(picture)
    for _, part in outline:
        pen.line([*part, part[0], part[1]], fill=GLOW if bright else INK, width=rim)

    xs = [x for _, part in outline for x, _ in part]
    ys = [y for _, part in outline for _, y in part]
    left, top = math.floor(min(xs)) - 1, math.floor(min(ys)) - 1
    size = (math.ceil(max(xs)) + 2 - left, math.ceil(max(ys)) + 2 - top)

    def local(part: Polygon) -> Polygon:
        return [(x - left, y - top) for x, y in part]

    mask = Image.new("L", size)
    cut = ImageDraw.Draw(mask)
    for added, part in outline:
        cut.polygon(local(part), fill=255 if added else 0)

    cover = Image.new("RGB", size, base)
    pen = ImageDraw.Draw(cover)
    if item.pattern != "plain":
        _pattern(pen, item.pattern, size, extent, unit, tone, rng)
    for factor, part in shape.shaded:
        pen.polygon(local(frame.points(part)), fill=_toned(base, factor))
    thick = max(1, round(unit * (0.5 + 0.7 * extent / picture.width)))
    ink = (150, 150, 154) if item.colour == "black" else INK
    for part in shape.lines:
        pen.line(local(frame.points(part)), fill=ink, width=thick)
    if scene.condition == "scratched":
        _scratch(pen, mask, unit, base, scene.photo == "blurred", rng)
    elif scene.condition == "stained":
        _stain(pen, mask, extent, base, rng)
    picture.paste(cover, (left, top), mask)


def _places(scene: Scene, rng: Random) -> list[Place]:
    """Centre and extent of each item, as shares of the canvas."""
    jitter = rng.uniform(0.96, 1.04)
    if scene.layout == "single":
        extent = SINGLE_SCALE[scene.items[0].size] * jitter
        room = max(0.015, (0.93 - extent) / 2)
        return [(0.5 + rng.uniform(-room, room), 0.5 + rng.uniform(-room, room), extent)]
    if scene.layout == "pair":
        places = []
        for middle, item in zip((0.26, 0.74), scene.items, strict=True):
            extent = PAIR_SCALE[item.size] * rng.uniform(0.97, 1.03)
            side, rise = max(0.0, (0.47 - extent) / 2), (0.9 - extent) / 2
            x, y = middle + rng.uniform(-side, side), 0.5 + rng.uniform(-rise, rise) * 0.7
            places.append((x, y, extent))
        return places
    extent = GROUP_SCALE * jitter
    spots = rng.choice(GROUP_PLACES[scene.count])
    return [(x + rng.uniform(-0.03, 0.03), y + rng.uniform(-0.03, 0.03), extent) for x, y in spots]


# --- the photo ---


@lru_cache(maxsize=16)
def _lettering(word: str, side: int) -> Image.Image:
    """Rows of a word over an area of twice the side."""
    sheet = Image.new("L", (2 * side, 2 * side))
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(side * 0.19)
    line = (word + "  ") * 6
    for row in range(8):
        pen.text((-row * side * 0.37, row * side * 0.29), line, fill=255, font=font)
    return sheet


def _watermark(picture: Image.Image, pale: bool, soft: bool, rng: Random) -> None:
    """Half-transparent lettering that rises over the whole picture.

    Dark with a light edge on a `pale` surface, else the reverse; no edge where blur (`soft`)
    would mix the two.
    """
    side = picture.width
    sheet = _lettering(rng.choice(WATERMARKS), side)
    turn = rng.uniform(24, 40)
    shift = (rng.uniform(-0.2, 0.2) * side, rng.uniform(-0.15, 0.15) * side)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    half = side / 2
    x0 = side + shift[0] - cos * half + sin * half
    y0 = side + shift[1] - sin * half - cos * half
    mask = sheet.transform(
        (side, side), Image.Transform.AFFINE, (cos, -sin, x0, sin, cos, y0),
        Image.Resampling.BILINEAR,
    )  # fmt: skip
    strength = rng.uniform(0.46, 0.58)
    edge = round(side / 64 * 0.9)
    fade = [round(v * strength) for v in range(256)]
    mask = mask.point(fade)
    light, dark = (250, 250, 250), (15, 15, 15)
    if not soft:
        outline = light if pale else dark
        picture.paste(outline, (edge, edge), mask.crop((0, 0, side - edge, side - edge)))
    picture.paste(dark if pale else light, (0, 0), mask)


def _light(picture: Image.Image, low: float, high: float, rng: Random) -> Image.Image:
    """Multiplies by a slanted light gradient between two brightness levels."""
    corners = bytes(round(255 * rng.uniform(low, high)) for _ in range(4))
    ramp = Image.frombytes("L", (2, 2), corners)
    ramp = ramp.resize(picture.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(picture, Image.merge("RGB", (ramp,) * 3))


def draw(scene: Scene, rng: Random, canvas: int = 192, oversample: int = 2) -> Image.Image:
    """A square RGB photo of the scene; no two calls on one `rng` give the same pixels.

    Edges are drawn hard at `canvas * oversample` pixels and smoothed by the reduction; a picture
    that is reduced later anyway (training input) can be drawn with `oversample=1`.
    """
    side = canvas * oversample
    unit = side / 64
    picture = _surface(scene.surface, side, rng)
    paints: dict[Item, tuple[Colour, Colour]] = {}
    for item, (x, y, extent) in zip(scene.items, _places(scene, rng), strict=True):
        if item not in paints:
            base = _shade(item.colour, rng)
            paints[item] = (base, _accent(item.colour, base, rng))
        _put_item(picture, item, paints[item], (x * side, y * side, extent * side), scene, rng)
    if scene.mark == "watermarked":
        soft = scene.photo == "blurred"
        _watermark(picture, scene.surface in ("light", "tiled"), soft, rng)
    if scene.photo == "blurred":
        picture = picture.filter(ImageFilter.GaussianBlur(unit * rng.uniform(1.0, 1.3)))
    dim = scene.photo == "dim"
    picture = _light(picture, *((0.37, 0.46) if dim else (0.84, 1.0)), rng)
    if oversample > 1:
        picture = picture.reduce(oversample)
    depth = rng.uniform(0.02, 0.09)
    table = [round(128 + (v - 128) * depth) for v in range(256)]
    grain = _noise_piece(canvas, canvas, rng).point(table)
    return ImageChops.add(picture, Image.merge("RGB", (grain,) * 3), 1, -128)


def to_input(image: Image.Image, size: int = 64, rng: Random | None = None) -> np.ndarray:
    """Model input (size, size, 3) uint8: bicubic, aspect kept, the rest padded with mid grey.

    With `rng` the photo first goes, at times, through another size and through JPEG, as photos do.
    """
    image = image.convert("RGB")
    if rng is not None:
        if rng.random() < 0.5:
            image = _fit(image, rng.randint(96, 160))
        if rng.random() < 0.3:
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=rng.randint(80, 95))
            image = Image.open(buffer)
    image = _fit(image, size)
    if image.size != (size, size):
        padded = Image.new("RGB", (size, size), (127, 127, 127))
        padded.paste(image, ((size - image.width) // 2, (size - image.height) // 2))
        image = padded
    return np.asarray(image, dtype=np.uint8)


def _fit(image: Image.Image, size: int) -> Image.Image:
    scale = size / max(image.size)
    target = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if target == image.size else image.resize(target, Image.Resampling.BICUBIC)
