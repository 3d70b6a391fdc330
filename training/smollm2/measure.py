"""Measures the exported mmproj through llama.cpp on the `bench` split and writes skills.json.

`python -m training.smollm2.measure --mmproj M --checkpoint C --data DIR --out skills.json`. Every
skill is asked in several phrasings and read in two ways: the likeliest option (raw), and the
likeliest after subtracting each option's mean log-probability over pictures (calibrated; labels
are not used for it). Phrasings are compared on the held-back train pictures (`valid`); the best
phrasing and reading are then asked on bench pictures. The same facts given as text show how much
the language model itself loses.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.smollm2.data import Photo, all_photos, data_hash
from training.smollm2.engine import Ask, Engine, generate, open_eyes, score_all
from training.smollm2.gguf_text import find_text_gguf, read_tokenizer
from training.smollm2.probe import probes
from training.smollm2.skills import CAPTIONS, SKILLS, Phrasing, Skill, sample
from training.smollm2.slots import UNKNOWN, SlotText

Table = np.ndarray
DOMAINS = ("products", "textiles", "solar")


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


def readings(
    skill: Skill, photos: Sequence[Photo], found: Sequence[Table], means: Sequence[Table]
) -> dict[tuple[int, str], list[bool]]:
    """(phrasing, reading) -> which answers are right."""
    result = {}
    for i, (table, mean) in enumerate(zip(found, means, strict=True)):
        result[i, "raw"] = hits(table, skill, photos, np.zeros(len(skill.options)))
        result[i, "calibrated"] = hits(table, skill, photos, mean)
    return result


def fact_text(text: SlotText, photo: Photo) -> str:
    """The text that stage A aims at, without the slots nobody knows."""
    ids = [i for i in text.tokens(photo.facts) if i != UNKNOWN]
    return str(text.tokenizer.decode(ids))


def photos_of(photos: Sequence[Photo], skill: Skill, split: str, count: int) -> list[Photo]:
    return skill.usable(sample(photos, skill.domain, split, count))


def ask(skill: Skill, photos: Sequence[Photo], phrasings: Sequence[Phrasing]) -> Ask:
    return Ask([p.path for p in photos], phrasings, skill.options)


def by_share(found: dict[tuple[int, str], list[bool]]) -> tuple[int, str]:
    return max(found, key=lambda k: sum(found[k]))


@dataclass(frozen=True)
class Choice:
    """What the held-back pictures chose for a skill, with every phrasing's shares."""

    phrasing: Phrasing
    reading: str
    mean: list[float]
    tried: list[dict[str, Any]]
    n: int


def choose(
    engine: Engine, skills: Sequence[Skill], photos: Sequence[Photo], count: int
) -> list[Choice]:
    """The best phrasing and reading of every skill, on pictures of `valid`."""
    groups = [photos_of(photos, s, "valid", count) for s in skills]
    asks = [ask(s, group, s.phrasings) for s, group in zip(skills, groups, strict=True)]
    choices = []
    for skill, group, tables in zip(skills, groups, score_all(engine, asks), strict=True):
        found = readings(skill, group, tables, [t.mean(0) for t in tables])
        best, reading = by_share(found)
        tried = [
            {"phrasing": str(w), **{r: share(found[i, r])["value"] for r in ("raw", "calibrated")}}
            for i, w in enumerate(skill.phrasings)
        ]
        mean = tables[best].mean(0).tolist()
        choices.append(Choice(skill.phrasings[best], reading, mean, tried, len(group)))
    return choices


def read_choices(path: Path) -> dict[str, Choice]:
    """Choices of an earlier run, by skill."""
    rows = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return {k: Choice(**{**v, "phrasing": Phrasing(**v["phrasing"])}) for k, v in rows.items()}


def chosen_once(
    engine: Engine, skills: Sequence[Skill], photos: Sequence[Photo], count: int, path: Path
) -> list[Choice]:
    """`choose`, kept in a file, since trying every phrasing takes longest."""
    known = read_choices(path)
    missing = [s for s in skills if s.name not in known]
    if missing:
        new = choose(engine, missing, photos, count)
        known |= {s.name: c for s, c in zip(missing, new, strict=True)}
        rows = {k: asdict(c) for k, c in known.items()}
        path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return [known[s.name] for s in skills]


