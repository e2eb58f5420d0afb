"""Meters, counters, money, bytes: series whose level has more digits than a float32."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.memory import Rows
from rnnexp.data.series.normalization import MinMax
from rnnexp.data.series.raw import RawSeries
from rnnexp.errors import UserError
from rnnexp.nn.scaling import Scaling
from rnnexp.runs.experiment import run
from tests.support.shrink import NO_FIGURES, TINY, WINDOWS

HOURS, HIGH = 500, 1_000_000_000
READ = ["data=series_csv", "data.datetime_column=time", "data.unit=wh"]
SMALL = ["trainer.limit_train_batches=3", *TINY, *WINDOWS, *NO_FIGURES]


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNEXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def counted() -> np.ndarray:
    """(HOURS,) float64, a growing counter in steps of a quarter, exact in float32."""
    hour = np.arange(HOURS)
    step = 50 + 30 * np.sin(2 * np.pi * hour / 24) + np.random.default_rng(0).normal(0, 3, HOURS)
    return np.cumsum(np.round(4 * step) / 4)


def write(path: Path, values: np.ndarray) -> Path:
    time = pd.date_range("2020-01-05", periods=len(values), freq="h")
    pd.DataFrame({"time": time, "wh": values}).to_csv(path, index=False)
    return path


def trained(folder: Path, values: np.ndarray, *overrides: str) -> Path:
    folder.mkdir()
    path = write(folder / "meter.csv", values)
    run(compose([*READ, f"data.root={path}", *SMALL, *overrides]), folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def low(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "low", counted())


@pytest.fixture(scope="module")
def high(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("runs") / "high", HIGH + counted())


def test_targets_and_baselines_are_those_of_the_file(high: Path) -> None:
    values = HIGH + counted()
    table = pd.read_csv(high / "predictions.csv", dtype=str)
    tested = int(0.1 * (HOURS - 30))
    assert table["target"].astype(float).tolist() == values[-tested:].tolist()
    assert table["target"].iloc[-1] == repr(float(values[-1])).removesuffix(".0")  # as written

    target, naive = values[-tested:], values[-tested - 1 : -1]
    change = naive + values[-tested - 24 : -24] - values[-tested - 25 : -25]
    metrics = rnnexp.load(high).metrics
    for name, prediction in {"naive": naive, "naive_seasonal_change": change}.items():
        error = np.abs(target - prediction)
        assert metrics[f"baseline/{name}/mae_wh"] == pytest.approx(error.mean(), rel=1e-12)
        rmse = np.sqrt((error**2).mean())
        assert metrics[f"baseline/{name}/rmse_wh"] == pytest.approx(rmse, rel=1e-12)
    own = np.abs(table["prediction"].astype(float) - target).mean()
    assert metrics["test/mae_wh"] == pytest.approx(own, rel=1e-12)


def test_a_level_changes_no_error(low: Path, high: Path) -> None:
    """The same training to the bit, and the same errors, a thousand million higher."""
    digests = [json.loads((folder / "digest.json").read_text()) for folder in (low, high)]
    assert digests[0]["losses"] == digests[1]["losses"]
    a, b = rnnexp.load(low).metrics, rnnexp.load(high).metrics
    for name in a:
        if "mae" in name or "mase" in name or "rmse" in name:
            assert b[name] == pytest.approx(a[name], rel=1e-6), name
    apart = rnnexp.load(high).predictions["prediction"] - rnnexp.load(low).predictions["prediction"]
    assert apart.sub(HIGH).abs().max() < 1e-5


def test_a_finished_run_tests_and_predicts_with_all_digits(
    low: Path, high: Path, tmp_path: Path
) -> None:
    assert main(["test", str(high)]) == 0
    predicted = []
    for folder, level in ((low, 0), (high, HIGH)):
        path = write(tmp_path / "meter.csv", level + counted())
        frame = rnnexp.load(folder).predict(path)
        predicted.append(frame["prediction"].item() - level)
        for ending in ("csv", "json"):
            output = tmp_path / f"answer.{ending}"
            assert main(["predict", str(folder), "--csv", str(path), "--output", str(output)]) == 0
        [written] = json.loads((tmp_path / "answer.json").read_text())
        in_csv = pd.read_csv(tmp_path / "answer.csv")["prediction"].item()
        assert in_csv == written["prediction"] == frame["prediction"].item()
    assert predicted[1] == pytest.approx(predicted[0], abs=1e-5)


@pytest.mark.parametrize("settings", [["bf16-mixed"], ["64-true"], ["32-true", "level"]])
def test_in_every_precision_and_for_levels(tmp_path: Path, settings: list[str]) -> None:
    precision, *level = settings
    target = [f"model.target={one}" for one in level]
    folder = trained(tmp_path / "one", HIGH + counted(), f"trainer.precision={precision}", *target)
    table = rnnexp.load(folder).predictions
    assert table["target"].tolist() == (HIGH + counted())[-len(table) :].tolist()
    reach = np.ptp(counted())
    assert table["prediction"].between(HIGH - reach, HIGH + 2 * reach).all()
    assert table["prediction"].nunique() > len(table) / 2  # not on a coarse grid


# Series that do not change ----------------------------------------------------------------------


def test_a_constant_file_of_a_known_series_is_predicted(
    low: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = rnnexp.load(low)
    time = np.datetime64("2020-03-01") + np.arange(60) * np.timedelta64(1, "h")
    still = RawSeries.from_arrays("meter", time, np.full(60, 1000.0))
    monkeypatch.setattr(type(known.data.source), "read_files", lambda *_: [still])
    assert np.isfinite(known.predict("meter.csv")["prediction"]).all()


def series(values: np.ndarray) -> Series:
    """(M, C) -> a series without defects."""
    time = np.datetime64("2020-01-05T00:00:00") + np.arange(len(values)) * np.timedelta64(1, "h")
    mask, steps = np.full(values.shape, True), np.arange(len(values))
    rows = Rows.beside(time, values[:, 0], steps, values[:, 0], time)
    return Series("pair", time, values, mask, rows)


def test_a_constant_input_column_scales_to_zero() -> None:
    with_input = series(np.column_stack([counted(), np.full(HOURS, 7.0)]))
    scaling = Scaling(**MinMax().scaling([with_input], [HOURS]))
    scaled = scaling(torch.from_numpy(with_input.values).unsqueeze(0), torch.tensor([0]))
    assert scaled[..., 1].eq(0).all() and scaled[..., 0].max() == 1


@pytest.mark.parametrize("step", [0.1, 100.1])
def test_a_straight_line_is_refused_although_its_differences_are_rounded(step: float) -> None:
    """The differences of 0.1, 0.2, 0.3, ... are not all the same float."""
    line = series(np.round(np.arange(HOURS) * step, 1)[:, None])
    assert np.diff(line.values[:, 0]).std() > 0
    with pytest.raises(UserError, match="'pair' changes by the same amount at every step"):
        MinMax().scaling([line], [HOURS])
