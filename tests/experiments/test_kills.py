"""The study that kills runs: it tells a run that ends as it must from one that does not."""

import random
from pathlib import Path

import pytest

from experiments import study
from experiments.robustness import kills
from experiments.robustness.deaths import Death, Leaving, located
from experiments.robustness.outcome import differences

NAMES = kills.TRAININGS["names"]
SMALL = kills.Training(
    [*NAMES.settings, "data.number=20", "model.hidden_size=4", "trainer.max_epochs=2"], NAMES.task
)
PAGE = f"before\n{study.BEGIN}\nold\n{study.END}\nafter\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of its own, and one small training with few kills."""
    (tmp_path / "README.md").write_text(PAGE)
    monkeypatch.setattr(kills, "HERE", tmp_path)
    monkeypatch.setattr(kills, "TRAININGS", {"names": SMALL})
    monkeypatch.setattr(kills, "signals", lambda whole, draw: [])
    moments = [("after a step", [Death(kills.BATCH, 7)])]
    monkeypatch.setattr(kills, "moments", lambda one, whole, draw: moments)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_a_control_that_ends_as_the_whole_run_fails_the_study(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Without dropout, nothing is drawn after the checkpoint, so nothing can differ."""
    monkeypatch.setattr(kills, "moments", lambda one, whole, draw: [])
    assert kills.main([]) == 1
    assert "it ends as if it had them" in capsys.readouterr().err
    assert (here / "README.md").read_text() == PAGE


def test_the_table(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(kills.Study, "control", lambda *arguments: None)
    assert kills.main([]) == 0
    assert "1: names, after a step, 1.7, 1.6, yes" in capsys.readouterr().out
    page = (here / "README.md").read_text()
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "old" not in page
    assert "**1 kills by SIGKILL; of 1 interrupted runs, 1 end as the run that was not**" in page


def test_a_run_that_ends_otherwise_fails_the_study(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(kills.Study, "control", lambda *arguments: None)
    found = {"digest.json: losses": 1.0}
    monkeypatch.setattr(kills, "differences", lambda then, now: differences(then, now | found))
    assert kills.main([]) == 1
    assert "names, after a step: digest.json: losses" in capsys.readouterr().err


@pytest.mark.parametrize("name", kills.TRAININGS)
def test_what_is_patched_exists(name: str) -> None:
    one, whole = kills.TRAININGS[name], kills.Whole({}, steps=90, seconds=1.0)
    found = list(kills.moments(one, whole, random.Random(0)))
    assert len(found) >= 8
    for _, plants in [*found, ("", [kills.CONTROL])]:
        for plant in plants:
            if isinstance(plant, (Death, Leaving)):
                located(plant.function)
