"""Baselines: what every result is compared with, on the same windows or documents."""

from collections.abc import Callable
from typing import Any

from rnnexp.baselines import classification, forecasting
from rnnexp.baselines.cache import Baselines, cached

# Task -> what computes them, and its version.
BASELINES: dict[str, tuple[Callable[[Any], Baselines], int]] = {
    "classification": (classification.classification_baselines, classification.VERSION),
    "forecasting": (forecasting.forecasting_baselines, forecasting.VERSION),
}


def baseline_metrics(data: Any) -> dict[str, float]:
    """Flat, as metrics.json has them: `baseline/last_value/smape` -> value."""
    compute, version = BASELINES[data.spec["task"]]
    computed = cached({"version": version, **data.identity()}, lambda: compute(data))
    return {
        f"baseline/{name}/{metric}": value
        for name, metrics in computed.items()
        for metric, value in metrics.items()
    }
