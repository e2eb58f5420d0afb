"""Cleaning: the defects of real files, the effect of each policy, and causal repairs."""

import time
from io import StringIO
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike
from rich.console import Console

from rnnexp.console import rich_table
from rnnexp.data.series.calendar.frequency import Frequency
from rnnexp.data.series.cleaning import Cleaning, CleaningReport, Series, clean, report_table
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.sources.power_load import read_power_load
from rnnexp.errors import UserError

HOUR = np.timedelta64(1, "h")
KEEP = Cleaning(duplicates="keep", gaps="keep", missing="drop", outliers="keep")


def raw_series(hours: ArrayLike, values: ArrayLike, inputs: ArrayLike | None = None) -> RawSeries:
    time = np.datetime64("2010-01-01T00:00:00") + (np.asarray(hours) * 3600).astype("m8[s]")
    columns = np.array([values] if inputs is None else [values, inputs], dtype=np.float64).T
    return RawSeries("A", Path("A.csv"), time, columns, "")


def cleaned(
    raw: RawSeries, cleaning: Cleaning, season: int = 24, training_rows: int | None = None
) -> tuple[Series, CleaningReport]:
    rows = len(raw.time) if training_rows is None else training_rows
    return clean(raw, cleaning, frequency=Frequency("1h"), season=season, training_rows=rows)


# --- the real files -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(data_root: Path) -> list[RawSeries]:
    folder = data_root / "power_load"
    if not folder.is_dir():
        pytest.skip(f"no power load files in {folder}")
    return read_power_load(folder)


def test_what_is_found_in_the_real_files(real: list[RawSeries]) -> None:
    found = {}
    for raw in real:
        rows = len(raw.time)
        series, report = cleaned(raw, Cleaning(), training_rows=int(0.8 * rows))
        assert report.duplicates == (0 if raw.name == "NI" else 4)
        assert 6 <= report.gaps <= 30
        assert (report.longest_gap, report.missing) == (1, 0)
        assert report.steps == rows - report.duplicates + report.absent == len(series.time)
        found[raw.name] = report.outliers
    if len(found) == 10:
        outliers = {name: count for name, count in found.items() if count}
        assert outliers == {"DOM": 1, "FE": 1, "PJMW": 1}
        assert sum(int(0.1 * (len(raw.time) - 90)) for raw in real) == 91_095


def test_real_near_zero_values_are_replaced_and_stay_as_rows(real: list[RawSeries]) -> None:
    outliers = {"DOM": 1253, "FE": 0, "PJMW": 487}
    for raw in (raw for raw in real if raw.name in outliers):
        series, _ = cleaned(raw, Cleaning(), training_rows=int(0.8 * len(raw.time)))
        row = int(np.nanargmin(series.row_value))
        step = series.row_step[row]
        assert series.row_value[row] == outliers[raw.name]
        assert not series.observed[step]
        assert abs(series.values[step, 0] / series.values[step - 1, 0] - 1) < 0.1


def test_real_files_against_pandas(real: list[RawSeries]) -> None:
    raw = real[0]
    series, _ = cleaned(raw, Cleaning(outliers="keep"))
    reference = pd.Series(raw.values[:, 0], raw.time).groupby(level=0).mean().asfreq("h")
    np.testing.assert_array_equal(series.time, reference.index.to_numpy().astype("M8[s]"))
    np.testing.assert_array_equal(series.observed, reference.notna())
    np.testing.assert_array_equal(
        series.values[series.observed, 0], reference[series.observed].to_numpy()
    )


def test_reading_and_cleaning_all_files_is_quick(real: list[RawSeries]) -> None:
    folder = real[0].path.parent
    start = time.process_time()
    for raw in read_power_load(folder):
        cleaned(raw, Cleaning())
    assert time.process_time() - start < 3


# --- policies -----------------------------------------------------------------------------------


