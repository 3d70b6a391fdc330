"""The generator behind the demonstration model and the sample tasks (no PyTorch needed)."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from idealprompt_cli.task import load_task
from training.draw import draw, to_input
from training.language import MAKERS, TEXT_MIXTURE, VALUES, sample_turn, value
from training.language.phrasing import HELD_OUT
from training.language.text_only import separate_turn
from training.sample_tasks import RECIPES, scenes_for
from training.scene import COLOURS, KINDS, sample_scene, scene_from_dict
from training.shapes import SHAPES

NAMES_OF_FIELDS = ("kind", "colour", "pattern", "size")
SAMPLES = Path(__file__).resolve().parents[2] / "sample_tasks"


def test_every_kind_has_a_shape() -> None:
    assert set(SHAPES) == set(KINDS)


def test_scenes_survive_a_round_trip_and_pins_hold() -> None:
    rng = Random(1)
    for colour in COLOURS:
        scene = sample_scene(rng, colour=colour, layout="single", photo="dim")
        assert (scene.items[0].colour, scene.photo) == (colour, "dim")
        assert scene_from_dict(scene.as_dict()) == scene
    with pytest.raises(ValueError, match="cannot pin"):
        sample_scene(rng, colour="mauve")


def test_pixels_never_repeat_but_a_seed_does() -> None:
    scene = sample_scene(Random(2))
    first, again, other = (to_input(draw(scene, Random(s))) for s in (5, 5, 6))
    assert first.shape == (64, 64, 3)
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("heldout", [False, True])
def test_right_answers_are_among_the_options(name: str, heldout: bool) -> None:
    rng = Random(3)
    for _ in range(60):
        turn = MAKERS[name](sample_scene(rng), rng, heldout)
        assert turn.question.strip()
        assert turn.answer.strip()
        if turn.options and turn.skill not in ("describe_first", "stated_label"):
            assert turn.answer in turn.options


def test_no_held_out_phrasing_comes_out_of_training() -> None:
    """Each held-out pattern, its places as wildcards, matches nothing that training asks."""
    patterns = [
        re.compile(re.sub(r"\\{\w+\\}", "(.+)", re.escape(text.replace("{Np}", "The {np}"))) + "$")
        for texts in HELD_OUT.values()
        for text in texts
    ]
    rng = Random(5)
    for _ in range(1500):
        scene = sample_scene(rng)
        for mixture in (None, TEXT_MIXTURE):
            question = sample_turn(scene, rng, mixture).question
            assert not [p.pattern for p in patterns if p.search(question)], question


def test_what_separates_two_groups_is_unique() -> None:
    rng = Random(6)
    for _ in range(200):
        turn = separate_turn(sample_scene(rng), rng, size=2)
        values, name = turn.answer.split(": ")
        assert name in NAMES_OF_FIELDS
        assert all(f" {value}" in turn.question for value in values.split(" and "))


def test_every_value_can_be_right() -> None:
    rng = Random(4)
    seen: dict[str, set[str]] = {name: set() for name in VALUES}
    for _ in range(2000):
        scene = sample_scene(rng)
        for name, found in seen.items():
            found.add(value(scene, name))
    assert seen == {name: set(values) for name, values in VALUES.items()}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda r: r.name)
def test_sample_tasks_are_what_their_recipe_says(recipe: object) -> None:
    found = next(r for r in RECIPES if r is recipe)
    task = load_task(SAMPLES / found.name)
    assert task.question == found.question
    assert task.labels == found.labels
    assert (len(task.train), len(task.test)) == (found.train, found.test)
    counts = Counter(e.answer for e in task.test)
    assert max(counts.values()) - min(counts.values()) <= 1
    for scene, label in scenes_for(found, Random(1), 12):
        assert found.rule(scene) == label
