"""Parses JSON and YAML that may come from a stranger: bounded in depth and in the number of values,
with text that can be printed. Each problem is a ValueError whose message is a clause."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

DEEPEST = 50  # levels of lists and objects; a run's own have six
MOST_VALUES = 1 << 24  # of a JSON file; two million steps of training have an eighth
MOST_NODES = 20_000  # of a config; the largest of conf/ has a hundredth
MOST_DIGITS = 20  # of a whole number
TOO_DEEP = f"it is nested more than {DEEPEST} levels deep"
# The parser in C, where PyYAML has it, is fifty times as fast.
_Events = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_json(content: bytes, is_printed: bool = False) -> Any:
    """The content of a JSON file in UTF-8. is_printed: all of its text must be printable."""
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES:,} values")
    try:
        found = json.loads(content.decode("utf-8"), parse_int=_whole)
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"it is not valid JSON ({error})") from error
    if is_printed and not (content.isascii() and b"\\u" not in content):
        check_printable(found)
    elif content.count(b"[") + content.count(b"{") > DEEPEST:
        for _ in _levels(found):  # raises if there are too many
            pass
    return found


def check_yaml(text: str) -> None:
    """Check the text of a recorded config before it is loaded. A run writes plain values alone: an
    alias or an interpolation stands for another value, and many of them for any amount of memory.
    """
    depth = nodes = 0
    for event in _events(text):
        place = f"line {event.start_mark.line + 1}" if event.start_mark else "it"
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise ValueError(f"{place} has an anchor or an alias, and a run has values alone")
        if isinstance(event, yaml.ScalarEvent) and "${" in event.value:
            raise ValueError(f"{place} has an interpolation, ${{...}}, and a run has values alone")
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(TOO_DEEP)
        if nodes > MOST_NODES:
            raise ValueError(f"it has more than {MOST_NODES:,} keys and values")


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_Events)
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{place}{error.problem or error.context}") from error


def check_printable(tree: Any) -> None:
    """Check that every text and every whole number of a parsed file can be printed."""
    for values in _levels(tree):
        for value in values:
            if isinstance(value, str) and not value.isascii():
                _check_text(value)
            elif isinstance(value, int) and abs(value) >= 10**MOST_DIGITS:
                raise ValueError(_too_long())


def _levels(tree: Any) -> Iterator[list[Any]]:
    """The keys and values of each level, from the top."""
    level = [tree]
    for _ in range(DEEPEST + 1):
        yield level
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in ([*outer, *outer.values()] if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ValueError(TOO_DEEP)


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{ascii(text)[:60]} is not text: it has half of a character") from None


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(_too_long())
    return int(digits)


def _too_long() -> str:
    return f"a number has more than {MOST_DIGITS} digits"
