"""Tables of texts. Data and tasks make them; the commands decide how to show them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """A column with its heading. numbers: align to the right. wraps: whether cells may be wrapped
    if they are too long for the console."""

    heading: str
    numbers: bool = False
    wraps: bool = True


@dataclass(frozen=True)
class Table:
    """Rows of texts under headings.

    strong: indices of bold rows. rules: indices of rows with a line below. plain: no frame, for
    tables of many columns.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    strong: frozenset[int] = frozenset()
    rules: frozenset[int] = frozenset()
    plain: bool = False


LARGE = 1e7  # from here on with an exponent: the digits of a diverged run would fill a table


def number(value: float) -> str:
    """A number as text: four significant digits, or a whole number from 1,000 on; with an exponent
    from ten million on and below a ten-thousandth."""
    return f"{value:,.0f}" if 1000 <= abs(value) < LARGE else f"{value:.4g}"


def counted(count: int, thing: str) -> str:
    """A number of things: `1 network`, `2,000 networks`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
