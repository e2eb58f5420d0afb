"""Files where folders are expected, and places that cannot be written to: one sentence each."""

import os
from pathlib import Path
from typing import Any

import pytest

from rnnexp.cli import main
from rnnexp.runs.folder.digest import changed_files
from rnnexp.runs.folder.reading import read_run
from tests.support.refusals import refused
from tests.support.shrink import SYNTHETIC_LOAD, TINY

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, `run`, and a file, `file.csv`."""
    place = tmp_path_factory.mktemp("output")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        small = ["data=synthetic_load", *SYNTHETIC_LOAD, *TINY, "task.lightgbm=false"]
        assert main(["train", *small, "hydra.run.dir=run"]) == 0
    (place / "file.csv").write_text("a,b\n")
    return place


@pytest.fixture(autouse=True)
def inside(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)


FILE = "file.csv is a file"
PREDICT = ["predict", "run", "--csv", "a.csv", "--output"]
TRACE = ["trace", "run", "--csv", "a.csv", "--output"]
SCHEMA = ["config", "schema", "--output"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["figures", "run", "--output", "file.csv"], f"--output file.csv: {FILE}, choose another"),
        (["figures", "run", "--output", "file.csv/a"], f"--output file.csv/a: {FILE}, choose"),
        (["backtest", "run", "--output", "file.csv"], f"--output file.csv: {FILE}, choose another"),
        (["data", "convert", "synthetic_reviews", "file.csv"], f"file.csv: {FILE}, choose another"),
        ([*PREDICT, "file.csv/a.csv"], f"{FILE}, not a folder, choose another file"),
        ([*PREDICT, "no/a.csv"], "--output no/a.csv: there is no folder no, choose another file"),
        ([*TRACE, "file.csv/a.png"], f"{FILE}, not a folder, choose another file"),
        ([*SCHEMA, "no/a.json"], "there is no folder no, choose another file"),
        ([*SCHEMA, "file.csv/a.json"], f"{FILE}, not a folder, choose another file"),
        (["train", "--config-dir", "file.csv"], f"the config folder {FILE}, not a folder"),
        *((["test", "file.csv"], f"{FILE}: give the folder of a run"),),
        *((["report", "file.csv"], f"{FILE}: give the folder of a run or of a sweep"),),
        *(
            ([command, "file.csv"], f"{FILE}: give a folder with runs")
            for command in ("figures", "board", "leaderboard")
        ),
        (["figures", "file.csv/a"], "there is no folder file.csv/a"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_a_file_in_the_place_of_a_folder(
    arguments: list[str], sentence: str, capfd: Capture
) -> None:
    assert sentence in refused(arguments, capfd)
    assert Path("file.csv").read_text() == "a,b\n"


@pytest.mark.parametrize("command", ["figures", "backtest", "predict", "trace", "schema"])
def test_a_folder_that_one_may_not_write_to(
    command: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who run as root may write everywhere, so the answer of the system is replaced."""
    Path("theirs").mkdir(exist_ok=True)
    without(os.W_OK, "theirs", monkeypatch)
    place = {"predict": "theirs/a.csv", "trace": "theirs/a.png", "schema": "theirs/a.json"}
    given = {"predict": PREDICT, "trace": TRACE, "schema": SCHEMA}
    arguments = given.get(command, [command, "run", "--output"])
    said = refused([*arguments, place.get(command, "theirs/a")], capfd)
    assert ": you may not write to the folder theirs, choose another" in said
    assert not list(Path("theirs").iterdir())


@pytest.mark.parametrize("command", ["figures", "leaderboard", "report", "test"])
def test_a_folder_that_one_may_not_read(
    command: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(os.R_OK, "run", monkeypatch)
    assert "run cannot be read: you have no permission to do so" in refused([command, "run"], capfd)


def test_a_folder_above_the_current_one_is_as_the_run_wrote_it(
    capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("below").mkdir(exist_ok=True)
    monkeypatch.chdir("below")
    assert main(["test", "../run"]) == 0
    assert "not as the run wrote it" not in "".join(capfd.readouterr())
    run = read_run(Path("../run"))
    assert changed_files(Path("../run"), run) == []
    out = {"files": {"../run/metrics.json": run["files"]["metrics.json"]}}
    assert changed_files(Path("../run"), out) == ["../run/metrics.json"]


def without(permission: int, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.access

    def access(path: Any, mode: int, **settings: Any) -> bool:
        return not (str(path) == folder and mode & permission) and before(path, mode, **settings)

    monkeypatch.setattr(os, "access", access)


def test_a_disk_that_refuses(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rnnexp.runs.figures.paper.save", save)
    assert "--output a: it cannot be written (No space left on device)" in refused(
        ["figures", "run", "--output", "a"], capfd
    )
