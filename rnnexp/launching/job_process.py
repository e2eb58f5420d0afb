"""One job of a sweep in a process of its own, on this machine or another: what our launchers run
there, and what they say of its end."""

import io
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from rnnexp import console
from rnnexp.config.compose import initialised
from rnnexp.config.search_path import UserFolders
from rnnexp.errors import UserError
from rnnexp.launching.engine import hydra_context
from rnnexp.launching.plan import literal
from rnnexp.runs.folder.reading import read_run
from rnnexp.runs.resume import resume
from rnnexp.tables import counted


@dataclass(frozen=True)
class JobProcess:
    """A job as it travels to a process.

    number: in the sweep. overrides: those of Hydra included. threads: where determinism.threads is
    auto. config: of any job of the sweep. function: runs a composed job. config_dir: that of
    --config-dir. cwd: the current folder of the command; None: where the process begins.
    """

    number: int
    overrides: tuple[str, ...]
    threads: int
    config: DictConfig
    function: TaskFunction
    config_dir: Path | None
    cwd: Path | None = None

    def run(self) -> tuple[str, float | None]:
        """Run the job. Returns its folder, and the monitored metric if it has a result. What it
        prints is dropped: its folder has log.txt and the results."""
        with self._in_place():
            context = hydra_context(self.config)
            job = self._composed()
            HydraConfig.instance().set_config(job)
            done = run_job(
                hydra_context=context,
                task_function=self.function,
                config=job,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        assert done.hydra_cfg is not None
        return str(done.hydra_cfg.hydra.runtime.output_dir), done.return_value

    def run_again(self) -> tuple[str, float | None]:
        """Go on with the job, whose process has died; if it left no record, run it."""
        with self._in_place():
            job = self._composed()
            HydraConfig.instance().set_config(job)
            folder = Path(job.hydra.sweep.dir) / job.hydra.sweep.subdir
            if (folder / "run.json").exists():
                resume(folder)
                return str(folder), None
        return self.run()

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Hydra as in the process of the command, and silence."""
        if self.cwd and self.cwd.is_dir():  # so that relative paths mean the same
            os.chdir(self.cwd)
        setup_globals()
        with initialised(self.config_dir), _silence():
            yield

    def _composed(self) -> Any:
        loader = hydra_context(self.config).config_loader
        job: Any = loader.load_sweep_config(self.config, list(self.overrides))
        with open_dict(job):
            job.hydra.job.id = job.hydra.job.num = self.number
            if job.determinism.threads == "auto":
                job.determinism.threads = self.threads
        return job


class OwnLauncher(Launcher):
    """What our launchers share. threads_per_job: of jobs whose determinism.threads is auto."""

    threads_per_job: int

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.function, self.config = task_function, config

    def jobs_of(self, overrides: Sequence[Sequence[str]], first: int) -> list[JobProcess]:
        """The jobs of a launch, for which the folder of the sweep is made. first: number of the
        first one."""
        setup_globals()
        place = Path(self.config.hydra.sweep.dir).absolute()
        place.mkdir(parents=True, exist_ok=True)
        extra = next(iter(UserFolders.folders[:-1]), None)  # the last one is ./conf
        folder = extra and extra.absolute()
        common = (self.threads_per_job, self.config, self.function, folder, Path.cwd())
        return [
            JobProcess(number, (*job, literal("hydra.sweep.dir", str(place))), *common)
            for number, job in enumerate(overrides, start=first)
        ]


class Progress:
    """A line on the console for every job that ends."""

    def __init__(self, jobs: int, at_once: int) -> None:
        self.jobs, self.done, self.began = jobs, 0, time.monotonic()
        together = f", {min(at_once, jobs)} at the same time" if jobs > 1 else ""
        console.show(f"{counted(jobs, 'job')}{together}")

    def ended(self, job: JobProcess, folder: str | None, why: str = "its process died") -> None:
        """folder: None if the job did not come to its end; why: the reason."""
        self.done += 1
        label = Path(folder).name if folder else f"job {job.number}"
        how = _end_of(Path(folder)) if folder else why
        seconds = time.monotonic() - self.began
        console.show_line(f"{self.done}/{self.jobs}  {seconds:.0f} s  {label}  {how}")


def _end_of(folder: Path) -> str:
    try:
        run = read_run(folder)
    except UserError as error:
        return str(error)
    why = f": {run['error']}" if "error" in run else ""
    return f"{run.get('status')}{why}"


@contextmanager
def _silence() -> Iterator[None]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
