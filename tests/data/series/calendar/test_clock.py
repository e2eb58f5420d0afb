"""The clock of a zone, against pandas and Python's aware datetimes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import torch

from rnnexp.data.series.calendar.clock import Clock
from rnnexp.data.series.calendar.frequency import Frequency
from rnnexp.data.series.cleaning import Cleaning, clean
from rnnexp.data.series.conditioning import CyclicColumns
from rnnexp.data.series.raw import RawSeries, read_series
from rnnexp.data.series.windows import Store
from rnnexp.errors import UserError

ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]


def instants(first: str, count: int, minutes: int = 60) -> np.ndarray:
    return np.datetime64(first, "s") + np.arange(count) * np.timedelta64(60 * minutes, "s")


def refuse(wrong: np.ndarray, why: str) -> UserError:
    return UserError(f"{np.flatnonzero(wrong).tolist()} {why}")


def local_of(time: np.ndarray, zone: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(time, tz="UTC").tz_convert(zone)


@pytest.mark.parametrize("minutes", [15, 30, 60])
@pytest.mark.parametrize("zone", ZONES)
def test_two_years_there_and_back(zone: str, minutes: int) -> None:
    """Lord Howe's clock is changed by half an hour, which steps of an hour cannot show twice."""
    minutes = min(minutes, 30) if zone == "Australia/Lord_Howe" else minutes
    time, clock = instants("2023-12-31T22:00", 2 * 8784 * 60 // minutes, minutes), Clock(zone)
    expected = local_of(time, zone)
    shown = clock.local(time)
    assert (shown == expected.tz_localize(None).to_numpy()).all()
    assert (clock.from_local(shown, refuse) == time).all()
    assert (clock.from_local(shown[::-1], refuse) == time[::-1]).all()
    by_clock = np.argsort(shown, kind="stable")
    assert (clock.from_local(shown[by_clock], refuse) == time[by_clock]).all()
    texts = pd.to_datetime(clock.text(time), utc=True)
    assert texts.equals(pd.DatetimeIndex(time, tz="UTC").astype(texts.dtype))
    assert clock.text(time[:1])[0] == expected[0].isoformat()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("days", [1, 7])
def test_the_same_hour_of_another_day(zone: str, days: int) -> None:
    """Python keeps the fold when it subtracts days. It takes what a clock skipped for the hour
    after; we take the hour before."""
    time, place = instants("2024-03-20", 260 * 24), ZoneInfo(zone)
    expected = []
    for instant in time.astype(np.int64).tolist():
        shown = datetime.fromtimestamp(instant, place) - timedelta(days=days)
        found = shown.astimezone(UTC)
        if found.astimezone(place).replace(tzinfo=None) != shown.replace(tzinfo=None):
            found = shown.replace(fold=1).astimezone(UTC)
        expected.append(int(found.timestamp()))
    assert Clock(zone).days_before(time, days).astype(np.int64).tolist() == expected


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2024-03-31", 23),
        ("Europe/Berlin", "2024-10-27", 25),
        ("Europe/Berlin", "2024-10-26", 24),
        ("America/New_York", "2024-03-10", 23),
        ("America/New_York", "2024-11-03", 25),
    ],
)
def test_a_day_has_its_hours(zone: str, day: str, hours: int, tmp_path: Path) -> None:
    """As the clock shows them, in a file: neither a gap nor a repeated time."""
    begin = pd.Timestamp(day, tz=zone) - pd.Timedelta(days=2)
    local = pd.date_range(begin, periods=24 * 5, freq="h")
    table = pd.DataFrame(
        {"time": local.strftime("%Y-%m-%d %H:%M"), "value": np.arange(500.0, 620.0)}
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    [raw] = read(tmp_path / "a.csv", Clock(zone))
    series, report = clean(
        raw, Cleaning(), frequency=Frequency("1h"), season=24, training_rows=len(raw.time)
    )
    assert (report.gaps, report.duplicates, report.repaired, report.steps) == (0, 0, 0, 120)
    assert (series.time == local.tz_convert("UTC").tz_localize(None).to_numpy()).all()
    assert series.values[:, 0].tolist() == table["value"].tolist()
    store = Store([series], CyclicColumns(), clock=Clock(zone))
    number = store.calendar[:, 3] + 1  # of the day
    assert int((number == pd.Timestamp(day).day_of_year).sum()) == hours
    assert store.calendar[:, 0].tolist() == (local.hour * 60).tolist()
    assert store.calendar[:, 1].tolist() == local.day_of_week.tolist()


def read(path: Path, clock: Clock, **settings: Any) -> list[RawSeries]:
    return read_series(
        path, name="a", datetime_column="time", columns=["value"], clock=clock, **settings
    )


# What a file says of the hour that comes twice ----------------------------------------------------


@pytest.mark.parametrize(
    ("written", "second"),
    [
        ("02:00", []),  # alone: the earlier one
        ("02:00 02:00", [1]),
        ("02:00 02:15 02:30 02:45 02:00 02:15 02:30 02:45", [4, 5, 6, 7]),
        ("02:00 02:00 02:15 02:15 02:30 02:30 02:45 02:45", [1, 3, 5, 7]),  # sorted
        ("02:00 02:15 02:30 02:45 02:00 02:15 02:45", [4, 5, 6]),  # the later 02:30 is missing
        ("02:00 02:15 02:45 02:00 02:15 02:30 02:45", [3, 4, 5, 6]),  # the earlier one is
        ("02:00 02:15 02:45 02:00 02:15 02:30", [3, 4, 5]),
    ],
)
def test_an_hour_that_comes_twice(written: str, second: list[int]) -> None:
    texts = ["01:00", "01:30", *written.split(), "03:00"]
    shown = np.array([f"2024-10-27T{text}" for text in texts], "datetime64[s]")
    found = Clock("Europe/Berlin").from_local(shown, refuse)
    offset = (shown - found).astype(np.int64) // 3600
    expected = [2, 2, *(1 if row in second else 2 for row in range(len(texts) - 3)), 1]
    assert offset.tolist() == expected
    assert Clock("Europe/Berlin").from_local(shown[::-1], refuse).tolist() == found[::-1].tolist()


def test_times_that_are_the_ends_of_hours() -> None:
    """The hours that the clock skipped and showed twice are then those that begin there."""
    ends = instants("2024-01-01", 8784)
    hour = np.timedelta64(3600, "s")
    begins = local_of(ends - hour, "America/New_York").tz_localize(None).to_numpy()
    written = begins.astype("datetime64[s]") + hour  # no 03:00 in spring, 02:00 twice in autumn
    assert (Clock("America/New_York", late=hour).from_local(written, refuse) == ends).all()
    with pytest.raises(UserError, match=r"set data\.timestamps=end if times are the ends"):
        Clock("America/New_York").from_local(written, refuse)


def test_series_of_one_file_are_apart(tmp_path: Path) -> None:
    rows = [f"2024-10-27 0{hour}:00,{name},{hour}" for hour in (1, 2, 2, 3) for name in "xy"]
    (tmp_path / "long.csv").write_text("\n".join(["time,id,value", *rows]))
    for one in read(tmp_path / "long.csv", Clock("Europe/Berlin"), series_column="id"):
        assert one.clock.text(one.time).tolist() == [
            "2024-10-27T01:00:00+02:00",
            "2024-10-27T02:00:00+02:00",
            "2024-10-27T02:00:00+01:00",
            "2024-10-27T03:00:00+01:00",
        ]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            ["2024-03-31 01:00", "2024-03-31 02:00", "2024-03-31 03:00"],
            "a.csv, line 3: '2024-03-31 02:00' does not exist in Europe/Berlin, whose clock was "
            "set forward over it: correct it, or write times with a UTC offset, or set "
            "data.timestamps=end if times are the ends of their steps",
        ),
        (
            ["2024-10-27 01:00", *["2024-10-27 02:00"] * 3],
            "a.csv, line 3: '2024-10-27 02:00' stands in more than two rows, but the clock of "
            "Europe/Berlin showed it twice: remove the others, or write times with a UTC offset",
        ),
    ],
)
def test_times_that_the_clock_did_not_show(rows: list[str], sentence: str, tmp_path: Path) -> None:
    lines = [f"{time},{number}" for number, time in enumerate(rows)]
    (tmp_path / "a.csv").write_text("\n".join(["time,value", *lines]))
    with pytest.raises(UserError) as error:
        read(tmp_path / "a.csv", Clock("Europe/Berlin"))
    assert str(error.value) == f"{tmp_path}/{sentence}"
    assert len(read(tmp_path / "a.csv", Clock())[0].time) == len(rows)


