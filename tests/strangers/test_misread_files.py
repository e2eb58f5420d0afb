"""Files that could be read as something that they are not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.cli import main
from rnnexp.data.series.cleaning import near_zero
from tests.support.refusals import refused

Capture = pytest.CaptureFixture[str]
CHECK = ["data", "check", "series_csv", "data.root=a.csv"]


def write(times: pd.Series | pd.Index, header: bool = True) -> None:
    values = [100 + n % 24 for n in range(len(times))]
    pd.DataFrame({"time": times, "mw": values}).to_csv("a.csv", index=False, header=header)


@pytest.mark.usefixtures("empty_folder")
def test_milliseconds_are_not_seconds(capfd: Capture) -> None:
    start = 1_580_000_000_000
    write(pd.Series(range(start, start + 800 * 3_600_000, 3_600_000)))
    said = refused(
        [*CHECK, "data.datetime_column=time", "data.datetime_format=epoch_seconds"], capfd
    )
    assert "is after the year 2200 in seconds: set data.datetime_format=epoch_milliseconds" in said
    assert (
        main([*CHECK, "data.datetime_column=time", "data.datetime_format=epoch_milliseconds"]) == 0
    )


@pytest.mark.usefixtures("empty_folder")
def test_a_first_line_of_data_is_no_header(capfd: Capture) -> None:
    write(pd.date_range("2020-01-01", periods=400, freq="D"), header=False)
    said = refused(CHECK, capfd)
    assert "a.csv, line 1: 2020-01-01, 100 are data: the first line must hold the names" in said


@pytest.mark.usefixtures("empty_folder")
def test_numbers_may_be_names_of_columns(empty_folder: Path) -> None:
    times = pd.date_range("2020-01-01", periods=800, freq="h")
    pd.DataFrame({0: times, 1: np.arange(800) % 7}).to_csv("a.csv", index=False)
    assert main([*CHECK, "data.datetime_column='0'", "data.frequency=1h"]) == 0


def test_nothing_is_near_zero_in_a_series_that_crosses_it() -> None:
    wave = 1 + 8 * np.sin(np.arange(960) / 24 * 2 * np.pi)
    assert not near_zero(wave, 0.2, 960).any()
    meter = np.array([100.0, 90, 0, 110, -1, *[100] * 30, np.nan])
    assert near_zero(meter, 0.2, 36).nonzero()[0].tolist() == [2, 4]


@pytest.mark.usefixtures("empty_folder")
def test_a_key_of_an_option_that_is_not_chosen(capfd: Capture) -> None:
    said = refused(["train", "data=synthetic_reviews", "data.vectors.file=v.txt"], capfd)
    assert (
        "an option of the group data/vectors has it: add data/vectors=OPTION; choose from" in said
    )


def test_a_file_in_the_place_of_a_folder(empty_folder: Path, capfd: Capture) -> None:
    (empty_folder / "names").mkdir()
    (empty_folder / "names/Irish.txt").write_text("Daly\n")
    said = refused(["data", "check", "names", "data.root=names/Irish.txt"], capfd)
    assert "data.root=names/Irish.txt is a file: give its folder, data.root=names" in said
    for command in ("test", "rerun", "predict"):
        assert "Irish.txt is a file: give the folder" in refused(
            [command, "names/Irish.txt"], capfd
        )


def test_a_folder_of_run_folders(empty_folder: Path, capfd: Capture) -> None:
    for name in ("a", "b"):
        (empty_folder / "old" / name).mkdir(parents=True)
        (empty_folder / "old" / name / "run.json").write_text("{}")
    said = refused(["rerun", "old"], capfd)
    assert "old is not a run folder: it has no run.json; the last run inside is " in said
    assert said.endswith("old/b\n")
