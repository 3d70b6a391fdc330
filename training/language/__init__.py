"""What is asked about a scene and what a right answer is: the skills, in many phrasings.

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
    stated_turn,
    undefined_turn,
)
from training.language.questions import (
    attribute_turn,
    checklist_turn,
    choice_turn,
    description_turn,
    either_turn,
    format_turn,
    side_turn,
    yes_no_turn,
)
from training.language.text_only import difference_turn, rephrase_turn, separate_turn
from training.language.words import VALUES, Turn, describe, value
from training.scene import Scene

__all__ = [
    "CONTEXTS", "MAKERS", "MIXTURE", "ROLES", "VALUES", "Turn", "describe", "sample_turn", "value",
]  # fmt: skip

MAKERS: dict[str, Callable[..., Turn]] = {
    "description": description_turn,
    "attribute": attribute_turn,
    "either": either_turn,
    "yes_no": yes_no_turn,
    "choice": choice_turn,
    "side": side_turn,
    "checklist": checklist_turn,
    "stated": stated_turn,
    "lookup": lookup_turn,
    "format": format_turn,
    "definition": definition_turn,
    "compound": compound_turn,
    "describe_first": describe_first_turn,
    "undefined": undefined_turn,
    "demonstration": demonstration_turn,
    "rephrase": rephrase_turn,
    "difference": difference_turn,
    "separate": separate_turn,
}
MIXTURE: dict[str, float] = {
    "description": 10, "attribute": 16, "either": 6, "yes_no": 12, "choice": 9, "side": 12,
    "format": 4, "definition": 20, "compound": 6, "describe_first": 6, "undefined": 0.7,
    "demonstration": 2.5, "rephrase": 1, "difference": 4, "separate": 5, "checklist": 10,
    "stated": 7, "lookup": 4,
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


def sample_turn(scene: Scene, rng: Random, mixture: dict[str, float]) -> Turn:
    """A turn of the mixture, now and then with a sentence of context before the question."""
    name = rng.choices(list(mixture), list(mixture.values()))[0]
    turn = MAKERS[name](scene, rng)
    if rng.random() < 0.15:
        extra = " ".join(rng.sample(ROLES + CONTEXTS, rng.choice((1, 1, 2, 3))))
        turn = Turn(turn.skill, f"{extra} {turn.question}", turn.answer, turn.options)
    return turn
