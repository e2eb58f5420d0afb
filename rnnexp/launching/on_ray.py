"""Hydra's launcher `ray`: jobs on a Ray cluster, or on a Ray of this machine."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from rnnexp.errors import RunFailed, UserError
from rnnexp.launching.job_process import JobProcess, OwnLauncher, Progress
from rnnexp.process.interruption import interruptible


class RayLauncher(OwnLauncher):
    """Runs jobs with Ray. All machines see the folder of the sweep, the data and this package.

    address: of the cluster, for example ray://HOST:10001; auto: the one that this machine belongs
    to; None: a Ray of this machine alone, which ends with the sweep. threads_per_job: cores of a
    job. gpus_per_job: GPUs of a job. variables: of the environment, which jobs get beside those
    that begin with RNNEXP_. working_dir: a folder that Ray copies to every machine, in which jobs
    run; None: they run in the folder of the command. A job whose process dies is resumed once.
    """

    def __init__(
        self,
        address: str | None = None,
        threads_per_job: int = 1,
        gpus_per_job: int = 0,
        variables: dict[str, str] | None = None,
        working_dir: str | None = None,
    ) -> None:
        if type(threads_per_job) is not int or threads_per_job < 1:
            raise UserError(
                f"hydra.launcher.threads_per_job is {threads_per_job!r}: it must be at least 1"
            )
        if working_dir is not None and not Path(working_dir).is_dir():
            raise UserError(f"hydra.launcher.working_dir={working_dir}: there is no such folder")
        self.address, self.working_dir = address, working_dir
        self.threads_per_job, self.gpus_per_job = threads_per_job, gpus_per_job
        self.variables = dict(variables or {})

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        ray = _ray()
        jobs = self.jobs_of(job_overrides, initial_job_idx)
        own = {name: value for name, value in os.environ.items() if name.startswith("RNNEXP_")}
        own |= {"OMP_NUM_THREADS": str(self.threads_per_job), **self.variables}
        environment: dict[str, Any] = {"env_vars": own}
        if self.working_dir is not None:
            environment["working_dir"] = str(Path(self.working_dir).absolute())
            jobs = [replace(job, cwd=None) for job in jobs]
        ray.init(
            address=self.address,
            runtime_env=environment,
            include_dashboard=False if self.address is None else None,
            log_to_driver=False,
            logging_level="ERROR",
        )
        try:
            with interruptible():
                return self._run(ray, jobs)
        finally:
            ray.shutdown()

    def _run(self, ray: Any, jobs: list[JobProcess]) -> list[JobReturn]:
        resources = {"num_cpus": self.threads_per_job, "num_gpus": self.gpus_per_job}
        run, run_again = (
            ray.remote(max_retries=0, **resources)(one)
            for one in (JobProcess.run, JobProcess.run_again)
        )
        at_once = int(ray.cluster_resources().get("CPU", 1)) // self.threads_per_job
        progress = Progress(len(jobs), max(1, at_once))
        returns = [JobReturn(status=JobStatus.FAILED) for _ in jobs]
        waiting = {run.remote(job): (place, True) for place, job in enumerate(jobs)}
        while waiting:
            [done], _ = ray.wait(list(waiting), num_returns=1)
            place, is_first = waiting.pop(done)
            folder = None
            try:
                folder, returns[place].return_value = ray.get(done)
                returns[place].status = JobStatus.COMPLETED
            except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError):
                if is_first:
                    waiting[run_again.remote(jobs[place])] = (place, False)
                    continue
            except ray.exceptions.RayTaskError:
                raise  # a bug of ours: a job itself raises nothing
            except ray.exceptions.RayError as error:
                line = str(error).partition("\n")[0]
                raise RunFailed(f"Ray is gone ({line}): go on with rnnexp resume") from error
            progress.ended(jobs[place], folder)
        return returns


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError("the launcher ray is not installed: pip install 'rnnexp[ray]'") from error
    return ray