def test_keep_leaves_the_rows_as_they_are() -> None:
    hours, values = [0, 1, 1, 2, 5, 6.5], [10.0, 11, 12, 0, 13, 14]
    series, report = cleaned(raw_series(hours, values), KEEP)
    np.testing.assert_array_equal(series.time, series.row_time)
    assert series.values[:, 0].tolist() == series.row_value.tolist() == values
    assert series.row_step.tolist() == list(range(6))
    assert series.observed.all()
    assert (report.duplicates, report.gaps, report.absent, report.outliers) == (1, 1, 2, 1)
    assert report.repaired == 0


@pytest.mark.parametrize(
    ("policy", "values"),
    [
        ("first", [10, 11, 13]),
        ("last", [10, 19, 13]),
        ("mean", [10, 14, 13]),
        ("keep", [10, 11, 12, 19, 13]),
    ],
)
def test_duplicates(policy: str, values: list[float]) -> None:
    raw = raw_series([0, 1, 1, 1, 2], [10, 11, 12, 19, 13])
    series, report = cleaned(raw, Cleaning(duplicates=policy))  # type: ignore[arg-type]
    assert series.values[:, 0].tolist() == values
    assert series.row_step.tolist() == ([0, 1, 2, 3, 4] if policy == "keep" else [0, 1, 1, 1, 2])
    assert report.duplicates == 2


def test_the_mean_of_duplicates_is_of_those_that_are_there() -> None:
    series, report = cleaned(raw_series([0, 1, 1, 2], [10, np.nan, 12, 13]), Cleaning())
    assert series.values[:, 0].tolist() == [10, 12, 13]
    assert series.observed.all()
    assert report.missing == 1


def test_absent_steps_are_inserted_and_rows_keep_their_values() -> None:
    series, report = cleaned(raw_series([0, 1, 4, 5], [10, 11, 14, 15]), Cleaning())
    assert ((series.time - series.time[0]) / HOUR).tolist() == list(range(6))
    assert series.values[:, 0].tolist() == [10, 11, 11, 11, 14, 15]
    assert series.observed.tolist() == [True, True, False, False, True, True]
    assert series.row_step.tolist() == [0, 1, 4, 5]
    assert series.row_value.tolist() == [10, 11, 14, 15]
    assert (report.gaps, report.absent, report.longest_gap, report.repaired) == (1, 2, 2, 2)


def test_duplicates_may_stay_beside_inserted_steps() -> None:
    raw = raw_series([0, 1, 1, 3], [10, 11, 12, 14])
    series, _ = cleaned(raw, Cleaning(duplicates="keep"))
    assert ((series.time - series.time[0]) / HOUR).tolist() == [0, 1, 1, 2, 3]
    assert series.values[:, 0].tolist() == [10, 11, 12, 12, 14]
    assert series.row_step.tolist() == [0, 1, 2, 4]


def test_a_row_that_is_left_out_has_the_step_that_comes_next() -> None:
    raw = raw_series([0, 1, 2, 3], [10, np.nan, 12, np.nan])
    series, report = cleaned(raw, KEEP)
    assert series.values[:, 0].tolist() == [10, 12]
    assert series.row_step.tolist() == [0, 1, 1, 2]
    assert np.isnan(series.row_value[[1, 3]]).all()
    assert report.missing == 2


def test_the_table_counts_the_target_and_names_the_other_columns() -> None:
    raw = raw_series([0, 1, 2, 3], [10, np.nan, 12, 13], [np.nan, 0.5, np.nan, 0.75])
    table = report_table([cleaned(raw, Cleaning())[1]])
    found = dict(zip([column.heading for column in table.columns], table.rows[0], strict=True))
    assert (found["empty"], found["repaired"]) == ("1", "1")
    assert table.caption == "further columns: 2 empty, not counted here"


