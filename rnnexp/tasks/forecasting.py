"""The forecasting task: loss in scaled units, metrics in original ones."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from rnnexp.data.forecasting import ForecastingData
from rnnexp.data.windows import SeriesBatch
from rnnexp.errors import RunFailed
from rnnexp.nn.forecaster import Forecaster
from rnnexp.tasks.metrics import forecast_metrics, forecast_metrics_by_series

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": nn.functional.mse_loss,
    "mae": nn.functional.l1_loss,
    "huber": nn.functional.smooth_l1_loss,
}


class Forecasting(pl.LightningModule):
    """Trains a Forecaster, and evaluates it on windows from a zero state.

    After a test, `predictions` holds the prediction and the target of every window, (n,) each, in
    original units and in the order of the windows. `results` holds the metrics of the last
    validation and test by their full names, in double precision.
    """

    network: Forecaster

    def __init__(
        self,
        network: Forecaster,
        spec: dict[str, Any],
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler] | None = None,
        loss: Literal["mse", "mae", "huber"] = "mae",
    ) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        self.optimizer, self.scheduler = optimizer, scheduler
        self.loss = LOSSES[loss]
        self.predictions: dict[str, Tensor] = {}
        self.results: dict[str, float] = {}
        self._evaluated: list[tuple[Tensor, Tensor, Tensor]] = []

    def training_step(self, batch: SeriesBatch, batch_index: int) -> Tensor:
        outputs, last = self._outputs(batch)
        loss = self._loss(outputs, last, batch)
        if not torch.isfinite(loss):  # before the update: the weights of the last step are kept
            raise RunFailed(
                f"the training loss became {loss.item()} at epoch {self.current_epoch}, step "
                f"{self.global_step}: lower optimizer.lr or set trainer.gradient_clip_val"
            )
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def _outputs(self, batch: SeriesBatch) -> tuple[Tensor, Tensor]:
        """The network's outputs and the values before the targets, both in the target's shape."""
        steps = batch.target.shape[1]
        outputs = self.network(batch.values, batch.calendar, batch.series)
        return outputs[:, -steps:], batch.values[:, -steps:, 0]

    def _loss(self, outputs: Tensor, last: Tensor, batch: SeriesBatch) -> Tensor:
        target = self.network.scale(batch.target, last, batch.series)
        return self.loss(outputs[batch.weight], target[batch.weight])

    def validation_step(self, batch: SeriesBatch, batch_index: int) -> None:
        outputs, last = self._outputs(batch)
        loss = self._loss(outputs, last, batch)
        self.log("val/loss", loss, batch_size=len(batch.series))
        self._collect(outputs, last, batch)

    def on_validation_epoch_end(self) -> None:
        prediction, target, _ = self._collected()
        self._report("val", forecast_metrics(prediction, target, self.spec["unit"]))

    def test_step(self, batch: SeriesBatch, batch_index: int) -> None:
        self._collect(*self._outputs(batch), batch)

    def on_test_epoch_end(self) -> None:
        prediction, target, series = self._collected()
        self.predictions = {"prediction": prediction, "target": target}
        metrics = forecast_metrics_by_series(
            prediction, target, series, self.spec["series"], self.spec["unit"]
        )
        self._report("test", metrics)

    def _report(self, span: str, metrics: dict[str, float]) -> None:
        named = {f"{span}/{name}": value for name, value in metrics.items()}
        self.results |= named
        for name, value in named.items():
            self.log(name, value, prog_bar=name == "val/smape")

    def _collect(self, outputs: Tensor, last: Tensor, batch: SeriesBatch) -> None:
        prediction = self.network.invert(outputs, last, batch.series)
        self._evaluated.append((prediction[:, 0], batch.target[:, 0], batch.series))

    def _collected(self) -> list[Tensor]:
        collected = [torch.cat(parts).cpu() for parts in zip(*self._evaluated, strict=True)]
        self._evaluated.clear()
        return collected

    @property
    def headline(self) -> list[str]:
        """The metrics that a result table shows."""
        suffix = f"_{self.spec['unit']}" if self.spec["unit"] else ""
        return ["smape", f"mae{suffix}", f"rmse{suffix}", "mape"]

    def predictions_table(self, data: ForecastingData) -> pd.DataFrame:
        """One row for every predicted test window: file, timestamp, target, prediction."""
        windows = data.windows("test")
        predicted = len(self.predictions["target"])  # fewer with trainer.limit_test_batches
        number = data.store.series_of(windows.start[:predicted])
        return pd.DataFrame(
            {
                "file": np.array(self.spec["series"])[number.numpy()],
                "timestamp": np.datetime_as_string(windows.time[:predicted], unit="s"),
                "target": self.predictions["target"].numpy(),
                "prediction": self.predictions["prediction"].numpy(),
            }
        )

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.network.parameters())
        if self.scheduler is None:
            return optimizer
        scheduler = self.scheduler(optimizer, steps=int(self.trainer.estimated_stepping_batches))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
