"""Change the order in which the labels are shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..prompts.rendering import ordered_labels


class LabelOrder(Strategy):
    """Small models favour the first or the last option shown: tries the reverse, a rotation, and
    the order from the least to the most predicted label."""

    name = "label_order"
    summary = "show the labels in another order"
    source = "order sensitivity, arXiv 2104.08786"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        present = ordered_labels(prompt, context.task.labels)
        drafts: dict[tuple[str, ...], Draft] = {}
        for note, order in _orders(present, context):
            changes = order != present or not (prompt.label_descriptions or prompt.label_order)
            if changes and order not in drafts:
                drafts[order] = Draft(prompt.with_(label_order=order), note)
        return list(drafts.values())[:3]


def _orders(
    present: tuple[str, ...], context: StrategyContext
) -> list[tuple[str, tuple[str, ...]]]:
    orders = [("reverses the labels", present[::-1]), ("lists the labels", present)]
    if context.incumbent is not None:
        said = Counter(o.predicted for o in context.incumbent.outcomes)
        rare = tuple(sorted(present, key=lambda label: (said[label], label)))
        orders.append(("shows the neglected labels first", rare))
    if len(present) > 2:
        orders.append(("rotates the labels", (*present[1:], present[0])))
    return orders
