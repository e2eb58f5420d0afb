"""Tables and sentences on the console. No other module imports Rich, and only `rnnexp.printing`
prints beside it. Foreign text is shown as it is: no markup, no emoji codes, and what would act on
the terminal is spelt out.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markdown import Markdown
from rich.status import Status
from rich.table import Table as RichTable
from rich.text import Text

from rnnexp.printing import printable
from rnnexp.tables import Table

console = Console(markup=False, emoji=False, highlight=False)
if not (console.is_terminal or "COLUMNS" in os.environ):
    console.width = 120  # characters, for files and pipes, which have no width
_muted = False
MIN_LABEL_WIDTH, MAX_WORD_WIDTH = 8, 24  # characters


@contextmanager
def muted() -> Iterator[None]:
    """Inside, `show` and `show_line` print nothing: of a run whose results are those of a part."""
    global _muted
    before, _muted = _muted, True
    try:
        yield
    finally:
        _muted = before


def show(*things: Table | str) -> None:
    """Print tables and sentences, one below the other."""
    for thing in () if _muted else things:
        if isinstance(thing, str):
            console.print(printable(thing))
            continue
        for part in parts(_printable(thing), console.width):
            console.print(rich_table(part, console.width))


def show_markdown(text: str) -> None:
    """Print Markdown with its formatting."""
    console.print(Markdown(printable(text)))


def show_line(text: str) -> None:
    """Print a line to be typed or copied, without wrapping it."""
    if not _muted:
        console.print(printable(text), soft_wrap=True)


def _printable(table: Table) -> Table:
    """The table with `printable` texts, before its columns are measured."""
    return replace(
        table,
        title=printable(table.title),
        caption=printable(table.caption),
        columns=[replace(one, heading=printable(one.heading)) for one in table.columns],
        rows=[[printable(cell) for cell in row] for row in table.rows],
    )


def parts(table: Table, width: int) -> list[Table]:
    """The table, or, if it is wider than `width` characters, several with some of its columns each,
    to be printed one below the other. Each begins with the first column."""
    first, *others = (_least_width(table, index) for index in range(len(table.columns)))
    # A long label may be folded, a number may not.
    first = min(first, max(MIN_LABEL_WIDTH, width - _frame(2) - max(others, default=0)))
    chosen: list[list[int]] = [[0]]
    for index, least in enumerate(others, start=1):
        wide = sum(others[one - 1] for one in chosen[-1][1:]) + first + least
        if len(chosen[-1]) > 1 and wide + _frame(len(chosen[-1]) + 1) > width:
            chosen.append([0])
        chosen[-1].append(index)
    if len(chosen) == 1:
        return [table]
    last = len(chosen) - 1
    return [
        replace(
            table,
            title=table.title if number == 0 else "",
            caption=table.caption if number == last else "",
            columns=[table.columns[index] for index in columns],
            rows=[[row[index] for index in columns] for row in table.rows],
        )
        for number, columns in enumerate(chosen)
    ]


def _lines(table: Table, index: int) -> list[str]:
    cells = [table.columns[index].heading, *(row[index] for row in table.rows)]
    return [line for cell in cells for line in cell.split("\n")]


def _width(table: Table, index: int) -> int:
    """Width in characters of a column whose cells are not wrapped."""
    return max(map(cell_len, _lines(table, index)))


def _least_width(table: Table, index: int) -> int:
    """Width in characters of a column whose cells are wrapped as far as they may be: numbers are
    not, headings and texts are wrapped between words."""
    column = table.columns[index]
    if not (column.wraps or column.numbers):
        return _width(table, index)
    words = [cell_len(word) for line in _lines(table, index) for word in line.split()]
    if not column.numbers:
        words = [min(word, MAX_WORD_WIDTH) for word in words]
    numbers = [cell_len(row[index]) for row in table.rows] if column.numbers else []
    return max([1, *words, *numbers])


def _frame(columns: int) -> int:
    """Characters of the lines and blanks between and beside the columns."""
    return 3 * columns + 1


def _widths(table: Table, width: int) -> list[int | None]:
    """The width of each column; None if all fit as they are."""
    columns = range(len(table.columns))
    wanted = [_width(table, index) for index in columns]
    spare = width - _frame(len(wanted))
    if sum(wanted) <= spare:
        return [None for _ in columns]
    widths = [_least_width(table, index) for index in columns]
    widths[0] = min(widths[0], max(MIN_LABEL_WIDTH, spare - sum(widths[1:])))
    spare -= sum(widths)
    # The labels come first, since a wrapped one makes its row higher.
    for index in sorted(columns, key=lambda index: (index > 0, wanted[index] - widths[index])):
        more = max(0, min(spare, wanted[index] - widths[index]))
        widths[index] += more
        spare -= more
    return list(widths)


def rich_table(table: Table, width: int) -> RichTable:
    """The Rich table of a table, at most `width` characters wide if its numbers fit."""
    found = RichTable(box=SIMPLE_HEAD if table.plain else HEAVY_HEAD)
    found.title_justify = found.caption_justify = "left"
    found.title = Text(table.title, "table.title") if table.title else None
    found.caption = Text(table.caption, "table.caption") if table.caption else None
    for column, own in zip(table.columns, _widths(table, width), strict=True):
        found.add_column(
            Text(column.heading),
            justify="right" if column.numbers else "left",
            no_wrap=not column.wraps,
            overflow="fold",
            width=own,
        )
    for number, row in enumerate(table.rows):
        style = "bold" if number in table.strong else None
        found.add_row(*map(Text, row), style=style, end_section=number in table.rules)
    return found


def working(what: str) -> Status:
    """A spinner for work that has no progress bar: `with working("..."):`."""
    return console.status(Text(printable(what)))


def from_here(path: Path) -> Path:
    """The path relative to the current folder if it is inside, which is shorter to type."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def command(program: str, *arguments: object) -> str:
    """What to type in a shell to call a program of this environment, with quotes where needed."""
    if not shutil.which("rnnexp"):
        program = str(from_here(Path(sys.executable).parent / program))
    return " ".join(map(_quoted, [program, *map(str, arguments)]))


def _quoted(word: str) -> str:
    """A word for the shell. What `printable` would spell out is spelt as bash and zsh read it."""
    if printable(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(map(_in_ansi_c, word)) + "'"


def _in_ansi_c(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if printable(character) == character:
        return character
    undecodable = "\udc80" <= character <= "\udcff"
    raw = character.encode("utf-8", "surrogateescape" if undecodable else "surrogatepass")
    return "".join(f"\\x{byte:02x}" for byte in raw)
