"""What Hydra, OmegaConf and YAML say of a mistake in several lines, in one sentence.

Hydra tells some mistakes apart by its wording alone. tests/test_private_interfaces.py fails, and
says so, when another version of it words them otherwise.
"""

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

import hydra
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from rnnexp.config import targets
from rnnexp.config.groups import FOLDERS, all_groups, group_and_option, options, top_groups
from rnnexp.config.messages import first_line
from rnnexp.config.schema import TOP_LEVEL, plain
from rnnexp.config.search_path import config_dir
from rnnexp.config.signatures import arguments, instead
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

UNKNOWN_KEY = re.compile(r"Could not (?:override|delete)(?: from config\.)? '([^'=]+)")
CHOSEN_TWICE = re.compile(r"Multiple values for (\S+)\.")
NOT_CHOSEN = re.compile(r"You must specify '(\w+)'")
WRONG_VALUE = re.compile(r"Error merging override (\+*([^=]+).*)")
WRONG_PACKAGE = re.compile(r"In '(\S+)': Could not override '(\w+)@")
NOT_IN_LIST = re.compile(r"In '(\S+)': Could not override '(\S+)'\. No match")
WRONG_ORDER = re.compile(r"In (\S+): Override '(\S+) : \S+' is defined before '(\S+): (\S+)'")
LAUNCHERS = {  # launchers of Hydra that are packages of their own, and how to install them
    "joblib": "rnnexp[joblib]",
    "submitit_local": "rnnexp[slurm]",
    "submitit_slurm": "rnnexp[slurm]",
}
LAUNCHER = "hydra/launcher"


def explain(error: Exception, parsed: list[Override]) -> str:
    """The mistake among these overrides that made composing fail with this error."""
    said = str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, option = group_and_option(error.missing_cfg_file)
        if group == "model/readout" and option in options("task"):
            return (
                f"the task {option} has no readout: choose one with model/readout=OPTION, or in "
                f"the task's YAML (`- override /model/readout: OPTION`, if its first line is "
                f"`# @package _global_`), or put one into "
                f"conf/model/readout/{option}.yaml"
            )
        return _no_option(group, option)
    for override in parsed:
        if override.key_or_group in top_groups() and not isinstance(override.value(), (str, list)):
            return _no_option(override.key_or_group, override.get_value_string())
        # A second choice of a group that others are chosen by is not found as such.
        if override.is_add() and "interpolation" in said and override.key_or_group in TOP_LEVEL:
            return _twice(override.key_or_group)
    if sentence := _mistake_in_a_defaults_list(said):
        return sentence
    if match := UNKNOWN_KEY.match(said):
        return _unknown_key(match[1], parsed)
    if match := CHOSEN_TWICE.match(said):
        return _twice(match[1])
    if match := NOT_CHOSEN.match(said):
        group = match[1]
        offer = did_you_mean("", options(group))
        return f"nothing chooses an option of the group {group}: add {group}=OPTION{offer}"
    if match := WRONG_VALUE.match(said):
        return f"{match[1]}: " + first_line(error.__cause__).removeprefix(f"{match[2]}: ")
    if isinstance(error, YAMLError):
        return "a config file is not YAML: " + " ".join(said.split())
    return first_line(error) if said else first_line(error.__cause__)


def _mistake_in_a_defaults_list(said: str) -> str | None:
    if match := WRONG_PACKAGE.match(said):
        return f"{match[1]}.yaml: its first line must be `# @package _global_`"
    if match := NOT_IN_LIST.match(said):
        file, group = match[1], match[2]
        if group in all_groups():
            advice = f"add it with `- /{group}: OPTION`, above all entries with `override`"
        else:
            advice = "there is no such group" + did_you_mean(group, all_groups())
        return f"{file}.yaml: nothing chose an option of {group} to override: {advice}"
    if match := WRONG_ORDER.match(said):
        file, overridden, added = match[1], match[2], f"{match[3]}: {match[4]}"
        return f"{file}.yaml: move `{added}` above `override {overridden}` in the defaults list"
    return None


def no_network(task: str | None) -> str:
    """That neither the model nor the task names the class of the network."""
    return (
        f"the task {task} has no network: name its class in the task's YAML "
        "(`model: {_target_: CLASS}`), or in "
        f"conf/model/network/{task}.yaml, below `# @package model`"
    )


def _twice(group: str) -> str:
    return f"{group} is chosen twice: give one option, without a plus sign"


