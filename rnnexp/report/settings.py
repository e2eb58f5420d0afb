"""The settings of a run: which differ from the defaults, and all of them."""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from rnnexp.config import compose
from rnnexp.config.schema import plain
from rnnexp.errors import UserError
from rnnexp.runs.hyperparameters import flat, typed_keys

CHOICE = re.compile(r"[\w/]+")  # group or option; others come from no version of ours
# Where a run is done, and what observes it.
LEFT_OUT = re.compile(r"name$|(paths|logger|callbacks|hydra)\b|determinism\.threads$")


@dataclass(frozen=True)
class Setting:
    """A key whose value is not its default. is_typed: it was given on the command line; else the
    experiment sets it, or `auto` became this value."""

    key: str
    value: str
    default: str
    is_typed: bool


def changed(config: dict[str, Any], run: dict[str, Any]) -> list[Setting] | None:
    """The settings that are not the defaults of the options that were chosen, those that were typed
    first. None if the defaults are not known, as of a run whose configs are not here."""
    options = {str(group): str(option) for group, option in run.get("choices", {}).items()}
    chosen = [
        f"{group}={option}"
        for group, option in options.items()
        if group != "experiment" and CHOICE.fullmatch(group) and CHOICE.fullmatch(option)
    ]
    if "data" not in options:
        return None
    try:
        defaults = flat(plain(compose(chosen)))
    except UserError:
        return None
    typed = set(typed_keys([*run.get("overrides", []), *run.get("changes", [])]))
    found = [
        Setting(key, text(value), text(defaults[key]) if key in defaults else "", key in typed)
        for key, value in flat(config).items()
        if not (LEFT_OUT.match(key) or value == {})
        and (key not in defaults or text(value) != text(defaults[key]))
    ]
    return sorted(found, key=lambda one: not one.is_typed)


def text(value: Any) -> str:
    """A value as one would type it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(text, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def whole(config: dict[str, Any]) -> str:
    """The whole config as YAML."""
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
