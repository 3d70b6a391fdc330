"""Generic questions about everyday attributes of a picture (shared by strategies).

They name attributes that any picture of a thing has, never values, so that they hold for any task;
which of them is worth asking is found out on the training examples.
"""

from __future__ import annotations

# Ordered so that the questions that most tasks turn on come first: a small budget asks these only.
QUESTIONS: tuple[str, ...] = (
    "What kind of item is it?",
    "What is the pattern of the item?",
    "What colour is the item?",
    "What condition is the item in?",
    "What is the photo quality?",
    "Is there a watermark?",
    "What is the background?",
    "What size is the item?",
    "How many items are there?",
    "Do the two items have the same colour?",
    "Do the two items have the same pattern?",
    "Are the two items of the same kind?",
    "What is the pattern of the left item?",
    "What colour is the left item?",
    "What kind of item is the right item?",
    "What material is the item made of?",
    "What shape is the item?",
    "Is the item damaged?",
    "Is the photo sharp or blurred?",
    "Is anything written on the item?",
    "What is wrong with the item?",
    "Where is the item?",
    "What is the style of the item?",
    "Is the picture bright or dark?",
)
