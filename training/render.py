"""Command line that renders sampled scenes to a file of model inputs or to a contact sheet."""

from __future__ import annotations

import argparse
import json
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.draw import draw, to_input
from training.scene import Scene, sample_scene

CANVAS = 128
CHUNK = 1000
CAPTION = 34


def render_one(scene: Scene, rng: Random, size: int = 64) -> np.ndarray:
    """One training picture of a scene: (size, size, 3) uint8."""
    return to_input(draw(scene, rng, CANVAS, oversample=1), size, rng)


def render_chunk(count: int, seed: int, fixed: dict[str, Any]) -> tuple[np.ndarray, list[str]]:
    """`count` pictures and their scenes as JSON; the same arguments give the same result."""
    rng = Random(seed)
    pictures = np.empty((count, 64, 64, 3), np.uint8)
    scenes = []
    for i in range(count):
        scene = sample_scene(rng, **fixed)
        pictures[i] = render_one(scene, rng)
        scenes.append(json.dumps(scene.as_dict()))
    return pictures, scenes


def render_many(
    count: int, seed: int, workers: int = 1, fixed: dict[str, Any] | None = None
) -> tuple[np.ndarray, list[str]]:
    """Like `render_chunk`, in chunks; the number of workers does not change the result.

    More than one worker starts fresh processes: call it from under a main guard.
    """
    sizes = [min(CHUNK, count - start) for start in range(0, count, CHUNK)]
    jobs = (sizes, [seed * 1_000_003 + i for i in range(len(sizes))], [fixed or {}] * len(sizes))
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            parts = list(pool.map(render_chunk, *jobs))
    else:
        parts = [render_chunk(*job) for job in zip(*jobs, strict=True)]
    if not parts:
        return np.empty((0, 64, 64, 3), np.uint8), []
    return np.concatenate([p for p, _ in parts]), [text for _, scenes in parts for text in scenes]


def sheet(
    scenes: list[Scene], rng: Random, columns: int = 12, cell: int = 128, pixels: bool = False
) -> Image.Image:
    """A contact sheet with captions; `pixels` shows the 64-pixel model input, enlarged."""
    rows = -(-len(scenes) // columns)
    page = Image.new("RGB", (columns * (cell + 4), rows * (cell + CAPTION)), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(9)
    for i, scene in enumerate(scenes):
        x, y = (i % columns) * (cell + 4), (i // columns) * (cell + CAPTION)
        if pixels:
            small = Image.fromarray(render_one(scene, rng))
            picture = small.resize((cell, cell), Image.Resampling.NEAREST)
        else:
            picture = draw(scene, rng, cell)
        page.paste(picture, (x, y))
        lines = [f"{s.size} {s.colour} {s.pattern} {s.kind}" for s in scene.items[:2]]
        if scene.layout == "group":
            lines = [f"{scene.count} x {lines[0]}"]
        lines.append(f"{scene.surface} {scene.condition} {scene.photo} {scene.mark[:5]}")
        pen.multiline_text((x + 1, y + cell), "\n".join(lines), (0, 0, 0), font, spacing=0)
    return page


def _pin(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, int(value) if value.isdigit() else value


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `python -m training.render`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=96, help="number of pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="npz file: pictures (N,64,64,3), scenes (JSON)")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--sheet", type=Path, help="PNG file: a contact sheet to look at")
    parser.add_argument("--pixels", action="store_true", help="sheet of 64-pixel inputs, enlarged")
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--cell", type=int, default=128, help="pixels per picture on the sheet")
    parser.add_argument("--pin", type=_pin, action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(arguments)
    if not options.out and not options.sheet:
        parser.error("give --out, --sheet or both")
    fixed = dict(options.pin)
    if options.out:
        start = time.perf_counter()
        pictures, scenes = render_many(options.count, options.seed, options.workers, fixed)
        each = 1000 * (time.perf_counter() - start) / max(1, len(scenes))
        np.savez(options.out, pictures=pictures, scenes=np.array(scenes))
        print(f"{options.out}: {len(scenes)} pictures, {each:.2f} ms each")
    if options.sheet:
        rng = Random(options.seed)
        chosen = [sample_scene(rng, **fixed) for _ in range(options.count)]
        sheet(chosen, rng, options.columns, options.cell, options.pixels).save(options.sheet)
        print(f"{options.sheet}: {len(chosen)} pictures")


if __name__ == "__main__":
    main()
