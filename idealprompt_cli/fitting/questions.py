"""Generic questions about everyday attributes of a picture, or about a text.

They name attributes that a picture or text may have and no task's labels, so that they hold for
any task; which of them is worth asking is found out on the training examples. The wording of those
about pictures is that of common visual question answering data (VQA v2, GQA), as SmolVLM, Qwen2-VL
or Moondream have seen it; all were written without sight of any one model's training text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..core.task import Example, pictured
from ..prompts.questions import form

# Ordered so that the questions that most tasks turn on come first: a small budget asks these only.
QUESTIONS: tuple[str, ...] = (
    "What is the main object in the image?",
    "What color is the object?",
    "What type of product is it?",
    "What condition is the object in?",
    "What is the object used for?",
    "What pattern does the object have?",
    "Who is the product for?",
    "What material is the object made of?",
    "What shape is the object?",
    "How many objects are in the image?",
    "What is in the background?",
    "Is the image sharp or blurry?",
    "Are the objects the same color?",
    "Is there a logo or watermark in the image?",
    "Is the object damaged?",
    "Are the objects the same kind of thing?",
    "What style is the object?",
    "How large is the object?",
    "Is the image bright or dark?",
    "Is there any text in the image?",
    "What color is the background?",
    "What is wrong with the image?",
    "Is anything missing from the object?",
    "Where is the object in the image?",
    "Is the object new or used?",
    "Is the object clean or dirty?",
    "Do the objects match each other?",
    "Is it formal or casual?",
    "Where is it worn or used?",
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
    "What type of image is this?",
    "What stands out in the image?",
    "What is unusual about it?",
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


# Fields of a form that the model is asked to fill in: general attributes again. A small model
# continues a line that is begun for it ("type:") more readily, and in fewer words, than it answers.
FORMS: tuple[str, ...] = (
    "type",
    "item",
    "color and item",
    "condition",
    "color",
    "material",
    "use",
    "made for",
    "pattern",
    "style",
    "defect",
    "shape",
    "background",
)

TEXT_FORMS: tuple[str, ...] = (
    "topic",
    "request",
    "problem",
    "intent",
    "keyword",
    "product",
    "tone",
    "category",
)

# What people usually answer to a question about such an attribute. A small model answers with few
# of these words by itself, but what it makes of the others distinguishes images too, and they are
# the words in which a person would say the label.
USUAL: Mapping[str, tuple[str, ...]] = {
    "type": (
        *("clothing", "footwear", "accessory", "furniture", "electronics", "food", "tool", "toy"),
        *("vehicle", "animal", "plant", "building", "person", "document", "fabric", "cell"),
    ),
    "condition": (
        *("good", "bad", "new", "used", "worn", "damaged", "broken", "defective", "faulty"),
        *("clean", "dirty", "fine", "poor", "normal", "perfect"),
    ),
    "color": (
        *("black", "white", "grey", "red", "blue", "green", "yellow", "orange", "brown"),
        *("pink", "purple", "beige", "silver", "gold"),
    ),
    "material": (
        *("cotton", "leather", "wool", "metal", "plastic", "wood", "glass", "paper", "rubber"),
        *("stone", "ceramic"),
    ),
    "use": ("casual", "formal", "sports", "party", "travel", "home", "work", "outdoor"),
    "made for": ("men", "women", "boys", "girls", "children", "unisex"),
    "pattern": ("plain", "striped", "checked", "dotted", "floral", "printed"),
    "style": ("casual", "formal", "sporty", "modern", "classic", "simple"),
    "shape": ("round", "square", "rectangular", "long", "flat", "irregular"),
    "defect": ("none", "crack", "scratch", "hole", "stain", "dent", "spot", "line"),
    "background": ("white", "black", "grey", "plain", "bright", "dark"),
}
# How questions name these attributes, where it is not by the same word.
_ASKED_AS = {"use": "used for", "made for": "product for"}

# Forms and questions that take turns at the beginning come in groups of so many.
GROUP = 4


# Patterns for the noun that the task's own question uses ("Grade this fabric").
_OWN_WORDS = ("What type of {noun} is it?", "What is wrong with the {noun}?")
_NOUN = re.compile(r"\b(?:this|these|the)\s+([a-z]{3,})\b(?!\s+of\b)")
_NOT_THINGS = frozenset(
    (
        *("image", "picture", "photo", "photograph", "text", "question", "answer", "object"),
        *("label", "code", "name", "class", "category", "kind", "type", "one", "ones"),
        *("following", "right", "correct", "best", "back", "way", "time"),
    )
)


def questions_for(examples: Iterable[Example], asked: str = "") -> tuple[str, ...]:
    """The wordings that suit the examples: about pictures, or about texts where there are none;
    questions, and fields of a form (see `prompts.questions.form`). `asked` is the task's own
    question, whose noun some of them take up."""
    if not pictured(examples):
        return _in_turn(list(map(form, TEXT_FORMS)), TEXT_QUESTIONS)
    nouns = [noun for noun in _NOUN.findall(asked) if noun not in _NOT_THINGS]
    own = [pattern.format(noun=noun) for noun in nouns[:1] for pattern in _OWN_WORDS]
    return (*own, *_in_turn(list(map(form, FORMS)), QUESTIONS))


def usual_answers(question: str) -> tuple[str, ...]:
    """What people usually answer to a wording of `questions_for`; () where nothing is usual."""
    line = question.rpartition("\n")[2].rstrip(":?").casefold()
    if line in USUAL:
        return USUAL[line]
    if line.split(" ")[0] in ("is", "are", "do"):
        return ()  # yes or no
    padded = f" {line} "
    named = (name for name in USUAL if f" {_ASKED_AS.get(name, name)} " in padded)
    return USUAL.get(next(named, ""), ())


def _in_turn(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """A group of the first, a group of the second, and so on."""
    found: list[str] = []
    for start in range(0, max(len(first), len(second)), GROUP):
        found += [*first[start : start + GROUP], *second[start : start + GROUP]]
    return tuple(found)
