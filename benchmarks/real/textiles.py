"""A table of the textile photographs that no training of ours has seen, for `make demo-real`.

`python -m benchmarks.real.textiles TABLE.csv` writes file names and labels; the photographs come
from the package `conformal-clip-data` and stay where they are.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from .sources import MissingData, textiles


def write(table: Path) -> int:
    """Write the table -> number of photographs. Raises `MissingData`."""
    rows = textiles(Path())
    table.parent.mkdir(parents=True, exist_ok=True)
    with table.open("w", encoding="utf-8", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(("file_name", "label"))
        lines.writerows((str(row.image), row.facts["grade"]) for row in rows)
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    options = parser.parse_args()
    try:
        print(f"{write(options.table)} photographs in {options.table}")
    except MissingData as problem:
        raise SystemExit(f"error: {problem}") from None


if __name__ == "__main__":
    main()
