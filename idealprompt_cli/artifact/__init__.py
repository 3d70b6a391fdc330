"""The YAML file that a search writes and every other command reads.

`Artifact` is the file's content; `from_run` makes it from a `RunResult`, `dump` and `load` write
and read YAML, `read_artifact` reads a file or stdin, `to_data` gives plain data for JSON.
"""

from .content import (
    Artifact,
    MajorityScores,
    ModelSummary,
    RunCost,
    Score,
    ScorePair,
    Scores,
    Step,
    StoredBox,
    StoredCommittee,
    StoredMember,
    StoredPoint,
    TaskSummary,
)
from .file import dump, json_schema, load, read_artifact, to_data
from .result import from_run, schema_data, scores_of
from .stored_types import messages_data

__all__ = [
    "Artifact",
    "MajorityScores",
    "ModelSummary",
    "RunCost",
    "Score",
    "ScorePair",
    "Scores",
    "Step",
    "StoredBox",
    "StoredCommittee",
    "StoredMember",
    "StoredPoint",
    "TaskSummary",
    "dump",
    "from_run",
    "json_schema",
    "load",
    "messages_data",
    "read_artifact",
    "schema_data",
    "scores_of",
    "to_data",
]
