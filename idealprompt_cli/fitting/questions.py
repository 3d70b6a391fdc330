"""Generic questions about everyday attributes of a picture, or about a text.

They name attributes that a picture or text may have and no task's labels, so that they hold for
any task; which of them is worth asking is found out on the training examples. The wording of those
about pictures is that of common visual question answering data (VQA v2, GQA), as SmolVLM, Qwen2-VL
or Moondream have seen it; all were written without sight of any one model's training text.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..core.task import Example, pictured

# Ordered so that the questions that most tasks turn on come first: a small budget asks these only.
QUESTIONS: tuple[str, ...] = (
    "What is the main object in the image?",
    "What color is the object?",
    "What pattern does the object have?",
    "What condition is the object in?",
    "What material is the object made of?",
    "What shape is the object?",
    "How many objects are in the image?",
    "What is in the background?",
    "Is the image sharp or blurry?",
    "Are the objects the same color?",
    "Is there a logo or watermark in the image?",
    "Is the object damaged?",
    "Are the objects the same kind of thing?",
    "Do the objects have the same pattern?",
    "How large is the object?",
    "What style is the object?",
    "Is the image bright or dark?",
    "What is on the left side of the image?",
    "What is on the right side of the image?",
    "What color is the object on the left?",
    "What color is the object on the right?",
    "What pattern does the object on the left have?",
    "What pattern does the object on the right have?",
    "Is there any text in the image?",
    "What color is the background?",
    "What is wrong with the image?",
    "Is anything missing from the object?",
    "Where is the object in the image?",
    "Is the object new or used?",
    "Is the object clean or dirty?",
    "Do the objects match each other?",
    "Is the surface shiny or matte?",
    "Is the surface smooth or rough?",
    "Is the object cut off by the edge of the image?",
    "Which way is the object facing?",
    "Is the object open or closed?",
    "Is the object full or empty?",
    "What does the text say?",
    "Is there a person in the image?",
    "What is the person wearing?",
    "What is the person doing?",
    "Is it indoors or outdoors?",
    "What is the weather like?",
    "What is the object used for?",
    "What type of image is this?",
    "What stands out in the image?",
)

TEXT_QUESTIONS: tuple[str, ...] = (
    "What is the text about?",
    "What does the writer want?",
    "What is the topic?",
    "What is the problem?",
    "Is it a question, a request or a complaint?",
    "What thing is mentioned?",
    "Is the tone positive, neutral or negative?",
    "What happened?",
    "What should be done?",
    "Who is it about?",
    "What kind of text is this?",
    "Is something missing or wrong?",
    "Is it about the past or the future?",
    "Is it urgent?",
    "Is it about money?",
    "Is it about a person, a place or a thing?",
    "What place is mentioned?",
    "When did it happen?",
    "Is it formal or informal?",
    "Is it true or false?",
    "How many things are mentioned?",
    "What is the most important word?",
)


def questions_for(examples: Iterable[Example]) -> tuple[str, ...]:
    """The questions that suit the examples: about pictures, or about texts where there are none."""
    return QUESTIONS if pictured(examples) else TEXT_QUESTIONS
