"""The tests themselves: each asserts something, and the folders mirror the package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
FILES = sorted(path for path in TESTS.rglob("*.py"))
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
BESIDE_THE_PACKAGE = {"support", "benchmarks", "training", "__pycache__"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> list[Function]:
    return [node for node in ast.walk(TREES[path]) if isinstance(node, Function)]


def called(function: Function) -> set[str]:
    """Names of everything that a function calls."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {call.attr if isinstance(call, ast.Attribute) else ast.unparse(call) for call in calls}


def asserts(function: Function, helpers: set[str]) -> bool:
    """Whether a function has an `assert`, expects an error or calls a helper that does."""
    direct = any(isinstance(node, ast.Assert) for node in ast.walk(function))
    return direct or bool(called(function) & ({"raises", "warns"} | helpers))


def asserting_helpers() -> set[str]:
    """Functions of the test suite that assert, themselves or through another one."""
    everything = [one for path in FILES for one in functions(path)]
    found: set[str] = set()
    while True:
        new = {one.name for one in everything if asserts(one, found)}
        if new == found:
            return {name for name in found if not name.startswith("test_")}
        found = new


HELPERS = asserting_helpers()
TEST_FILES = [path for path in FILES if path.name.startswith("test_")]


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_every_test_asserts_something(path: Path) -> None:
    tests = [one for one in functions(path) if one.name.startswith("test_")]
    assert tests
    silent = [f"{path.name}:{one.lineno} {one.name}" for one in tests if not asserts(one, HELPERS)]
    assert not silent


def test_a_test_without_an_assertion_is_found() -> None:
    tree = ast.parse("def test_nothing() -> None:\n    len([])\n")
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    assert not asserts(function, HELPERS)


def test_folders_mirror_the_package() -> None:
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()} - BESIDE_THE_PACKAGE
    package = {path.name for path in (ROOT / "idealprompt_cli").iterdir() if path.is_dir()}
    assert folders <= package
    for name in folders:
        assert (TESTS / name / "__init__.py").is_file(), name
