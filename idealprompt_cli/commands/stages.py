"""The second stage as the commands run it: its questions, a blank picture, a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..reflection import Settings


def settings_for(folder: Path, interactive: bool = False) -> Settings:
    """Probing questions, a grey picture in the folder, and a person if there is one."""
    from PIL import Image

    from ..reflection import Settings
    from ..strategies.questions import QUESTIONS
    from .review import ask

    blank = folder / "blank.png"
    Image.new("RGB", (224, 224), (128, 128, 128)).save(blank)
    return Settings(QUESTIONS, blank, review=ask if interactive else None)
