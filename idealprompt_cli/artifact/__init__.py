"""The YAML file that a search writes and every other command reads (layer 2).

`Artifact` is the file's content; `from_run` takes it from a `RunResult`, `dump` and `load` write
and read YAML, `read_artifact` reads a file or stdin, `to_data` gives plain data for JSON. Knows
nothing of engines and of how scores came about.
"""

from .content import Artifact, Score, Scores, Step, TaskSummary, from_run
from .reader import load, read_artifact
from .writer import dump, edit_data, messages_data, to_data

__all__ = [
    "Artifact",
    "Score",
    "Scores",
    "Step",
    "TaskSummary",
    "dump",
    "edit_data",
    "from_run",
    "load",
    "messages_data",
    "read_artifact",
    "to_data",
]
