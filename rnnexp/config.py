"""From overrides to a config, and from a config to objects.

Composing turns the errors of Hydra into one sentence. Checking compares every `_target_` with the
allow-list, and its keys and values with the signature of the class, before any work is done.
"""

import functools
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path, PurePath
from string import Template
from typing import Any, ClassVar, cast

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import (
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rnnexp import targets
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

HYDRA_VERSION_BASE = "1.3"


@dataclass
class Schema:
    """The top level of every config. Keys that do not stand here are an error."""

    name: str = MISSING  # of the experiment: run folders lie in a folder of this name
    seed: int = 0  # of everything random; 0 is a seed
    monitor: str | None = MISSING  # the metric that chooses the best checkpoint; null: the last
    mode: str = MISSING  # of the monitored metric: min or max
    task: Any = MISSING
    model: Any = MISSING
    data: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = MISSING
    logger: Any = MISSING
    determinism: Any = MISSING
    paths: Any = MISSING


TOP_LEVEL = tuple(field.name for field in fields(Schema))
ConfigStore.instance().store(name="rnnexp_schema", node=Schema)


# Where configs are ------------------------------------------------------------------------------


def config_dir() -> Path:
    """The folder of YAML files: beside the package in a checkout, inside it once installed."""
    package = Path(__file__).resolve().parent
    inside, beside = package / "conf", package.parent / "conf"
    return inside if (inside / "train.yaml").is_file() else beside


class UserFolders(SearchPathPlugin):
    """Adds ./conf, where there is one, and `extra`: they add options, ours stay as they are."""

    extra: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for folder in (self.extra, Path("conf")):
            if folder and folder.is_dir() and not folder.samefile(config_dir()):
                search_path.append("user", f"file://{folder.resolve()}")


Plugins.instance().register(UserFolders)


# Composing --------------------------------------------------------------------------------------


def compose(overrides: Sequence[str] = (), config_dir: Path | None = None) -> DictConfig:
    """The config that `rnnexp train OVERRIDES` runs, its interpolations as they are written.

    Args:
        overrides: as on the command line, for example ["model=gru", "trainer.max_epochs=3"].
        config_dir: a folder of further configs, as after --config-dir.

    Raises:
        UserError: an override or a config file is wrong; the sentence offers the nearest right one.
    """
    with _hydra(config_dir):
        config = _compose(list(overrides))
    with open_dict(config):
        del config["hydra"]
    return config


def override(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """A composed config with single values changed (`key=value`), as rerun's overrides do.

    Raises:
        UserError: an override is wrong, or is of a key that the config does not have.
    """
    changed = config.copy()
    with _hydra(None):
        parsed = _parse(overrides)
    for one in parsed:
        key, known = one.get_key_element(), set(_keys(config))
        if one.is_sweep_override() or one.is_add() or one.is_delete():
            raise UserError(f"{_line(one)}: a recorded config takes key=value alone")
        if key not in known:
            raise UserError(f"the config has no key {key}{did_you_mean(key, known)}")
        if OmegaConf.is_dict(OmegaConf.select(config, key)):
            raise UserError(
                f"{_line(one)}: {key} holds several values, change one: {key}.KEY=VALUE"
            )
        try:
            OmegaConf.update(changed, key, one.value())
        except OmegaConfBaseException as error:
            raise UserError(f"{_line(one)}: {_first_line(error)}") from error
    _check_top_level(changed)
    return changed


def recorded(config: DictConfig) -> DictConfig:
    """A config that was read from a run folder, closed and with everything that a run needs.

    Raises:
        UserError: it is not such a config.
    """
    try:
        closed = cast(DictConfig, OmegaConf.merge(OmegaConf.structured(Schema), config))
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error)) from error
    _check_top_level(closed)
    tree = _plain(closed)
    _check_keys(tree, "")
    for group in ("task", "model", "data", "optimizer", "trainer", "determinism", "paths"):
        if not isinstance(tree[group], dict):
            raise UserError(f"{group} is {tree[group]!r}, it must hold a group of values")
    for group in ("task", "model", "data", "optimizer", "trainer", "scheduler", "logger"):
        _check_names_a_class(tree[group], group, optional=group in ("scheduler", "logger"))
    if not isinstance(tree["callbacks"], dict):
        raise UserError(f"callbacks is {tree['callbacks']!r}, it must hold a group of values")
    for name, node in tree["callbacks"].items():
        _check_names_a_class(node, f"callbacks.{name}", optional=True)
    targets.refuse_other_places(tree)
    return closed


