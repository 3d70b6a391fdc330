"""Stage 2: look at what goes wrong, edit, and keep only what holds on other examples.

`reflect` starts from the best few of a search (`from_search`) or from any prompt (`from_prompt`)
and returns a `RunResult`; `diagnose` does the first half and changes nothing. Both get engine,
metric and probing questions as arguments.
"""

from .session import (
    Diagnosis,
    Reflected,
    Reflection,
    Settings,
    Start,
    diagnose,
    from_prompt,
    from_search,
    reflect,
)

__all__ = [
    "Diagnosis",
    "Reflected",
    "Reflection",
    "Settings",
    "Start",
    "diagnose",
    "from_prompt",
    "from_search",
    "reflect",
]
