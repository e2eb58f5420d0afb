"""What the feed costs: the same windows are gathered in both ways, and what is written of it."""

from functools import cache
from pathlib import Path

import pytest
import torch

from experiments.speed import feed, harness, machine
from rnnexp.process import determinism
from tests.experiments.shrunk import without_pulse

PAGE = "# The feed\n<!-- feed: begin -->\nold\n<!-- feed: end -->\nafter\n"


read = cache(feed.read)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A quiet machine, little data, and a page of its own."""
    (tmp_path / "README.md").write_text(PAGE)
    (tmp_path / "expected.yaml").write_text("one-hot: []")
    monkeypatch.setattr(harness, "HERE", tmp_path)
    monkeypatch.setattr(feed, "DAYS", feed.QUICK)
    monkeypatch.setattr(feed, "read", read)
    without_pulse(monkeypatch)
    monkeypatch.setattr(determinism, "prepare", lambda **options: None)
    monkeypatch.setattr(machine, "require_quiet", lambda: None)
    monkeypatch.setattr(machine, "conditions", lambda others, pulse: ("It was quiet.", ""))
    return tmp_path


def test_both_read_the_same_windows() -> None:
    data = read(20)
    windows = feed.Windows(data)
    starts = torch.tensor([0, 7, len(windows) - 1])
    batch = data.source.store.next_value_batch(starts, data.source.look_back)
    for number, start in enumerate(starts.tolist()):
        values, following = windows[start]
        assert torch.equal(values, batch.values[number])
        assert following[0] == batch.target[number, 0]
    assert feed.singly(data) == len(windows) == feed.hours_of(data) - data.source.look_back
    # Of an epoch the test and the validation span are missing.
    assert 0.7 * len(windows) < feed.epoch(data) < len(windows)
    assert feed.megabytes(data) == pytest.approx(feed.hours_of(data) * (8 + 4 * 2 + 1) / 1e6)


def test_table_and_figure(here: Path) -> None:
    assert feed.main([]) == 0
    page = (here / "README.md").read_text()
    assert page.startswith("# The feed\n") and page.endswith("\nafter\n") and "old" not in page
    rows = [line for line in page.splitlines() if line.startswith("| ")][2:]
    hours = [int(row.split("|")[1].replace(",", "")) for row in rows]
    assert hours == [feed.hours_of(read(days)) for days in feed.QUICK]
    assert "It was quiet." in page
    assert (here / "feed.png").stat().st_size > 5000


def test_what_was_measured_on_a_busy_machine_is_not_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "conditions", lambda others, pulse: ("", "it was busy"))
    assert feed.main([]) == 1
    assert "stays as it is: it was busy" in capsys.readouterr().err
    assert (here / "README.md").read_text() == PAGE
    assert feed.main(["--quick"]) == 0
    assert (here / "README.md").read_text() == PAGE
