"""Hydra's launcher `slurm`: every job of a sweep is a job of a SLURM cluster."""

import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from rnnexp import console
from rnnexp.errors import UserError
from rnnexp.launching.job_process import JobProcess, OwnLauncher, Progress
from rnnexp.process.interruption import interruptible

FOLDER = ".slurm"  # below that of the sweep: the scripts and the output of the jobs
CANCELLED = "it was cancelled"  # by somebody, so it does not go on
NOTICE = 120  # seconds before the time limit, for the checkpoint
POLL = 1.0  # seconds between two looks for results


class SlurmLauncher(OwnLauncher):
    """Submits jobs with sbatch, through submitit, and waits for them. All machines see the folder
    of the sweep, the data and this package.

    partition, account: as the cluster names them. jobs: how many at the same time. threads_per_job:
    cores of a job. gpus_per_job: GPUs of a job. memory_gb: of a job; None: what the cluster gives.
    minutes: time limit of a job. retries: how often a run goes on in a new job after its time limit
    or the end of its process. setup: lines of the shell before the job. options: further ones of
    sbatch, by their long names.
    """

    def __init__(
        self,
        partition: str | None = None,
        account: str | None = None,
        jobs: int = 256,
        threads_per_job: int = 1,
        gpus_per_job: int = 0,
        memory_gb: float | None = None,
        minutes: int = 60,
        retries: int = 1,
        setup: Sequence[str] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        numbers = {"jobs": (jobs, 1), "threads_per_job": (threads_per_job, 1)}
        numbers |= {"gpus_per_job": (gpus_per_job, 0), "minutes": (minutes, 1)}
        for name, (value, least) in (numbers | {"retries": (retries, 0)}).items():
            if type(value) is not int or value < least:
                raise UserError(f"hydra.launcher.{name} is {value!r}: it must be at least {least}")
        if memory_gb is not None and not (type(memory_gb) in (int, float) and memory_gb > 0):
            raise UserError(f"hydra.launcher.memory_gb is {memory_gb!r}: it must be above 0")
        self.threads_per_job, self.retries = threads_per_job, retries
        self.parameters: dict[str, Any] = {
            "job_name": "rnnexp",
            "partition": partition,
            "account": account,
            "array_parallelism": jobs,
            "cpus_per_task": threads_per_job,
            "gpus_per_node": gpus_per_job or None,
            "mem": None if memory_gb is None else f"{int(memory_gb * 1024)}MB",
            "time": minutes,
            "ntasks_per_node": 1,
            "signal_delay_s": min(NOTICE, 20 * minutes),
            "setup": [*map(str, setup), f"export OMP_NUM_THREADS={threads_per_job}"],
            "srun_args": [f"--cpus-per-task={threads_per_job}"],  # else srun takes one core
            "additional_parameters": dict(options or {}),
        }

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        submitit = _submitit()
        jobs = self.jobs_of(job_overrides, initial_job_idx)
        place = Path(self.config.hydra.sweep.dir).absolute() / FOLDER
        executor = submitit.SlurmExecutor(folder=place / "%j")
        executor.update_parameters(**self.parameters)
        waiting: dict[Any, tuple[int, int]] = {}  # -> place of the job, its attempts before
        try:
            with interruptible():
                submitted = _submitted(executor, jobs, is_first=True)
                waiting |= {one: (number, 0) for number, one in enumerate(submitted)}
                return self._wait(executor, jobs, waiting)
        except BaseException:
            for one in waiting:  # SIGTERM, at which a run writes a checkpoint
                one.cancel(check=False)
            raise

    def _wait(
        self, executor: Any, jobs: list[JobProcess], waiting: dict[Any, tuple[int, int]]
    ) -> list[JobReturn]:
        progress = Progress(len(jobs), self.parameters["array_parallelism"])
        returns = [JobReturn(status=JobStatus.FAILED) for _ in jobs]
        while waiting:
            for one in [one for one in waiting if one.done()]:
                number, before = waiting.pop(one)
                folder, value, why = _result(one)
                if why and why != CANCELLED and before < self.retries:
                    console.show_line(f"job {jobs[number].number} goes on in another one: {why}")
                    [again] = _submitted(executor, [jobs[number]], is_first=False)
                    waiting[again] = (number, before + 1)
                    continue
                if folder:
                    returns[number].return_value = value
                    returns[number].status = JobStatus.COMPLETED
                progress.ended(jobs[number], folder, why)
            time.sleep(POLL if waiting else 0)
        return returns


def _submitted(executor: Any, jobs: Sequence[JobProcess], is_first: bool) -> list[Any]:
    """Submit jobs. is_first: none of them has been submitted before.

    Raises:
        UserError: sbatch does not take them.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        return executor.map_array(_work, jobs, [is_first] * len(jobs))
    except (FailedJobError, FailedSubmissionError, CalledProcessError, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            f"sbatch does not take the jobs ({lines[-1] if lines else error!r}): see "
            "hydra.launcher.partition, account, minutes, options"
        ) from error


def _work(job: JobProcess, is_first: bool) -> tuple[str | None, float | None, str]:
    """What runs on the cluster: a job, or what is missing of it.

    Returns its folder, its result, and why it is to go on in another job; empty if it is not.
    """
    asked: list[int] = []

    def end_soon(number: int, frame: object) -> None:  # the time limit is near
        asked.append(number)
        os.kill(os.getpid(), signal.SIGTERM)  # interrupts the run, which writes a checkpoint

    for one in (signal.SIGUSR1, signal.SIGUSR2):  # submitit wants the second, Lightning the first
        signal.signal(one, end_soon)
    requeued = os.environ.get("SLURM_RESTART_COUNT", "0") != "0"  # by the cluster
    try:
        folder, value = job.run() if is_first and not requeued else job.run_again()
    except KeyboardInterrupt:
        if not asked:
            raise
        return None, None, "its time limit is near"
    return folder, value, ""


def _result(job: Any) -> tuple[str | None, float | None, str]:
    """What `_work` has returned, or why it has returned nothing."""
    from submitit.core.utils import UncompletedJobError

    try:
        return job.result()
    except UncompletedJobError:
        is_cancelled = job.state.upper().startswith("CANCELLED")
        return None, None, CANCELLED if is_cancelled else f"its process died ({job.state})"


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UserError("the launcher slurm is not installed: pip install 'rnnexp[slurm]'") from (
            error
        )
    missing = [name for name in ("sbatch", "srun", "sacct") if shutil.which(name) is None]
    if missing:
        raise UserError(
            f"hydra/launcher=slurm: this machine has no {missing[0]}: type the command on a login "
            "node of the cluster"
        )
    return submitit
