"""Every format shows every result; the table fits a terminal and shows text as it is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from idealprompt_cli.artifact import from_run
from idealprompt_cli.core.errors import UsageError
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.ui.formats import FORMATS, EvalReport, Screen, get

from ..support.factories import evaluation, model, run_result, task

REPORT = EvalReport(task(), model(), "test", "winner", evaluation(7, 9), 0.7777)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("tested", [True, False])
def test_contract(name: str, tested: bool) -> None:
    shown = FORMATS[name]
    assert shown.name == name
    assert shown.summary
    artifact = from_run(run_result(tested=tested))
    for text in (shown.run(artifact, "out.yaml", Screen()), shown.evaluation(REPORT, Screen())):
        assert text == text.rstrip()
        assert "\x1b" not in text
        assert "accuracy" in text
    assert "out.yaml" in shown.run(artifact, "out.yaml", Screen())


def test_the_table() -> None:
    text = get("table").run(from_run(run_result()), "out.yaml", Screen(width=80))
    lines = text.splitlines()
    assert lines[0] == "codes: accuracy   selection (6 examples)   held-out test (9 examples)"
    assert lines[2] == "seed prompt        33.3 %  [21.0, 43.3]     33.3 %  [21.0, 43.3]"
    assert lines[3] == "adapted prompt     83.3 %  [71.0, 93.3]     77.8 %  [65.4, 87.8]"
    assert "Better by 44 points on 9 held-out examples: 95 % sure? No." in lines
    assert any(line.startswith("Recommended: the seed prompt, which eval and") for line in lines)
    assert "[bold]not markup[/bold]" in text
    assert "  striped, stripes = K7" in lines
    assert lines[-2] == "Written to out.yaml"
    assert lines[-1] == (
        "Cost: 96 evaluations, 4,321 tokens, 12.3 seconds; stopped because the evaluation "
        "budget was spent."
    )


@pytest.mark.parametrize("width", [40, 60])
def test_the_table_on_a_narrow_screen(width: int) -> None:
    lines = get("table").run(from_run(run_result()), "", Screen(width)).splitlines()
    table = lines[: next(place for place, line in enumerate(lines) if not line.strip())]
    assert max(map(len, table)) <= width
    assert table[0].split() == ["codes:", "selection", "held-out", "test"]
    assert table[5].startswith("adapted prompt" if width == 60 else "adapted  ")
    assert table[5].endswith("83.3 %         77.8 %")
    assert "…" not in "".join(table)


@pytest.mark.parametrize("tested", [True, False])
def test_verdict_and_evaluation_fit_40_columns(tested: bool) -> None:
    narrow = Screen(40)
    words = "The winner beats the seed prompt: 91.7 % [83, 96] against 26.4 % [18, 38]."
    artifact = replace(from_run(run_result(tested=tested)), verdict=words)
    shown = get("table").run(artifact, "out.yaml", narrow).splitlines()
    assert max(len(line) for line in shown if "seed prompt" in line) <= 40
    assert "The winner beats the seed prompt: 91.7 %" in shown
    report = replace(REPORT, worst=3)
    text = get("table").evaluation(report, narrow)
    assert max(map(len, text.splitlines())) <= 40
    assert "  K7: 3 of 3 right, answered 4 times;\n    precision 75 %, recall 100 %" in text
    assert "Confusion matrix (rows: right label,\ncolumns: answer):" in text
    wide = get("table").evaluation(report, Screen(100))
    assert "label   examples   right   answered   precision   recall" in wide


def test_calibration_is_shown() -> None:
    prompt = Prompt("Which?", calibration=(("K7", 0.5), ("yes", -0.25)))
    text = get("table").run(from_run(run_result(winner=prompt)), "", Screen())
    assert "Calibration, added to the labels' log-probabilities: K7 +0.50, yes -0.25." in text


def test_what_sharing_spared_is_shown() -> None:
    artifact = from_run(run_result())
    work = {"tokens": 2500.0, "tokens_without_sharing": 10_000.0, "tokens_saved": 7500.0}
    text = get("table").run(artifact, "out.yaml", Screen(), work)
    assert text.splitlines()[-1] == (
        "Of 10,000 tokens asked for 2,500 were computed: 75 % saved by shared prefixes."
    )
    assert json.loads(get("json").run(artifact, "", Screen(), work))["work"] == work
    assert "work" not in json.loads(get("json").run(artifact, "", Screen()))


def test_the_table_fits_a_narrow_terminal() -> None:
    artifact = from_run(run_result(winner=Prompt(question="word " * 60)))
    lines = get("table").run(artifact, "", Screen(width=72)).splitlines()
    table = lines[:4]
    prompt = [line for line in lines if "word" in line]
    assert max(map(len, [*table, *prompt])) <= 72


def test_colour_is_for_terminals() -> None:
    assert "\x1b[1m" in get("table").run(from_run(run_result()), "", Screen(colour=True))


def test_json_counts_answers() -> None:
    data = json.loads(get("json").evaluation(REPORT, Screen()))
    assert data["labels"]["K7"] == {"K7": 3, "M: 2": 0, "yes": 0}
    assert data["labels"]["M: 2"] == {"K7": 0, "M: 2": 2, "yes": 1}
    assert data["recorded"] == 0.7777


def test_unknown_format() -> None:
    with pytest.raises(UsageError, match="did you mean table"):
        get("tabel")
