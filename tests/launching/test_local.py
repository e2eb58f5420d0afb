"""hydra/launcher=local: the jobs of a sweep side by side, with the results of one after another."""

from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.errors import UserError
from rnnexp.launching.local import LocalLauncher
from rnnexp.process import cores
from rnnexp.runs.folder.reading import read_run
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

SWEEP = ["experiment=quickstart", *SYNTHETIC_LOAD, *TINY, *QUIET, "seed=0,1"]
FAILING = "data.look_back=30,30000"  # longer than the series


def digests(folder: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in folder.glob("*/digest.json")}


def test_results_and_failures_are_those_of_one_after_another(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(empty_folder / "cache"))
    sweep = [*SWEEP, FAILING]
    for launcher in ("basic", "local"):
        options = ["hydra.launcher.jobs=2"] if launcher == "local" else []
        place = f"hydra.sweep.dir={empty_folder / launcher}"
        command = ["train", "-m", *sweep, f"hydra/launcher={launcher}", place, *options]
        assert main(command) == 1
        said = capfd.readouterr()
        assert "2 of 4 jobs failed" in said.err
    assert digests(empty_folder / "local") == digests(empty_folder / "basic") != {}
    lines = [line for line in said.out.splitlines() if "/4  " in line]
    assert len(lines) == 4 and sum("completed" in line for line in lines) == 2
    assert sum("failed: " in line for line in lines) == 2
    runs = [read_run(path.parent) for path in (empty_folder / "local").glob("*/run.json")]
    assert {run["threads"] for run in runs if run["status"] == "completed"} == {1}
    assert main(["resume", str(empty_folder / "local")]) == 1  # nothing but failures is left


def test_an_override_that_refers_to_another_key(empty_folder: Path) -> None:
    """It is recorded as it was typed, so that the record is known to be the job's."""
    sweep = [*SWEEP, "trainer.max_epochs=1", "data.series_seed=${seed}"]
    assert main(["train", "-m", *sweep, "hydra.sweep.dir=sweep"]) == 0
    runs = [read_run(path.parent) for path in sorted(Path("sweep").glob("*/run.json"))]
    assert all(run["overrides"][-1] == "data.series_seed=${seed}" for run in runs)


def test_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: set(range(8)))
    monkeypatch.setattr(cores, "free", lambda: 6)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert len(LocalLauncher().environments()) == 6
    assert LocalLauncher(threads_per_job=4).environments() == [{"OMP_NUM_THREADS": "4"}]
    assert len(LocalLauncher(jobs=9).environments()) == 9
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    leases = [one["CUDA_VISIBLE_DEVICES"] for one in LocalLauncher().environments()]
    assert leases == ["0", "1"]


@pytest.mark.parametrize("settings", [{"jobs": 0}, {"jobs": "many"}, {"threads_per_job": 0}])
def test_numbers_that_are_none(settings: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"hydra\.launcher\.\w+ is .*: it must be .*at least 1"):
        LocalLauncher(**settings)  # type: ignore[arg-type]
