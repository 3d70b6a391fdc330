"""What each box did, for progress lines, summaries and the bench."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_UNITS = ((1 << 20, "MB"), (1 << 10, "kB"))


@dataclass
class BoxAccount:
    """One box's work. `images` is the number that it was given, `encoded` how many of them it
    encoded; bytes are those of questions and answers; `seconds` were spent inside the box."""

    name: str
    requests: int = 0
    images: int = 0
    encoded: int = 0
    sent: int = 0
    received: int = 0
    seconds: float = 0.0
    state: str = "ready"

    def line(self) -> str:
        """The account for people."""
        state = "" if self.state == "ready" else f" ({self.state})"
        images = f", {self.images} images ({self.encoded} encoded)" if self.images else ""
        return (
            f"{self.name}{state}: {self.requests} requests{images}, {self.seconds:.1f} s, "
            f"{in_words(self.sent)} sent, {in_words(self.received)} received"
        )


def in_words(size: int) -> str:
    """Bytes for people."""
    for unit, name in _UNITS:
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} bytes"


def straggler(boxes: Sequence[BoxAccount]) -> BoxAccount | None:
    """The box that takes more than twice as long for a request as the median box."""
    worked = sorted(
        (box for box in boxes if box.requests), key=lambda box: box.seconds / box.requests
    )
    if len(worked) < 2:
        return None
    middle, last = worked[(len(worked) - 1) // 2], worked[-1]
    slow = last.seconds / last.requests > 2 * middle.seconds / middle.requests
    return last if slow else None


def progress_line(boxes: Sequence[BoxAccount]) -> str:
    """What the boxes have done so far, in one line: requests, those left out, the slowest."""
    parts = [
        f"{box.name} {box.requests}" + ("" if box.state == "ready" else f" ({box.state})")
        for box in boxes
    ]
    slow = straggler(boxes)
    text = f"requests by box: {', '.join(parts)}"
    return f"{text}; {slow.name} is slow" if slow is not None else text
