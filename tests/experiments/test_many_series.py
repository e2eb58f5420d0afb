"""The study of many series, small: every row is measured. No time is tested."""

from pathlib import Path

import pytest

from experiments.scale import series


def test_a_row_says_what_a_preparation_took(tmp_path: Path) -> None:
    series.write(series.QUICK, tmp_path)
    name, settings = series.FILES["one file, with defects"]
    row = series.prepare([*series.READ, *settings, f"data.root={tmp_path / name}"])
    assert list(row) == ["values", "seconds", "bytes a value", "at the peak"]
    assert row["values"] == "5,997"  # the second and the third begin later


def test_too_much_memory_fails_and_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "<!-- series: begin -->\n<!-- series: end -->\n"
    (tmp_path / "README.md").write_text(page)
    row = {"what": "one file", "seconds": "16.1", "bytes a value": "24.1"}
    monkeypatch.setattr(series, "HERE", tmp_path)
    monkeypatch.setattr(series, "measure", lambda numbers, place: [row])
    assert series.main(["--quick"]) == 0
    assert (tmp_path / "README.md").read_text() == page
    assert series.main([]) == 1
    assert "| one file | 16.1 | 24.1 |" in (tmp_path / "README.md").read_text()
