"""Figures of a test, as PNG files and in TensorBoard. Each task defines its own."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, cast

import matplotlib
import pandas as pd
import pytorch_lightning as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from rnnexp.callbacks.history import history_of
from rnnexp.printing import printable

matplotlib.use("Agg")  # works without a display

# Grey, vermilion and blue of Okabe and Ito, which colour-blind people tell apart too.
TARGET, PREDICTION, SECOND = "#4c4c4c", "#d55e00", "#0072b2"
LONGEST_TEXT, LARGEST_SIZE = 1000, 60  # characters of a label or a title; inches
LEGEND, SIGNATURE = 34, 60  # most characters of a line of a legend, and of the run's name


@dataclass(frozen=True)
class Outcome:
    """What figures show of a run. Its folder holds all of it, so that they can be drawn again.

    predictions: of the test, the table of `Task.predictions_table`. history: a row per epoch
    (`History.table`); empty without training. loss: the name of the loss. monitor: the metric that
    chose the checkpoint.
    """

    predictions: pd.DataFrame
    history: pd.DataFrame
    spec: Any
    loss: str
    monitor: str | None


class Figures(Callback):
    """Saves the figures of `draw` as figures/NAME.png in the run folder and in TensorBoard."""

    def draw(self, outcome: Outcome) -> dict[str, Figure]:
        """The figures after the test, by name."""
        raise NotImplementedError

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        task, data = cast(Any, pl_module), cast(Any, trainer).datamodule
        outcome = Outcome(
            task.predictions_table(data),
            history_of(trainer).table(),
            task.spec,
            task.loss_name,
            task.monitor,
        )
        for name, figure in self.draw(outcome).items():
            save(figure, name, trainer)
            if isinstance(trainer.logger, TensorBoardLogger):
                trainer.logger.experiment.add_figure(name, figure, close=False)


def save(figure: Figure, name: str, trainer: pl.Trainer) -> None:
    """Save a figure as figures/NAME.png in the run folder, with the name of the run below it."""
    sign(figure, trainer)
    path = Path(trainer.default_root_dir) / "figures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def sign(figure: Figure, trainer: pl.Trainer) -> None:
    """Write the name of the run and of its folder below a figure."""
    sign_as(figure, history_of(trainer).run, Path(trainer.default_root_dir).name)


def sign_as(figure: Figure, name: str, folder: str) -> None:
    """Write a name and that of a folder below a figure."""
    lines = [*wrap(name, SIGNATURE, break_long_words=False), f"folder {folder}"]
    figure.supxlabel(no_math("\n".join(lines)), x=0.99, ha="right", size="x-small", color=TARGET)


def clock_times(texts: pd.Series) -> pd.Series:
    """Times in ISO 8601 as the clock showed them: without their offsets from UTC, which may differ,
    since an axis has one."""
    return pd.to_datetime(texts.str.replace(r"(?<=:\d\d)[+-][\d:]+$", "", regex=True))


def no_math(text: str) -> str:
    """A name for a figure. Without this, matplotlib takes what stands between two $ for a formula,
    and fails if it is none, or at half a character."""
    return printable(text).replace("$", r"\$")


def is_too_large(figure: Figure) -> bool:
    """Whether a figure has texts that are no names, and would take minutes to draw."""
    longest = max((len(one.get_text()) for one in figure.findobj(Text)), default=0)
    return longest > LONGEST_TEXT or max(figure.get_size_inches()) > LARGEST_SIZE


def finish(axes: Axes) -> None:
    """Apply the common style of all axes."""
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def legend_beside(figure: Figure) -> None:
    """A legend of all that is labelled, to the right of all axes, where it covers nothing."""
    entries: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        labels = ["\n".join(wrap(line, LEGEND)) for line in entries]
        figure.legend(list(entries.values()), labels, loc="outside right upper", frameon=False)
