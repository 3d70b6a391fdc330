"""An output never replaces a file that this program did not write."""

from __future__ import annotations

from pathlib import Path

import pytest

from idealprompt_cli.ui.report.svg import _marked

from ..conftest import SCRIPT, call

FOREIGN = (b"# notes\n", b"\x89PNG\r\n\x1a\n\0\0", b"SQLite format 3\0" + b"x" * 90)
SYNTH = str(Path(SCRIPT).with_name("synth.yaml"))
COMMANDS = {
    "search": ("search", "task", "-m", SCRIPT, "--budget", "60", "-o", "out", "-q"),
    "reflect": ("reflect", "prompt.yaml", "task", "-m", SCRIPT, "--budget", "60", "-o", "out"),
    "eval": ("eval", "prompt.yaml", "task", "-m", SCRIPT, "--jsonl", "out", "-q"),
    "predict": ("predict", "prompt.yaml", "task/A/0.png", "-m", SCRIPT, "-o", "out"),
    "report": ("report", "prompt.yaml", "-o", "out"),
    "report --text": ("report", "prompt.yaml", "--text", "-o", "out"),
    "export": ("export", "prompt.yaml", "--to", "text", "-o", "out"),
    "synth": ("synth", "-m", SYNTH, "--branch", "2", "-o", "out", "-q"),
    "priors": ("priors", "export", "out"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_foreign_files_are_kept_and_own_ones_replaced(prompt: Path, name: str) -> None:
    words, out = COMMANDS[name], Path("out")
    foreign = FOREIGN[1:] if name in ("report --text", "export") else FOREIGN
    others = (prompt.read_bytes(),) if name not in ("search", "reflect") else ()
    for content in (*foreign, *others):
        out.write_bytes(content)
        result = call(*words)
        assert result.exit_code == 1, result.stdout
        assert result.stderr.startswith("error: out:")
        assert out.read_bytes() == content
    out.unlink()
    for _ in range(2):
        result = call(*words)
        assert result.exit_code == 0, result.stderr


def test_a_run_folder_with_foreign_files_is_refused(prompt: Path) -> None:
    for name in ("prompt.yaml", "outcomes.jsonl", "blank.png"):
        folder = Path(f"run-{name}")
        folder.mkdir()
        (folder / name).write_text("somebody's")
        words = ("search", "task", "-m", SCRIPT, "--budget", "60", "--run-dir", folder, "-q")
        result = call(*words)
        assert result.exit_code == 1
        assert f"{folder / name}: is there already and would be overwritten" in result.stderr
        assert (folder / name).read_text() == "somebody's"


def test_drawings_name_their_maker(tmp_path: Path) -> None:
    import io

    from PIL import Image

    from idealprompt_cli.cli.outputs import is_drawing

    data = io.BytesIO()
    Image.new("RGB", (3, 3)).save(data, "PNG")
    assert not is_drawing(data.getvalue())
    marked = _marked(data.getvalue())
    assert is_drawing(marked)
    with Image.open(io.BytesIO(marked)) as image:
        image.load()
        assert image.info["Software"] == "idealprompt"
