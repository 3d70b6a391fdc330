"""The batched and the reference backend of a loaded model, each made when first needed; the batched
one is checked against the reference before it is used."""

from __future__ import annotations

from typing import Literal

from ....core.errors import ModelError
from ....core.interfaces import Notice
from ..caching.context_pool import ContextPool
from ..caching.prefix_cache import PrefixCache
from ..native import library as native
from ..scheduling.request_plan import Backend
from ..setup import self_check
from ..setup.load import Loaded
from ..setup.machine_facts import MachineFacts
from .batched import BatchedBackend
from .reference import ReferenceBackend

Mode = Literal["batched", "reference"]


class Backends:
    """Chooses the backend. `disabled` says why the batched one is off ("" where it is not)."""

    def __init__(self, loaded: Loaded, notice: Notice) -> None:
        self._loaded, self._notice = loaded, notice
        self._batched: BatchedBackend | None = None
        self._reference: ReferenceBackend | None = None
        self._checked: set[bool] = set()
        allowed = loaded.options.backend == "auto"
        self.disabled = "" if allowed else "it was switched off"
        self.mode: Mode = "batched" if allowed else "reference"

    def best(self, with_pictures: bool) -> Backend:
        """The backend to compute on. The first requests with and without pictures run the
        self-check."""
        if self.mode == "batched" and with_pictures not in self._checked:
            self._check(with_pictures)
        return self._make_batched() if self.mode == "batched" else self._make_reference()

    def drafts(self) -> tuple[int, int]:
        """Tokens of the drafts so far (see `speculative.py`), and how many of them were right."""
        if self._batched is None:
            return 0, 0
        return self._batched.speculation.drafted, self._batched.speculation.accepted

    def close(self) -> None:
        for backend in (self._batched, self._reference):
            if backend is not None:
                backend.close()
        self._batched = self._reference = None

    def _check(self, with_pictures: bool) -> None:
        """Compare both backends, and fall back to the reference if they disagree. Agreement is
        kept as a machine fact. Raises `ModelError` for a model that computes no numbers."""
        self._checked.add(with_pictures)
        loaded = self._loaded
        facts = MachineFacts(loaded.options.cache_folder())
        flash = str(loaded.settings.flash)
        kind = "pictures" if with_pictures else "text"
        key = ("self_check", loaded.identity, native.build(), flash, self_check.EDITION, kind)
        if facts.get(*key):
            return
        try:
            disagreement = self_check.compare(
                loaded.planner,
                self._make_batched(),
                self._make_reference(),
                loaded.options.tolerance,
                with_pictures,
            )
        except ModelError as error:
            disagreement = str(error)
        if disagreement == self_check.NO_NUMBERS:
            raise ModelError(loaded.no_numbers("a test image" * with_pictures))
        if disagreement:
            self._fall_back(disagreement)
            return
        facts.put("agrees", *key)
        if self._reference is not None:
            self._reference.close()
            self._reference = None

    def _fall_back(self, reason: str) -> None:
        self.mode, self.disabled = "reference", reason
        self._notice(f"the batched backend is off for this model ({reason}); scoring is slower")
        if self._batched is not None:
            self._batched.close()
            self._batched = None

    def _make_batched(self) -> BatchedBackend:
        if self._batched is None:
            loaded = self._loaded
            prefixes = PrefixCache(
                loaded.embeddings,
                loaded.clock,
                loaded.settings.cost,
                loaded.memory.states,
                truncatable=not loaded.model.recurrent,
                disk=loaded.states,
            )
            pool = ContextPool(
                loaded.context, prefixes, loaded.embeddings, loaded.limits, loaded.settings.cost
            )
            self._batched = BatchedBackend(pool, loaded.vocab)
        return self._batched

    def _make_reference(self) -> ReferenceBackend:
        if self._reference is None:
            loaded = self._loaded
            self._reference = ReferenceBackend(
                loaded.context, loaded.limits, loaded.vision, loaded.vocab
            )
        return self._reference
