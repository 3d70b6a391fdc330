"""Compares llama.cpp with PyTorch: first-token log-probabilities on real photographs.

`python -m training.smollm2.verify --checkpoint C --mmproj M --data DIR` proves the layout: it
writes the text GGUF once more in F32, so that llama.cpp rounds nothing, and ends with status 1
when the largest gap over the likeliest answer words exceeds the limit. `--quantised` uses the
package's Q4_1 file as users do: there llama.cpp rounds activations to eight bits before every
product, which alone moves log-probabilities by about 0.05, with or without a picture.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from training.smollm2.data import Photo, all_photos, chosen, pixels
from training.smollm2.engine import Engine, open_eyes, score
from training.smollm2.export import load_tower
from training.smollm2.gguf_text import ASSISTANT, SYSTEM, find_text_gguf, read_tokenizer, write_f32
from training.smollm2.language import Language, causal, spread
from training.smollm2.tower import resized

QUESTIONS = ("What color is it?", "Complete: type:", "Describe the product.")
TOP = 8


class Reference:
    """Tower and language model in float32."""

    def __init__(self, checkpoint: Path) -> None:
        path = find_text_gguf()
        self.tower, self.tokenizer = load_tower(checkpoint), read_tokenizer(path)
        self.language = Language(path, torch.float32, torch.device("cpu"))

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
    with tempfile.TemporaryDirectory() as folder:  # as PNG: JPEG decoders differ by a grey level
        path = Path(folder) / "photo.png"
        with Image.open(photo.path) as image:
            image.convert("RGB").save(path)
        theirs = score(engine, [path], question, list(words))[0]
    return [abs(t - float(ours[i])) for t, i in zip(theirs, words.values(), strict=True)]


def compare(reference: Reference, engine: Engine, photos: Sequence[Photo]) -> list[float]:
    """All gaps on two bench photos of each domain."""
    found: list[float] = []
    some = [p for d in ("products", "textiles", "solar") for p in chosen(photos, d, "bench")[:2]]
    for photo in some:
        for question in QUESTIONS:
            each = gaps(reference, engine, photo, question)
            print(f"{photo.name} {question!r}: largest {max(each):.4f}, first {each[0]:.4f}")
            found += each
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--mmproj", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--limit", type=float, default=0.05)
    parser.add_argument("--threads", type=int, default=0, help="0 lets the engine choose")
    parser.add_argument("--quantised", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = None
        if not options.quantised:
            text = Path(folder) / "f32.gguf"
            write_f32(find_text_gguf(), text)
        engine = open_eyes(options.mmproj, text, options.threads)
        found = compare(Reference(options.checkpoint), engine, all_photos(options.data))
        engine.close()
    print(f"largest gap {max(found):.4f}, mean gap {np.mean(found):.4f}")
    if max(found) > options.limit and not options.quantised:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
