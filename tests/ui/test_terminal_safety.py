"""Control characters from names, labels, answers and servers are shown, never sent."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from idealprompt_cli.artifact import dump, from_run, load
from idealprompt_cli.io.terminal import json_text, one_line, printable, printable_values
from idealprompt_cli.ui.formats import FORMATS, EvalReport, Screen
from idealprompt_cli.ui.report import Report, text

from ..conftest import MakePicture, call
from ..support.factories import evaluation, model, run_result, task

EVIL = "\x1b]0;owned\x07\x1b[31mred\x1b[2J\x9b1m\u202edesrever\r\x00"
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_printable() -> None:
    shown = printable(EVIL)
    assert not RAW.search(shown)
    assert shown.startswith("\\x1b]0;owned\\x07\\x1b[31mred")
    assert "\\u202edesrever\\x0d\\x00" in shown
    assert printable("täglich\n\t★ 😀 مرحبا") == "täglich\n\t★ 😀 مرحبا"
    assert one_line(" a\n b\x1b ") == "a b\\x1b"
    assert not RAW.search(json_text({EVIL: [EVIL]}))
    assert json.loads(json_text({EVIL: [EVIL, 1, None]})) == {EVIL: [EVIL, 1, None]}
    values: Any = printable_values({"a": (EVIL, 1), "b": [task()]})
    assert values["a"] == (shown, 1)
    assert values["b"] == [task()]


@pytest.mark.parametrize("name", FORMATS)
def test_formats(name: str) -> None:
    result = run_result()
    evil = replace(result.task, name=EVIL, labels=(EVIL, "b", "c"))
    prompt = result.winner.with_(question=EVIL, verbalisers=())
    artifact = from_run(replace(result, task=evil, winner=prompt, verdict=EVIL))
    shown = FORMATS[name].run(artifact, EVIL, Screen())
    outcomes = tuple(replace(o, gold=EVIL, predicted=EVIL) for o in evaluation(1, 6).outcomes)
    found = replace(evaluation(1, 6), outcomes=outcomes)
    report = EvalReport(evil, replace(model(), name=EVIL), "test", "winner", found, worst=3)
    for output in (shown, FORMATS[name].evaluation(report, Screen())):
        assert "owned" in output
        assert not RAW.search(output)
    assert not RAW.search(text(Report(artifact, "run")))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", dump(artifact))
    assert load(dump(artifact), "file") == artifact
    assert yaml.safe_load(dump(artifact))["verdict"] == EVIL


def test_commands(folder: Path, make_picture: MakePicture) -> None:
    """A task's name, a file's name and what a message quotes of them."""
    (folder / "task.yaml").write_text(yaml.safe_dump({"question": "Q?", "name": EVIL}))
    picture = make_picture(folder / "A" / "x\x1b[31m.png", 77)
    script = str(Path(__file__).parents[1] / "script.yaml")
    words = ("-m", script)
    outputs = [
        call("search", folder, *words, "--budget", "80", "-v", "-o", "p.yaml", "--run-dir", "run"),
        call("eval", "p.yaml", folder, *words, "--worst", "9", "--use", "baseline"),
        call("predict", "p.yaml", picture, f"{picture}.none", *words),
        call("report", "run", "--text"),
        call("export", "p.yaml", "--to", "openai"),
        call("eval", f"no{EVIL}.yaml".replace("\x00", ""), folder, *words),
        call("search", folder, *words, "--strategy", "a\x1b[31m"),
        call("reflect", "p.yaml", folder, *words, "--budget", "80", "--dry-run"),
    ]
    for number, result in enumerate(outputs):
        assert not RAW.search(result.stdout), number
        assert not RAW.search(result.stderr), number
        assert "internal error" not in result.stderr
