"""A corpus that a model writes: the tree, its file, and what continues it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from idealprompt_cli.core.errors import CorpusError
from idealprompt_cli.core.prompt import FieldText
from idealprompt_cli.core.requests import GenerateRequest
from idealprompt_cli.engines.scripted import ScriptedEngine
from idealprompt_cli.evaluation.budget import Budget
from idealprompt_cli.storage.written_files import CORPUS
from idealprompt_cli.synthesis.corpus import Corpus, Header, open_corpus, read_pairs, to_line
from idealprompt_cli.synthesis.requests import (
    LETTERS,
    MOST,
    STARTS,
    parse_question,
    parse_topics,
    topics_request,
)
from idealprompt_cli.synthesis.tree import Tree, most_texts

SCRIPT = Path(__file__).parent.parent / "synth.yaml"
HEADER = Header("f", "pretend", depth=3, branch=2)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine(yaml.safe_load(SCRIPT.read_text(encoding="utf-8")))


def grown(engine: ScriptedEngine, header: Header = HEADER, budget: str = "900") -> Corpus:
    corpus = Corpus(header)
    Tree(engine, corpus, Budget.parse(budget)).grow()
    return corpus


def test_levels_and_duplicates(engine: ScriptedEngine) -> None:
    corpus = grown(engine)
    assert set(corpus.topics) == {(), ("Art",), ("Banking",)}
    assert corpus.leaves() == {("Art", "Colours"), ("Art", "Frames"), ("Banking", "Loans")}
    assert len(corpus.questions) == 6
    texts = {one.text for one in corpus.questions.values()} - {""}
    assert set(corpus.pairs) == texts, "each different question is answered once"
    assert all("Loans" not in one.path for one in corpus.pairs.values()), "none about the request"
    assert corpus.cost.evaluations == 3 + 6 + len(texts) <= most_texts(3, 2, 0)


def test_siblings_share_the_path_and_differ_in_their_start(engine: ScriptedEngine) -> None:
    grown(engine)
    asked = [one for one in engine.calls if isinstance(one, GenerateRequest) and one.prefill]
    by_path: dict[str, list[str]] = {}
    for request in asked:
        path = request.messages[0].content[0]
        assert isinstance(path, FieldText), "the engine keeps it in its prefix cache"
        by_path.setdefault(path, []).append(request.prefill)
    assert all(len(set(starts)) == len(starts) == 2 for starts in by_path.values())


def test_roots_of_the_user(engine: ScriptedEngine) -> None:
    corpus = grown(engine, Header("f", depth=2, branch=1, topics=("Tea", "Rain", "Snow")))
    assert not corpus.topics, "no level is left for the model to name"
    assert corpus.leaves() == {("Tea",), ("Rain",), ("Snow",)}
    assert most_texts(2, 1, 3) == 6


def test_the_same_seed_writes_the_same(engine: ScriptedEngine) -> None:
    def lines(seed: int) -> list[str]:
        corpus = grown(engine, Header("f", depth=3, branch=2, seed=seed))
        return [f"{key}" for key in corpus.questions]

    assert lines(1) == lines(1)
    assert lines(1) != lines(2)


def test_a_budget_ends_evenly_and_can_be_raised(engine: ScriptedEngine, tmp_path: Path) -> None:
    path, whole = tmp_path / "corpus.jsonl", grown(engine)
    corpus = open_corpus(path, HEADER)
    assert Tree(engine, corpus, Budget(evaluations=7)).grow() == "evaluations"
    assert corpus.cost.evaluations == 7
    assert len(corpus.pairs) == 1, "the first round is answered before the second is asked"
    corpus.close()
    again = open_corpus(path, HEADER)
    assert Tree(engine, again, Budget()).grow() == "exhausted"
    again.close()
    assert (again.questions.keys(), again.pairs) == (whole.questions.keys(), again.pairs)
    assert again.cost.evaluations == whole.cost.evaluations, "nothing is paid twice"


def test_a_killed_run_continues(engine: ScriptedEngine, tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    corpus = open_corpus(path, HEADER)
    Tree(engine, corpus, Budget()).grow()
    corpus.close()
    lines = path.read_text().splitlines(keepends=True)
    for kept in range(len(lines)):
        path.write_text("".join(lines[:kept]) + lines[kept][:-9])
        engine.calls.clear()
        again = open_corpus(path, HEADER)
        Tree(engine, again, Budget()).grow()
        again.close()
        assert path.read_text().splitlines(keepends=True)[:kept] == lines[:kept]
        assert len(engine.calls) == len(lines) - max(1, kept), "only what is missing"
        assert again.pairs.keys() == corpus.pairs.keys()
        _, pairs = read_pairs(path)
        assert [pair.question for pair in pairs] == list(again.pairs)


def test_other_settings_are_refused(tmp_path: Path, engine: ScriptedEngine) -> None:
    path = tmp_path / "corpus.jsonl"
    corpus = open_corpus(path, HEADER)
    Tree(engine, corpus, Budget(evaluations=1)).grow()
    with pytest.raises(CorpusError, match="another process"):
        open_corpus(path, HEADER)
    corpus.close()
    for change, words in (
        (Header("f", depth=3, branch=2, seed=4), "--seed 0, not 4"),
        (replace(HEADER, weights="bf16 (text)"), r"--weights file, not bf16 \(text\)"),
        (Header("other", "that", depth=3, branch=2), "model pretend, not that"),
    ):
        with pytest.raises(CorpusError, match=f"{path}: was made with {words}"):
            open_corpus(path, change)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "1: is not a JSON object"),
        ('{"kind": "thing"}', "1: is not a record"),
        ('{"question": "Why is it?"}', "1: answer: field required"),
        ('{"kind": "header", "corpus": 9, "fingerprint": "f"}', "corpus is 9: this version reads"),
        ('{"question": "Why is it?", "answer": ""}', "no question with an answer"),
    ],
)
def test_damaged_files_are_one_line(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(CorpusError, match=words) as caught:
        read_pairs(path)
    assert "\n" not in str(caught.value)


def test_pairs_of_other_tools(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    line = json.dumps({"question": "Why is it so?", "answer": "It is not."})
    path.write_text(f"{line}\n{line}\n")
    header, pairs = read_pairs(path)
    assert header is None
    assert [(pair.question, pair.answer) for pair in pairs] == [("Why is it so?", "It is not.")]


def test_how_a_file_is_recognised() -> None:
    assert to_line(HEADER).encode().startswith(CORPUS)


@pytest.mark.parametrize(
    ("start", "text", "finish", "found"),
    [
        ("What is", " the  role of genes", "stop", "What is the role of genes?"),
        ("What is", " the role of", "length", ""),
        ("Who", " knows", "stop", ""),
        ("What", " a fine topic! What would you ask", "stop", ""),
        ("What", " is this topic about", "stop", ""),
    ],
)
def test_questions(start: str, text: str, finish: str, found: str) -> None:
    assert parse_question(start, text, finish) == found


def test_topics_are_of_different_letters() -> None:
    request = topics_request(("Art",), MOST, 3)
    assert request.grammar is not None
    letters = [request.grammar.split(f"{n}. ")[1][0] for n in range(1, MOST + 1)]
    assert letters == sorted(set(letters))
    assert set(letters) <= set(LETTERS)
    assert len(set(STARTS)) == MOST
    assert parse_topics("1. Art history.\n2) Ink\n\nof") == ("Art history", "Ink")
