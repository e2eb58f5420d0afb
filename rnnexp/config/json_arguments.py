"""The arguments of classes as JSON Schema: from type hints, defaults and docstrings."""

import inspect
import math
import os
import re
import types
import typing
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rnnexp.config import targets
from rnnexp.config.signatures import arguments, bare

JsonSchema = dict[str, Any]

TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", types.NoneType: "null"}


def ref(name: str) -> JsonSchema:
    """What `definitions` has under this name, as a JSON pointer."""
    return {"$ref": "#/definitions/" + name.replace("~", "~0").replace("/", "~1")}


ANYTHING, NODE, REFERENCE = ref("anything"), ref("node"), ref("reference")
# Beside the arguments of a class: an option file has its defaults list at the same level, and of
# the keys that mean something to Hydra a config may use SPECIAL alone.
OTHER_KEYS = {
    "^defaults$": {"type": "array"},
    rf"^_(?!({'|'.join(name[1:] for name in targets.SPECIAL)})$)[a-z]+_$": False,
}


def keys_of_classes(constructors: Sequence[type]) -> JsonSchema:
    """The keys that one of these constructors takes."""
    properties: JsonSchema = {
        "_target_": {},
        "_partial_": value([{"type": "boolean"}]) | {"description": "Arguments are still to come."},
    }
    is_open = False
    for constructor in constructors:
        known, takes_others = arguments(constructor)
        is_open |= takes_others
        text = describe(constructor, known)
        for name, parameter in known.items():
            one = _argument(parameter, text.get(name))
            properties[name] = _either(properties[name], one) if name in properties else one
    return {
        "properties": properties,
        "patternProperties": OTHER_KEYS,
        "additionalProperties": ANYTHING if is_open else False,
    }


def _argument(parameter: inspect.Parameter, text: str | None) -> JsonSchema:
    found = value(alternatives(parameter.annotation))
    if text:
        found["description"] = text
    if _is_plain(parameter.default):
        found["default"] = parameter.default
    return found


def _either(one: JsonSchema, other: JsonSchema) -> JsonSchema:
    """An argument of two classes: what either takes, and the default that they share."""
    merged = other | one | {"anyOf": _distinct([*one["anyOf"], *other["anyOf"]])}
    if one.get("default", ...) != other.get("default", ...):
        merged.pop("default", None)
    return merged


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return type(value) in TYPES and value not in (math.inf, -math.inf)


# The values -------------------------------------------------------------------------------------


def value(choices: list[JsonSchema]) -> JsonSchema:
    """A value that is one of these, or a reference to another."""
    return {"anyOf": [*choices, REFERENCE]}


def alternatives(hint: Any) -> list[JsonSchema]:
    """The schemas of what a hint takes; any of them may hold. As `signatures.accepts` has it."""
    hint = bare(hint)
    origin, choices = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _distinct(one for choice in choices for one in alternatives(choice))
    if origin is typing.Literal:
        return [{"enum": list(choices)}]
    kind = origin or hint
    if kind in (Any, object) or not isinstance(kind, type):
        return [ANYTHING]
    if kind in TYPES:
        return [{"type": TYPES[kind]}]
    found = [NODE]  # a mapping, or the object that a node will become
    if issubclass(list, kind) or kind is tuple:
        found.append(_list(kind, choices))
    if issubclass(kind, os.PathLike):
        found.append({"type": "string"})
    return found


def _list(kind: type, choices: tuple[Any, ...]) -> JsonSchema:
    if kind is tuple and choices and choices[-1] is not Ellipsis:
        items = [value(alternatives(choice)) for choice in choices]
        return {"type": "array", "items": items, "minItems": len(items), "maxItems": len(items)}
    return {"type": "array", "items": value(alternatives(choices[0])) if choices else ANYTHING}


def _distinct(schemas: Iterable[JsonSchema]) -> list[JsonSchema]:
    found: list[JsonSchema] = []
    for schema in schemas:
        if schema not in found:
            found.append(schema)
    return found


# The descriptions -------------------------------------------------------------------------------


def describe(constructor: type, names: Collection[str]) -> dict[str, str]:
    """The description of each of these arguments that a docstring of the class has.

    An entry is `name: text` or `name (type): text`, and begins a line or follows a full stop. It
    ends before the next one, or at an empty line. The docstring of a class wins over its base's.
    """
    one = "|".join(map(re.escape, names))
    start = re.compile(
        rf"(?:^[ *-]*|(?<=[.?:] ))((?:{one})(?:, (?:{one}))*)(?: \([^)\n]*\))?:\s", re.MULTILINE
    )
    found: dict[str, str] = {}
    for base in reversed(constructor.__mro__[:-1] if names else ()):
        for doc in (vars(base).get("__doc__"), getattr(vars(base).get("__init__"), "__doc__", "")):
            _, *pieces = start.split(inspect.cleandoc(doc or ""))
            for described, text in zip(pieces[::2], pieces[1::2], strict=True):
                sentence = " ".join(text.partition("\n\n")[0].split())
                found |= dict.fromkeys(described.split(", "), sentence)
    return found
