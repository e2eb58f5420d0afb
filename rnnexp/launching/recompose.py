"""Jobs of a sweep from its sweep.json, which may come from a stranger.

Hydra composes their overrides again, from the config files of today. They may say what a recorded
config may say, and no more: they name options that are there, hold no reference but to another key,
and leave Hydra's own settings alone.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rnnexp import console
from rnnexp.config import check, recorded
from rnnexp.config.compose import compose_whole, initialised, parse
from rnnexp.config.messages import first_line
from rnnexp.config.schema import plain
from rnnexp.config.targets import added_packages, refuse_foreign_lightning
from rnnexp.errors import CannotRerun, UserError
from rnnexp.launching.plan import JOB_FOLDER, JOB_NAME, Job, Plan, literal, planned_job
from rnnexp.launching.sweep import config_hash
from rnnexp.runs.folder.reading import read_sweep

LAUNCHER = "hydra/launcher"
# How many jobs at once, and with how many threads.
PROCESSES = [f"hydra.launcher.{name}" for name in ("jobs", "threads_per_job", "n_jobs")]
KEY = re.compile(r"\$\{[\w.]+\}")  # a reference to another key
# What they set is in sweep.json, or is the folder that holds it.
NOT_NEEDED = ("hydra.sweep.dir", JOB_FOLDER, JOB_NAME, "hydra.mode")


def planned_again(
    folder: Path, numbers: Sequence[int], config_dir: Path | None, on_other_ground: bool
) -> Plan:
    """A plan of these jobs of a sweep, as they would have run.

    Raises:
        UserError: an override cannot be composed or is not taken.
        CannotRerun: a config is not what it was, and on_other_ground does not accept this.
    """
    said = read_sweep(folder)
    if not numbers:
        return Plan([], folder)
    try:
        with initialised(config_dir):
            settings = _settings_taken(said["hydra"])
            jobs = [_job(said["jobs"][number], number) for number in numbers]
            place = literal("hydra.sweep.dir", str(folder))
            base = compose_whole([*jobs[0].overrides, *settings, place])
            check(base, "hydra.callbacks")
    except UserError as error:
        raise UserError(f"{error}{_launched_with(folder, said, config_dir)}") from error
    for job in jobs:
        if config_hash(job) != said["jobs"][job.number]["config_sha256"] and not on_other_ground:
            raise CannotRerun(
                f"job {job.number} of {folder} would not be what it was: its overrides compose "
                "another config, since rnnexp or a config file (of ./conf, for example) is "
                f"another{_launched_with(folder, said, config_dir)}; add --on-other-ground to run "
                "it all the same"
            )
    return Plan(jobs, folder, base)


def _job(said: dict[str, Any], number: int) -> Job:
    overrides = tuple(said["overrides"])
    _check(overrides)
    for text in (said["label"], said["folder"]):
        if "$" in text:
            raise UserError(f"{text} is no name of a job of sweep.json: it holds a $")
    job = planned_job(overrides, compose_whole(overrides), number=number)
    _check_as_recorded(job.config)
    return replace(job, label=said["label"], folder=said["folder"])


def _check(overrides: Sequence[str]) -> None:
    """Check that overrides say no more than which config it is.

    Raises:
        UserError: they do.
    """
    loader = GlobalHydra.instance().config_loader()
    for one in parse(overrides):
        line = str(one.input_line)
        if one.is_sweep_override():
            raise UserError(f"{line} has several values, and a job of sweep.json has one")
        if "hydra" in one.get_key_element():
            raise UserError(f"{line}: a job of sweep.json leaves Hydra's own settings alone")
        if "$" in KEY.sub("", line.replace("\\", "")):
            raise UserError(
                f"{line}: a job of sweep.json refers to other keys alone, as ${{seed}} does"
            )
        group = one.key_or_group
        is_group = loader.get_group_options(group) or loader.list_groups(group)
        if is_group and any(_leads_out(option) for option in _options(one)):
            raise UserError(f"{line}: a job of sweep.json names options of config groups alone")


def _options(override: Override) -> Iterator[str]:
    value = None if override.is_delete() else override.value()
    yield from map(str, value if isinstance(value, list) else [value])


def _leads_out(option: str) -> bool:
    return ".." in PurePath(option.replace("\\", "/")).parts or PurePath(option).is_absolute()


def _check_as_recorded(config: DictConfig) -> None:
    """Check what must hold for a config of a stranger. Whether its values fit is for the run to
    say, which fails in its own folder.

    Raises:
        UserError: it may not be run.
    """
    try:
        values = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    except OmegaConfBaseException as error:
        raise UserError(first_line(error)) from error
    assert isinstance(values, DictConfig)
    refuse_foreign_lightning(plain(recorded(values)))


def _settings_taken(overrides: Sequence[str]) -> list[str]:
    """Of overrides of Hydra's own settings, the launcher, and how many jobs it runs at once. The
    others are named on the console."""
    known = GlobalHydra.instance().config_loader().get_group_options(LAUNCHER)
    taken, left_out = [], []
    for one in parse(overrides):
        value = None if one.is_delete() else one.value()
        at_once = type(value) is int and -1 <= value <= (os.cpu_count() or 1)
        match one.get_key_element():
            case key if key == LAUNCHER and value in known:
                taken.append(f"{LAUNCHER}={value}")
            case key if key in PROCESSES and at_once and taken:
                taken.append(f"{key}={value}")
            case key if key.lstrip("+") not in NOT_NEEDED:
                left_out.append(str(one.input_line))
    if left_out:
        console.show(f"not taken from sweep.json: {', '.join(left_out)}")
    return taken


def _launched_with(folder: Path, said: dict[str, Any], config_dir: Path | None) -> str:
    """What to type if a sweep was launched with options that are not given now; else empty."""
    missing: list[str] = []
    if said["config_dir"] and config_dir is None:
        missing += ["--config-dir", said["config_dir"]]
    for package in said["allowed"]:
        missing += [] if package in added_packages() else ["--allow", package]
    if not missing:
        return ""
    return f"; it began with {console.command('rnnexp', 'resume', folder, *missing)}"
