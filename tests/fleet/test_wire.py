"""What travels between coordinator and workers."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealprompt_cli.core.prompt import FieldText, ImageSlot, Message
from idealprompt_cli.core.requests import ScoreRequest
from idealprompt_cli.fleet.account import BoxAccount, in_words, progress_line, straggler
from idealprompt_cli.fleet.cluster.wire import (
    Question,
    digested,
    key_of,
    packed,
    restored,
    text_digest,
    unpacked,
)
from idealprompt_cli.io.images import content_hash

from ..conftest import MakePicture

SECRET = "order 4711 of Mrs Doe"


@pytest.fixture
def request_(tmp_path: Path, make_picture: MakePicture) -> ScoreRequest:
    image = make_picture(tmp_path / "secret name.png")
    content = (ImageSlot(), "Is it ", FieldText(SECRET), "?")
    return ScoreRequest((Message("user", content),), (image,), ("A", "B"))


def test_an_example_travels_as_digests(request_: ScoreRequest) -> None:
    texts = {SECRET: text_digest(SECRET)}
    data = packed(Question("score", ([digested(request_, texts)],)))
    for secret in (SECRET, "secret name", "Mrs Doe"):
        assert secret.encode() not in data
    (sent,) = unpacked(data).arguments[0]
    image = request_.images[0]
    back = restored(sent, {content_hash(image): image}, {text_digest(SECRET): SECRET})
    assert back == request_
    assert isinstance(back.messages[0].content[2], FieldText)


def test_a_text_that_workers_lack_travels_as_it_is(request_: ScoreRequest) -> None:
    sent = digested(request_, {})
    assert SECRET.encode() in packed(Question("score", ([sent],)))


def test_the_key_is_the_image_or_the_text(request_: ScoreRequest) -> None:
    sent = digested(request_, {SECRET: text_digest(SECRET)})
    assert key_of(sent) == (content_hash(request_.images[0]),)
    bare = ScoreRequest(sent.messages, (), ("A",))
    assert key_of(bare) == (text_digest(SECRET),)
    empty = ScoreRequest((Message("user", ("Which?",)),), (), ("A",))
    assert len(key_of(empty)) == 1


def test_accounts_in_words() -> None:
    box = BoxAccount("north", 12, 4, 4, 2048, 10, 1.25, "left out")
    assert box.line() == (
        "north (left out): 12 requests, 4 images (4 encoded), 1.2 s, 2.0 kB sent, 10 bytes received"
    )
    assert in_words(3 << 20) == "3.0 MB"


def test_a_straggler_is_found() -> None:
    boxes = [
        BoxAccount(name, 10, seconds=float(s)) for name, s in zip("abc", (1, 1, 3), strict=True)
    ]
    slow = straggler(boxes)
    assert slow is not None
    assert slow.name == "c"
    assert straggler(boxes[:2]) is None
    assert straggler(boxes[:1]) is None
    assert progress_line(boxes) == "requests by box: a 10, b 10, c 10; c is slow"
    assert progress_line([BoxAccount("a", 3, state="left out")]) == (
        "requests by box: a 3 (left out)"
    )
