"""The horizon task: the next H values with quantiles."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnnexp.data.series.source import SeriesSource
from rnnexp.tables import Column, Table, number
from rnnexp.tasks.horizon.answers import HorizonForecasts, forecast
from rnnexp.tasks.horizon.baselines import horizon_baselines
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.losses import pinball
from rnnexp.tasks.horizon.metrics import (
    described,
    horizon_metrics,
    horizon_metrics_by_series,
    metrics_by_level,
)
from rnnexp.tasks.horizon.network import EncoderDecoder, checked_levels
from rnnexp.tasks.horizon.spec import HorizonSpec
from rnnexp.tasks.horizon.windows import HorizonBatch
from rnnexp.tasks.metric import Metric
from rnnexp.tasks.task import MakeOptimizer, MakeScheduler, Task


class Horizon(Task):
    """Trains a network by the pinball loss of its quantiles, or without quantiles by the mean
    absolute error, both in units of the scale of the series.

    quantiles: levels, ascending, with 0.5.

    `predictions` has, in the order of the test windows, `prediction` (n, H), `target` (n, H), NaN
    where the data have none, and with quantiles `quantiles` (n, H, Q); float64, original units.
    """

    sources = SeriesSource
    spec_class = HorizonSpec
    data_module = HorizonData
    new_data = "series"

    network: EncoderDecoder
    spec: HorizonSpec

    def __init__(
        self,
        network: EncoderDecoder,
        spec: HorizonSpec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler | None = None,
        quantiles: Sequence[float] = (),
    ) -> None:
        super().__init__(network, spec, optimizer, scheduler)
        self.levels = checked_levels(quantiles)
        self._evaluated: list[tuple[Tensor, ...]] = []

    def batch_loss(self, batch: HorizonBatch) -> Tensor:
        return self._loss(self._outputs(batch), batch)

    def terms(self, batch: HorizonBatch) -> int:
        return int(batch.weight.sum())

    def _outputs(self, batch: HorizonBatch) -> Tensor:
        outputs: Tensor = self.network(batch.values, batch.calendar, batch.known, batch.series)
        return outputs

    def _loss(self, outputs: Tensor, batch: HorizonBatch) -> Tensor:
        target = self.network.scale(batch.target, batch.values, batch.series)
        return 2 * pinball(outputs, target, self.levels or (0.5,), batch.weight)

    def validation_step(self, batch: HorizonBatch, batch_index: int) -> None:
        outputs = self._outputs(batch)
        self.log("val/loss", self._loss(outputs, batch), batch_size=len(batch.series))
        self._collect(outputs, batch)

    def on_validation_epoch_end(self) -> None:
        quantiles, target, scale, _ = self._collected()
        metrics = horizon_metrics(self._point(quantiles), target, scale, *self._more(quantiles))
        self.report_metrics("val", metrics, shown=self.metrics[0].name)

    def test_step(self, batch: HorizonBatch, batch_index: int) -> None:
        self._collect(self._outputs(batch), batch)

    def on_test_epoch_end(self) -> None:
        quantiles, target, scale, series = self._collected()
        point = self._point(quantiles)
        self.predictions = {"prediction": point, "target": target}
        if self.levels:
            self.predictions["quantiles"] = quantiles
        metrics = horizon_metrics_by_series(
            point, target, scale, series, self.spec.series, *self._more(quantiles)
        )
        self.report_metrics("test", metrics, shown=self.metrics[0].name)

    def _collect(self, outputs: Tensor, batch: HorizonBatch) -> None:
        quantiles = self.network.invert(outputs, batch.values, batch.series)
        target = batch.target.masked_fill(~batch.weight, torch.nan)
        assert batch.scale is not None  # an evaluation batch
        self._evaluated.append((quantiles, target, batch.scale, batch.series))

    def _collected(self) -> tuple[Tensor, ...]:
        """Quantiles (n, H, Q), targets (n, H), scales (n,) and series (n,) of all windows since the
        last call."""
        collected = tuple(torch.cat(parts).cpu() for parts in zip(*self._evaluated, strict=True))
        self._evaluated.clear()
        return collected

    def _point(self, quantiles: Tensor) -> Tensor:
        return quantiles[..., self.levels.index(0.5) if self.levels else 0]

    def _more(self, quantiles: Tensor) -> tuple[str, Tensor | None, tuple[float, ...]]:
        return self.spec.unit, quantiles if self.levels else None, self.levels

    @property
    def metrics(self) -> list[Metric]:
        return described(self.spec.unit, self.levels)

    def baselines(self, data: HorizonData) -> dict[str, dict[str, float]]:
        return horizon_baselines(data)

    def tables(self) -> list[Table]:
        """The calibration: nominal against observed."""
        if not self.levels:
            return []
        found = metrics_by_level(
            self.predictions["quantiles"], self.predictions["target"], self.levels, self.spec.unit
        )
        rows = [
            [f"{100 * level:g} %", f"{100 * observed:.1f} %", number(loss)]
            for level, observed, loss in found.reset_index().to_numpy().tolist()
        ]
        pinball_name = f"pinball loss, {self.spec.unit}" if self.spec.unit else "pinball loss"
        columns = [Column("quantile"), Column("observed at most", numbers=True)]
        return [Table("Calibration", [*columns, Column(pinball_name, numbers=True)], rows)]

    @classmethod
    def answer(
        cls, network: EncoderDecoder, data: HorizonData, given: Sequence[Path]
    ) -> HorizonForecasts:
        return forecast(network, data, given)

    def predictions_table(self, data: HorizonData) -> pd.DataFrame:
        """One row per step of a test window: series, issue_time, the last step that the network has
        seen, step, timestamp, target, prediction, and with quantiles q0.1, ..."""
        windows = data.windows("test")
        target = self.predictions["target"].numpy()
        count, horizon = target.shape  # fewer windows with trainer.limit_test_batches
        series = data.source.store.series_of(windows.start[:count]).numpy()
        time = data.times(windows)[:count]
        issued = data.issue_times(windows)[:count]
        text = data.source.clock.text
        table = {
            "series": np.repeat(np.array(self.spec.series)[series], horizon),
            "issue_time": np.repeat(text(issued), horizon),
            "step": np.tile(np.arange(1, horizon + 1), count),
            "timestamp": text(time.ravel()),
            "target": target.ravel(),
            "prediction": self.predictions["prediction"].numpy().ravel(),
        }
        for place, level in enumerate(self.levels):
            table[f"q{level:g}"] = self.predictions["quantiles"][..., place].numpy().ravel()
        return pd.DataFrame(table)
