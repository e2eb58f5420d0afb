"""The dialect of a CSV file: its separator, its numbers, its empty cells, its encoding."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rnnexp.errors import UserError

Decimal = Literal["point", "comma"]
Thousands = Literal["comma", "point", "blank", "apostrophe"]

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "blanks": " "}
MISSING = ("", "na", "nan")  # the texts of an empty cell, in lower case


@dataclass(frozen=True)
class Dialect:
    """How a CSV file is written.

    separator: a name in SEPARATORS, or the character itself; `blanks` is one or more of them.
    thousands: what groups the digits of a number; None: nothing. missing: texts of a cell that
    count as empty, besides MISSING. encoding: a Python name; a byte-order mark wins over it.

    Raises:
        UserError: a setting is out of range.
    """

    separator: str = "comma"
    decimal: Decimal = "point"
    thousands: Thousands | None = None
    missing: Sequence[str | int | float | None] = ()
    encoding: str = "utf-8"

    def __post_init__(self) -> None:
        if self.separator not in SEPARATORS and (
            len(self.separator) != 1 or self.separator in "\"'\r\n"
        ):
            raise UserError(
                f"data.separator={self.separator!r}: give one character, or one of "
                f"{', '.join(SEPARATORS)}"
            )
        if self.thousands == self.decimal:
            raise UserError(
                f"data.decimal and data.thousands are both {self.decimal}: they must differ"
            )
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise UserError(
                f"data.encoding={self.encoding!r} is not an encoding: use e.g. utf-8, utf-16, "
                "latin-1 or cp1252"
            ) from None

    @property
    def delimiter(self) -> str:
        """The character between two cells."""
        return SEPARATORS.get(self.separator, self.separator)

    @property
    def marks(self) -> set[str]:
        """The texts of an empty cell, in lower case."""
        # Hydra reads null as None.
        return {*MISSING, *("null" if m is None else str(m).casefold() for m in self.missing)}

    @property
    def missing_numbers(self) -> list[float]:
        """The numbers that stand for an empty cell, such as -999."""
        found = []
        for mark in self.marks:
            try:
                found.append(float(mark))
            except ValueError:
                continue
        return [mark for mark in found if mark == mark]
