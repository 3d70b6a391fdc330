"""The direction of imports. A module imports only from lower layers or from its own family."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "idealprompt_cli"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__",),
    ("core",),
    ("io",),
    ("prompts", "answers"),
    ("storage", "metrics"),
    ("task",),
    ("engines",),
    ("evaluation",),
    ("fitting", "synthesis"),
    ("strategies", "proposers", "priors"),
    ("search",),
    ("reflection",),
    ("artifact",),
    ("runs",),
    ("fleet",),
    ("ui",),
    ("exports",),
    ("api",),
    ("cli",),
    ("__main__",),
)
REGISTRIES = ("metrics", "engines", "strategies", "proposers", "exports")
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def family(path: Path) -> str:
    """The top-level module or folder that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def package_of(path: Path) -> list[str]:
    return ["idealprompt_cli", *path.relative_to(PACKAGE).parts[:-1]]


def imported(path: Path) -> set[str]:
    """Families that a file imports, wherever in the file. `if TYPE_CHECKING` does not count."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in running(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package_of(path)[: len(package_of(path)) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.update(f"{module}.{alias.name}" for alias in node.names)
    ours = [name.split(".") for name in found if name.startswith("idealprompt_cli.")]
    names = {parts[1] for parts in ours}
    return {name if name in RANK else "__init__" for name in names} - {family(path)}


def running(tree: ast.AST) -> list[ast.AST]:
    nodes: list[ast.AST] = [tree]
    for node in nodes:
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            nodes.extend(ast.iter_child_nodes(node))
    return nodes


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = family(path)
    assert own in RANK, f"{own} has no layer: add it to LAYERS"
    for other in imported(path):
        assert RANK[other] < RANK[own], f"{own} imports {other}, which is not below it"


def test_only_commands_consult_the_registries() -> None:
    for path in FILES:
        if family(path) not in (*REGISTRIES, "runs", "fleet", "cli", "ui", "api"):
            assert not imported(path) & set(REGISTRIES), path


def test_files_stay_small() -> None:
    long = {
        str(path.relative_to(PACKAGE)): count
        for path in FILES
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 330
    }
    assert not long


def test_rich_and_typer_stay_at_the_edge() -> None:
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if "import rich" in text or "from rich" in text:
            assert family(path) == "ui", path
        if "import typer" in text or "from typer" in text:
            assert family(path) == "cli", path
