"""What a sweep was to run, in sweep.json, and what became of its jobs, read from their folders.

A launcher may run jobs in other processes or on other machines, and any of them may be killed. So
nothing is kept but in the folders.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rnnexp.config.targets import added_packages
from rnnexp.errors import UserError
from rnnexp.files import write_json
from rnnexp.launching.plan import Job, Plan
from rnnexp.process.locks import is_locked, locked
from rnnexp.runs.folder.provenance import now
from rnnexp.runs.folder.reading import LOCK, read_run, read_sweep, status_now
from rnnexp.runs.folder.record import cannot_write
from rnnexp.runs.folder.schema import SWEEP, fault

FILE = "sweep.json"
SWEEP_LOCK = ".sweep_lock"  # held by the process that runs the jobs
# Of a job, beside what run.json may say.
MISSING, DAMAGED = "missing", "damaged"


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    folder: where it is recorded, or will be. status: that of its run, DAMAGED, or MISSING without a
    record.
    """

    number: int
    overrides: tuple[str, ...]
    folder: Path
    status: str

    def __str__(self) -> str:
        place = "left no record" if self.status == MISSING else f"in {self.folder}"
        return f"{' '.join(self.overrides) or '(no overrides)'}  {place}"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep the jobs of a sweep to this process during the block.

    Raises:
        UserError: another process runs them.
    """
    with locked(folder / SWEEP_LOCK) as own:
        if not own:
            raise UserError(f"{folder} is in use: another process is running its jobs")
        yield


def write(plan: Plan, config_dir: Path | None) -> None:
    """Write sweep.json of a sweep that begins.

    Raises:
        UserError: the folder already holds a sweep, or cannot be written to.
    """
    content = {
        "argv": sys.argv,
        "started": now(),
        "config_dir": str(config_dir.absolute()) if config_dir else None,
        "allowed": list(added_packages()),
        "hydra": [one for one in plan.jobs[0].overrides if is_hydras(one)],
        "jobs": [_planned(job) for job in plan.jobs],
    }
    path = plan.folder / FILE
    if path.exists():
        raise UserError(
            f"{plan.folder} already holds a sweep, which is never overwritten: choose another "
            "folder with hydra.sweep.dir=FOLDER"
        )
    if wrong := fault(content, SWEEP):
        raise UserError(f"the sweep cannot be recorded in {path}: {wrong}")
    try:
        write_json(path, content)
    except OSError as error:
        raise cannot_write(plan.folder, error) from error


def _planned(job: Job) -> dict[str, Any]:
    return {
        "overrides": list(ours(job.overrides)),
        "label": job.label,
        "folder": job.folder,
        "config_sha256": config_hash(job),
    }


def config_hash(job: Job) -> str:
    """SHA-256 of the composed config, its references as they are written."""
    return hashlib.sha256(OmegaConf.to_yaml(job.config).encode()).hexdigest()


def outcomes(folder: Path) -> list[Outcome]:
    """What became of the jobs of a sweep so far, in the order of the plan.

    Raises:
        UserError: sweep.json is missing or damaged.
    """
    return [
        _outcome(number, tuple(job["overrides"]), folder / job["folder"])
        for number, job in enumerate(read_sweep(folder)["jobs"])
    ]


def left(folder: Path, failed: bool) -> list[Outcome]:
    """The jobs of a sweep that are still to run. failed: those that failed, too.

    Raises:
        UserError: a job is running, or its folder is a link that leads out of that of the sweep.
    """
    found = outcomes(folder)
    for one in found:
        if one.status == "running" and is_locked(one.folder / LOCK):
            raise UserError(f"{folder} is in use: another process is running {one.folder}")
        if one.status == "running":
            raise UserError(
                f"{one.folder} runs on another computer, by its record: if it does not, go on with "
                f"it first: rnnexp resume {one.folder}"
            )
        if not Path(os.path.realpath(one.folder)).is_relative_to(os.path.realpath(folder)):
            raise UserError(f"{one.folder} leads out of {folder}, where all of a sweep is")
    wanted = ("interrupted", MISSING)
    return [one for one in found if one.status in wanted or (failed and one.status != "completed")]


def failures(folder: Path) -> list[Outcome]:
    """The jobs of a sweep without a completed run."""
    return [one for one in outcomes(folder) if one.status != "completed"]


def _outcome(number: int, overrides: tuple[str, ...], folder: Path) -> Outcome:
    if not (folder / "run.json").exists():
        status = "running" if is_locked(folder / LOCK) else MISSING
        return Outcome(number, overrides, folder, status)
    try:
        run = read_run(folder)
    except UserError:
        return Outcome(number, overrides, folder, DAMAGED)
    # Another run may have been there before.
    its_own = (run.get("job"), tuple(run.get("overrides", ()))) == (number, overrides)
    return Outcome(number, overrides, folder, status_now(folder, run) if its_own else MISSING)


def ours(overrides: Sequence[str]) -> tuple[str, ...]:
    """The overrides that a job records: all but those of Hydra's own settings."""
    return tuple(one for one in overrides if not is_hydras(one))


def is_hydras(override: str) -> bool:
    """Whether an override is of Hydra's own settings."""
    return override.lstrip("+~").startswith(("hydra.", "hydra/"))
