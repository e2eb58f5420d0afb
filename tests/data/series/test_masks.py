"""Missing values as such: which are marked, and that no run of them is too long."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rnnexp.config import compose
from rnnexp.data.series.calendar.frequency import Frequency
from rnnexp.data.series.cleaning import Cleaning, Series, clean, report_table
from rnnexp.data.series.conditioning import NoColumns
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.windows import Store
from rnnexp.errors import UserError
from rnnexp.runs.build import build_data

NAN = np.nan


def cleaned(hours: Sequence[int], values: Sequence[Sequence[float]], cleaning: Cleaning) -> Series:
    time = np.datetime64("2020-01-01T00:00:00") + np.array(hours) * np.timedelta64(3600, "s")
    raw = RawSeries.from_arrays("A", time, np.array(values))
    found, report = clean(
        raw, cleaning, frequency=Frequency("1h"), season=3, training_rows=len(hours)
    )
    assert report_table([report]).columns[-1].heading == (
        "masked" if cleaning.masks else "repaired"
    )
    return found


VALUES: list[list[float]] = [[10, 1], [NAN, 2], [12, NAN], [13, 4], [0.5, 5], [15, NAN], [16, 7]]
HOURS = [0, 1, 2, 2, 3, 6, 7]  # 2 twice, 4 and 5 absent


@pytest.mark.parametrize("outliers", ["keep", "fill"])
def test_a_mask_by_hand(outliers: str) -> None:
    policies = Cleaning(missing="mask", outliers=outliers)  # type: ignore[arg-type]
    series = cleaned(HOURS, VALUES, policies)
    target = [True, False, True, outliers == "keep", False, False, True, True]
    further = [True, True, True, True, False, False, False, True]
    assert series.mask.tolist() == [list(pair) for pair in zip(target, further, strict=True)]
    filled = cleaned(HOURS, VALUES, Cleaning(outliers=outliers))  # type: ignore[arg-type]
    np.testing.assert_array_equal(series.values, filled.values)  # the causal repairs
    np.testing.assert_array_equal(series.mask, filled.mask)


def test_a_masked_run_may_be_long() -> None:
    hours = [*range(30), *range(400, 440)]
    values = [[100.0 + hour % 5] for hour in hours]
    series = cleaned(hours, values, Cleaning(missing="mask", longest_gap=2))
    assert series.observed.sum() == 70 and len(series.time) == 440
    with pytest.raises(UserError, match="370 steps are missing"):
        cleaned(hours, values, Cleaning(longest_gap=2))
    with pytest.raises(UserError, match=r"87,571 steps are missing .* correct these dates"):
        cleaned([*hours[:30], 87_601], values[:31], Cleaning(missing="mask"))


def test_batches_have_masks_only_where_they_are_asked_for() -> None:
    series = cleaned(HOURS, VALUES, Cleaning(missing="mask"))
    start = torch.tensor([1, 3])
    store = Store([series], NoColumns(), masks=True)
    mask = store.next_value_batch(start, 4).mask
    assert mask is not None and mask.shape == (2, 4, 2)
    assert mask[1].tolist() == series.mask[3:7].tolist()
    assert Store([series], NoColumns()).next_value_batch(start, 4).mask is None


@pytest.mark.parametrize(("column", "named"), [("sold", "sold"), ("price", "price")])
def test_a_column_without_a_value_in_the_training_span(
    tmp_path: Path, column: str, named: str
) -> None:
    time = pd.date_range("2024-01-01", periods=400, freq="h")
    table = pd.DataFrame({"time": time, "sold": np.arange(400) % 7, "price": np.arange(400) % 3})
    table[column] = table[column].where(table.index >= 350)
    table.to_csv(tmp_path / "shop.csv", index=False)
    words = ["data=series_csv", f"data.root={tmp_path / 'shop.csv'}", "data.datetime_column=time"]
    words += ["data.value_column=sold", "data.input_columns=[price]", "data/cleaning=masked"]
    with pytest.raises(
        UserError,
        match=f"shop.csv: column '{named}' has no value in the training span, which ends before "
        "2024-01-15 .*; its first is of 2024-01-15 14:00:00: leave this column or series out",
    ):
        build_data(compose([*words, "data.look_back=24", "model=gru"]))
