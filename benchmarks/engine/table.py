"""The results as Markdown, with the targets beside them; a missed target is shown as missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Results = dict[str, dict[str, dict[str, Any]]]
"""model -> contender -> object."""
ORDER = (
    "naive", "server", "server-tuned", "server-tuned-flash", "ours", "server-tuned-score",
    "ours-score",
)  # fmt: skip
_SMOL = ("smolvlm-256m-q8_0", "smolvlm-256m-q4_0")


@dataclass(frozen=True)
class Target:
    """`reached` gives the figure of one model, or None where it was not measured."""

    name: str
    models: tuple[str, ...]
    at_least: float
    unit: str
    reached: Callable[[dict[str, dict[str, Any]]], float | None]


def by_model(results: list[dict[str, Any]]) -> Results:
    """The objects of `results/engine.json`, to look up."""
    found: Results = {}
    for one in results:
        found.setdefault(one["model"], {})[one["contender"]] = one
    return found


def each(found: dict[str, dict[str, Any]], contender: str) -> float | None:
    """How many times faster one evaluation is than with `contender` (medians), with images encoded
    if it caches them."""
    return _times(found, contender, lambda one: float(one["seconds_per_evaluation"]["median"]))


def whole(found: dict[str, dict[str, Any]], contender: str) -> float | None:
    """How many times faster the whole search is than `contender`, encoding included."""
    return _times(found, contender, lambda one: float(one["search_seconds"]))


def _times(
    found: dict[str, dict[str, Any]], contender: str, figure: Callable[[dict[str, Any]], float]
) -> float | None:
    """The figure of `contender` divided by ours, both generating the same tokens; the better one
    if it was measured with and without flash attention."""
    measured = [found[name] for name in (contender, f"{contender}-flash") if name in found]
    if not measured or "ours" not in found:
        return None
    return min(figure(one) for one in measured) / figure(found["ours"])


def throughput(found: dict[str, dict[str, Any]]) -> float | None:
    """Text tokens a second against `llama-batched-bench` at the same batch, in percent."""
    if "batched-bench" not in found or "text_part" not in found.get("ours-score", {}):
        return None
    own = found["ours-score"]["text_part"]["tokens_per_second"]["median"]
    limit: float = found["batched-bench"]["tokens_per_second"]["median"]
    return 100 * float(own) / limit


def native(found: dict[str, dict[str, Any]]) -> float | None:
    """Share of a real search's wall time inside llama.cpp, in percent."""
    return 100 * float(found["search"]["native_share"]) if "search" in found else None


TARGETS = (
    Target("an evaluation, against naive", _SMOL, 60, "x", lambda f: each(f, "naive")),
    Target("a whole search, against naive", _SMOL, 28, "x", lambda f: whole(f, "naive")),
    Target("a whole search, against naive", ("demo",), 6, "x", lambda f: whole(f, "naive")),
    Target("a whole search, against the server", _SMOL, 10, "x", lambda f: whole(f, "server")),
    Target("an evaluation, against the tuned server", _SMOL, 2, "x",
           lambda f: each(f, "server-tuned")),
    Target("a whole search, against the tuned server", _SMOL, 2, "x",
           lambda f: whole(f, "server-tuned")),
    Target("time of a search inside llama.cpp", ("demo", _SMOL[0]), 90, "%", native),
    Target("text part, against llama-batched-bench", ("demo", *_SMOL), 85, "%", throughput),
)  # fmt: skip


def targets(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every target with what was reached, for the results file."""
    found = by_model(results)
    rows = []
    for target in TARGETS:
        for model in target.models:
            value = target.reached(found.get(model, {}))
            rows.append(
                {
                    "target": target.name,
                    "model": model,
                    "at_least": target.at_least,
                    "unit": target.unit,
                    "reached": None if value is None else round(value, 1),
                    "met": None if value is None else value >= target.at_least,
                }
            )
    return rows


def tables(report: dict[str, Any]) -> str:
    """The Markdown of a results file: machine, contenders by model, targets, growth, notes."""
    found = by_model(report["results"])
    parts = [_machine(report["machine"]), _contenders(found), _targets(report["results"])]
    parts += [_limits(found), _growth(found)]
    return "\n\n".join(part for part in parts if part)


def _machine(machine: dict[str, Any]) -> str:
    if not machine:
        return ""
    instructions = ", ".join(machine["instructions"])
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({instructions}), llama-cpp-python "
        f"{machine['llama_cpp_python']}."
    )


def _contenders(found: Results) -> str:
    lines = [
        "| model | contender | s per evaluation (min) | s per picture | tokens per evaluation "
        "| peak MiB | whole search, s | measured calls |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for model, contenders in found.items():
        lines += [_row(model, contenders[name]) for name in ORDER if name in contenders]
    return "\n".join(lines)


def _row(model: str, one: dict[str, Any]) -> str:
    seconds, image = one["seconds_per_evaluation"], one["seconds_per_image"]
    size = f"{one['prompts']}x{one['images']}"
    total = f"{one['search_seconds']:.4g} ({size}{', extrapolated' * one['extrapolated']})"
    cells = (
        model,
        one["contender"],
        f"{seconds['median']:.3g} ({seconds['min']:.3g})",
        "in each" if image is None else f"{image:.3g}",
        f"{one['tokens_per_evaluation']:g}",
        str(one["peak_memory_mib"]),
        total,
        str(one["measured_calls"]),
    )
    return f"| {' | '.join(cells)} |"


def _targets(results: list[dict[str, Any]]) -> str:
    lines = ["| target | model | at least | reached | |", "|---|---|---|---|---|"]
    for row in targets(results):
        verdict = {True: "met", False: "**missed**", None: "not measured"}[row["met"]]
        reached = "" if row["reached"] is None else f"{row['reached']:g} {row['unit']}"
        at_least = f"{row['at_least']:g} {row['unit']}"
        lines.append(f"| {row['target']} | {row['model']} | {at_least} | {reached} | {verdict} |")
    return "\n".join(lines)


def _limits(found: Results) -> str:
    lines = []
    for model, contenders in found.items():
        notes = []
        if (share := throughput(contenders)) is not None:
            limit = contenders["batched-bench"]
            notes.append(
                f"text part at {share:.0f} % of llama-batched-bench ({limit['sequences']} x "
                f"{limit['tokens']} tokens)"
            )
        own = contenders.get("ours-score", {})
        if own.get("prefix_tokens_saved") is not None:
            saved = 100 * own["prefix_tokens_saved"]
            notes.append(f"prompts' shared beginnings save {saved:.0f} % of their tokens")
        if "search" in contenders:
            search = contenders["search"]
            notes.append(
                f"a real search of {search['evaluations']} evaluations took "
                f"{search['seconds']:.3g} s, {100 * search['native_share']:.0f} % inside llama.cpp"
            )
        if "second_search" in own:
            again = own["second_search"]
            notes.append(
                f"a second search encodes {again['images_encoded']} pictures and has its first "
                f"prompt's answers after {again['first_prompt_seconds']:.3g} s"
            )
        if notes:
            lines.append(f"- `{model}`: {'; '.join(notes)}.")
    return "\n".join(lines)


def _growth(found: Results) -> str:
    lines = []
    for model, contenders in found.items():
        growth = contenders.get("ours-score", {}).get("growth", {})
        for by, values in growth.items():
            shown = ", ".join(f"{count}: {1000 * value:.3g}" for count, value in values.items())
            lines.append(f"- `{model}`, ms per evaluation by {by.replace('_', ' ')}: {shown}.")
    return "\n".join(lines)
