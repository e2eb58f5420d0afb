"""The classes that a config may name: the allow-list.

A config may come from a stranger, so a `_target_` is compared with an allow-list by its name
before anything is imported, and the class that is found is looked at again: an import inside an
allowed module does not put what it imports on the list. Functions are never targets.
"""

import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from types import ModuleType
from typing import Any

from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

ROOMS = (
    "rnnexp.nn",
    "rnnexp.data",
    "rnnexp.tasks",
    "rnnexp.callbacks",
    "rnnexp.optim",
)
TORCH = {  # modules, and what a class of theirs must be
    "torch.nn": "Module",
    "torch.optim": "Optimizer",
    "torch.optim.lr_scheduler": "LRScheduler",
}
LIGHTNING = {
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.DeviceStatsMonitor",
    "pytorch_lightning.callbacks.EarlyStopping",
    "pytorch_lightning.callbacks.GradientAccumulationScheduler",
    "pytorch_lightning.callbacks.LearningRateMonitor",
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "pytorch_lightning.callbacks.ModelSummary",
    "pytorch_lightning.callbacks.RichModelSummary",
    "pytorch_lightning.callbacks.RichProgressBar",
    "pytorch_lightning.callbacks.StochasticWeightAveraging",
    "pytorch_lightning.callbacks.Timer",
    "pytorch_lightning.callbacks.TQDMProgressBar",
    "pytorch_lightning.loggers.CSVLogger",
    "pytorch_lightning.loggers.TensorBoardLogger",
    "pytorch_lightning.profilers.AdvancedProfiler",
    "pytorch_lightning.profilers.SimpleProfiler",
}
# Of these, what rnnexp's own config groups name. A config from elsewhere may name no others, unless
# the user adds them by full name.
OWN_LIGHTNING = {
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.EarlyStopping",
    "pytorch_lightning.callbacks.LearningRateMonitor",
    "pytorch_lightning.loggers.TensorBoardLogger",
    "pytorch_lightning.profilers.SimpleProfiler",
}
LOGGERS = "rnnexp.callbacks.loggers"
OWN_FOLDER = "a run writes into its folder alone"
DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
SPECIAL = ("_target_", "_partial_")  # of Hydra's special keys, those that a config may use


def allowed_packages() -> tuple[str, ...]:
    """Whose classes a config may name: our own rooms, and what the user put in RNNEXP_ALLOW."""
    return (*ROOMS, *added_packages())


