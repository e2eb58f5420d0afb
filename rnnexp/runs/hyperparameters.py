"""The hyperparameters by which runs are compared."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

LEFT_OUT = re.compile(
    r"_partial_|data\.(root|on_device)|determinism\.threads|task\.metrics"
    r"|callbacks\.(progress_bar|figures|learning_rate|gradient_flow)"
)


def hyperparameters(config: dict[str, Any]) -> dict[str, Any]:
    """The flat config with classes by name: {"model.hidden_size": 192, "optimizer": "Adam", ...}.

    config: of dicts, lists and values. Settings that only observe a run, and settings of its
    environment, are left out.
    """
    groups = ("name", "mode", "logger", "paths")
    found = {
        # A stranger's `_target_` may hold anything.
        name.removesuffix("._target_"): str(value).rpartition(".")[2]
        if "_target_" in name
        else value
        for name, value in flat({key: config[key] for key in config if key not in groups}).items()
        if value != {} and not LEFT_OUT.search(name)
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
    found: dict[str, Any] = {}
    _collect(tree, "", found)
    return found


def _collect(tree: Any, prefix: str, found: dict[str, Any]) -> None:
    if not isinstance(tree, dict) or not tree:
        found[prefix] = tree
        return
    for key, branch in tree.items():
        _collect(branch, f"{prefix}.{key}" if prefix else str(key), found)
