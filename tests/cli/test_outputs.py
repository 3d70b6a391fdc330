"""An output never replaces a file that this program did not write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import ArtifactError
from idealprompt_cli.exports import EXPORTS
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
    others = (prompt.read_bytes(),) if name not in ("search", "reflect") else ()
    for content in (*FOREIGN, *others):
        out.write_bytes(content)
        result = call(*words)
        assert result.exit_code == 1, result.stdout
        assert result.stderr.splitlines()[-1].startswith("error: out: is there already and is a")
        assert out.read_bytes() == content
    out.unlink()
    for _ in range(2):
        result = call(*words)
        assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - {"predict", "synth"}))
def test_force_replaces_any_file(prompt: Path, name: str) -> None:
    Path("out").write_bytes(FOREIGN[0])
    result = call(*COMMANDS[name], "--force")
    assert result.exit_code == 0, result.stderr
    assert Path("out").read_bytes() != FOREIGN[0]


@pytest.mark.parametrize("to", sorted(EXPORTS))
def test_every_export_replaces_its_own_earlier_one_and_no_edited_one(prompt: Path, to: str) -> None:
    words, out = ("export", prompt, "--to", to, "-o", "out"), Path("out")
    assert call(*words).exit_code == 0
    whole = out.read_bytes()
    prompt.write_text(prompt.read_text().replace("n_ctx: 300", "n_ctx: 301"))
    assert call(*words).exit_code == 0, "as it was written"
    out.write_bytes(whole + b"# my own addition\n")
    result = call(*words)
    assert result.exit_code == 1
    assert "give --force to replace it" in result.stderr
    assert out.read_bytes() == whole + b"# my own addition\n"


def test_a_text_is_replaced_without_a_record_where_nothing_changes(
    prompt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("export", prompt, "--to", "text", "-o", "out")
    assert call(*words).exit_code == 0
    monkeypatch.setenv("IDEALPROMPT_CACHE", str(Path("another").absolute()))
    assert call(*words).exit_code == 0
    monkeypatch.setenv("IDEALPROMPT_CACHE", "/dev/null/nowhere")
    assert call(*words).exit_code == 0


def test_the_record_of_texts_is_ours_or_left_alone_and_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idealprompt_cli.storage import written_files

    monkeypatch.setenv("IDEALPROMPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(written_files, "MOST", 650)
    record = tmp_path / "cache" / written_files.RECORD
    for number in range(25):
        written_files.Target(str(tmp_path / "t"), "a text", None).write(f"text {number}")
    assert (tmp_path / "t").read_text() == "text 24", "each replaced the one before"
    assert record.stat().st_size < 1000
    assert record.stat().st_mode & 0o777 == 0o600
    record.write_text("somebody's list\n")
    written_files.Target(str(tmp_path / "u"), "a text", None).write("other")
    assert record.read_text() == "somebody's list\n"


SIMILAR = {
    "search": b"schema: 1\ntask: cleaning\nname: my own settings\n",
    "eval": b'{"id": 7, "text": "a row of somebody else"}\n',
    "predict": b'{"image": "a.jpg", "caption": "a red mug"}',
    "priors": b'{"schema": "another"}',
    "report": b"<!doctype html><p>idealprompt</p>",
}


@pytest.mark.parametrize("name", SIMILAR)
def test_files_that_look_similar_are_foreign(prompt: Path, name: str) -> None:
    Path("out").write_bytes(SIMILAR[name])
    assert call(*COMMANDS[name]).exit_code == 1
    assert Path("out").read_bytes() == SIMILAR[name]


def test_an_answer_without_an_end_of_line_is_given_again(prompt: Path) -> None:
    """An editor, or a kill in the middle of a write, took the end of the last line."""
    words, out = COMMANDS["predict"], Path("out")
    assert call(*words).exit_code == 0
    whole = out.read_text()
    out.write_text(whole[:-1])
    assert call(*words).exit_code == 0
    assert json.loads(out.read_text())["label"] == json.loads(whole)["label"]


def test_save_keeps_foreign_files(prompt: Path) -> None:
    from idealprompt_cli import api

    artifact = api.load(prompt)
    Path("mine.yaml").write_text("mine: 1\n")
    with pytest.raises(ArtifactError, match="is there already and is another text"):
        api.save(artifact, "mine.yaml")
    assert Path("mine.yaml").read_text() == "mine: 1\n"
    api.save(artifact, "mine.yaml", force=True)
    api.save(artifact, "mine.yaml")
    assert api.load("mine.yaml") == artifact


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

    from idealprompt_cli.storage.written_files import is_drawing

    data = io.BytesIO()
    Image.new("RGB", (3, 3)).save(data, "PNG")
    assert not is_drawing(data.getvalue())
    marked = _marked(data.getvalue())
    assert is_drawing(marked)
    with Image.open(io.BytesIO(marked)) as image:
        image.load()
        assert image.info["Software"] == "idealprompt"
