"""The journal: whole lines, torn lines, foreign journals."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from idealprompt_cli.core.errors import JournalError, StorageError
from idealprompt_cli.core.events import ConfusionChosen, EditJudged
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import Trial
from idealprompt_cli.storage.journal import FILE_NAME, Journal, model_of, read_records
from idealprompt_cli.storage.records import (
    KINDS,
    EditRecord,
    Header,
    Record,
    ReviewRecord,
    ScoreAnswer,
    Setting,
    TextAnswer,
    TrialRecord,
    from_line,
    to_line,
)

HEADER = Header(task="t", model="m", seed="0")


def trial(number: int) -> Trial:
    return Trial(number, None, "seed", Prompt("q"), "complete", None)


def started(folder: Path) -> Path:
    journal = Journal.create(folder, HEADER)
    journal.append([ScoreAnswer("a", {"x": -0.5}), TextAnswer("b", "said")])
    journal.append_trial(trial(0))
    journal.close()
    return folder / FILE_NAME


def test_records_come_back(tmp_path: Path) -> None:
    started(tmp_path)
    with Journal.resume(tmp_path, HEADER) as journal:
        assert journal.records(ScoreAnswer) == [ScoreAnswer("a", {"x": -0.5})]
        assert journal.trials()[0].prompt == Prompt("q")
        journal.append_trial(trial(0))
        journal.append_trial(trial(1))
    with Journal.resume(tmp_path, HEADER) as journal:
        assert [t.id for t in journal.trials()] == [0, 1]


def test_a_torn_last_line_is_dropped_and_overwritten(tmp_path: Path) -> None:
    path = started(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "score", "key": "to')
    with Journal.resume(tmp_path, HEADER) as journal:
        journal.append([TextAnswer("c", "said")])
    lines = path.read_bytes()[len(whole) :].splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["c"]


@pytest.mark.parametrize(
    "line",
    [
        '{"kind": "text", "key": "a", "text": "b", "seconds": NaN}',
        "rubbish",
        "",
        '{"a": 1}',
        "[" * 5000,
        '{"kind": "sc{"kind"',
    ],
)
def test_lines_that_are_no_records_are_left_out_with_a_notice(tmp_path: Path, line: str) -> None:
    path = started(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], line, *lines[1:]]) + "\n")
    said: list[str] = []
    with Journal.resume(tmp_path, HEADER, said.append) as journal:
        assert journal.records(ScoreAnswer) == [ScoreAnswer("a", {"x": -0.5})]
        journal.append([TextAnswer("c", "said")])
    assert [f"{path}:2: not a record" in text for text in said] == [True]
    assert len(read_records(tmp_path)) == 5


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"kind": "score", "key": 1, "scores": {}}', "'key' of the score record"),
        ('{"kind": "score", "key": "a", "scores": {"x": "y"}}', r"'scores\.x' of the score record"),
        (
            '{"kind": "text", "key": "a", "text": "b", "seconds": -1}',
            "'seconds' of the text record",
        ),
        ('{"kind": "text", "key": "a", "text": "b", "seconds": 1e308}', "'seconds' of the text"),
        (
            '{"kind": "text", "key": "a", "text": "b", "tokens": %s}' % ("9" * 400),
            "'tokens' of the text record is 99999",
        ),
        ('{"kind": "text", "text": "b"}', "'key' of the text record: .*missing"),
        ('{"kind": "trial", "id": 0, "prompt": {"wrong": 1}}', "'prompt' of the trial record"),
        ('{"kind": "edit", "key": "k", "edit": null}', "'edit' of the edit record"),
    ],
)
def test_wrong_fields_are_one_line_with_the_place(tmp_path: Path, line: str, what: str) -> None:
    path = started(tmp_path)
    with path.open("a") as file:
        file.write(line + "\n")
    for read in (lambda: Journal.resume(tmp_path, HEADER), lambda: read_records(tmp_path)):
        with pytest.raises(JournalError, match=rf"journal\.jsonl:5: {what}.*delete this") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_one_run_has_one_writer(tmp_path: Path) -> None:
    with Journal.create(tmp_path, HEADER), pytest.raises(JournalError, match="another process"):
        Journal.resume(tmp_path, HEADER)
    with Journal.resume(tmp_path, HEADER) as journal:
        journal.append_trial(trial(0))
        with pytest.raises(JournalError, match="another process is working on this run"):
            Journal.resume(tmp_path, HEADER)
    assert len(read_records(tmp_path)) == 2


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "from idealprompt_cli.storage.journal import Journal\n"
        "from idealprompt_cli.storage.records import Header\n"
        "journal = Journal.create(Path(sys.argv[1]), Header(task='t', model='m', seed='0'))\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert done.returncode == -9
    with Journal.resume(tmp_path, HEADER) as journal:
        assert journal.records(Header) == [HEADER]


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    with Journal.create(tmp_path / "run", HEADER) as journal:
        journal.append([TextAnswer("a", "said")])
        assert journal.path is not None
        size = journal.path.stat().st_size
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, before[1]))
        try:
            with pytest.raises(StorageError, match=r"cannot be written .*make room"):
                journal.append([TextAnswer("b", "said " * 100)])
            assert journal.records(TextAnswer) == [TextAnswer("a", "said")]
            assert journal.path.stat().st_size == size
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        journal.append([TextAnswer("c", "said")])
    assert [one.key for one in read_records(tmp_path / "run") if isinstance(one, TextAnswer)] == [
        "a",
        "c",
    ]


def test_only_this_user_can_read_a_run(tmp_path: Path) -> None:
    Journal.create(tmp_path / "runs" / "run", HEADER).close()
    assert stat.S_IMODE((tmp_path / "runs" / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "runs" / "run" / FILE_NAME).stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / FILE_NAME
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(JournalError, match=r"cannot be read \(is a"):
        Journal.resume(tmp_path, HEADER)


@pytest.mark.parametrize("key", ["task", "model", "seed", "prompt"])
def test_a_journal_of_another_run_is_refused(tmp_path: Path, key: str) -> None:
    started(tmp_path)
    with pytest.raises(JournalError, match=f"of another {key}"):
        Journal.resume(tmp_path, Header(**{**asdict(HEADER), key: "other"}))


def test_other_weights_of_the_same_model_are_named(tmp_path: Path) -> None:
    Journal.create(tmp_path / "run", replace(HEADER, model="m bf16 (text)")).close()
    assert model_of(tmp_path / "run") == ("m", "bf16 (text)")
    expected = r"computed with weights 'bf16 \(text\)', now 'file'; leave --weights out"
    with pytest.raises(JournalError, match=expected):
        Journal.resume(tmp_path / "run", replace(HEADER, model="m"))
    with pytest.raises(JournalError, match="of another model"):
        Journal.resume(tmp_path / "run", replace(HEADER, model="n"))


def test_the_model_of_a_journal(tmp_path: Path) -> None:
    assert model_of(tmp_path) == ("", "")
    started(tmp_path)
    assert model_of(tmp_path) == (HEADER.model, "file")


def test_a_share_of_another_seed_is_refused_for_its_seed(tmp_path: Path) -> None:
    started(tmp_path)
    with pytest.raises(JournalError, match="of another seed"):
        Journal.resume(tmp_path, Header(**{**asdict(HEADER), "task": "share", "seed": "1"}))
    with pytest.raises(JournalError, match=r"other examples .* leave --train and --test out, or"):
        Journal.resume(tmp_path, Header(**{**asdict(HEADER), "task": "share"}))


def test_a_folder_in_use_and_a_folder_without_journal(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="no journal to resume"):
        Journal.resume(tmp_path, HEADER)
    started(tmp_path)
    with pytest.raises(JournalError, match="--resume"):
        Journal.create(tmp_path, HEADER)


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"kind": "setting", "name": "a", "value": "b"}\n')
    with pytest.raises(JournalError, match="header is missing"):
        Journal.resume(tmp_path, HEADER)


def test_memory_keeps_and_writes_nothing() -> None:
    journal = Journal.memory()
    journal.append_trial(trial(0))
    assert journal.path is None
    assert len(journal.trials()) == 1
    journal.close()


@pytest.mark.parametrize("torn", ["", '{"kind', '{"kind": "header", "version": 2, "ta'])
def test_a_run_that_broke_in_its_first_line_begins_anew(tmp_path: Path, torn: str) -> None:
    (tmp_path / FILE_NAME).write_text(torn)
    with Journal.resume(tmp_path, HEADER) as journal:
        journal.append_trial(trial(0))
    with Journal.resume(tmp_path, HEADER) as journal:
        assert len(journal.trials()) == 1


def test_a_run_goes_on_as_it_began(tmp_path: Path) -> None:
    with Journal.create(tmp_path, HEADER) as journal:
        journal.agree("proposer", "none", "use the same --proposer")
    with Journal.resume(tmp_path, HEADER) as journal:
        journal.agree("proposer", "none", "use the same --proposer")
        with pytest.raises(JournalError, match="with proposer none, now same; use the sam"):
            journal.agree("proposer", "same", "use the same --proposer")


def test_trials_of_another_way_are_superseded(tmp_path: Path) -> None:
    with Journal.create(tmp_path, HEADER) as journal:
        for number in range(3):
            journal.append_trial(trial(number))
    with Journal.resume(tmp_path, HEADER) as journal:
        journal.append_trial(trial(0))
        journal.append_trial(replace(trial(1), note="another"))
        assert [(t.id, t.note) for t in journal.trials()] == [(0, ""), (1, "another")]
        journal.append_trial(trial(2))
    with Journal.resume(tmp_path, HEADER) as journal:
        assert [t.id for t in journal.trials()] == [0, 1, 2]
        assert len(journal.records(TrialRecord)) == 5


def test_a_journal_of_an_older_version_is_refused_in_one_line(tmp_path: Path) -> None:
    old = '{"kind": "header", "version": 1, "task": "t"}\n{"kind": "learnt", "lessons": 3}\n'
    (tmp_path / FILE_NAME).write_text(old)
    with pytest.raises(JournalError, match=r"journal\.jsonl:1: journal version 1, .* 2; start"):
        Journal.resume(tmp_path, HEADER)
    with pytest.raises(JournalError, match=r"journal\.jsonl:1: journal version 1, .* 2; start"):
        read_records(tmp_path)


JUDGED = EditJudged("cue", "passed", "w", "A|B", ("e1",), 8, None, 0.1, 0.03, 0.05, ("e1",), ())
EXAMPLES: tuple[Record, ...] = (
    ScoreAnswer("k", {"a b": -1e-17}, 3, 0.125, cached=True),
    TextAnswer("k", "two\nlines \u2028 é", "length"),
    Setting("policy", "Puct"),
    TrialRecord(0, None, "seed", "complete", "", Prompt("q", cues=("c",)), 7, 0.5, n=4),
    ConfusionChosen("A|B", 0.5, ()),
    EditRecord("key", JUDGED),
    ReviewRecord("f", None),
    ReviewRecord("f", Prompt("q")),
)


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    assert type(record) in KINDS.values()
    line = to_line(record)
    assert "\n" not in line
    assert from_line(line.encode()) == record


@pytest.mark.parametrize("table", [[1], {"seed": [1]}, {"seed": {"reask": [1, 2, 3, 4]}}])
def test_priors_of_a_run_have_their_form(table: object) -> None:
    line = json.dumps({"kind": "priors used", "table": table}).encode()
    with pytest.raises(ValueError, match=r"'table.* of the priors used record"):
        from_line(line)
