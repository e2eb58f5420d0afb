"""Baselines: what every result is compared with, on the same windows."""

from typing import Any

from rnnexp.baselines.cache import cached
from rnnexp.baselines.forecasting import VERSION, forecasting_baselines

BASELINES = {"forecasting": forecasting_baselines}


def baseline_metrics(data: Any) -> dict[str, float]:
    """Flat, as metrics.json has them: `baseline/last_value/smape` -> value."""
    compute = BASELINES[data.spec["task"]]
    computed = cached({"version": VERSION, **data.identity()}, lambda: compute(data))
    return {
        f"baseline/{name}/{metric}": value
        for name, metrics in computed.items()
        for metric, value in metrics.items()
    }
