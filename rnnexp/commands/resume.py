"""Go on with a run or a sweep that was interrupted, as if it had not been.

A run goes on from its last checkpoint, within an epoch too, and ends with the same weights,
predictions and metrics, to the bit. A run without a checkpoint begins anew. trainer.max_epochs=N
makes a finished run longer, in a new folder where rnnexp train puts them, if its learning rate
follows no schedule (scheduler=constant). Of a sweep, interrupted runs go on, and those that never
began are run; with --failed, those that failed are tried again. Exit code 0: completed, also
before; 1: a run failed; 2: a mistake, or another process is running it; 3: it cannot go on, or its
data, code, versions or config have changed.
"""

import os
from pathlib import Path

from rnnexp.commands.shared.options import add_config_options, allow, command_parser
from rnnexp.errors import UserError


def main(argv: list[str]) -> int:
    parser = command_parser(__name__, __doc__)
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder of a run or a sweep")
    parser.add_argument(
        "length", metavar="trainer.max_epochs=N", nargs="?", help="make a finished run longer"
    )
    parser.add_argument("--failed", action="store_true", help="of a sweep: failed jobs too")
    parser.add_argument(
        "--on-other-ground",
        action="store_true",
        help="go on although data, versions, code or threads differ; the run records it",
    )
    add_config_options(parser)
    arguments = parser.parse_intermixed_args(argv)
    allow(arguments.allow)
    folder, length = arguments.folder, arguments.length
    if not os.path.lexists(folder / "sweep.json"):
        for option in ("failed", "config_dir"):
            if getattr(arguments, option):
                name = f"--{option.replace('_', '-')}"
                raise UserError(f"{name} is for a sweep, and {folder} has no sweep.json")
        return go_on(folder, length, arguments.on_other_ground)
    if length is not None:
        raise UserError(f"{length}: {folder} is a sweep, which is finished as it began")
    return finish_sweep(folder, arguments.config_dir, arguments.failed, arguments.on_other_ground)


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

    if not (folder / "config.yaml").exists():
        check_no_folder_of_runs(folder)
        read_run(folder)  # says what is wrong
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


def finish_sweep(
    folder: Path,
    config_dir: Path | None = None,
    failed: bool = False,
    on_other_ground: bool = False,
) -> int:
    """Finish a sweep, show its table, and return the exit code: 1 if jobs have failed.

    failed: try failed jobs again.

    Raises: as `rnnexp.launching.launch.finish`.
    """
    # Late: they import torch, and --help does without.
    from rnnexp import console
    from rnnexp.commands.leaderboard import show_sweep
    from rnnexp.launching.launch import finish
    from rnnexp.launching.sweep import outcomes

    jobs = outcomes(folder)
    if all(job.status == "completed" for job in jobs):
        console.show(f"all {len(jobs)} jobs of {folder} are completed: nothing is left to do")
        return 0
    not_completed = finish(folder, config_dir, failed, on_other_ground)
    return show_sweep(folder, not_completed, len(jobs))


def check_no_folder_of_runs(folder: Path) -> None:
    """Check that a folder is not that of a search, or of a sweep of an earlier version.

    Raises:
        UserError: it is.
    """
    from rnnexp import console
    from rnnexp.runs.folder.reading import read_run, status_now

    for path in sorted(folder.glob("*/run.json")) if not (folder / "run.json").exists() else ():
        try:
            run = read_run(path.parent)
        except UserError:
            continue
        if "trial" in run:
            line = console.command("rnnexp", *run["argv"][1:])
            raise UserError(f"{folder} is a search, which goes on when it is typed again: {line}")
        if run.get("overrides") and status_now(path.parent, run) != "completed":
            line = console.command("rnnexp", "resume", console.from_here(path.parent))
            raise UserError(
                f"{folder} has neither run.json nor sweep.json, but unfinished runs inside, as a "
                f"sweep of an earlier version has: go on with each, the first one with {line}"
            )
