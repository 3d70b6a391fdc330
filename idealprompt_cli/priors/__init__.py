"""What earlier runs taught about strategies: the numbers (`memory`) and their file (`store`)."""

from .memory import ANY, Belief, Beliefs, Key, Priors, Tally, Usual, kind_of, lessons
from .store import (
    Memory,
    beliefs_for,
    default_path,
    dump,
    fresh,
    learn,
    load,
    reset,
    update,
)

__all__ = [
    "ANY",
    "Belief",
    "Beliefs",
    "Key",
    "Memory",
    "Priors",
    "Tally",
    "Usual",
    "beliefs_for",
    "default_path",
    "dump",
    "fresh",
    "kind_of",
    "learn",
    "lessons",
    "load",
    "reset",
    "update",
]
