"""The operations of a step are counted, and the fused path has the fewest."""

from pathlib import Path

import pytest

from experiments.speed import calls
from rnnexp.nn import cells
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features


def test_the_operations_of_a_step() -> None:
    recurrence = CellRecurrence(cells.Vanilla, calls.INPUTS, 8, path="plain")
    # addmm and tanh forward; their gradients are tanh_backward, two products, and the sum of both
    # uses of a weight.
    assert calls.a_step(lambda x: recurrence(Features(x), False)[1][0], training=False) == 2


@pytest.mark.parametrize("kind", [cells.MGU, cells.GRU, cells.GRUChung, cells.LSTM])
def test_joint_products_save_calls(kind: type[cells.Cell]) -> None:
    found = {name: tuple(map(int, one.split(", "))) for name, one in calls.counts(kind).items()}
    fused, apart = found["fused path"], found["fused path, a product a gate"]
    assert all(one < other for one, other in zip(fused, apart, strict=True))
    assert all(one < other for one, other in zip(fused, found["literal loop"], strict=True))


def test_the_table_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- calls: begin -->\n<!-- calls: end -->\nafter\n")
    monkeypatch.setattr(calls, "HERE", tmp_path)
    monkeypatch.setattr(calls, "CELLS", (cells.MGU,))
    assert calls.main([]) == 0
    assert "| MGU | 6, " in page.read_text() and page.read_text().endswith("after\n")
