"""Console output other than the progress bar. No other module imports Rich."""

import shlex
import shutil
import sys
from pathlib import Path

from rich.box import HEAVY_HEAD, SIMPLE_HEAD
from rich.console import Console
from rich.markdown import Markdown
from rich.status import Status
from rich.table import Table as RichTable
from rich.text import Text

from rnnexp.tables import Table

console = Console(highlight=False)
if not console.is_terminal:
    console.width = 120  # characters, for files and pipes, which have no width


def show(*things: Table | str) -> None:
    """Print tables and sentences, one below the other."""
    for thing in things:
        console.print(thing if isinstance(thing, str) else rich_table(thing), markup=False)


def show_markdown(text: str) -> None:
    """Print Markdown with its formatting."""
    console.print(Markdown(text))


def show_line(text: str) -> None:
    """Print a line to be typed or copied, without wrapping it."""
    console.print(text, soft_wrap=True, markup=False)


def rich_table(table: Table) -> RichTable:
    """The Rich table of a table."""
    found = RichTable(box=SIMPLE_HEAD if table.plain else HEAVY_HEAD)
    found.title_justify = found.caption_justify = "left"
    found.title = Text(table.title, "table.title") if table.title else None
    found.caption = Text(table.caption, "table.caption") if table.caption else None
    for column in table.columns:
        found.add_column(
            Text(column.heading),
            justify="right" if column.numbers else "left",
            no_wrap=not column.wraps,
            overflow="fold",
        )
    for number, row in enumerate(table.rows):
        style = "bold" if number in table.strong else None
        found.add_row(*map(Text, row), style=style, end_section=number in table.rules)
    return found


def working(what: str) -> Status:
    """A spinner for work that has no progress bar: `with working("..."):`."""
    return console.status(what)


def from_here(path: Path) -> Path:
    """The path relative to the current folder if it is inside, which is shorter to type."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def command(program: str, *arguments: object) -> str:
    """What to type in a shell to call a program of this environment, with quotes where needed."""
    if not shutil.which("rnnexp"):
        program = str(from_here(Path(sys.executable).parent / program))
    return shlex.join([program, *map(str, arguments)])
