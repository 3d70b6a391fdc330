"""Labelled pictures in whatever form they are -> a task folder (layer 2).

`find` looks and guesses, `Found` says what it saw, `write` makes the folder. Opens no picture and
knows no model; that the result is a valid task is for `task` to say.
"""

from .detect import Found, Labelled, find
from .write import Draft, in_terms_of_the_source, plan, undo, write

__all__ = ["Draft", "Found", "Labelled", "find", "in_terms_of_the_source", "plan", "undo", "write"]
