"""Large calls are computed in chunks that are on disk before more is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from idealprompt_cli.core.prompt import FieldText, ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, ModelInfo, Scored, ScoreRequest
from idealprompt_cli.core.results import Cost
from idealprompt_cli.engines.scripted import ScriptedEngine
from idealprompt_cli.evaluation.chunks import (
    FEW,
    MANY,
    SMALL,
    SOME,
    TEXTS,
    chunks,
    examples_at_once,
)
from idealprompt_cli.evaluation.metered_engine import MeteredEngine
from idealprompt_cli.storage.journal import Journal
from idealprompt_cli.storage.records import Header

SHOWN = (Message("user", (ImageSlot(), "What?")),)


class Big(ScriptedEngine):
    """A model of so many bytes that a few examples are asked about at once."""

    def info(self) -> ModelInfo:
        return replace(super().info(), path="/nowhere/big.gguf")


class Failing(Big):
    """One that dies in its second call."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        if self.calls:
            raise KeyboardInterrupt
        return super().score(requests)


def asked(count: int, prompts: int = 1) -> list[ScoreRequest]:
    return [
        ScoreRequest((Message("user", (ImageSlot(), f"{p}?")),), (Path(f"{n}.png"),), ("a", "b"))
        for p in range(prompts)
        for n in range(count)
    ]


def test_an_image_is_in_one_chunk() -> None:
    pairs = [(str(i), request) for i, request in enumerate(asked(10, 3))]
    parts = list(chunks(pairs, 4))
    assert [len(part) for part in parts] == [12, 12, 6]
    assert sorted(pair[0] for part in parts for pair in part) == sorted(key for key, _ in pairs)
    first = {request.images for _, request in parts[0]}
    assert first == {(Path(f"{n}.png"),) for n in range(4)}
    assert list(chunks(pairs, 10)) == [pairs], "what fits is left as it is"
    assert list(chunks([], 4)) == []


def test_texts_are_examples_too() -> None:
    def about(text: str, prompt: int) -> ScoreRequest:
        return ScoreRequest((Message("user", (f"{prompt}?", FieldText(text))),), (), ("a", "b"))

    requests = [about(f"text {n}", p) for p in range(3) for n in range(10)]
    parts = list(chunks([(str(i), request) for i, request in enumerate(requests)], 4))
    assert [len(part) for part in parts] == [12, 12, 6]
    alone = GenerateRequest((Message("user", ("Reword this.",)),))
    apart = list(chunks([(str(i), alone) for i in range(10)], 4))
    assert [len(part) for part in apart] == [4, 4, 2], "requests about no example are each one"


def test_large_models_are_asked_about_a_few_examples(tmp_path: Path) -> None:
    info = ScriptedEngine({}).info()
    big = replace(info, path="/nowhere/big.gguf")
    assert examples_at_once(big, pictured=True) == FEW
    assert examples_at_once(big, pictured=False) == TEXTS
    for size, count in ((5, MANY), (SMALL, SOME), (2 * SMALL, FEW)):
        file = tmp_path / f"{size}.gguf"
        with file.open("wb") as written:
            written.truncate(size)
        assert examples_at_once(replace(info, path=str(file)), pictured=True) == count


def test_each_chunk_is_recorded_and_reported(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, Header())
    engine, heard = Big({}), []
    metered = MeteredEngine(engine, journal)
    account = metered.account
    metered.on_answers = lambda count: heard.append((count, account.in_flight.evaluations))
    metered.score(asked(20))
    assert heard == [(8, 8), (8, 16), (4, 20)]
    assert account.in_flight == Cost()
    assert account.spent.evaluations == 20
    metered.score(asked(20))
    journal.close()
    assert len(heard) == 3, "known answers are no news"


def test_what_was_answered_before_the_end_is_kept(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, Header())
    with pytest.raises(KeyboardInterrupt):
        MeteredEngine(Failing({}), journal).score(asked(20))
    journal.close()
    again, engine = Journal.resume(tmp_path, Header()), Big({})
    metered = MeteredEngine(engine, again)
    metered.score(asked(20))
    again.close()
    assert len(engine.calls) == 12
    assert metered.account.spent.evaluations == 20, "and paid as if it had not been interrupted"