def test_instants_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,value\n2024-10-27T01:00Z,1\n2024-10-27T03:00+02:00,2\n")
    [raw] = read(tmp_path / "a.csv", Clock("Europe/Berlin"))
    assert raw.clock.text(raw.time).tolist() == ["2024-10-27T02:00:00+01:00"] * 2


def test_a_series_from_elsewhere_follows_the_clock() -> None:
    """Of a source that has no clock: its times are in order."""
    shown = Clock("Europe/Berlin").local(instants("2024-10-26T22:00", 60, 30))
    raw = RawSeries.from_arrays("a", shown[::-1], np.arange(60.0)[::-1]).by(Clock("Europe/Berlin"))
    assert (np.diff(raw.time) == np.timedelta64(1800, "s")).all()
    assert sorted(raw.values[:, 0]) == list(range(60))
    assert raw.by(Clock("Europe/Berlin")) is raw
    skipped = RawSeries.from_arrays("a", np.array(["2024-03-31T02:30"], "M8[s]"), np.ones(1))
    with pytest.raises(UserError, match=r"^a: 2024-03-31 02:30:00 does not exist in Europe/Berlin"):
        skipped.by(Clock("Europe/Berlin"))


def test_days_are_those_of_the_calendar() -> None:
    """Steps of a day are not equally spaced instants."""
    clock = Clock("Europe/Berlin", by_day=True)
    days = np.arange("2024-03-29", "2024-04-02", dtype="datetime64[D]").astype("datetime64[s]")
    midnights = pd.DatetimeIndex(days, tz="Europe/Berlin").tz_convert("UTC").tz_localize(None)
    assert (clock.from_utc(midnights.to_numpy().astype("datetime64[s]")) == days).all()
    assert (clock.from_local(days, refuse) == days).all() and (clock.local(days) == days).all()
    assert clock.text(days)[0] == "2024-03-29T00:00:00"


