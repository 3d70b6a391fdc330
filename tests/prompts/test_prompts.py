"""Rendering, plain data and identity of prompts."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from idealprompt_cli.core.errors import ArtifactError, UsageError
from idealprompt_cli.core.prompt import (
    Demonstration,
    FieldsPosition,
    FieldText,
    ImageSlot,
    LabelText,
    Message,
    Prompt,
    Verbaliser,
)
from idealprompt_cli.prompts.questions import asking, is_given
from idealprompt_cli.prompts.rendering import (
    length,
    ordered_labels,
    readable,
    render,
    words_for,
)
from idealprompt_cli.prompts.serialisation import PromptKeys, fingerprint, from_dict, to_dict

LABELS = ("K7", "M2")
FULL = Prompt(
    question="Which is it?",
    role="You sort goods.",
    context="A shop.",
    label_descriptions=(LabelText("K7", "striped"), LabelText("M2", "dotted")),
    label_order=("M2", "K7"),
    definition_style="description_first",
    cues=("Look at the surface.",),
    constraints=("Ignore the background.",),
    reasoning="describe",
    demonstrations=(Demonstration("striped mug.", "K7"),),
    output_format="Answer with the label.",
    image_position="after",
    verbalisers=(Verbaliser("K7", ("alpha", "a")),),
)


def text_of(prompt: Prompt, labels: tuple[str, ...] = LABELS) -> str:
    return "".join(p for p in render(prompt, labels)[-1].content if isinstance(p, str))


def test_a_seed_prompt_is_a_picture_and_the_question() -> None:
    assert render(Prompt("Which code?")) == (Message("user", (ImageSlot(), "Which code?")),)


def test_every_part_is_rendered_in_its_place() -> None:
    system, user = render(FULL, LABELS)
    assert system == Message("system", ("You sort goods.",))
    assert user.content == (
        "A shop. Look at the surface. dotted = M2; striped = alpha. "
        "Image: striped mug. Answer: alpha. Which is it? Ignore the background. "
        "First describe the image in one sentence, then answer the question. "
        "Answer with the label.",
        ImageSlot(),
    )


def test_two_pictures_take_two_slots() -> None:
    assert render(Prompt("Same?"), images=2)[0].content == (ImageSlot(), ImageSlot(), "Same?")


def test_label_order_lists_options_only_without_definitions() -> None:
    plain = Prompt("Which?", label_order=("M2",))
    assert text_of(plain) == "Which? Options: M2, K7."
    said = plain.with_(verbalisers=(Verbaliser("K7", ("striped", "checked")),))
    assert text_of(said) == "Which? Options: M2, striped, checked."
    defined = plain.with_(label_descriptions=(LabelText("K7", "x"), LabelText("M2", "y")))
    assert text_of(defined) == "M2: y; K7: x. Which?"


def test_a_role_can_go_into_the_users_turn() -> None:
    (message,) = render(Prompt("Which?", role="You look.", role_channel="user"))
    assert message.content == (ImageSlot(), "You look. Which?")


def test_words_and_order_fall_back_to_the_labels() -> None:
    assert words_for(FULL, "K7") == ("alpha", "a")
    assert words_for(FULL, "M2") == ("M2",)
    assert ordered_labels(Prompt("q", label_order=("Z", "M2")), LABELS) == ("M2", "K7")


@pytest.mark.parametrize("prompt", [FULL, Prompt("Which code?")])
def test_plain_data_round_trips(prompt: Prompt) -> None:
    assert from_dict(to_dict(prompt)) == prompt


def test_defaults_are_left_out() -> None:
    assert to_dict(Prompt("q", role="r")) == {"question": "q", "role": "r"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "expected a mapping"),
        ({}, "prompt.question: is missing: add this key"),
        ({"question": "q", "rol": "x"}, "prompt.rol: unknown key: did you mean role?"),
        ({"question": ["q"]}, "prompt.question: should be text, not a list: put it in quotes"),
        ({"question": True}, "prompt.question: should be text, not the value True: put it"),
        ({"question": None}, "prompt.question: should be text, not nothing"),
        ({"question": "Answer {} only"}, "prompt.question: has a '{}' that names no field"),
        ({"question": "q", "reasoning": "long"}, "is 'long': known: none, brief, describe"),
        ({"question": "q", "cues": "x"}, "prompt.cues: should be a list, not the text 'x': write"),
        ({"question": "q", "cues": ["a", ["b"]]}, "prompt.cues[2]: should be text, not a list"),
        ({"question": "q", "verbalisers": ["x"]}, "should hold keys of its own, not a list"),
        ({"question": "q", "verbalisers": {"K7": "x"}}, "verbalisers.K7: should be a list, not"),
        ({"question": "q", "calibration": {"K7": "x"}}, "calibration.K7: is 'x': should be a num"),
        ({"question": "q", "calibration": {"K7": "nan"}}, "is 'nan': should be a number"),
        ({"question": "q", "calibration": {"K7": 61}}, "is the value 61: should be 60 or less"),
        (
            {"question": "q", "demonstrations": [{"answer": "x"}]},
            "prompt.demonstrations[1].description: is missing: add this key",
        ),
    ],
)
def test_bad_data_is_refused_with_its_place(data: object, said: str) -> None:
    with pytest.raises(ArtifactError, match=re.escape(said)) as caught:
        from_dict(data)
    assert str(caught.value).startswith("prompt")
    assert "\n" not in str(caught.value)


def test_the_keys_are_the_parts_of_a_prompt() -> None:
    parts = fields(Prompt)
    assert list(PromptKeys.model_fields) == [part.name for part in parts]
    read = PromptKeys(question="q").prompt()
    assert read == Prompt("q"), "the defaults of both agree"
    assert PromptKeys.model_json_schema()["required"] == ["question"]


def test_numbers_in_yaml_are_taken_as_text() -> None:
    parsed = from_dict({"question": "q", "verbalisers": {7: [1, "one"]}})
    assert parsed.verbalisers == (Verbaliser("7", ("1", "one")),)
    offsets = from_dict({"question": "q", "calibration": {"K7": "-1.5", 7: 2}}).calibration
    assert offsets == (("K7", -1.5), ("7", 2.0))


def test_fingerprint_follows_content_and_length_the_text() -> None:
    assert fingerprint(FULL) == fingerprint(from_dict(to_dict(FULL)))
    assert fingerprint(FULL) != fingerprint(FULL.with_(role=""))
    assert length(FULL.with_(context=""), LABELS) < length(FULL, LABELS)


# --- text fields ----------------------------------------------------------------------------------


def shown(asked: str, position: FieldsPosition, **fields: str) -> list[object]:
    prompt = Prompt(asked, context="Shop.", fields_position=position)
    return list(render(prompt, (), 0, fields or None)[-1].content)


def test_fields_stand_where_the_prompt_has_them() -> None:
    asked = "Which intent: {text}"
    assert shown(asked, "question", text="my card") == ["Shop. Which intent: ", "my card"]
    assert shown(asked, "before", text="my card") == ["Text: ", "my card", "\nShop. Which intent?"]
    assert shown(asked, "after", text="my card") == ["Shop. Which intent?\nText: ", "my card"]
    assert all(isinstance(shown(asked, p, text="my card")[1], FieldText) for p in ("question",))


def test_a_moved_field_is_referred_to_by_its_name() -> None:
    asked = 'Does the title "{title}" fit the picture {{x}}?'
    assert shown(asked, "question", title="mug")[1:] == ["mug", '" fit the picture {x}?']
    moved = shown(asked, "before", title="mug")
    assert moved == ["Title: ", "mug", "\nShop. Does the title fit the picture {x}?"]
    lines = shown("Title: {title}\nDoes it fit?", "after", title="mug")
    assert lines == ["Shop. Does it fit?\nTitle: ", "mug"]


def test_people_read_a_prompt_as_the_model_gets_it() -> None:
    def read(asked: str, images: int, **parts: str) -> str:
        return readable(render(Prompt(asked, **parts), (), images)[-1])  # type: ignore[arg-type]

    assert read("Does '{title}' fit?", 0) == "Does '{title}' fit?"
    assert read("{title}'s maker?", 2) == "[image] [image] {title}'s maker?"
    assert read("Fits {title}", 1, image_position="after") == "Fits {title} [image]"
    assert readable(Message("user", ("Two  blanks.\n", ImageSlot(), "\nEnd."))) == (
        "Two  blanks.\n[image]\nEnd."
    )


def test_a_question_per_row_is_moved_as_it_is() -> None:
    assert shown("{question}", "before", question="Why?") == ["Why?", "\nShop."]
    assert shown("{question}", "question", question="Why?") == ["Shop. ", "Why?"]


def test_without_an_example_the_placeholder_stands_for_the_field() -> None:
    assert shown("Which: {text}", "question")[1] == FieldText("{text}")


def test_a_placeholder_without_a_field_lists_the_fields() -> None:
    with pytest.raises(UsageError, match=r"\{titel\} is not a field .*fields: title"):
        shown("Fits {titel}?", "question", title="mug")
    with pytest.raises(ArtifactError, match="double braces"):
        from_dict({"question": "Answer {} only"})


def test_asking_anew_keeps_every_field_and_escapes_what_is_new() -> None:
    before = Prompt("Does {title} by {maker} fit?")
    after = asking(before, "Is it {a} or b?")
    assert after.question == "Title: {title}\nMaker: {maker}\nIs it {{a}} or b?"
    assert asking(after, "Is it c?").question == "Title: {title}\nMaker: {maker}\nIs it c?"
    assert is_given("{question} ")
    assert not is_given("Why {question}?")
    assert not is_given("?")
