"""`data.until`: the data end at a time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.data.series.grid import time_of
from rnnexp.errors import UserError
from tests.support.series_files import read_source


def write(path: Path, start: str = "2024-01-01", hours: int = 200) -> None:
    time = pd.date_range(start, periods=hours, freq="h")
    value = np.random.default_rng(0).normal(size=hours).round(3)
    pd.DataFrame({"time": time, "value": value}).to_csv(path, index=False)


def test_rows_at_or_after_it_are_not_read(tmp_path: Path) -> None:
    write(tmp_path / "long.csv")
    write(tmp_path / "cut.csv", hours=130)
    whole = read_source(tmp_path / "long.csv", "time", until="2024-01-06 10:00")
    short = read_source(tmp_path / "cut.csv", "time")
    assert whole.series[0].time[-1] == np.datetime64("2024-01-06T09:00")
    assert whole.splits == short.splits and whole.scaling == short.scaling
    assert (whole.store.values == short.store.values).all()
    assert whole.facts()["split"]["long"] == short.facts()["split"]["cut"]

    last = read_source(tmp_path / "long.csv", "time", until="2024-01-06 10:00", last_rows=100)
    assert last.series[0].time[[0, -1]].tolist() == whole.series[0].time[[30, -1]].tolist()
    after = read_source(tmp_path / "long.csv", "time", until="2025-01-01")
    assert len(after.series[0].time) == 200


def test_nothing_before_it(tmp_path: Path) -> None:
    write(tmp_path / "early.csv", start="2023-12-01", hours=1000)
    write(tmp_path / "late.csv")
    with pytest.raises(UserError, match=r"late.csv has no row before data.until=2024-01-01 00:00"):
        read_source(tmp_path, "time", until="2024-01-01")
    source = read_source(tmp_path, "time", until="2024-01-01", skip_short=True)
    assert [one.name for one in source.series] == ["early"] and source.left_out == ["late"]
    with pytest.raises(UserError, match=r"late.csv has 24 rows, too few"):
        read_source(tmp_path / "late.csv", "time", until="2024-01-02")


def test_what_it_can_be() -> None:
    assert time_of("2024-01-31") == np.datetime64("2024-01-31T00:00:00")
    assert time_of("2024-01-31 13:00") == time_of("2024-01-31T13:00:00")
    for wrong in ("31.1.2024", "01/02/2024", "2024", "", "2024-01-31T13:00+01:00", "tomorrow"):
        with pytest.raises(UserError, match="write a date or a time without an offset"):
            time_of(wrong)
