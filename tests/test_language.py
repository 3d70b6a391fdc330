"""Names and texts use the words of the field and plain modern English.

`python -m tests.test_language [PATH...]` lists what is left in files or folders.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CHECKED = (
    "README.md", "CHANGELOG.md", "docs", "idealprompt_cli", "benchmarks", "training", "tests",
    "sample_tasks",
)  # fmt: skip
# Here string literals are data: questions for a model, labels. Only comments and docstrings count.
DATA = (
    "benchmarks/tasks.py",
    "benchmarks/engine/workload.py",
    "training/language/",
    "training/measure.py",
    "idealprompt_cli/fitting/questions.py",
    "idealprompt_cli/strategies/cues.py",
    "tests/",
)

# Retired name -> the field's word. Only names that we define are checked, so `os.walk` and
# `dict.keys` pass. The first table holds names of modules, the second words inside any name.
MODULES = {
    "arena": "context_pool",
    "batch": "batching",
    "bias": "calibration",
    "both": "alternating",
    "dealing": "slot_assignment",
    "drafts": "speculative",
    "evening": "calibration",
    "fast": "backend",
    "forms": "answer_schema",
    "guard": "validation",
    "heads": "prefix_cache",
    "inbox": "image_inputs",
    "keys": "request_keys",
    "lanes": "connection_pool",
    "ledger": "metered_engine",
    "outcomes": "predictions",
    "pieces": "batch_decode",
    "plain": "reference",
    "portions": "chunks",
    "proof": "self_check",
    "residents": "slot_table",
    "versus": "compare",
    "walk": "tree_search",
    "wording": "text_contrast",
    "worth": "edit_priors",
}
WORDS = {
    "arena": "context pool",
    "dealt": "assigned",
    "evened": "calibrated",
    "evening": "calibration",
    "inbox": "image inputs",
    "lanes": "connection pool",
    "ledger": "metered engine",
    "mend": "fix",
    "portion": "chunk",
    "portions": "chunks",
    "residents": "slot table",
    "rival": "other prompt",
    "rivals": "other prompts",
    "telling": "distinctive",
    "told": "reported",
    "versus": "compare",
    "walk": "tree search",
    "wants": "needs",
    "wording": "text",
    "worth": "value",
}

# Words and phrases of the private dialect, in what people read: messages, help, docs, comments.
PHRASES = (
    r"afresh", r"anew", r"arena", r"bears?", r"borne", r"broken run", r"by turns", r"dear",
    r"evened", r"go(es|ing)? on", r"went on", r"hurried", r"ledger", r"mend(s|ed|ing)?",
    r"of itself", r"one's own", r"portions?", r"reckon(s|ed|ing)?", r"residents", r"rivals?",
    r"says? of", r"stands?(?! for|-in|-alone|alone)", r"surest", r"taken for",
    r"tell(s|ing)?(?! (\w+ ){1,3}apart)", r"told", r"till", r"versus", r"walks?", r"want(s|ed)?",
)  # fmt: skip
PROSE = re.compile(rf"(?<![\w.`'-])({'|'.join(PHRASES)})(?![\w(`'-])", re.IGNORECASE)


def words_of(name: str) -> list[str]:
    """`MeteredEngine` and `metered_engine` -> metered, engine."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


def defined(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that a module defines: functions, classes, parameters and variables."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def texts(source: str, literals: bool) -> Iterator[tuple[int, str]]:
    """Docstrings, comments and, if asked for, other string literals, with their lines."""
    for node in ast.walk(ast.parse(source)):
        alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        text = node.value if isinstance(node, ast.Expr) and alone else node
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and (alone or literals):
            yield text.lineno, text.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def prose(start: int, text: str) -> Iterator[tuple[int, str]]:
    for hit in PROSE.finditer(" ".join(text.split(" "))):
        yield start + text.count("\n", 0, hit.start()), hit[0]


def findings(path: Path) -> list[str]:
    """`file:line: word` for everything in a file that should be put differently."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    if path.suffix != ".py":
        return [f"{name}:{line}: {word!r}" for line, word in prose(1, text)]
    found = []
    if path.stem in MODULES:
        found.append(f"{name}:1: module {path.stem}: {MODULES[path.stem]}")
    for line, own in defined(ast.parse(text)):
        retired = WORDS.keys() & set(words_of(own))
        found += [f"{name}:{line}: name {own}: {word} -> {WORDS[word]}" for word in retired]
    literals = not str(name).startswith(DATA)
    for start, literal in texts(text, literals):
        found += [f"{name}:{line}: {word!r}" for line, word in prose(start, literal)]
    return sorted(set(found))


def files(*places: str | Path) -> list[Path]:
    """Python files and written pages in files or folders."""
    found = []
    for place in (ROOT / one for one in places):
        every = [place] if place.is_file() else sorted(place.rglob("*"))
        found += [one for one in every if one.suffix in (".py", ".md", ".j2")]
    return [path for path in found if path != Path(__file__)]


@pytest.mark.parametrize(
    "path",
    files(*CHECKED),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_words(path: Path) -> None:
    assert not findings(path)


@pytest.mark.parametrize("path", files("README.md", "docs"), ids=lambda path: path.name)
def test_an_image_is_called_an_image(path: Path) -> None:
    """The glossary's word, in all that users read; help texts are in docs/commands.md."""
    assert not re.findall(r"(?i).*(?<!--send-)\bpictures?\b.*", path.read_text(encoding="utf-8"))


def test_retired_words_are_found(tmp_path: Path) -> None:
    source = tmp_path / "ledger.py"
    source.write_text(
        'def told(portions):\n    """Goes on."""\n    wording = 1  # mend\n'
        'for keys in os.walk(x):\n    keys.keys()\nraise E(f"{x} wants {y}")\n'
    )
    found = [one.split(":", 1)[1] for one in findings(source)]
    assert found == [
        "1: module ledger: metered_engine",
        "1: name portions: portions -> chunks",
        "1: name told: told -> reported",
        "2: 'Goes on'",
        "3: 'mend'",
        "3: name wording: wording -> text",
        "6: 'wants'",
    ]


def test_other_uses_pass(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Words stand for labels; `os.walk` walks_on; a stand-in; attention heads.\n")
    assert findings(page) == []


if __name__ == "__main__":
    for line in (line for path in files(*sys.argv[1:]) for line in findings(path)):
        print(line)
