"""Show all runs in tables, best first, with means over the seeds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnexp import console
from rnnexp.commands.shared.options import command_parser
from rnnexp.files import json_text
from rnnexp.printing import complain, say

if TYPE_CHECKING:
    from rnnexp.runs.comparison.leaderboard import Entry


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    parser.add_argument(
        "folders", metavar="DIR", type=Path, nargs="*", help="folders with runs; default: outputs"
    )
    parser.add_argument("--metric", metavar="NAME", help="rank or compare by it")
    form = parser.add_mutually_exclusive_group()
    for name in ("markdown", "csv", "json"):
        text = (
            "print tables in Markdown"
            if name == "markdown"
            else f"print one table in {name.upper()}"
        )
        form.add_argument(f"--{name}", action="store_const", dest="form", const=name, help=text)
    form.add_argument(
        "--check",
        metavar="FILE",
        type=Path,
        help="compare with the expected values in FILE; exit code 1 if one is missed",
    )
    form.add_argument(
        "--compare",
        metavar=("A", "B"),
        nargs=2,
        help="compare two groups of runs, each KEY=VALUE[,KEY=VALUE], paired by seed",
    )
    arguments = parser.parse_args(argv)

    # Late: they import pandas and scipy, and --help does without.
    from rnnexp.runs.comparison.leaderboard import find_runs, tables, whole_table
    from rnnexp.runs.comparison.leaderboard_texts import to_markdown

    folders = arguments.folders or [Path(os.environ.get("RNNEXP_OUTPUTS", "outputs"))]
    entries = find_runs(folders, arguments.metric)
    for entry in entries:
        if entry.damage:
            complain(f"not ranked: {entry.damage}")
    if arguments.check:
        from rnnexp.runs.comparison.statistics import check

        sentences, missed = check(entries, arguments.check)
        console.show(*sentences)
        return 1 if missed else 0
    if arguments.compare:
        from rnnexp.runs.comparison.statistics import compare

        console.show(*compare(entries, *arguments.compare))
        return 0
    match arguments.form:
        case "csv":
            say(whole_table(entries).to_csv(index=False), end="")
        case "json":
            say(json_text(whole_table(entries).to_dict(orient="records")), end="")
        case "markdown":
            for title, table in tables(entries).items():
                say(to_markdown(title, table))
        case _:
            show_tables(entries)
    return 0


def show_tables(entries: list[Entry]) -> None:
    """Print the tables of runs, as wide as the console."""
    from rnnexp.runs.comparison.leaderboard import tables
    from rnnexp.runs.comparison.leaderboard_texts import fitted

    for title, table in tables(entries).items():
        console.show(fitted(title, table, console.console.width))


def show_sweep(folder: Path, failed: Sequence[object], number: int) -> int:
    """Print the tables of the runs of a sweep, its failed jobs and what to type to try them again,
    and return the exit code.

    failed: the jobs without a result, each as it is printed. number: of all jobs.
    """
    if len(failed) < number:
        _show_runs(folder)
    if failed:
        from rnnexp.runs.experiment import to_type  # late: it imports torch

        complain("\n  ".join([f"{len(failed)} of {number} jobs failed:", *map(str, failed)]))
        console.show_line(f"try again    {to_type('resume', folder, '--failed')}")
    return 1 if failed else 0


def _show_runs(folder: Path) -> None:
    """Print the tables of the runs of a sweep, and what to type to see them again."""
    from rnnexp.runs.comparison.leaderboard import find_runs

    entries = find_runs([folder])
    if not any(entry.status == "completed" for entry in entries):
        return
    show_tables(entries)
    place = console.from_here(folder)
    console.show_line(f"the table    {console.command('rnnexp', 'leaderboard', place)}")
    console.show_line(f"a page       {console.command('rnnexp', 'report', place)}")
    console.show_line(f"look at it   {console.command('rnnexp', 'board', place)}")