def test_empty_cells_are_filled_in_every_column() -> None:
    raw = raw_series([0, 1, 2, 4], [10, np.nan, 12, 13], [np.nan, 0.5, np.nan, 0.75])
    series, report = cleaned(raw, Cleaning())
    assert series.values.tolist() == [[10, 0.5], [10, 0.5], [12, 0.5], [12, 0.5], [13, 0.75]]
    assert series.observed.tolist() == [True, False, True, False, True]
    assert report.missing == 3


def test_near_zero_is_judged_by_the_training_rows_alone() -> None:
    values = np.concatenate([np.full(40, 100.0) + np.arange(40) / 40, np.full(60, 1000.0)])
    values[60] = (
        21.0  # near zero for the whole file (median 101 to 1000), not for the training rows
    )
    values[70] = 19.0
    series, report = cleaned(raw_series(range(100), values), Cleaning(), training_rows=40)
    assert report.outliers == 1
    assert np.flatnonzero(~series.observed).tolist() == [70]
    assert series.row_value[70] == 19


def test_a_series_around_zero_has_no_outliers() -> None:
    values = np.sin(np.arange(100)) - 0.1
    series, report = cleaned(raw_series(range(100), values), Cleaning())
    assert report.outliers == 0
    assert series.observed.all()


# --- repairs ------------------------------------------------------------------------------------


def test_one_step_continues_with_the_change_of_the_season_before() -> None:
    values = np.random.default_rng(0).uniform(100, 200, 60)
    values[:24].sort()  # some room between the smallest and the largest
    raw = raw_series(range(60), np.where(np.arange(60) == 40, np.nan, values))
    series, _ = cleaned(raw, Cleaning())
    expected = values[39] + values[16] - values[15]
    assert values[:40].min() < expected < values[:40].max()
    assert series.values[40, 0] == pytest.approx(expected, rel=1e-12)


def test_a_periodic_series_is_restored_and_a_long_run_repeats_itself() -> None:
    day = 100 + 10 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    values = np.tile(day, 10)
    hours = np.delete(np.arange(240), np.arange(50, 50 + 100))
    series, report = cleaned(raw_series(hours, values[hours]), Cleaning())
    np.testing.assert_allclose(series.values[:, 0], values, rtol=1e-12)
    assert report.longest_gap == report.repaired == 100


def test_repairs_stay_within_the_range_seen_before() -> None:
    # a sunny day, then a dull one that breaks off at noon: the sunny evening's fall would end
    # below zero
    sunny, dull = 1000 * np.sin(np.arange(24) / 24 * np.pi), 50 * np.sin(np.arange(24) / 24 * np.pi)
    values = np.concatenate([sunny, sunny, dull, sunny])
    hours = np.delete(np.arange(96), np.arange(62, 72))
    series, _ = cleaned(raw_series(hours, values[hours]), Cleaning(outliers="keep"))
    repaired = series.values[62:72, 0]
    assert (repaired >= 0).all()
    assert (repaired <= 1000).all()


def test_steps_before_the_first_value_take_it() -> None:
    series, _ = cleaned(raw_series(range(4), [np.nan, np.nan, 12, 13]), Cleaning())
    assert series.values[:, 0].tolist() == [12, 12, 12, 13]
    assert series.observed.tolist() == [False, False, True, True]


def dirty_series(generator: np.random.Generator) -> RawSeries:
    """600 rows with duplicates, gaps, empty cells and values near zero, and one extra input."""
    hours = np.sort(generator.choice(640, 590, replace=False))
    hours = np.sort(np.concatenate([hours, generator.choice(hours, 10, replace=False)]))
    values = 1000 + 200 * np.sin(hours / 24 * 2 * np.pi) + generator.normal(0, 20, 600)
    inputs = generator.normal(0, 1, 600)
    values[generator.choice(np.arange(1, 600), 20, replace=False)] = np.nan
    values[generator.choice(600, 5, replace=False)] = 3.0
    inputs[generator.choice(np.arange(1, 600), 20, replace=False)] = np.nan
    return raw_series(hours, values, inputs)


