"""The folders of the llama.cpp engine import only from those before them, without cycles."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / "idealprompt_cli" / "engines" / "llama_cpp"
FOLDERS = ("native", "scheduling", "caching", "setup", "backends", "")
FILES = sorted(ENGINE.rglob("*.py"))


def imported(path: Path) -> set[Path]:
    """Modules of the engine that a file imports, inside functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        folder = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        found |= {folder / alias.name for alias in node.names} | {folder}
    return {
        place.with_suffix(".py")
        for place in found
        if place.with_suffix(".py").is_relative_to(ENGINE)
    } & set(FILES)


def rank(path: Path) -> int:
    folder = path.relative_to(ENGINE).parts[0] if path.parent != ENGINE else ""
    return FOLDERS.index(folder)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ENGINE)))
def test_folders_import_from_earlier_ones(path: Path) -> None:
    later = [str(other) for other in imported(path) if rank(other) > rank(path)]
    assert not later


def test_no_module_imports_itself_through_others() -> None:
    graph = {path: imported(path) for path in FILES}
    assert sum(map(len, graph.values())) > 50, "imports are found"
    while graph:
        free = {path for path, others in graph.items() if not others & set(graph)}
        assert free, f"a cycle among {sorted(str(path.relative_to(ENGINE)) for path in graph)}"
        graph = {path: others for path, others in graph.items() if path not in free}
