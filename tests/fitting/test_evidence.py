"""Evidence: paid once, restricted views, words that set labels apart."""

from __future__ import annotations

from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.fitting.evidence import ModelEvidence, apart
from idealprompt_cli.fitting.text_contrast import contrast, marking, terms, vocabulary

from ..support.fake_vlm import FakeVlm, shop_task

TASK = shop_task()


def made() -> tuple[ModelEvidence, FakeVlm]:
    engine = FakeVlm()
    return ModelEvidence(MeteredEngine(engine), TASK.labels, TASK.train), engine


def marks(evidence: ModelEvidence, label: str) -> list[str]:
    return marking(evidence.descriptions(), evidence.examples, label, TASK.labels)


def test_terms_drop_grammar_and_keep_negations_whole() -> None:
    assert terms("A Red mug on the table, no watermark.") == ["red", "mug", "table", "no watermark"]


def test_contrast_finds_what_separates_and_not_what_is_common() -> None:
    inside = ["a red striped mug", "a blue striped lamp", "a striped hat"]
    outside = ["a red dotted mug", "a blue plain lamp", "a dotted hat"]
    ranked = contrast(inside, outside)
    assert ranked[0][0] == "striped"
    assert "red" not in dict(ranked)
    assert "dotted" not in dict(ranked)
    assert contrast(inside, []) == []


def test_vocabulary_leaves_out_what_every_text_says() -> None:
    assert vocabulary(["table red", "table red", "table blue"], 5) == ["red", "blue"]


def test_descriptions_are_asked_in_one_call_and_kept() -> None:
    evidence, engine = made()
    first = evidence.descriptions()
    assert list(first) == [e.id for e in TASK.train]
    assert evidence.excluding([TASK.train[0].id]).descriptions().items() < first.items()
    assert engine.calls == 1


def test_phrases_mark_their_label() -> None:
    evidence, _ = made()
    assert set(marks(evidence, "K7")[:2]) == {"striped", "checked"}
    assert set(marks(evidence, "M2")[:2]) == {"plain", "dotted"}


def test_excluded_examples_do_not_speak() -> None:
    evidence, _ = made()
    striped = [e.id for e in TASK.train if "striped" in e.id]
    assert "striped" not in marks(evidence.excluding(striped), "K7")[:5]


def test_a_sample_takes_as_many_of_each_label() -> None:
    evidence, _ = made()
    labels = [e.answer for e in evidence.sample(2).examples]
    assert sorted(labels) == ["K7", "K7", "M2", "M2"]


def test_questions_are_asked_together() -> None:
    evidence, engine = made()
    colours, patterns = evidence.ask(["Which colour?", "Which pattern?"])
    assert colours[TASK.train[0].id] == TASK.train[0].id.split("_")[1]
    assert patterns[TASK.train[0].id] == "plain"
    assert engine.calls == 1


def test_word_scores_leave_out_words_that_begin_others() -> None:
    assert apart(("dot", "dotted", "plain", "dot")) == ("dot", "plain")
    evidence, engine = made()
    table = evidence.word_scores([(Prompt("The pattern?"), ("plain", "plainly", "striped"))])[0]
    assert set(table[TASK.train[0].id]) == {"plain", "striped"}
    assert engine.calls == 1


def test_affordable_is_the_ledgers() -> None:
    evidence, _ = made()
    assert evidence.affordable() > 1000
