"""Bad input to whole commands: one clear line on stderr, nothing on stdout, the right exit code."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from idealprompt_cli.artifact import ModelSummary
from idealprompt_cli.artifact.result import model_summary
from idealprompt_cli.cli.main import app
from idealprompt_cli.core.task import ModelRef
from idealprompt_cli.runs import models

from ..conftest import SCRIPT, call
from ..support.factories import model


def complaint(*words: object, code: int = 1, stdin: str | None = None) -> str:
    """The one line of a command that fails with `code`."""
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
    assert result.exit_code == code, (result.stderr, result.exception)
    assert ("--json" in words) == result.stdout.startswith('{"error": ') == bool(result.stdout)
    lines = result.stderr.splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1
    assert "Traceback" not in result.stderr
    return lines[-1]


def test_missing_model(folder: Path) -> None:
    assert complaint("search", folder, "-m", "none.gguf", "--mmproj", "x.gguf").startswith(
        "error: none.gguf: no such"
    )
    assert "no such file" in complaint("search", folder, "-m", "none.gguf")
    assert "no such file" in complaint("search", folder, "-m", "none.yaml")


def test_a_file_that_is_no_gguf(folder: Path) -> None:
    Path("model.gguf").write_bytes(b"not a model" * 100)
    Path("mmproj.gguf").write_bytes(b"not a model" * 100)
    message = complaint("search", folder, "-m", "model.gguf")
    assert message.startswith("error: model.gguf: ")
    Path("mmproj.gguf").unlink()
    message = complaint("search", folder, "-m", "model.gguf")
    assert message == "error: model.gguf: not a GGUF file: check the path of the model"
    message = complaint("search", folder, "-m", folder)
    assert message.endswith("is a folder: name the text model's GGUF file in it")


def test_a_projector_without_its_model(folder: Path) -> None:
    assert "without --model" in complaint("search", folder, "--mmproj", "mmproj-a.gguf", code=2)


def test_a_text_model_and_a_task_with_pictures(folder: Path) -> None:
    embedded = models.embedded_model()
    assert embedded is not None
    Path("model.gguf").symlink_to(embedded.text)
    message = complaint("search", folder, "-m", "model.gguf")
    assert "takes no images; name one with --mmproj" in message


def test_no_model_at_all(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "embedded_model", lambda: None)
    assert "no model is named" in complaint("search", folder)


def test_a_truncated_picture(folder: Path) -> None:
    path = folder / "A" / "0.png"
    Image.effect_noise((64, 64), 50).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    message = complaint("search", folder, "-m", SCRIPT)
    assert message.startswith(f"error: {path}: the image is damaged")


def test_an_unknown_key(folder: Path) -> None:
    (folder / "task.yaml").write_text("question: q\nlabel: [A, B]\n")
    message = complaint("search", folder, "-m", SCRIPT)
    assert message == f"error: {folder}/task.yaml:2: label: unknown key: did you mean labels?"


def test_a_label_without_examples(folder: Path) -> None:
    (folder / "task.yaml").write_text("question: q\nlabels: [A, B, C]\n")
    assert "no training example has the label 'C'" in complaint("search", folder, "-m", SCRIPT)


def test_an_empty_folder(folder: Path) -> None:
    empty = folder.parent / "empty"
    empty.mkdir()
    assert complaint("search", empty, "-m", SCRIPT).startswith(f"error: {empty}: the folder is em")


def test_a_prompt_longer_than_the_context(folder: Path) -> None:
    (folder / "task.yaml").write_text(f"question: {'word ' * 400}\n")
    message = complaint("search", folder, "-m", SCRIPT, code=2)
    assert "tokens and the context holds 300" in message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--budget", "lots"), "'lots' is not a valid budget: write 300"),
        (("--budget", "10Min"), "'10Min' is not a valid budget (try 10min): write 300"),
        (("--budget", "300 evals"), "'300evals' is not a valid budget (try 300)"),
        (("--budget", "3"), "budget"),
        (("--metric", "accurracy"), "unknown metric 'accurracy': did you mean accuracy?"),
        (("--strategy", "roles"), "did you mean"),
        (("--json", "-o", "-"), "--json and -o - both write to stdout"),
    ],
)
def test_usage(folder: Path, words: tuple[str, ...], message: str) -> None:
    assert message in complaint("search", folder, "-m", SCRIPT, *words, code=2)


def test_unknown_metric_in_task_yaml(folder: Path) -> None:
    (folder / "task.yaml").write_text("question: q\nmetric: acuracy\n")
    assert "did you mean" in complaint("search", folder, "-m", SCRIPT)


def test_a_seed_below_nothing(folder: Path) -> None:
    """Python takes -1 for 1."""
    with (folder / "task.yaml").open("a") as file:
        file.write("seed: -1\n")
    assert "seed: is -1: should be 0 or more" in complaint("search", folder, "-m", SCRIPT)


def test_a_model_that_is_no_model(folder: Path) -> None:
    Path("other.yaml").write_bytes(bytes(range(128, 256)))
    message = complaint("search", folder, "-m", "other.yaml")
    assert "other.yaml: is neither a GGUF file nor the YAML script" in message


def test_unknown_options_and_commands() -> None:
    for words, message in (
        (["searhc"], "No such command 'searhc'. Did you mean 'search'?"),
        (["search", "x", "--buget", "3"], "No such option: --buget"),
        (["eval", "p.yaml", "t", "--min-score", "2"], "Invalid value for '--min-score'"),
        (["eval", "p.yaml", "t", "--split", "val"], "Invalid value for '--split'"),
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2
        assert message in result.stderr
        assert len(result.stderr.splitlines()) <= 4


def test_run_folders(folder: Path) -> None:
    assert "holds no run of task to resume" in complaint("search", folder, "-m", SCRIPT, "--resume")
    message = complaint("search", folder, "-m", SCRIPT, "--resume", "--run-dir", "none")
    assert "no journal to resume" in message
    words = ("search", folder, "-m", SCRIPT, "--run-dir", "run", "-q")
    assert CliRunner().invoke(app, [str(word) for word in words]).exit_code == 0
    assert "in use" in complaint(*words)
    assert "another seed" in complaint(*words, "--resume", "--seed", "5")


def test_output_that_cannot_be_written(folder: Path) -> None:
    message = complaint("search", folder, "-m", SCRIPT, "-o", "none/p.yaml")
    assert message == "error: none/p.yaml: its folder does not exist: make it first"
    message = complaint("search", folder, "-m", SCRIPT, "-o", folder)
    assert message == f"error: {folder}: is a folder: name a file in it"
    assert not Path("runs").exists(), "it is said before the search"


def test_prompts(folder: Path) -> None:
    assert "no such file" in complaint("eval", "none.yaml", folder, "-m", SCRIPT)
    assert "is empty" in complaint("eval", "-", folder, stdin="")
    assert "no schema key" in complaint("eval", "-", folder, stdin="a: b\n")
    assert "cannot both come from stdin" in complaint("predict", "-", "-", code=2, stdin="")


def test_a_prompt_for_other_labels(folder: Path) -> None:
    words = ["search", str(folder), "-m", SCRIPT, "-q", "-o", "p.yaml"]
    assert CliRunner().invoke(app, words).exit_code == 0
    (folder / "B").rename(folder / "C")
    assert complaint("eval", "p.yaml", folder).endswith("use a prompt that was made for this task")


def test_a_model_that_is_gone(folder: Path) -> None:
    shutil.copy(SCRIPT, "mine.yaml")
    words = ["search", str(folder), "-m", "mine.yaml", "-q", "-o", "p.yaml"]
    assert CliRunner().invoke(app, words).exit_code == 0
    Path("mine.yaml").unlink()
    message = complaint("eval", "p.yaml", folder)
    assert (
        message == "error: mine.yaml: the model that the prompt was made for is not known on this "
        "machine: give --model"
    )


def test_no_test_part(folder: Path) -> None:
    words = ["search", str(folder), "-m", SCRIPT, "-q", "-o", "p.yaml"]
    assert CliRunner().invoke(app, words).exit_code == 0
    (folder / "task.yaml").write_text("question: q\ntest_fraction: 0\n")
    assert "has no test split: use --split train" in complaint("eval", "p.yaml", folder)


def test_debug_shows_the_traceback(folder: Path) -> None:
    result = CliRunner().invoke(app, ["search", "none", "-m", SCRIPT, "--debug"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: none: no such folder")


def test_which_model_an_artifact_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def info(path: str) -> ModelSummary:
        return model_summary(replace(model(), path=path, mmproj="mmproj.gguf"))

    text = "elsewhere/idealprompt_cli/models/demo/model.gguf"
    embedded = ModelRef(Path("here", *Path(text).parts[1:]), Path("mmproj.gguf"))
    monkeypatch.setattr(models, "embedded_model", lambda: embedded)
    assert models.named_by(info(text), models.ModelChoice()) is None
    Path("model.gguf").write_bytes(b"GGUF")
    mine = ModelRef(Path("model.gguf"), Path("mmproj.gguf"))
    assert models.named_by(info("model.gguf"), models.ModelChoice()) == mine
    assert models.named_by(info("gone.gguf"), models.ModelChoice(model=Path("m.gguf"))) is None
    monkeypatch.setenv("IDEALPROMPT_MODEL", "m.gguf")
    assert models.named_by(info("gone.gguf"), models.ModelChoice()) is None


def test_nothing_is_lost_where_the_output_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from idealprompt_cli.storage import written_files

    monkeypatch.setattr(written_files, "check_writable", lambda *_: Path("late").rmdir())
    Path("late").mkdir()
    result = call("search", folder, "-m", SCRIPT, "-o", "late/p.yaml", "--run-dir", "run", "-q")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: late/p.yaml: cannot be written (no such file or directory); the result is in "
        "run/prompt.yaml\n"
    )
    assert call("eval", "run/prompt.yaml", folder, "-m", SCRIPT).exit_code == 0


def test_a_run_folder_that_cannot_be_made(folder: Path) -> None:
    Path("file").touch()
    result = call("search", folder, "-m", SCRIPT, "--run-dir", "file/run", "-q")
    assert result.exit_code == 1
    assert "(not a directory): name another place with --run-dir" in result.stderr


def test_the_line_of_a_metric_that_task_yaml_misspells(folder: Path) -> None:
    (folder / "task.yaml").write_text("question: Which code?\nmetric: acuracy\n")
    line = f"error: {folder}/task.yaml:2: metric: unknown metric 'acuracy': did you mean accuracy?"
    assert complaint("search", folder, "-m", SCRIPT) == line
    assert complaint("eval", "p.yaml", folder) == line
    (folder / "task.yaml").write_text("question: Which code?\nmetric: anls\n")
    assert complaint("search", folder).startswith(
        f"error: {folder}/task.yaml:2: metric: metric anls"
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", "empty: is empty: name a file with a Jinja template"),
        ("", "cannot be read (is a folder)"),
        ("/dev/zero", "cannot be read (is a device, not a file)"),
        ("large", "large: is larger than 1048576 bytes"),
        ("a" * 300, "cannot be read (file name too long)"),
    ],
)
def test_a_chat_template_that_is_none(prompt: Path, folder: Path, name: str, message: str) -> None:
    Path("empty").write_text(" \n")
    Path("large").write_text("x" * 2_000_000)
    words = ("predict", prompt, next(folder.rglob("*.png")), "-m", SCRIPT)
    result = call(*words, "--chat-template", name)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize("word", ["a" * 300, "circle", "fifo", "/dev/zero"])
def test_odd_places_are_one_line(prompt: Path, folder: Path, word: str) -> None:
    Path("circle").symlink_to("circle")
    os.mkfifo("fifo")
    for words in (
        ("predict", prompt, word, "-m", SCRIPT),
        ("predict", prompt, next(folder.rglob("*.png")), "-m", word),
        ("search", word, "-m", SCRIPT, "-q"),
        ("search", folder, "-m", SCRIPT, "--run-dir", f"{word}/run", "-q"),
        ("init", "new", "--from", word),
    ):
        result = call(*words)
        assert result.exit_code in (1, 2), result.stdout
        assert "internal error" not in result.output
        assert word[:200] in result.output.replace("\n", "")
