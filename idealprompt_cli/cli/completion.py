"""Names out of the registries, for help texts and for what a shell completes behind an option.

A help text is made when the command is imported, so names are read from the registry's source
without importing its members; completion runs on its own and may import them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

from ..io.plugins import plugin_names

_REGISTRIES = {
    "formats": ("ui/formats", "FORMATS"),
    "exports": ("exports", "EXPORTS"),
    "engines": ("engines", "ENGINES"),
    "policies": ("search/policies", "POLICIES"),
}


def listed(family: str) -> str:
    """The names of a registry, comma-separated, in its order."""
    return ", ".join(names(family))


def names(family: str) -> tuple[str, ...]:
    """The keys of a registry's literal dict."""
    folder, variable = _REGISTRIES[family]
    source = Path(__file__).parent.parent / folder / "__init__.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == variable
            and isinstance(node.value, ast.Dict)
        ):
            keys = (key.value for key in node.value.keys if isinstance(key, ast.Constant))
            return tuple(str(key) for key in keys)
    raise LookupError(f"{source}: no literal dict {variable}")


def strategies(incomplete: str) -> list[str]:
    """Names for --strategy."""
    from ..strategies import STRATEGIES

    return _starting((*STRATEGIES, *plugin_names("strategies")), incomplete)


def metrics(incomplete: str) -> list[str]:
    """Names for --metric."""
    from ..metrics import METRICS

    return _starting((*METRICS, *plugin_names("metrics")), incomplete)


def exports(incomplete: str) -> list[str]:
    """Names for --to."""
    return _starting((*names("exports"), *plugin_names("exports")), incomplete)


def formats(incomplete: str) -> list[str]:
    """Names for --format."""
    return _starting((*names("formats"), *plugin_names("formats")), incomplete)


def engines(incomplete: str) -> list[str]:
    """Names for --engine."""
    return _starting((*names("engines"), *plugin_names("engines")), incomplete)


def policies(incomplete: str) -> list[str]:
    """Names for --policy."""
    return _starting(names("policies"), incomplete)


def places(incomplete: str) -> list[str]:
    """Names for --label-from."""
    from ..task.importers.file_names import PLACES

    return _starting(PLACES, incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
