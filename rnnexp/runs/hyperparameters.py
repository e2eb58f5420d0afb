"""The hyperparameters by which runs are compared."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf


def hyperparameters(config: DictConfig) -> dict[str, Any]:
    """The flat config with classes by name: {"model.hidden_size": 192, "optimizer": "Adam", ...}.

    Settings that only observe a run, and settings of its environment, are left out."""
    groups = ("name", "mode", "logger", "paths")
    watchers = ("progress_bar", "figures", "learning_rate", "gradient_flow")
    watching = [f"callbacks.{name}" for name in watchers]
    left_out = ("_partial_", "data.root", "determinism.threads", "task.metrics", *watching)
    plain = OmegaConf.to_container(config)
    assert isinstance(plain, dict)
    found = {
        # A stranger's `_target_` may hold anything.
        name.removesuffix("._target_"): str(value).rpartition(".")[2]
        if "_target_" in name
        else value
        for name, value in flat({key: plain[key] for key in plain if key not in groups}).items()
        if value != {} and not any(part in name for part in left_out)
    }
    # Word vectors count by file name, and as None if `pattern` would find the same file.
    if file := found.get("data.vectors.file"):
        name = Path(str(file)).name
        by_itself = Path(name).match(str(found.get("data.vectors.pattern")))
        found["data.vectors.file"] = None if by_itself else name
    return found


def by_option(
    found: dict[str, Any], choices: dict[str, str], overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Hyperparameters with classes by the option that was chosen: {"model": "pmgru", ...}.

    choices: the option of each config group; empty for runs that did not record them. overrides: a
    class that one of them names is not that of the option.
    """
    named = {one.partition("=")[0].lstrip("+") for one in overrides}
    options = {
        group.replace("/", "."): option
        for group, option in choices.items()
        if f"{group.replace('/', '.')}._target_" not in named
    }
    return {key: options.get(key, value) for key, value in found.items()}


def typed_keys(overrides: Iterable[str]) -> list[str]:
    """The keys of overrides, as of hyperparameters: model/recurrence=mgu -> model.recurrence."""
    keys = (re.split("[@=]", str(one).lstrip("+~"))[0] for one in overrides)
    return [key.replace("/", ".").removesuffix("._target_") for key in keys]


def flat(tree: dict[Any, Any]) -> dict[str, Any]:
    """The leaves of a tree of dicts by dotted key. A list is a leaf, and so is an empty dict."""
    return dict(_leaves(tree))


def _leaves(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, dict) or not tree:
        yield prefix, tree
        return
    for key, branch in tree.items():
        yield from _leaves(branch, f"{prefix}.{key}" if prefix else str(key))
