"""How much of what is measured on which model, so that a whole run fits half an hour on two cores.

Every contender is asked for the same search; slow ones are measured on a part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

CONTENDERS = (
    "naive", "server", "server-tuned", "server-tuned-bf16", "ours", "ours-bf16", "batched-bench",
    "batched-bench-bf16", "search", "search-bf16",
)  # fmt: skip
"""In the order in which they run. "ours" and "server-tuned" give more than one result: four
generated tokens, and labels scored."""


@dataclass(frozen=True)
class Plan:
    """`prompts` x `images` is the search that is reported. Measured are: `naive_calls` calls;
    `server_calls` calls of the default server; `tuned_prompts` prompts on `measured_images`
    pictures for the tuned server; `own_prompts` prompts on as many pictures for ours. `growth`
    also times other sizes, `flash` the tuned server with flash attention too, `second` a second
    search on the same pictures, `search_budget` a real search of so many evaluations (0: none).
    `brief` is set by the function of that name."""

    prompts: int = 50
    images: int = 16
    naive_calls: int = 3
    server_calls: int = 8
    tuned_prompts: int = 11
    own_prompts: int = 50
    measured_images: int = 16
    growth: bool = False
    flash: bool = False
    second: bool = False
    search_budget: int = 0
    rounds: int = 1
    brief: bool = False


PLANS: dict[str, Plan] = {
    "demo": Plan(
        naive_calls=200,
        server_calls=128,
        tuned_prompts=50,
        growth=True,
        flash=True,
        second=True,
        search_budget=600,
        rounds=3,
    ),
    "smollm2": Plan(second=True, search_budget=200),
    "smolvlm-256m-q8_0": Plan(growth=True, flash=True, second=True, search_budget=200),
    "smolvlm-256m-q4_0": Plan(own_prompts=26, measured_images=8),
    "qwen2vl-2b-q8_0": Plan(
        naive_calls=2, server_calls=4, tuned_prompts=6, own_prompts=6, measured_images=4
    ),
    "qwen2vl-2b-q4_0": Plan(
        naive_calls=2, server_calls=4, tuned_prompts=6, own_prompts=6, measured_images=3
    ),
}


def brief(plan: Plan, images: int = 2) -> Plan:
    """Less of it, for one thread on a machine that other programs use: fewer prompts and `images`,
    which cost the same each, the same prompts for all that keep images, the tuned server with flash
    attention only (it was the faster way), and no parts beside the contenders."""
    return replace(
        plan,
        naive_calls=1,
        server_calls=4,
        tuned_prompts=min(plan.own_prompts, 10),
        own_prompts=min(plan.own_prompts, 10),
        measured_images=min(plan.measured_images, images),
        growth=False,
        second=False,
        search_budget=min(plan.search_budget, 40),
        flash=False,
        brief=True,
        rounds=1,
    )


def quick(plan: Plan) -> Plan:
    """The smallest plan that still runs everything."""
    return replace(
        plan,
        naive_calls=1,
        server_calls=2,
        tuned_prompts=2,
        own_prompts=6,
        measured_images=2,
        search_budget=min(plan.search_budget, 60),
        rounds=1,
    )


def resized(plan: Plan, prompts: int | None, images: int | None) -> Plan:
    """A plan for another search; no more of it is measured than there is."""
    prompts, images = prompts or plan.prompts, images or plan.images
    return replace(
        plan,
        prompts=prompts,
        images=images,
        naive_calls=min(plan.naive_calls, prompts * images),
        server_calls=min(plan.server_calls, prompts * images),
        tuned_prompts=min(plan.tuned_prompts, prompts),
        own_prompts=min(plan.own_prompts, prompts),
        measured_images=min(plan.measured_images, images),
    )
