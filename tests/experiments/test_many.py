"""The study of many runs, small: every row is measured. No time is tested."""

import csv
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from experiments.scale import many
from rnnexp.cli import main


def call(*words: str) -> str:
    """The command, in this process."""
    with redirect_stdout(StringIO()) as said:
        assert main(list(words)) == 0
    return said.getvalue()


@pytest.fixture(autouse=True)
def in_this_process(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "call", call)


def test_every_row_is_measured(tmp_path: Path) -> None:
    listed: list[str] = []
    numbers = many.Numbers(jobs=2, trained=1, listed=(3, 12), shown=2)
    with pytest.MonkeyPatch.context() as patched:
        show = many.leaderboard
        patched.setattr(many, "leaderboard", lambda folder: listed.append(show(folder)))
        rows, slowest = many.measure(numbers, tmp_path / "place")
    assert [row["runs"] for row in rows] == [*("2" * 3), *("1" * 2), "2", "3", "12", "2"]
    assert slowest == many.time_of(rows[-2]) > 0
    assert rows[-1]["on disk"].endswith("files")
    small, large = (list(csv.DictReader(StringIO(text))) for text in listed)
    assert [row["seeds"] for row in small] == ["0 1 2"]
    assert sorted(row["seeds"] for row in large) == ["0 1", "0 1 2 3 4 5 6 7 8 9"]


def test_a_slow_leaderboard_fails_and_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "<!-- many: begin -->\n<!-- many: end -->\n"
    (tmp_path / "README.md").write_text(page)
    row = many.row("rnnexp leaderboard", 10_000, 11.0)
    monkeypatch.setattr(many, "HERE", tmp_path)
    monkeypatch.setattr(many, "measure", lambda numbers, place: ([row], many.time_of(row)))
    assert many.main(["--quick"]) == 0
    assert (tmp_path / "README.md").read_text() == page
    assert many.main([]) == 1
    assert "| rnnexp leaderboard | 10,000 | 11.00 | 1.1 |" in (tmp_path / "README.md").read_text()
