"""A scripted engine for tests of clusters that does what a file beside its script says.

The file holds one word: slow, full (no space on the disk), die or stop (frozen). The first process
that finds it takes it.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from pathlib import Path

from idealprompt_cli.core.interfaces import Notice
from idealprompt_cli.core.requests import Scored, ScoreRequest
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.engines.options import EngineOptions
from idealprompt_cli.engines.scripted import ScriptedEngine, open_scripted

FAULT = "fault.txt"
SLOW = 60.0


class MisbehavingEngine(ScriptedEngine):
    fault: Path

    def score(self, requests: Sequence[ScoreRequest]) -> list[Scored]:
        answers = super().score(requests)
        try:
            self.fault.rename(self.fault.with_suffix(f".{os.getpid()}"))  # one process gets it
        except FileNotFoundError:
            return answers
        match self.fault.with_suffix(f".{os.getpid()}").read_text(encoding="utf-8").strip():
            case "slow":
                time.sleep(SLOW)
            case "full":
                raise OSError(errno.ENOSPC, "No space left on device")
            case "die":
                os._exit(9)
            case "stop":
                os.kill(os.getpid(), 19)
        return answers


def open_misbehaving(
    ref: ModelRef | Path, options: EngineOptions, notice: Notice
) -> MisbehavingEngine:
    """The scripted engine on a script; `fault.txt` beside it says what goes wrong."""
    engine = open_scripted(ref, options, notice)
    engine.__class__ = MisbehavingEngine
    assert isinstance(engine, MisbehavingEngine)
    path = ref.text if isinstance(ref, ModelRef) else ref
    engine.fault = path.parent / FAULT
    return engine
