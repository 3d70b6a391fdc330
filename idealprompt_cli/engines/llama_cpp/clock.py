"""What was computed and how long the native library took, for benchmarks and reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """Seconds inside native calls, and what they computed."""

    native_seconds: float = 0.0
    decodes: int = 0
    tokens: int = 0
    image_tokens: int = 0
    images_encoded: int = 0
