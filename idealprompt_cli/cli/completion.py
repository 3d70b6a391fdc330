"""What a shell may complete behind an option: names out of the registries, read when asked for."""

from __future__ import annotations

from collections.abc import Iterable


def strategies(incomplete: str) -> list[str]:
    """Names for --strategy."""
    from ..strategies import STRATEGIES

    return _starting(STRATEGIES, incomplete)


def metrics(incomplete: str) -> list[str]:
    """Names for --metric."""
    from ..metrics import METRICS

    return _starting(METRICS, incomplete)


def exports(incomplete: str) -> list[str]:
    """Names for --to."""
    from ..exports import EXPORTS

    return _starting(EXPORTS, incomplete)


def policies(incomplete: str) -> list[str]:
    """Names for --policy."""
    from ..search.policies import POLICIES

    return _starting(POLICIES, incomplete)


def places(incomplete: str) -> list[str]:
    """Names for --label-from."""
    from ..task.importers.file_names import PLACES

    return _starting(PLACES, incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
