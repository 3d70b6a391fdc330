"""A package that adds one member to every registry, and the commands that use each by name."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import idealprompt_cli
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.strategies import STRATEGIES

from .conftest import SCRIPT, call
from .strategies import test_strategies as contract

MODULE = """
import json
from pathlib import Path

from idealprompt_cli.core.interfaces import Draft, Strategy
from idealprompt_cli.engines.scripted import open_scripted


class Whisper(Strategy):
    name = "whisper"
    summary = "whispers what the codes mean"
    source = "this test"

    def applies(self, prompt, context):
        return "A: striped" not in prompt.context

    def propose(self, prompt, context):
        yield Draft(prompt.with_(context="A: striped. B: dotted."), "whispers the codes")


def first_letter(predicted, gold):
    return float(predicted[:1] == gold[:1])


class Shout:
    name = "shout"
    summary = "the question in capitals"

    def render(self, artifact, prompt):
        return prompt.question.upper()


class OneLine:
    name = "one_line"
    summary = "the score in a line"

    def run(self, artifact, written, screen, work=None):
        return f"{artifact.task.name} {artifact.scores.winner.selection.value:.2f}"

    def evaluation(self, report, screen):
        return f"{report.task.name} {report.evaluation.value:.2f}"


def open_parrot(ref, options, notice):
    notice("The parrot is open.")
    return open_scripted(Path(str(ref)).with_suffix(".yaml"), options, notice)
"""
ENTRY_POINTS = """
[idealprompt.strategies]
whisper = parrot:Whisper
[idealprompt.metrics]
first_letter = parrot:first_letter
[idealprompt.exports]
shout = parrot:Shout
[idealprompt.formats]
one_line = parrot:OneLine
[idealprompt.engines]
parrot = parrot:open_parrot
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an installed package `parrot`."""
    site = tmp_path / "site"
    (site / "parrot-1.0.dist-info").mkdir(parents=True)
    (site / "parrot.py").write_text(MODULE)
    (site / "parrot-1.0.dist-info/METADATA").write_text("Name: parrot\nVersion: 1.0\n")
    (site / "parrot-1.0.dist-info/entry_points.txt").write_text(ENTRY_POINTS)
    (site / "bird.egg").write_text("any file")
    (site / "bird.yaml").write_text(Path(SCRIPT).read_text())
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(sys.modules, "parrot", raising=False)
    return site


@pytest.mark.parametrize("by", ["entry point", "module"])
def test_one_of_each_through_the_commands(package: Path, folder: Path, by: str) -> None:
    def name(entry: str, attribute: str) -> str:
        return entry if by == "entry point" else f"parrot:{attribute}"

    model = ("--engine", name("parrot", "open_parrot"), "-m", package / "bird.egg")
    shown = ("--format", name("one_line", "OneLine"))
    found = call(
        "search", folder, *model, *shown, "--strategy", name("whisper", "Whisper"), "--budget",
        "200", "--metric", name("first_letter", "first_letter"), "-o", "prompt.yaml",
    )  # fmt: skip
    assert found.exit_code == 0, found.stderr
    assert re.fullmatch(r"task \d\.\d\d\n", found.stdout)
    assert "The parrot is open." in found.stderr
    written = Path("prompt.yaml").read_text()
    assert "metric: " + name("first_letter", "first_letter") in written
    assert "strategy: whisper" in written
    measured = call("eval", "prompt.yaml", folder, *model, *shown, "-q")
    assert measured.exit_code == 0, measured.stderr
    assert re.fullmatch(r"task \d\.\d\d\n", measured.stdout)
    exported = call("export", "prompt.yaml", "--to", name("shout", "Shout"))
    assert exported.stdout.strip() == exported.stdout.strip().upper() != ""


def test_one_of_each_through_the_api(package: Path, folder: Path) -> None:
    task = idealprompt_cli.load_task(folder, metric="parrot:first_letter")
    with idealprompt_cli.open_model(package / "bird.egg", engine="parrot") as model:
        found = idealprompt_cli.adapt(task, model, budget="200", strategies=["whisper"])
    assert idealprompt_cli.show(found, "one_line").startswith("task ")
    assert idealprompt_cli.convert(found, "parrot:Shout").isupper()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--strategy", "wisper"), "unknown strategy 'wisper': did you mean whisper?"),
        (("--format", "oneline"), "unknown format 'oneline': did you mean one_line?"),
        (("--engine", "parot"), "unknown engine 'parot': did you mean parrot?"),
        (("--strategy", "parrot:Wisper"), "strategy parrot:Wisper: module 'parrot' has no attr"),
        (("--format", "no_such:X"), "format no_such:X: No module named 'no_such'"),
        (("--format", "table", "--json"), "--json and --format table exclude each other"),
    ],
)
def test_wrong_names_are_one_line(
    package: Path, folder: Path, words: tuple[str, ...], message: str
) -> None:
    assert package.is_dir()
    result = call("search", folder, "-m", SCRIPT, *words)
    assert result.exit_code == 2
    assert result.stdout == "" or "--json" in words
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_json_format_is_the_json_option(folder: Path) -> None:
    words = ("search", folder, "-m", SCRIPT, "-q", "--budget", "60")
    one, other = (
        json.loads(call(*words, *how).stdout) for how in (["--json"], ["--format", "json"])
    )
    assert one["prompt"] == other["prompt"]
    assert one.keys() == other.keys()


def documented_strategy() -> Any:
    """The example of docs/extending.md, as a newcomer would save it."""
    page = Path(__file__).parent.parent / "docs" / "extending.md"
    code, *_ = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType("politeness")
    exec(code.replace("from ..", "from idealprompt_cli."), module.__dict__)
    return module.__dict__["Politeness"]()


def test_the_documented_strategy_passes_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = documented_strategy()
    name = strategy.name
    monkeypatch.setattr(contract, "STRATEGIES", {**STRATEGIES, name: strategy})
    contract.test_each_strategy_says_what_it_is(name)
    for parent in contract.PARENTS:
        contract.test_drafts_keep_the_contract(name, parent)
        contract.test_refitting_on_the_same_evidence_gives_the_same_prompt(name, parent)
    contract.test_every_strategy_has_something_to_offer_somewhere(name)
    contract.test_free_text_tasks_are_no_stumbling_block(name)
    assert strategy.applies(Prompt("Why?"), None)
