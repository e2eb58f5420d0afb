"""A run with a time zone, from data to forecasts, through the hour that the clock shows twice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.build import build_data
from rnnexp.tasks.forecasting.baselines import lagged
from rnnexp.tasks.horizon.backtest.plan import fold_of
from rnnexp.tasks.horizon.baselines import earlier
from tests.support.shrink import QUIET, TINY

Capture = pytest.CaptureFixture[str]

CSV = ["data=series_csv", "data.root=load.csv", "data.datetime_column=time", "data.look_back=48"]
ZONE = ["data.timezone=Europe/Berlin"]
HORIZON = ["task=horizon", "data.horizon=24", "data.batch_size=8", "data.test_windows=4"]
HORIZON += ["data.validation_windows=2", *TINY]


def load(zone: str = "Europe/Berlin", first: str = "2024-10-01", hours: int = 680) -> pd.DataFrame:
    """Hourly load of October 2024, which has 745 hours in Berlin, with the time as the clock shows
    it, and as ISO 8601 has it."""
    time = pd.date_range(pd.Timestamp(first, tz=zone), periods=hours, freq="h")
    noise = np.random.default_rng(0).normal(0, 3, hours)
    value = (100 + 30 * np.sin(2 * np.pi * time.hour / 24) + noise).round(2)
    iso = [one.isoformat() for one in time]
    return pd.DataFrame({"time": time.strftime("%Y-%m-%d %H:%M"), "iso": iso, "value": value})


def write(table: pd.DataFrame, time: str = "time") -> None:
    table[[time, "value"]].set_axis(["time", "value"], axis=1).to_csv("load.csv", index=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    write(load())
    return tmp_path


class ByClock:
    """The rows at the same time by the clock, found by the texts."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.texts = table["iso"].str[:16].tolist()
        self.rows = table.groupby(table["iso"].str[:16]).indices

    def before(self, row: int, days: int) -> int:
        text = self.texts[row]
        day = (pd.Timestamp(text[:10]) - pd.Timedelta(days=days)).strftime("%Y-%m-%d")
        is_second = row == self.rows[text][-1] != self.rows[text][0]
        return int(self.rows[day + text[10:]][-1 if is_second else 0])


def test_a_run_through_the_hour_that_comes_twice(here: Path, capsys: Capture) -> None:
    table = load()
    assert main(["train", *CSV, *ZONE, *HORIZON, "hydra.run.dir=run"]) == 0
    shown = capsys.readouterr().out
    assert "times are those of Europe/Berlin" in shown and "UTC" not in shown
    found = pd.read_csv("run/predictions.csv")
    assert found["timestamp"].tolist() == table["iso"].tolist()[-96:]
    assert found["issue_time"].unique().tolist() == table["iso"].tolist()[-96::24]
    assert "2024-10-27T02:00:00+02:00" in table["iso"].tolist()[-96:]
    assert found["target"].tolist() == table["value"].tolist()[-96:]
    [split] = json.loads(Path("run/run.json").read_text())["split"].values()
    assert split["train_from"] == "2024-10-01T00:00:00+02:00"
    assert split["test_to"] == table["iso"].iloc[-1] == "2024-10-29T06:00:00+01:00"
    figures = {path.stem for path in Path("run/figures").rglob("*.png")}
    assert {"load", "error_by_step", "calibration"} <= figures

    write(table, "iso")  # the same, written with offsets
    assert main(["train", *CSV, *ZONE, *HORIZON, *QUIET, "hydra.run.dir=instants"]) == 0
    for name in ("predictions.csv", "metrics.json"):
        assert Path("run", name).read_bytes() == Path("instants", name).read_bytes()
    assert main(["rerun", "instants"]) == 0


def test_forecasts_say_how_they_lie_to_utc(here: Path, capsys: Capture) -> None:
    assert main(["train", *CSV, *ZONE, *HORIZON, *QUIET, "hydra.run.dir=run"]) == 0
    table = load()
    write(table[:619])  # up to 18:00 of the day before
    frame = rnnexp.load("run").predict("load.csv")
    assert frame["issue_time"].unique().tolist() == ["2024-10-26T19:00:00+02:00"]
    assert frame["timestamp"].tolist() == table["iso"].tolist()[619:643]
    assert frame["timestamp"].iloc[-1] == "2024-10-27T17:00:00+01:00"

    capsys.readouterr()
    assert main(["predict", "run", "--csv", "load.csv", "data.timezone=Berlin"]) == 2
    assert "there is no such zone; did you mean Europe/Berlin?" in capsys.readouterr().err
    write(load("America/New_York", "2024-10-10", 600))
    override = ["data.timezone=America/New_York"]
    assert main(["predict", "run", "--csv", "load.csv", *override, "--output", "new.csv"]) == 0
    assert pd.read_csv("new.csv")["timestamp"].iloc[0] == "2024-11-03T23:00:00-05:00"


