"""How series are kept in memory: rows, a common axis of times, and every number once."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.scale import series as study
from rnnexp.config import compose
from rnnexp.data.series.calendar.frequency import Frequency
from rnnexp.data.series.cleaning import Cleaning, clean
from rnnexp.data.series.memory import shared_axis
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.source import SeriesSource
from rnnexp.runs.build import build_data


def times(hours: Sequence[float]) -> np.ndarray:
    return np.datetime64("2020-01-01T00:00:00") + (np.array(hours) * 3600).astype("m8[s]")


@pytest.mark.parametrize("missing", ["fill", "drop"])
@pytest.mark.parametrize("duplicates", ["mean", "keep"])
def test_rows_are_those_of_the_file(missing: str, duplicates: str) -> None:
    """A repeated hour, two gaps, empty cells (one of them last), a value near zero, and -0.0."""
    hours = [0, 1, 2, 2, 5, 6, 7, 8, 10, 11]
    values = np.array([10, 11, np.nan, 13, -0.0, 15, 0.5, 17, 18, np.nan])
    raw = RawSeries.from_arrays("A", times(hours), values)
    policies = Cleaning(duplicates, "fill", missing)  # type: ignore[arg-type]
    series, _ = clean(raw, policies, frequency=Frequency("1h"), season=3, training_rows=10)
    np.testing.assert_array_equal(series.row_time, raw.time)
    np.testing.assert_array_equal(series.row_value.view(np.int64), values.view(np.int64))
    inside = series.row_step < len(series.time)
    kept = ~np.isnan(values) if missing == "drop" else np.full(10, True)
    assert inside[kept].all()
    assert (series.time[series.row_step[kept]] == raw.time[kept]).all()
    assert series.row_step.dtype == np.int64


def test_rows_without_a_defect_take_no_memory() -> None:
    raw = RawSeries.from_arrays("A", times(list(range(50))), np.arange(50.0) + 100)
    frequency = Frequency("1h")
    series, _ = clean(raw, Cleaning(), frequency=frequency, season=24, training_rows=50)
    assert series.rows.step is None
    assert len(series.rows.apart) == len(series.rows.value) == len(series.rows.time) == 0
    assert series.row_step.tolist() == list(range(50))


def test_an_axis_grows_with_its_series_and_keeps_other_grids_apart() -> None:
    series = [
        times([5, 6, 7, 8, 9, 10]),
        times([0, 1, 2, 3, 4, 5, 6]),
        times([5.5, 6.5, 7.5]),
        times([9, 10, 11]),
        times([5, 6, 8]),  # 7 is absent
        times([1, 2]),
        times([6, 6, 7]),  # 6 twice
        times([12, 13]),  # follows the first grid, and has no time of it
    ]
    axis, begins = shared_axis(series)
    for one, begin in zip(series, begins, strict=True):
        np.testing.assert_array_equal(axis[begin : begin + len(one)], one)
    assert len(axis) == 12 + 3 + 3 + 3 + 2


def test_more_grids_than_are_tried() -> None:
    series = [times([minute / 60 + hour for hour in range(3)]) for minute in range(20)] * 2
    axis, begins = shared_axis(series)
    for one, begin in zip(series, begins, strict=True):
        np.testing.assert_array_equal(axis[begin : begin + 3], one)


# All of it ----------------------------------------------------------------------------------------


def arrays(thing: Any) -> list[np.ndarray]:
    """All arrays that a thing holds."""
    if isinstance(thing, torch.Tensor):
        return [thing.numpy()]
    if isinstance(thing, np.ndarray):
        return [thing]
    if isinstance(thing, list):
        return [one for part in thing for one in arrays(part)]
    if dataclasses.is_dataclass(thing):
        return arrays([getattr(thing, field.name) for field in dataclasses.fields(thing)])
    return arrays(list(vars(thing).values())) if hasattr(thing, "__dict__") else []


def kept(source: SeriesSource) -> int:
    """The bytes of all memory behind the arrays of a source; what is shared counts once."""
    blocks: dict[int, int] = {}  # first byte -> size
    for one in arrays([source.store, source.series, source.splits, source.reports]):
        first = one.__array_interface__["data"][0]
        blocks[first] = max(blocks.get(first, 0), one.nbytes)
    total, end = 0, 0
    for first, size in sorted(blocks.items()):  # parts of a block lie within it
        total += max(0, first + size - max(end, first))
        end = max(end, first + size)
    return total


@pytest.mark.parametrize("task", study.TASKS)
@pytest.mark.parametrize(("what", "most"), [("one file", 12), ("one file, with defects", 16)])
def test_a_value_takes_few_bytes(tmp_path: Path, what: str, most: float, task: str) -> None:
    study.write(study.Numbers(series=20, hours=1000), tmp_path)
    name, settings = study.FILES[what]
    words = [*study.READ, *settings, *study.TASKS[task], f"data.root={tmp_path / name}"]
    source: Any = build_data(compose(words)).source
    assert len(source.store.values) > 18_000
    assert kept(source) / len(source.store.values) < most
    for one in source.series:
        assert np.shares_memory(one.values, source.store.values.numpy())
        assert np.shares_memory(one.mask, source.store.mask.numpy())
        assert np.shares_memory(one.time, source.store.axis)
