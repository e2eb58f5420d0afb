"""Whether the constructor of a class takes what a config says: names, types and choices; and which
of its arguments the code gives."""

import collections.abc
import inspect
import os
import types
import typing
from collections.abc import Callable
from typing import Any

from omegaconf import DictConfig

from rnnexp.config.schema import plain
from rnnexp.config.targets import SPECIAL, is_added, locate
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

FROM_DATA = "leave it out, it follows from the data"
FROM_NETWORK = "leave it out, the code gives it"
SIZES = {"input_size": FROM_DATA, "hidden_size": "set model.hidden_size"}
# Arguments that the code gives when it builds a node: it would win over the config without a word.
# Key of the node -> argument -> what to do instead.
SUPPLIED: dict[str, dict[str, str]] = {
    "data": {"seed": "set seed"},
    "model": {"spec": FROM_DATA},
    "model.representation": {
        "vocabulary": FROM_DATA,
        "vectors": "choose an option of data/vectors",
        "extra": "choose an option of data/ngrams",
    },
    "model.recurrence": {"input_size": FROM_DATA},  # and those that the network has too
    "model.recurrence.cell": SIZES,
    "model.recurrence.backend": {
        **SIZES,
        "num_layers": "set model.num_layers",
        "dropout": "set model.dropout",
        "bidirectional": "set model.bidirectional",
        "batch_first": FROM_NETWORK,  # it runs over axis 0
    },
    "model.readout": {**SIZES, "outputs": FROM_DATA},
    "task": {
        "network": "choose an option of model",
        "spec": FROM_DATA,
        "optimizer": "choose an option of optimizer",
        "scheduler": "choose an option of scheduler",
    },
    "optimizer": {"params": FROM_NETWORK},
    "scheduler": {"optimizer": "choose an option of optimizer", "steps": "set trainer.max_epochs"},
    "logger": {
        "save_dir": "set paths.outputs, in which the run folder is",
        "sub_dir": "set name",
        "label": "set name",
    },
}


def check_node(node: dict[str, Any], key: str) -> None:
    """Compare one node with the allow-list and with the constructor of its class.

    Raises:
        UserError: a class that may not be named or does not exist, a key that its constructor does
            not have, or a value of the wrong type or choice.
    """
    constructor = locate(node, key)
    known, is_open = arguments(constructor)
    for name, value in node.items():
        if name in SPECIAL:
            continue
        if name in known:
            hint = known[name].annotation
            if not accepts(hint, value):
                found = "has no value" if value == "" else f"is {value!r}"
                offer = f" such as [{value}]" if accepts(hint, [value]) else ""
                raise UserError(f"{key}.{name} {found}, it must be {_describe(hint)}{offer}")
            is_node = not isinstance(value, dict) or "_target_" in value
            if not is_node and not is_added(constructor.__module__) and not _may_be_a_mapping(hint):
                raise UserError(f"{key}.{name} names no class (_target_): choose another option")
        elif not is_open:
            offer = did_you_mean(name, known, prefix=f"{key}.")
            if is_added(constructor.__module__) and "did you mean" not in offer:
                offer = (
                    "; let its __init__ take it, or take **settings and pass them to "
                    f"super().__init__, or remove it with ~{key}.{name}"
                )
            raise UserError(f"{constructor.__name__} has no argument {key}.{name}{offer}")


def arguments(constructor: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """A constructor's arguments, with type hints that are resolved, and whether it takes any others
    besides.

    A constructor with **kwargs hands them on to the one that it overrides.
    """
    found: dict[str, inspect.Parameter] = {}
    for base in constructor.__mro__:
        if "__init__" in vars(base):
            own, is_open = _own_arguments(vars(base)["__init__"])
            found = own | found
            if not is_open:
                return found, False
    return found, True


def _own_arguments(init: Callable[..., None]) -> tuple[dict[str, inspect.Parameter], bool]:
    _, *parameters = inspect.signature(init).parameters.values()
    try:
        known = typing.get_type_hints(init, include_extras=True)
    except NameError:  # hints that only exist for a type checker
        known = {}
    found = {}
    for parameter in parameters:
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            hint = known.get(parameter.name, Any)
            hint = typing.Optional[hint] if parameter.default is None else hint  # noqa: UP045
            found[parameter.name] = parameter.replace(annotation=hint)
    return found, any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def bare(hint: Any) -> Any:
    """A type hint without its name (type X = ...) and without what `Annotated` says of it."""
    hint = getattr(hint, "__value__", hint)
    return hint.__origin__ if typing.get_origin(hint) is typing.Annotated else hint


def accepts(hint: Any, value: Any) -> bool:
    """Whether a value as YAML has it can be what the hint says; true where one cannot know."""
    hint = bare(hint)
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(accepts(choice, value) for choice in choices)
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
            return len(value) == len(choices) and all(map(accepts, choices, value))
        return not choices or all(accepts(choices[0], item) for item in value)
    if isinstance(value, str) and issubclass(kind, os.PathLike):
        return True
    return isinstance(value, dict)  # a mapping, or the object that a node will become


def _may_be_a_mapping(hint: Any) -> bool:
    hint = bare(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(map(_may_be_a_mapping, typing.get_args(hint)))
    kind = typing.get_origin(hint) or hint
    return kind in (Any, object) or not isinstance(kind, type) or issubclass(dict, kind)


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is typing.Annotated:
        return str(hint.__metadata__[0])
    choices = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_describe(choice) for choice in choices))
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(choice) for choice in choices)
    if hint is types.NoneType:
        return "null"
    if typing.get_origin(hint) is collections.abc.Callable:
        return "a class ({_target_: ...})"
    if typing.get_origin(hint) in (list, collections.abc.Sequence) and choices:
        return f"a list of {_describe(choices[0])}"
    if typing.get_origin(hint) in (dict, collections.abc.Mapping):
        return "keys and their values"
    return getattr(hint, "__name__", str(hint)) if not choices else str(hint)


# Arguments that the code gives --------------------------------------------------------------------


def instead(config: DictConfig, key: str) -> str | None:
    """What to do in the place of setting this key, if the code gives this argument; else None."""
    parent, _, name = key.rpartition(".")
    model = config.get("model")
    if parent.startswith("model.") and isinstance(model, DictConfig) and "_target_" in model:
        network = locate(plain(model), "model")
        if is_added(network.__module__):  # one of the user's own, which knows what it gives
            return None
        if parent == "model.recurrence" and name in arguments(network)[0]:
            return f"set model.{name}"
    return SUPPLIED.get(parent, {}).get(name)


def refuse_supplied(config: DictConfig) -> None:
    """Refuse the keys of a config that would change nothing.

    Raises:
        UserError: the code gives such an argument itself; what to set instead.
    """
    for place in SUPPLIED:
        node: Any = plain(config)
        for part in place.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        for name in node if isinstance(node, dict) and "_target_" in node else ():
            if advice := instead(config, f"{place}.{name}"):
                raise UserError(f"{place}.{name} cannot be set: {advice}")
