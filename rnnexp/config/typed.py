"""Writes an override as it has to be typed, for messages that offer one."""

import re
import shlex
from collections.abc import Sequence

# What Hydra reads as text without quotation marks. Anything else is quoted.
BARE = re.compile(r"[A-Za-z_%/](?:[\w%/.:+ -]*[\w%])?|\d+(?:min|h|D|s)", re.ASCII)
OTHER_TYPES = ("true", "false", "null", "nan", "inf")  # words that Hydra reads as other values
Value = str | int | float
SAFE = re.compile(r"[\w%/.:+@=-]+", re.ASCII)  # what a shell leaves as it is


def typed(key: str, value: Value | Sequence[Value]) -> str:
    """`key=value`, quoted as Hydra and a shell need it.

    >>> print(typed("data.missing", ["?", -999]))
    'data.missing=["?",-999]'
    """
    return for_shell(override_of(key, value))


def override_of(key: str, value: Value | Sequence[Value]) -> str:
    """`key=value`, quoted as Hydra needs it."""
    if isinstance(value, str | int | float):
        return f"{key}={_written(value)}"
    return f"{key}=[{','.join(map(_written, value))}]"


def for_shell(override: str) -> str:
    """An override, quoted as a shell needs it."""
    if SAFE.fullmatch(override):
        return override
    if re.search(r'["$`\\!]', override):
        return shlex.quote(override)
    key, _, value = override.partition("=")
    return f'{key}="{value}"'


def _written(value: Value) -> str:
    if not isinstance(value, str):
        return str(value)
    if BARE.fullmatch(value) and value.casefold() not in OTHER_TYPES:
        return value
    if '"' not in value:
        return f'"{value}"'
    escaped = value.replace("'", "\\'")
    return f"'{escaped}'"
