"""Measures the exported mmproj through llama.cpp on the `bench` split and writes skills.json.

`python -m training.smollm2.measure --mmproj M --checkpoint C --data DIR --out skills.json`. Every
skill is asked in several wordings and read in two ways: the likeliest option (raw), and the
likeliest after subtracting each option's mean log-probability over pictures (calibrated; labels
are not used for it). Wordings are compared on the held-back train pictures (`valid`); the best
wording and reading are then asked on bench pictures. The same facts given as text show how much
the language model itself loses.
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
from training.smollm2.skills import CAPTIONS, SKILLS, Skill, Wording, sample
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
    engine: Engine,
    skill: Skill,
    photos: Sequence[Photo],
    wordings: Sequence[Wording],
    texts: Sequence[str] | None = None,
) -> list[Table]:
    """For every wording, log-probabilities (pictures, options)."""
    paths = [p.path for p in photos]
    return score_many(engine, paths, texts, wordings, skill.options)


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
    engine: Engine, skill: Skill, photos: Sequence[Photo], count: int
) -> dict[str, Any]:
    valid = skill.usable(sample(photos, skill.domain, "valid", count // 6))
    bench = skill.usable(sample(photos, skill.domain, "bench", count))
    tried = tables(engine, skill, valid, skill.wordings)
    means = [t.mean(0) for t in tried]
    chosen = readings(skill, valid, tried, means)
    best, reading = max(chosen, key=lambda k: sum(chosen[k]))
    wording = skill.wordings[best]
    asked = tables(engine, skill, bench, [wording])
    final = readings(skill, bench, asked, [means[best]])
    counts = [sum(skill.truth(p) == o for p in bench) for o in skill.options]
    return {
        "skill": skill.name,
        "wanted": skill.wanted,
        **share(final[0, reading]),
        "wording": str(wording),
        "reading": reading,
        "raw": share(final[0, "raw"])["value"],
        "calibrated": share(final[0, "calibrated"])["value"],
        "majority": round(max(counts) / max(1, len(bench)), 4),
        "wordings": [
            {
                "wording": str(w),
                "raw": share(chosen[i, "raw"])["value"],
                "calibrated": share(chosen[i, "calibrated"])["value"],
            }
            for i, w in enumerate(skill.wordings)
        ],
    }


def measure_text(
    engine: Engine, skill: Skill, photos: Sequence[Photo], count: int, text: SlotText
) -> dict[str, Any]:
    """The best of the wordings when the true facts stand as text in the picture's place."""
    photos = skill.usable(sample(photos, skill.domain, "bench", count // 10))
    texts = [fact_text(text, p) for p in photos]
    told = tables(engine, skill, photos, skill.wordings, texts)
    found = readings(skill, photos, told, [t.mean(0) for t in told])
    top, reading = max(found, key=lambda k: sum(found[k]))
    plain = share(found[top, "raw"])["value"]
    row = share(found[top, reading])
    return {**row, "wording": str(skill.wordings[top]), "reading": reading, "raw": plain}


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
    parser.add_argument("--threads", type=int, default=0, help="0 lets the engine choose")
    parser.add_argument(
        "--ceiling", type=Path, help="JSON of facts-as-text rows by skill, measured before"
    )
    parser.add_argument("--made", type=Path, help="JSON of make.py: seeds, minutes, data hash")
    options = parser.parse_args()
    start, photos = time.time(), all_photos(options.data)
    text = SlotText(read_tokenizer(find_text_gguf()))
    engine = open_eyes(options.mmproj, threads=options.threads)
    rows, ceiling = [], json.loads(options.ceiling.read_text("utf-8")) if options.ceiling else {}
    for skill in SKILLS:
        row = measure_skill(engine, skill, photos, options.count)
        row["facts_as_text"] = ceiling.get(skill.name) or measure_text(
            engine, skill, photos, options.count, text
        )
        rows.append(row)
        told = row["facts_as_text"]["value"]
        print(
            f"{skill.name}: {row['value']:.3f} [{row['low']:.2f}, {row['high']:.2f}] with "
            f"{row['wording']!r} {row['reading']}; facts as text {told:.3f}",
            flush=True,
        )
    captions = measure_captions(engine, photos, options.count // 6)
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
