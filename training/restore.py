"""Convert the GGUF files of the package back to a checkpoint, to continue training from them.

`python -m training.restore --model idealprompt_cli/models/demo --out training/out/shipped.pt`, then
`python -m training.train_text J --start ... --align 0`. Quantisation errors remain; the slot
heads, which are not in the files, are initialised again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader, dequantize
from torch import Tensor

TEXT = {
    "token_embd": "embed", "output_norm": "norm", "attn_norm": "attn_norm", "ffn_norm": "ffn_norm",
    "attn_q": "q", "attn_k": "k", "attn_v": "v", "attn_output": "o", "ffn_gate": "gate",
    "ffn_up": "up", "ffn_down": "down",
}  # fmt: skip
VISION = {
    "patch_embd": "patch", "post_ln": "post_ln", "ln1": "ln1", "ln2": "ln2", "attn_q": "q",
    "attn_k": "k", "attn_v": "v", "attn_out": "o", "ffn_up": "up", "ffn_down": "down",
}  # fmt: skip


def name_of(tensor: str, names: dict[str, str]) -> str:
    """The checkpoint's name for a GGUF tensor: `blk.3.attn_q.weight` is `layers.3.q.weight`."""
    if tensor == "v.position_embd.weight":
        return "positions"
    parts = tensor.removeprefix("v.").split(".")
    if parts[0] == "mm":
        return f"mm{parts[1]}.{parts[2]}"
    if parts[0] == "blk":
        return f"layers.{parts[1]}.{names[parts[2]]}.{parts[3]}"
    return f"{names[parts[0]]}.{parts[1]}"


def read(path: Path, names: dict[str, str]) -> dict[str, Tensor]:
    state = {}
    for tensor in GGUFReader(str(path)).tensors:
        data = dequantize(np.asarray(tensor.data), tensor.tensor_type).astype(np.float32)
        shape = tuple(int(n) for n in reversed(tensor.shape.tolist()))
        state[name_of(tensor.name, names)] = torch.from_numpy(data.reshape(shape).copy())
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of the GGUF files")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        {
            "text": read(options.model / "model.gguf", TEXT),
            "vision": read(options.model / "mmproj.gguf", VISION),
        },
        options.out,
    )


if __name__ == "__main__":
    main()
