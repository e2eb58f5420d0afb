"""Windows, chunking and batch order, against pandas and plain slices."""

import dataclasses
from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.samplers import SequentialBatches, ShuffledBatches
from rnnexp.data.series.chunking import EveryStep, RunningBasis
from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.conditioning import CyclicColumns, LectureColumns, NoColumns
from rnnexp.data.series.memory import Rows
from rnnexp.data.series.windows import Store, Windows, seasonal_change
from rnnexp.errors import UserError


def series(name: str, values: Sequence[float], start: str = "2020-02-28 22:00") -> Series:
    time = np.datetime64(start, "s") + np.arange(len(values)) * np.timedelta64(3600, "s")
    column = np.array(values, dtype=np.float64)
    steps = np.arange(len(values))
    observed = np.ones(len(values), dtype=bool)
    rows = Rows.beside(time, column, steps, column, time)
    return Series(name, time, column[:, None], observed[:, None], rows)


@pytest.fixture
def store() -> Store:
    return Store([series("A", list(range(100, 130))), series("B", list(range(20)))], NoColumns())


def test_windows_are_slices_of_one_series(store: Store) -> None:
    values, _, number = store.inputs(torch.tensor([3, 30, 42]), 5)
    assert values[..., 0].tolist() == [
        [103, 104, 105, 106, 107],
        [0, 1, 2, 3, 4],
        [12, 13, 14, 15, 16],
    ]
    assert number.tolist() == [0, 1, 1]


def test_series_on_a_grid_share_its_times_and_all_arrays_are_the_store_s() -> None:
    """A later start, half an hour beside the grid, within the first one, and apart from all."""
    starts = [
        "2020-01-01 00",
        "2020-01-01 09",
        "2020-01-01 00:30",
        "2020-01-01 02",
        "2020-03-01 00",
    ]
    own = [series(start, list(range(20)), start) for start in starts]
    store = Store(own, LectureColumns())
    assert store.axis.nbytes == 8 * (29 + 20 + 20)
    for number, (one, part) in enumerate(zip(own, store.parts(own), strict=True)):
        positions = torch.arange(int(store.first[number]), int(store.first[number + 1]))
        np.testing.assert_array_equal(store.times(positions), one.time)
        calendar_of = LectureColumns().calendar
        assert torch.equal(store.calendar_at(positions), calendar_of(one.time))
        _, calendar, _ = store.inputs(positions[4:5], 10)
        expected = LectureColumns().encode(calendar_of(one.time[4:14]))
        assert torch.equal(calendar[0], expected)
        np.testing.assert_array_equal(part.time, one.time)
        np.testing.assert_array_equal(part.values, one.values)
        assert np.shares_memory(part.time, store.axis)
        assert np.shares_memory(part.values, store.values.numpy())
        assert np.shares_memory(part.mask, store.mask.numpy())
        assert part.rows.step is None and len(part.rows.apart) == 0


def test_running_basis_is_every_window_of_every_training_span(store: Store) -> None:
    spans = [(0, 20), (30, 44)]
    starts = RunningBasis(stride=3).starts(store, spans, look_back=5, seed=0, epoch=0)
    expected = [s for a, b in spans for s in range(a, b) if (s - a) % 3 == 0 and s + 5 < b]
    assert starts.tolist() == expected
    batch = RunningBasis().batch(store, starts, 5)
    assert batch.target[:, 0].tolist() == [store.values[s + 5, 0] for s in expected]


def test_a_repaired_value_is_never_a_target(store: Store) -> None:
    store.observed[10] = False
    spans = [(0, 30), (30, 50)]
    starts = RunningBasis().starts(store, spans, look_back=5, seed=0, epoch=0)
    assert 5 not in starts.tolist() and 4 in starts.tolist()
    every = EveryStep(length=6, warm_up=0).batch(store, torch.tensor([4, 7]), 5)
    assert every.weight.tolist() == [
        [True, True, True, True, True, False],
        [True, True, False, True, True, True],
    ]


def test_every_step_cuts_without_overlap_and_stays_in_its_span(store: Store) -> None:
    spans, chunking = [(0, 30), (30, 50)], EveryStep(length=4, warm_up=1)
    counts, offsets = set(), set()
    for epoch in range(40):
        starts = chunking.starts(store, spans, 5, seed=0, epoch=epoch)
        counts.add(len(starts))
        offsets.add(int(starts[0]))
        for a, b in spans:
            own = [s for s in starts.tolist() if a <= s < b]
            assert all(later - earlier == 4 for earlier, later in pairwise(own))
            assert own[-1] + 4 < b  # the last target is inside
    assert len(counts) == 1
    assert offsets == {0, 1, 2, 3}
    batch = chunking.batch(store, torch.tensor([31]), 5)
    assert batch.target.tolist() == [[2, 3, 4, 5]]
    assert batch.weight.tolist() == [[False, True, True, True]]


def test_evaluation_targets_are_the_rows_own(store: Store) -> None:
    scale = torch.tensor([1.0, 2.0])
    windows = Windows(torch.tensor([2, 31]), torch.tensor([7.5, 8.5]), np.array([]), scale)
    batch = store.evaluation_batch(windows, slice(0, 2), 3)
    assert batch.values[..., 0].tolist() == [[102, 103, 104], [1, 2, 3]]
    assert batch.target.tolist() == [[7.5], [8.5]]