# The store ----------------------------------------------------------------------------------------


def store_of(zone: str | None, lengths: tuple[int, ...] = (24 * 14, 24 * 14)) -> Store:
    series = []
    for length in lengths:
        time = instants("2024-10-20T22:00", length)
        raw = RawSeries.from_arrays("a", time, np.arange(float(length)))
        raw = RawSeries(**{**vars(raw), "utc": True}).by(Clock(zone))
        series.append(
            clean(raw, Cleaning(), frequency=Frequency("1h"), season=24, training_rows=9)[0]
        )
    return Store(series, CyclicColumns(), clock=Clock(zone))


def test_positions_of_the_same_hour() -> None:
    store = store_of("Europe/Berlin")
    position = torch.cat([torch.arange(200, 336), torch.arange(336 + 200, 672 + 48)])
    local = local_of(instants("2024-10-20T22:00", 336 + 48), "Europe/Berlin")
    number = {(str(time.date()), time.hour, time.fold): i for i, time in enumerate(local)}
    expected = []
    for place in position.tolist():
        time = local[place if place < 336 else place - 336]
        day = str((time - pd.DateOffset(days=2)).date())
        found = number.get((day, time.hour, time.fold), number.get((day, time.hour, 0)))
        assert found is not None
        expected.append(found + (0 if place < 336 else 336))
    assert store.same_clock(position, 2).tolist() == expected
    days = torch.tensor([1, 2]).expand(len(position), 2)
    both = store.same_clock(position.unsqueeze(1), days)
    assert both[:, 1].tolist() == expected
    assert both[:, 0].equal(store.same_clock(position, 1))
    assert store.before(position, 49).equal(store.same_clock(position, 2) - 1)


