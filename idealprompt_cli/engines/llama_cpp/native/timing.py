"""What was computed and how long the native library took, for benchmarks, reports and estimates."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType


@dataclass
class Clock:
    """Seconds inside native calls, and what they computed.

    Used as a context manager around native calls; a block inside another one counts once.
    """

    native_seconds: float = 0.0
    encode_seconds: float = 0.0
    head_seconds: float = 0.0
    decodes: int = 0
    tokens: int = 0
    padding: int = 0
    image_tokens: int = 0
    images_encoded: int = 0
    heads_computed: int = 0
    heads_restored: int = 0
    heads_from_disk: int = 0
    _depth: int = 0
    _started: float = 0.0

    def __enter__(self) -> Clock:
        if not self._depth:
            self._started = time.perf_counter()
        self._depth += 1
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self.native_seconds += time.perf_counter() - self._started
