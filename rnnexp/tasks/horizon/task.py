"""The horizon task: the next H values with quantiles."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnnexp.data.series.source import SeriesSource
from rnnexp.errors import UserError
from rnnexp.tables import Column, Table, number
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.forecasting.trees import require_lightgbm
from rnnexp.tasks.horizon.answers import forecast
from rnnexp.tasks.horizon.baselines import horizon_baselines
from rnnexp.tasks.horizon.conformal import margins_of
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.forecasts import HorizonForecasts
from rnnexp.tasks.horizon.losses import pinball
from rnnexp.tasks.horizon.metrics import (
    described,
    horizon_metrics,
    horizon_metrics_by_series,
    metrics_by_level,
)
from rnnexp.tasks.horizon.networks.network import HorizonNetwork
from rnnexp.tasks.horizon.networks.quantiles import checked_levels, point_of
from rnnexp.tasks.horizon.spec import HorizonSpec
from rnnexp.tasks.horizon.statistical import LIBRARIES, require_statsforecast, statistical_baselines
from rnnexp.tasks.horizon.trees import lightgbm_baselines
from rnnexp.tasks.horizon.windows import HorizonBatch, HorizonWindows
from rnnexp.tasks.metric import Metric
from rnnexp.tasks.task import MakeOptimizer, MakeScheduler, Task


class Horizon(Task):
    """Trains a network by the pinball loss of its quantiles, or without quantiles by the mean
    absolute error, both in units of the scale of the series.

    quantiles: levels, ascending, with 0.5. conformal: whether they are moved so that they hold on
    the validation windows (`rnnexp.tasks.horizon.conformal`); the metrics of the validation are
    those before. lightgbm: whether gradient-boosted trees are a baseline too. statsforecast:
    whether statistical models are, for 100 test windows at most.

    `predictions` has, in the order of the test windows, `prediction` (n, H), `target` (n, H), NaN
    where the data have none, and with quantiles `quantiles` (n, H, Q); float64, original units.
    """

    sources = SeriesSource
    spec_class = HorizonSpec
    data_module = HorizonData
    new_data = "series"
    takes_known = True

    network: HorizonNetwork
    spec: HorizonSpec

    def __init__(
        self,
        network: HorizonNetwork,
        spec: HorizonSpec,
        optimizer: MakeOptimizer,
        scheduler: MakeScheduler | None = None,
        quantiles: Sequence[float] = (),
        conformal: bool = False,
        lightgbm: bool = False,
        statsforecast: bool = False,
    ) -> None:
        super().__init__(network, spec, optimizer, scheduler)
        self.levels, self.conformal = checked_levels(quantiles), conformal
        asked = {"lightgbm": lightgbm, "statsforecast": statsforecast}
        self.libraries = [name for name in asked if asked[name]]
        require(self.libraries, spec.tested)  # before the training
        self._evaluated: list[tuple[Tensor, ...]] = []

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        checked_levels(settings.get("quantiles") or ())

    def on_fit_start(self) -> None:
        if self.conformal and not self.trainer.datamodule.val_dataloader():  # type: ignore[attr-defined]
            raise UserError(
                "task.conformal=true moves the quantiles by the errors on the validation windows, "
                "and there are none: set data.validation_windows, or task.conformal=false"
            )

    def batch_loss(self, batch: HorizonBatch) -> Tensor:
        return self._loss(self._outputs(batch), batch)

    def terms(self, batch: HorizonBatch) -> int:
        return int(batch.weight.sum())

    def _outputs(self, batch: HorizonBatch) -> Tensor:
        masks = {} if batch.mask is None else {"mask": batch.mask}
        outputs: Tensor = self.network(
            batch.values, batch.calendar, batch.known, batch.series, _forks(batch), **masks
        )
        return outputs

    def _loss(self, outputs: Tensor, batch: HorizonBatch) -> Tensor:
        target = self.network.scale(batch.target, batch.values, batch.series, _forks(batch))
        weight = batch.weight[:, : outputs.shape[1]]  # fewer steps may be trained than predicted
        return 2 * pinball(outputs, target, self.levels or (0.5,), weight)

    def validation_step(self, batch: HorizonBatch, batch_index: int) -> None:
        outputs = self._outputs(batch)
        self.log("val/loss", self._loss(outputs, batch), batch_size=len(batch.series))
        self._collect(self.network.invert(outputs, batch.values, batch.series), batch)

    def on_validation_epoch_end(self) -> None:
        quantiles, target, scale, series = self._collected()
        if self.conformal:
            unit = self.network.seasonal.cpu()[series]
            margins = margins_of(quantiles, target, unit, self.levels)
            self.network.margins.copy_(margins)
        point = point_of(quantiles, self.levels)
        metrics = horizon_metrics(point, target, scale, *self._more(quantiles))
        self.report_metrics("val", metrics, shown=self.metrics[0].name)

    def test_step(self, batch: HorizonBatch, batch_index: int) -> None:
        outputs = self._outputs(batch)
        self._collect(self.network.predict(outputs, batch.values, batch.series), batch)

    def on_test_epoch_end(self) -> None:
        quantiles, target, scale, series = self._collected()
        point = point_of(quantiles, self.levels)
        self.predictions = {"prediction": point, "target": target}
        if self.levels:
            self.predictions["quantiles"] = quantiles
        metrics = horizon_metrics_by_series(
            point, target, scale, series, self.spec.series, *self._more(quantiles)
        )
        self.report_metrics("test", metrics, shown=self.metrics[0].name)

    def _collect(self, quantiles: Tensor, batch: HorizonBatch) -> None:
        target = batch.target.masked_fill(~batch.weight, torch.nan)
        assert batch.scale is not None  # an evaluation batch
        self._evaluated.append((quantiles, target, batch.scale, batch.series))

    def _collected(self) -> tuple[Tensor, ...]:
        """Quantiles (n, H, Q), targets (n, H), scales (n,) and series (n,) of all windows since the
        last call."""
        collected = tuple(torch.cat(parts).cpu() for parts in zip(*self._evaluated, strict=True))
        self._evaluated.clear()
        return collected

    def _more(self, quantiles: Tensor) -> tuple[str, Tensor | None, tuple[float, ...]]:
        return self.spec.unit, quantiles if self.levels else None, self.levels

    @property
    def metrics(self) -> list[Metric]:
        return described(self.spec.unit, self.levels)

    @property
    def baseline_metrics(self) -> list[Metric]:
        """Those of a point forecast."""
        return described(self.spec.unit)

    def baselines(self, data: HorizonData) -> dict[str, dict[str, float]]:
        return horizon_baselines(data, data.windows("test"))

    @classmethod
    def baseline_packages(cls, settings: Mapping[str, Any]) -> Sequence[str]:
        trees = ["lightgbm"] if settings.get("lightgbm") else []
        return [*trees, *(LIBRARIES if settings.get("statsforecast") else ())]

    def extra_baselines(
        self, data: HorizonData, cache: BaselineCache
    ) -> dict[str, dict[str, float]]:
        return self.baselines_by(self.libraries, data, data.windows("test"), cache)

    def baselines_by(
        self,
        libraries: Sequence[str],
        data: HorizonData,
        windows: HorizonWindows,
        cache: BaselineCache,
    ) -> dict[str, dict[str, float]]:
        """The baselines of some libraries on some windows: name -> metric -> value.

        Raises:
            UserError: as for `require`.
        """
        found = lightgbm_baselines(data, windows, cache) if "lightgbm" in libraries else {}
        if "statsforecast" in libraries:
            found |= statistical_baselines(data, windows, self.levels, cache)
        return found

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
        cls,
        network: HorizonNetwork,
        data: HorizonData,
        given: Sequence[Path],
        known: Sequence[Path] = (),
    ) -> HorizonForecasts:
        return forecast(network, data, given, known)

    def predictions_table(
        self, data: HorizonData, windows: HorizonWindows | None = None
    ) -> pd.DataFrame:
        """One row per step of a window: series, issue_time, the first step that the network has not
        seen, step of the horizon, timestamp, target, prediction, with quantiles q0.1, ..., and
        scale, by which MASE and SQL are scaled.

        windows: those that were predicted; None: the test windows.
        """
        windows = data.windows("test") if windows is None else windows
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
        table["scale"] = np.repeat(windows.scale[:count].numpy(), horizon)
        return pd.DataFrame(table)


def require(libraries: Sequence[str], windows: int) -> None:
    """Check that the baselines of some libraries can be computed on so many windows.

    Raises:
        UserError: a library is not installed, or there are too many windows for statsforecast.
    """
    if "lightgbm" in libraries:
        require_lightgbm()
    if "statsforecast" in libraries:
        require_statsforecast(windows)


def _forks(batch: HorizonBatch) -> int:
    return len(batch.target) // len(batch.values)
