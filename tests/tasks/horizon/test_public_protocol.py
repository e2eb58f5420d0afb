"""The seasonal naive of two tasks of fev-bench has the published figures.

Windows of 168 h, one after another, the last ends with the data; a window's scale is the mean of
|y(t) - y(t-24)| over all rows before it; the forecast is the last 24 hours, repeated.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from rnnexp.data.series.raw import RawSeries
from rnnexp.data.sources.ett import read_ett
from rnnexp.data.sources.gefcom2014 import read_gefcom2014
from rnnexp.tasks.horizon.metrics import horizon_metrics

WINDOWS, HORIZON, SEASON = 20, 168, 24


def seasonal_naive_metrics(values: np.ndarray) -> dict[str, float]:
    """values: (N,), the rows of a task."""
    targets, forecasts, scales = [], [], []
    for start in range(len(values) - WINDOWS * HORIZON, len(values), HORIZON):
        past = values[:start]
        targets.append(values[start : start + HORIZON])
        forecasts.append(np.tile(past[-SEASON:], HORIZON // SEASON))
        scales.append(np.abs(past[SEASON:] - past[:-SEASON]).mean())
    point, target = torch.tensor(np.array(forecasts)), torch.tensor(np.array(targets))
    levels = [k / 10 for k in range(1, 10)]
    quantiles = point.unsqueeze(-1).expand(-1, -1, len(levels))
    return horizon_metrics(point, target, torch.tensor(scales), "", quantiles, levels)


def target_of(raw: RawSeries) -> np.ndarray:
    values: np.ndarray = raw.values[:, 0]
    return values[~np.isnan(values)]


def folder(data_root: Path, name: str) -> Path:
    if not (data_root / name).is_dir():
        pytest.skip(f"there is no folder {data_root / name}")
    return data_root / name


def test_proenfo_gfc14(data_root: Path) -> None:
    """Two years: the last 17,520 rows with a load."""
    [raw] = read_gefcom2014([folder(data_root, "gefcom2014")])
    metrics = seasonal_naive_metrics(target_of(raw)[-17_520:])
    assert metrics["mase"] == pytest.approx(1.1988543805, abs=1e-9)
    assert metrics["sql"] == pytest.approx(1.1988543805, abs=1e-9)  # one forecast at all levels


def test_ett_1h(data_root: Path) -> None:
    """The mean over 14 columns."""
    series = read_ett([folder(data_root, "ett")])
    found = [seasonal_naive_metrics(target_of(raw)) for raw in series]
    assert len(found) == 14
    for name in ("mase", "sql"):
        mean = np.mean([metrics[name] for metrics in found])
        assert mean == pytest.approx(1.3227158902, abs=1e-9)