def _check_keys(tree: Any, key: str) -> None:
    for name, branch in tree.items() if isinstance(tree, dict) else ():
        if not isinstance(name, str):
            raise UserError(f"{key or 'the config'} has the key {name!r}, which is no text")
        _check_keys(branch, f"{key}.{name}" if key else name)


def _check_names_a_class(node: Any, key: str, optional: bool) -> None:
    if optional and (node is None or node == {}):
        return
    if not isinstance(node, dict) or "_target_" not in node:
        raise UserError(f"{key} is {node!r}, it must name a class (_target_)")


def jobs(
    overrides: Sequence[str], multirun: bool = False, config_dir: Path | None = None
) -> list[list[str]]:
    """The overrides of every job of a launch: of the one job, or of the product of all sweeps.

    Raises:
        UserError: a sweep is wrong, or was not asked for.
    """
    with _hydra(config_dir):
        parsed = _parse(overrides)
        sweeps = [x for x in parsed if x.is_sweep_override()]
        base = _compose([_line(x) for x in parsed if x not in sweeps])
        check(base.hydra.callbacks)
        if not multirun and base.hydra.mode != RunMode.MULTIRUN:
            if sweeps:
                key, line = sweeps[0].get_key_element(), sweeps[0].input_line
                raise UserError(
                    f"{line} names several values: add -m to run each, or write {key}=[a,b] "
                    f"where a list is meant"
                )
            return [list(overrides)]
        from_config = [f"{k}={v}" for k, v in (base.hydra.sweeper.get("params") or {}).items()]
        choices = {x.get_key_element(): _choices(x) for x in _parse([*from_config, *overrides])}
        return [list(job) for job in itertools.product(*choices.values())]


def _choices(override: Override) -> list[str]:
    """The single overrides that stand behind one of the command line."""
    if not override.is_sweep_override():
        return [_line(override)]
    if override.is_hydra_override():
        raise UserError(f"{override.input_line}: a sweep cannot vary the settings of Hydra")
    if not override.is_discrete_sweep():
        raise UserError(f"{override.input_line}: sweep over values a,b,c or a range instead")
    key = override.get_key_element()
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


@contextmanager
def _hydra(extra: Path | None) -> Iterator[None]:
    if extra and not extra.is_dir():
        raise UserError(f"the config folder {extra} does not exist")
    UserFolders.extra = extra
    try:
        with hydra.initialize_config_dir(str(config_dir()), "rnnexp", HYDRA_VERSION_BASE):
            yield
    finally:
        UserFolders.extra = None


def _compose(overrides: list[str]) -> DictConfig:
    """The config with its node `hydra`; all is checked that can be without any class."""
    parsed = _parse(overrides)
    try:
        config = hydra.compose("train", overrides, return_hydra_config=True)
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError) as error:
        raise UserError(_explain(error, parsed)) from error
    _check_top_level(config)
    return config


def _parse(overrides: Sequence[str]) -> list[Override]:
    loader = GlobalHydra.instance().config_loader()
    try:
        return OverridesParser.create(loader).parse_overrides(list(overrides))
    except OverrideParseException as error:
        raise UserError(
            f"cannot read {error.override!r}: write group=option, key=value, +key=value or ~key, "
            f"with quotes around values that hold special characters"
        ) from error


