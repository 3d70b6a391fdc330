"""Proves an export: llama-cpp-python's own chat handler against the PyTorch forward pass.

`python -m training.verify --checkpoint C --tokenizer T --model DIR` prints, for a few pictures, the
largest difference of the top tokens' log-probabilities and whether the first token agrees. Use an
F32 export to see the layout proved (about 1e-3), a quantised one to see what quantisation costs.
"""

from __future__ import annotations

import argparse
import base64
import io
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

from training.draw import draw, to_input
from training.model import additive, load_models
from training.scene import sample_scene
from training.tokens import ASSISTANT, USER, load_tokenizer
from training.vision import to_tensor

QUESTIONS = (
    "Describe the picture.",
    "What colour is the item?",
    "K7: striped; M2: dotted. Which label?",
)


class Reference:
    """The checkpoint in PyTorch: log-probabilities of the first answer token."""

    def __init__(self, checkpoint: Path, tokenizer: Path) -> None:
        self.tokenizer = load_tokenizer(tokenizer)
        self.text, self.vision = load_models(checkpoint)

    @torch.no_grad()
    def first_token(self, pixels: np.ndarray, question: str) -> np.ndarray:
        """(vocab,) natural log-probabilities for a (64, 64, 3) uint8 picture."""
        ids = [self.tokenizer.encode(t).ids for t in (USER, question + ASSISTANT)]
        head, tail = (self.text.embed(torch.tensor([i])) for i in ids)
        picture = self.vision.project(self.vision(to_tensor(pixels[None])))
        x = torch.cat((head, picture, tail), 1)
        n = x.shape[1]
        mask = additive(torch.ones(n, n).tril().bool())[None, None]
        states = self.text(x, mask, torch.arange(n)[None])
        return np.asarray(self.text.logits(states[0, -1]).log_softmax(-1).numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="folder of the GGUF files")
    options = parser.parse_args()
    from llama_cpp import Llama
    from llama_cpp.llama_chat_format import MTMDChatHandler

    reference = Reference(options.checkpoint, options.tokenizer)
    handler = MTMDChatHandler(str(options.model / "mmproj.gguf"), verbose=False)
    llm = Llama(
        str(options.model / "model.gguf"),
        chat_handler=handler,
        n_ctx=512,
        logits_all=True,
        verbose=False,
    )
    rng = Random(8)
    for question in QUESTIONS:
        pixels = to_input(draw(sample_scene(rng), rng))
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        content = [
            {"type": "image_url", "image_url": {"url": url}},
            {"type": "text", "text": question},
        ]
        reply = llm.create_chat_completion(
            messages=[{"role": "user", "content": content}],  # type: ignore[list-item]
            max_tokens=32, temperature=0.0, logprobs=True, top_logprobs=5,
        )  # fmt: skip
        choice = reply["choices"][0]  # type: ignore[index]
        theirs = choice["logprobs"]["content"][0]["top_logprobs"]
        ours = reference.first_token(pixels, question)
        best = reference.tokenizer.id_to_token(int(ours.argmax()))
        gaps = []
        for entry in theirs:
            ids = reference.tokenizer.encode(entry["token"]).ids
            if len(ids) == 1:
                gaps.append(abs(float(ours[ids[0]]) - entry["logprob"]))
        print(f"{question!r}: largest gap {max(gaps):.5f}; best {best!r} / {theirs[0]['token']!r}; "
              f"reply {choice['message']['content']!r}")  # fmt: skip


if __name__ == "__main__":
    main()
