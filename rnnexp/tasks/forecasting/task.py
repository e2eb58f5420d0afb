"""The forecasting task: the loss is in scaled units, the metrics are in original units."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from rnnexp.data.series.source import SeriesSource
from rnnexp.data.series.windows import SeriesBatch
from rnnexp.errors import UserError
from rnnexp.tasks.answers import listed
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.forecasting.answers import Forecasts, forecast
from rnnexp.tasks.forecasting.baselines import forecasting_baselines
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.metrics import described, forecast_metrics, forecast_metrics_by_series
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.forecasting.spec import ForecastingSpec
from rnnexp.tasks.forecasting.trace import trace
from rnnexp.tasks.forecasting.trees import lightgbm_baselines, require_lightgbm
from rnnexp.tasks.loss import Loss, chosen_loss, loss_name, one_number
from rnnexp.tasks.metric import AddedMetric, AddedMetrics, Metric
from rnnexp.tasks.task import MakeOptimizer, MakeScheduler, Task
from rnnexp.tasks.trace import Trace

BY_MASE = "val/mase"
LOSSES: dict[str, Loss] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}


class Forecasting(Task):
    """Trains and evaluates a Forecaster; every window starts from a zero state.

    loss: called with outputs and targets, both (n,), in scaled units. metrics: further metrics.
    lightgbm: whether gradient-boosted trees are a baseline too.

    `predictions` has `prediction` and `target`, (n,) each, float64, in original units.
    """

    sources = SeriesSource
    spec_class = ForecastingSpec
    data_module = ForecastingData
    new_data = "series"

    network: Forecaster
    spec: ForecastingSpec

    def __init__(
        self,
        network: Forecaster,
        spec: ForecastingSpec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler | None = None,
        loss: Literal["mse", "mae", "huber"] | Loss = "mae",
        metrics: Mapping[str, AddedMetric] | None = None,
        lightgbm: bool = False,
    ) -> None:
        super().__init__(network, spec, optimizer, scheduler)
        self.lightgbm = lightgbm
        if lightgbm:
            require_lightgbm()  # before the training
        self.loss, self.added_metrics = chosen_loss(loss, LOSSES), AddedMetrics(metrics or {})
        self.loss_name = loss_name(loss)
        self._evaluated: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def batch_loss(self, batch: SeriesBatch) -> Tensor:
        return self._loss(*self._outputs(batch), batch)

    def terms(self, batch: SeriesBatch) -> int:
        return int(batch.weight.sum())

    def _outputs(self, batch: SeriesBatch) -> tuple[Tensor, Tensor]:
        """The network's outputs, and the values before the targets, both of the target's shape."""
        steps = batch.target.shape[1]
        masks = {} if batch.mask is None else {"mask": batch.mask}
        read = (batch.values, batch.calendar, batch.series)
        outputs = self.network(*read, last=steps == 1, **masks)
        return outputs[:, -steps:], batch.values[:, -steps:, 0]

    def _loss(self, outputs: Tensor, last: Tensor, batch: SeriesBatch) -> Tensor:
        if not batch.weight.any():  # all targets are repaired or in the warm-up
            return outputs.sum() * 0
        target = self.network.scale(batch.target, last, batch.series)
        return one_number(self.loss(outputs[batch.weight], target[batch.weight]))

    def validation_step(self, batch: SeriesBatch, batch_index: int) -> None:
        outputs, last = self._outputs(batch)
        self.log("val/loss", self._loss(outputs, last, batch), batch_size=len(batch.series))
        self._collect(outputs, last, batch)

    def on_validation_epoch_end(self) -> None:
        prediction, target, scale, _ = self._collected()
        metrics = forecast_metrics(prediction, target, scale, self.spec.unit)
        metrics |= self.added_metrics(prediction, target)
        monitored = metrics.get((self.monitor or "").removeprefix("val/"), 0.0)
        if math.isnan(monitored) and prediction.isfinite().all():
            raise UserError(
                f"monitor={self.monitor} has no value on these validation windows, so it cannot "
                "choose a checkpoint: choose another, e.g. monitor=val/loss"
            )
        self.report_metrics("val", metrics, shown=self.metrics[0].name)

    def test_step(self, batch: SeriesBatch, batch_index: int) -> None:
        self._collect(*self._outputs(batch), batch)

    def on_test_epoch_end(self) -> None:
        prediction, target, scale, series = self._collected()
        self.predictions = {"prediction": prediction, "target": target}
        metrics = forecast_metrics_by_series(
            prediction, target, scale, series, self.spec.series, self.spec.unit
        )
        added = self.added_metrics(prediction, target)
        self.report_metrics("test", metrics | added, shown=self.metrics[0].name)

    def _collect(self, outputs: Tensor, last: Tensor, batch: SeriesBatch) -> None:
        prediction = self.network.invert(outputs, last, batch.series)
        assert batch.scale is not None  # an evaluation batch
        self._evaluated.append((prediction[:, 0], batch.target[:, 0], batch.scale, batch.series))

    def _collected(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predictions, targets, scales and series of all windows since the last call, (n,) each."""
        collected = [torch.cat(parts).cpu() for parts in zip(*self._evaluated, strict=True)]
        self._evaluated.clear()
        prediction, target, scale, series = collected
        return prediction, target, scale, series

    @property
    def metrics(self) -> list[Metric]:
        return described(self.spec.unit, by_mase=self.monitor == BY_MASE)

    @classmethod
    def auto_monitor(cls, data: ForecastingData) -> tuple[str, str]:
        """sMAPE; MASE if a series holds zeros or changes sign, where sMAPE says little."""
        if (names := data.around_zero()) and (data.seasonal_changes("validation") > 0).any():
            why = f"{listed(names)} {'hold' if len(names) > 1 else 'holds'} zeros or both signs"
            return BY_MASE, f"monitor={BY_MASE}, and not val/smape: {why} before the test span"
        return "val/smape", ""

    def baselines(self, data: ForecastingData) -> dict[str, dict[str, float]]:
        return forecasting_baselines(data, self.added_metrics)

    def extra_baselines(
        self, data: ForecastingData, cache: BaselineCache
    ) -> dict[str, dict[str, float]]:
        return lightgbm_baselines(data, cache) if self.lightgbm else {}

    @classmethod
    def baseline_packages(cls, settings: Mapping[str, Any]) -> Sequence[str]:
        return ["lightgbm"] if settings.get("lightgbm") else []

    @classmethod
    def answer(cls, network: Forecaster, data: ForecastingData, given: Sequence[Path]) -> Forecasts:
        return forecast(network, data, given)

    @classmethod
    def trace(
        cls,
        network: Forecaster,
        data: ForecastingData,
        given: Path,
        layer: int | None = None,
        series: str | None = None,
    ) -> Trace:
        return trace(network, data, given, layer, series)

    def predictions_table(self, data: ForecastingData) -> pd.DataFrame:
        """One row per test window: file, timestamp, target, prediction."""
        windows = data.windows("test")
        predicted = len(self.predictions["target"])  # fewer with trainer.limit_test_batches
        number = data.source.store.series_of(windows.start[:predicted])
        return pd.DataFrame(
            {
                "file": np.array(self.spec.series)[number.numpy()],
                "timestamp": data.source.clock.text(windows.time[:predicted]),
                "target": self.predictions["target"].numpy(),
                "prediction": self.predictions["prediction"].numpy(),
            }
        )
