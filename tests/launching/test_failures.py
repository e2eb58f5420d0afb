"""The outcome of a sweep's jobs, read from their folders."""

import json
from pathlib import Path

from omegaconf import OmegaConf

from rnnexp.launching.launch import Failure, failures
from rnnexp.launching.plan import Job, Plan


def planned(folder: Path, *jobs: tuple[str, ...]) -> Plan:
    return Plan([Job(overrides, OmegaConf.create()) for overrides in jobs], folder)


def recorded(folder: Path, status: str, *overrides: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"status": status, "overrides": overrides}))
    return folder


def test_all_completed(tmp_path: Path) -> None:
    for number in range(3):
        recorded(tmp_path / f"{number}_a", "completed", f"seed={number}")
    assert failures(planned(tmp_path, *((f"seed={number}",) for number in range(3)))) == []


def test_failed_killed_and_never_started(tmp_path: Path) -> None:
    """Sorted by job number: ten comes after two."""
    for number in (0, 1):
        recorded(tmp_path / f"{number}_a", "completed", f"seed={number}")
    killed = recorded(tmp_path / "10_a", "running", "seed=10")
    failed = recorded(tmp_path / "2_a", "failed", "seed=2")
    plan = planned(tmp_path, *((f"seed={number}", "x=1") for number in (0, 1, 2, 10, 11)))
    assert failures(plan)[:2] == [Failure(("seed=2",), failed), Failure(("seed=10",), killed)]
    assert str(failures(plan)[-1]) == "seed=11 x=1  left no record"


def test_the_settings_of_hydra_are_no_part_of_what_a_job_records(tmp_path: Path) -> None:
    recorded(tmp_path / "0_a", "completed", "seed=0")
    plan = planned(tmp_path, ("hydra/launcher=joblib", "seed=0", "hydra.launcher.n_jobs=2"))
    assert failures(plan) == []


def test_a_record_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    recorded(tmp_path / "0_a", "completed", "seed=0")
    recorded(tmp_path / "1_a", "completed", "seed=1")
    (tmp_path / "1_a" / "run.json").write_text("{ half")
    named = failures(planned(tmp_path, ("seed=0",), ("seed=1",)))
    assert [failure.folder for failure in named] == [tmp_path / "1_a", None]


def test_a_run_that_was_there_before_is_none_of_the_sweep(tmp_path: Path) -> None:
    """A job that would write to the folder of another run fails and leaves no record."""
    recorded(tmp_path / "0_a", "completed", "seed=0")
    before = set(tmp_path.rglob("run.json"))
    assert failures(planned(tmp_path, ("seed=0",)), before) == [Failure(("seed=0",), None)]
