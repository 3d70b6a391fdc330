"""Several machines, measured on one: `python -m benchmarks.fleet [PART ...]`.

Parts (all of them by default):
  cluster     three workers in network namespaces, with TLS: equality with one machine, images
              encoded, bytes, a worker of another model refused, workers killed and frozen
  federation  three boxes behind recording proxies: bytes for each evaluation, planted secrets
              searched for in the traffic, a box killed, a coordinator killed and resumed
  scale       1 to 1,000 simulated boxes: the coordinator's time and memory
  efficiency  two workers on two cores against one process with two threads
Namespaces need Linux, root and `ip`; without them the workers of `cluster` run on the loopback
interface, and the result says so. Needs the extra "fleet". Writes results/fleet.json and the table
in README.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .fleet_cluster import cluster, efficiency
from .fleet_federation import federation
from .fleet_scale import scale
from .markdown import filled, table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "fleet.json"
PAGE = ROOT / "benchmarks" / "README.md"

Part = Callable[[Path], dict[str, Any]]
PARTS: Mapping[str, Part] = {
    "cluster": cluster,
    "federation": federation,
    "scale": scale,
    "efficiency": efficiency,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help=", ".join(PARTS))
    parser.add_argument("--table", action="store_true", help="only the table, from the results")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # what was started is ended
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in () if given.table else given.parts or PARTS:
        with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
            results[name] = PARTS[name](Path(folder))
        RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps(results[name], indent=1))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, "fleet", tables(results)), encoding="utf-8")


def tables(results: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    rows: list[tuple[str, str]] = []
    if found := results.get("cluster"):
        rows += _cluster_rows(found)
    if found := results.get("federation"):
        rows += _federation_rows(found)
    if found := results.get("efficiency"):
        rows += _efficiency_rows(found)
    blocks = [table(("what", "figure"), rows)] if rows else []
    if found := results.get("scale"):
        head = ("boxes", "evaluations", "coordinator, µs an evaluation", "share of the run",
                "memory, MiB", "bytes for each prompt and box")  # fmt: skip
        blocks.append(table(head, [_scale_row(row) for row in found["rows"]]))
    return "\n\n".join(blocks)


def _cluster_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (f"search on three workers ({found['network']}): answers and trials that differ from one "
         "machine", f"{found['differing']} of {found['compared']}"),
        ("images encoded by the three workers together, of those of the task",
         f"{found['encoded']} of {found['images']}"),
        ("sent to and received from the workers, for each evaluation",
         f"{found['sent_per_evaluation']:.0f} and {found['received_per_evaluation']:.0f} bytes"),
        ("a worker with another model", found["other_model"]),
    ]  # fmt: skip
    return rows + [
        (f"a worker is {fault} in mid-run: differing answers and trials",
         f"{case['differing']} of {case['compared']} ({case['stated']})")
        for fault, case in found["faults"].items()
    ]  # fmt: skip


def _federation_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("federation of three boxes: held-out accuracy, seed prompt and common winner",
         f"{100 * found['before']:.1f} % and {100 * found['after']:.1f} %"),
        ("bytes for each prompt and box, both ways (budget: 2,048)",
         f"{found['bytes_per_prompt_and_box']:.0f}"),
        (f"planted secrets found in {found['recorded_bytes']:,} recorded bytes",
         f"{found['secrets_found']} of {found['secrets']}"),
        ("a box is killed in mid-run", found["killed_box"]),
        ("the coordinator is killed and resumed: prompt measured twice by a box",
         f"{found['measured_twice']} of {found['measured']}"),
    ]  # fmt: skip


def _efficiency_rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        ("two workers with a thread each against one process with two threads: seconds of the run "
         f"(machine with a load of {found['load']:.1f})",
         f"{found['two_workers']['wall']:.1f} against {found['one_process']['wall']:.1f}"),
        ("the same in processor time, all processes",
         f"{found['two_workers']['cpu']:.1f} against {found['one_process']['cpu']:.1f}"),
    ]  # fmt: skip


def _scale_row(row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['boxes']:,}",
        f"{row['evaluations']:,}",
        f"{row['microseconds']:.0f}",
        f"{100 * row['share']:.1f} %",
        f"{row['memory_mib']:.0f}",
        f"{row['bytes_per_prompt_and_box']:.0f}",
    )


if __name__ == "__main__":
    main()
