"""Baselines of a horizon on windows of any choice: ridge, and what reaches them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.build import build_data
from rnnexp.tasks.horizon import baselines
from rnnexp.tasks.horizon.baselines import (
    baseline_forecasts,
    horizon_baselines,
    targets,
    training_positions,
)
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.windows import HorizonWindows
from tests.support.shop import COLUMNS, shop
from tests.support.shrink import QUIET, TINY

HORIZON = [*COLUMNS, "task=horizon", "data.look_back=48", "data.horizon=24", "data.batch_size=8"]
HORIZON += ["data.test_windows=3", "data.validation_windows=2"]
KEPT = ["data.cleaning.outliers=keep"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    shop().to_csv("shop.csv", index=False)
    return tmp_path


def read(*settings: str) -> HorizonData:
    data = build_data(compose([*HORIZON, *KEPT, *settings]))
    assert isinstance(data, HorizonData)
    return data


def first_window(data: HorizonData) -> HorizonWindows:
    windows = data.windows("test")
    return windows[:1]


# Ridge --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 23])
def test_ridge_is_that_of_scikit_learn(here: Path, step: int) -> None:
    """700 hours: 580 of training, 48 of validation, 72 of the test."""
    table = shop()
    sold, price = (table[name].to_numpy(dtype=float) for name in ("sold", "price"))
    time = pd.to_datetime(table["time"])
    turns = 2 * np.pi * time.dt.hour.to_numpy() / 24
    year = 2 * np.pi * (time.dt.day_of_year.to_numpy() - 1) / 366
    features = [wave(k * turns) for k in (1, 2, 3) for wave in (np.sin, np.cos)]
    features += [np.eye(7)[time.dt.day_of_week][:, day] for day in range(7)]
    features += [np.sin(year), np.cos(year)]
    price = (price - price[:580].mean()) / price[:580].std(ddof=1)
    scaled = (sold - sold[:580].mean()) / sold[:580].std(ddof=1)

    def inputs(issued: np.ndarray) -> np.ndarray:
        """The first predicted step of a window is `issued`."""
        last = np.stack([scaled[i - 48 : i] for i in issued])
        at = issued + step
        return np.column_stack([last, price[at], *(one[at] for one in features)])

    training, tested = np.arange(48, 580 - 24 + 1), np.array([628, 652, 676])
    model = Ridge(alpha=1.0).fit(inputs(training), scaled[training + step])
    expected = model.predict(inputs(tested)) * sold[:580].std(ddof=1) + sold[:580].mean()

    data = read()
    found = baseline_forecasts(data, data.windows("test"))["ridge"]
    assert found[:, step].tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_ridge_is_not_fitted_on_repaired_values(here: Path) -> None:
    """The products of the windows whose step has no value are taken away exactly."""
    table = shop()
    table.loc[[100, 200, 201, 202, 300], "sold"] = np.nan
    table.to_csv("shop.csv", index=False)
    data = read()
    store, windows = data.source.store, data.windows("test")
    assert int((~store.observed).sum()) == 5
    found = baseline_forecasts(data, windows)["ridge"]

    inputs = baselines._Inputs(data, data.source.training_spans()[0])
    [span] = data.source.training_spans()
    training = training_positions(data.source, span, 10_000)
    kept = training[store.observed[training + 5]]
    assert len(kept) == len(training) - 5

    def of(issued: torch.Tensor) -> np.ndarray:
        return np.column_stack([inputs.before(issued)[:, 1:], inputs.at(issued + 5)])

    model = Ridge(alpha=1.0).fit(of(kept), inputs.target(kept + 5))
    scaled = model.predict(of(windows.start + 48))
    expected = scaled * inputs.deviation[0].item() + inputs.mean[0].item()
    assert found[:, 5].tolist() == pytest.approx(expected.tolist())


def test_a_series_with_one_training_window_repeats_its_last_season(here: Path) -> None:
    """256 hours of training, and windows of 250 + 6."""
    shop(256 + 18).to_csv("shop.csv", index=False)
    lengths = ["data.look_back=250", "data.horizon=6", "data.stride=1"]
    data = read("data.validation_windows=null", "data.validation_fraction=0", *lengths)
    forecasts = baseline_forecasts(data, data.windows("test"))
    assert torch.equal(forecasts["ridge"], forecasts["seasonal_naive_day"])


def test_training_windows_begin_at_every_hour_of_the_week(here: Path) -> None:
    data = read()
    [(first, end)] = data.source.training_spans()
    positions = training_positions(data.source, (first, end), 100)
    assert positions[0] == 48 and positions[-1] <= 580 - 24 and len(positions) <= 100
    assert positions.diff().unique().tolist() == [11]  # 6 to 10 have a divisor in common with 168
    assert training_positions(data.source, (first, first + 71), 100).tolist() == []
    assert training_positions(data.source, (first, first + 72), 100).tolist() == [48]


def test_each_series_has_its_own_ridge(here: Path) -> None:
    def one(number: int) -> pd.DataFrame:
        table = shop()
        table["sold"] = table["sold"].sample(frac=1, random_state=number).to_numpy() * 10**number
        return table

    folders = {"a": [0], "b": [1], "both": [0, 1]}
    for folder, numbers in folders.items():
        Path(folder).mkdir()
        for number in numbers:
            one(number).to_csv(f"{folder}/{number}.csv", index=False)
    found = {}
    for folder in folders:
        data = read(f"data.root={folder}")
        found[folder] = baseline_forecasts(data, data.windows("test"))["ridge"]
    assert torch.equal(found["both"], torch.cat([found["a"], found["b"]]))


# What reaches a baseline --------------------------------------------------------------------------


def test_nothing_that_is_observed_later_reaches_a_baseline(here: Path) -> None:
    data = read()
    window = first_window(data)
    before = baseline_forecasts(data, window)
    issued, values = int(window.start) + 48, data.source.store.values
    values[issued:, 0] = torch.nan  # the target
    values[issued:, 2] = torch.nan  # visits, which are not known
    after = baseline_forecasts(data, window)
    assert before.keys() == after.keys() >= {"naive", "seasonal_naive_day", "ridge"}
    for name in before:
        assert torch.equal(after[name], before[name]), name

    values[issued + 5, 1] += 1  # the price, which is known
    changed = baseline_forecasts(data, window)["ridge"] != before["ridge"]
    assert changed.nonzero().tolist() == [[0, 5]]


def test_a_spike_in_the_file_reaches_no_earlier_forecast(here: Path) -> None:
    data = read()
    before = baseline_forecasts(data, first_window(data))
    table = shop()
    table.loc[628:, ["sold", "visits"]] = 1e6
    table.to_csv("shop.csv", index=False)
    spiked = read()
    after = baseline_forecasts(spiked, first_window(spiked))
    assert all(torch.equal(after[name], before[name]) for name in before)


# Metrics, other windows, and the cache ------------------------------------------------------------


def test_the_metrics_are_those_of_the_windows(here: Path) -> None:
    data = read()
    whole, parts = data.windows("test"), []
    for chosen in range(3):
        alone = whole[chosen : chosen + 1]
        parts.append(horizon_baselines(data, alone)["ridge"]["mase"])
    pooled = horizon_baselines(data, whole)["ridge"]
    assert pooled["mase"] == pytest.approx(np.mean(parts))
    forecasts = baseline_forecasts(data, whole)["ridge"]
    error = (forecasts - targets(data, whole)).abs()
    assert pooled["mae"] == pytest.approx(float(error.mean()))
    assert horizon_baselines(data, data.windows("validation")).keys() == {
        "naive",
        "seasonal_naive_day",
        "seasonal_naive_week",
        "ridge",
    }


def test_a_second_run_takes_them_from_the_cache_and_a_recorded_one_is_repeated(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["train", *HORIZON, *TINY, *QUIET]
    assert main([*run, "hydra.run.dir=first"]) == 0
    first = json.loads(Path("first/metrics.json").read_text())
    assert "test/sql" in first
    assert first["baseline/ridge/mase"] > 0 and "baseline/ridge/sql" not in first
    with monkeypatch.context() as patch:
        patch.setattr("rnnexp.tasks.horizon.task.horizon_baselines", None)
        assert main([*run, "hydra.run.dir=second"]) == 0
        assert main(["test", "first"]) == 0
    assert "computed again" not in capsys.readouterr().out
    assert json.loads(Path("second/metrics.json").read_text()) == first


def test_a_run_that_has_not_recorded_ridge_is_repeated(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fewer(*arguments: Any) -> dict[str, dict[str, float]]:
        found = horizon_baselines(*arguments)
        return {name: found[name] for name in found if name != "ridge"}

    with monkeypatch.context() as patch:
        patch.setattr("rnnexp.tasks.horizon.task.horizon_baselines", fewer)
        assert main(["train", *HORIZON, *TINY, *QUIET, "hydra.run.dir=run"]) == 0
    assert "ridge" not in Path("run/metrics.json").read_text()
    capsys.readouterr()
    assert main(["rerun", "run"]) == 0
    said = capsys.readouterr().out
    assert "identical" in said and "ridge" in said


def test_the_cache_tells_apart_what_ridge_reads(here: Path) -> None:
    one, other, third = read(), read("data.known=[]"), read("data.conditioning.harmonics=2")
    assert one.identity() == read("seed=1").identity() != other.identity()
    assert one.identity() != third.identity()
    assert one.identity() != one.identity(one.windows("validation"))
