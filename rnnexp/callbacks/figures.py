"""Figures of a test, as PNG files and in TensorBoard. Each task defines its own."""

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

matplotlib.use("Agg")  # works without a display

TARGET, PREDICTION, SECOND = "#4c4c4c", "#d1495b", "#2e86ab"  # colours


class Figures(Callback):
    """Saves the figures of `draw` as figures/NAME.png in the run folder and in TensorBoard."""

    def draw(self, task: Any, data: Any, history: pd.DataFrame) -> dict[str, Figure]:
        """The figures after the test, by name. history: a row per epoch; empty without training."""
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
    """Training and validation loss by epoch, and the validation metric if there is one.

    loss, label: labels of the left and the right axis. scale: of the left axis.
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
    """Apply the common style of all axes."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
