"""What would make things quicker or possible here, from what `doctor` found."""

from __future__ import annotations

from typing import Any

_SLOW_SECONDS = 2 * 3600.0
_WORTHWHILE = 1.25
"""Times faster from which on copies are worth their disk space."""


def advice(report: dict[str, dict[str, Any]]) -> list[str]:
    """Suggestions, the most useful first; empty when all is well."""
    machine, model = report["machine"], report.get("model", {})
    return [
        *_build(machine, model),
        *_copies(report.get("bfloat16_copies", {})),
        *_weights(machine, model),
        *_backend(model),
        *_noise(machine, model),
        *_length(report.get("search", {})),
    ]


def _build(machine: dict[str, Any], model: dict[str, Any]) -> list[str]:
    lines = []
    if machine.get("gpu") and model.get("gpu_offload") == "no":
        lines.append(
            f"this machine has a GPU and llama.cpp was built without {machine['gpu']}: the README "
            "says under 'GPU' how to build it"
        )
    if model.get("kernels") == "safe":
        lines.append(
            "llama.cpp's AMX code crashes with this model, so special weight layouts are off: a "
            "build with -mno-amx-tile among the C and C++ flags of CMAKE_ARGS is quicker"
        )
    return lines


def _copies(gain: dict[str, Any]) -> list[str]:
    times = gain.get("prompts_times_faster") or 0.0
    images = gain.get("images_times_faster") or 1.0
    if max(times, images) < _WORTHWHILE:
        return []
    also = f", and images {images:g} times as fast" if images > 1.0 else ""
    return [
        f"--weights bf16 computes prompts {times:g} times as fast on this CPU{also}, with a copy "
        "of the weights in the cache: scores differ a little from the file's (docs/models.md)"
    ]


def _weights(machine: dict[str, Any], model: dict[str, Any]) -> list[str]:
    lines = []
    wide = model.get("quantisation") in ("F32", "F16", "BF16")
    fast = model.get("quantisation") == "BF16" and "_bf16" in machine.get("cpu_features", "")
    if wide and not fast and model.get("gpu_offload") != "yes":
        lines.append(
            f"the text model's weights are {model['quantisation']}: a Q8_0 file answers nearly the "
            "same and is read in half the time or less"
        )
    free = machine.get("memory_free_gib")
    weights = model.get("weights_gib", 0.0)
    if free is not None and weights > 0.8 * free:
        lines.append(
            f"the weights take {weights} GiB and {free} GiB of memory are free: close other "
            "programs, or take a smaller quantisation"
        )
    return lines


def _backend(model: dict[str, Any]) -> list[str]:
    reason = model.get("batched_backend_off")
    if not reason:
        return []
    return [f"the batched backend is off ({reason}): every prompt computes its image again"]


def _noise(machine: dict[str, Any], model: dict[str, Any]) -> list[str]:
    load, cores = machine.get("load"), machine.get("cores_used_at_most", 1)
    lines = []
    if load is not None and load > 0.7 * cores:
        lines.append(
            f"other programs keep this machine busy (load {load} on {cores} "
            f"core{'s' * (cores != 1)}): the speeds are those of a busy machine"
        )
    if model.get("settings") == "default":
        lines.append("settings were not measured: `idealprompt doctor --retune` when it is quiet")
    return lines


def _length(search: dict[str, Any]) -> list[str]:
    if search.get("seconds", 0.0) < _SLOW_SECONDS:
        return []
    return [
        "the search is long: a smaller --budget, fewer pixels per image or a smaller model "
        "shorten it; it can be broken off and continued with --resume"
    ]
