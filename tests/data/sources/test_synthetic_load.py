"""The SYNTHETIC load has the defects of real files, and a model can beat the simple rules."""

from pathlib import Path

import numpy as np
import pytest

from rnnexp.data.series.calendar.frequency import Frequency
from rnnexp.data.series.cleaning import Cleaning, clean
from rnnexp.data.sources.power_load import read_power_load
from rnnexp.data.sources.synthetic_load import write_synthetic_load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_synthetic_load(folder, 0)
    return folder


def contents(paths: list[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


def test_a_seed_gives_the_same_bytes_and_another_gives_others(tmp_path: Path, folder: Path) -> None:
    again = contents(write_synthetic_load(tmp_path, 0))
    assert again == contents(sorted(folder.iterdir()))
    assert contents(write_synthetic_load(tmp_path, 0, series=1)) == again[:1]
    assert not set(contents(write_synthetic_load(tmp_path, 1))) & set(again)


def test_it_draws_nothing_from_the_global_stream(tmp_path: Path) -> None:
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    write_synthetic_load(tmp_path, 0, series=1, days=30)
    assert np.random.random() == expected


def test_it_says_that_it_is_synthetic_and_has_the_format_of_the_real_files(folder: Path) -> None:
    lines = (folder / "SYNTHETIC1_hourly.csv").read_text().splitlines()
    assert len(lines) == 1 + 730 * 24
    assert lines[0] == "Datetime,SYNTHETIC1_MW"
    assert lines[1].startswith("2015-12-31 01:00:00,")  # a year's last day comes first
    assert lines[1].endswith(".0")


def test_it_has_the_traps_of_the_real_files(folder: Path) -> None:
    for raw in read_power_load(folder):
        rows = len(raw.time)
        _, report = clean(
            raw, Cleaning(), frequency=Frequency("1h"), season=24, training_rows=int(0.8 * rows)
        )
        assert rows == 730 * 24
        assert (report.duplicates, report.gaps, report.longest_gap, report.outliers) == (2, 2, 1, 1)
        apart = np.diff(raw.time)
        twice = raw.time[1:][apart == np.timedelta64(0, "s")]
        assert twice.astype("M8[h]").astype(str).tolist() == ["2015-11-01T01", "2016-11-06T01"]
        skipped = raw.time[:-1][apart > np.timedelta64(1, "h")]
        assert skipped.astype("M8[h]").astype(str).tolist() == ["2015-03-08T01", "2016-03-13T01"]


def test_there_is_more_to_learn_than_the_simple_rule(folder: Path) -> None:
    """Least squares on a week of lags clearly beats naive + seasonal change, which clearly beats
    the naive forecast."""
    for raw in read_power_load(folder):
        series, _ = clean(
            raw, Cleaning(), frequency=Frequency("1h"), season=24, training_rows=14_000
        )
        load = series.values[:, 0]
        past = np.lib.stride_tricks.sliding_window_view(load, 170)[:-1] / load.mean()
        lags = np.column_stack([past[:, -49:], past[:, [0, 1, 2]], np.ones(len(past))])
        target = load[170:]
        training, test = slice(0, 14_000), slice(14_000, None)
        weights = np.linalg.lstsq(lags[training], target[training], rcond=None)[0]

        def error(prediction: np.ndarray, target: np.ndarray = target[test]) -> float:
            return float(100 * np.mean(np.abs(prediction / target - 1)))

        linear = error(lags[test] @ weights)
        simple = error((past[test, -1] + past[test, -24] - past[test, -25]) * load.mean())
        last = error(past[test, -1] * load.mean())
        assert linear < 0.85 * simple < 0.85 * 0.5 * last
        assert linear > 0.3  # and yet there is noise