@pytest.mark.parametrize(
    "policies",
    list(
        product(
            ("keep", "first", "last", "mean"), ("keep", "fill"), ("drop", "fill"), ("keep", "fill")
        )
    ),
    ids="-".join,
)
def test_no_step_depends_on_a_later_row(policies: tuple[str, ...]) -> None:
    cleaning = Cleaning(*policies)  # type: ignore[arg-type]
    raw = dirty_series(np.random.default_rng(1))
    before, _ = cleaned(raw, cleaning, training_rows=400)
    assert not np.isnan(before.values).any()
    assert (np.diff(before.row_step) >= 0).all()
    for row in (450, 500, 599):
        changed = raw.values.copy()
        changed[row:] = changed[row:] * -3 + 17
        later = RawSeries(raw.name, raw.path, raw.time, changed, "")
        after, _ = cleaned(later, cleaning, training_rows=400)
        step = before.row_step[row]
        np.testing.assert_array_equal(before.values[:step], after.values[:step])
        np.testing.assert_array_equal(before.time[:step], after.time[:step])
        assert not np.array_equal(before.values[step:], after.values[step:])


# --- mistakes -----------------------------------------------------------------------------------


def test_a_row_off_the_grid_is_an_error_that_names_it() -> None:
    raw = raw_series([0, 1, 2, 3.5, 4.5], [1, 2, 3, 4, 5])
    with pytest.raises(UserError, match=r"A\.csv: 2010-01-01 03:30:00.*data\.cleaning\.gaps=keep"):
        cleaned(raw, Cleaning())
    cleaned(raw, Cleaning(gaps="keep"))


def test_the_wrong_frequency_is_an_error_that_names_the_right_one() -> None:
    raw = raw_series(np.arange(10) / 2, range(10))
    with pytest.raises(UserError, match=r"0:30:00 apart, but data\.frequency is 1:00:00"):
        cleaned(raw, Cleaning())
    daily = raw_series(np.arange(10) * 24, range(10))
    with pytest.raises(UserError, match=r"are 1 day apart"):
        cleaned(daily, Cleaning())


def test_a_gap_that_is_too_long_is_an_error() -> None:
    raw = raw_series([0, 1, 2, 6, 7], [1, 2, 3, 4, 5])
    cleaned(raw, Cleaning(longest_gap=3))
    with pytest.raises(
        UserError, match=r"3 steps are missing between 2010-01-01 02:00:00 and 2010-01-01 06:00:00"
    ):
        cleaned(raw, Cleaning(longest_gap=2))
    cleaned(raw, Cleaning(longest_gap=2, gaps="keep"))


def test_every_row_left_out() -> None:
    raw = raw_series(range(2), [1, np.nan], [np.nan, 2])
    with pytest.raises(UserError, match=r"data\.cleaning\.missing=fill"):
        cleaned(raw, Cleaning(missing="drop"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"duplicates": "fist"},
            r"data\.cleaning\.duplicates cannot be 'fist'.*did you mean first",
        ),
        ({"gaps": "interpolate"}, r"data\.cleaning\.gaps cannot be.*choose from fill, keep"),
        ({"near_zero": 1.5}, r"data\.cleaning\.near_zero"),
        ({"longest_gap": -1}, r"data\.cleaning\.longest_gap"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Cleaning(**settings)


def test_the_table_shows_what_was_found() -> None:
    _, report = cleaned(raw_series([0, 1, 1, 4, 5], [10, 11, 12, 0, 15]), Cleaning())
    console = Console(width=140, file=StringIO())
    with console.capture() as shown:
        console.print(rich_table(report_table([report]), console.width))
    (line,) = (line for line in shown.get().splitlines() if "2010" in line)
    assert " ".join(line.split()) == "A 2010-01-01 2010-01-01 5 1 1 0 1 6 3"
