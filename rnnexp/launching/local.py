"""Hydra's launcher `local`: jobs side by side in processes of this machine."""

from collections.abc import Sequence

import torch
from hydra.core.utils import JobReturn, JobStatus

from rnnexp.errors import UserError
from rnnexp.launching.job_process import JobProcess, OwnLauncher, Progress
from rnnexp.process import cores
from rnnexp.process.interruption import interruptible
from rnnexp.process.workers import run_side_by_side


class LocalLauncher(OwnLauncher):
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

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        jobs = self.jobs_of(job_overrides, initial_job_idx)
        environments = self.environments()
        progress = Progress(len(jobs), len(environments))
        returns = [JobReturn(status=JobStatus.FAILED) for _ in jobs]
        with interruptible():
            each = [(job,) for job in jobs]
            for outcome in run_side_by_side(JobProcess.run, each, environments):
                folder, value = outcome.result or (None, None)
                if folder:
                    returns[outcome.number].return_value = value
                    returns[outcome.number].status = JobStatus.COMPLETED
                progress.ended(jobs[outcome.number], folder)
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
        return [
            threads | ({"CUDA_VISIBLE_DEVICES": str(place % gpus)} if gpus else {})
            for place in range(number)
        ]
