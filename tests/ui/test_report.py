"""The report of a run: everything is on the page, and nothing on it leads outside."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from idealprompt_cli.artifact import from_run, schema_data
from idealprompt_cli.core.answer_schema import PLAIN, AnswerSchema, Field
from idealprompt_cli.core.edits import Change, EditReport
from idealprompt_cli.core.prompt import Prompt
from idealprompt_cli.core.results import Outcome
from idealprompt_cli.storage.predictions import Kept, Which
from idealprompt_cli.ui.report import Node, Report, data, drawings, html, text, without_examples
from idealprompt_cli.ui.report.comparison import changes
from idealprompt_cli.ui.report.gather import gather
from idealprompt_cli.ui.report.reflection_work import Judged, Looked, Worked
from idealprompt_cli.ui.report.svg import interval_svg, tree_svg
from idealprompt_cli.ui.report.tree import LONGEST, Spot, cut, lay_out, shortened

from ..conftest import SCRIPT, call
from ..support.factories import run_result

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "img", "br", "path", "circle", "rect", "link"}


class Balanced(HTMLParser):
    """Fails on a tag that is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def run(folder: Path) -> Path:
    """A finished run with wrong answers left."""
    words = ("search", folder, "-m", SCRIPT, "-q", "--run-dir", "run", "--budget", "150")
    assert call(*words, "--strategy", "role", "--strategy", "cues").exit_code == 0
    return folder.parent / "run"


def nodes(count: int) -> tuple[Node, ...]:
    made = [Node(0, None, "seed", "complete", "", 0.5, 6, 6, Prompt("Which code?"))]
    for number in range(1, count):
        state = "complete" if number % 3 else "pruned"
        parent = 0 if number < 20 else 4
        made.append(
            Node(number, parent, f"s{number % 4}", state, "a <note>", 0.1 + number % 9 / 10, 6,
                 6 * number, Prompt(f"p{number}"))
        )  # fmt: skip
    return tuple(made)


def test_the_page_of_a_run(run: Path) -> None:
    result = call("report", run, "-o", "report.html")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "Written to report.html\n"
    page = Path("report.html").read_text()
    parser = Balanced()
    parser.feed(page)
    assert not parser.open
    assert not parser.seen & {"script", "link", "iframe", "form"}
    for part in ("Before and after", "The prompt", "Everything that was tried", "Score against",
                 "Confusion matrix", "Remaining errors", "Cost"):  # fmt: skip
        assert part in page
    assert page.count('<img src="data:image/jpeg;base64,') >= 4
    outside = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^">)]+)', page)
    assert all(url.startswith("data:") for url in outside)
    assert "http://" not in page
    assert "https://" not in page


def test_what_reflection_looked_at(folder: Path) -> None:
    words = ("search", folder, "-m", SCRIPT, "-q", "--run-dir", "run", "--reflect")
    assert call(*words, "--strategy", "role").exit_code == 0
    printed = call("report", "run", "--text").stdout
    part = printed.split("Reflection looked at (the most consequential first):")[1]
    assert re.search(r"\w predicted as \w: +\d+ % of the loss", part)
    assert re.search(r"(?:wrong|barely right): \w 0\.\d\d against \w", part)
    assert "kept: " in part
    assert call("report", "run", "-o", "r.html").exit_code == 0
    parser = Balanced()
    parser.feed(page := Path("r.html").read_text())
    assert not parser.open
    assert "What reflection looked at" in page
    assert "against" in page
    assert "; a confusion with" not in page, "said once, at the confusion"
    narrow = text(gather("run"), 44).splitlines()
    assert max(len(line) for line in narrow) <= 44


def test_without_images(run: Path) -> None:
    assert call("report", run, "-o", "r.html", "--no-images", "-q").exit_code == 0
    page = Path("r.html").read_text()
    assert "data:image" not in page
    assert str(run.parent) not in page, "paths stay at home"


