"""What workers must have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...core.errors import UsageError
from .worker import Opened


def check_same(name: str, opened: Opened, others: Sequence[Opened]) -> None:
    """Raise `UsageError` for a worker that computes with another model or release."""
    for other in others[:1]:
        pairs = (
            ("model", other.info.fingerprint, opened.info.fingerprint),
            ("quantisation", other.info.quantisation, opened.info.quantisation),
            ("build of llama.cpp", release_of(other.info.details), release_of(opened.info.details)),
        )
        for what, first, second in pairs:
            if first != second:
                raise UsageError(
                    f"worker {name} has another {what} ({second}, the others {first}): install "
                    "the same one"
                )


def release_of(details: Mapping[str, str]) -> str:
    """The release of llama.cpp's bindings, without the digest of how it was built."""
    return details.get("llama_cpp_python", "").partition("-")[0]