def _line(override: Override) -> str:
    return str(override.input_line)


def _check_top_level(config: DictConfig) -> None:
    for key in map(str, config):
        if key not in (*TOP_LEVEL, "hydra"):
            raise UserError(f"the config has no key {key}{did_you_mean(key, TOP_LEVEL)}")
    try:
        own = OmegaConf.masked_copy(config, list(TOP_LEVEL))
        missing = sorted(OmegaConf.missing_keys(own))
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error)) from error
    if missing:
        raise UserError(f"{', '.join(missing)} must be given: add {missing[0]}=VALUE")
    if own.mode not in ("min", "max"):
        raise UserError(f"mode is {own.mode!r}, it must be 'min' or 'max'")
    if own.name in (None, "", ".", "..") or PurePath(own.name).name != own.name:
        raise UserError(f"name is {own.name!r}, it must be the name of a folder")
    _plain(own)


def _plain(node: Any) -> Any:
    """Dicts, lists and values, with interpolations resolved."""
    if not OmegaConf.is_config(node):
        return node
    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(_first_line(error)) from error


# Explaining what Hydra, OmegaConf and YAML say in several lines ---------------------------------


def _twice(group: str) -> str:
    return f"{group} is chosen twice: give one option, without a plus sign"


def _explain(error: Exception, parsed: list[Override]) -> str:
    said = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return _no_option(group, option)
    for override in parsed:
        if override.key_or_group in _groups() and not isinstance(override.value(), (str, list)):
            return _no_option(override.key_or_group, override.get_value_string())
        # A second choice of a group that others are chosen by is not found as such.
        if override.is_add() and "interpolation" in said and override.key_or_group in TOP_LEVEL:
            return _twice(override.key_or_group)
    if match := re.match(r"Could not (?:override|delete)(?: from config\.)? '([^'=]+)", said):
        return _unknown_key(match[1], parsed)
    if match := re.match(r"Multiple values for (\S+)\.", said):
        return _twice(match[1])
    if match := re.match(r"Error merging override (\+*([^=]+).*)", said):
        return f"{match[1]}: " + _first_line(error.__cause__).removeprefix(f"{match[2]}: ")
    if isinstance(error, YAMLError):
        return "a config file is not YAML: " + " ".join(said.split())
    return _first_line(error) if said else _first_line(error.__cause__)


def _groups() -> list[str]:
    return [x for x in GlobalHydra.instance().config_loader().list_groups("") if x != "hydra"]


def _options(group: str) -> list[str]:
    loader = GlobalHydra.instance().config_loader()
    options = loader.get_group_options(group, ObjectType.CONFIG)
    return [option for option in options if not option.startswith("_")]


def _no_option(group: str, option: str) -> str:
    return f"the group {group} has no option {option}{did_you_mean(option, _options(group))}"


def _unknown_key(key: str, parsed: list[Override]) -> str:
    """Compose without the wrong override to see which keys there are."""
    wrong = [x for x in parsed if x.get_key_element().lstrip("+~") == key]
    try:
        config = hydra.compose("train", [_line(x) for x in parsed if x not in wrong])
    except (HydraException, OmegaConfBaseException, ValueError):
        config = hydra.compose("train")
    if key in _all_groups(""):
        return f"the group {key} is not one of the data or the task that are chosen: leave it out"
    start = f"the config has no key {key}"
    offering = [g for g in _groups() if any(x.value() in _options(g) for x in wrong)]
    if get_close_matches(key, offering):
        return start + did_you_mean(key, offering)
    known = {*_keys(config), *_groups()}
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else None
    if isinstance(node, DictConfig) and name in _arguments(node, parent):
        return f"{start}; add a plus sign to set this argument: +{key}=VALUE"
    siblings = {x.rpartition(".")[2] for x in known if x.rpartition(".")[0] == parent}
    if parent in known or get_close_matches(name, siblings):
        return start + did_you_mean(name, siblings, prefix=f"{parent}." if parent else "")
    elsewhere = {x for x in known if x.rpartition(".")[2] == name}
    return start + did_you_mean(key, elsewhere or TOP_LEVEL)


