"""The contract of strategies, over the whole pool, and what single ones are there for."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from idealprompt_cli.errors import UsageError
from idealprompt_cli.evaluate import Evaluator
from idealprompt_cli.evidence import ModelEvidence
from idealprompt_cli.interfaces import Draft, StrategyContext
from idealprompt_cli.ledger import Ledger
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.prompts import from_dict, render, to_dict
from idealprompt_cli.strategies import STRATEGIES, select
from idealprompt_cli.strategies.fitting import fit_verbalisers
from idealprompt_cli.strategies.rules import fit_rule
from idealprompt_cli.strategies.sources import telling
from idealprompt_cli.types import GenerateRequest, LabelText, Prompt, Task, Verbaliser

from .fake_vlm import FakeVlm, graded_task, shop_task

TASK = shop_task()
SEED = Prompt(TASK.question)
VERBALISED = Prompt(
    "The pattern of the item?",
    verbalisers=(Verbaliser("K7", ("striped", "checked")), Verbaliser("M2", ("plain", "dotted"))),
)
DEFINED = SEED.with_(
    label_descriptions=(LabelText("K7", "striped"), LabelText("M2", "plain")),
    output_format="Answer with the label.",
)
FULL = DEFINED.with_(role="You look.", context="A shop.", cues=("Look.",), reasoning="describe")
PARENTS = {"seed": SEED, "verbalised": VERBALISED, "defined": DEFINED, "full": FULL}


class Echo:
    """A proposer that says what it was asked to reword, politely."""

    def write(self, instruction: str, max_tokens: int = 64, grammar: str | None = None) -> str:
        return f"Tell me, please: {instruction.split(': ', 1)[1]}"


def context(task: Task = TASK, prompt: Prompt = SEED) -> StrategyContext:
    ledger = Ledger(FakeVlm())
    evidence = ModelEvidence(ledger, task.labels, task.train)
    incumbent = Evaluator(ledger, task, METRICS[task.metric]).evaluate(prompt, task.train)
    return StrategyContext(task, evidence, random.Random(0), incumbent, Echo())


def drafts(name: str, prompt: Prompt, task: Task = TASK) -> list[Draft]:
    around, strategy = context(task, prompt), STRATEGIES[name]
    return list(strategy.propose(prompt, around)) if strategy.applies(prompt, around) else []


@pytest.mark.parametrize("name", STRATEGIES)
def test_each_strategy_says_what_it_is(name: str) -> None:
    strategy = STRATEGIES[name]
    assert strategy.name == name
    assert strategy.summary
    assert strategy.source
    assert type(strategy).__doc__


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("parent", PARENTS)
def test_drafts_keep_the_contract(name: str, parent: str) -> None:
    prompt = PARENTS[parent]
    made = drafts(name, prompt)
    texts = [draft.prompt for draft in made]
    assert prompt not in texts
    assert len(set(texts)) == len(texts)
    assert [draft.prompt for draft in drafts(name, prompt)] == texts
    for draft in made:
        assert draft.note
        assert from_dict(to_dict(draft.prompt)) == draft.prompt
        render(draft.prompt, TASK.labels)
        assert {v.label for v in draft.prompt.verbalisers} <= set(TASK.labels)
        assert {d.label for d in draft.prompt.label_descriptions} <= set(TASK.labels)
        assert not any(e.id in str(to_dict(draft.prompt)) for e in TASK.train)


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("parent", PARENTS)
def test_refitting_on_the_same_evidence_gives_the_same_prompt(name: str, parent: str) -> None:
    prompt, around = PARENTS[parent], context(prompt=PARENTS[parent])
    if not STRATEGIES[name].applies(prompt, around):
        return
    for draft in STRATEGIES[name].propose(prompt, around):
        if draft.refit is not None:
            assert draft.refit(prompt, around.evidence) == draft.prompt


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_something_to_offer_somewhere(name: str) -> None:
    written = replace(TASK, labels=(), answer="text", metric="normalised_match")
    tasks = (TASK, graded_task(), written)
    assert any(drafts(name, prompt, task) for task in tasks for prompt in PARENTS.values())


@pytest.mark.parametrize("name", STRATEGIES)
def test_free_text_tasks_are_no_stumbling_block(name: str) -> None:
    examples = tuple(replace(e, answer=e.id.split("_")[2]) for e in TASK.train)
    task = replace(TASK, labels=(), answer="text", train=examples)
    for draft in drafts(name, SEED, task):
        assert not draft.prompt.verbalisers


def test_reask_finds_the_attribute_and_its_words() -> None:
    best = {v.label: set(v.words) for v in drafts("reask", SEED)[0].prompt.verbalisers}
    assert "pattern" in drafts("reask", SEED)[0].prompt.question
    assert best == {"K7": {"striped", "checked"}, "M2": {"plain", "dotted"}}


def test_contrast_question_offers_words_of_the_descriptions() -> None:
    question = drafts("contrast_question", SEED)[0].prompt.question
    assert all(word in question for word in ("plain", "striped", "dotted", "checked"))


def test_definitions_use_words_of_the_descriptions() -> None:
    texts = drafts("label_descriptions", SEED)[0].prompt.label_descriptions
    assert {t.label: set(t.text.split(" or ")) for t in texts} == {
        "K7": {"striped", "checked"},
        "M2": {"plain", "dotted"},
    }


def test_label_words_replace_the_codes_in_the_question() -> None:
    draft = drafts("label_words", SEED)[0]
    assert "K7" not in draft.prompt.question
    assert draft.prompt.question.startswith("Which code is it, ")


def test_rules_join_attributes_by_and() -> None:
    made = drafts("rule_descriptions", SEED, graded_task(48))
    texts = {d.label: d.text for d in made[0].prompt.label_descriptions}
    assert texts["C"] == "scratched"
    assert set(texts["A"].split(" and ")) == {"intact", "plain or striped"}
    assert set(texts["B"].split(" and ")) == {"intact", "checked or dotted"}
    assert [draft.prompt.reasoning for draft in made[:2]] == ["none", "describe"]


def test_a_rule_for_one_label_leaves_the_rest_to_the_other() -> None:
    texts = {str(i): {"red" if i % 2 else "blue", "up" if i % 3 else "down"} for i in range(24)}
    gold = {i: "X" if words == {"red", "up"} else "Y" for i, words in texts.items()}
    assert sorted(fit_rule(texts, gold, "X")) == [("red",), ("up",)]
    assert fit_rule(texts, gold, "Y") == ()


def test_nothing_is_made_of_labels_that_mean_nothing() -> None:
    labels = ["K7", "M2", "M2", "K7", "M2", "K7", "K7", "M2"]
    noise = tuple(
        replace(e, answer=labels[i * 5 % 8]) for i, e in enumerate(shop_task(n_train=8).train)
    )
    task = replace(TASK, train=noise)
    for draft in drafts("label_descriptions", SEED, task):
        assert draft.refit is not None


def test_fitting_leaves_out_words_that_tell_nothing() -> None:
    scores = {
        str(i): {"up": -1.0 - 3 * (i % 2), "down": -4.0 + 3 * (i % 2), "noise": -1.5}
        for i in range(10)
    }
    gold = {str(i): "B" if i % 2 else "A" for i in range(10)}
    assert fit_verbalisers(scores, gold, ("A", "B")) == (
        Verbaliser("A", ("up",)),
        Verbaliser("B", ("down",)),
    )


def test_fitting_needs_every_label() -> None:
    assert fit_verbalisers({"0": {"a": -1.0}}, {"0": "A"}, ("A", "B")) is None
    one_word = {"0": {"a": -1.0}, "1": {"a": -1.0}}
    assert fit_verbalisers(one_word, {"0": "A", "1": "B"}, ("A", "B")) is None


def test_telling_is_high_only_for_answers_that_separate() -> None:
    gold = {str(i): "AB"[i % 2] for i in range(8)}
    assert telling({i: label.lower() for i, label in gold.items()}, gold) > 0.8
    assert telling(dict.fromkeys(gold, "same"), gold) < 0.55
    assert telling({i: i for i in gold}, gold) == pytest.approx(0.5)


def test_select_keeps_the_pools_order_and_knows_its_names() -> None:
    assert select(None) == tuple(s for s in STRATEGIES.values() if s.name != "ask_anew")
    assert [s.name for s in select(["role", "reask"])] == ["reask", "role"]
    with pytest.raises(UsageError, match="did you mean 'reask'"):
        select(["reaks"])


def test_the_pool_is_large_enough() -> None:
    assert len(STRATEGIES) >= 12


def test_ask_anew_finds_the_question_that_is_meant() -> None:
    task = shop_task()
    seen = FakeVlm()
    asked = {e.id: GenerateRequest(render(Prompt("What pattern does the object have?")), e.images)
             for e in task.train}  # fmt: skip
    said = dict(zip(asked, seen.generate(list(asked.values())), strict=True))
    train = tuple(replace(e, answer=said[e.id].text) for e in task.train)
    written = replace(task, labels=(), answer="text", metric="exact_match", train=train)
    (best, *_) = drafts("ask_anew", Prompt("Code?"), written)
    assert best.refit is not None
    grades = ModelEvidence(Ledger(seen), (), train)
    again = best.refit(Prompt("Code?"), grades.excluding([train[0].id]))
    assert again == best.prompt
    texts = seen.generate([GenerateRequest(render(best.prompt), e.images) for e in train])
    assert [one.text for one in texts] == [e.answer for e in train]
    assert drafts("ask_anew", Prompt("Code?")) == [], "labels have strategies of their own"
    assert all(s.name != "ask_anew" for s in select())
    assert select(answer="text")[0].name == "ask_anew"
