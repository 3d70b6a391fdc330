"""The tree and the curve as SVG (plain shapes and text, readable in black and white) and as PNG."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from html import escape

from ...core.errors import UsageError
from .gather import Node, Point, Report
from .tree import Spot, lay_out, shortened

COLUMN, LINE, MARGIN = 262, 24, 14
COLOURS = {
    "winner": "#0b6e4f",
    "path": "#0b6e4f",
    "tried": "#5b6b7b",
    "rest": "#9aa7b3",
    "pruned": "#9aa7b3",
    "failed": "#b3412f",
}


BOLD = ("winner", "path")


def tree_svg(nodes: Sequence[Node], path: Sequence[int]) -> str:
    """The strategy tree from left to right; "" where there are no trials."""
    spots = lay_out(nodes, path)
    if not spots:
        return ""
    width = MARGIN + max(_at(spot)[0] + 11 + _room(spot) for spot in spots)
    height = 2 * MARGIN + LINE * (1 + max(spot.row for spot in spots))
    lines = [_edge(spots[s.parent], s) for s in spots if s.parent is not None]
    marks = [_mark(spot) for spot in spots]
    return _svg(width, height, "the strategy tree", [*lines, *marks])


def _at(spot: Spot) -> tuple[float, float]:
    return MARGIN + COLUMN * spot.depth, MARGIN + LINE * (spot.row + 0.5)


def _edge(parent: Spot, spot: Spot) -> str:
    (x, y), (u, v) = _at(parent), _at(spot)
    strong = spot.kind in ("path", "winner")
    colour, width = (COLOURS["path"], 2.5) if strong else ("#c3ccd4", 1)
    dash = ' stroke-dasharray="3 3"' if spot.kind in ("pruned", "failed", "rest") else ""
    turn = u - 22
    start = x + 6 if parent.row == spot.row else x
    path = f"M{start} {y} L{turn} {y} L{turn} {v} L{u - 6} {v}"
    if parent.row != spot.row:  # leave below the parent's own line, so that its label stays free
        path = f"M{turn} {y} L{turn} {v} L{u - 6} {v}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}"{dash}/>'


def _mark(spot: Spot) -> str:
    x, y = _at(spot)
    colour = COLOURS[spot.kind]
    fill = "#ffffff" if spot.node is None else colour
    bold = ' font-weight="700"' if spot.kind in BOLD else ""
    label = _shown(spot)
    tip = escape(f"{spot.label}: {spot.detail}" if spot.detail else spot.label)
    return (
        f"<g><title>{tip}</title>"
        f'<circle cx="{x}" cy="{y}" r="5" fill="{fill}" stroke="{colour}" stroke-width="1.5"/>'
        f'<rect x="{x + 6}" y="{y - 9}" width="{_room(spot) + 7:.0f}" height="18" fill="#ffffff"/>'
        f'<text x="{x + 11}" y="{y + 4}" fill="{colour}"{bold}>{escape(label)}</text></g>'
    )


def _shown(spot: Spot) -> str:
    return shortened(spot) + (" ★" if spot.kind == "winner" else "")


def _room(spot: Spot) -> float:
    """About how wide a label is, in a font of 12 pixels."""
    return (7.8 if spot.kind in BOLD else 6.8) * len(_shown(spot))


# --- the curve -----------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 260, 60, 40


def curve_svg(nodes: Sequence[Node], points: Sequence[Point]) -> str:
    """The best score against evaluations, with a dot for every complete trial."""
    if not points:
        return ""
    top = max(max(node.spent for node in nodes), 1)

    def x(spent: float) -> float:
        return round(LEFT + (WIDTH - LEFT - 12) * spent / top, 1)

    def y(value: float) -> float:
        return round(12 + (HEIGHT - BOTTOM - 12) * (1 - value), 1)

    dots = [
        f'<circle cx="{x(n.spent)}" cy="{y(n.value)}" r="3.5" fill="#9aa7b3" stroke="#ffffff">'
        f"<title>{escape(n.strategy)} {100 * n.value:.1f} %</title></circle>"
        for n in nodes
        if n.state == "complete" and n.value is not None
    ]
    steps = f"M{x(points[0].spent)} {y(points[0].best)}"
    for point in points[1:]:
        steps += f" H{x(point.spent)} V{y(point.best)}"
    line = f'<path d="{steps} H{x(top)}" fill="none" stroke="#0b6e4f" stroke-width="2.5"/>'
    parts = [*_axes(top, x, y), line, *dots]
    return _svg(WIDTH, HEIGHT, "score against evaluations", parts, "whole")


def _axes(top: int, x: object, y: object) -> list[str]:
    assert callable(x)
    assert callable(y)
    parts = [
        f'<path d="M{LEFT} {y(share)} H{WIDTH - 12}" stroke="#e3e8ec"/>'
        f'<text x="{LEFT - 8}" y="{y(share) + 4}" text-anchor="end">{100 * share:.0f} %</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for share in (0.0, 0.5, 1.0):
        anchor = {0.0: "start", 0.5: "middle", 1.0: "end"}[share]
        parts.append(
            f'<text x="{x(share * top)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="{anchor}">'
            f"{share * top:.0f}</text>"
        )
    middle = (LEFT + WIDTH) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">evaluations</text>')
    return parts


def interval_svg(value: float, low: float, high: float, strong: bool) -> str:
    """A score with its interval on a line from 0 to 100 %."""
    colour = "#0b6e4f" if strong else "#5b6b7b"

    def x(share: float) -> float:
        return round(7 + 246 * share, 1)

    return _svg(
        260,
        18,
        f"{100 * value:.1f} %",
        [
            '<path d="M7 9 H253" stroke="#e3e8ec" stroke-width="2"/>',
            f'<path d="M{x(low)} 9 H{x(high)}" stroke="{colour}" stroke-width="4" opacity=".45"/>',
            f'<circle cx="{x(value)}" cy="9" r="5.5" fill="{colour}"/>',
        ],
    )


def _svg(width: float, height: float, title: str, parts: Sequence[str], kind: str = "") -> str:
    """A picture; of `kind` "whole" the page shrinks it to a narrow screen."""
    return (
        f'<svg role="img" class="{kind}" aria-label="{escape(title)}" '
        f'width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}">{"".join(parts)}</svg>'
    )


# --- PNG, for places that show pictures but no pages ---------------------------------------------

SCALE = 2.0
"""PNG pixels per SVG unit: text is sharp on dense screens."""
MOST_PIXELS = 60_000_000
_FONTS = "'DejaVu Sans', 'Noto Sans', 'Liberation Sans', Arial, Helvetica, sans-serif"


def drawings(report: Report) -> dict[str, bytes]:
    """File name -> PNG of the tree and the curve; empty where no trials are known.

    Raises `UsageError` where the library that draws them is not installed.
    """
    drawn = {
        "tree.png": tree_svg(report.nodes, report.path()),
        "curve.png": curve_svg(report.nodes, report.curve()),
    }
    return {name: _png(svg) for name, svg in drawn.items() if svg}


def _png(svg: str) -> bytes:
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise UsageError(
            "--png needs a package that is not installed: pip install 'idealprompt[png]'"
        ) from None
    head = f'<svg xmlns="http://www.w3.org/2000/svg" font-size="12" font-family="{_FONTS}" '
    width, height = (int(value) for value in re.findall(r' (?:width|height)="(\d+)"', svg)[:2])
    scale = min(SCALE, (MOST_PIXELS / max(1, width * height)) ** 0.5)
    drawn = svg_to_bytes(
        svg_string=head + svg.removeprefix("<svg "), zoom=scale, background="white"
    )
    return _marked(bytes(drawn))


def _marked(png: bytes) -> bytes:
    """The picture with its maker's name, so that it is recognised and may be replaced. The text is
    a chunk of its own behind the header, which is 33 bytes long."""
    text = b"tEXtSoftware\0idealprompt"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return png[:33] + chunk + png[33:]
