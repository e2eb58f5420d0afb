"""The curve of the loss: what its axes and its legend show."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from rnnexp.callbacks.history import History
from rnnexp.callbacks.loss_curve import averaged_over, loss_curve
from rnnexp.callbacks.step_loss import steps_apart


def legend_of(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text().replace("\n", " ") for text in legend.get_texts()]


def history_of(*epochs: list[float], **columns: list[float]) -> pd.DataFrame:
    history = History()
    history.losses_by_epoch = list(epochs)
    history.rows = [
        {"epoch": number, "train/loss": float(np.mean(losses))}
        for number, losses in enumerate(epochs)
    ]
    return history.table().assign(**columns)


def test_one_epoch_is_a_curve_by_step() -> None:
    losses = [float(step) for step in range(1, 481)]
    figure = loss_curve(history_of(losses), "nats", "accuracy", "accuracy", "linear")
    (axes,) = figure.axes
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == list(range(24, 481, 24))
    means = np.asarray(losses).reshape(20, 24).mean(1)
    assert np.asarray(axes.lines[0].get_ydata()) == pytest.approx(means)
    assert legend_of(figure) == ["training loss, mean of 24 steps"]
    assert axes.get_xlabel() == "training step (480 to an epoch)"
    assert (axes.get_title(), axes.get_ylabel()) == ("Loss by step", "nats")


def test_the_last_point_is_the_mean_of_the_rest_too() -> None:
    history = history_of([1.0] * 2000 + [4.0] * 99 + [2.0])
    line = loss_curve(history, "nats", "accuracy", "accuracy", "linear").axes[0].lines[0]
    assert np.asarray(line.get_xdata()).tolist() == [*range(100, 2001, 100), 2100]
    assert np.asarray(line.get_ydata()).tolist() == [1.0] * 20 + [3.98]


@pytest.mark.parametrize(
    ("steps", "width"), [(1, 1), (39, 1), (192, 9), (2000, 100), (50_000, 100), (100_000, 200)]
)
def test_a_point_is_the_mean_of_100_steps_where_there_are_many(steps: int, width: int) -> None:
    assert averaged_over(steps) == width


def test_few_epochs_have_their_validation_where_they_end() -> None:
    columns = {"val/loss": [0.6, 0.5], "val/accuracy": [0.8, 1.0]}
    history = history_of([0.7] * 30, [0.6] * 20, **columns)
    figure = loss_curve(history, "nats", "accuracy", "accuracy", "linear")
    left, right = figure.axes
    assert np.asarray(left.lines[1].get_xdata()).tolist() == [30, 50]
    assert np.asarray(right.lines[0].get_xdata()).tolist() == [30, 50]
    assert legend_of(figure) == [
        "training loss, mean of 2 steps",
        "validation loss",
        "validation accuracy (right)",
    ]


def test_many_epochs_count_as_the_log_does() -> None:
    history = history_of(*[[1.0, 2.0]] * 12)
    axes = loss_curve(history, "nats", "accuracy", "accuracy", "log").axes[0]
    assert np.asarray(axes.lines[0].get_xdata()).tolist() == list(range(1, 13))
    assert (axes.get_xlabel(), axes.get_title()) == ("epoch", "Loss by epoch")
    assert axes.get_yscale() == "log"


def test_a_loss_that_is_not_positive_has_a_linear_axis_and_is_seen() -> None:
    for lowest in (0.0, -2.0):
        axes = loss_curve(history_of([1.0], [lowest]), "own", "r", "r", "log").axes[0]
        assert axes.get_yscale() == "linear"
        assert axes.get_ylim()[0] < lowest


@pytest.mark.parametrize(("steps", "apart"), [(1, 100), (5000, 100), (5001, 200), (10**5, 2000)])
def test_a_run_has_at_most_fifty_lines_within_its_epochs(steps: int, apart: int) -> None:
    assert steps_apart(steps) == apart
