"""Measures the exported mmproj through llama.cpp on the `bench` split and writes skills.json.

`python -m training.smollm2.measure --mmproj M --checkpoint C --data DIR --out skills.json`. Every
skill is asked in several wordings and read in two ways: the likeliest option (raw), and the
likeliest after subtracting each option's mean log-probability over train pictures (calibrated;
labels are not used for it). The best wording and reading are chosen on train pictures and reported
on bench pictures. The same facts given as text show how much the language model itself loses.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.smollm2.data import Photo, all_photos, data_hash
from training.smollm2.engine import Engine, generate, open_eyes, score_many
from training.smollm2.gguf_text import find_text_gguf, read_tokenizer
from training.smollm2.probe import probes
from training.smollm2.skills import CAPTIONS, SKILLS, Skill, sample
from training.smollm2.slots import UNKNOWN, SlotText

Table = np.ndarray


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a share."""
    if not n:
        return 0.0, 1.0
    p, d = right / n, 1 + z * z / n
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / d, (centre + half) / d


def share(right: Sequence[bool]) -> dict[str, Any]:
    low, high = wilson(sum(right), len(right))
    value = sum(right) / max(1, len(right))
    return {"n": len(right), "value": round(value, 4), "low": round(low, 4), "high": round(high, 4)}


def hits(logprobs: Table, skill: Skill, photos: Sequence[Photo], shift: Table) -> list[bool]:
    best = (logprobs - shift).argmax(1)
    return [skill.options[b] == skill.truth(p) for b, p in zip(best, photos, strict=True)]


def tables(
    engine: Engine, skill: Skill, photos: Sequence[Photo], texts: Sequence[str] | None = None
) -> list[Table]:
    """For every wording, log-probabilities (pictures, options)."""
    paths = [p.path for p in photos]
    return score_many(engine, paths, texts, skill.wordings, skill.options)


def readings(
    skill: Skill, photos: Sequence[Photo], found: Sequence[Table], means: Sequence[Table]
) -> dict[tuple[int, str], list[bool]]:
    """(wording, reading) -> which answers are right."""
    result = {}
    for i, (table, mean) in enumerate(zip(found, means, strict=True)):
        result[i, "raw"] = hits(table, skill, photos, np.zeros(len(skill.options)))
        result[i, "calibrated"] = hits(table, skill, photos, mean)
    return result


def fact_text(text: SlotText, photo: Photo) -> str:
    """The text that stage A aims at, without the slots nobody knows."""
    ids = [i for i in text.tokens(photo.facts) if i != UNKNOWN]
    return str(text.tokenizer.decode(ids))


def measure_skill(
    engine: Engine, skill: Skill, photos: Sequence[Photo], count: int, text: SlotText
) -> dict[str, Any]:
    train = skill.usable(sample(photos, skill.domain, "train", count // 2))
    bench = skill.usable(sample(photos, skill.domain, "bench", count))
    on_train = tables(engine, skill, train)
    means = [t.mean(0) for t in on_train]
    chosen = readings(skill, train, on_train, means)
    reported = readings(skill, bench, tables(engine, skill, bench), means)
    best = max(chosen, key=lambda k: sum(chosen[k]))
    told = tables(engine, skill, bench, [fact_text(text, p) for p in bench])
    ceiling = readings(skill, bench, told, [t.mean(0) for t in told])
    top = max(ceiling, key=lambda k: sum(ceiling[k]))
    counts = [sum(skill.truth(p) == o for p in bench) for o in skill.options]
    return {
        "skill": skill.name,
        "wanted": skill.wanted,
        **share(reported[best]),
        "wording": skill.wordings[best[0]],
        "reading": best[1],
        "majority": round(max(counts) / max(1, len(bench)), 4),
        "wordings": [
            {"wording": w, "raw": share(reported[i, "raw"])["value"],
             "calibrated": share(reported[i, "calibrated"])["value"]}
            for i, w in enumerate(skill.wordings)
        ],
        "facts_as_text": {
            **share(ceiling[top]), "wording": skill.wordings[top[0]], "reading": top[1],
            "raw": [share(ceiling[i, "raw"])["value"] for i in range(len(skill.wordings))],
        },
    }  # fmt: skip


def measure_captions(engine: Engine, photos: Sequence[Photo], count: int) -> list[dict[str, Any]]:
    """Share of greedy captions that contain the right words."""
    some = [p for p in sample(photos, "products", "bench", count) if p.facts.item]
    rows = []
    for wording in CAPTIONS:
        texts = generate(engine, [p.path for p in some], wording)
        row: dict[str, Any] = {"wording": wording, "n": len(some), "examples": texts[:5]}
        for name in ("item", "color", "usage", "audience"):
            words = [str(getattr(p.facts, name)) for p in some]
            named = [_names(t, w) for t, w in zip(texts, words, strict=True)]
            row[name] = share(named)["value"]
        rows.append(row)
    return rows


def _names(text: str, word: str) -> bool:
    """Whether a caption contains a word, and not just as the end of another ("women")."""
    padded = " " + "".join(c if c.isalnum() or c == "-" else " " for c in text.lower()) + " "
    return f" {word} " in padded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mmproj", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300, help="bench pictures a skill")
    parser.add_argument("--made", type=Path, help="JSON of make.py: seeds, minutes, data hash")
    options = parser.parse_args()
    start, photos = time.time(), all_photos(options.data)
    text = SlotText(read_tokenizer(find_text_gguf()))
    engine = open_eyes(options.mmproj)
    rows = []
    for skill in SKILLS:
        row = measure_skill(engine, skill, photos, options.count, text)
        rows.append(row)
        told = row["facts_as_text"]["value"]
        print(
            f"{skill.name}: {row['value']:.3f} [{row['low']:.2f}, {row['high']:.2f}] with "
            f"{row['wording']!r} {row['reading']}; facts as text {told:.3f}",
            flush=True,
        )
    captions = measure_captions(engine, photos, options.count // 3)
    engine.close()
    report = {
        "mmproj_sha256": hashlib.sha256(options.mmproj.read_bytes()).hexdigest(),
        "made": json.loads(options.made.read_text("utf-8")) if options.made else None,
        "data_sha256": data_hash(photos),
        "count": options.count,
        "skills": rows,
        "captions": captions,
        "probes": probes(options.checkpoint, photos),
        "seconds": round(time.time() - start),
    }
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({"captions": captions, "probes": report["probes"]}, indent=1))


if __name__ == "__main__":
    main()
