"""The outcome of a sweep's jobs, read from their folders."""

import json
from pathlib import Path

from omegaconf import OmegaConf

from rnnexp.launching import sweep
from rnnexp.launching.plan import Job, Plan
from rnnexp.launching.sweep import Outcome, failures


def planned(folder: Path, *jobs: tuple[str, ...]) -> Path:
    """The folder of a sweep of these jobs, which has just begun: job 3 is in the folder 3_a."""
    folder.mkdir(exist_ok=True)
    every = [
        Job(overrides, OmegaConf.create(), folder=f"{number}_a", number=number)
        for number, overrides in enumerate(jobs)
    ]
    sweep.write(Plan(every, folder), None)
    return folder


def recorded(folder: Path, status: str, *overrides: str) -> Path:
    folder.mkdir(parents=True)
    number = int(folder.name.partition("_")[0])
    run = {"status": status, "overrides": overrides, "job": number}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def test_all_completed(tmp_path: Path) -> None:
    for number in range(3):
        recorded(tmp_path / f"{number}_a", "completed", f"seed={number}")
    assert failures(planned(tmp_path, *((f"seed={number}",) for number in range(3)))) == []


def test_failed_killed_and_never_started(tmp_path: Path) -> None:
    for number in (0, 1):
        recorded(tmp_path / f"{number}_a", "completed", f"seed={number}")
    failed = recorded(tmp_path / "2_a", "failed", "seed=2")
    killed = recorded(tmp_path / "3_a", "interrupted", "seed=3")
    named = failures(planned(tmp_path, *((f"seed={number}",) for number in range(5))))
    assert named[:2] == [
        Outcome(2, ("seed=2",), failed, "failed"),
        Outcome(3, ("seed=3",), killed, "interrupted"),
    ]
    assert str(named[0]) == f"seed=2  in {failed}"
    assert [str(one) for one in named[2:]] == ["seed=4  left no record"]


def test_the_same_overrides_twice_are_two_jobs(tmp_path: Path) -> None:
    recorded(tmp_path / "1_a", "completed", "seed=0")
    [missing] = failures(planned(tmp_path, ("seed=0",), ("seed=0",)))
    assert (missing.number, missing.status) == (0, "missing")


def test_the_settings_of_hydra_are_no_part_of_what_a_job_records(tmp_path: Path) -> None:
    recorded(tmp_path / "0_a", "completed", "seed=0")
    job = ("hydra/launcher=joblib", "seed=0", "hydra.launcher.n_jobs=2")
    assert failures(planned(tmp_path, job)) == []


def test_a_record_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    recorded(tmp_path / "0_a", "completed", "seed=0")
    recorded(tmp_path / "1_a", "completed", "seed=1")
    (tmp_path / "1_a" / "run.json").write_text("{ half")
    [damaged] = failures(planned(tmp_path, ("seed=0",), ("seed=1",)))
    assert (damaged.folder, damaged.status) == (tmp_path / "1_a", "damaged")


def test_a_run_that_was_there_before_is_none_of_the_sweep(tmp_path: Path) -> None:
    """A job that would write to the folder of another run fails and leaves no record."""
    other = recorded(tmp_path / "0_a", "completed", "seed=1")
    [failure] = failures(planned(tmp_path, ("seed=0",)))
    assert failure == Outcome(0, ("seed=0",), other, "missing")
    assert str(failure) == "seed=0  left no record"
