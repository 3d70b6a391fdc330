"""What is damaged, how, and which command then reads it. A case is made from its number alone, so
that a fault can be repeated."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import yaml

from .mutate import NASTY, damaged, json_text, with_nasty_value

SEARCH = ("search", "{task}", "-m", "script.yaml", "--budget", "60", "--no-priors", "-q")
EVAL = ("eval", "prompt.yaml", "{task}", "-m", "script.yaml", "-q")
EXPORTS = ("openai", "llama-server", "ollama", "gbnf", "promptfoo", "dspy", "text", "python")


Damage = Callable[[Path, random.Random], tuple[str, ...]]


def _bytes_of(path: Path, rng: random.Random) -> None:
    path.write_bytes(damaged(path.read_bytes(), rng))


def _values_of(path: Path, rng: random.Random) -> None:
    """Replace one value of a YAML or JSON file, or damage its bytes."""
    try:
        value = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError):
        return _bytes_of(path, rng)
    changed = with_nasty_value(value, rng)
    try:
        text = yaml.safe_dump(changed, allow_unicode=True).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, UnicodeError, RecursionError):
        text = json_text(changed)
    path.write_bytes(text)
    return None


def _either(path: Path, rng: random.Random) -> None:
    (_values_of if rng.random() < 0.6 else _bytes_of)(path, rng)


def task_settings(root: Path, rng: random.Random) -> tuple[str, ...]:
    task = rng.choice(("folders", "table"))
    _either(root / task / "task.yaml", rng)
    return tuple(word.format(task=task) for word in rng.choice((SEARCH, EVAL)))


def table(root: Path, rng: random.Random) -> tuple[str, ...]:
    path = root / "table" / "metadata.csv"
    if rng.random() < 0.5:
        _bytes_of(path, rng)
    else:
        rows = [line.split(",") for line in path.read_text().splitlines()]
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = str(rng.choice(NASTY))
        text = "\n".join(",".join(cells) for cells in rows)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
    if rng.random() < 0.3:
        return ("init", "made", "--from", "table/metadata.csv", "-q")
    return tuple(word.format(task="table") for word in SEARCH)


def json_table(root: Path, rng: random.Random) -> tuple[str, ...]:
    path = root / "table" / "metadata.csv"
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    path.unlink()
    records = [dict(zip(header, row, strict=True)) for row in rows]
    records = with_nasty_value(records, rng)
    lines = records if isinstance(records, list) else [records]
    (root / "table" / "metadata.jsonl").write_bytes(b"\n".join(json_text(one) for one in lines))
    return tuple(word.format(task="table") for word in SEARCH)


def artifact(root: Path, rng: random.Random) -> tuple[str, ...]:
    _either(root / "prompt.yaml", rng)
    choices = (
        tuple(word.format(task="folders") for word in EVAL),
        ("export", "prompt.yaml", "--to", rng.choice(EXPORTS)),
        ("predict", "prompt.yaml", "folders/A/0.png", "-m", "script.yaml"),
        ("report", "prompt.yaml", "--text"),
        ("reflect", "prompt.yaml", "folders", "-m", "script.yaml", "--budget", "60", "-q"),
    )
    return rng.choice(choices)


def journal(root: Path, rng: random.Random) -> tuple[str, ...]:
    path = root / "run" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    if rng.random() < 0.5:
        place = rng.randrange(len(lines))
        record = with_nasty_value(json.loads(lines[place]), rng)
        lines[place] = json_text(record) + b"\n"
        path.write_bytes(b"".join(lines))
    else:
        _bytes_of(path, rng)
    if rng.random() < 0.4:
        return ("report", "run", "--text")
    resumed = ["search", "folders", "-m", "script.yaml", "--budget", "200"]
    return (*resumed, "--run-dir", "run", "--resume", "-q")


def priors(root: Path, rng: random.Random) -> tuple[str, ...]:
    if (root / "priors.json").exists():
        _either(root / "priors.json", rng)
    else:
        (root / "priors.json").write_bytes(json_text(rng.choice(NASTY)))
    choices = (
        ("priors", "list"),
        ("priors", "merge", "priors.json", "-o", "merged.json"),
        ("search", "folders", "-m", "script.yaml", "--budget", "60", "-q"),
    )
    return rng.choice(choices)


def outcomes(root: Path, rng: random.Random) -> tuple[str, ...]:
    _bytes_of(root / "run" / "outcomes.jsonl", rng)
    return ("report", "run", "--text") if rng.random() < 0.5 else ("report", "run", "-o", "r.html")


def cache_file(root: Path, rng: random.Random) -> tuple[str, ...]:
    """An entry or index of the user's cache folder."""
    files = sorted(path for path in (root / "cache").rglob("*") if path.is_file())
    _bytes_of(rng.choice(files), rng)
    return ("predict", "prompt.yaml", "folders/A/0.png", "-m", "model.gguf", "--mmproj",
            "mmproj.gguf", "-q")  # fmt: skip


