"""Rows of one time are never averaged away unasked: the column that tells them apart is named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.errors import UserError
from tests.support.series_files import read_source as read

HOURS = 400
TIME = pd.date_range("2020-01-05", periods=HOURS, freq="h")
Written = Callable[[pd.Timestamp], str]
LOAD = np.round(1000 + 100 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi), 1)


def long_file(path: Path) -> Path:
    """Three stacked series, the levels far apart, with one hour twice in each."""
    parts = []
    for number, name in enumerate(("A", "B", "C")):
        one = pd.DataFrame({"unique_id": name, "ds": TIME, "y": LOAD * 10**number})
        parts.append(pd.concat([one, one.iloc[70:71]]))
    pd.concat(parts).to_csv(path, index=False)
    return path


def test_stacked_series_are_an_error_that_names_their_column(tmp_path: Path) -> None:
    path = long_file(tmp_path / "long.csv")
    with pytest.raises(UserError) as error:
        read(path, "ds", value_column="y")
    said = str(error.value)
    assert "803 of 1,203 rows have the time of another row" in said
    assert "column 'unique_id' tells them apart: set data.series_column=unique_id" in said


def test_many_series_in_one_file(tmp_path: Path) -> None:
    path = long_file(tmp_path / "long.csv")
    source = read(path, "ds", series_column="unique_id")
    assert [one.name for one in source.series] == ["A", "B", "C"]
    for number, one in enumerate(source.series):
        np.testing.assert_array_equal(one.time, TIME.to_numpy().astype("M8[s]"))
        np.testing.assert_array_equal(one.values[:, 0], LOAD * 10**number)
    assert [report.duplicates for report in source.reports] == [1, 1, 1]


def test_two_columns_may_name_a_series(tmp_path: Path) -> None:
    parts = [
        pd.DataFrame({"ds": TIME, "store": store, "item": item, "y": LOAD + store + len(item)})
        for store in (1, 2)
        for item in ("bread", "milk")
    ]
    path = tmp_path / "panel.csv"
    pd.concat(parts).to_csv(path, index=False)
    with pytest.raises(UserError, match=r'set data\.series_column="\[store,item\]"'):
        read(path, "ds", value_column="y")
    with pytest.raises(UserError, match=r"series '1'.*set data\.series_column=\"\[store,item\]\""):
        read(path, "ds", value_column="y", series_column="store")
    source = read(path, "ds", value_column="y", series_column=["store", "item"])
    assert [one.name for one in source.series] == ["1 bread", "1 milk", "2 bread", "2 milk"]
    assert source.series[3].values[0, 0] == LOAD[0] + 2 + 4


def test_messages_name_the_series(tmp_path: Path) -> None:
    table = pd.read_csv(long_file(tmp_path / "long.csv"))
    changed = {
        "is constant": table.assign(y=table["y"].where(table["unique_id"] != "B", 5)),
        "has no values": table.assign(y=table["y"].where(table["unique_id"] != "B")),
        "too few for windows": table[(table["unique_id"] != "B") | (table["ds"] < "2020-01-06")],
    }
    for what, other in changed.items():
        other.to_csv(tmp_path / "other.csv", index=False)
        with pytest.raises(UserError, match=rf"other\.csv, series 'B'.*{what}"):
            read(tmp_path / "other.csv", "ds", series_column="unique_id")
    nameless = table.assign(unique_id=table["unique_id"].where(table.index != 4))
    nameless.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(UserError, match=r"line 6: the cell in column 'unique_id'.*is empty"):
        read(tmp_path / "other.csv", "ds", series_column="unique_id")


@pytest.mark.parametrize(
    ("written", "first"),
    [
        (lambda time: str(time.hour), 0),  # 0 to 23
        (lambda time: f"{time:%H:%M}", 0),
        (lambda time: f"{time:%H:%M:%S}", 0),
        (lambda time: f"{time:%H}00", 0),
        (lambda time: str(time.hour or 24), 1),  # 1 to 24: the hour that ends then
        (lambda time: f"{time.hour or 24:02d}:00", 1),
        (lambda time: f"{time.hour or 24:02d}00", 1),
    ],
)
def test_a_date_and_an_hour(tmp_path: Path, written: Written, first: int) -> None:
    time = TIME + pd.Timedelta(hours=first)
    day = time - pd.Timedelta(hours=first)  # 24:00 belongs to the day that ends
    hours = list(map(written, time))
    path = tmp_path / "hours.csv"
    pd.DataFrame({"Date": day.strftime("%Y-%m-%d"), "Hour": hours, "MW": LOAD}).to_csv(
        path, index=False
    )
    with pytest.raises(UserError) as error:
        read(path, "Date", value_column="MW")
    offer = "column 'Hour' tells them apart: set data.datetime_column=\"[Date,Hour]\""
    assert offer in str(error.value)
    for form in (None, "%Y-%m-%d"):
        source = read(path, ["Date", "Hour"], datetime_format=form)
        np.testing.assert_array_equal(source.series[0].time, time.to_numpy().astype("M8[s]"))
    np.testing.assert_array_equal(source.series[0].values[:, 0], LOAD)


def test_24_00_is_the_end_of_the_day(tmp_path: Path) -> None:
    time = TIME + pd.Timedelta(hours=1)
    texts = [
        f"{one - pd.Timedelta('1h'):%Y-%m-%d} 24:00" if one.hour == 0 else f"{one:%Y-%m-%d %H:%M}"
        for one in time
    ]
    path = tmp_path / "day.csv"
    pd.DataFrame({"time": texts, "MW": LOAD}).to_csv(path, index=False)
    for form in (None, "%Y-%m-%d %H:%M"):
        source = read(path, "time", datetime_format=form)
        np.testing.assert_array_equal(source.series[0].time, time.to_numpy().astype("M8[s]"))


def test_a_clock_change_is_no_error_and_more_can_be_accepted(tmp_path: Path) -> None:
    table = pd.DataFrame({"time": TIME, "MW": LOAD})
    path = tmp_path / "repeated.csv"
    pd.concat([table, table.iloc[[50]]]).to_csv(path, index=False)
    assert read(path, "time").reports[0].duplicates == 1
    pd.concat([table, table.iloc[:20]]).to_csv(path, index=False)
    accepted = "data.cleaning.most_duplicates=1"
    with pytest.raises(UserError, match=f"20 of 420 rows.* set {accepted} to merge them"):
        read(path, "time")
    assert read(path, "time", most_duplicates=1.0).reports[0].duplicates == 20
