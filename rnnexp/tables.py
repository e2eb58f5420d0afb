"""A table of texts, as data and tasks make them: how it is shown is for the commands to say."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column: its heading, and how its cells stand. numbers: to the right. wraps: whether a cell
    too long for the console may be broken into lines."""

    heading: str
    numbers: bool = False
    wraps: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of texts under headings.

    strong: rows that stand out, and rules: rows with a line below them, both counted from 0.
    plain: without a frame, for tables of many columns.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    strong: frozenset[int] = frozenset()
    rules: frozenset[int] = frozenset()
    plain: bool = False


def number(value: float) -> str:
    """A number for a person: four significant digits, but no less than a whole number."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
