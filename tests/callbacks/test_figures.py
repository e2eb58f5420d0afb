"""The dates on an axis of time."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from rnnexp.callbacks.figures import tick_dates


@pytest.mark.parametrize(
    ("begin", "hours", "corner"),
    [
        ("2023-12-08 00:00", 24, "2023-Dec-08 to 2023-Dec-09"),
        ("2023-12-08 06:00", 12, "2023-Dec-08"),
        ("2023-12-29 00:00", 120, "2023-Dec to 2024-Jan"),
        ("2024-01-12 00:00", 96, "2024-Jan"),
        ("2020-01-01 00:00", 50_000, ""),
    ],
)
def test_the_corner_names_the_date_of_the_first_tick_too(
    begin: str, hours: int, corner: str
) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot(pd.date_range(begin, periods=hours, freq="h"), np.zeros(hours))
    tick_dates(axes, 7)
    figure.draw_without_rendering()
    assert axes.xaxis.get_major_formatter().get_offset() == corner
