"""The contract of strategies, over the whole pool, and what single ones are there for."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.core.interfaces import Draft, StrategyContext
from idealprompt_cli.core.prompt import FieldsPosition, FieldText, LabelText, Prompt, Verbaliser
from idealprompt_cli.core.requests import GenerateRequest
from idealprompt_cli.core.task import Example, Task
from idealprompt_cli.evaluation.evaluator import Evaluator
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.fitting.answer_rules import separation
from idealprompt_cli.fitting.attribute_tables import tables
from idealprompt_cli.fitting.attributes import attributes
from idealprompt_cli.fitting.evidence import ModelEvidence
from idealprompt_cli.fitting.rules import fit_rule
from idealprompt_cli.fitting.verbalisers import fit_verbalisers
from idealprompt_cli.metrics import METRICS
from idealprompt_cli.prompts.questions import is_given
from idealprompt_cli.prompts.rendering import render
from idealprompt_cli.prompts.serialisation import from_dict, to_dict
from idealprompt_cli.prompts.validation import copies
from idealprompt_cli.strategies import STRATEGIES, select
from idealprompt_cli.strategies.reask import spoken

from ..support.fake_vlm import WORLD, FakeVlm, graded_task, letters_task, shop_task

TASK = shop_task()
LETTERS = letters_task(16)
RNG = random.Random(0)
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


class Sizing(FakeVlm):
    """The pretend model, taking images of any size."""

    def image_tokens(self, images: Sequence[Path], limit: int = 0) -> list[int]:
        return [limit or 400 for _ in images]


def context(task: Task = TASK, prompt: Prompt = SEED) -> StrategyContext:
    metered = MeteredEngine(Sizing())
    evidence = ModelEvidence(metered, task.labels, task.train)
    incumbent = Evaluator(metered, task, METRICS[task.metric]).evaluate(prompt, task.train)
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


FIELD_TASKS = {
    "in_a_sentence": replace(LETTERS, question='Which code has "{letter}", {{K7}} or M2?'),
    "on_a_line": LETTERS,
    "given": replace(LETTERS, question="{letter}"),
    "with_pictures": replace(
        TASK,
        question="Does {letter} fit the object?",
        train=tuple(replace(e, fields={"letter": "a red mug"}) for e in TASK.train),
    ),
}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("task", FIELD_TASKS)
def test_no_strategy_loses_a_field_or_quotes_one(name: str, task: str) -> None:
    found = FIELD_TASKS[task]
    given = is_given(found.question)
    for prompt in PARENTS.values():
        parent = prompt.with_(question=found.question)
        for draft in drafts(name, parent, found):
            for position in get_args(FieldsPosition):
                moved = draft.prompt.with_(fields_position=position)
                content = render(moved, found.labels, 0, {"letter": "HERE"})[-1].content
                assert content.count(FieldText("HERE")) == 1
            assert not given or draft.prompt.question == parent.question
            said = [text for e in found.train for text in e.fields.values()]
            assert not copies(str(to_dict(draft.prompt)), said)


@pytest.mark.parametrize("name", STRATEGIES)
def test_text_tasks_speak_of_no_picture(name: str) -> None:
    if STRATEGIES[name].needs_images:
        return
    for prompt in PARENTS.values():
        for draft in drafts(name, prompt.with_(question=LETTERS.question), LETTERS):
            pieces = render(draft.prompt, LETTERS.labels, 0)[-1].content
            text = "".join(p for p in pieces if isinstance(p, str)).lower()
            assert not re.search(r"image|picture|photo|object|look at|visible|visual", text), text


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("parent", PARENTS)
def test_refitting_on_the_same_evidence_gives_the_same_prompt(name: str, parent: str) -> None:
    prompt, around = PARENTS[parent], context(prompt=PARENTS[parent])
    if not STRATEGIES[name].applies(prompt, around):
        return
    for draft in STRATEGIES[name].propose(prompt, around):
        if draft.refit is not None:
            assert draft.refit(prompt, around.evidence) == draft.prompt


def offered(task: Task) -> list[Prompt]:
    return [*PARENTS.values(), *(p.with_(question=task.question) for p in PARENTS.values())]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_something_to_offer_somewhere(name: str) -> None:
    written = replace(TASK, labels=(), answer="text", metric="normalised_match")
    tasks = (TASK, graded_task(), written, replace(TASK, language="de"), LETTERS)
    assert any(drafts(name, prompt, task) for task in tasks for prompt in offered(task))


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


def test_separation_is_high_only_for_answers_that_separate() -> None:
    gold = {str(i): "AB"[i % 2] for i in range(8)}
    assert separation({i: label.lower() for i, label in gold.items()}, gold) > 0.8
    assert separation(dict.fromkeys(gold, "same"), gold) < 0.55
    assert separation({i: i for i in gold}, gold) == pytest.approx(0.5)


def test_select_keeps_the_pools_order_and_knows_its_names() -> None:
    assert select(None) == tuple(s for s in STRATEGIES.values() if s.name != "ask_anew")
    assert [s.name for s in select(["role", "reask"])] == ["reask", "role"]
    with pytest.raises(UsageError, match="did you mean reask"):
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
    grades = ModelEvidence(MeteredEngine(seen), (), train)
    again = best.refit(Prompt("Code?"), grades.excluding([train[0].id]))
    assert again == best.prompt
    texts = seen.generate([GenerateRequest(render(best.prompt), e.images) for e in train])
    assert [one.text for one in texts] == [e.answer for e in train]
    assert drafts("ask_anew", Prompt("Code?")) == [], "labels have strategies of their own"
    assert all(s.name != "ask_anew" for s in select())
    assert select(answer="text")[0].name == "ask_anew"


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_description_of_a_training_picture_is_copied_in(name: str) -> None:
    """No five words in a row of a description occur in a prompt."""
    for task in (TASK, graded_task()):
        said = list(context(task).evidence.descriptions().values())
        for parent in PARENTS.values():
            for draft in drafts(name, parent, task):
                assert not copies(str(to_dict(draft.prompt)), said)


@pytest.mark.parametrize("name", STRATEGIES)
def test_an_outlook_asks_the_model_nothing(name: str) -> None:
    strategy = STRATEGIES[name]
    if not strategy.reads_descriptions:
        return
    engine = FakeVlm()
    evidence = ModelEvidence(MeteredEngine(engine), TASK.labels, TASK.train)
    around = StrategyContext(TASK, evidence, random.Random(0))
    assert strategy.outlook(SEED, around) is None
    assert engine.calls == 0
    evidence.descriptions()
    calls, found = engine.calls, strategy.outlook(SEED, around)
    assert engine.calls == calls
    assert found is None or 0.0 <= found <= 1.0


def test_a_grid_offers_combinations_where_two_attributes_decide() -> None:
    made = drafts("grid_question", SEED, graded_task(48))
    words = {v.label: v.words for v in made[0].prompt.verbalisers}
    assert words["C"] == ("scratched",)
    kinds = {frozenset(word.split(" and ")) for word in words["A"]}
    assert kinds == {frozenset({"intact", "plain"}), frozenset({"intact", "striped"})}


def test_the_language_of_the_task_is_used_and_left() -> None:
    german = replace(TASK, language="de-AT")
    first, second, *rest = drafts("language", SEED, german)
    assert first.prompt.output_format.startswith("Antworte")
    assert "German" in second.prompt.context
    assert not drafts("language", SEED)
    assert all("K7" in draft.prompt.question for draft in rest)


def test_two_things_are_compared_where_their_likeness_decides() -> None:
    def said(one: str, two: str, surface: str) -> str:
        return f"a {one} mug on the left and a {two} hat on the right, on a {surface} table."

    colours, surfaces = ("red", "blue", "green"), ("dark", "light")
    texts, gold = {}, {}
    for i in range(24):
        one, two = colours[i % 3], colours[i % 3 if i % 2 else (i + 1 + i // 6 % 2) % 3]
        texts[str(i)], gold[str(i)] = said(one, two, surfaces[i // 2 % 2]), "PQ"[one == two]
    examples = tuple(Example(i, (), gold[i], "") for i in texts)
    evidence = Scripted(MeteredEngine(FakeVlm()), ("P", "Q"), examples, texts)
    found = tables(evidence, ("P", "Q"))
    assert found[0].relates
    assert found[0].right == 1.0
    task = replace(TASK, labels=("P", "Q"), train=examples)
    made = next(iter(STRATEGIES["compare"].propose(SEED, StrategyContext(task, evidence, RNG))))
    assert [(v.label, v.words) for v in made.prompt.verbalisers] == [
        ("Q", ("same",)),
        ("P", ("different",)),
    ]
    sided = {(a.which, a.where) for a in attributes(evidence) if "red" in a.values}
    assert sided == {("first", "on the left"), ("last", "on the right"), ("both", "")}


class Scripted(ModelEvidence):
    """Evidence with descriptions of our own."""

    def __init__(
        self,
        engine: MeteredEngine,
        labels: tuple[str, ...],
        kept: Sequence[Example],
        said: dict[str, str],
    ) -> None:
        super().__init__(engine, labels, kept)
        self._said = said

    def descriptions(self) -> dict[str, str]:
        return {example.id: self._said[example.id] for example in self.examples}

    def described(self) -> bool:
        return True


def test_attributes_are_found_without_labels() -> None:
    evidence = context(graded_task(48)).evidence
    found = {frozenset(one.values) for one in attributes(evidence)}
    assert {frozenset(values) for values in WORLD.values()} <= found


def test_of_equal_questions_the_one_that_is_answered_so_by_itself_is_kept() -> None:
    read = Prompt("q", verbalisers=(Verbaliser("K7", ("yes",)), Verbaliser("M2", ("no",))))
    assert spoken(read, {"a": "Yes", "b": "no", "c": "a mug", "d": "no"}) == 0.75
    assert spoken(read, {}) == 0.0
