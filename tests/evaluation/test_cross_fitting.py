"""Cross-fitting: folds, versions, transplanted parts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from idealprompt_cli.core.interfaces import Draft, Evidence
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.evaluation.cross_fitting import (
    Candidate,
    deal,
    derive,
    fold_places,
    shuffled,
    transplant,
)
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.fitting.evidence import ModelEvidence

from ..support.fake_vlm import FakeVlm, shop_task

TASK = shop_task()
EVIDENCE = ModelEvidence(MeteredEngine(FakeVlm()), TASK.labels, TASK.train)
SEED = Prompt("Which?")


def remember(prompt: Prompt, evidence: Evidence) -> Prompt:
    """A fit that gives away what it saw."""
    return prompt.with_(cues=tuple(example.id for example in evidence.examples))


def test_no_example_is_scored_by_an_edit_that_saw_it() -> None:
    folds = deal(TASK.train)
    draft = Draft(remember(SEED, EVIDENCE), "remembers", remember)
    child = derive(Candidate(SEED), draft, EVIDENCE, folds)
    assert len(child.prompt.cues) == 16
    for index, fold in enumerate(folds):
        assert not fold & set(child.version(index).cues)
        assert len(child.version(index).cues) == 16 - len(fold)


def test_leave_one_out_for_few_and_stratified_folds_for_many() -> None:
    assert [len(fold) for fold in deal(TASK.train)] == [1] * 16
    many = shop_task(n_train=32)
    label = {e.id: e.answer for e in many.train}
    folds = deal(many.train)
    assert len(folds) == 8
    assert all(Counter(label[i] for i in fold) == {"K7": 2, "M2": 2} for fold in folds)
    assert sorted(i for fold in folds for i in fold) == sorted(label)


def test_the_only_example_of_a_label_is_not_left_out() -> None:
    first = TASK.train[0]
    alone = [first, *(e for e in TASK.train if e.answer != first.answer)]
    folds = deal(alone, TASK.labels)
    assert sorted(i for fold in folds for i in fold) == sorted(e.id for e in alone[1:])
    assert fold_places(folds, alone)[first.id] == 0
    one_each = [first, alone[1]]
    assert deal(one_each, TASK.labels) == ()
    assert fold_places((), one_each) == {e.id: 0 for e in one_each}
    written = [replace(e, answer=e.id) for e in one_each]
    assert len(deal(written)) == 2


def test_an_unfitted_edit_is_transplanted_onto_every_version() -> None:
    folds = deal(TASK.train)
    fitted = derive(Candidate(SEED), Draft(remember(SEED, EVIDENCE), "", remember), EVIDENCE, folds)
    child = derive(fitted, Draft(fitted.prompt.with_(role="You look."), ""), EVIDENCE, folds)
    assert child.version(3).role == "You look."
    assert child.version(3).cues == fitted.version(3).cues


def test_an_edit_that_a_fold_does_not_support_leaves_it_as_it_was() -> None:
    target = TASK.train[0].id

    def needs(prompt: Prompt, evidence: Evidence) -> Prompt | None:
        seen = {example.id for example in evidence.examples}
        return prompt.with_(role="found") if target in seen else None

    child = derive(
        Candidate(SEED), Draft(SEED.with_(role="found"), "", needs), EVIDENCE, deal(TASK.train)
    )
    assert Counter(p.role for p in child.variants.values()) == {"found": 15, "": 1}


def test_equal_versions_are_no_versions() -> None:
    def fixed(prompt: Prompt, evidence: Evidence) -> Prompt:
        return prompt.with_(role="r")

    child = derive(
        Candidate(SEED), Draft(SEED.with_(role="r"), "", fixed), EVIDENCE, deal(TASK.train)
    )
    assert child == Candidate(SEED.with_(role="r"))


def test_transplant_takes_changed_parts_only() -> None:
    before, after = SEED.with_(role="a"), SEED.with_(role="a", context="c")
    assert transplant(before, after, SEED) == SEED.with_(context="c")


def test_every_leading_part_of_the_order_is_stratified() -> None:
    order = shuffled(TASK.train, seed=3)
    assert order == shuffled(tuple(reversed(TASK.train)), seed=3)
    assert order != shuffled(TASK.train, seed=4)
    assert Counter(e.answer for e in order[:8])["K7"] in (3, 4, 5)
