"""Draw the figures of runs for a paper, and the learning curves of several runs.

Each run's own figures are drawn again from its folder, as wide as a column of a journal or, with
several panels, as its page, with embedded fonts. Of several runs on the same data there are
learning curves too, with a band over the seeds of each setting.
"""

import os
from pathlib import Path

from rnnexp import console
from rnnexp.commands.shared.options import add_allow, allow, command_parser
from rnnexp.commands.shared.output import check_output_folder, writing
from rnnexp.errors import UserError
from rnnexp.printing import complain


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    parser.add_argument(
        "folders", metavar="DIR", type=Path, nargs="+", help="run folders, or folders with runs"
    )
    parser.add_argument(
        "--format", choices=("pdf", "svg", "png"), default="pdf", help="of the files; default: pdf"
    )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        type=Path,
        default=Path("figures"),
        help="where they are written; default: figures",
    )
    add_allow(parser)
    arguments = parser.parse_args(argv)
    allow(arguments.allow)
    return draw(arguments.folders, arguments.output, arguments.format)


def draw(folders: list[Path], output: Path, form: str) -> int:
    """Draw the figures of all completed runs below some folders. Returns the exit code.

    Raises:
        UserError: there is no completed run, it cannot be drawn, or nothing can be written to
            `output`.
    """
    # Late: they import torch, and --help does without.
    from rnnexp.callbacks.figures import is_too_large
    from rnnexp.runs.comparison.leaderboard import by_data, find_runs
    from rnnexp.runs.figures.learning_curves import learning_curves
    from rnnexp.runs.figures.of_run import figures_of
    from rnnexp.runs.figures.paper import fit, paper, save

    check_output_folder(output)
    entries = [entry for entry in find_runs(folders) if entry.status == "completed"]
    if not entries:
        raise UserError(f"no run in {', '.join(map(str, folders))} is completed")
    common = os.path.commonpath([entry.folder.absolute() for entry in entries])
    written = []
    with writing(output), paper(), console.working("drawing"):
        for entry in entries:
            place = output / os.path.relpath(entry.folder, common)
            figures = figures_of(entry.folder)
            if not figures:
                complain(f"{entry.folder} has no figures (callbacks.figures=null)")
            for name, figure in figures.items():
                if is_too_large(figure):
                    complain(f"{entry.folder}: {name} is too large, or has too long a text")
                    continue
                fit(figure)
                save(figure, path := place / f"{name}.{form}")
                written.append(path)
        for number, same in enumerate(by_data(entries).values()):
            if len(same) > 1:
                figure = learning_curves(same)
                fit(figure)
                name = "learning_curves" + (f"_{number + 1}" if number else "")
                save(figure, path := output / f"{name}.{form}")
                written.append(path)
    for path in written:
        console.show_line(f"written      {console.from_here(path)}")
    return 0