def test_seasonal_change_by_hand() -> None:
    """The scale of MASE: over the first rows alone, and over values of the file alone."""
    one = series("A", [1, 5, 2, 9, 7, 100])
    assert seasonal_change(one, rows=5, season=2) == (1 + 4 + 5) / 3
    empty = np.array([1, 5, np.nan, 9, 7, 100])
    rows = Rows.beside(one.time, one.values[:, 0], one.row_step, empty, one.time)
    lacking = dataclasses.replace(one, rows=rows)
    assert seasonal_change(lacking, rows=5, season=2) == 4
    assert np.isnan(seasonal_change(one, rows=2, season=2))
    assert seasonal_change(series("B", [3, 4] * 4), rows=8, season=2) == 0


def test_seasonal_change_counts_steps_not_rows() -> None:
    """Rows 0, 1, 1, 3, 4: a repeated hour, and a missing one, which was filled."""
    steps, values = np.array([0, 1, 1, 3, 4]), np.array([1.0, 10.0, 30.0, 14.0, 2.0])
    filled = np.array([[1.0], [20.0], [8.0], [14.0], [2.0]])
    time = series("C", [0] * 5).time
    rows = Rows.beside(time, filled[:, 0], steps, values, time)
    one = Series("C", time, filled, np.array([[1], [1], [0], [1], [1]], dtype=bool), rows)
    assert seasonal_change(one, rows=5, season=2) == 4  # 14 - 10; step 2 has no row
    assert seasonal_change(one, rows=5, season=1) == np.mean([9, 29, 12])


def test_order_is_a_function_of_seed_and_epoch() -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = ShuffledBatches(lambda _: torch.arange(10), 4, seed)
        sampler.set_epoch(epoch)
        return [batch.tolist() for batch in sampler]

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)
    assert sorted(chain(*order(0, 3))) == list(range(10))
    assert [len(batch) for batch in order(0, 0)] == [4, 4, 2]
    dropping = ShuffledBatches(lambda _: torch.arange(10), 4, 0, drop_last=True)
    assert len(dropping) == 2 and [len(batch) for batch in dropping] == [4, 4]


def test_without_reshuffle_every_epoch_is_the_first() -> None:
    def epochs(reshuffle: bool) -> list[list[int]]:
        sampler = ShuffledBatches(lambda _: torch.arange(10), 10, 0, reshuffle=reshuffle)
        orders = []
        for epoch in (0, 1):
            sampler.set_epoch(epoch)
            orders += [batch.tolist() for batch in sampler]
        return orders

    first, second = epochs(reshuffle=True)
    assert first != second
    assert epochs(reshuffle=False) == [first, first]


def test_order_leaves_the_global_stream_alone() -> None:
    before = torch.get_rng_state()
    sampler = ShuffledBatches(lambda _: torch.arange(10), 4, 0)
    list(BatchLoader(sampler, lambda batch: batch))
    assert torch.equal(before, torch.get_rng_state())


def test_sequential_batches_cover_everything_once() -> None:
    batches = SequentialBatches(10, 4)
    assert [torch.arange(10)[b].tolist() for b in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(batches) == 3


def test_lecture_columns_against_pandas() -> None:
    when = pd.date_range("2016-01-01", "2016-12-31 23:00", freq="7h")
    lecture = LectureColumns()
    columns = lecture.encode(lecture.calendar(when.to_numpy().astype("datetime64[s]")))
    table = pd.DataFrame(
        {"h": when.hour, "d": when.day_of_week, "m": when.month, "y": when.day_of_year}
    )
    lowest, highest = (
        pd.Series([0, 0, 1, 1], table.columns),
        pd.Series([23, 6, 12, 366], table.columns),
    )
    expected = ((table - lowest) / (highest - lowest)).to_numpy()
    np.testing.assert_allclose(columns.numpy(), expected, rtol=1e-6)


def test_cyclic_columns_meet_at_midnight_and_new_year() -> None:
    times = ["2016-12-31 23:59", "2017-01-01 00:00", "2017-01-01 12:00", "2017-01-04 06:00"]
    cyclic = CyclicColumns(harmonics=2)
    columns = cyclic.encode(cyclic.calendar(np.array(times, dtype="datetime64[s]")))
    assert columns.shape == (4, 13)
    late, midnight, noon, morning = columns
    day = slice(0, 4)
    assert (late[day] - midnight[day]).abs().max() < 0.01
    torch.testing.assert_close(midnight[day], torch.tensor([0.0, 0, 1, 1]))
    torch.testing.assert_close(noon[day], torch.tensor([0.0, 0, -1, 1]), atol=1e-6, rtol=0)
    torch.testing.assert_close(morning[day], torch.tensor([1.0, 0, 0, -1]), atol=1e-6, rtol=0)
    assert midnight[4:11].tolist() == [0, 0, 0, 0, 0, 0, 1]  # a Sunday
    assert (late[11:] - midnight[11:]).abs().max() < 0.02


@pytest.mark.parametrize("harmonics", [-1, 721, 10**19])
def test_harmonics_that_are_none(harmonics: int) -> None:
    with pytest.raises(UserError, match=r"data\.conditioning\.harmonics is .*: it must be from 0"):
        CyclicColumns(harmonics)
