"""Generic questions about everyday attributes of a picture (shared by strategies).

They name attributes that a picture may have and no task's labels, so that they hold for any task;
which of them is worth asking is found out on the training examples. The wording is that of common
visual question answering data (VQA v2, GQA), as SmolVLM, Qwen2-VL or Moondream have seen it; it
was written without sight of any one model's training text, the demonstration model's included.
"""

from __future__ import annotations

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