def answers(root: Path, rng: random.Random) -> tuple[str, ...]:
    path = root / "answers.sqlite"
    if path.exists():
        _bytes_of(path, rng)
    return ("search", "folders", "-m", "script.yaml", "--budget", "60", "-q", "--no-priors")


def script(root: Path, rng: random.Random) -> tuple[str, ...]:
    _either(root / "script.yaml", rng)
    return tuple(word.format(task="folders") for word in SEARCH)


def picture(root: Path, rng: random.Random) -> tuple[str, ...]:
    path = root / rng.choice(("folders/A/1.png", "table/A/1.jpg"))
    _bytes_of(path, rng)
    if rng.random() < 0.5:
        return ("predict", "prompt.yaml", str(path), "-m", "script.yaml")
    task = "folders" if "folders" in path.parts else "table"
    return tuple(word.format(task=task) for word in SEARCH)


def special_file(root: Path, rng: random.Random) -> tuple[str, ...]:
    """A FIFO, a device, a folder or a link in a circle in the place of a file."""
    name = rng.choice(("folders/A/1.png", "prompt.yaml", "folders/task.yaml", "script.yaml",
                       "table/metadata.csv", "template.jinja", "priors.json"))  # fmt: skip
    path = root / name
    path.unlink(missing_ok=True)
    kind = rng.choice(("fifo", "zero", "null", "folder", "circle", "empty"))
    if kind == "fifo":
        os.mkfifo(path)
    elif kind in ("zero", "null"):
        path.symlink_to(f"/dev/{kind}")
    elif kind == "folder":
        path.mkdir()
    elif kind == "circle":
        path.symlink_to(path.name)
    else:
        path.write_bytes(b"")
    choices = {
        "folders/A/1.png": ("predict", "prompt.yaml", "folders/A/1.png", "-m", "script.yaml"),
        "prompt.yaml": ("export", "prompt.yaml", "--to", "text"),
        "table/metadata.csv": tuple(word.format(task="table") for word in SEARCH),
        "template.jinja": (
            "predict", "prompt.yaml", "folders/A/0.png", "-m", "model.gguf", "--mmproj",
            "mmproj.gguf", "--chat-template", "template.jinja",
        ),
        "priors.json": ("priors", "list"),
    }  # fmt: skip
    return choices.get(name, tuple(word.format(task="folders") for word in SEARCH))


def model_file(root: Path, rng: random.Random) -> tuple[str, ...]:
    path = root / rng.choice(("model.gguf", "mmproj.gguf"))
    data = path.read_bytes()
    path.unlink()  # a link to the file that all cases share
    path.write_bytes(damaged(data[:8192], rng) + data[8192:])
    return ("predict", "prompt.yaml", "folders/A/0.png", "-m", "model.gguf", "--mmproj",
            "mmproj.gguf", "-q")  # fmt: skip


TEMPLATES = (
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ 'x' * 10**9 }}",
    "{% set a = 'x' * 10**6 %}{% for i in range(10**6) %}{{ a }}{% endfor %}",
    "{{ ''.__class__.__mro__ }}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ raise_exception('no') }}",
    "{{ messages[99].content }}",
    "",
    "{% for m in messages %}{{ m.content }}",
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
)


def template(root: Path, rng: random.Random) -> tuple[str, ...]:
    path = root / "template.jinja"
    if rng.random() < 0.3:
        path.write_text(rng.choice(TEMPLATES))
    else:
        _bytes_of(path, rng)
    return ("predict", "prompt.yaml", "folders/A/0.png", "-m", "model.gguf", "--mmproj",
            "mmproj.gguf", "--chat-template", "template.jinja", "-q")  # fmt: skip


FLAGS = ("--budget", "--seed", "--run-dir", "--metric", "--strategy", "--proposer", "--server",
         "--server-timeout", "--memory", "--threads", "--n-ctx", "-o", "--chat-template",
         "--mmproj")  # fmt: skip


def flag(root: Path, rng: random.Random) -> tuple[str, ...]:
    """A nasty value behind an option, or a nasty name for a file."""
    del root
    text = str(rng.choice(NASTY)).replace("\x00", "")
    text = text.encode("utf-8", "replace").decode()
    words = [word.format(task="folders") for word in rng.choice((SEARCH, EVAL))]
    return (*words, rng.choice(FLAGS), text)


TARGETS: dict[str, tuple[Damage, int]] = {
    "task settings": (task_settings, 14),
    "table": (table, 12),
    "JSON table": (json_table, 10),
    "artifact": (artifact, 14),
    "journal": (journal, 10),
    "priors": (priors, 6),
    "response cache": (answers, 4),
    "predictions": (outcomes, 3),
    "cache file": (cache_file, 2),
    "scripted model": (script, 6),
    "picture": (picture, 8),
    "special file": (special_file, 6),
    "option": (flag, 6),
    "model file": (model_file, 2),
    "chat template": (template, 2),
}
"""Target -> how it is damaged, and its weight in the campaign."""