def refuse_removals(parsed: Iterable[Override]) -> None:
    """Refuse overrides that remove what every run needs.

    Raises:
        UserError: `~model`, `~seed`, ...
    """
    for override in parsed:
        key = override.key_or_group
        if not override.is_delete() or key not in {*TOP_LEVEL, "hydra"} - {"callbacks"}:
            continue
        if key in top_groups():
            advice = f"{key}=OPTION{did_you_mean('', options(key))}"
        else:
            advice = "its settings: hydra.KEY=VALUE" if key == "hydra" else f"{key}=VALUE"
        raise UserError(f"{override.input_line}: every run needs {key}, change it with {advice}")


def _no_option(group: str, option: str) -> str:
    known = options(group)
    if group == LAUNCHER:
        if option in LAUNCHERS:
            package = LAUNCHERS[option]
            return f"the launcher {option} is not installed: type pip install '{package}'"
        known = sorted({*known, *LAUNCHERS})
    if group == "hydra/sweeper":
        return (
            f"there is no sweeper {option}: rnnexp runs every combination of a sweep, so list the "
            "values of each key, such as optimizer.lr=0.001,0.01"
        )
    return f"the group {group} has no option {option}{did_you_mean(option, known)}"


def _unknown_key(key: str, parsed: list[Override]) -> str:
    """Compose without the wrong override to see which keys there are."""
    wrong = [x for x in parsed if x.get_key_element().lstrip("+~") == key]
    try:
        right = [str(x.input_line) for x in parsed if x not in wrong]
        config = hydra.compose("train", right)
    except (HydraException, OmegaConfBaseException, ValueError):
        config = hydra.compose("train")
    if key == "space":
        return "space=NAME is for a search: type rnnexp search space=NAME"
    if key in FOLDERS:
        group, option = group_and_option(f"{key}/OPTION")
        return f"{key} is not a group of its own: write {group}={option}"
    if key in all_groups():
        if not (config_dir() / key).is_dir():  # one of the user's, which no defaults list names
            return f"the group {key} is not in the defaults list: write +{key}=OPTION to add it"
        return f"{key} is not a group of the chosen data or task: leave it out"
    if "/" in key:
        keys = {one for one in keys_of(config) if one == key.replace("/", ".")}
        return f"there is no group {key}{did_you_mean(key, keys or all_groups())}"
    if key.startswith("hydra."):
        return _unknown_hydra_key(key)
    start = f"the config has no key {key}"
    offering = [g for g in top_groups() if any(x.value() in options(g) for x in wrong)]
    if get_close_matches(key, offering):
        return start + did_you_mean(key, offering)
    known = {*keys_of(config), *top_groups()}
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else None
    if advice := instead(config, key):
        return f"{start}: {advice}"
    if isinstance(node, DictConfig) and name in _arguments(node, parent):
        return f"{start}; add a plus sign to set this argument: +{key}=VALUE"
    group = parent.replace(".", "/")
    if node is None and group in all_groups():
        first = f"; an option of the group {group} has it: add {group}=OPTION"
        return start + first + did_you_mean("", options(group))
    siblings = {x.rpartition(".")[2] for x in known if x.rpartition(".")[0] == parent}
    if parent in known or get_close_matches(name, siblings):
        return start + did_you_mean(name, siblings, prefix=f"{parent}." if parent else "")
    elsewhere = {x for x in known if x.rpartition(".")[2] == name}
    return start + did_you_mean(key, elsewhere or TOP_LEVEL)


def _unknown_hydra_key(key: str) -> str:
    if key.startswith("hydra.launcher."):
        setting = key.rpartition(".")[2]
        return f"this launcher has no setting {setting}: choose another with {LAUNCHER}=joblib"
    whole = hydra.compose("train", return_hydra_config=True)
    known = {f"hydra.{name}" for name in _keys(OmegaConf.to_container(whole.hydra), "")}
    return f"Hydra's settings have no key {key}{did_you_mean(key, known)}"


def _arguments(node: DictConfig, key: str) -> Iterable[str]:
    return arguments(targets.locate(plain(node), key))[0] if "_target_" in node else ()


def keys_of(config: DictConfig) -> Iterator[str]:
    """Every key of a config with a dot between its parts, the special keys of Hydra left out."""
    return _keys(OmegaConf.to_container(config), "")


def _keys(tree: Any, prefix: str) -> Iterator[str]:
    for key, branch in tree.items() if isinstance(tree, dict) else ():
        if key not in targets.SPECIAL:
            yield f"{prefix}{key}"
        yield from _keys(branch, f"{prefix}{key}.")
