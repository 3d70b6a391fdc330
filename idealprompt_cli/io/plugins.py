"""Members of a registry that live outside this package, found by name when they are asked for.

A name is an entry point of the group `idealprompt.<family>` of an installed package, or
`module:attribute` in the current folder or among the installed packages. Nothing is imported
before a user names it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..core.errors import UsageError
from ..core.nearest import did_you_mean

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

Family = Literal["metrics", "strategies", "exports", "formats", "engines"]
Member = TypeVar("Member")

_SINGULAR = {"strategies": "strategy"}


def member(family: Family, registry: Mapping[str, Member], name: str) -> Member:
    """The built-in member of that name, or a plugin's. A plugin's class is instantiated.

    Raises `UsageError` naming the nearest name for an unknown one, and for a plugin that cannot
    be imported.
    """
    if name in registry:
        return registry[name]
    found = plugin(family, name)
    if found is None:
        known = (*registry, *plugin_names(family))
        raise UsageError(f"unknown {singular(family)} {name!r}: {did_you_mean(name, known)}")
    return found() if isinstance(found, type) else found  # type: ignore[no-any-return]


def plugin(family: Family, name: str) -> Any:
    """The object that `name` refers to outside this package, None where there is none.

    Raises `UsageError` for a module that cannot be imported or has no such attribute.
    """
    for point in _entry_points(f"idealprompt.{family}"):
        if point.name == name:
            try:
                return point.load()
            except Exception as problem:  # somebody else's package
                kind = type(problem).__name__
                raise UsageError(
                    f"{singular(family)} {name}: {point.value} cannot be imported ({kind}: "
                    f"{problem})"
                ) from None
    module, colon, attribute = name.partition(":")
    if not (colon and module and attribute) or "/" in module:
        return None
    return _imported(f"{singular(family)} {name}", module, attribute)


def plugin_names(family: Family) -> list[str]:
    """The names that installed packages add to a registry."""
    return sorted(point.name for point in _entry_points(f"idealprompt.{family}"))


def _entry_points(group: str) -> EntryPoints:
    """Imported here, because it costs every command 25 ms."""
    from importlib.metadata import entry_points

    return entry_points(group=group)


def singular(family: Family) -> str:
    """One member's kind, for messages."""
    return _SINGULAR.get(family, family.removesuffix("s"))


def _imported(what: str, module: str, attribute: str) -> Any:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ModuleNotFoundError, AttributeError) as problem:
        raise UsageError(f"{what}: {problem}") from problem
    except Exception as problem:
        kind = type(problem).__name__
        raise UsageError(f"{what}: {module} cannot be imported ({kind}: {problem})") from None
    finally:
        if added:
            sys.path.remove(here)
    return found
