"""Metrics over a horizon: by hand, and against independent libraries."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from rnnexp.tasks.horizon.metrics import (
    described,
    horizon_metrics,
    horizon_metrics_by_series,
    metrics_by_group,
    metrics_by_level,
    metrics_by_step,
)

LEVELS = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
WINDOWS, STEPS, HISTORY, SEASON = 6, 10, 40, 4
NAN = math.nan


class Example:
    """Windows of random numbers that cross zero, with quantiles that are too narrow, and what
    utilsforecast reads: a series for each window."""

    def __init__(self) -> None:
        random = np.random.default_rng(1)
        self.history = random.normal(1, 10, (WINDOWS, HISTORY))
        self.target = torch.from_numpy(random.normal(1, 10, (WINDOWS, STEPS)))
        self.prediction = self.target + torch.from_numpy(random.normal(0, 4, (WINDOWS, STEPS)))
        spread = torch.tensor([-5.0, -4, -2, 0, 2, 4, 5], dtype=torch.float64)
        self.quantiles = self.prediction.unsqueeze(-1) + spread
        change = self.history[:, SEASON:] - self.history[:, :-SEASON]
        self.scale = torch.from_numpy(np.abs(change).mean(1))

    def metrics(self, unit: str = "MW") -> dict[str, float]:
        return horizon_metrics(
            *(self.prediction, self.target, self.scale, unit, self.quantiles, LEVELS)
        )

    @property
    def table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(WINDOWS), STEPS),
                "ds": np.tile(np.arange(HISTORY, HISTORY + STEPS), WINDOWS),
                "y": self.target.flatten(),
                "model": self.prediction.flatten(),
            }
            | {f"q{i}": self.quantiles[..., i].flatten() for i in range(len(LEVELS))}
            | {
                f"model-{side}-{share}": self.quantiles[..., index].flatten()
                for share, ends in {50: (2, 4), 80: (1, 5), 90: (0, 6)}.items()
                for side, index in zip(("lo", "hi"), ends, strict=True)
            }
        )

    @property
    def past(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "unique_id": np.repeat(np.arange(WINDOWS), HISTORY),
                "ds": np.tile(np.arange(HISTORY), WINDOWS),
                "y": self.history.flatten(),
            }
        )


@pytest.fixture(scope="module")
def example() -> Example:
    return Example()


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("utilsforecast.losses", reason="utilsforecast is not installed")


# --- against other libraries --------------------------------------------------------------------


def test_point_forecasts_against_utilsforecast(example: Example, theirs: Any) -> None:
    ours, table = example.metrics(), example.table
    expected = {
        "mase": theirs.mase(table, ["model"], SEASON, example.past),
        "smape": theirs.smape(table, ["model"]).assign(model=lambda x: 200 * x["model"]),
        "mae_MW": theirs.mae(table, ["model"]),
    }
    for name, by_window in expected.items():
        assert ours[name] == pytest.approx(by_window["model"].mean(), rel=1e-12), name
    squared = theirs.mse(table, ["model"])["model"].mean()
    assert ours["rmse_MW"] == pytest.approx(math.sqrt(squared), rel=1e-12)


def test_quantiles_against_utilsforecast(example: Example, theirs: Any) -> None:
    ours, table = example.metrics(), example.table
    columns, levels = {"model": [f"q{i}" for i in range(len(LEVELS))]}, np.array(LEVELS)
    loss = theirs.mqloss(table, columns, levels).sort_values("unique_id")["model"]
    assert ours["pinball_MW"] == pytest.approx(loss.mean(), rel=1e-12)
    scaled = theirs.scaled_mqloss(table, columns, levels, SEASON, example.past)["model"]
    assert ours["sql"] == pytest.approx(2 * scaled.mean(), rel=1e-12)
    size = table.groupby("unique_id")["y"].apply(lambda y: y.abs().mean())
    ratio = 2 * loss.to_numpy() / size.to_numpy()
    assert ours["wql"] == pytest.approx(ratio.mean(), rel=1e-12)
    for share in (50, 80, 90):
        covered = theirs.coverage(table, ["model"], share)["model"].mean()
        assert ours[f"coverage_{share}"] == pytest.approx(covered, rel=1e-12)
        width = table[f"model-hi-{share}"] - table[f"model-lo-{share}"]
        assert ours[f"width_{share}_MW"] == pytest.approx(width.mean(), rel=1e-12)


def test_levels_against_utilsforecast(example: Example, theirs: Any) -> None:
    ours = metrics_by_level(example.quantiles, example.target, LEVELS, "MW")
    assert ours.index.tolist() == LEVELS and ours.index.name == "level"
    for i, level in enumerate(LEVELS):
        loss = theirs.quantile_loss(example.table, {"model": f"q{i}"}, level)["model"].mean()
        assert ours["pinball_MW"].iloc[i] == pytest.approx(loss, rel=1e-12)
        share = theirs.calibration(example.table, {"model": f"q{i}"})["model"].mean()
        assert ours["observed"].iloc[i] == pytest.approx(share, rel=1e-12)


def test_quantiles_against_scoringrules(example: Example) -> None:
    theirs = pytest.importorskip("scoringrules", reason="scoringrules is not installed")
    ours, target = example.metrics(), example.target.numpy()
    losses = [
        theirs.quantile_score(target, example.quantiles[..., i].numpy(), level)
        for i, level in enumerate(LEVELS)
    ]
    found = metrics_by_level(example.quantiles, example.target, LEVELS, "MW")["pinball_MW"]
    assert found.tolist() == pytest.approx([loss.mean() for loss in losses], rel=1e-12)
    # Twice the mean pinball loss approximates the CRPS.
    crps = theirs.crps_quantile(target, example.quantiles.numpy(), np.array(LEVELS))
    assert 2 * ours["pinball_MW"] == pytest.approx(crps.mean(), rel=1e-12)
    scaled = crps / example.scale.numpy()[:, None]
    assert ours["sql"] == pytest.approx(scaled.mean(), rel=1e-12)


def test_a_step_of_the_horizon_is_a_horizon_of_one_step(example: Example, theirs: Any) -> None:
    steps = metrics_by_step(
        *(example.prediction, example.target, example.scale, "MW", example.quantiles, LEVELS)
    )
    assert steps.index.tolist() == list(range(1, STEPS + 1)) and steps.index.name == "step"
    whole = example.metrics()
    assert set(whole) - set(steps.columns) == {"rmse_MW", "wql"}
    for step in (1, STEPS):
        only = slice(step - 1, step)
        alone = horizon_metrics(
            *(example.prediction[:, only], example.target[:, only], example.scale, "MW"),
            *(example.quantiles[:, only], LEVELS),
        )
        for name in steps.columns:
            assert steps.loc[step, name] == pytest.approx(alone[name], rel=1e-12)
    third = example.table[example.table["ds"] == HISTORY + 2]
    assert steps.loc[3, "mae_MW"] == pytest.approx(theirs.mae(third, ["model"])["model"].mean())
    for name in steps.columns:  # windows are complete
        assert steps[name].mean() == pytest.approx(whole[name], rel=1e-12)


def test_a_group_of_steps_has_its_mean(example: Example) -> None:
    group = (torch.arange(STEPS) % 3).expand(WINDOWS, STEPS)
    measured = (example.prediction, example.target, example.scale, "MW", example.quantiles, LEVELS)
    groups = metrics_by_group(group, "hour", *measured)
    steps = metrics_by_step(*measured)
    assert groups.index.tolist() == [0, 1, 2] and groups.index.name == "hour"
    for name in steps.columns:  # windows are complete
        assert groups.loc[1, name] == pytest.approx(steps[name].iloc[1::3].mean(), rel=1e-12)


# --- by hand ------------------------------------------------------------------------------------

TARGET = torch.tensor([[10.0, 20.0], [0.0, 40.0]], dtype=torch.float64)
PREDICTION = torch.tensor([[12.0, 20.0], [0.0, 30.0]], dtype=torch.float64)
SCALE = torch.tensor([4.0, 10.0], dtype=torch.float64)
BAND = torch.stack([PREDICTION - 2, PREDICTION, PREDICTION + 5], dim=-1)  # at 0.1, 0.5, 0.9


def test_by_hand() -> None:
    metrics = horizon_metrics(PREDICTION, TARGET, SCALE, "MW", BAND, [0.1, 0.5, 0.9])
    # 10 is at the lower end of 10 .. 17, and 40 above 28 .. 35.
    pinball = [[0 + 1 + 0.7, 0.2 + 0 + 0.5], [0.2 + 0 + 0.5, 1.2 + 5 + 4.5]]
    assert metrics == {
        "sql": pytest.approx(2 / 3 * (sum(pinball[0]) / 4 + sum(pinball[1]) / 10) / 4),
        "mase": pytest.approx(((2 + 0) / 4 + (0 + 10) / 10) / 4),
        "smape": pytest.approx((200 * 2 / 22 + 200 * 10 / 70) / 4),
        "mae_MW": pytest.approx(3),
        "rmse_MW": pytest.approx(math.sqrt(104 / 4)),
        "wql": pytest.approx(2 / 3 * (sum(pinball[0]) / 30 + sum(pinball[1]) / 40) / 2),
        "coverage_80": 0.75,
        "pinball_MW": pytest.approx((sum(pinball[0]) + sum(pinball[1])) / 12),
        "width_80_MW": pytest.approx(7),
    }
    levels = metrics_by_level(BAND, TARGET, [0.1, 0.5, 0.9], "MW")
    assert levels["observed"].tolist() == [0.25, 0.75, 0.75]  # 10 and 20 are at their quantiles


def test_every_window_counts_alike_where_targets_are_missing() -> None:
    target = torch.tensor([[10.0, NAN], [0.0, 40.0], [NAN, NAN]], dtype=torch.float64)
    prediction = torch.cat([PREDICTION, torch.tensor([[NAN, 7.0]], dtype=torch.float64)])
    scale = torch.tensor([4.0, 10.0, 1.0], dtype=torch.float64)
    band = torch.stack([prediction - 2, prediction, prediction + 5], dim=-1)
    metrics = horizon_metrics(prediction, target, scale, "", band, [0.1, 0.5, 0.9])
    assert metrics["mae"] == pytest.approx((2 + (0 + 10) / 2) / 2)
    assert metrics["mase"] == pytest.approx((2 / 4 + (0 + 10) / 10 / 2) / 2)
    assert metrics["rmse"] == pytest.approx(math.sqrt((4 + (0 + 100) / 2) / 2))
    assert metrics["coverage_80"] == pytest.approx((1 + 1 / 2) / 2)
    assert metrics["wql"] == pytest.approx(2 / 3 * (1.7 / 10 + 11.4 / 40) / 2)
    steps = metrics_by_step(prediction, target, scale, "")
    assert steps["mae"].tolist() == [1, 10]
    steps = metrics_by_step(prediction[[0, 2]], target[[0, 2]], scale[[0, 2]], "")
    assert steps["mae"].tolist() == pytest.approx([2, NAN], nan_ok=True)


@pytest.mark.parametrize("useless", [0.0, NAN])
def test_a_window_without_a_scale_is_left_out_of_scaled_metrics(useless: float) -> None:
    scale = torch.tensor([4.0, useless], dtype=torch.float64)
    metrics = horizon_metrics(PREDICTION, TARGET, scale, "MW", BAND, [0.1, 0.5, 0.9])
    assert metrics["mase"] == pytest.approx(2 / 4 / 2)
    assert metrics["sql"] == pytest.approx(2 / 3 * (1.7 + 0.7) / 4 / 2)
    assert metrics["mae_MW"] == pytest.approx(3)
    steps = metrics_by_step(PREDICTION, TARGET, scale, "MW")
    assert steps["mase"].tolist() == [2 / 4, 0]


def test_where_nothing_can_be_measured_there_is_no_value() -> None:
    zeros, band = torch.zeros(2, 3), torch.zeros(2, 3, 3)
    metrics = horizon_metrics(zeros, zeros, torch.zeros(2), "", band, [0.1, 0.5, 0.9])
    assert math.isnan(metrics["mase"]) and math.isnan(metrics["sql"])
    assert math.isnan(metrics["wql"])
    assert metrics["smape"] == metrics["mae"] == metrics["pinball"] == 0
    assert metrics["coverage_80"] == 1
    metrics = horizon_metrics(zeros, zeros * NAN, torch.ones(2), "", band, [0.1, 0.5, 0.9])
    assert all(math.isnan(value) for value in metrics.values())


def test_a_forecast_that_is_nan_is_not_left_out() -> None:
    broken = PREDICTION.clone()
    broken[0, 1] = NAN
    band = torch.stack([broken - 2, broken, broken + 5], dim=-1)
    metrics = horizon_metrics(broken, TARGET, SCALE, "MW", band, [0.1, 0.5, 0.9])
    assert all(math.isnan(value) for value in metrics.values())
    levels = metrics_by_level(band, TARGET, [0.1, 0.5, 0.9], "MW")
    assert levels.isna().to_numpy().all()


def test_a_point_forecast_at_all_levels_has_the_mase_as_sql(example: Example) -> None:
    same = example.prediction.unsqueeze(-1).expand(-1, -1, 9)
    levels = [k / 10 for k in range(1, 10)]
    metrics = horizon_metrics(example.prediction, example.target, example.scale, "", same, levels)
    assert metrics["sql"] == pytest.approx(metrics["mase"], rel=1e-12)


def test_numbers_are_float64(example: Example) -> None:
    """In single precision, the differences of large numbers are lost."""
    large: Tensor = example.target + 1e9
    metrics = horizon_metrics(large + 0.25, large, example.scale, "")
    assert metrics["mae"] == pytest.approx(0.25, abs=1e-6)


def test_intervals_need_both_of_their_levels() -> None:
    def intervals(levels: list[float]) -> list[str]:
        names = [metric.name for metric in described("MW", levels)]
        return [name for name in names if name.startswith("coverage")]

    assert intervals([0.1, 0.5, 0.8]) == []
    assert intervals([k / 10 for k in range(1, 10)]) == ["coverage_80"]
    assert intervals([0.25, 0.5, 0.75]) == ["coverage_50"]
    assert intervals(LEVELS) == ["coverage_50", "coverage_80", "coverage_90"]
    near = torch.tensor([0.1, 0.9]).tolist()  # float32 is not quite 0.1
    assert near != [0.1, 0.9] and intervals([*near, 1 - 0.05, 0.05]) == [
        *("coverage_80", "coverage_90"),
    ]


@pytest.mark.parametrize("unit", ["MW", ""])
def test_what_is_described_is_what_is_computed(example: Example, unit: str) -> None:
    with_quantiles = described(unit, LEVELS)
    assert [metric.name for metric in with_quantiles] == list(example.metrics(unit))
    assert with_quantiles[0].name == "sql" and with_quantiles[0].lower_is_better
    point = horizon_metrics(example.prediction, example.target, example.scale, unit)
    assert [metric.name for metric in described(unit)] == list(point)
    assert described(unit)[0].name == "mase"
    assert {metric.unit for metric in with_quantiles} == {"", "%", unit}


def test_by_series(example: Example) -> None:
    series = torch.tensor([0, 0, 1, 1, 1, 0])
    metrics = horizon_metrics_by_series(
        *(example.prediction, example.target, example.scale, series, ["A", "B", "C"], "MW"),
        *(example.quantiles, LEVELS),
    )
    whole = example.metrics()
    assert {name: metrics[name] for name in whole} == whole
    for name in ("sql", "mase", "mae_MW", "coverage_90"):
        average = (metrics[f"{name}/A"] + metrics[f"{name}/B"]) / 2
        assert metrics[name] == pytest.approx(average, rel=1e-12)
    assert "sql/C" not in metrics
    alone = horizon_metrics_by_series(
        example.prediction, example.target, example.scale, series * 0, ["A"], "MW"
    )
    assert set(alone) == {"mase", "smape", "mae_MW", "rmse_MW"}
