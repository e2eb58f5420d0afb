"""Go on with a run or a sweep that was interrupted, as if it had not been.

A run goes on from its last checkpoint, within an epoch too, and ends with the same weights,
predictions and metrics, to the bit. trainer.max_epochs=N makes a finished run longer, in a new
folder. A folder of a sweep: its interrupted runs go on, and those that never began are run.
"""

from pathlib import Path

from rnnexp.commands._options import allow, folder_parser
from rnnexp.errors import UserError


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    parser.add_argument(
        "length", metavar="trainer.max_epochs=N", nargs="?", help="make a finished run longer"
    )
    parser.add_argument(
        "--on-other-ground",
        action="store_true",
        help="go on although data, versions, code or threads differ; the run records it",
    )
    arguments = parser.parse_intermixed_args(argv)
    allow(arguments.allow)
    return go_on(arguments.folder, arguments.length, arguments.on_other_ground)


def go_on(folder: Path, length: str | None = None, on_other_ground: bool = False) -> int:
    """Go on with a run, and return the exit code 0.

    Raises:
        UserError: the folder holds no run or a running one, or the data cannot be read.
        CannotRerun: the run cannot go on, or the environment differs.
        RunFailed: the training cannot continue.
    """
    # Late: they import torch, and --help does without.
    from rnnexp import console
    from rnnexp.commands.rerun import new_folder
    from rnnexp.runs.folder.reading import read_config, read_run
    from rnnexp.runs.resume import LENGTH, go_on_longer, resume

    if length is not None:
        if not length.startswith(LENGTH):
            raise UserError(f"{length}: resume can only change {LENGTH}N")
        go_on_longer(folder, new_folder(read_config(folder)), length, on_other_ground)
        return 0
    if (folder / "run.json").exists() and read_run(folder).get("status") == "completed":
        console.show(f"{folder} is completed: nothing is left to do")
        return 0
    resume(folder, on_other_ground)
    return 0
