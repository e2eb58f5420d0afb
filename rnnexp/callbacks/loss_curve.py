"""The curve of the loss: by epoch, or by step where there are few epochs."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnexp.callbacks.figures import PREDICTION, SECOND, TARGET, finish, legend_beside
from rnnexp.callbacks.step_loss import EVERY

FEW = 4  # most epochs whose training loss is shown by step
MOST_POINTS, LEAST_POINTS = 500, 20  # of a curve by step


def loss_curve(
    history: pd.DataFrame,
    loss: str,
    metric: str,
    label: str,
    scale: Literal["linear", "log"],
    levels: Mapping[str, float] | None = None,
) -> Figure:
    """Training and validation loss, and the validation metric if there is one.

    history: the table of `History.table`. With few epochs and a column `losses`, the training loss
    is shown by step.
    loss, label: labels of the left and the right axis. scale: of the left axis; linear where a loss
    is not positive. A linear axis has 0 in it, so that small changes look small. levels: losses to
    compare with, by their labels.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    if "losses" in history and len(history) <= FEW:
        ends = _by_step(axes, history["losses"])
    else:
        ends = history["epoch"].to_numpy() + 1  # the log counts from 1 too
        axes.plot(ends, history["train/loss"], "o-", color=TARGET, label="training loss")
        axes.set(xlabel="epoch", title="Loss by epoch")
    if "val/loss" in history:
        axes.plot(ends, history["val/loss"], "s-", color=PREDICTION, label="validation loss")
    for name, level in (levels or {}).items():
        axes.axhline(level, color=TARGET, lw=1, ls=":", label=name)
    axes.set(ylabel=loss)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = axes.dataLim.ymin, axes.dataLim.ymax
    if scale == "log" and low > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.grid(which="minor", alpha=0.3)
    elif low >= 0:  # a margin below 0 keeps a loss of 0 off the frame
        axes.set_ylim(-0.04 * high, 1.08 * high)
    finish(axes)
    if f"val/{metric}" in history:
        right = axes.twinx()
        named = f"validation {label}"
        right.plot(ends, history[f"val/{metric}"], "^--", color=SECOND, label=f"{named} (right)")
        right.set_ylabel(named, color=SECOND)
        right.spines["top"].set_visible(False)
    legend_beside(figure)
    return figure


def _by_step(axes: Axes, losses: pd.Series) -> np.ndarray:
    """Draw the training loss by step, averaged over some steps. Returns the last step of each
    epoch."""
    each = np.concatenate([np.asarray(one, dtype=float) for one in losses])
    width = averaged_over(len(each))
    # The last mean takes the rest, which would be a noisy mean of its own.
    starts = np.arange(max(len(each) // width, 1)) * width
    ends = np.append(starts[1:], len(each))
    what = f"training loss, mean of {width} steps" if width > 1 else "training loss"
    means = np.add.reduceat(each, starts) / (ends - starts)
    axes.plot(ends, means, ".-", color=TARGET, label=what)
    epochs = np.cumsum([len(one) for one in losses])
    axes.set(xlabel=f"training step ({epochs[0]:,} to an epoch)", title="Loss by step")
    axes.set_xlim(0, len(each) * 1.03)
    return epochs


def averaged_over(steps: int) -> int:
    """How many of so many steps a point of the curve is the mean of: as many as the console and
    TensorBoard average over, fewer in a short run, and a multiple in a long one."""
    if steps < LEAST_POINTS * EVERY:
        return max(steps // LEAST_POINTS, 1)
    return EVERY * -(-steps // (MOST_POINTS * EVERY))
