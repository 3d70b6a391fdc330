"""Every error this package raises on purpose (layer 0).

    IdealPromptError          1   a stated failure
    ├── UsageError            2   flags or arguments that make no sense together
    ├── TaskError             1   something is wrong in a task folder
    ├── ImageError            1   a picture that cannot be read
    ├── ArtifactError         1   a YAML artifact that cannot be read or is of another schema
    ├── ModelError            1   a model that cannot be loaded or used
    │   ├── ContextError      1   a prompt (with its picture) does not fit the context
    │   ├── ServerError       1   a server that is not there, or that says no
    │   └── EngineCrash       1   the native library died in the probe process
    ├── JournalError          1   a run directory that cannot be used
    │   └── StorageError      1   the disk refused a write in the middle of a run
    ├── PriorsError           1   a priors file that cannot be read or merged
    ├── CorpusError           1   a corpus that cannot be read, or was made with other settings
    ├── ThresholdNotMet       3   `eval --min-score` was not reached
    └── Interrupted         130   stopped by the user; state is kept

The number is the process's exit code. A message is one line, or one for each fault, and names the
file, the place in it, the offending value and what would fix it.
"""

from __future__ import annotations

FAULT_SEPARATOR = "\n  "
"""The separator between several faults in one message."""


class IdealPromptError(Exception):
    """Base of the tree. `str(error)` is the one line that the user sees."""

    exit_code = 1


class UsageError(IdealPromptError):
    exit_code = 2


class TaskError(IdealPromptError):
    pass


class ImageError(IdealPromptError):
    pass


class ArtifactError(IdealPromptError):
    pass


class ModelError(IdealPromptError):
    pass


class ContextError(ModelError):
    pass


class ServerError(ModelError):
    """`status` is the HTTP status, 0 where there was none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class EngineCrash(ModelError):
    pass


class JournalError(IdealPromptError):
    pass


class StorageError(JournalError):
    pass


class PriorsError(IdealPromptError):
    pass


class CorpusError(IdealPromptError):
    pass


class ThresholdNotMet(IdealPromptError):
    exit_code = 3


class Interrupted(IdealPromptError):
    exit_code = 130