def added_packages() -> tuple[str, ...]:
    """What the user put in RNNEXP_ALLOW."""
    names = os.environ.get("RNNEXP_ALLOW", "").split(",")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def search_current_folder() -> None:
    """Let Python import modules of the current folder, where a user's own often are."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def allowed_pattern() -> str:
    """A regular expression of the names that `locate` does not refuse before it looks."""
    ours = rf"({'|'.join(map(re.escape, allowed_packages()))})(\.\w+)+"
    torch = rf"({'|'.join(map(re.escape, TORCH))})\.\w+"
    return f"^({'|'.join([ours, torch, *map(re.escape, sorted(LIGHTNING))])})$"


def locate(node: dict[str, Any], key: str) -> type:
    """The class that a `_target_` names. Nothing is imported before its name is allowed.

    Raises:
        UserError: it is not on the allow-list, or there is no such class.
    """
    target = node["_target_"]
    name = target if isinstance(target, str) else ""
    module_name, _, class_name = name.rpartition(".")
    ours = _is_inside(name, allowed_packages())
    if not DOTTED_NAME.fullmatch(name) or not (ours or module_name in TORCH or name in LIGHTNING):
        raise UserError(
            f"{key}._target_: {target!r} is not on the allow-list"
            f"; a class of your own package needs --allow PACKAGE, or from Python RNNEXP_ALLOW"
        )
    if is_added(module_name):
        search_current_folder()
    module = _imported(module_name, key)
    found = getattr(module, class_name, None)
    if inspect.isfunction(found) and is_added(module_name):
        raise UserError(
            f"{key}._target_: {name} is a function, and a config names classes alone: write a "
            "class with __call__"
        )
    if not isinstance(found, type) or not (
        # An import into a module of ours does not put a class on the list.
        _is_inside(found.__module__, allowed_packages())
        or (module_name in TORCH and issubclass(found, getattr(module, TORCH[module_name])))
        or name in LIGHTNING
        or name in added_packages()  # by its full name, wherever it is defined
    ):
        own = [x for x in vars(module).values() if getattr(x, "__module__", "") == module_name]
        classes = [x.__name__ for x in own if isinstance(x, type) and x.__name__[0] != "_"]
        offer = did_you_mean(class_name, [n for n in classes if n != class_name])
        raise UserError(f"{key}._target_: {module_name} has no class {class_name} to use{offer}")
    _check_special_keys(node, key)
    return found


def _imported(module: str, key: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"{key}._target_: cannot import {module}: {error}") from error
    except Exception as error:  # whatever the code of the user's package raises
        if not is_added(module):
            raise
        where = traceback.extract_tb(error.__traceback__)[-1]
        file, line = where.filename, where.lineno
        if isinstance(error, SyntaxError):
            file, line = error.filename or file, error.lineno
        raise UserError(
            f"{key}._target_: cannot import {module}: {file}, line {line}: "
            f"{type(error).__name__}: {getattr(error, 'msg', error)}"
        ) from error


def is_added(name: str) -> bool:
    """Whether a class or a module is, or is of a package, that the user put in RNNEXP_ALLOW."""
    return _is_inside(name, added_packages())


def _check_special_keys(node: dict[str, Any], key: str) -> None:
    for name, value in node.items():
        if name not in SPECIAL and re.fullmatch(r"_[a-z]+_", str(name)):
            raise UserError(f"{key}.{name}: a config may use {' and '.join(SPECIAL)} alone")
        if name == "_partial_" and not isinstance(value, bool):
            raise UserError(f"{key}._partial_ is {value!r}, it must be true or false")


def _is_inside(module: str, packages: Sequence[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def nodes(tree: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every node with a `_target_`, however deep, and its key in the config."""
    if isinstance(tree, dict):
        if "_target_" in tree:
            if not isinstance(tree["_target_"], str):
                raise UserError(
                    f"{key}._target_ is {tree['_target_']!r}: it must be the name of a class"
                )
            yield key, tree
        for name, branch in tree.items():
            yield from nodes(branch, f"{key}.{name}" if key else str(name))
    elif isinstance(tree, list):
        for index, branch in enumerate(tree):
            yield from nodes(branch, f"{key}[{index}]")


def refuse_references(tree: Any, key: str) -> None:
    """A `${` that is left after resolving would be resolved again, into anything, when building.
    And no path and no name holds the character NUL."""
    if isinstance(tree, str) and "\0" in tree:
        raise UserError(f"{key} is {tree!r}: a value cannot hold the character NUL")
    if isinstance(tree, str) and "${" in tree:
        raise UserError(f"{key} is {tree!r}: a value cannot hold a reference that is not resolved")
    for name, branch in tree.items() if isinstance(tree, dict) else ():
        refuse_references(branch, f"{key}.{name}" if key else str(name))
    for index, branch in enumerate(tree) if isinstance(tree, list) else ():
        refuse_references(branch, f"{key}[{index}]")


def refuse_other_places(tree: Any, key: str) -> None:
    """What Lightning and loggers write goes into the run folder alone.

    Raises:
        UserError: a value of a class of Lightning's or of a logger of ours is a path out of it, or
            such a logger is told a folder at all.
    """
    for place, node in nodes(tree, key):
        logs = _is_inside(node["_target_"], (LOGGERS,))
        if node["_target_"] not in LIGHTNING and not logs:
            continue
        if logs and "save_dir" in node:
            raise UserError(f"{place}.save_dir is {node['save_dir']!r}: {OWN_FOLDER}")
        for name, value in node.items():
            path = PurePath(value) if isinstance(value, str) else PurePath()
            if path.is_absolute() or ".." in path.parts or str(path).startswith("~"):
                raise UserError(f"{place}.{name} is {value!r}: {OWN_FOLDER}")


def refuse_foreign_lightning(tree: Any) -> None:
    """Of a config from elsewhere: of Lightning, only the classes that our own groups name.

    Raises:
        UserError: another class of Lightning's, which the user has not added by its full name.
    """
    for key, node in nodes(tree, ""):
        name = node["_target_"]
        if name in LIGHTNING - OWN_LIGHTNING and not is_added(name):
            raise UserError(
                f"{key}._target_: {name} is not among the classes that a recorded config may name; "
                f"if you trust this run folder, add --allow {name}"
            )
