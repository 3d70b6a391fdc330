"""Compares llama.cpp with PyTorch: first-token log-probabilities on real photographs.

`python -m training.smollm2.verify --checkpoint C --mmproj M --data DIR` prints the largest and
the mean gap over the likeliest answer words, and ends with status 1 when the mean exceeds the
limit. llama.cpp rounds activations to eight bits before every product with a quantised matrix;
`--exact` compares with a PyTorch pass that does not, which shows what that rounding costs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from training.smollm2.data import Photo, all_photos, chosen, pixels
from training.smollm2.engine import Engine, open_eyes, score
from training.smollm2.export import load_tower
from training.smollm2.gguf_text import ASSISTANT, SYSTEM, find_text_gguf, read_tokenizer
from training.smollm2.language import Language, causal, spread
from training.smollm2.tower import resized

QUESTIONS = ("What color is it?", "Complete: type:", "Describe the product.")
TOP = 8


class Reference:
    """Tower and language model in float32."""

    def __init__(self, checkpoint: Path, rounded: bool) -> None:
        path = find_text_gguf()
        self.tower, self.tokenizer = load_tower(checkpoint), read_tokenizer(path)
        self.language = Language(path, torch.float32, torch.device("cpu"))
        self.language.rounded = rounded

    @torch.no_grad()
    def first_token(self, photo: Photo, question: str) -> np.ndarray:
        """(vocab,) natural log-probabilities of the answer's first token."""
        head, tail = (
            self.language.embed(torch.tensor([self.tokenizer.encode(t).ids]))
            for t in (SYSTEM, question + ASSISTANT)
        )
        picture = self.tower.project(self.tower(resized(pixels([photo]))))
        x = torch.cat((head, picture, tail), 1)
        n, device = x.shape[1], x.device
        states, _ = self.language.states(x, causal(n, x.dtype, device), spread(0, n, device))
        return np.asarray(self.language.logits(states[0, -1]).log_softmax(-1).numpy())


def gaps(reference: Reference, engine: Engine, photo: Photo, question: str) -> list[float]:
    """Differences in log-probability of the `TOP` likeliest words that are one token each."""
    ours = reference.first_token(photo, question)
    words: dict[str, int] = {}
    for token in ours.argsort()[::-1]:
        text = reference.tokenizer.decode([int(token)])
        if text.strip() and reference.tokenizer.encode(text).ids == [int(token)]:
            words[text] = int(token)
        if len(words) == TOP:
            break
    theirs = score(engine, [photo.path], question, list(words))[0]
    return [abs(t - float(ours[i])) for t, i in zip(theirs, words.values(), strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--mmproj", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--limit", type=float, default=0.05)
    parser.add_argument("--exact", action="store_true")
    options = parser.parse_args()
    photos = all_photos(options.data)
    some = [p for d in ("products", "textiles", "solar") for p in chosen(photos, d, "bench")[:2]]
    reference, engine = Reference(options.checkpoint, not options.exact), open_eyes(options.mmproj)
    found: list[float] = []
    for photo in some:
        for question in QUESTIONS:
            each = gaps(reference, engine, photo, question)
            print(f"{photo.name} {question!r}: largest {max(each):.4f}, first {each[0]:.4f}")
            found += each
    engine.close()
    print(f"largest gap {max(found):.4f}, mean gap {np.mean(found):.4f}")
    if np.mean(found) > options.limit:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
