"""Runs the jobs of a plan with the configured Hydra launcher.

A launcher may run jobs in other processes or on other machines. So the outcome of a job is read
from its folder.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from threading import Event
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from rnnexp import console
from rnnexp.config.compose import initialised
from rnnexp.errors import CannotRerun, RunFailed, UserError
from rnnexp.launching import sweep
from rnnexp.launching.engine import engine, launch_jobs
from rnnexp.launching.plan import JOB_FOLDER, JOB_NAME, Job, Plan, chosen, literal
from rnnexp.launching.recompose import planned_again
from rnnexp.launching.sweep import MISSING, Outcome, failures, ours
from rnnexp.printing import complain
from rnnexp.runs import experiment
from rnnexp.runs.folder.record import make_folder
from rnnexp.runs.resume import forget, resume
from rnnexp.streams import guarded

_interrupted = Event()  # in this process


def launch(plan: Plan, config_dir: Path | None) -> list[Outcome]:
    """Run every job of a plan. A job that fails does not stop the next ones.

    Returns the failed jobs of a sweep; none for a single run.

    Raises:
        UserError, RunFailed: a single run failed. A failed job of a sweep raises nothing.
    """
    # Hydra's error would be a traceback. A single run gets its folder, with its time, from Hydra.
    make_folder(plan.folder if plan.sweep else plan.folder.parent)
    if plan.sweep is None:
        with initialised(config_dir):
            run_one([*plan.jobs[0].overrides, literal(JOB_NAME, plan.jobs[0].label)])
        return []
    with sweep.held(plan.folder):
        sweep.write(plan, config_dir)
        with _showing_how_to_finish(plan.folder, config_dir):
            _run_jobs(plan, plan.jobs, config_dir)
    return failures(plan.folder)


def finish(
    folder: Path,
    config_dir: Path | None = None,
    failed: bool = False,
    on_other_ground: bool = False,
) -> list[Outcome]:
    """Run what is missing of a sweep, in the order of its plan: interrupted jobs go on, in this
    process, and those that never began are launched.

    failed: failed jobs too. on_other_ground: also where the environment or the configs differ.

    Returns the failed jobs.

    Raises:
        UserError: the folder holds no sweep, one whose jobs another process runs, or one whose
            overrides are not taken.
        CannotRerun: the configs have been changed since the sweep began.
    """
    folder = folder.absolute()
    with sweep.held(folder):
        left = sweep.left(folder, failed)
        new = [one.number for one in left if one.status == MISSING]
        plan = planned_again(folder, new, config_dir, on_other_ground)
        jobs = {job.number: job for job in plan.jobs}
        folders = {one.number: one.folder for one in left}
        with _showing_how_to_finish(folder, config_dir):
            for (is_new, _), group in groupby(enumerate(left), _launched_together):
                numbers = [one.number for _, one in group]
                if is_new:
                    _run_jobs(plan, [jobs[number] for number in numbers], config_dir)
                else:
                    for number in numbers:
                        _go_on(folders[number], on_other_ground)
    return failures(folder)


def _launched_together(place: tuple[int, Outcome]) -> tuple[bool, int]:
    """Equal for jobs next to each other that never began, and whose numbers follow each other."""
    index, one = place
    return one.status == MISSING, one.number - index


def _run_jobs(plan: Plan, jobs: Sequence[Job], config_dir: Path | None) -> None:
    assert plan.sweep is not None
    overrides = [
        [*ours(one.overrides), literal(JOB_NAME, one.label), literal(JOB_FOLDER, one.folder)]
        for one in jobs
    ]
    for folder in (plan.folder / one.folder for one in jobs):
        if (folder / "config.yaml").exists() and not (folder / "run.json").exists():
            forget(folder)  # it was killed when it had hardly begun
    _interrupted.clear()
    with initialised(config_dir):
        launch_jobs(plan.sweep, overrides, job, jobs[0].number)


def _go_on(folder: Path, on_other_ground: bool) -> None:
    """Go on with a job in its folder. An error is printed and recorded there."""
    try:
        resume(folder, on_other_ground)
    except (UserError, CannotRerun, RunFailed) as error:
        complain(error)
    except Exception:
        traceback.print_exc()


@contextmanager
def _showing_how_to_finish(folder: Path, config_dir: Path | None) -> Iterator[None]:
    """Show which command finishes the sweep if the block is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        options = ("--config-dir", config_dir) if config_dir else ()
        console.show_line(f"all jobs     {experiment.to_type('resume', folder, *options)}")
        raise


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
    folder; Hydra never sees an exception. Once one is interrupted, its process begins no other: a
    launcher may go on giving it jobs."""
    if _interrupted.is_set():
        raise KeyboardInterrupt
    try:
        return _run(config, job=HydraConfig.get().job.num)
    except (UserError, RunFailed) as error:
        complain(error)
    except KeyboardInterrupt:
        _interrupted.set()
        raise
    except Exception:
        traceback.print_exc()
    return None


def _run(config: DictConfig, **facts: Any) -> float | None:
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    facts |= {"choices": chosen(hydra.runtime.choices), "label": hydra.job.name}
    # As they were typed, references such as ${seed} included.
    overrides: Any = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    return experiment.run(config, folder, overrides=overrides, **facts)
