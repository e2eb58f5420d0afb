"""Write one HTML page about a run, a sweep, a search or a back-test.

The page holds all that it shows, and loads nothing: it can be mailed, or opened without a network.
Its links to runs work only where it stays beside them. It is written as report.html into DIR, over
an earlier page, and is no part of the record of a run. Of several folders, it is written into the
current one, with all their runs.
"""

from pathlib import Path

from rnnexp import console
from rnnexp.commands.shared.options import add_allow, allow, command_parser


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    parser.add_argument(
        "folders", metavar="DIR", type=Path, nargs="+", help="folder of a run, a sweep, or many"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="default: report.html in DIR, or here if there are several",
    )
    add_allow(parser)
    arguments = parser.parse_args(argv)
    allow(arguments.allow)

    # Late: they import pandas and matplotlib, and --help does without.
    from rnnexp.report.write import write_report

    folders = arguments.folders
    path, is_replaced = write_report(folders, arguments.output)
    replaced = " (replaced an earlier page)" if is_replaced else ""
    console.show_line(f"the page     {console.from_here(path)}{replaced}")
    return 0