def test_positions_without_a_zone() -> None:
    store, position = store_of(None), torch.arange(100, 300)
    assert store.same_clock(position, 2).equal(position - 48)
    assert store.before(position, 49).equal(position - 49)


def test_positions_where_the_clock_skipped_an_hour() -> None:
    series = RawSeries.from_arrays("a", instants("2024-03-29T23:00", 24 * 4), np.arange(96.0))
    zone = Clock("Europe/Berlin")
    raw = RawSeries(**{**vars(series), "utc": True}).by(zone)
    one, _ = clean(raw, Cleaning(), frequency=Frequency("1h"), season=24, training_rows=9)
    store = Store([one], CyclicColumns(), clock=zone)
    day = torch.arange(47, 47 + 24)  # 1 April, the day after
    shown = zone.local(one.time[store.same_clock(day, 1).numpy()]).astype("datetime64[h]")
    hours = [0, 1, 1, *range(3, 24)]
    assert [str(time) for time in shown] == [f"2024-03-31T{hour:02}" for hour in hours]


# Mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "hint"),
    [
        ("Berlin", "; did you mean Europe/Berlin?"),
        ("europe/berlin", "; did you mean Europe/Berlin?"),
        ("New York", "; did you mean America/New_York?"),
        ("Europe/Berln", "; did you mean Europe/Berlin?"),
        ("utc", "; did you mean UTC?"),
        ("Europe/New_York", "; did you mean America/New_York?"),
        ("Europ/Berlin", "; did you mean Europe/Berlin?"),
        ("Europe/Bavaria", ": use e.g. Europe/Berlin, America/New_York or UTC"),
        ("Europe/Munich", ": use e.g. Europe/Berlin, America/New_York or UTC"),
        ("Germany", ": use e.g. Europe/Berlin, America/New_York or UTC"),
        ("CEST", ": use e.g. Europe/Berlin, America/New_York or UTC"),
        ("../etc/passwd", ": use e.g. Europe/Berlin, America/New_York or UTC"),
        ("", ": use e.g. Europe/Berlin, America/New_York or UTC"),
    ],
)
def test_zones_that_there_are_not(zone: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        Clock(zone)
    assert str(error.value) == f"data.timezone={zone}: there is no such zone{hint}"


def test_a_year_without_zones() -> None:
    with pytest.raises(UserError, match="have the year 33658, in which there are no time zones"):
        Clock("Europe/Berlin").local(np.array([10**12], "datetime64[s]"))


def test_the_rules_of_a_zone() -> None:
    """What a later version of the database might change."""
    rules = Clock("Europe/Berlin").rules(instants("2024-01-01", 8784))
    assert rules == [
        ("2024-01-01T00:00:00", 3600),
        ("2024-03-31T01:00:00", 7200),
        ("2024-10-27T01:00:00", 3600),
    ]
    assert Clock("UTC").rules(instants("2024-01-01", 9)) == [("2024-01-01T00:00:00", 0)]
    assert Clock().rules(instants("2024-01-01", 9)) == []


def test_no_times_at_all() -> None:
    nothing, clock = np.array([], "datetime64[s]"), Clock("Europe/Berlin")
    assert not len(clock.local(nothing)) and not len(clock.text(nothing))
    assert not len(clock.from_local(nothing, refuse)) and not len(clock.days_before(nothing, 1))
