"""The linear probe and the nearest class mean: what they find, and that the fit is a minimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from idealprompt_cli import metrics
from idealprompt_cli.core.interfaces import Embeds
from idealprompt_cli.core.task import Example
from idealprompt_cli.evaluation import probe
from idealprompt_cli.evaluation.statistics import wilson

from ..support.fake_vlm import shop_task


def clouds(n: int, width: int, spread: float, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Points around three centres that lie `spread` apart in every direction."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(3, width)) * spread
    which = np.arange(n) % 3
    return centres[which] + rng.normal(size=(n, width)), [f"L{i}" for i in which]


@pytest.mark.parametrize("n", [9, 48])
def test_both_tell_clouds_apart_that_lie_apart(n: int) -> None:
    linear, nearest = probe.probes(*clouds(n, 20, 2.0), *clouds(90, 20, 2.0, seed=1))
    assert (linear.accuracy, nearest.accuracy) == (1.0, 1.0)
    assert linear.interval == wilson(90, 90)
    assert (linear.name, linear.n) == ("linear probe", 90)


def test_without_a_difference_both_guess() -> None:
    linear, nearest = probe.probes(*clouds(30, 20, 0.0), *clouds(300, 20, 0.0, seed=1))
    assert 0.2 < linear.accuracy < 0.47
    assert 0.2 < nearest.accuracy < 0.47


def test_a_wide_embedding_of_few_examples_is_regularised() -> None:
    linear, _ = probe.probes(*clouds(16, 576, 0.3), *clouds(150, 576, 0.3, seed=1))
    assert linear.accuracy > 0.9


def test_the_weights_are_where_the_penalised_loss_is_least() -> None:
    rows, labels = clouds(30, 5, 0.5)
    targets = np.array([int(label[1]) for label in labels])
    strength = 1.0
    weights = probe._fitted(rows, targets, 3, strength)

    def loss(values: np.ndarray) -> float:
        chances = probe._chances(values, rows)
        data = -np.log(chances[np.arange(30), targets]).sum()
        return float(data + strength / 2 * (values[:, :-1] ** 2).sum())

    rng = np.random.default_rng(3)
    nearby = [loss(weights + 0.05 * rng.normal(size=weights.shape)) for _ in range(50)]
    assert min(nearby) > loss(weights)


def test_directions_that_never_change_are_ignored() -> None:
    rows, labels = clouds(30, 5, 2.0)
    held, gold = clouds(60, 5, 2.0, seed=1)
    constant, changed = np.full((30, 1), 7.0), np.random.default_rng(0).normal(size=(60, 1))
    linear, _ = probe.probes(
        np.hstack([rows, constant]), labels, np.hstack([held, 1e6 * changed]), gold
    )
    assert linear.accuracy > 0.9


def test_one_label_is_always_that_label() -> None:
    rows, _ = clouds(6, 4, 1.0)
    linear, nearest = probe.probes(rows, ["A"] * 6, rows, ["A"] * 3 + ["B"] * 3)
    assert (linear.accuracy, nearest.accuracy) == (0.5, 0.5)


def test_no_examples_are_refused() -> None:
    rows, labels = clouds(6, 4, 1.0)
    with pytest.raises(ValueError, match="needs training and held-out examples"):
        probe.probes(rows, labels, rows[:0], [])


class Revealing:
    """Embeddings that show the label in the pictures' names, as far as `signal` goes."""

    def __init__(self, examples: Sequence[Example], signal: float) -> None:
        labels = sorted({example.answer for example in examples})
        rng = np.random.default_rng(0)
        self.rows = {
            image: signal * np.eye(len(labels), 12)[labels.index(example.answer)]
            + rng.normal(size=12)
            for example in examples
            for image in example.images
        }

    def embed(self, images: Sequence[Path]) -> np.ndarray:
        return np.asarray([self.rows[image] for image in images], np.float32)


@pytest.mark.parametrize(("signal", "least", "most"), [(8.0, 0.95, 1.0), (0.0, 0.0, 0.6)])
def test_a_task_s_probe_is_cross_validated_and_tested(
    signal: float, least: float, most: float
) -> None:
    task = shop_task(24, 40)
    engine = Revealing((*task.train, *task.test), signal)
    assert isinstance(engine, Embeds)
    found = probe.fit_probe(task, metrics.get("accuracy"), engine)
    assert found is not None
    assert found.test is not None
    assert (found.selection.n, found.test.n) == (24, 40)
    assert least <= found.selection.value <= most
    assert least <= found.test.value <= most


def test_tasks_without_labels_or_pictures_have_no_probe() -> None:
    task = shop_task(12, 12)
    engine, metric = Revealing((*task.train, *task.test), 1.0), metrics.get("accuracy")
    assert probe.fit_probe(replace(task, labels=()), metric, engine) is None
    bare = replace(task.train[0], images=())
    assert probe.fit_probe(replace(task, train=(bare, *task.train[1:])), metric, engine) is None


def test_without_a_test_split_the_cross_validated_score_is_all() -> None:
    task = replace(shop_task(12, 12), test=())
    found = probe.fit_probe(task, metrics.get("accuracy"), Revealing(task.train, 8.0))
    assert found is not None
    assert found.test is None
    assert found.selection.value > 0.9
