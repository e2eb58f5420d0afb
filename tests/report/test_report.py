"""`rnnexp report`, on kept and on handwritten run folders."""

import html
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from rnnexp.cli import main
from rnnexp.report.figures import Drawn, as_svg, inline
from rnnexp.report.page import MARK, rendered
from rnnexp.runs.comparison.leaderboard import find_runs
from rnnexp.runs.folder.digest import changed_files
from rnnexp.runs.folder.reading import read_run
from rnnexp.runs.folder.record import RunRecord
from tests.report.handwritten import composed, page_of, refusal, write_run
from tests.support import GOLDEN

Capture = pytest.CaptureFixture[str]
SCRIPT = "</script><script>alert(1)</script>"


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes half a second."""
    monkeypatch.setattr("rnnexp.report.run.drawn_again", lambda folder: Drawn())


@pytest.fixture
def golden(empty_folder: Path) -> Path:
    """A run of an earlier version."""
    return Path(shutil.copytree(GOLDEN / "earlier_forecasting", empty_folder / "run"))


# A run ----------------------------------------------------------------------------------------


def test_a_run_has_results_curves_and_figures(golden: Path) -> None:
    page = page_of(golden)
    assert len(page.encode()) < 500_000
    for part in ("this run", "naive", "loss", "<svg", "The whole config", "Versions", "completed"):
        assert part in page
    assert page.count('<figure class="drawn">') >= 2 and "Not drawn" not in page
    assert "http" not in page.replace("http-equiv", ""), "a page loads nothing"
    assert page_of(golden).partition("<footer>")[0] == page.partition("<footer>")[0], "repeatable"


@pytest.mark.usefixtures("without_figures")
def test_the_page_is_no_part_of_the_record(golden: Path, empty_folder: Path) -> None:
    files = sorted(golden.rglob("*"))
    page_of(golden)
    assert sorted(golden.rglob("*")) == sorted([*files, golden / "report.html"])
    assert changed_files(golden, read_run(golden)) == []
    assert [one.status for one in find_runs([empty_folder])] == ["completed"]
    written = write_run(empty_folder / "new", status="running")
    page_of(written)
    record = RunRecord(written, ["rnnexp"], read_run(written))
    record.waits = False
    record.completed()
    assert "history.csv" in read_run(written)["files"]
    assert "report.html" not in read_run(written)["files"], "it may be written again"


def test_results_stand_beside_baselines_with_units(empty_folder: Path) -> None:
    page = page_of(write_run(empty_folder / "run", {"smape": 0.5}))
    rows = re.findall(r"<tr.*?</tr>", page, re.DOTALL)
    [own] = [row for row in rows if "this run" in row]
    [naive] = [row for row in rows if "naive" in row]
    assert "best" in own and "0.5000" in own and "3.000" in naive and "best" not in naive
    assert 'smape <span class="unit">%</span>' in page and "naive: 3.000" in page


def test_settings_that_are_not_the_defaults(empty_folder: Path) -> None:
    config = composed()
    choices = {"data": "synthetic_load", "model": "pmgru", "experiment": "quickstart"}
    run = write_run(
        empty_folder / "run",
        {"optimizer.lr": 0.25},
        choices=choices,
        overrides=["optimizer.lr=0.25"],
    )
    page = page_of(run)
    row = re.search(r"<tr><th><code>optimizer.lr</code>.*?</tr>", page)
    assert row and "0.25" in row[0] and "0.01" in row[0] and "command line" in row[0]
    assert config.model.hidden_size == 64, "which the experiment sets"
    row = re.search(r"<tr><th><code>model.hidden_size</code>.*?</tr>", page)
    assert row and ">64<" in row[0] and ">128<" in row[0] and "experiment" in row[0]
    assert "<code>model.dropout</code>" not in page


def test_repairs_are_counted(empty_folder: Path) -> None:
    split = {"a": {"rows": 1000, "test_rows": 100}, "b": {"rows": 2000, "test_rows": 200}}
    run = write_run(
        empty_folder / "run", data="/data/load", split=split, defects={"a": {"gaps": 3}, "b": {}}
    )
    page = page_of(run)
    assert re.search(r"<th>a</th>.*?1,000", page)
    assert re.search(r"Found and repaired.*<th>a</th><td [^>]*>3<.*<th>b</th>.*>0<", page, re.S)
    assert "Nothing had to be repaired" not in page
    run = write_run(
        empty_folder / "clean", data="/data/load", split=split, defects={"a": {}, "b": {}}
    )
    assert "Nothing had to be repaired" in page_of(run)


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_a_run_without_a_result_says_why(status: str, empty_folder: Path) -> None:
    run = write_run(empty_folder / "run", status=status, error="the loss became nan")
    (run / "log.txt").write_text("first\n" * 50_000 + "the last line\n")
    page = page_of(run)
    assert f"The run {'failed' if status == 'failed' else 'was interrupted'}" in page
    assert "the loss became nan" in page and "the last line" in page and "no test results" in page
    assert len(page) < 60_000


def test_a_killed_run_says_how_to_go_on(empty_folder: Path) -> None:
    run = write_run(empty_folder / "my runs", status="interrupted")
    (run / "log.txt").write_text("2026-01-01 INFO rnnexp: started\n")
    page = html.unescape(page_of(run))
    assert re.search(r"Go on with it: <code>\S*rnnexp resume 'my runs'</code>", page)
    assert "End of log.txt" not in page, "one line says nothing"
    failed = write_run(empty_folder / "failed", status="failed")
    assert "Go on with it" not in page_of(failed)


@pytest.mark.usefixtures("without_figures")
def test_the_last_rerun_is_looked_for_beside_the_run(golden: Path) -> None:
    assert "No rerun was found" in page_of(golden)
    again = Path(shutil.copytree(golden, golden.with_name("again")))
    run = json.loads((again / "run.json").read_text())
    (again / "run.json").write_text(json.dumps(run | {"rerun_of": str(golden.resolve())}))
    page = page_of(golden)
    assert "✓ identical" in page and 'href="../again/report.html"' in page
    metrics = json.loads((again / "metrics.json").read_text())
    (again / "metrics.json").write_text(json.dumps(metrics | {"test/smape": 99.0}))
    assert "✗ different results in the same environment" in page_of(golden)
    assert "This run is a rerun of" in page_of(again)


def test_foreign_text_is_escaped_and_a_script_of_another_hash_does_not_run(
    empty_folder: Path,
) -> None:
    run = write_run(
        empty_folder / "run",
        {"name": SCRIPT, "monitor": SCRIPT},
        error="a\u202eb",
        status="failed",
        overrides=[f"name={SCRIPT}"],
        argv=["rnnexp", "train", SCRIPT],
        data=f"/{SCRIPT}",
        split={SCRIPT: {"rows": 1}},
        versions={"torch": "<b>"},
        spec={"title": SCRIPT[:900]},
        headline=[{"name": "smape", "unit": "<img src=x>", "lower_is_better": True}],
    )
    page = page_of(run)
    assert page.count("<script>") == page.count("</script>") == 1
    assert (
        "alert(1)" in page
        and "<script>alert" not in page
        and "<b>" not in page
        and "<img" not in page
    )
    assert "&lt;script&gt;alert(1)" in page and "a\\u202eb" in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy and html.unescape(policy[1]).startswith("default-src 'none'; script-src 'sha256-")


def test_templates_escape_by_themselves() -> None:
    assert "<script>alert" not in rendered(
        "many.html",
        kind=SCRIPT,
        title=SCRIPT,
        started=SCRIPT,
        folder=SCRIPT,
        commands={SCRIPT: SCRIPT},
        study=None,
        drawn=None,
        found={"rankings": [], "failures": [], "counts": [(SCRIPT, 1)], "seconds": SCRIPT},
    )


# Where it is written --------------------------------------------------------------------------


def test_nothing_else_is_overwritten(empty_folder: Path, capsys: Capture) -> None:
    run = write_run(empty_folder / "run")
    (run / "report.html").write_text("<p>my own")
    assert "is no page of rnnexp report, and is not overwritten" in refusal(capsys, run)
    assert (run / "report.html").read_text() == "<p>my own"
    assert "is no page" in refusal(capsys, run, "--output", run / "run.json")
    assert "there is no folder nowhere" in refusal(capsys, run, "--output", "nowhere/page.html")
    assert "it is a folder, name a file" in refusal(capsys, run, "--output", empty_folder)
    assert page_of(run, "--output", empty_folder / "page.html").count(MARK) == 1


def test_a_link_in_a_folder_of_a_stranger_leads_nowhere(
    empty_folder: Path, capsys: Capture
) -> None:
    run = write_run(empty_folder / "run")
    for target in (empty_folder / "precious.txt", empty_folder / "absent.txt"):
        if target.name == "precious.txt":
            target.write_text("precious")
        (run / "report.html").unlink(missing_ok=True)
        (run / "report.html").symlink_to(target)
        assert "is not overwritten" in refusal(capsys, run)
    assert (empty_folder / "precious.txt").read_text() == "precious"
    assert not (empty_folder / "absent.txt").exists()


def test_several_folders_are_one_page_in_the_current_one(
    empty_folder: Path, capsys: Capture
) -> None:
    for name in ("a", "b"):
        write_run(empty_folder / "runs" / name, {"seed": ord(name), "name": f"name_of_{name}"})
    page_of("runs/b")
    capsys.readouterr()
    assert main(["report", "runs/a", "runs/b"]) == 0
    assert capsys.readouterr().out == "the page     report.html\n"
    page = (empty_folder / "report.html").read_text()
    assert "<h1>name_of_a, name_of_b</h1>" in page
    assert 'href="runs/a/"' in page and 'href="runs/b/report.html"' in page, "its own page"
    assert main(["report", "runs/b", "runs/a"]) == 0
    assert "report.html (replaced an earlier page)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("run.json", "{", "run.json is damaged: it is not valid JSON"),
        ("run.json", "[]", "run.json is damaged: it is not a JSON object"),
        ("metrics.json", '{"a": "b"}', "metrics.json is damaged"),
        ("history.csv", "a\n1,2,3\n", "history.csv is damaged"),
    ],
)
def test_a_damaged_run_is_one_sentence(
    name: str, content: str, sentence: str, empty_folder: Path, capsys: Capture
) -> None:
    run = write_run(empty_folder / "run")
    (run / name).write_text(content)
    assert sentence in refusal(capsys, run)
    assert not (run / "report.html").exists()


def test_a_folder_without_runs_is_one_sentence(empty_folder: Path, capsys: Capture) -> None:
    (empty_folder / "nothing").mkdir()
    assert "there is no run in nothing" in refusal(capsys, "nothing")
    assert "there is no folder absent" in refusal(capsys, "absent")
    (empty_folder / "file").touch()
    assert "file is a file: give the folder" in refusal(capsys, "file")


def test_figures_that_cannot_be_drawn_are_named() -> None:
    good, odd, long = (Figure(figsize=(4, 3)) for _ in range(3))
    for figure in (good, odd, long):
        figure.subplots().plot([1, 2], [3, 4], label="a")
    long.axes[0].set_title("x" * 5000)
    odd.axes[0].set_title("$\\nonsense$")
    drawn = inline({"good": good, "odd": odd, "long": long})
    assert list(drawn.images) == ["good"]
    assert [one.partition(":")[0] for one in drawn.wrong] == ["odd", "long"]


def test_the_same_figure_has_the_same_characters_and_ids_of_its_own() -> None:
    def figure() -> Figure:
        found = Figure(figsize=(4, 3))
        found.subplots().plot(np.arange(5000), np.sin(np.arange(5000)), "o")
        return found

    one, again, other = as_svg(figure(), "a"), as_svg(figure(), "a"), as_svg(figure(), "b/c d")
    assert one.startswith('<svg role="img" style="--width: 288" viewBox="0 0 288 216">')
    assert one == again and len(one) < 120_000 and "<image" in one, "many points are an image"

    def ids(svg: str) -> set[str]:
        return set(re.findall(r'\bid="([^"]*)"', svg))

    assert ids(one) and not ids(one) & ids(other)
    assert all(one.startswith("b_c_d-") for one in ids(other))
    used = set(re.findall(r'(?:href="|url\()#([^")]*)', one))
    assert used and used <= ids(one)