def report_skills(
    engine: Engine,
    skills: Sequence[Skill],
    photos: Sequence[Photo],
    count: int,
    choices: Sequence[Choice],
) -> list[dict[str, Any]]:
    """Rows of skills.json for skills that ask about the same pictures."""
    groups = [photos_of(photos, s, "bench", count) for s in skills]
    asks = [ask(s, g, [c.phrasing]) for s, g, c in zip(skills, groups, choices, strict=True)]
    rows = []
    scored = score_all(engine, asks)
    for skill, group, tables, choice in zip(skills, groups, scored, choices, strict=True):
        final = readings(skill, group, tables, [np.array(choice.mean)])
        counts = [sum(skill.truth(p) == o for p in group) for o in skill.options]
        row = {"skill": skill.name, "target": skill.target, **share(final[0, choice.reading])}
        row |= {"phrasing": str(choice.phrasing), "reading": choice.reading}
        row |= {
            "majority": round(max(counts) / len(group), 4),
            "phrasings": choice.tried,
            "tried_on": choice.n,
        }
        rows.append(row)
    return rows


def report_texts(
    engine: Engine, skills: Sequence[Skill], photos: Sequence[Photo], count: int, text: SlotText
) -> list[dict[str, Any]]:
    """The best of the phrasings when the true facts are given as text in the picture's place."""
    groups = [photos_of(photos, s, "bench", count) for s in skills]
    asks = [
        replace(ask(s, group, s.phrasings), texts=[fact_text(text, p) for p in group])
        for s, group in zip(skills, groups, strict=True)
    ]
    rows = []
    for skill, group, tables in zip(skills, groups, score_all(engine, asks), strict=True):
        found = readings(skill, group, tables, [t.mean(0) for t in tables])
        top, reading = by_share(found)
        row = {"phrasing": str(skill.phrasings[top]), "reading": reading}
        rows.append({**share(found[top, reading]), **row, "raw": share(found[top, "raw"])["value"]})
    return rows


def measure_captions(engine: Engine, photos: Sequence[Photo], count: int) -> list[dict[str, Any]]:
    """Share of greedy captions that contain the right words."""
    some = [p for p in sample(photos, "products", "bench", count) if p.facts.item]
    rows = []
    for phrasing in CAPTIONS:
        texts = generate(engine, [p.path for p in some], phrasing)
        row: dict[str, Any] = {"phrasing": phrasing, "n": len(some), "examples": texts[:5]}
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
    parser.add_argument("--tried", type=int, default=60, help="valid pictures for the phrasings")
    parser.add_argument("--facts_shown", type=int, default=25, help="bench pictures as text")
    parser.add_argument("--captions", type=int, default=50, help="bench pictures to describe")
    parser.add_argument("--choices", type=Path, default=Path("choices.json"), help="kept phrasings")
    parser.add_argument("--threads", type=int, default=0, help="0 lets the engine choose")
    parser.add_argument("--made", type=Path, help="JSON of make.py: seeds, minutes, data hash")
    options = parser.parse_args()
    start, photos = time.time(), all_photos(options.data)
    text = SlotText(read_tokenizer(find_text_gguf()))
    engine = open_eyes(options.mmproj, threads=options.threads)
    rows: list[dict[str, Any]] = []
    for domain in DOMAINS:
        skills = [s for s in SKILLS if s.domain == domain]
        count = options.count if domain == "products" else options.count // 2
        choices = chosen_once(engine, skills, photos, options.tried, options.choices)
        some = report_skills(engine, skills, photos, count, choices)
        facts_shown = report_texts(engine, skills, photos, options.facts_shown, text)
        rows += [{**r, "facts_as_text": t} for r, t in zip(some, facts_shown, strict=True)]
        for row in rows[-len(some) :]:
            print(json.dumps(row), flush=True)
    captions = measure_captions(engine, photos, options.captions)
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
