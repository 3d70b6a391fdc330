"""Measure every skill of an exported model on newly drawn images, through llama.cpp.

`python -m training.measure --model DIR --out DIR` asks the quantised files through the project's
own engine (greedy, as in use) and writes `skills.json`. A skill is the share of answers that equal
the right one exactly, in phrasings of training and in phrasings that training never used, with
Wilson 95 % intervals. Weaknesses are measured in the same way: prompts have to overcome them.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from PIL import ImageFilter

from idealprompt_cli.core.interfaces import Engine
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions, open_engine
from idealprompt_cli.evaluation.statistics import wilson
from training.draw import draw
from training.language import CONTEXTS, MAKERS, ROLES, Turn, describe
from training.language.labels import compound_turn
from training.language.questions import format_turn
from training.language.text_only import paraphrases
from training.scene import Scene, sample_scene

Asked = tuple[Turn, Path]
TARGETS: dict[str, float] = {
    "attribute": 0.97, "description": 0.85, "yes_no": 0.93, "choice_letter": 0.90,
    "choice_word": 0.90, "count": 0.85, "which_side": 0.85, "definition_two": 0.88,
    "definition": 0.88, "definition_pair": 0.75, "format_json": 0.95, "format_one_word": 0.95,
    "format_only_label": 0.95, "text_rephrase": 0.75, "text_difference": 0.75,
    "text_separate": 0.75,
}  # fmt: skip


OF_PAIRS = ("side", "same", "compare", "relation")
UNSEEN_SENTENCES = (
    "Our company was founded forty years ago.",
    "The meeting with the suppliers begins at nine.",
    "Thank you very much for your help with this.",
    "Last summer the roof of the hall had to be mended.",
    "Nobody has complained about it so far.",
    "The driver usually arrives before lunch.",
    "My colleague wrote most of these instructions.",
    "Prices may change without notice.",
)


class Gallery:
    """Freshly drawn pictures on disk, with their scenes."""

    def __init__(self, folder: Path, rng: Random) -> None:
        self.folder, self.rng, self.made = folder, rng, 0

    def draw(self, blur: float = 0, **fixed: Any) -> tuple[Scene, Path]:
        """A new picture; `blur` is the radius in pixels of a blur that training never drew."""
        scene = sample_scene(self.rng, **fixed)
        path = self.folder / f"{self.made:05d}.png"
        self.made += 1
        picture = draw(scene, self.rng, 160)
        if blur:
            picture = picture.filter(ImageFilter.GaussianBlur(blur))
        picture.save(path)
        return scene, path


def request(turn: Turn, path: Path) -> GenerateRequest:
    """The question with its picture; questions about text go without one."""
    alone = turn.skill.startswith("text_")
    content = (turn.question,) if alone else (ImageSlot(), turn.question)
    return GenerateRequest((Message("user", content),), () if alone else (path,), max_tokens=64)


def is_right(turn: Turn, reply: str) -> bool:
    """Right to the letter, where the letter is asked for.

    After a description or a stated value only the label counts (there are several ways to join
    the two); a paraphrase may be any other question for the same attribute of the same thing.
    """
    reply = reply.strip()
    if turn.skill in ("describe_first", "stated_label"):
        return last_word(reply) == last_word(turn.answer)
    if turn.skill == "text_rephrase":
        return reply in paraphrases(turn.question.split(": ", 1)[1])
    return reply == turn.answer


def last_word(text: str) -> str:
    """What follows the last mark between reasoning and label."""
    return re.split(r"(?:Answer: |Label: |, label | -> |: )", text)[-1].strip()


def ask(engine: Engine, asked: list[Asked]) -> list[bool]:
    """Whether each answer is right."""
    replies = engine.generate([request(turn, path) for turn, path in asked])
    return [is_right(turn, r.text) for r, (turn, _) in zip(replies, asked, strict=True)]


def row(name: str, right: list[bool], **more: Any) -> dict[str, Any]:
    interval = wilson(sum(right), len(right))
    share = sum(right) / len(right)
    return {"skill": name, "value": round(share, 4), "low": round(interval.low, 4),
            "high": round(interval.high, 4), "n": len(right), **more}  # fmt: skip


def skill_rows(engine: Engine, gallery: Gallery, count: int, heldout: bool) -> list[dict[str, Any]]:
    """One row per skill; every picture is asked one question of every kind.

    Pictures come as the generator draws them (two items in 22 % of them); comparisons of two items
    are asked of pictures of two.
    """
    rng = gallery.rng
    asked: list[Asked] = []
    for _ in range(count):
        scene, path = gallery.draw()
        for name, make in MAKERS.items():
            if name not in OF_PAIRS:
                asked.append((make(scene, rng, heldout), path))
        asked += [(MAKERS[n](scene, rng, heldout), path) for n in ("choice", "definition")]
        kinds = ("json", "one_word")
        asked += [(format_turn(scene, rng, heldout, kind), path) for kind in kinds]
        turn = MAKERS["attribute"](scene, rng, heldout, "count")
        asked.append((replace(turn, skill="count"), path))
    for _ in range(count // 2):
        scene, path = gallery.draw(layout="pair")
        asked += [(MAKERS[n](scene, rng, heldout), path) for n in OF_PAIRS for _ in range(2)]
    by_skill: dict[str, list[bool]] = defaultdict(list)
    chance: dict[str, list[float]] = defaultdict(list)
    for (turn, _), right in zip(asked, ask(engine, asked), strict=True):
        by_skill[turn.skill].append(right)
        if turn.options:
            chance[turn.skill].append(1 / len(turn.options))
    kind = "heldout" if heldout else "training"
    return [
        row(name, right, phrasing=kind, target=TARGETS.get(name),
            chance=round(sum(chance[name]) / len(chance[name]), 3) if chance[name] else None)
        for name, right in sorted(by_skill.items())
    ]  # fmt: skip


def attribute_rows(engine: Engine, gallery: Gallery, count: int) -> list[dict[str, Any]]:
    """Accuracy of each attribute by layout and by photo quality."""
    rows = []
    for attribute in ("kind", "colour", "pattern", "size", "surface", "condition", "photo", "mark"):
        for layout in ("single", "pair"):
            pictures = [gallery.draw(layout=layout) for _ in range(count)]
            asked = [
                (MAKERS["attribute"](s, gallery.rng, False, attribute), p) for s, p in pictures
            ]
            rows.append(row(f"{attribute} ({layout})", ask(engine, asked)))
    for layout in ("single", "pair", "group"):
        pictures = [gallery.draw(layout=layout) for _ in range(count)]
        asked = [(MAKERS["description"](s, gallery.rng), p) for s, p in pictures]
        rows.append(row(f"whole description ({layout})", ask(engine, asked)))
    return rows


def variant_rows(
    engine: Engine,
    gallery: Gallery,
    count: int,
    variants: Iterable[tuple[str, Callable[[Scene, Random], Turn], dict[str, Any]]],
) -> list[dict[str, Any]]:
    rows = []
    for name, make, fixed in variants:
        pictures = [gallery.draw(**fixed) for _ in range(count)]
        asked = [(make(scene, gallery.rng), path) for scene, path in pictures]
        rows.append(row(name, ask(engine, asked)))
    return rows


def cluttered(skill: str, sentences: int, unseen: bool = False) -> Callable[[Scene, Random], Turn]:
    """A turn after sentences that say nothing: those of training, or others."""
    pool = UNSEEN_SENTENCES if unseen else ROLES + CONTEXTS

    def make(scene: Scene, rng: Random) -> Turn:
        turn = MAKERS[skill](scene, rng)
        extra = " ".join(rng.choice(pool) for _ in range(sentences))
        return Turn(turn.skill, f"{extra} {turn.question}".strip(), turn.answer)

    return make


def careless(scene: Scene, rng: Random) -> Turn:
    """An attribute question in small letters, without marks, two letters of it swapped."""
    turn = MAKERS["attribute"](scene, rng)
    text = "".join(c for c in turn.question.lower() if c.isalpha() or c == " ")
    at = rng.randrange(len(text) - 1)
    return replace(turn, question=text[:at] + text[at + 1] + text[at] + text[at + 2 :])


def listed_last(scene: Scene, rng: Random) -> Turn:
    """Two undefined labels; counted is how often the one listed last is the answer."""
    while True:
        turn = MAKERS["undefined"](scene, rng)
        if len(turn.options) == 2:
            return replace(turn, answer=turn.options[-1])


def letter_at(place: int) -> Callable[[Scene, Random], Turn]:
    """Four lettered options with the right one at a place."""

    def make(scene: Scene, rng: Random) -> Turn:
        while True:
            turn = MAKERS["choice"](scene, rng)
            if len(turn.options) == 4 and turn.answer == turn.options[place]:
                return turn

    return make


def many_labels(count: int) -> Callable[[Scene, Random], Turn]:
    return lambda scene, rng: MAKERS["definition"](scene, rng, False, count, "colour")


def gold_at(first: bool) -> Callable[[Scene, Random], Turn]:
    """A two-label definition whose right label is listed first (or last)."""

    def make(scene: Scene, rng: Random) -> Turn:
        while True:
            turn = MAKERS["definition"](scene, rng, False, 2)
            other = next(o for o in turn.options if o != turn.answer)
            if (turn.question.find(turn.answer) < turn.question.find(other)) == first:
                return turn

    return make


def grid(scene: Scene, rng: Random) -> Turn:
    """Two attributes, four labels: neither attribute alone decides anything."""
    return compound_turn(scene, rng, grid=True)


def described(
    make: Callable[[Scene, Random], Turn],
) -> Callable[[Scene, Random], Turn]:
    """The same definition answered after a description; only the label is judged."""

    def after(scene: Scene, rng: Random) -> Turn:
        turn = make(scene, rng)
        question = f"{turn.question.rstrip()} Describe the picture first, then give the label."
        return Turn("describe_first", question, f"{describe(scene)}\nLabel: {turn.answer}")

    return after


def weakness_rows(engine: Engine, gallery: Gallery, count: int) -> list[dict[str, Any]]:
    attribute, compound = MAKERS["attribute"], MAKERS["compound"]
    single = {"layout": "single"}
    return variant_rows(
        engine,
        gallery,
        count,
        (
            ("undefined private label (chance about 0.4)", MAKERS["undefined"], {}),
            ("two undefined labels: answers the one listed last", listed_last, {}),
            *((f"four options, the right one listed {n}", letter_at(i), single)
              for i, n in ((0, "first"), (3, "last"))),
            ("attribute, sharp photo", attribute, {"photo": "sharp", **single}),
            ("attribute, blurred photo", attribute, {"photo": "blurred", **single}),
            ("attribute, dim photo", attribute, {"photo": "dim", **single}),
            *((f"kind or pattern, blur of {r} pixels in 160", seen(("kind", "pattern")),
               {"photo": "sharp", "blur": r, **single}) for r in (0, 2, 4, 8)),
            ("attribute, typed carelessly", careless, single),
            *((f"attribute after {n} sentences of clutter as in training",
               cluttered("attribute", n), single) for n in (0, 4, 16)),
            *((f"attribute after {n} sentences of other clutter",
               cluttered("attribute", n, True), single) for n in (1, 4, 16)),
            *((f"definition after {n} sentences of other clutter",
               cluttered("definition", n, True), single) for n in (1, 4, 16)),
            *((f"definition of {n} colours", many_labels(n), single) for n in (2, 3, 5, 8)),
            ("definition of two, right label first", gold_at(True), single),
            ("definition of two, right label last", gold_at(False), single),
            ("two-attribute definition, label alone", compound, single),
            ("two-attribute definition, described first", described(compound), single),
            ("two-attribute grid, label alone", grid, single),
            ("two-attribute grid, described first", described(grid), single),
        ),
    )  # fmt: skip


def seen(attributes: tuple[str, ...]) -> Callable[[Scene, Random], Turn]:
    return lambda scene, rng: MAKERS["attribute"](scene, rng, False, rng.choice(attributes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the GGUF files")
    parser.add_argument("--out", type=Path, required=True, help="skills.json")
    parser.add_argument("--count", type=int, default=300, help="pictures for each part")
    parser.add_argument("--seed", type=int, default=31337)
    options = parser.parse_args()
    start = time.time()
    ref = ModelRef(options.model / "model.gguf", options.model / "mmproj.gguf")
    engine = open_engine("llama_cpp", ref, EngineOptions(), print)
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery(Path(folder), Random(options.seed))
        report = {
            "model": engine.info().fingerprint,
            "seed": options.seed,
            "skills": skill_rows(engine, gallery, options.count, False),
            "skills_heldout": skill_rows(engine, gallery, options.count, True),
            "attributes": attribute_rows(engine, gallery, options.count),
            "weaknesses": weakness_rows(engine, gallery, options.count),
        }
    engine.close()
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for part in ("skills", "skills_heldout", "attributes", "weaknesses"):
        for r in report[part]:
            print(f"{part:15s} {r['skill']:45s} {r['value']:.3f} [{r['low']:.2f}, {r['high']:.2f}]")
    print(f"{time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
