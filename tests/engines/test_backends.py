"""The batched backend agrees with the reference, whatever the batching, on tiny random models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from idealprompt_cli.core.errors import ContextError, ImageError, ModelError
from idealprompt_cli.core.prompt import ImageSlot, Message
from idealprompt_cli.core.requests import GenerateRequest, Scored, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines import EngineOptions
from idealprompt_cli.engines.llama_cpp.backends import batched
from idealprompt_cli.engines.llama_cpp.engine import LlamaCppEngine, open_llama_cpp
from idealprompt_cli.engines.llama_cpp.scheduling.request_plan import beginnings

from ..support.tiny_models import SPECS, write_pair

OPTIONS = ("red", "a blue cup", "a blue hat", "yes")
QUESTIONS = (
    "What is this item?",
    "What is this item? Answer with one word or label.",
    "describe the picture",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five pictures of different content and size."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(7)
    paths = []
    for index in range(5):
        pixels = rng.integers(0, 255, (40 + 9 * index, 70 - 5 * index, 3), dtype=np.uint8)
        paths.append(folder / f"{index}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def open_tiny(folder: Path, name: str = "janus", **options: Any) -> LlamaCppEngine:
    """Open a tiny model with one thread, little memory and no surprises from the user's home."""
    text, mmproj = write_pair(name, folder)
    settings: dict[str, Any] = {
        "threads": 1,
        "n_ctx": 1024,
        "cache_dir": folder / "cache",
        **options,
    }
    return open_llama_cpp(ModelRef(text, mmproj), EngineOptions(**settings), pytest.fail)


def ask(text: str, *images: Path, system: str = "") -> ScoreRequest:
    """One question about pictures that come first."""
    user = Message("user", (*(ImageSlot() for _ in images), text))
    messages = (Message("system", (system,)), user) if system else (user,)
    return ScoreRequest(messages, images, OPTIONS)


def logprobs(answers: list[Scored]) -> np.ndarray:
    return np.array([answer.logprobs for answer in answers])


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LlamaCppEngine]]:
    """The same model on both backends."""
    folder = tmp_path_factory.mktemp("engines")
    both = {
        "batched": open_tiny(folder / "batched"),
        "reference": open_tiny(folder / "reference", backend="reference"),
    }
    yield both
    for engine in both.values():
        engine.close()


