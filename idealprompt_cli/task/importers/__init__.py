"""Labelled examples in the forms that people have -> a task folder.

`find` looks and guesses, `Found` states what it saw, `write` makes the folder. Opens no picture and
knows no model; whether the result is a valid task is for `load_task` to check.
"""

from .detect import find
from .options import Found, Hints, Labelled, Sampling
from .write import Draft, in_terms_of_the_source, plan, undo, write

__all__ = [
    "Draft",
    "Found",
    "Hints",
    "Labelled",
    "Sampling",
    "find",
    "in_terms_of_the_source",
    "plan",
    "undo",
    "write",
]
