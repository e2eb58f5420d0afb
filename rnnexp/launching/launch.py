"""Runs the jobs of a plan with the configured Hydra launcher.

A launcher may run jobs in other processes or on other machines. So the outcome of a job is read
from its folder.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from rnnexp.config.compose import initialised
from rnnexp.errors import RunFailed, UserError
from rnnexp.launching.engine import engine, launch_jobs
from rnnexp.launching.plan import JOB_NAME, Job, Plan, chosen
from rnnexp.printing import complain
from rnnexp.runs import experiment
from rnnexp.runs.folder.reading import read_run
from rnnexp.runs.folder.record import make_folder
from rnnexp.streams import guarded


def launch(plan: Plan, config_dir: Path | None) -> list[Failure]:
    """Run every job of a plan. A job that fails does not stop the next ones.

    Returns the failed jobs of a sweep; none for a single run.

    Raises:
        UserError, RunFailed: a single run failed. A failed job of a sweep raises nothing.
    """
    # Hydra's error would be a traceback. A single run gets its folder, with its time, from Hydra.
    make_folder(plan.folder if plan.sweep else plan.folder.parent)
    with initialised(config_dir):
        if plan.sweep is None:
            run_one(_named(plan.jobs[0], plan.jobs[0].overrides))
            return []
        before = set(plan.folder.rglob("run.json"))
        launch_jobs(plan.sweep, [_named(one, _ours(one.overrides)) for one in plan.jobs], job)
    return failures(plan, before)


def run_one(overrides: Sequence[str]) -> None:
    """Run a single job in this process. Its exceptions are raised unchanged."""
    raised: list[Exception] = []

    def only(config: DictConfig) -> float | None:
        try:
            return _run(config)
        except Exception as error:  # Hydra would wrap it
            raised.append(error)
            return None

    try:
        engine().run("train", only, list(overrides))
    except OSError as error:  # from making the folder of the run, e.g. with too long a name
        raise UserError(
            f"the folder of the run cannot be made ({error.strerror}): {error.filename}; choose "
            "another place with hydra.run.dir=FOLDER or paths.outputs=FOLDER"
        ) from error
    for failure in raised:
        raise failure


@guarded()
def job(config: DictConfig) -> float | None:
    """One job of a sweep, in any process. An error is printed at once and recorded in the run
    folder; Hydra never sees an exception."""
    try:
        return _run(config)
    except (UserError, RunFailed) as error:
        complain(error)
    except Exception:
        traceback.print_exc()
    return None


def _run(config: DictConfig) -> float | None:
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    facts: dict[str, Any] = {"choices": chosen(hydra.runtime.choices), "label": hydra.job.name}
    return experiment.run(config, folder, overrides=list(hydra.overrides.task), **facts)


def _named(planned: Job, overrides: Sequence[str]) -> list[str]:
    return [*overrides, f"{JOB_NAME}='{planned.label}'"]


# Outcome of the jobs ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Failure:
    """A job without a result: its overrides, and its folder if it has one."""

    overrides: tuple[str, ...]
    folder: Path | None

    def __str__(self) -> str:
        place = f"in {self.folder}" if self.folder else "left no record"
        return f"{' '.join(self.overrides) or '(no overrides)'}  {place}"


def failures(plan: Plan, before: Set[Path] = frozenset()) -> list[Failure]:
    """The jobs of a sweep without a completed run: first the jobs with a record, by number, then
    the jobs without one.

    before: the run.json files that existed in the folder of the sweep before it started.
    """
    missing = Counter(_ours(job.overrides) for job in plan.jobs)
    failed = []
    for path in sorted(set(plan.folder.rglob("run.json")) - before, key=_number):
        run = _record(path.parent)
        overrides = tuple(map(str, run.get("overrides", ())))
        missing[overrides] -= 1
        if run.get("status") != "completed":
            failed.append(Failure(overrides, path.parent))
    return [*failed, *(Failure(overrides, None) for overrides in missing.elements())]


def _record(folder: Path) -> dict[str, Any]:
    try:
        return read_run(folder)
    except UserError:  # the job was killed while writing it
        return {}


def _ours(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides that a job records: all but those of Hydra's own settings."""
    return tuple(x for x in overrides if not x.lstrip("+~").startswith(("hydra.", "hydra/")))


def _number(path: Path) -> tuple[int, str]:
    """Sort key: the number with which the name of a job's folder begins, then the path."""
    digits = path.parent.name.partition("_")[0]
    return (int(digits) if digits.isdecimal() else 0, str(path))
