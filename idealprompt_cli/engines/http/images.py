"""Pictures as base64 for a request: upright RGB as PNG, so that a server gets the pixels that the
in-process engine gets."""

from __future__ import annotations

import base64
import io
import threading
from collections import OrderedDict
from pathlib import Path

from ...io.images import content_hash, open_rgb

_LIMIT = 128 << 20


class Pictures:
    """Encodes pictures and keeps the most recent (at most `limit` characters). Thread-safe."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit, self._used = limit, 0
        self._kept: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def base64(self, path: Path) -> str:
        """The picture as base64 of a PNG. Raises `ImageError`."""
        key = content_hash(path)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        text = _encode(path)
        with self._lock:
            if key not in self._kept and len(text) <= self._limit:
                self._kept[key] = text
                self._used += len(text)
                while self._used > self._limit:
                    self._used -= len(self._kept.popitem(last=False)[1])
        return text


def _encode(path: Path) -> str:
    data = io.BytesIO()
    open_rgb(path).save(data, "PNG", compress_level=1)
    return base64.b64encode(data.getvalue()).decode()
