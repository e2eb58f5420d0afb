"""Hydra's launcher `local`: jobs side by side in processes of this machine."""

import io
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from rnnexp import console
from rnnexp.config.compose import initialised
from rnnexp.config.search_path import UserFolders
from rnnexp.errors import UserError
from rnnexp.launching.engine import hydra_context
from rnnexp.launching.workers import run_side_by_side
from rnnexp.process import cores
from rnnexp.process.interruption import interruptible
from rnnexp.runs.folder.reading import read_run


class LocalLauncher(Launcher):
    """Runs jobs side by side.

    jobs: how many at the same time; auto: as many as the free cores allow, at most one on each GPU.
    threads_per_job: of jobs whose determinism.threads is auto.

    Raises:
        UserError: one of them is not a number of at least 1.
    """

    def __init__(self, jobs: int | str = "auto", threads_per_job: int = 1) -> None:
        for name, value in (("jobs", jobs), ("threads_per_job", threads_per_job)):
            is_number = type(value) is int and value >= 1
            if not is_number and not (name == "jobs" and value == "auto"):
                auto = "auto or " if name == "jobs" else ""
                raise UserError(f"hydra.launcher.{name} is {value!r}: it must be {auto}at least 1")
        self.jobs, self.threads_per_job = jobs, threads_per_job

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.task_function, self.config = task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        setup_globals()
        Path(self.config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
        extra = next(iter(UserFolders.folders[:-1]), None)  # the last one is ./conf
        shared = (self.threads_per_job, self.config, self.task_function, extra)
        jobs = [
            (initial_job_idx + place, list(overrides), *shared)
            for place, overrides in enumerate(job_overrides)
        ]
        environments = self.environments()
        console.show(f"{len(jobs)} jobs, {min(len(environments), len(jobs))} at the same time")
        returns = [JobReturn(status=JobStatus.FAILED) for _ in jobs]
        began, done = time.monotonic(), 0
        with interruptible():
            for outcome in run_side_by_side(run_one, jobs, environments):
                done += 1
                if not outcome.died:
                    folder, returns[outcome.number].return_value = outcome.result
                    returns[outcome.number].status = JobStatus.COMPLETED
                what = "its process died" if outcome.died else ended(Path(folder))
                seconds = time.monotonic() - began
                label = Path(folder).name if not outcome.died else f"job {jobs[outcome.number][0]}"
                console.show_line(f"{done}/{len(jobs)}  {seconds:.0f} s  {label}  {what}")
        return returns

    def environments(self) -> list[dict[str, str]]:
        """The variables of each process: its threads, and its GPU where there are several."""
        threads = {"OMP_NUM_THREADS": str(self.threads_per_job)}
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if isinstance(self.jobs, int):
            number = self.jobs
        else:
            number = max(1, cores.free() // self.threads_per_job)
            number = min(number, gpus) if gpus else number
        gpu = [
            {"CUDA_VISIBLE_DEVICES": str(place % gpus)} if gpus else {} for place in range(number)
        ]
        return [threads | one for one in gpu]


def run_one(
    number: int,
    overrides: list[str],
    threads: int,
    config: DictConfig,
    function: TaskFunction,
    config_dir: Path | None,
) -> tuple[str, float | None]:
    """Run one job in a process of its own. Returns its folder, and the monitored metric if it has
    a result. What it prints is dropped: its folder has log.txt and the results.

    threads: of a job whose determinism.threads is auto. config: of any job of the sweep.
    """
    setup_globals()
    with initialised(config_dir), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        context = hydra_context(config)
        job: Any = context.config_loader.load_sweep_config(config, overrides)
        with open_dict(job):
            job.hydra.job.id = job.hydra.job.num = number
            if job.determinism.threads == "auto":
                job.determinism.threads = threads
        HydraConfig.instance().set_config(job)
        done = run_job(
            hydra_context=context,
            task_function=function,
            config=job,
            job_dir_key="hydra.sweep.dir",
            job_subdir_key="hydra.sweep.subdir",
        )
    assert done.hydra_cfg is not None
    return str(done.hydra_cfg.hydra.runtime.output_dir), done.return_value


def ended(folder: Path) -> str:
    """How a run ended, for the line of its job."""
    try:
        run = read_run(folder)
    except UserError as error:
        return str(error)
    why = f": {run['error']}" if "error" in run else ""
    return f"{run.get('status')}{why}"
