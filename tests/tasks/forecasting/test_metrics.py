"""Forecasting metrics, computed by hand."""

import math

import pytest
import torch

from rnnexp.tasks.forecasting.metrics import described, forecast_metrics, forecast_metrics_by_series

PREDICTION, TARGET = torch.tensor([110.0, 90.0, 50.0]), torch.tensor([100.0, 100.0, 0.0])
SCALE = torch.tensor([20.0, 20.0, 0.0], dtype=torch.float64)


def test_by_hand() -> None:
    metrics = forecast_metrics(PREDICTION, TARGET, SCALE, "MW")
    smape = 100 / 3 * (10 / 105 + 10 / 95 + 50 / 25)
    assert metrics["smape"] == pytest.approx(smape, rel=1e-9)
    assert metrics["smape_lecture"] == pytest.approx(smape / 4, rel=1e-9)
    assert metrics["mae_MW"] == pytest.approx(70 / 3)
    assert metrics["rmse_MW"] == pytest.approx(math.sqrt((100 + 100 + 2500) / 3))
    assert metrics["mape"] == pytest.approx(10)  # the window whose target is 0 is left out
    assert metrics["mase"] == pytest.approx(10 / 20)  # and here the one whose scale is 0


def test_without_a_window_to_score_there_is_no_value() -> None:
    zeros, nan = torch.zeros(3), torch.full((3,), torch.nan)
    for scale in (zeros, nan):
        metrics = forecast_metrics(zeros, zeros, scale, "")
        assert math.isnan(metrics["mape"]) and math.isnan(metrics["mase"])
        assert metrics["smape"] == metrics["mae"] == 0


def test_percentages_do_not_depend_on_the_unit() -> None:
    """In nano, values are below what is often added to denominators."""
    for unit in (1.0, 1e-9, 1e9):
        metrics = forecast_metrics(PREDICTION * unit, TARGET * unit, SCALE * unit, "")
        by_hand = forecast_metrics(PREDICTION, TARGET, SCALE, "")
        for name in ("smape", "mape", "mase"):
            assert metrics[name] == pytest.approx(by_hand[name], rel=1e-6)


def test_lecture_scale_is_what_its_code_computes() -> None:
    """100 abs(P - G) / (P + G) / 2, as in the lecture's code, not on its slide."""
    prediction, target = torch.rand(50) + 1, torch.rand(50) + 1
    printed = 100 * ((prediction - target).abs() / (prediction + target) / 2).mean().item()
    assert forecast_metrics(prediction, target, torch.ones(50), "")[
        "smape_lecture"
    ] == pytest.approx(printed)


def test_series_that_cross_zero() -> None:
    prediction, target = torch.tensor([1.0, -2.0]), torch.tensor([-1.0, -4.0])
    metrics = forecast_metrics(prediction, target, torch.ones(2), "")
    assert metrics["smape"] == pytest.approx(100 / 2 * (2 / 1 + 2 / 3))


def test_pooled_and_by_series() -> None:
    metrics = forecast_metrics_by_series(
        PREDICTION, TARGET, SCALE, torch.tensor([0, 0, 1]), ["A", "B", "C"], "MW"
    )
    assert metrics["mae_MW"] == pytest.approx(70 / 3)
    assert metrics["mae_MW/A"] == pytest.approx(10)
    assert metrics["mae_MW/B"] == pytest.approx(50)
    assert not any(name.endswith("/C") for name in metrics)  # no window of it was tested


@pytest.mark.parametrize("unit", ["", "MW"])
def test_every_metric_is_described_and_no_other(unit: str) -> None:
    computed = forecast_metrics(PREDICTION, TARGET, SCALE, unit)
    assert [metric.name for metric in described(unit)] == list(computed)
    assert all(metric.lower_is_better for metric in described(unit))


def test_mase_is_in_the_tables_where_it_compares_runs() -> None:
    *others, last = described("MW")
    assert last.name == "mase" and not last.headline
    first, *rest = described("MW", by_mase=True)
    assert first.name == "mase" and first.headline and rest == others


def test_a_prediction_that_is_no_number_has_no_metrics() -> None:
    values = torch.tensor([1.0, 2.0])
    metrics = forecast_metrics(torch.tensor([1.0, math.nan]), values, values, unit="")
    assert all(math.isnan(value) for value in metrics.values())
