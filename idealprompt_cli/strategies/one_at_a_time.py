"""Have the attributes that matter looked at one after another."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.interfaces import Draft, Strategy, StrategyContext
from ..core.prompt import Prompt
from ..fitting.attribute_tables import tables
from ..fitting.text_contrast import either

# Ordinary instruction English, fitted to no one model.
STEPS = ("First: is it {words}?", "Then: is it {words}?")
MAX_VALUES = 6


class OneAtATime(Strategy):
    """A small model that is to weigh two things at once weighs one: the prompt goes through the
    attributes that the labels rest on, one by one, before it asks. What these are is read from
    the labels, but the cue names all their values, so it says nothing of any one image."""

    name = "one_at_a_time"
    summary = "go through the attributes that matter one at a time before the question"
    source = "least-to-most prompting, arXiv 2205.10625"

    def applies(self, prompt: Prompt, context: StrategyContext) -> bool:
        return len(context.task.labels) > 1 and not prompt.cues

    def propose(self, prompt: Prompt, context: StrategyContext) -> Sequence[Draft]:
        drafts: dict[tuple[str, ...], Draft] = {}
        context.evidence.descriptions()
        found = tables(context.evidence, context.task.labels)
        for table in [table for table in found if not table.relates][:2]:
            values = [sorted(one.values) for one in table.attributes]
            cues = tuple(
                step.format(words=either(words[:MAX_VALUES]))
                for step, words in zip(STEPS, values, strict=False)
            )
            for reasoning in dict.fromkeys((prompt.reasoning, "brief")):
                edited = prompt.with_(cues=cues, reasoning=reasoning)
                drafts[(*cues, reasoning)] = Draft(edited, f"looks one by one: {' '.join(cues)}")
        return list(drafts.values())