def test_one_step_ahead(here: Path) -> None:
    """The forecasting task, its figures and its baselines."""
    table = load()
    settings = ["data.chunking.length=40", "data.unit=MW", *TINY]
    assert main(["train", *CSV, *ZONE, *settings, "hydra.run.dir=run"]) == 0
    found = pd.read_csv("run/predictions.csv")
    assert found["timestamp"].tolist() == table["iso"].tolist()[-63:]
    assert Path("run/figures/error_by_hour.png").exists()
    rows, clock = np.arange(len(table) - 63, len(table)), ByClock(table)
    value = table["value"].to_numpy()
    errors = np.abs(value[rows] - value[[clock.before(row, 1) for row in rows.tolist()]])
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert metrics["baseline/seasonal_naive_day/mae_MW"] == pytest.approx(errors.mean())
    write(table[:627])
    frame = rnnexp.load("run").predict("load.csv")
    assert frame["timestamp"].tolist() == ["2024-10-27T02:00:00+01:00"]


# Baselines ----------------------------------------------------------------------------------------


def source_of(*settings: str) -> Any:
    return build_data(compose([*CSV, *HORIZON, *settings])).source


@pytest.mark.parametrize("lead", [0, 14])
@pytest.mark.parametrize("days", [1, 7])
def test_the_same_hour_of_the_last_days(here: Path, days: int, lead: int) -> None:
    """The last one that is known, for every step of three days."""
    store, clock = source_of(*ZONE).store, ByClock(load())
    issued, steps = torch.arange(560, 600), torch.arange(lead, 72)
    expected = []
    for first in issued.tolist():
        for row in range(first + lead, first + 72):
            back = days
            while clock.before(row, back) >= first:
                back += days
            expected.append(clock.before(row, back))
    assert earlier(store, issued, 24 * days, steps).flatten().tolist() == expected


def test_baselines_without_a_zone_count_steps(here: Path) -> None:
    issued, steps = torch.arange(500, 600), torch.arange(14, 54)
    place = issued.unsqueeze(1) + steps % 24 - 24
    assert earlier(source_of().store, issued, 24, steps).equal(place)
    data: Any = build_data(compose([*CSV, "data.chunking.length=40"]))
    assert (lagged(data, issued, 25) == data.source.store.values[issued - 25, 0].numpy()).all()


def test_hours_that_are_numbered_by_their_ends(here: Path) -> None:
    """As those of PJM are: in autumn 03:00 comes twice."""
    table = load()
    ends = pd.DatetimeIndex(table["time"]) + pd.Timedelta(hours=1)
    write(table.assign(time=ends.strftime("%Y-%m-%d %H:%M")))
    source = source_of(*ZONE, "data.timestamps=end")
    assert (source.reports[0].gaps, source.reports[0].duplicates) == (0, 0)
    expected = [pd.Timestamp(one) + pd.Timedelta(hours=1) for one in table["iso"]]
    found = pd.to_datetime(source.clock.text(source.series[0].time), utc=True)
    assert found.tolist() == expected


# Other files --------------------------------------------------------------------------------------


def test_features_and_holidays_are_those_of_the_place(here: Path) -> None:
    pytest.importorskip("holidays")
    store = source_of(*ZONE, "data.conditioning.holidays=DE").store
    local = pd.DatetimeIndex(load()["iso"].str[:19])
    assert store.calendar[:, 0].tolist() == (local.hour * 60).tolist()
    assert store.calendar[:, 4].tolist() == (local.day == 3).astype(int).tolist()


def test_days_of_a_calendar(here: Path) -> None:
    """Midnights of Berlin as an epoch are not equally spaced, but its days are."""
    midnights = pd.date_range("2024-01-01", periods=300, tz="Europe/Berlin")
    value = np.random.default_rng(0).normal(10, 1, 300)
    seconds = midnights.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[s]")
    pd.DataFrame({"time": seconds.astype(np.int64), "value": value}).to_csv("load.csv", index=False)
    settings = ["data.frequency=1D", "data.datetime_format=epoch_seconds", "data.horizon=7"]
    source = source_of(*ZONE, *settings)
    assert source.series[0].time.tolist() == midnights.tz_localize(None).to_pydatetime().tolist()
    assert source.reports[0].gaps == 0
    [split] = source.facts()["split"].values()
    assert split["train_from"] == "2024-01-01T00:00:00"


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            slice(0, 0),
            "300 steps are missing between 2024-10-01 00:00:00+02:00 and 2024-10-13 13:00:00+02:00",
        ),
        (slice(0, 680, 2), "set data.frequency=2h"),
    ],
)
def test_mistakes_name_the_local_time(
    here: Path, rows: slice, sentence: str, capsys: Capture
) -> None:
    table = load()
    write(table[rows] if rows.step else pd.concat([table[:1], table[301:]]))
    assert main(["train", *CSV, *ZONE, *HORIZON, "data.chunking.length=40"]) == 2
    assert sentence in capsys.readouterr().err


def test_refits_count_days_of_the_clock(here: Path) -> None:
    source = source_of(*ZONE)
    time = source.series[0].time
    tens = time[source.clock.local(time).astype("datetime64[h]").astype(int) % 24 == 10][-6:]
    number, begins = fold_of(tens, 24, source)
    assert number.tolist() == list(range(6))
    assert begins.tolist() == tens.tolist()
