"""Writes the model card beside the model from `skills.json`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

HEAD = """# IdealPrompt Demo VLM

A very small vision-language model, made by this repository's `training/` folder and by nothing
else: no published weights, no data set, no person's pictures. It is there so that the tool can be
tried, tested and measured on a real quantised model without a download. It knows drawn pictures of
10 kinds of goods and is of no use for photographs.

| | |
|---|---|
| text | llama.cpp `qwen2`: 6 layers, width 192, 6 heads, SwiGLU 512, 1,024-token byte-level BPE |
| vision | llama.cpp `janus_pro`: ViT of 6 layers, width 128, 64-pixel input, 8-pixel patches |
| picture tokens | 64, one chunk, causal |
| files | `model.gguf` and `mmproj.gguf`, Q8_0 matrices, F32 norms |
| chat format | ChatML in `tokenizer.chat_template` |
| licence | MIT |

## How it was made

`make demo-model` does all of it, with checkpoints: 120,000 drawn pictures (seed 21), then

- V: the vision trunk as a classifier of scene attributes, on clear pictures first (22 minutes on
  one thread, 216,000 pictures);
- T: the text half on pseudo-pictures, attribute-word embeddings in the picture's place (22 minutes
  on one thread, 2,400 steps of 12 rows), with Muon and mimetic initialisation;
- J: a short fit of the projector and then both halves on pictures (36 minutes on two threads, 3,600
  steps), and nine minutes more at a lower rate;
- M: comparisons, composed phrasings and text jobs (62 minutes on two threads shared with other
  work, 3,100 steps of 11 rows with a picture, 40 % of them of two items, and 3 rows of text alone);
- P: the same with more pictures of two items and still more phrasings (19 minutes, 1,000
  steps at a lower rate).

The recipe and its seeds are the defaults of `training/make.py`. The shipped files were trained
stage by stage beside other work on two cores; M went on from the previous model's quantised files
(`training/restore.py`). Training on a clock is not bitwise repeatable: the number of steps depends
on the machine. The previous model (before M) is commit 27637e5 of this repository: its files, its
`training/` folder with the questions it was trained on, its seeds and its card.

What was learned on the way:

- Muon with its usual rate of 0.02 let attention logits grow until every head looked at one token,
  in both halves: kinds of goods stayed below 50 % after 120,000 pictures, and yes/no and
  definitions stayed at chance for 2,500 steps. At 0.008, a third of that for queries and keys,
  and decay 0.1, both formed within ten minutes.
- Mimetic initialisation (look-back heads, heads with q = k) brought the loss of step 900 forward
  to step 400 at equal settings.
- Whitened patch filters and convolution-like first heads made no difference that could be seen on
  top of the rate that was too high; they were kept but not tested again.
- Comparisons of two items stayed at chance while one in forty questions was a comparison; with
  40 % of the rows on pictures of two items, and a third of their questions comparisons (some with
  both values said before the verdict), "which of the two" formed within ten minutes of M.
- Text jobs stayed near chance as rare branches beside a picture; in rows of their own, with the
  differing values said before the attribute's name, they formed as quickly.
- Phrasings that training had not used failed (53 % of attributes, no description at all) as long as
  training drew from some fifty fixed sentences; questions put together afresh from openings, cores
  and endings are what M trains on.
- Not reached: "do the two have the same colour?", answered at once, stayed near chance through both
  stages (a fifth of the questions on two items in P); asked to compare, the model names both values
  and then gives the right verdict. Describing first was wanted to beat the bare label on
  two-attribute definitions; both are so near the ceiling that no margin can be measured, also
  where all four combinations of two values are labels and training never asked for the bare label.
  Whole descriptions of two items are held back by the pattern of small items.
- Goods of 14 kinds as small as 18 pixels could not be told apart in the time; 10 larger kinds
  can.

![Share right on new scenes while training](curves.png)

## What it can do

Measured by `python -m training.measure` on freshly drawn pictures (seed {seed}) through llama.cpp
on the files beside this card: the share of greedy answers that are right to the letter, with 95 %
Wilson intervals, in phrasings of training and in phrasings that training never used. Pictures come
as the generator draws them: one item in 65 %, two different ones in 22 %, two or three alike in
13 %. "Wanted" is the project's aim; figures below it are misses.

"""


def cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{100 * row['value']:.1f} % [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"


def tables(report: dict[str, Any]) -> str:
    held = {r["skill"]: r for r in report["skills_heldout"]}
    lines = [
        "| skill | n | training phrasing | held-out phrasing | chance | wanted |",
        "|---|---|---|---|---|---|",
    ]
    for r in report["skills"]:
        chance = f"{100 * r['chance']:.0f} %" if r.get("chance") else ""
        wanted = f"{100 * r['target']:.0f} %" if r.get("target") else ""
        cells = (r["skill"].replace("_", " "), r["n"], cell(r), cell(held.get(r["skill"])))
        lines.append(f"| {' | '.join(map(str, cells))} | {chance} | {wanted} |")
    lines += ["", "Each attribute alone, asked in phrasings of training:", ""]
    lines += ["| attribute (layout) | right |", "|---|---|"]
    lines += [f"| {r['skill']} | {cell(r)} |" for r in report["attributes"]]
    lines += ["", "## What it is bad at, on purpose or not", ""]
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
