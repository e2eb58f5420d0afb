"""The classes that a config may name, and whether their constructors take what it says.

A config may come from a stranger, so a `_target_` is compared with an allow-list by its name
before anything is imported, and the class that is found is looked at again: an import inside an
allowed module does not put what it imports on the list. Functions are never targets.
"""

import importlib
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

ROOMS = (
    "rnnexp.nn",
    "rnnexp.data",
    "rnnexp.tasks",
    "rnnexp.baselines",
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
DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
SPECIAL = ("_target_", "_partial_")  # of Hydra's special keys, those that a config may use


def allowed_packages() -> tuple[str, ...]:
    """Whose classes a config may name: our own rooms, and what the user put in RNNEXP_ALLOW."""
    return (*ROOMS, *added_packages())


def added_packages() -> tuple[str, ...]:
    """What the user put in RNNEXP_ALLOW."""
    names = os.environ.get("RNNEXP_ALLOW", "").split(",")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def locate(node: dict[str, Any], key: str) -> type:
    """The class that a `_target_` names. Nothing is imported before its name is allowed.

    Raises:
        UserError: it is not on the allow-list, or there is no such class.
    """
    target = node["_target_"]
    name = target if isinstance(target, str) else ""
    module_name, _, class_name = name.rpartition(".")
    ours = _is_inside(module_name, allowed_packages())
    if not DOTTED_NAME.fullmatch(name) or not (ours or module_name in TORCH or name in LIGHTNING):
        raise UserError(
            f"{key}._target_: {target!r} is not on the allow-list"
            f"; a class of your own package needs --allow PACKAGE"
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(f"{key}._target_: cannot import {module_name}: {error}") from error
    found = getattr(module, class_name, None)
    if not isinstance(found, type) or not (
        # An import into a module of ours does not put a class on the list.
        _is_inside(found.__module__, allowed_packages())
        or (module_name in TORCH and issubclass(found, getattr(module, TORCH[module_name])))
        or name in LIGHTNING
    ):
        own = [x for x in vars(module).values() if getattr(x, "__module__", "") == module_name]
        classes = [x.__name__ for x in own if isinstance(x, type) and x.__name__[0] != "_"]
        offer = did_you_mean(class_name, [n for n in classes if n != class_name])
        raise UserError(f"{key}._target_: {module_name} has no class {class_name} to use{offer}")
    _check_special_keys(node, key)
    return found


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
            yield key, tree
        for name, branch in tree.items():
            yield from nodes(branch, f"{key}.{name}" if key else str(name))
    elif isinstance(tree, list):
        for index, branch in enumerate(tree):
            yield from nodes(branch, f"{key}[{index}]")


def refuse_references(tree: Any, key: str) -> None:
    """A `${` that is left after resolving would be resolved again, into anything, when building."""
    if isinstance(tree, str) and "${" in tree:
        raise UserError(f"{key} is {tree!r}: a value cannot hold a reference that is not resolved")
    for name, branch in tree.items() if isinstance(tree, dict) else ():
        refuse_references(branch, f"{key}.{name}")
    for index, branch in enumerate(tree) if isinstance(tree, list) else ():
        refuse_references(branch, f"{key}[{index}]")


def refuse_other_places(tree: Any) -> None:
    """Of a config from elsewhere: what Lightning writes goes into the run folder alone.

    Raises:
        UserError: a value of a class of Lightning's is a path out of it.
    """
    for key, node in nodes(tree, ""):
        if node["_target_"] not in LIGHTNING:
            continue
        for name, value in node.items():
            path = PurePath(value) if isinstance(value, str) else PurePath()
            if path.is_absolute() or ".." in path.parts:
                raise UserError(f"{key}.{name} is {value!r}: a run writes into its folder alone")


# Constructors -----------------------------------------------------------------------------------


def check_node(node: dict[str, Any], key: str) -> None:
    """Compare one node with the allow-list and with the constructor of its class.

    Raises:
        UserError: a class that may not be named or does not exist, a key that its constructor does
            not have, or a value of the wrong type or choice.
    """
    constructor = locate(node, key)
    hints, is_open = arguments(constructor)
    for name, value in node.items():
        if name in SPECIAL:
            continue
        if name in hints:
            if not _accepts(hints[name], value):
                raise UserError(f"{key}.{name} is {value!r}, it must be {_describe(hints[name])}")
        elif not is_open:
            offer = did_you_mean(name, hints, prefix=f"{key}.")
            raise UserError(f"{constructor.__name__} has no argument {key}.{name}{offer}")


def arguments(constructor: type) -> tuple[dict[str, Any], bool]:
    """The type hints of a constructor's arguments, and whether it takes any others besides.

    A constructor with **kwargs hands them on to the one that it overrides.
    """
    hints: dict[str, Any] = {}
    for base in constructor.__mro__:
        if "__init__" in vars(base):
            own, is_open = _own_arguments(vars(base)["__init__"])
            hints = own | hints
            if not is_open:
                return hints, False
    return hints, True


def _own_arguments(init: Callable[..., None]) -> tuple[dict[str, Any], bool]:
    _, *parameters = inspect.signature(init).parameters.values()
    try:
        known = typing.get_type_hints(init)
    except NameError:  # hints that only exist for a type checker
        known = {}
    hints = {}
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            hint = known.get(parameter.name, Any)
            can_be_none = parameter.default is None
            hints[parameter.name] = typing.Optional[hint] if can_be_none else hint  # noqa: UP045
    return hints, any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _accepts(hint: Any, value: Any) -> bool:
    """Whether a value as YAML has it can be what the hint says; true where one cannot know."""
    hint = getattr(hint, "__value__", hint)  # type X = ...
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_accepts(choice, value) for choice in choices)
    if origin is typing.Literal:
        return any(value == choice and type(value) is type(choice) for choice in choices)
    kind = origin or hint
    if kind in (Any, object) or not isinstance(kind, type):
        return True
    if kind is float:
        return type(value) in (int, float)
    if kind in (bool, int, str, types.NoneType):
        return type(value) is kind
    if isinstance(value, list):
        if not issubclass(list, kind) and kind is not tuple:
            return False
        if kind is tuple and choices and choices[-1] is not Ellipsis:
            return len(value) == len(choices) and all(map(_accepts, choices, value))
        return not choices or all(_accepts(choices[0], item) for item in value)
    if isinstance(value, str) and issubclass(kind, os.PathLike):
        return True
    return isinstance(value, dict)  # a mapping, or the object that a node will become


def _describe(hint: Any) -> str:
    choices = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_describe(choice) for choice in choices))
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(choice) for choice in choices)
    if hint is types.NoneType:
        return "null"
    return getattr(hint, "__name__", str(hint)) if not choices else str(hint)
