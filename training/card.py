"""Write the model card from `skills.json` into the folder of the model."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HEAD = """# IdealPrompt Demo VLM

A very small vision-language model, trained only by this repository's `training/` folder, without
published weights, public data sets or photographs of people. With it you can try, test and measure
the tool on a real quantised model without a download. It knows drawn images of 10 kinds of goods
and is useless for photographs.

| | |
|---|---|
| text | llama.cpp `qwen2`: 6 layers, width 192, 6 heads, SwiGLU 512, 1,024-token byte-level BPE |
| vision | llama.cpp `janus_pro`: ViT of 6 layers, width 128, 64-pixel input, 8-pixel patches |
| image tokens | 64, one chunk, causal |
| files | `model.gguf` and `mmproj.gguf`, Q8_0 matrices, F32 norms |
| chat format | ChatML in `tokenizer.chat_template` |
| licence | MIT |

## How it was made

`make demo-model` runs the whole recipe, with checkpoints: 120,000 drawn images (seed 21), then

- V: the vision trunk as a classifier of scene attributes, on clear images first (22 minutes on one
  thread, 216,000 images);
- T: the text half on pseudo-images, with attribute-word embeddings in place of the image (22
  minutes on one thread, 2,400 steps of 12 rows), with Muon and mimetic initialisation;
- J: a short fit of the projector and then both halves on images (36 minutes on two threads, 3,600
  steps), and nine minutes more at a lower rate;
- M: comparisons, composed phrasings and text tasks (62 minutes on two threads shared with other
  work, 3,100 steps of 11 rows with an image, 40 % of them of two items, and 3 rows of text only);
- P: the same with more images of two items and more phrasings (19 minutes, 1,000 steps at a lower
  rate).

The recipe and its seeds are the defaults of `training/make.py`. The shipped files were trained
stage by stage on two cores shared with other work; M continued from the previous model's quantised
files (`training/restore.py`). Training by time is not bitwise repeatable: the number of steps
depends on the machine. The previous model (before M) is in commit 27637e5 of this repository: its
files, its `training/` folder with the training questions, its seeds and its card.

Findings:

- Muon with its usual rate of 0.02 let attention logits grow until every head looked at one token,
  in both halves: kinds of goods stayed below 50 % after 120,000 images, and yes/no and
  definitions stayed at chance for 2,500 steps. At 0.008, a third of that for queries and keys,
  and decay 0.1, both were learned within ten minutes.
- Mimetic initialisation (look-back heads, heads with q = k) brought the loss of step 900 forward
  to step 400 at equal settings.
- Whitened patch filters and convolution-like first heads made no visible difference while the
  rate was too high; they were kept but not tested again.
- Comparisons of two items stayed at chance while one in forty questions was a comparison; with
  40 % of the rows on images of two items, and a third of their questions comparisons (some name
  both values before the verdict), "which of the two" was learned within ten minutes of M.
- Text tasks stayed near chance as rare branches of an image; in separate rows, with the differing
  values before the attribute's name, they were learned as quickly.
- Phrasings that training had not used failed (53 % of attributes, no description at all) as long as
  training used about fifty fixed sentences; M therefore trains on questions composed of openings,
  cores and endings.
- Not reached: "do the two have the same colour?", answered directly, stayed near chance in both
  stages (a fifth of the questions on two items in P); asked to compare, the model names both values
  and then gives the right verdict. Describing first was meant to beat the bare label on
  two-attribute definitions; both are so near the ceiling that no difference can be measured, even
  if all four combinations of two values are labels and training never asked for the bare label.
  Complete descriptions of two items are limited by the pattern of small items.
- Goods of 14 kinds as small as 18 pixels could not be distinguished in the time; 10 larger
  kinds can.

![Share right on new scenes while training](curves.png)

## What it can do

Measured by `python -m training.measure` on newly drawn images (seed {seed}) through llama.cpp on
the files in this folder: the share of greedy answers that equal the right one exactly, with 95 %
Wilson intervals, in phrasings of training and in phrasings that training never used. Images are as
the generator draws them: one item in 65 %, two different ones in 22 %, two or three equal ones in
13 %. Figures below "target" miss the project's aim.

"""


def cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{100 * row['value']:.1f} % [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"


def tables(report: dict[str, Any]) -> str:
    held = {r["skill"]: r for r in report["skills_heldout"]}
    lines = [
        "| skill | n | training phrasing | held-out phrasing | chance | target |",
        "|---|---|---|---|---|---|",
    ]
    for r in report["skills"]:
        chance = f"{100 * r['chance']:.0f} %" if r.get("chance") else ""
        target = f"{100 * r['target']:.0f} %" if r.get("target") else ""
        cells = (r["skill"].replace("_", " "), r["n"], cell(r), cell(held.get(r["skill"])))
        lines.append(f"| {' | '.join(map(str, cells))} | {chance} | {target} |")
    lines += ["", "Each attribute alone, asked in phrasings of training:", ""]
    lines += ["| attribute (layout) | right |", "|---|---|"]
    lines += [f"| {r['skill']} | {cell(r)} |" for r in report["attributes"]]
    lines += ["", "## What it is bad at", ""]
    lines += ["| condition | right |", "|---|---|"]
    lines += [f"| {r['skill']} | {cell(r)} |" for r in report["weaknesses"]]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skills", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    report = json.loads(options.skills.read_text(encoding="utf-8"))
    text = HEAD.replace("{seed}", str(report["seed"])) + tables(report)
    options.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
