"""Plans what `rnnexp train` runs: one job, or every combination of a sweep."""

import itertools
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override, Quote, QuotedString, ValueType
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from rnnexp import console
from rnnexp.config import check
from rnnexp.config.compose import (
    compose_whole,
    initialised,
    parse,
    with_quickstart,
    without_hydra,
)
from rnnexp.config.messages import first_line
from rnnexp.errors import UserError
from rnnexp.launching.labels import label, label_of_one

# They carry the label of a job, and where its folder is in that of the sweep, to its process.
JOB_NAME, JOB_FOLDER = "hydra.job.name", "hydra.sweep.subdir"


@dataclass(frozen=True)
class Job:
    """One run.

    overrides: as Hydra passes them. config: the composed one. choices: the option of each config
    group. label: names the run in TensorBoard and, in a sweep, its folder. folder: in that of the
    sweep; empty for a single run. number: in the sweep.
    """

    overrides: tuple[str, ...]
    config: DictConfig
    choices: dict[str, str] = field(default_factory=dict)
    label: str = ""
    folder: str = ""
    number: int = 0


@dataclass(frozen=True)
class Plan:
    """The jobs of a launch.

    folder: the folder of the sweep, or of the single run. sweep: the config of the first job with
    Hydra's own settings; None for a single run.
    """

    jobs: list[Job]
    folder: Path
    sweep: DictConfig | None = None


def plan(overrides: Sequence[str], multirun: bool = False, config_dir: Path | None = None) -> Plan:
    """The single job of a launch, or all combinations of a sweep. Jobs are composed, not run.

    Raises:
        UserError: an override or a sweep is wrong, or a sweep lacks -m.
    """
    with initialised(config_dir):
        given = with_quickstart(overrides)
        parsed = parse(given)
        # The first job, since an override may need a swept key or an option of a swept group.
        base = compose_whole([_choices(one)[0] for one in parsed])
        check(base, "hydra.callbacks")
        if multirun or base.hydra.mode == RunMode.MULTIRUN:
            folder = Path(base.hydra.sweep.dir).absolute()
            product = _product(base, parsed)
            fixed = set.intersection(*map(set, product))
            with console.working(f"composing {len(product):,} jobs"):
                jobs = [
                    planned_job(job, compose_whole(job), fixed, number)
                    for number, job in enumerate(product)
                ]
            return Plan(jobs, folder, base)
        if sweeps := [one for one in parsed if one.is_sweep_override()]:
            key, line = sweeps[0].get_key_element(), sweeps[0].input_line
            raise UserError(
                f"{line} has several values: add -m to run each of them (from Python, call "
                f"rnnexp.run for each), or write {key}=[a,b] for a list"
            )
        folder = Path(base.hydra.run.dir).absolute()
        return Plan([planned_job(tuple(given), base)], folder)


def chosen(choices: Mapping[str, str | None]) -> dict[str, str]:
    """The option of each config group, from Hydra's; without Hydra's own and empty groups."""
    return {
        str(group): str(option)
        for group, option in choices.items()
        if option is not None and str(group).partition("/")[0] != "hydra"
    }


def planned_job(
    overrides: tuple[str, ...], whole: DictConfig, fixed: Set[str] = frozenset(), number: int = -1
) -> Job:
    """A job from its config with Hydra's own settings, which is changed in place.

    fixed: overrides that all jobs of a sweep have, which the label leaves out. number: in the
    sweep; negative for a single run.
    """
    choices = chosen(whole.hydra.runtime.choices)
    told = [one for one in overrides if one not in fixed]
    own = next((one for one in overrides if one.startswith(f"{JOB_NAME}=")), None)
    model, seed = choices.get("model"), whole.seed
    if own:
        name = whole.hydra.job.name
    elif number >= 0:
        name = label(model, told, seed)
    else:
        name = label_of_one(model, told, seed, whole.name)
    folder = _folder(whole, name, number) if number >= 0 else ""
    return Job(overrides, without_hydra(whole), choices, name, folder, max(number, 0))


def _folder(whole: DictConfig, name: str, number: int) -> str:
    """The folder of a job in that of its sweep, as Hydra's settings name it.

    Raises:
        UserError: they refer to what is not known before the job runs.
    """
    with read_write(whole.hydra), open_dict(whole.hydra):
        whole.hydra.job.name, whole.hydra.job.num = name, number
    HydraConfig.instance().set_config(whole)  # ${hydra:...} reads it
    try:
        return str(whole.hydra.sweep.subdir)
    except OmegaConfBaseException as error:
        raise UserError(
            f"{JOB_FOLDER} must be known before the jobs run: {first_line(error)}"
        ) from error


def literal(key: str, text: str) -> str:
    """An override whose value is this text, whatever is in it."""
    escaped = text.replace("${", r"\${")
    return f"{key}={QuotedString(escaped, Quote.single).with_quotes()}"


def check_jobs(jobs: Sequence[Job]) -> None:
    """Check the classes, arguments and settings in the config of every job, and that its task
    takes its own settings and its data.

    Raises:
        UserError: all jobs are wrong. If only some are wrong, the others run, and the wrong ones
            fail in their own folders.
    """
    from rnnexp.runs.build import check_logger, check_task  # with all of torch
    from rnnexp.runs.settings import resolve

    mistakes = []
    for job in jobs:
        try:
            check(job.config)
            check_task(job.config)
            check_logger(job.config)
            resolve(job.config)
        except UserError as error:
            mistakes.append(error)
    if len(mistakes) == len(jobs):
        raise mistakes[0]


def _product(base: DictConfig, parsed: Sequence[Override]) -> list[tuple[str, ...]]:
    """Every combination of the sweeps in the config and on the command line."""
    from_config = [f"{key}={value}" for key, value in (base.hydra.sweeper.params or {}).items()]
    choices = {one.get_key_element(): _choices(one) for one in [*parse(from_config), *parsed]}
    return list(itertools.product(*choices.values()))


def _choices(override: Override) -> list[str]:
    """The overrides with a single value that an override of the command line expands to."""
    if not override.is_sweep_override():
        return [str(override.input_line)]
    key = override.get_key_element()
    if override.is_hydra_override():
        raise UserError(f"{override.input_line}: a sweep cannot vary Hydra's own settings")
    if not override.is_discrete_sweep():
        raise UserError(f"{override.input_line}: sweep over values a,b,c or a range instead")
    values = list(override.sweep_string_iterator())
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        # A file whose name begins with an underscore is shared by options and is none itself.
        values = [value for value in values if not value.startswith("_")]
    return [f"{key}={value}" for value in values]
