"""The members file of a federation (fleet.yaml).

members:
  - name: north
    address: tls://10.0.0.5:8790      # idealprompt fleet serve runs there
  - name: south
    task: boxes/south                  # or a folder here: a process of its own answers for it
min_group: 5                           # for the folders here, as the options of fleet serve
epsilon: 0
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from ...core.errors import UsageError
from ...io.files import read_text
from ...io.validation import validated
from ...io.yaml import MAX_BYTES, parse
from .federation import check_names
from .privacy import Policy

_CONFIG = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Member(BaseModel):
    """A box: where it listens, or its task folder on this machine."""

    model_config = _CONFIG

    name: str
    address: str = ""
    token: str = Field(default="", description="What fleet serve printed, where there is no TLS.")
    task: str = ""


class Members(BaseModel):
    """The file's content; the last five keys are for members with a folder."""

    model_config = _CONFIG

    members: tuple[Member, ...] = Field(min_length=1)
    min_group: int = 5
    epsilon: float = 0.0
    delta: float = 1e-5
    prompts: int = 500
    drafts: bool | None = None

    @property
    def policy(self) -> Policy:
        return Policy(self.min_group, self.epsilon, self.delta, self.prompts, self.drafts)


def read_members(path: Path) -> Members:
    """The file's content, with folders relative to it. Raises `UsageError`."""
    section = parse(read_text(path, UsageError, MAX_BYTES), str(path), UsageError)
    found = validated(TypeAdapter(Members), section)
    check_names([member.name for member in found.members])
    for member in found.members:
        if bool(member.address) == bool(member.task):
            raise UsageError(
                f"{path}: {member.name}: give its address, or its task folder on this machine"
            )
    found.policy.check()
    members = tuple(
        one.model_copy(update={"task": str(path.parent / one.task)}) if one.task else one
        for one in found.members
    )
    return found.model_copy(update={"members": members})
