"""Business days, weeks, months, quarters, years: the right next date, and no invented days."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.cli import main
from rnnexp.data.series.calendar.frequency import Frequency, recognised
from rnnexp.errors import UserError
from tests.support.refusals import refused
from tests.support.series_files import read_source
from tests.support.shrink import HERE, NO_FIGURES

WINDOWS = ["data.look_back=12", "data.chunking.length=20", "data.chunking.warm_up=4"]
TRAIN = [*WINDOWS, "model.hidden_size=2", "trainer.max_epochs=1", "logger=none", *HERE]
TRAIN += NO_FIGURES
# frequency -> season, and the step after 2020-03-06 (a Friday) or the first step after it
FREQUENCIES = {
    "B": (5, "2020-03-09"),
    "W-MON": (52, "2020-03-09"),
    "W-SUN": (52, "2020-03-08"),
    "MS": (12, "2020-04-01"),
    "ME": (12, "2020-03-31"),
    "BME": (12, "2020-03-31"),
    "QS": (4, "2020-04-01"),
    "QS-FEB": (4, "2020-05-01"),
    "QE": (4, "2020-03-31"),
    "YS": (1, "2021-01-01"),
    "YE-JUN": (1, "2020-06-30"),
    "2MS": (6, None),
    "1D": (7, "2020-03-07"),
    "7D": (1, "2020-03-13"),
    "30min": (48, "2020-03-06T00:30:00"),
}


def steps(frequency: str, number: int) -> np.ndarray:
    freq = pd.Timedelta(frequency) if frequency[-1] in "Dn" else frequency
    times = pd.date_range("1990-03-07", periods=number, freq=freq)
    return times.to_numpy().astype("datetime64[s]")


@pytest.mark.parametrize("text", FREQUENCIES)
def test_season_and_next_date(text: str) -> None:
    frequency, (season, following) = Frequency(text), FREQUENCIES[text]
    assert frequency.season == season
    if following:
        last = np.array(["2020-03-06"], "datetime64[s]")
        assert frequency.after(last, 1) == np.datetime64(following)
    time = steps(text, 60)
    assert (frequency.steps_between(time) == 1).all() and not frequency.is_off(time).any()
    without = np.delete(time, [7, 8, 20])
    assert np.flatnonzero(frequency.steps_between(without) > 1).tolist() == [6, 17]
    np.testing.assert_array_equal(frequency.after(time[:-3], 3), time[3:])
    assert recognised(without) == ("W-WED" if text == "7D" else text)


@pytest.mark.parametrize("text", ["M", "Q", "W", "W-FOO", "bh", "SMS", "0MS", "10ms", "1.5s", ""])
def test_what_is_not_supported_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"data\.frequency=.* B, W-MON, MS, ME, QS, QE, YS, YE"):
        Frequency(text)


def write(path: Path, frequency: str, number: int = 300, drop: tuple[int, ...] = ()) -> Path:
    values = 100 + np.sin(np.arange(number)) + np.arange(number) % 5
    table = pd.DataFrame({"day": steps(frequency, number), "close": values.round(2)})
    table.drop(index=list(drop)).to_csv(path, index=False, date_format="%Y-%m-%d")
    return path


def test_gaps_are_filled_by_the_calendar(tmp_path: Path) -> None:
    for frequency in ("B", "MS", "QE"):
        path = write(tmp_path / "a.csv", frequency, 300, (50, 51))
        source = read_source(path, "day", frequency=frequency)
        np.testing.assert_array_equal(source.series[0].time, steps(frequency, 300))
        assert np.flatnonzero(~source.series[0].observed).tolist() == [50, 51]


@pytest.mark.parametrize(
    ("written", "given", "sentence"),
    [
        ("B", "1D", "no row is on a weekend, but data.frequency is 1 day: set data.frequency=B"),
        ("MS", "31D", "follow the calendar, but data.frequency is 31 days: set data.frequency=MS"),
        ("QE", "90D", "set data.frequency=QE"),
        ("YS", "365D", "set data.frequency=YS"),
        ("MS", "1h", "set data.frequency=MS"),
        ("1D", "B", "1990-03-10 00:00:00 is not a step of data.frequency=B: set data.frequency=1D"),
        ("MS", "ME", "is not a step of data.frequency=ME: set data.frequency=MS"),
        ("QS", "MS", "most rows are 3 steps of MS apart: set data.frequency=QS"),
        ("1D", "1h", "most rows are 1 day apart, but data.frequency is 1:00:00: set data.freq"),
    ],
)
def test_the_wrong_frequency_names_the_right_one(
    tmp_path: Path, written: str, given: str, sentence: str
) -> None:
    path = write(tmp_path / "a.csv", written)
    keeps = ["fill"] if "apart" in sentence else ["fill", "keep"]
    for gaps in keeps:
        with pytest.raises(UserError) as error:
            read_source(path, "day", frequency=given, gaps=gaps)
        assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("frequency", "following"), [("MS", "2020-03-01 00:00:00"), ("B", "1992-03-02 00:00:00")]
)
def test_the_next_value_is_for_the_next_date(
    empty_folder: Path, capfd: pytest.CaptureFixture[str], frequency: str, following: str
) -> None:
    """From a file to the answer, as a user types it."""
    write(Path("own.csv"), frequency, 700)
    train = ["train", "data=series_csv", "data.root=own.csv", "data.datetime_column=day"]
    assert main([*train, f"data.frequency={frequency}", "name=own", *TRAIN]) == 0
    [record] = Path("outputs/own").glob("*/run.json")
    run = record.parent
    table = pd.read_csv("own.csv")
    table[table["day"] < following[:10]].to_csv("own.csv", index=False)
    capfd.readouterr()
    assert main(["predict", str(run), "--csv", "own.csv"]) == 0
    assert following in capfd.readouterr().out
    assert main(["predict", str(run), "--csv", "own.csv", "data.frequency=1h"]) == 2
    assert f"trained on steps of {frequency}, not of 1h" in capfd.readouterr().err
    table.iloc[::3].to_csv("other.csv", index=False)
    assert "other.csv: " in refused_file(["predict", str(run), "--csv", "other.csv"], capfd)


def refused_file(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    return capfd.readouterr().err


def test_a_frequency_that_is_misspelt(
    empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(Path("own.csv"), "MS")
    check = ["data", "check", "series_csv", "data.root=own.csv", "data.datetime_column=day"]
    assert "data.frequency='month' is not a length of time" in refused(
        [*check, "data.frequency=month"], capfd
    )
