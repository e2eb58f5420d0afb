"""Plans what `rnnexp train` runs: one job, or every combination of a sweep."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

from rnnexp.config import check
from rnnexp.config.compose import compose_whole, initialised, parse, without_hydra
from rnnexp.errors import UserError


@dataclass(frozen=True)
class Job:
    """One run: its overrides as Hydra passes them, and the composed config."""

    overrides: tuple[str, ...]
    config: DictConfig


@dataclass(frozen=True)
class Plan:
    """The jobs of a launch. sweep: the folder of the sweep; None for a single run."""

    jobs: list[Job]
    sweep: Path | None = None


def plan(overrides: Sequence[str], multirun: bool = False, config_dir: Path | None = None) -> Plan:
    """The single job of a launch, or all combinations of a sweep. Jobs are composed, not run.

    Raises:
        UserError: an override or a sweep is wrong, or a sweep lacks -m.
    """
    with initialised(config_dir):
        parsed = parse(overrides)
        sweeps = [one for one in parsed if one.is_sweep_override()]
        base = compose_whole([str(one.input_line) for one in parsed if one not in sweeps])
        check(base, "hydra.callbacks")
        if multirun or base.hydra.mode == RunMode.MULTIRUN:
            folder = Path(base.hydra.sweep.dir).absolute()
            jobs = [
                Job(job, without_hydra(compose_whole(job))) for job in _product(base, overrides)
            ]
            return Plan(jobs, folder)
        if sweeps:
            key, line = sweeps[0].get_key_element(), sweeps[0].input_line
            raise UserError(
                f"{line} has several values: add -m to run each of them, or write {key}=[a,b] for "
                "a list"
            )
        return Plan([Job(tuple(overrides), without_hydra(base))])


def check_jobs(jobs: Sequence[Job]) -> None:
    """Check the classes and arguments in the config of every job.

    Raises:
        UserError: all jobs are wrong. If only some are wrong, the others run, and the wrong ones
            fail in their own folders.
    """
    mistakes = []
    for job in jobs:
        try:
            check(job.config)
        except UserError as error:
            mistakes.append(error)
    if len(mistakes) == len(jobs):
        raise mistakes[0]


def _product(base: DictConfig, overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """Every combination of the sweeps in the config and on the command line."""
    from_config = [f"{key}={value}" for key, value in (base.hydra.sweeper.params or {}).items()]
    choices = {one.get_key_element(): _choices(one) for one in parse([*from_config, *overrides])}
    return list(itertools.product(*choices.values()))


def _choices(override: Override) -> list[str]:
    """The overrides with a single value that an override of the command line expands to."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if override.is_hydra_override():
        raise UserError(f"{override.input_line}: a sweep cannot vary Hydra's own settings")
    if not override.is_discrete_sweep():
        raise UserError(f"{override.input_line}: sweep over values a,b,c or a range instead")
    return [f"{key}={value}" for value in override.sweep_string_iterator()]
