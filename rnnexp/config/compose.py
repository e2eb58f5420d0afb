"""From overrides to a config."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from hydra.version import getbase, setbase
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from packaging.version import Version
from yaml import YAMLError

from rnnexp.config import groups
from rnnexp.config.explain import explain, keys_of, no_network, refuse_removals
from rnnexp.config.messages import first_line
from rnnexp.config.schema import check_top_level
from rnnexp.config.search_path import UserFolders, config_dir
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

HYDRA_VERSION_BASE = "1.3"
QUICKSTART = "experiment=quickstart"
HORIZON = "task=horizon"


def compose(overrides: Sequence[str] = (), config_dir: Path | None = None) -> DictConfig:
    """The config that `rnnexp train OVERRIDES` runs, its interpolations as they are written.

    Args:
        overrides: as on the command line, for example ["model=gru", "trainer.max_epochs=3"].
        config_dir: a folder of further configs, as after --config-dir.

    Raises:
        UserError: an override or a config file is wrong; the sentence offers the nearest right one.
    """
    with initialised(config_dir):
        return without_hydra(compose_whole(with_quickstart(overrides)))


def with_quickstart(overrides: Sequence[str]) -> list[str]:
    """Overrides that choose neither data nor an experiment choose the quickstart. Those that ask
    for several steps or for quantiles, and for no task, choose the task of a horizon."""
    given = dict(
        re.split("[@=]", line.lstrip("+~"), maxsplit=1) for line in overrides if "=" in line
    )
    chosen = [] if given.keys() & {"data", "experiment"} else [QUICKSTART]
    asks = given.get("data.horizon", "1") != "1" or "task.quantiles" in given
    return [*chosen, *overrides, *([HORIZON] if asks and "task" not in given else [])]


def override(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """A composed config with single values changed (`key=value`), as rerun's overrides do.

    Raises:
        UserError: an override is wrong, or is of a key that the config does not have.
    """
    changed = config.copy()
    with initialised(None):
        parsed = parse(overrides)
    for one in parsed:
        key, known, line = one.get_key_element(), set(keys_of(config)), str(one.input_line)
        if one.is_sweep_override() or one.is_add() or one.is_delete():
            raise UserError(f"{line}: a recorded config takes key=value alone")
        if key not in known:
            raise UserError(f"the config has no key {key}{did_you_mean(key, known)}")
        if OmegaConf.is_dict(OmegaConf.select(config, key)):
            raise UserError(f"{line}: {key} holds several values, change one: {key}.KEY=VALUE")
        try:
            OmegaConf.update(changed, key, one.value())
        except OmegaConfBaseException as error:
            raise UserError(f"{line}: {first_line(error)}") from error
    check_top_level(changed)
    return changed


def help_text(config_dir: Path | None = None) -> str:
    """What `rnnexp train --help` says: Hydra's template with the groups and their options."""
    with initialised(config_dir):
        return groups.help_text(compose_whole([QUICKSTART]).hydra.help.template)


def options(group: str) -> list[str]:
    """The options of a config group, those of ./conf included."""
    with initialised(None):
        return groups.options(group)


# With Hydra's own settings ----------------------------------------------------------------------


@contextmanager
def initialised(extra: Path | None) -> Iterator[None]:
    """Inside, Hydra knows our configs, those in ./conf and those in `extra`. What a program around
    us had set up of Hydra is put aside, and is there again afterwards."""
    if extra and not extra.is_dir():
        fault = "is a file, not a folder" if extra.exists() else "does not exist"
        raise UserError(f"the config folder {extra} {fault}")
    with _put_aside():
        UserFolders.folders = (*([extra] if extra else []), Path("conf"))
        try:
            with hydra.initialize_config_dir(str(config_dir()), "rnnexp", HYDRA_VERSION_BASE):
                yield
        finally:
            UserFolders.folders = ()


@contextmanager
def _put_aside() -> Iterator[None]:
    """Hydra as it was before anybody used it; afterwards as it was found."""
    outside, config, base = GlobalHydra.instance().hydra, HydraConfig.instance().cfg, getbase()
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = outside
        HydraConfig.instance().cfg = config
        if isinstance(base, Version):  # else nobody had chosen one
            setbase(f"{base.major}.{base.minor}")


def compose_whole(overrides: Sequence[str]) -> DictConfig:
    """The config with its node `hydra`; all is checked that can be without any class."""
    parsed = parse(overrides)
    refuse_removals(parsed)
    try:
        config = hydra.compose("train", list(overrides), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(explain(error, parsed)) from error
    HydraConfig.instance().set_config(config)  # ${hydra:...} reads it
    check_top_level(config)
    if not config.paths.outputs:
        raise UserError("RNNEXP_OUTPUTS or paths.outputs is empty: name a folder, or unset it")
    if config.seed < 0:  # elsewhere this often means a random seed
        raise UserError(f"seed is {config.seed}: it must be 0 or more")
    if OmegaConf.is_dict(config.model) and "_target_" not in config.model:
        raise UserError(no_network(config.hydra.runtime.choices.get("task")))
    return config


def compose_alone(group: str, option: str) -> DictConfig:
    """What stands in an option of a group that is no part of a run's config, with what its
    defaults list adds.

    Raises:
        UserError: the file is wrong.
    """
    try:
        config = hydra.compose(f"{group}/{option}")
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(explain(error, [])) from error
    found = config.get(group, config)
    return found if isinstance(found, DictConfig) else OmegaConf.create()


def without_hydra(config: DictConfig) -> DictConfig:
    """A config of `compose_whole` as a run gets it; changed in place."""
    with open_dict(config):
        config.name = config.name  # may refer to the data that Hydra chose
        del config["hydra"]
    return config


def parse(overrides: Sequence[str]) -> list[Override]:
    """Overrides of the command line, read but not applied.

    Raises:
        UserError: one cannot be read.
    """
    loader = GlobalHydra.instance().config_loader()
    try:
        return OverridesParser.create(loader).parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise UserError(
            f"cannot read {error.override!r}: write group=option, key=value, +key=value or ~key, "
            f"with quotes around values that hold special characters"
        ) from error