def test_pictures_that_are_gone(run: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    assert call("report", run, "-o", "r.html").exit_code == 0
    assert "data:image" not in Path("r.html").read_text()


def test_text(run: Path) -> None:
    result = call("report", run, "--text")
    assert result.exit_code == 0, result.stderr
    for part in ("seed prompt", "Tried:", "Most confident wrong answers:", "Cost: "):
        assert part in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100
    assert "\x1b" not in result.stdout


def test_text_in_a_narrow_terminal(run: Path) -> None:
    shown = text(gather(str(run)), 44).splitlines()
    assert max(map(len, shown)) <= 44
    assert "    selection  50.0 % [25, 75] n 12" in shown


def test_an_artifact_alone(prompt: Path) -> None:
    result = call("report", prompt, "-o", "r.html")
    assert "Note: this is the artifact alone" in result.stderr
    assert "make the report from the run" in Path("r.html").read_text()
    assert "Cost" in call("report", "-", "--text", stdin=prompt.read_text()).stdout


def test_the_last_run_is_taken_where_none_is_named(folder: Path) -> None:
    none = call("report", "--text")
    assert none.exit_code == 1
    assert none.stderr == "error: runs: holds no finished run: name a run's folder or an artifact\n"
    last = call("search", folder, "-m", SCRIPT, "--strategy", "role").stderr.splitlines()[-1]
    (made,) = Path("runs").iterdir()
    assert last == f"Details of the run: idealprompt report {made} --text, or -o report.html"
    Path("runs/broken").mkdir()
    result = call("report", "--text")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == f"The run in {made}.\n"


def test_errors(run: Path, tmp_path: Path) -> None:
    empty = call("report", tmp_path, "--text")
    assert "holds no prompt.yaml: not the folder of a run" in empty.stderr
    assert call("report", run).exit_code == 2
    (run / "prompt.yaml").unlink()
    assert "the run did not end" in call("report", run, "--text").stderr
    (run / "outcomes.jsonl").write_text("{}\n")


def test_text_of_others_is_not_markup() -> None:
    artifact = replace(from_run(run_result()), verdict="<script>alert(1)</script>")
    report = Report(artifact, "run", nodes(8))
    assert "<script" not in html(report)
    assert "a &lt;note&gt;" in html(report)
    assert "<script>" in text(report)


def test_the_trail_of_reflection() -> None:
    artifact = from_run(run_result())
    edit = EditReport((Change("cues", "", "Look."),), "to tell A from B", fixed=("a", "b"))
    trail = (*artifact.trail[:-1], replace(artifact.trail[-1], edit=edit))
    prompt = artifact.prompt.with_(calibration=(("K7", 0.5), ("yes", -0.25)))
    page = html(Report(replace(artifact, trail=trail, prompt=prompt), "run"))
    assert "to tell A from B Fixed 2, broke 0 examples" in page
    assert "K7 +0.50, yes -0.25." in page


def test_large_trees_stay_readable() -> None:
    many = nodes(400)
    spots = lay_out(many, (0, 4, 25))
    assert len(spots) < 30
    rows = [spot.row for spot in spots]
    assert max(rows) < 20
    shown = {spot.node.id for spot in spots if spot.node}
    assert {0, 4, 25} <= shown
    assert any("pruned" in spot.label for spot in spots)
    assert any(spot.label.startswith("+ ") for spot in spots)
    assert lay_out((), ()) == []


def test_labels_are_cut_where_another_stands_to_their_right_and_behind_a_word() -> None:
    long = "14 pruned: " + ", ".join(f"reflect edit-{number}" for number in range(9))
    inner, last = (Spot(0, 0, None, long, "", "pruned", last=last) for last in (False, True))
    assert len(shortened(inner)) <= LONGEST < len(shortened(last))
    assert cut("6 pruned: reflect calibration-mean, reflect it", 38) == (
        "6 pruned: reflect calibration-mean …"
    )
    assert cut("short", 5) == "short"
    assert len(cut("x" * 40, 20)) <= 20
    many = tuple(replace(node, strategy=f"a_long_strategy_{node.id}") for node in nodes(40))
    drawn = tree_svg(many, (0, 4))
    width = int(re.search(r'width="(\d+)"', drawn)[1])  # type: ignore[index]
    places = re.findall(r'<text x="([\d.]+)"[^>]*>([^<]*)', drawn)
    assert all(float(x) + 6.3 * len(words) <= width for x, words in places), "inside the image"


def test_changes_put_together_are_both_texts() -> None:
    before, after = "Which code is it?", "Look at it. Which pattern is it, striped?"
    found = changes(before, after)
    assert "".join(piece for kind, piece in found if kind != "new") == before
    assert "".join(piece for kind, piece in found if kind != "gone") == after


@pytest.mark.skipif(CHROMIUM is None, reason="no browser here")
def test_in_a_browser(run: Path, tmp_path: Path) -> None:
    assert call("report", run, "-o", "report.html", "-q").exit_code == 0
    assert CHROMIUM is not None
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
    shot = tmp_path / "report.png"
    found = subprocess.run(
        [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}",
         "--window-size=1100,2400", (Path.cwd() / "report.html").as_uri()],
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    assert shot.is_file(), found.stderr.decode()[-300:]
    with Image.open(shot) as picture:
        colours = {c: n for n, c in picture.convert("RGB").getcolors(1 << 24) or []}
    assert colours.get((11, 110, 79), 0) > 200, "the winner's colour is on the page"
    assert colours.get((29, 39, 48), 0) > 200, "and so is text"
    dumped = subprocess.run(
        [CHROMIUM, *flags, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
         (Path.cwd() / "report.html").as_uri()],
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    page = dumped.stdout.decode()
    assert page.count("<h2>") == Path("report.html").read_text().count("<h2>"), "read as written"


def test_drawings(run: Path) -> None:
    pytest.importorskip("resvg_py")
    result = call("report", run, "--png", "pictures")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "Written to pictures/tree.png\nWritten to pictures/curve.png\n"
    for name in ("tree", "curve"):
        with Image.open(f"pictures/{name}.png") as picture:
            assert picture.size[0] > 500
            colours = picture.convert("RGB").getcolors(1 << 24) or []
        assert (11, 110, 79) in {colour for _, colour in colours}, "the winner's way is green"
    other = call("report", run, "--png", "pictures", "-o", "r.html", "-q")
    assert other.stderr == ""
    assert Path("r.html").is_file()
    shutil.copy(run / "prompt.yaml", "alone.yaml")
    alone = call("report", "alone.yaml", "--png", "other")
    assert alone.exit_code == 1
    assert "has no tree to draw, it is the artifact alone" in alone.stderr
    into = call("report", run, "--png", "r.html")
    assert into.stderr == "error: r.html: is a file: name a folder for the drawings\n"


def test_png_without_the_extra_is_one_line(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    result = call("report", run, "--png", "pictures")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: --png needs a package that is not installed: pip install 'idealprompt[png]'\n"
    )
    assert not Path("pictures").exists()


def test_drawings_of_a_large_run_and_of_none() -> None:
    pytest.importorskip("resvg_py")
    artifact = replace(from_run(run_result()), prompt=Prompt("p25"))
    made = drawings(Report(artifact, "run", nodes(400)))
    with Image.open(io.BytesIO(made["tree.png"])) as picture:
        assert picture.size[0] * picture.size[1] <= 60_000_000
    assert drawings(Report(artifact, "run")) == {}


def test_the_parts_of_an_answer() -> None:
    schema = AnswerSchema(fields=(Field("a"), Field("n", "number")))
    artifact = from_run(run_result())
    task = replace(artifact.task, answer="json", **schema_data(schema))
    artifact = replace(artifact, labels=(), task=task)
    right, wrong = '{"a": "x", "n": 1}', '{"a": "x", "n": 2}'
    both: tuple[tuple[Which, str, float], ...] = (("baseline", wrong, 0.5), ("winner", right, 1.0))
    kept = tuple(
        Kept("test", which, Outcome("1.png", right, said, score), ()) for which, said, score in both
    )
    report = Report(artifact, "run", nodes(3), kept)
    page = html(report)
    assert "Part by part" in page
    assert "<td>n</td><td>0.0 %</td><td><strong>100.0 %</strong></td>" in page
    assert "  n       0.0 % 100.0 %" in text(report)
    none = Report(replace(artifact, task=replace(task, **schema_data(PLAIN))), "run", (), kept)
    assert "Part by part" not in html(none)


def test_why_a_run_stopped_is_said_in_words() -> None:
    report = Report(from_run(run_result()), "run", nodes(3))
    for shown in (html(report), text(report)):
        assert "stopped because the evaluation budget was spent." in " ".join(shown.split())


def test_how_many_wrong_answers_there_are_is_said() -> None:
    wrong = [Kept("test", "winner", Outcome(f"{n}.png", "K7", "M2", 0.0), ()) for n in range(13)]
    for count, page, lines in (
        (1, "One wrong answer.", "Most confident wrong answers:"),
        (8, "All 8 wrong answers, the most confident first.", "Most confident wrong answers:"),
        (
            13,
            "12 of 13 wrong answers, the most confident",
            "Most confident wrong answers (8 of 13):",
        ),
    ):
        report = Report(from_run(run_result()), "run", nodes(3), tuple(wrong[:count]))
        assert page in html(report)
        assert lines in text(report)


def test_a_full_score_is_drawn_inside_its_picture() -> None:
    for value in (0.0, 1.0):
        picture = interval_svg(value, value, value, strong=True)
        middle, radius = (float(found) for found in re.findall(r'c?[xr]="([\d.]+)"', picture)[:2])
        assert radius <= middle <= 260 - radius


SECRETS = ("jane-doe", "scarlet fever", "tumour")


@pytest.mark.parametrize("labels", [("K7", "yes"), ()])
def test_a_report_to_share_names_no_example(labels: tuple[str, ...]) -> None:
    """Planted names and texts of single examples are in the full report and not in the other."""
    artifact = from_run(run_result())
    edit = EditReport((Change("role", "", "A clerk."),), "jane-doe.png has scarlet fever", "",
                      ("jane-doe.png",), ("jane-doe.png",))  # fmt: skip
    steps = (*artifact.trail[:-1], replace(artifact.trail[-1], note="of jane-doe", edit=edit))
    artifact = replace(artifact, labels=labels, trail=steps)
    said = Outcome("jane-doe.png", labels[0] if labels else "scarlet fever", "tumour", 0.0,
                   reply="tumour", reasoning="scarlet fever, a tumour")  # fmt: skip
    work = (
        Worked("K7 for yes", 0.5, (Looked("jane-doe.png", 0.5, "scarlet fever"),),
               (Judged("rule", "accepted", "tumour", 0.01),)),
    )  # fmt: skip
    kept = (Kept("test", "winner", said, (Path("/home/jane-doe/x.png"),)),)
    report = Report(artifact, "/home/jane-doe/run", nodes(3), kept, work)
    shared = without_examples(report)
    for show in (html, text, lambda one: json.dumps(data(one))):
        assert all(secret in show(report) for secret in SECRETS[:2])
        page = show(shared).replace("tumour", "") if labels else show(shared)
        assert not [secret for secret in SECRETS if secret in page]
    assert "example 1" in text(shared)


def test_report_as_json(run: Path) -> None:
    found = json.loads(call("report", run, "--json", "-q").stdout)
    assert found["part"] == "test"
    assert found["trials"][0]["id"] == 0
    assert found["wrong"]
    hidden = json.loads(call("report", run, "--json", "--no-images", "-q").stdout)
    assert {one["id"] for one in found["wrong"]}.isdisjoint({one["id"] for one in hidden["wrong"]})
    assert call("report", run, "--json", "--text").exit_code == 2
