"""The table of the fleet benchmark follows from its results."""

from __future__ import annotations

import json

from benchmarks.fleet import PAGE, RESULTS, tables
from benchmarks.markdown import filled


def test_the_table_is_fresh() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, "fleet", tables(results)) == page, "run: benchmarks.fleet --table"
    assert results["cluster"]["differing"] == 0
