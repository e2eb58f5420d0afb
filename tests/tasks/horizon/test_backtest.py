"""The windows and the folds of a back-test."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.runs.build import build_data
from rnnexp.tasks.horizon.backtest.plan import Asked, Plan, least_test_windows, plan

COLUMNS = ["data=series_csv", "data.root=series.csv", "data.datetime_column=time"]
SETTINGS = [*COLUMNS, "task=horizon", "data.look_back=24", "data.horizon=12", "data.batch_size=4"]
SETTINGS += ["data.chunking.length=30", "data.chunking.warm_up=4"]


def data_of(place: Path, time: pd.DatetimeIndex, *settings: str) -> Any:
    value = np.random.default_rng(0).normal(50, 9, len(time)).round(2)
    pd.DataFrame({"time": time, "value": value}).to_csv(place / "series.csv", index=False)
    root = f"data.root={place / 'series.csv'}"
    return build_data(compose([*SETTINGS, root, *settings]))


def planned(data: Any, **asked: Any) -> Plan:
    return plan(Asked(**asked).in_steps(data.source), data)


def hours(count: int = 400) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=count, freq="h")


def test_folds_share_the_issue_times(tmp_path: Path) -> None:
    found = planned(data_of(tmp_path, hours(), "data.test_windows=10"), refit="36h")
    issued = pd.DatetimeIndex(found.issued)
    assert issued.tolist() == pd.date_range("2024-01-12 16:00", periods=10, freq="12h").tolist()
    assert [int(fold.chosen.sum()) for fold in found.folds] == [3, 3, 3, 1]
    assert torch.stack([fold.chosen for fold in found.folds]).sum(0).tolist() == [1] * 10
    begins = [pd.Timestamp(str(fold.until)) for fold in found.folds]
    assert begins == pd.date_range("2024-01-12 16:00", periods=4, freq="36h").tolist()
    for fold in found.folds:
        assert (found.issued[fold.chosen.numpy()] >= fold.until).all()
        assert fold.first == fold.until
    alone = planned(data_of(tmp_path, hours(), "data.test_windows=10"))
    assert [fold.until for fold in alone.folds] == [None]


def test_months(tmp_path: Path) -> None:
    months = pd.date_range("1990-01-01", periods=200, freq="MS")
    settings = ["data.frequency=MS", "data.horizon=3", "data.test_windows=6"]
    data = data_of(tmp_path, months, *settings)
    found = planned(data, every="1MS", refit="6MS")
    assert pd.DatetimeIndex(found.issued).tolist() == months[182:198].tolist()
    assert [pd.Timestamp(str(fold.until)) for fold in found.folds] == months[182:198:6].tolist()
    with pytest.raises(UserError, match="--every 30D: it must be a number of steps such as 3MS"):
        planned(data, every="30D")


def test_an_issue_time_after_which_the_data_end_is_left_out(tmp_path: Path) -> None:
    data = data_of(tmp_path, hours(), "data.test_windows=10")
    found = planned(data, horizon=6)
    assert (len(found.windows), found.left_out) == (19, 1)
    assert found.windows.horizon == 6 and data.times(found.windows).shape == (19, 6)
    short = data_of(tmp_path, hours(), "data.test_windows=1")
    with pytest.raises(UserError, match="no issue time is left: the network predicts 12 steps"):
        planned(short, horizon=6, every="100h")


def test_a_fold_keeps_one_horizon_to_itself(tmp_path: Path) -> None:
    until = np.datetime64("2024-01-12T16:00")
    assert least_test_windows(until, data_of(tmp_path, hours()).source) == 1
    daily = data_of(tmp_path, hours(), "data.issue.at='10:00'")
    windows = least_test_windows(until, daily.source)
    assert windows == 3  # a day and a horizon, less an hour
    cut = data_of(
        tmp_path, hours(), "data.issue.at='10:00'", f"data.until={until}", "data.test_windows=3"
    )
    assert len(cut.windows("test")) >= 1

    repeated = hours().insert(270, hours()[270])  # the clock is put back
    twice = data_of(tmp_path, repeated, "data.cleaning.most_duplicates=1")
    assert least_test_windows(np.datetime64("2024-01-12T12:00"), twice.source) == 2
    settings = ["data.cleaning.most_duplicates=1", "data.until='2024-01-12 12:00'"]
    assert len(data_of(tmp_path, repeated, *settings, "data.test_windows=2").windows("test")) == 1
    with pytest.raises(UserError, match="no test span is longer than 12 steps"):
        data_of(tmp_path, repeated, *settings, "data.test_windows=1")
