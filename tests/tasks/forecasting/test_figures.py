"""Figures of a forecast: what their axes and legends show, for every frequency."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnnexp.tasks.forecasting.figures import error_by_cycle, stretches


def predicted(frequency: str, rows: int, *series: str) -> pd.DataFrame:
    """Predictions that are 1 more than the actual values, but 2 more in even rows."""
    tables = []
    for name in series or ("shop",):
        time = pd.date_range("2024-01-01", periods=rows, freq=frequency)
        target = 10 + np.arange(rows) % 5
        prediction = target + 1.0 + (np.arange(rows) % 2 == 0)
        columns = {"file": name, "timestamp": time, "target": target, "prediction": prediction}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def legend_of(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def points(axes: Axes, label: str) -> list[float]:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return np.asarray(line.get_ydata()).tolist()


def title_of(figure: Any) -> str:
    return str(figure.get_suptitle())


@pytest.mark.parametrize(
    ("frequency", "rows"), [("D", 111), ("MS", 40), ("h", 200), ("YS", 12), ("D", 1), ("15min", 9)]
)
def test_a_short_test_span_is_shown_whole(frequency: str, rows: int) -> None:
    table = predicted(frequency, rows)
    figure = stretches(table, "pieces", days=4, count=3)
    above, below = figure.axes
    assert points(above, "actual") == table["target"].tolist()
    assert points(above, "predicted") == table["prediction"].tolist()
    assert title_of(figure) == "shop: one step ahead, the whole test span"
    assert below.get_xlabel() == f"from 2024-01-01 to {table['timestamp'].iloc[-1]:%Y-%m-%d}"
    figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("frequency", "rows", "shown"), [("D", 1000, 61), ("h", 1000, 97), ("15min", 4000, 385)]
)
def test_of_a_long_one_there_are_excerpts_of_sixty_steps_or_more(
    frequency: str, rows: int, shown: int
) -> None:
    figure = stretches(predicted(frequency, rows), "pieces", days=4, count=3)
    above = figure.axes[:3]
    assert [len(points(axes, "actual")) for axes in above] == pytest.approx([shown] * 3, abs=1)
    assert title_of(figure) == "shop: one step ahead, 3 excerpts of the test span"
    assert [axes.get_xlabel()[:7] for axes in figure.axes[3:]] == ["from 20"] * 3


def test_below_the_forecast_is_its_error() -> None:
    figure = stretches(predicted("D", 5), "pieces", days=4, count=3)
    above, below = figure.axes
    assert points(below, "predicted - actual") == [2, 1, 2, 1, 2]
    assert (above.get_ylabel(), below.get_ylabel()) == ("pieces", "error, pieces")
    assert legend_of(figure) == ["actual", "predicted", "predicted - actual"]
    without_unit = stretches(predicted("D", 5), "", days=4, count=3).axes
    assert [axes.get_ylabel() for axes in without_unit] == ["value", "error"]


@pytest.mark.parametrize(
    ("frequency", "rows", "name", "places", "ticks"),
    [
        ("h", 100, "hour", 24, ["0", "3", "6", "9", "12", "15", "18", "21"]),
        ("D", 111, "weekday", 7, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]),
        ("B", 50, "weekday", 5, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]),
        ("W", 60, "month", 12, None),
        ("MS", 40, "month", 12, None),
        ("QS", 9, "month", 4, None),
    ],
)
def test_the_error_is_shown_by_what_the_steps_have(
    frequency: str, rows: int, name: str, places: int, ticks: list[str] | None
) -> None:
    table = predicted(frequency, rows)
    ((found, figure),) = error_by_cycle(table).items()
    (axes,) = figure.axes
    assert found == f"error_by_{name}"
    assert len(points(axes, "mean")) == places
    assert legend_of(figure) == ["mean"]
    shown = [label.get_text() for label in axes.get_xticklabels()]
    assert shown == ticks or (ticks is None and shown[::11] == ["Jan", "Dec"])
    assert axes.get_ylabel() == "sMAPE, %" and axes.get_ylim()[0] == 0


def test_the_error_by_weekday_is_the_mean_of_its_days() -> None:
    table = predicted("D", 14)
    (figure,) = error_by_cycle(table).values()
    both = table["prediction"] + table["target"]
    percent = 200 * (table["prediction"] - table["target"]) / both
    expected = percent.to_numpy().reshape(2, 7).mean(0)
    assert points(figure.axes[0], "mean") == pytest.approx(expected)
    title = "shop: error by weekday, test span\n(2 predictions or more to a point)"
    assert figure.axes[0].get_title() == title


def test_of_values_around_zero_it_is_in_their_unit() -> None:
    table = predicted("D", 14)
    (figure,) = error_by_cycle(table, "pieces").values()
    assert points(figure.axes[0], "mean") == [1.5] * 7
    assert figure.axes[0].get_ylabel() == "mean absolute error, pieces"
    (figure,) = error_by_cycle(table, "").values()
    assert figure.axes[0].get_ylabel() == "mean absolute error"


@pytest.mark.parametrize(("frequency", "rows"), [("YS", 20), ("D", 1), ("24h", 1), ("MS", 1)])
def test_there_is_no_figure_of_one_dot(frequency: str, rows: int) -> None:
    assert error_by_cycle(predicted(frequency, rows)) == {}


def test_each_series_is_named_where_there_are_several() -> None:
    (figure,) = error_by_cycle(predicted("D", 20, "north", "south")).values()
    assert legend_of(figure) == ["each series", "all 2 series pooled"]
    assert len(figure.axes[0].lines) == 3
    assert figure.axes[0].get_title().startswith("2 series: error by weekday, test span")


def test_a_name_is_no_formula() -> None:
    table = predicted("D", 20, "a$\\frac$b")
    for figure in (stretches(table, "k$/$\\x$", 4, 3), *error_by_cycle(table).values()):
        figure.draw_without_rendering()  # fails where a formula is wrong
