"""The grid of the path that a recurrence takes by itself, and the fastest other contender."""

import pandas as pd
import pytest

from experiments.speed import grid
from experiments.speed.contenders import AUTO, LOOP, PLAIN, PRODUCTS, Case, contenders
from experiments.speed.timing import Stopwatch
from rnnexp.nn import cells
from tests.experiments.shrunk import without_pulse


def test_a_row_names_the_fastest_other(monkeypatch: pytest.MonkeyPatch) -> None:
    times = pd.DataFrame(
        {AUTO: [2.0, 2.2, 1.8], PLAIN: [4.0] * 3, LOOP: [1.6] * 3, PRODUCTS: [1.0] * 3}
        | {"nn.GRU": [1.0] * 3}  # faster, but it does not compute the same
    )
    stopwatch = Stopwatch()
    monkeypatch.setattr(stopwatch, "side_by_side", lambda works, rounds: times)
    row = grid.row_of(Case(cells.MGU, 2, 3, 4, training=False), stopwatch)
    assert (row["kind"], row["fastest other"]) == ("inference", LOOP)
    assert row["to the fastest other"] == pytest.approx(1.25)
    assert row["products' share"] == 0.5 and row["to nn.GRU"] == pytest.approx(2.0)
    table = pd.DataFrame([row, {**row, "batch": 4, "to the fastest other": 0.5}])
    assert "In 1 of 2 cases" in grid.summary(table)
    assert "| MGU, inference | 2.00 | 2.00 |" in grid.other_equations(table)
    (inference,) = grid.tables(table)
    assert "1.25 (literal loop)" in inference and "2 x 4" in inference
    short = grid.of_short_sequences(table)
    assert "3 steps, 2 x 4" in short and "| MGU, inference | 1.25 (literal loop) |" in short
    (panel, bar) = grid.draw(table, "to the fastest other", "auto to the fastest other").axes
    assert [text.get_text() for text in panel.texts] == ["1.25", "0.50"]
    assert panel.get_title() == "MGU, inference" and "auto to the fastest" in bar.get_ylabel()


def test_every_size_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pulse(monkeypatch)
    monkeypatch.setattr(grid, "SECONDS", 0.0)
    monkeypatch.setattr(grid, "CELLS", (cells.LSTM,))
    assert len(grid.cases(grid.FULL)) == 18
    one = grid.cases(grid.QUICK)[0]
    assert set(contenders(one)) >= {AUTO, PLAIN, LOOP, "nn.LSTM", PRODUCTS}
    row = grid.row_of(one, Stopwatch())
    assert row["fastest other"] in (PLAIN, LOOP, "nn.LSTM")
