"""Figures, drawn once the test set is predicted, as PNG and in TensorBoard: a task has its own."""

from pathlib import Path
from typing import Any, Literal, cast

import matplotlib
import pandas as pd
import pytorch_lightning as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from rnnexp.callbacks.history import History

matplotlib.use("Agg")  # no window system is needed, or asked for

TARGET, PREDICTION, SECOND = "#4c4c4c", "#d1495b", "#2e86ab"


class Figures(Callback):
    """figures/NAME.png in the run's folder, and NAME in TensorBoard, for all that `draw` gives."""

    def draw(self, task: Any, data: Any, history: pd.DataFrame) -> dict[str, Figure]:
        """Name -> figure, after the test. history: a row an epoch; empty if nothing was trained."""
        raise NotImplementedError

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        callbacks = cast(Any, trainer).callbacks
        rows = [row for one in callbacks if isinstance(one, History) for row in one.rows]
        data = cast(Any, trainer).datamodule
        figures = self.draw(pl_module, data, pd.DataFrame(rows))
        for name, figure in figures.items():
            path = Path(trainer.default_root_dir) / "figures" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path, dpi=110)
            if isinstance(trainer.logger, TensorBoardLogger):
                trainer.logger.experiment.add_figure(name, figure, close=False)


def loss_curve(
    history: pd.DataFrame, loss: str, metric: str, label: str, scale: Literal["linear", "log"]
) -> Figure:
    """Training and validation loss by epoch, and the metric of the validation where there is one.

    loss, label: what the left and the right axis say. scale: of the left one.
    """
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(history["epoch"], history["train/loss"], "o-", color=TARGET, label="training")
    if "val/loss" in history:
        axes.plot(history["epoch"], history["val/loss"], "o-", color=PREDICTION, label="validation")
    axes.set(xlabel="epoch", ylabel=loss, yscale=scale, title="Loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if scale == "log":
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(frameon=False)
    finish(axes)
    if f"val/{metric}" in history:
        right = axes.twinx()
        right.plot(history["epoch"], history[f"val/{metric}"], "--", color=SECOND)
        right.set_ylabel(f"validation {label} (dashed)", color=SECOND)
    return figure


def finish(axes: Axes) -> None:
    """What all axes have in common."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
