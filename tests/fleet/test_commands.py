"""What the commands do without a network: no import of Dask, and reflection on a box."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from idealprompt_cli.artifact import read_artifact
from idealprompt_cli.cli.cluster import WithBoxes
from idealprompt_cli.core.events import Event, SilentObserver, TrialDone
from idealprompt_cli.fleet.account import BoxAccount
from idealprompt_cli.ui.console import Console

from ..conftest import SCRIPT, call
from ..support.factories import run_result

ROOT = Path(__file__).parent.parent.parent


def test_dask_is_imported_only_on_request(folder: Path) -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from idealprompt_cli.cli.main import app\n"
        f"words = ['search', {str(folder)!r}, '-m', {SCRIPT!r}, '--budget', '40', '--no-priors']\n"
        "done = CliRunner().invoke(app, words)\n"
        "assert done.exit_code == 0, done.output\n"
        "assert not {'dask', 'distributed', 'tornado'} & set(sys.modules)\n"
    )
    line = [sys.executable, "-c", code]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_box_adapts_the_common_prompt(prompt: Path, folder: Path) -> None:
    words = ("fleet", "reflect", prompt, folder, "-m", SCRIPT, "--budget", "60", "-q")
    result = call(*words, "-o", "own.yaml")
    assert result.exit_code == 0, result.stderr
    own, common = read_artifact("own.yaml"), read_artifact(str(prompt))
    assert own.trail[: len(common.trail)] == common.trail
    assert own.boxes == ()


def test_progress_of_boxes_is_shown_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter((0.0, 5.0, 11.0, 11.0, 12.0))
    boxes = [BoxAccount("north", 3)]
    shown = WithBoxes(SilentObserver(), Console(1), lambda: boxes, lambda: next(times))
    trial = run_result().trials[0]
    event: Event = TrialDone(trial, trial, "1/2", 0.5)
    for _ in range(3):
        shown.notify(event)
    assert capsys.readouterr().err.count("requests by box: north 3") == 1
