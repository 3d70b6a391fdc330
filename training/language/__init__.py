"""Questions about a scene with their right answers: the skills, in many phrasings.

Every maker takes a scene (never a picture) and a `random.Random`, and returns a `Turn`. The same
turns train the model and, in the held-out phrasings (`heldout=True`), measure it. To add a skill,
write a maker in one of the modules beside this one and give it a line in MAKERS and MIXTURE.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from training.language.labels import (
    compound_turn,
    definition_turn,
    demonstration_turn,
    describe_first_turn,
    lookup_turn,
    only_label_turn,
    relation_turn,
    stated_turn,
    undefined_turn,
)
from training.language.questions import (
    attribute_turn,
    checklist_turn,
    choice_turn,
    compare_turn,
    description_turn,
    either_turn,
    format_turn,
    same_turn,
    side_turn,
    yes_no_turn,
)
from training.language.text_only import (
    difference_turn,
    rephrase_turn,
    separate_turn,
    shared_turn,
    text_pair_turn,
)
from training.language.words import VALUES, Turn, describe, value
from training.scene import Scene

__all__ = [
    "CONTEXTS", "MAKERS", "MIXTURE", "PAIR_MIXTURE", "ROLES", "TEXT_MIXTURE", "VALUES", "Turn",
    "describe", "sample_turn", "value",
]  # fmt: skip

MAKERS: dict[str, Callable[..., Turn]] = {
    "description": description_turn,
    "attribute": attribute_turn,
    "either": either_turn,
    "yes_no": yes_no_turn,
    "choice": choice_turn,
    "side": side_turn,
    "same": same_turn,
    "compare": compare_turn,
    "checklist": checklist_turn,
    "stated": stated_turn,
    "lookup": lookup_turn,
    "format": format_turn,
    "only_label": only_label_turn,
    "definition": definition_turn,
    "compound": compound_turn,
    "relation": relation_turn,
    "describe_first": describe_first_turn,
    "undefined": undefined_turn,
    "demonstration": demonstration_turn,
    "rephrase": rephrase_turn,
    "difference": difference_turn,
    "separate": separate_turn,
    "shared": shared_turn,
    "text_pair": text_pair_turn,
}
# How often each is drawn: for pictures, for pictures of two different items, and without a picture.
MIXTURE: dict[str, float] = {
    "description": 14, "attribute": 26, "either": 6, "yes_no": 12, "choice": 8, "format": 9,
    "only_label": 2, "definition": 16, "compound": 2, "describe_first": 6, "undefined": 1,
    "demonstration": 2, "checklist": 4, "stated": 4,
}  # fmt: skip
PAIR_MIXTURE: dict[str, float] = {
    "description": 16, "attribute": 18, "either": 4, "yes_no": 8, "choice": 5, "format": 5,
    "only_label": 1, "definition": 9, "describe_first": 3, "checklist": 3, "stated": 3,
    "side": 12, "same": 28, "compare": 12, "relation": 8, "undefined": 1,
}  # fmt: skip
TEXT_MIXTURE: dict[str, float] = {
    "rephrase": 16, "difference": 18, "separate": 16, "shared": 6, "lookup": 22, "text_pair": 22,
}  # fmt: skip

ROLES = (
    "You are a careful inspector.",
    "You are a shop clerk.",
    "You are an expert in product photos.",
    "You work in a warehouse.",
    "You are a helpful assistant.",
    "You sort goods.",
)
CONTEXTS = (
    "This is a product photo.",
    "The picture is from a catalogue.",
    "Look closely at the picture.",
    "The picture shows goods of a shop.",
    "Pay attention to details.",
    "The photo was taken in a workshop.",
    "Look carefully.",
    "Ignore the background.",
    "Think about what you see.",
)


def sample_turn(scene: Scene, rng: Random, mixture: dict[str, float] | None = None) -> Turn:
    """A turn for the scene, now and then with a sentence of context before the question."""
    mixture = mixture or (PAIR_MIXTURE if scene.layout == "pair" else MIXTURE)
    name = rng.choices(list(mixture), list(mixture.values()))[0]
    turn = MAKERS[name](scene, rng)
    if mixture is not TEXT_MIXTURE and rng.random() < 0.08:
        extra = " ".join(rng.sample(ROLES + CONTEXTS, rng.choice((1, 1, 2, 3))))
        turn = Turn(turn.skill, f"{extra} {turn.question}", turn.answer, turn.options)
    return turn
