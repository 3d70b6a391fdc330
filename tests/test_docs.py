"""The pages that are made from the code are fresh, and the others name things that exist."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from docs.generate import pages
from idealprompt_cli import __version__
from idealprompt_cli.artifact import dump, from_run, json_schema, to_data
from idealprompt_cli.cli.main import app

from .support.factories import run_result

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", pages())
def test_made_pages_are_fresh(name: str) -> None:
    assert (DOCS / name).read_text() == pages()[name], "run: python -m docs.generate"


def fits(value: Any, rule: dict[str, Any], top: dict[str, Any]) -> bool:
    """As much of JSON Schema as ours uses."""
    if "$ref" in rule:
        return fits(value, top["$defs"][rule["$ref"].rpartition("/")[2]], top)
    if "anyOf" in rule:
        return any(fits(value, one, top) for one in rule["anyOf"])
    if "enum" in rule or "const" in rule:
        return value in rule.get("enum", [rule.get("const")])
    kinds: dict[str, Any] = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "null": type(None),
        "array": (list, tuple),
        "object": dict,
        "boolean": bool,
    }
    if not isinstance(value, kinds[rule["type"]]):
        return False
    if rule["type"] == "array":
        return all(fits(one, rule["items"], top) for one in value)
    if rule["type"] != "object":
        return True
    known, extra = rule.get("properties", {}), rule.get("additionalProperties")
    return set(rule.get("required", ())) <= set(value) and all(
        fits(one, known[key], top)
        if key in known
        else isinstance(extra, dict) and fits(one, extra, top)
        for key, one in value.items()
    )


@pytest.mark.parametrize("tested", [True, False])
def test_artifacts_fit_the_schema(tested: bool) -> None:
    artifact = from_run(run_result(tested=tested))
    data = to_data(artifact)
    rules = json_schema()
    for key, value in data.items():
        assert fits(json.loads(json.dumps(value)), rules["properties"][key], rules), key
    assert set(data) == set(rules["properties"]) - {"committee", "boxes", "front"}
    assert fits(yaml.safe_load(dump(artifact)), rules, rules)
    assert not fits({**data, "prompt": {"questoin": "x"}}, rules, rules)


def test_recipes_name_commands_and_options_that_exist() -> None:
    text = (DOCS / "recipes.md").read_text() + (DOCS / "extending.md").read_text()
    for line in re.findall(r"idealprompt (\w+[^|\n`#]*)", text.replace("\\\n", " ")):
        words = line.split()
        if words[0] in ("metrics", "interfaces"):
            continue
        inner = words[:2] if words[0] in ("fleet", "priors") else words[:1]
        result = CliRunner().invoke(app, [*inner, "--help"])
        assert result.exit_code == 0, line
        for option in (word.strip("`.,") for word in words if word.startswith("--")):
            assert option in result.stdout, line


def test_the_changelog_has_this_version() -> None:
    assert f"## {__version__}\n" in (ROOT / "CHANGELOG.md").read_text()


def test_the_python_page_has_every_function() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    import idealprompt_cli

    assert all(f"`{name}(" in page for name in idealprompt_cli.__all__)
