"""The same weights as a GGUF in bfloat16: llama.cpp multiplies these faster on some processors.

    python -m benchmarks.real bf16 SmolLM2-135M-Instruct.Q4_1.gguf smollm2-bf16.gguf

That holds for processors with AVX-512 BF16: llama.cpp has no kernel for many rows at once of Q4_1.
Weights are dequantised, not changed; what differs is that activations are not rounded to 8 bits.
The comparison uses such a file, so that it can be afforded.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize

BF16 = GGMLQuantizationType.BF16
_WRITER_OWNS = ("general.architecture",)


def to_bf16(source: Path, out: Path) -> None:
    """Write `source` with every quantised tensor in bfloat16, metadata unchanged."""
    reader = GGUFReader(source)
    writer = GGUFWriter(out, str(reader.fields["general.architecture"].contents()))
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in _WRITER_OWNS:
            continue
        kind = field.types[0]
        part = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=part)
    for tensor in reader.tensors:
        if tensor.tensor_type == GGMLQuantizationType.F32:
            writer.add_tensor(tensor.name, np.array(tensor.data))
        else:
            values = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
            writer.add_tensor(tensor.name, quantize(values, BF16), raw_dtype=BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
