"""Show all runs in tables, best first, with means over the seeds."""

import os
import sys
from pathlib import Path

from rnnexp import console
from rnnexp.commands._options import command_parser
from rnnexp.files import json_text
from rnnexp.runs.comparison.leaderboard import find_runs, tables, whole_table
from rnnexp.runs.comparison.leaderboard_texts import fitted, to_markdown
from rnnexp.runs.comparison.statistics import check, compare


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
    folders = arguments.folders or [Path(os.environ.get("RNNEXP_OUTPUTS", "outputs"))]
    entries = find_runs(folders, arguments.metric)
    for entry in entries:
        if entry.damage:
            print(f"rnnexp: not ranked: {entry.damage}", file=sys.stderr)
    if arguments.check:
        sentences, missed = check(entries, arguments.check)
        console.show(*sentences)
        return 1 if missed else 0
    if arguments.compare:
        console.show(*compare(entries, *arguments.compare))
        return 0
    match arguments.form:
        case "csv":
            print(whole_table(entries).to_csv(index=False), end="")
        case "json":
            print(json_text(whole_table(entries).to_dict(orient="records")), end="")
        case "markdown":
            for title, table in tables(entries).items():
                print(to_markdown(title, table))
        case _:
            for title, table in tables(entries).items():
                console.show(fitted(title, table, console.console.width))
    return 0