def test_scores_equal_the_reference(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    requests = [ask(text, image) for text, image in product(QUESTIONS, pictures)]
    quick, plain = (logprobs(engines[path].score(requests)) for path in ("batched", "reference"))
    assert engines["batched"].info().mode == "batched"
    assert engines["reference"].info().mode == "reference"
    assert np.abs(quick - plain).max() < 1e-3
    assert np.ptp(quick, axis=0).min() > 1e-2, "pictures and prompts must matter"


def test_order_and_batching_do_not_change_answers(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    engine = engines["batched"]
    requests = [ask(text, image) for text, image in product(QUESTIONS, pictures)]
    together = logprobs(engine.score(requests))
    alone = logprobs([engine.score([request])[0] for request in requests])
    backwards = logprobs(engine.score(requests[::-1])[::-1])
    assert np.abs(together - alone).max() < 1e-3
    assert np.abs(together - backwards).max() < 1e-3


def test_more_pictures_than_slots(tmp_path: Path, pictures: list[Path]) -> None:
    requests = [ask(text, image) for image, text in product(pictures, QUESTIONS)]
    with open_tiny(tmp_path / "few", slots=2) as few, open_tiny(tmp_path / "many") as many:
        wanted = logprobs(many.score(requests))
        assert np.abs(logprobs(few.score(requests)) - wanted).max() < 1e-3
        assert np.abs(logprobs(few.score(requests[::-1])[::-1]) - wanted).max() < 1e-3
        assert few.stats()["images_encoded"] == len(pictures) + 3, (
            "with the picture of the self-check"
        )


def test_nothing_kept_gives_the_same_answers(tmp_path: Path, pictures: list[Path]) -> None:
    requests = [ask(text, image) for text, image in product(QUESTIONS, pictures)]
    nothing: dict[str, Any] = {"slots": 2, "state_bytes": 0, "embedding_bytes": 0, "disk_bytes": 0}
    with open_tiny(tmp_path / "none", **nothing) as none, open_tiny(tmp_path / "all") as rich:
        assert np.abs(logprobs(none.score(requests)) - logprobs(rich.score(requests))).max() < 1e-3


def test_generation_equals_the_reference(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    requests = [
        GenerateRequest(ask(text, image).messages, (image,), max_tokens=4 + 5 * index)
        for index, (text, image) in enumerate(product(QUESTIONS, pictures[:3]))
    ]
    quick, plain = (engines[path].generate(requests) for path in ("batched", "reference"))
    assert [answer.text for answer in quick] == [answer.text for answer in plain]
    assert [answer.finish for answer in quick] == [answer.finish for answer in plain]
    assert len({answer.text for answer in quick}) > 1


def test_ragged_work_on_few_slots_equals_the_reference(
    engines: dict[str, LlamaCppEngine], pictures: list[Path], tmp_path: Path
) -> None:
    """Prompts of all lengths, so that batches are padded, gaps filled and slots used again."""
    lengths = [1, 9, 2, 14, 3, 5, 30, 4]
    asked = [
        (ask("red cup " * length + "?", pictures[(3 * index) % 5]), pictures[(3 * index) % 5])
        for index, length in enumerate(lengths * 2)
    ]
    scoring = [request for request, _ in asked]
    grammar = 'root ::= "red" | "a blue cup"'
    writing = [
        GenerateRequest(r.messages, r.images, 2 + index % 5, grammar=grammar if index % 7 else None)
        for index, (r, _) in enumerate(asked)
    ]
    with open_tiny(tmp_path, slots=3) as few:
        for part in (slice(0, 3), slice(0, None)):
            plain = logprobs(engines["reference"].score(scoring[part]))
            assert np.abs(logprobs(few.score(scoring[part])) - plain).max() < 1e-3
        plain_texts = [
            replace(answer, tokens=0) for answer in engines["reference"].generate(writing)
        ]
        for _ in range(2):  # the second time, answers are expected
            assert [replace(answer, tokens=0) for answer in few.generate(writing)] == plain_texts
        assert few.stats()["tokens_padding"] > 0


def test_a_context_that_grows_keeps_its_heads(
    engines: dict[str, LlamaCppEngine], pictures: list[Path], tmp_path: Path
) -> None:
    with open_tiny(tmp_path) as engine:
        engine.score([ask(QUESTIONS[0], pictures[0])])  # with the self-check
        before = engine.stats()["prefixes_computed"]
        requests = [ask(text, image) for text, image in product(QUESTIONS, pictures)]
        long = [ask("red cup " * 200, image) for image in pictures]
        for work in (requests, long, requests):
            plain = logprobs(engines["reference"].score(work))
            assert np.abs(logprobs(engine.score(work)) - plain).max() < 1e-3
        assert engine.stats()["prefixes_computed"] == before + len(pictures) - 1


def test_generation_stops_before_a_stop_string(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    request = GenerateRequest(ask(QUESTIONS[0], pictures[0]).messages, (pictures[0],), 30)
    (free,) = engines["batched"].generate([request])
    stop = free.text[3:5]
    stopping = GenerateRequest(request.messages, request.images, 30, (stop,))
    for path in ("batched", "reference"):
        (answer,) = engines[path].generate([stopping])
        assert answer.text == free.text.partition(stop)[0]
        assert answer.finish == "stop"


def test_grammar_binds_the_answer(engines: dict[str, LlamaCppEngine], pictures: list[Path]) -> None:
    grammar = 'root ::= "red" | "a blue cup"'
    messages = ask(QUESTIONS[0], pictures[0]).messages
    request = GenerateRequest(messages, (pictures[0],), 20, grammar=grammar)
    quick, plain = (engines[path].generate([request])[0].text for path in ("batched", "reference"))
    assert quick == plain
    assert quick in ("red", "a blue cup")
    with pytest.raises(ModelError, match="grammar"):
        engines["batched"].generate(
            [GenerateRequest(messages, (pictures[0],), 20, grammar="root ::= [")]
        )


def test_siblings_share_their_common_prefix(tmp_path: Path, pictures: list[Path]) -> None:
    start = "What is in the picture? " * 16
    requests = [ask(start + end, pictures[0]) for end in ("red", "blue", "green", "a hat")]
    with open_tiny(tmp_path) as engine:
        answers = engine.score(requests)
        first, *others = sorted((answer.tokens for answer in answers), reverse=True)
        assert all(other < first / 3 for other in others)
        stats = engine.stats()
        assert stats["tokens"] < 0.5 * stats["tokens_without_sharing"]
        assert stats["tokens"] == sum(answer.tokens for answer in answers)


def test_siblings_that_are_answered_in_text_share_their_common_prefix(
    engines: dict[str, LlamaCppEngine], tmp_path: Path, pictures: list[Path]
) -> None:
    start = "What is in the picture? " * 16
    ends = ("red", "blue", "green", "a hat", "red cup", "red cup red")
    asked = [ask(start + end, image) for end, image in product(ends, pictures[:3])]
    writing = [GenerateRequest(r.messages, r.images, 2 + i % 4) for i, r in enumerate(asked)]
    with open_tiny(tmp_path, slots=3) as engine:
        engine.score(asked[:3])  # the pictures
        answers = engine.generate(writing)
        plain = engines["reference"].generate(writing)
        assert [a.text for a in answers] == [a.text for a in plain]
        assert [a.finish for a in answers] == [a.finish for a in plain]
        before = engine.stats()["tokens_without_sharing"]
        engine.generate(writing)
        alone = engine.stats()["tokens_without_sharing"] - before
        assert sum(answer.tokens for answer in answers) < 0.5 * alone


@pytest.mark.parametrize("name", ["janus", "qwen2vl", "gemma3", "lfm2", "smolvlm"])
def test_a_prompt_that_begins_like_the_last_one_continues_from_there(
    name: str, tmp_path: Path, pictures: list[Path]
) -> None:
    start = "What is in the picture? " * 4
    texts = [start, start + "red", start + "red cup", "What is", start + "blue", start + "blue"]
    asked = [[ask(text, picture) for picture in pictures[:3]] for text in texts]
    with (
        open_tiny(tmp_path / "a", name) as engine,
        open_tiny(tmp_path / "a", name, backend="reference") as reference,
    ):
        engine.score([ask("Describe it", picture) for picture in pictures[:3]])
        tokens = []
        for requests in asked:
            found = engine.score(requests)
            expected = logprobs(reference.score(requests))
            assert np.abs(logprobs(found) - expected).max() < 0.02
            tokens.append(sum(answer.tokens for answer in found))
            writing = [GenerateRequest(r.messages, r.images, 4) for r in requests[:2]]
            texts_found = [answer.text for answer in engine.generate(writing)]
            assert texts_found == [answer.text for answer in reference.generate(writing)]
        if name != "lfm2":  # its memory cannot be cut
            assert tokens[1] < 0.5 * tokens[0]
            assert tokens[5] < tokens[4], "all but the last token is there"


def test_expected_answers_change_nothing_but_the_number_of_decodes(
    engines: dict[str, LlamaCppEngine], tmp_path: Path, pictures: list[Path]
) -> None:
    asked = [ask(text, image) for text, image in product(QUESTIONS, pictures)]
    writing = [GenerateRequest(r.messages, r.images, 6) for r in asked]
    plain = [answer.text for answer in engines["reference"].generate(writing)]
    with open_tiny(tmp_path) as engine:
        counts = []
        for _ in range(3):
            before = engine.stats()["decodes"]
            assert [answer.text for answer in engine.generate(writing[:5])] == plain[:5]
            counts.append(engine.stats()["decodes"] - before)
        assert counts[2] < counts[0] - 3, "five answers of six tokens in one go"
        for part in (writing[5:], writing, writing[::-1]):
            texts = [answer.text for answer in engine.generate(part)]
            assert texts == [plain[writing.index(request)] for request in part]


def test_an_option_that_begins_another_is_closed(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    base = ask(QUESTIONS[0], pictures[0])
    request = ScoreRequest(base.messages, base.images, ("red", "red cup", "blue"))
    quick, plain = (logprobs(engines[path].score([request])) for path in ("batched", "reference"))
    assert np.abs(quick - plain).max() < 1e-3
    apart = ScoreRequest(base.messages, base.images, ("red",))
    (open_ended,) = engines["batched"].score([apart])
    assert quick[0, 0] < open_ended.logprobs[0] - 0.1, "the end of the turn is scored too"


def test_text_only_and_several_pictures(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    requests = [
        ask("What is in the picture?", system="Answer with label"),
        ask("What is in the picture?", pictures[0], pictures[1]),
        ask("What is in the picture?", pictures[1], pictures[0]),
        ask("describe", pictures[2], pictures[2], system="a red cup"),
    ]
    quick, plain = (logprobs(engines[path].score(requests)) for path in ("batched", "reference"))
    assert np.abs(quick - plain).max() < 1e-3
    assert np.abs(quick[1] - quick[2]).max() > 1e-2, "the order of pictures matters"


def test_prefill_continues_the_assistants_words(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    base = ask("describe", pictures[0])
    request = ScoreRequest(base.messages, base.images, OPTIONS, prefill="this is a red cup. It is")
    quick, plain = (logprobs(engines[path].score([request])) for path in ("batched", "reference"))
    assert np.abs(quick - plain).max() < 1e-3
    assert np.abs(quick - logprobs(engines["batched"].score([base]))).max() > 1e-2


def test_too_long_a_prompt_is_refused_before_anything_is_computed(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    engine = engines["batched"]
    before = engine.stats()["decodes"]
    long = ask("red cup " * 600, pictures[0])
    with pytest.raises(ContextError, match=r"needs \d+ tokens and the context holds 1024.*--n-ctx"):
        engine.score([ask(QUESTIONS[0], pictures[0]), long])
    with pytest.raises(ContextError):
        engine.generate([GenerateRequest(long.messages, long.images)])
    assert engine.stats()["decodes"] == before


def test_bad_requests_are_clear(
    engines: dict[str, LlamaCppEngine], pictures: list[Path], tmp_path: Path
) -> None:
    base = ask("describe", pictures[0])
    with pytest.raises(ModelError, match="1 image slots and was given 2"):
        engines["batched"].score([ScoreRequest(base.messages, (pictures[0],) * 2, OPTIONS)])
    with pytest.raises(ModelError, match="option"):
        engines["batched"].score([ScoreRequest(base.messages, base.images, ("red", ""))])
    with pytest.raises(ImageError, match="no such image"):
        engines["batched"].score([ask("describe", tmp_path / "gone.png")])
    assert engines["batched"].score([]) == []


def test_a_batched_backend_that_disagrees_is_turned_off(
    engines: dict[str, LlamaCppEngine],
    pictures: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = batched.log_sum_exp
    monkeypatch.setattr(batched, "log_sum_exp", lambda logits: honest(logits) + 1.0)
    notices: list[str] = []
    options = EngineOptions(threads=1, n_ctx=1024, cache_dir=tmp_path)
    engine = open_llama_cpp(ModelRef(*write_pair("janus", tmp_path)), options, notices.append)
    requests = [ask(text, pictures[0]) for text in QUESTIONS]
    scores = logprobs(engine.score(requests))
    assert engine.info().mode == "reference"
    assert np.array_equal(scores, logprobs(engines["reference"].score(requests)))
    engine.score(requests)
    assert len(notices) == 1
    assert "batched backend is off" in notices[0]
    engine.close()


def test_closed_engine_says_so(tmp_path: Path) -> None:
    engine = open_tiny(tmp_path)
    engine.close()
    engine.close()
    with pytest.raises(ModelError, match="closed"):
        engine.score([ask("describe")])


def test_count_tokens_leaves_pictures_out(
    engines: dict[str, LlamaCppEngine], pictures: list[Path]
) -> None:
    engine = engines["batched"]
    with_picture = engine.count_tokens(ask("describe this", pictures[0]).messages)
    without = engine.count_tokens(ask("describe this").messages)
    assert with_picture == without
    assert engine.count_tokens(ask("describe this item", pictures[0]).messages) == without + 1


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_architecture(name: str, tmp_path: Path, pictures: list[Path]) -> None:
    """Scores and generations of both backends agree; the batched one is used unless it is known not
    to be possible. With two slots, prefixes come and go."""
    requests = [ask(text, image) for text, image in product(QUESTIONS, pictures[:3])]
    requests.append(ask("describe", pictures[0], pictures[1]))
    writing = [GenerateRequest(r.messages, r.images, max_tokens=8) for r in requests]
    with (
        open_tiny(tmp_path / "a", name, slots=2) as quick,
        open_tiny(tmp_path / "b", name, backend="reference") as plain,
    ):
        difference = np.abs(logprobs(quick.score(requests)) - logprobs(plain.score(requests)))
        assert quick.info().mode == "batched"
        assert difference.max() < 1e-3
        again = np.abs(logprobs(quick.score(requests)) - logprobs(plain.score(requests)))
        assert again.max() < 1e-3
        texts = [[g.text for g in engine.generate(writing)] for engine in (quick, plain)]
        assert texts[0] == texts[1]


def test_beginnings_are_scored_like_options_cut_there(tmp_path: Path, pictures: list[Path]) -> None:
    """Both backends; and a longer ending changes nothing."""
    for backend in ("auto", "reference"):
        with open_tiny(tmp_path, backend=backend) as engine:
            whole = ask(QUESTIONS[0], pictures[0])
            long = replace(whole, options=("red as the picture shows", *OPTIONS[1:]), whole=False)
            full = ask(QUESTIONS[0], pictures[0])
            short, after = engine.score([replace(whole, whole=False), long])
            assert short.logprobs == pytest.approx(after.logprobs, abs=1e-3)
            (cut,) = engine.score([full])
            assert short.logprobs[3] >= cut.logprobs[3]
            assert short.logprobs[0] >= cut.logprobs[0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([(1, 2, 3), (1, 2, 4), (5, 6)], [(1, 2, 3), (1, 2, 4), (5,)]),
        ([(1, 9), (1, 2, 9), (3, 9)], [(1, 9), (1, 2), (3,)]),
        ([(7, 8)], [(7, 8)]),
        ([(1, 2, 3, 4), (1, 2, 5, 6, 7)], [(1, 2, 3), (1, 2, 5)]),
    ],
)
def test_shortest_beginnings(
    options: list[tuple[int, ...]], expected: list[tuple[int, ...]]
) -> None:
    assert list(beginnings(options)) == expected


def test_beginnings_as_texts_keep_their_scores(tmp_path: Path, pictures: list[Path]) -> None:
    """Asked as options of their own, they share answers with other questions about them."""
    long = ("red as the image shows", *OPTIONS[1:])
    request = ask(QUESTIONS[1], pictures[1])
    with open_tiny(tmp_path) as engine:
        short = engine.beginnings(request.messages, "", long)
        assert all(option.startswith(cut) for option, cut in zip(long, short, strict=True))
        assert len(set(short)) == len(long)
        assert len(short[0]) < len(long[0])
        as_texts, as_flag = engine.score(
            [replace(request, options=short), replace(request, options=long, whole=False)]
        )
        assert (np.array(as_texts.logprobs) <= np.array(as_flag.logprobs) + 1e-3).all()
        assert as_texts.logprobs[0] == pytest.approx(as_flag.logprobs[0], abs=1e-3)
        nested = ("red", "red hat", "blue")
        assert engine.beginnings(request.messages, "", nested) == nested
