"""The study of the steps in C++: what it measures and says."""

import pandas as pd
import pytest

from experiments.speed import grid, native
from experiments.speed.contenders import AUTO, Case
from experiments.speed.timing import Stopwatch
from rnnexp.nn import cells
from rnnexp.nn.fast.native.build import why_not
from tests.experiments.shrunk import without_pulse


def test_a_row_is_the_ratio_to_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    times = pd.DataFrame(
        {AUTO: [2.0, 2.2, 1.8], native.NATIVE: [1.0, 1.1, 0.9], native.PRODUCTS: [0.5] * 3}
    )
    stopwatch = Stopwatch()
    monkeypatch.setattr(stopwatch, "side_by_side", lambda works, rounds: times)
    row = native.row_of(Case(cells.MGU, 2, 3, 4), stopwatch)
    assert (row["kind"], row[native.RATIO], row[native.SHARE]) == ("training", 0.5, 0.5)
    rows = [row, {**row, "hidden": 8, native.RATIO: 0.75}]
    table = pd.DataFrame([*rows, *({**one, "cell": "LSTM"} for one in rows)])
    assert native.values(table) == {"batch 2: native to auto": 0.75, "LSTM: native to auto": 0.75}
    (training,) = native.tables(table)
    assert "0.75, 50%" in training and "2 x 8" in training
    panels = grid.draw(table, native.RATIO, "ratio").axes
    assert [text.get_text() for text in panels[0].texts] == ["0.50", "0.75"]


@pytest.mark.skipif(bool(why_not()), reason="no C++ compiler")
def test_a_size_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    without_pulse(monkeypatch)
    monkeypatch.setattr(native, "SECONDS", 0.0)
    row = native.row_of(grid.cases(grid.QUICK)[0], Stopwatch())
    found = row[native.RATIO]
    assert isinstance(found, float) and found > 0


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(native, "why_not", lambda: "it needs the compiler g++")
    assert native.main(["--quick"]) == 2
    assert capsys.readouterr().err == (
        "study: there is no native path here: it needs the compiler g++\n"
    )
