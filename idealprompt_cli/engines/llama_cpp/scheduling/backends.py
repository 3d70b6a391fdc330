"""The fast path and the plain one of a loaded model, each made when first needed; the fast one
proved against the plain one."""

from __future__ import annotations

from collections.abc import Callable

from ....core.errors import ModelError
from ..caching.context_pool import Arena
from ..caching.prefix_cache import Heads
from ..native import library as native
from ..setup import self_check as proof
from ..setup.load import Loaded
from ..setup.machine_facts import Memory
from .batched import FastPath
from .jobs import Path as WorkPath
from .reference import PlainPath


class Paths:
    """The fast path and the plain one, each made when first needed."""

    def __init__(self, loaded: Loaded, notice: Callable[[str], None]) -> None:
        self._loaded, self._notice = loaded, notice
        self._fast: FastPath | None = None
        self._plain: PlainPath | None = None
        self._proved = False
        self.fault = "" if loaded.options.fast == "auto" else "it was switched off"
        self.mode = "fast" if loaded.options.fast == "auto" else "plain"

    def best(self, with_pictures: bool) -> WorkPath:
        """The path to compute on. The first time pictures come, the fast one is proved."""
        if self.mode == "fast" and with_pictures and not self._proved:
            self._prove()
        return self._make_fast() if self.mode == "fast" else self._make_plain()

    def close(self) -> None:
        for path in (self._fast, self._plain):
            if path is not None:
                path.close()
        self._fast = self._plain = None

    def _prove(self) -> None:
        """Compare both paths on one picture; keep the plain one if they disagree. Agreement is
        remembered."""
        self._proved = True
        loaded = self._loaded
        memory = Memory(loaded.options.cache_folder())
        key = (
            "proof",
            loaded.fingerprint,
            native.build(),
            str(loaded.settings.flash),
            proof.EDITION,
        )
        if memory.get(*key):
            return
        try:
            fault = proof.compare(loaded, self._make_fast(), self._make_plain())
        except ModelError as error:
            fault = str(error)
        if not fault:
            memory.put("agrees", *key)
        if fault:
            self.mode, self.fault = "plain", fault
            self._notice(f"the fast path is off for this model: {fault}; it will be slower")
            if self._fast is not None:
                self._fast.close()
                self._fast = None
        elif self._plain is not None:
            self._plain.close()
            self._plain = None

    def _make_fast(self) -> FastPath:
        if self._fast is None:
            loaded = self._loaded
            heads = Heads(
                loaded.vision,
                loaded.pictures,
                loaded.clock,
                loaded.memory.states,
                cuttable=not loaded.model.recurrent,
                disk=loaded.states,
            )
            arena = Arena(
                loaded.context, heads, loaded.pictures, loaded.sizes, loaded.settings.cost
            )
            self._fast = FastPath(arena, loaded.vocab)
        return self._fast

    def _make_plain(self) -> PlainPath:
        if self._plain is None:
            loaded = self._loaded
            self._plain = PlainPath(loaded.context, loaded.sizes, loaded.vision, loaded.vocab)
        return self._plain
