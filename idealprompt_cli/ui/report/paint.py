"""The tree and the curve as PNG, drawn with Pillow: for places that show pictures but no pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .draw import COLOURS, COLUMN, LINE, MARGIN
from .gather import Point, Report
from .tree import Spot, lay_out, shortened

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

# Drawn this much larger than the SVG: pixels have no other way to be sharp.
SCALE = 2
SIZE = 13
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 320, 60, 46, 46
INK, SOFT, PALE, GOOD = "#1d2730", "#5b6b7b", "#e3e8ec", "#0b6e4f"
# Fonts with letters of many languages, by the names that systems know them by; else Pillow's own.
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "Helvetica.ttc")
MOST_PIXELS = 60_000_000


class Sheet:
    """A white picture that is drawn on in units of the SVG."""

    def __init__(self, width: float, height: float) -> None:
        from PIL import Image, ImageDraw

        fits = (MOST_PIXELS / max(1.0, width * height)) ** 0.5
        self.scale: float = min(float(SCALE), fits)
        size = (int(width * self.scale), int(height * self.scale))
        self._picture = Image.new("RGB", size, "#ffffff")
        self._draw = ImageDraw.Draw(self._picture)
        self._font = font(SIZE * self.scale)

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 1.0) -> None:
        scaled = [(x * self.scale, y * self.scale) for x, y in points]
        self._draw.line(scaled, fill=colour, width=max(1, round(width * self.scale)), joint="curve")

    def dot(self, x: float, y: float, radius: float, colour: str, filled: bool = True) -> None:
        x, y, radius = x * self.scale, y * self.scale, radius * self.scale
        box = (x - radius, y - radius, x + radius, y + radius)
        fill = colour if filled else "#ffffff"
        self._draw.ellipse(box, fill=fill, outline=colour, width=max(1, round(1.5 * self.scale)))

    def text(self, x: float, y: float, text: str, colour: str, anchor: str = "lm") -> float:
        """The text's right end."""
        place = (x * self.scale, y * self.scale)
        self._draw.text(place, text, fill=colour, font=self._font, anchor=anchor)
        right: float = self._font.getlength(text)
        return x + right / self.scale

    def png(self) -> bytes:
        data = io.BytesIO()
        self._picture.save(data, "PNG", optimize=True)
        return data.getvalue()


def font(size: float) -> FreeTypeFont | ImageFont:
    """A font of the system with many letters, or the one that Pillow brings."""
    from PIL import ImageFont

    for name in FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)


# --- the tree ------------------------------------------------------------------------------------


def tree_png(report: Report) -> bytes:
    """The strategy tree; b"" where there are no trials."""
    spots = lay_out(report.nodes, report.path())
    if not spots:
        return b""
    column, write = _column(spots), font(SIZE)
    ends = (_at(s, column)[0] + 14 + float(write.getlength(_label(s))) for s in spots)
    width = MARGIN + max(*ends, 0.0, MARGIN + column)
    sheet = Sheet(width, 2 * MARGIN + LINE * (2 + max(spot.row for spot in spots)))
    sheet.text(MARGIN, MARGIN + LINE / 2, f"{report.artifact.task.name}: what was tried", INK)
    for spot in spots:
        if spot.parent is not None:
            _edge(sheet, _at(spots[spot.parent], column), spot, _at(spot, column))
    for spot in spots:
        _mark(sheet, spot, *_at(spot, column))
    return sheet.png()


def _column(spots: Sequence[Spot]) -> float:
    """Room for the longest label that has another to its right."""
    write = font(SIZE)
    inner = [float(write.getlength(_label(spot))) for spot in spots if not spot.last]
    return max(COLUMN, 50 + max(inner, default=0.0))


def _label(spot: Spot) -> str:
    label = shortened(spot)
    return f"{label}  (winner)" if spot.kind == "winner" else label


def _at(spot: Spot, column: float) -> tuple[float, float]:
    return MARGIN + column * spot.depth + 6, MARGIN + LINE * (spot.row + 1.5)


def _edge(sheet: Sheet, start: tuple[float, float], spot: Spot, end: tuple[float, float]) -> None:
    (x, y), (u, v) = start, end
    strong = spot.kind in ("path", "winner")
    colour, width = (COLOURS["path"], 2.5) if strong else ("#c3ccd4", 1.0)
    turn = u - 22
    if y == v:
        sheet.line([(x + 6, y), (u - 6, v)], colour, width)
    else:
        sheet.line([(turn, y), (turn, v), (u - 6, v)], colour, width)


def _mark(sheet: Sheet, spot: Spot, x: float, y: float) -> None:
    colour, label = COLOURS[spot.kind], _label(spot)
    sheet.dot(x, y, 5, colour, filled=spot.node is not None)
    # White behind the text first, so that no edge runs through it.
    end = sheet.text(x + 11, y, label, "#ffffff")
    sheet.line([(x + 6, y), (end + 3, y)], "#ffffff", 16)
    sheet.text(x + 11, y, label, colour)


# --- the curve -----------------------------------------------------------------------------------


def curve_png(report: Report) -> bytes:
    """The best score against evaluations; b"" where there are no trials."""
    points, nodes = report.curve(), report.nodes
    if not points:
        return b""
    sheet = Sheet(WIDTH, HEIGHT)
    metric = report.artifact.task.metric
    title = f"{report.artifact.task.name}: best {metric} on the selection pictures"
    sheet.text(LEFT, TOP / 2, title, INK)
    top = max(max(node.spent for node in nodes), 1)
    _axes(sheet, top)
    sheet.line(_steps(points, top), GOOD, 2.5)
    for node in nodes:
        if node.state == "complete" and node.value is not None:
            sheet.dot(_x(node.spent, top), _y(node.value), 4, "#ffffff")
            sheet.dot(_x(node.spent, top), _y(node.value), 3, "#9aa7b3")
    return sheet.png()


def _x(spent: float, top: float) -> float:
    return LEFT + (WIDTH - LEFT - 20) * spent / top


def _y(value: float) -> float:
    return TOP + (HEIGHT - BOTTOM - TOP) * (1 - value)


def _steps(points: Sequence[Point], top: float) -> list[tuple[float, float]]:
    way = [(_x(points[0].spent, top), _y(points[0].best))]
    for point in points[1:]:
        way += [(_x(point.spent, top), way[-1][1]), (_x(point.spent, top), _y(point.best))]
    return [*way, (_x(top, top), way[-1][1])]


def _axes(sheet: Sheet, top: float) -> None:
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        sheet.line([(LEFT, _y(share)), (WIDTH - 20, _y(share))], PALE)
        sheet.text(LEFT - 8, _y(share), f"{100 * share:.0f} %", SOFT, "rm")
    for share, anchor in ((0.0, "lm"), (0.5, "mm"), (1.0, "rm")):
        sheet.text(_x(share * top, top), HEIGHT - BOTTOM + 14, f"{share * top:.0f}", SOFT, anchor)
    sheet.text((LEFT + WIDTH) / 2, HEIGHT - 12, "evaluations", SOFT, "mm")


def drawings(report: Report) -> dict[str, bytes]:
    """File name -> PNG, without those for which nothing is known."""
    made = {"tree.png": tree_png(report), "curve.png": curve_png(report)}
    return {name: data for name, data in made.items() if data}
