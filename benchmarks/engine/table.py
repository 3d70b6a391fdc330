"""The results as Markdown, with the targets beside them; a missed target is shown as missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .jobs import BFLOAT16

Results = dict[str, dict[str, dict[str, Any]]]
"""model -> contender -> object."""
ORDER = (
    "naive", "server", "server-tuned", "server-tuned-flash", "server-tuned-bf16", "ours",
    "ours-bf16", "server-tuned-score", "server-tuned-bf16-score", "ours-score", "ours-bf16-score",
)  # fmt: skip
_QWEN = ("qwen2vl-2b-q8_0", "qwen2vl-2b-q4_0")
_SMOL = ("smolvlm-256m-q8_0", "smolvlm-256m-q4_0")
_SMALL = ("smollm2", *_SMOL)


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


def each(found: dict[str, dict[str, Any]], contender: str, ours: str = "ours") -> float | None:
    """How many times faster one evaluation is than with `contender`, with images encoded if it
    caches them."""
    return _times(found, contender, ours, _each)


def whole(found: dict[str, dict[str, Any]], contender: str, ours: str = "ours") -> float | None:
    """How many times faster the whole search is than `contender`, encoding included."""
    return _times(found, contender, ours, lambda one: float(one["search_seconds"]))


def _each(one: dict[str, Any]) -> float:
    """The mean over evaluations; in older results the median over steps, which are not alike: ours
    take five prompts, the server's one."""
    seconds = one["seconds_per_evaluation"]
    return float(seconds.get("mean", seconds["median"]))


def _times(
    found: dict[str, dict[str, Any]],
    contender: str,
    ours: str,
    figure: Callable[[dict[str, Any]], float],
) -> float | None:
    """The figure of `contender` divided by ours, both generating the same tokens; the better one
    if it was measured with and without flash attention."""
    measured = [found[name] for name in (contender, f"{contender}-flash") if name in found]
    if not measured or ours not in found:
        return None
    return min(figure(one) for one in measured) / figure(found[ours])


def throughput(found: dict[str, dict[str, Any]], copies: str = "") -> float | None:
    """Text tokens a second against `llama-batched-bench` at the same batch and depth, in percent;
    both with `copies` of the weights or without. None for a limit of another depth."""
    limit, own = found.get(f"batched-bench{copies}"), found.get(f"ours{copies}-score", {})
    if limit is None or "depth" not in limit or "text_part" not in own:
        return None
    speed = float(own["text_part"]["tokens_per_second"]["median"])
    return 100 * speed / float(limit["tokens_per_second"]["median"])


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
    Target("text part, against llama-batched-bench", ("demo", *_SMALL), 90, "%", throughput),
    Target("text part, against llama-batched-bench", _QWEN, 85, "%", throughput),
    Target("text part with bfloat16 copies, against llama-batched-bench with them", _SMALL, 90, "%",
           lambda f: throughput(f, BFLOAT16)),
    Target("an evaluation, against the tuned server", _QWEN, 1.3, "x",
           lambda f: each(f, "server-tuned")),
    Target("an evaluation with bfloat16 copies, against the tuned server", (*_SMALL, *_QWEN), 1.3,
           "x", lambda f: each(f, "server-tuned", "ours-bf16")),
    Target("a whole search with bfloat16 copies, against the tuned server", (*_SMALL, *_QWEN), 1.6,
           "x", lambda f: whole(f, "server-tuned", "ours-bf16")),
    Target("the same, where the tuned server gets the bfloat16 files too", (*_SMALL, *_QWEN), 1,
           "x", lambda f: whole(f, "server-tuned-bf16", "ours-bf16")),
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
    brief = "clock" in report["machine"]
    parts = [_machine(report["machine"]), _contenders(found), _targets(report["results"], brief)]
    parts += [_limits(found), _growth(found)]
    return "\n\n".join(part for part in parts if part)


def _machine(machine: dict[str, Any]) -> str:
    if not machine:
        return ""
    instructions = ", ".join(machine["instructions"])
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({instructions}), llama-cpp-python "
        f"{machine['llama_cpp_python']}.{_clock(machine)}"
    )


def _clock(machine: dict[str, Any]) -> str:
    if "clock" not in machine:
        return ""
    return f" Seconds of processor time on {machine['threads']} thread."


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
        f"{_each(one):.3g} ({seconds['min']:.3g})",
        "in each" if image is None else f"{image:.3g}",
        f"{one['tokens_per_evaluation']:g}",
        str(one["peak_memory_mib"]),
        total,
        str(one["measured_calls"]),
    )
    return f"| {' | '.join(cells)} |"


def _targets(results: list[dict[str, Any]], brief: bool = False) -> str:
    """All targets; of brief results those that were measured."""
    lines = ["| target | model | at least | reached | |", "|---|---|---|---|---|"]
    for row in targets(results):
        if brief and row["met"] is None:
            continue
        verdict = {True: "met", False: "**missed**", None: "not measured"}[row["met"]]
        reached = "" if row["reached"] is None else f"{row['reached']:g} {row['unit']}"
        at_least = f"{row['at_least']:g} {row['unit']}"
        lines.append(f"| {row['target']} | {row['model']} | {at_least} | {reached} | {verdict} |")
    return "\n".join(lines)


def _limits(found: Results) -> str:
    lines = []
    for model, contenders in found.items():
        notes = []
        for copies in ("", BFLOAT16):
            if (share := throughput(contenders, copies)) is None:
                continue
            limit = contenders[f"batched-bench{copies}"]
            own = contenders[f"ours{copies}-score"]["text_part"]["tokens_per_second"]["median"]
            with_copies = " with bfloat16 copies" * bool(copies)
            notes.append(
                f"text part{with_copies} {own:.0f} tokens a second, {share:.0f} % of "
                f"llama-batched-bench ({limit['sequences']} x {limit['tokens']} tokens after "
                f"{limit['depth']})"
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
        for name, one in contenders.items():
            if name.startswith("search-"):
                notes.append(
                    f"a search with {name.removeprefix('search-')} took at most "
                    f"{one['peak_memory_mib']} MiB"
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
