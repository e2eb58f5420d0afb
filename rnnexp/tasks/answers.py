"""What a finished run says of new data, whatever the task."""

from collections.abc import Collection
from typing import Protocol

import pandas as pd

from rnnexp.tables import Table

NAMED = 10  # things that a sentence names one by one
QUOTED = 40  # characters of a thing that is quoted


class Answers(Protocol):
    """What a task answers."""

    @property
    def notes(self) -> list[str]:
        """Sentences on how the new data were read."""

    def frame(self) -> pd.DataFrame:
        """A row for everything that was asked, for other programs."""

    def table(self) -> Table:
        """The same, for a person."""


def printable(text: str) -> str:
    """Without characters that would move the cursor of a terminal."""
    return "".join(one if one.isprintable() else " " for one in text)


def cut(text: str, most: int) -> str:
    """At most so many characters of a text, and three dots where there are more."""
    return text if len(text) <= most else f"{text[:most]}..."


def quoted(text: str) -> str:
    """A text in quotation marks, cut."""
    return repr(cut(text, QUOTED))


def listed(names: Collection[str]) -> str:
    """Names for a sentence: the first of them, quoted, and how many more there are."""
    first, rest = list(names)[:NAMED], len(names) - NAMED
    shown = ", ".join(map(quoted, first))
    return f"{shown} and {rest:,} more" if rest > 0 else shown