def _arguments(node: DictConfig, key: str) -> Iterable[str]:
    return targets.arguments(targets.locate(_plain(node), key))[0] if "_target_" in node else ()


def _keys(config: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(config, DictConfig) and not config._is_none() and not config._is_missing():
        for key in map(str, config):
            if key not in targets.SPECIAL:
                yield f"{prefix}{key}"
            yield from _keys(config._get_node(key), f"{prefix}{key}.")


def _first_line(error: object) -> str:
    """The first line of a message of OmegaConf's, with the key that it concerns."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    keys = [line.removeprefix("full_key:").strip() for line in lines if "full_key:" in line]
    said = lines[0] if lines else type(error).__name__
    return f"{keys[0]}: {said}" if keys and keys[0] and keys[0] not in said else said


# Help -------------------------------------------------------------------------------------------


def help_text(config_dir: Path | None = None) -> str:
    """What `rnnexp train --help` says: Hydra's template, without the files that options share."""
    with _hydra(config_dir):
        template = _compose([]).hydra.help.template
        lines = [
            textwrap.fill(f"{group}: {', '.join(_options(group))}", 100, subsequent_indent="  ")
            for group in _all_groups("")
        ]
    return Template(template).substitute(APP_CONFIG_GROUPS="\n".join(lines) + "\n")


def _all_groups(parent: str) -> Iterator[str]:
    for name in sorted(GlobalHydra.instance().config_loader().list_groups(parent)):
        group = f"{parent}/{name}" if parent else name
        if group != "hydra":
            yield group
            yield from _all_groups(group)


# Checking and building --------------------------------------------------------------------------


def check(config: DictConfig) -> None:
    """Compare every `_target_` in a config with the allow-list and its class; builds nothing.

    Raises:
        UserError: a class that may not be named or does not exist, a key that its constructor does
            not have, or a value of the wrong type or choice.
    """
    tree, key = _plain(config), _key(config)
    _check_targets(tree, key)
    for place, node in targets.nodes(tree, key):
        targets.check_node(node, place)


def _check_targets(tree: Any, key: str) -> None:
    targets.refuse_references(tree, key)
    for place, node in targets.nodes(tree, key):
        targets.locate(node, place)


def instantiate(node: DictConfig, **arguments: Any) -> Any:
    """Build what a config node describes; the one place where a config becomes objects.

    Args:
        node: holds a `_target_` of the allow-list. With `_partial_: true` the result is a callable
            that takes the remaining arguments.
        arguments: what the config cannot know; handed over as they are, they win over the node.

    Raises:
        UserError: a class that may not be named, or whose constructor refuses its arguments.
    """
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    tree, key = _plain(node), _key(node)
    if "_target_" not in tree:
        raise UserError(f"{key or 'the config'} names no class (_target_): choose another option")
    _check_targets(tree, key)
    is_partial = tree.pop("_partial_", False)
    try:
        # As a partial first: Hydra would copy and convert the arguments otherwise.
        build = hydra.utils.instantiate(tree, _partial_=True, _convert_="all")
        return functools.partial(build, **arguments) if is_partial else build(**arguments)
    except InstantiationException as error:
        inner = re.search(r"full_key: (\S+)", str(error))
        place, cause = f"{key}.{inner[1]}" if inner else key, error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        if isinstance(cause, (TypeError, ValueError, MisconfigurationException)):
            raise UserError(f"{place}: {' '.join(str(cause).split())}") from cause
        raise
    except (TypeError, ValueError, MisconfigurationException) as error:
        raise UserError(f"{key}: {' '.join(str(error).split())}") from error


def _key(node: DictConfig) -> str:
    return str(node._get_full_key(None) or "")
