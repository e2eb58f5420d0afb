"""Forecasting baselines against pandas and scikit-learn on the same windows."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

from rnnexp.config import compose
from rnnexp.runs.build import build_data
from rnnexp.tasks.baseline_cache import BaselineCache, baseline_metrics
from rnnexp.tasks.forecasting.baselines import forecasting_baselines
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.task import Forecasting
from tests.support.load_files import write_load_files

KEEP = ["data/cleaning=keep", "data/chunking=running_basis", "data.validation_fraction=0.0"]


def load(root: Path, *overrides: str) -> ForecastingData:
    data = build_data(compose(["data=power_load", f"data.root={root}", *overrides]))
    assert isinstance(data, ForecastingData)
    return data


def smape(prediction: np.ndarray, target: np.ndarray) -> float:
    return float(200 * np.mean(np.abs(prediction - target) / np.abs(prediction + target)))


def test_rules_against_pandas(tmp_path: Path) -> None:
    write_load_files(tmp_path)
    found = forecasting_baselines(load(tmp_path, *KEEP, "data.look_back=30"))
    parts = []
    for path in sorted(tmp_path.glob("*.csv")):
        table = pd.read_csv(path, parse_dates=["Datetime"]).sort_values("Datetime", kind="stable")
        y = table.iloc[:, 1].reset_index(drop=True)
        lags = {"naive": y.shift(1), "seasonal_naive_day": y.shift(24)}
        lags["seasonal_naive_week"] = y.shift(168)
        lags["naive_seasonal_change"] = y.shift(1) + y.shift(24) - y.shift(25)
        rows = int(0.1 * (len(y) - 30))
        parts.append(pd.DataFrame({"target": y, **lags}).tail(rows))
    pooled = pd.concat(parts)
    for rule in ("naive", "seasonal_naive_day", "seasonal_naive_week", "naive_seasonal_change"):
        expected = smape(pooled[rule].to_numpy(), pooled["target"].to_numpy())
        assert found[rule]["smape"] == pytest.approx(expected, rel=1e-6)
        mae = (pooled[rule] - pooled["target"]).abs().mean()
        assert found[rule]["mae_MW"] == pytest.approx(mae, rel=1e-6)


def test_ridge_against_scikit_learn(tmp_path: Path) -> None:
    write_load_files(tmp_path)
    found = forecasting_baselines(load(tmp_path, *KEEP, "data.look_back=30"))
    predictions, targets = [], []
    for path in sorted(tmp_path.glob("*.csv")):
        table = pd.read_csv(path, parse_dates=["Datetime"]).sort_values("Datetime", kind="stable")
        y = table.iloc[:, 1].to_numpy()
        windows = np.stack([y[i : i + 30] for i in range(len(y) - 30)])
        tested = int(0.1 * len(windows))
        deviation = y[:-tested].std(ddof=1)
        model = Ridge(alpha=1.0).fit(windows[:-tested] / deviation, y[30:-tested])
        predictions.append(model.predict(windows[-tested:] / deviation))
        targets.append(y[-tested:])
    expected = smape(np.concatenate(predictions), np.concatenate(targets))
    assert found["ridge"]["smape"] == pytest.approx(expected, rel=1e-5)


def test_baselines_are_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    calls = []

    def compute() -> dict[str, dict[str, float]]:
        calls.append(1)
        return {"rule": {"smape": 0.1 + 0.2}}

    def get(data: str, reads: bool = True) -> float:
        return BaselineCache(reads=reads).get({"data": data}, ["smape"], compute)["rule"]["smape"]

    assert get("a") == get("a") == 0.1 + 0.2
    assert len(calls) == 1
    get("b")
    assert len(calls) == 2
    get("a", reads=False)
    assert len(calls) == 3
    for path in (tmp_path / "cache/baselines").iterdir():
        path.write_text("{ half")
    get("a")
    assert len(calls) == 4


@pytest.mark.slow
def test_published_figures(
    data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the ten real files without cleaning; percent, measured with other code."""
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path))
    data = load(data_root / "power_load", *KEEP)
    network = cast(Any, torch.nn.Identity())
    found = baseline_metrics(Forecasting(network, data.spec, torch.optim.SGD), data)
    published = {
        "naive": 3.176,
        "seasonal_naive_day": 7.196,
        "seasonal_naive_week": 10.784,
        "ridge": 1.016,
        "ridge_week": 0.958,
    }
    for name, value in published.items():
        assert found[f"baseline/{name}/smape"] == pytest.approx(value, abs=0.0012)
