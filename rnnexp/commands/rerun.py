"""Repeat a recorded run and check that the results are identical.

The order of batches, every training loss, the last and the best weights, the predictions and the
metrics are compared to the bit. The environments (data, versions, device, threads, code) are
compared as well, so that different results can be traced to their cause. data.root=PATH and
data.vectors.file=PATH say where the data are now. With other overrides the command runs a new
experiment, and nothing is compared.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from rnnexp import console
from rnnexp.commands.shared.options import allow, folder_parser
from rnnexp.config import check, check_recorded, override
from rnnexp.errors import CannotRerun, UserError
from rnnexp.runs.locations import find_data, if_moved, is_location, other_data


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    parser.add_argument(
        "overrides",
        metavar="KEY=VALUE",
        nargs="*",
        help="where the data are now; or changes for a new experiment",
    )
    arguments = parser.parse_intermixed_args(argv)
    allow(arguments.allow)
    return rerun(arguments.folder, arguments.overrides)


def rerun(folder: Path, overrides: list[str]) -> int:
    """Repeat a recorded run in a new folder and compare the results. With overrides that say more
    than where the data are now, run the changed config as a new experiment and compare nothing.

    Returns the exit code: 0 identical (also in another environment), 1 different results in the
    same environment or a file of the record that was edited, 4 different results in a different
    environment.

    Raises:
        UserError: the folder is not a run folder, its config may not be run, or an override is
            wrong.
        CannotRerun: something that the repetition needs is missing, or the data at the given
            location are others.
        RunFailed: the training cannot continue.
    """
    # Late: they import torch, and --help does without.
    from rnnexp.commands.shared.verdict import IDENTICAL, show_other_ground, show_verdict
    from rnnexp.launching.labels import label_of_one
    from rnnexp.runs.build import check_logger
    from rnnexp.runs.comparison.repetition import (
        baseline_differences,
        environment_differences,
        result_differences,
    )
    from rnnexp.runs.experiment import run
    from rnnexp.runs.folder.digest import edited_files, read_result
    from rnnexp.runs.folder.reading import read_config, read_run
    from rnnexp.runs.folder.record import make_folder
    from rnnexp.runs.settings import resolve

    for word in overrides:
        if "=" not in word and (Path(word).exists() or "/" in word):
            raise UserError(f"rerun takes one folder, not {word} as well: type two commands")
    folder = folder.resolve()  # the new run records this path
    recorded = read_run(folder)
    try:
        config = read_config(folder)
    except UserError as error:
        raise CannotRerun(str(error)) from error
    check_recorded(config, folder / "config.yaml")
    find_data(config, recorded)
    changed = override(config, overrides)
    check(changed)
    if not all(map(is_location, overrides)):
        again = new_folder(changed)
        console.show(f"a new experiment: {folder} with {', '.join(overrides)}")
        choices = recorded.get("choices", {})
        named = label_of_one(choices.get("model"), overrides, changed.seed, changed.name)
        facts = {"choices": choices, "label": named}
        run(changed, again, changed_from=str(folder), changes=overrides, **facts)
        return IDENTICAL
    if recorded.get("status") != "completed":
        raise CannotRerun(
            f"{folder} has the status {recorded.get('status')!r}: only a completed run has a "
            "result to compare with"
        )
    before, edited = read_result(folder), edited_files(folder)
    check_device(config, recorded)
    config = changed
    if overrides:
        check_data(config, recorded)
    again = new_folder(config)
    try:
        resolve(config)  # says what is wrong before there is a folder
        check_logger(config)
        make_folder(again)
        facts = {key: recorded[key] for key in ("choices", "label") if key in recorded}
        run(config, again, rerun_of=str(folder), **facts)
    except UserError as error:  # the data are missing here, for example
        raise CannotRerun(f"cannot rerun {folder}: {error}{if_moved(config)}") from error
    show_other_ground(recorded)
    repeated = read_run(again)
    results = result_differences(before, read_result(again))
    environment = environment_differences(folder, repeated)
    environment |= baseline_differences(folder, repeated, results)
    if results and not config.determinism.deterministic:
        console.show("determinism   fast: the last digits may differ from run to run")
    return show_verdict(environment, results, again, edited)


def check_data(config: DictConfig, recorded: dict[str, Any]) -> None:
    """Check that the data at a new location are those of the run.

    Raises:
        UserError: there are no data, or they cannot be read.
        CannotRerun: they are other data.
    """
    from rnnexp.runs.build import build_data

    if sentence := other_data(recorded, build_data(config).facts(), config):
        raise CannotRerun(f"{sentence}; to train on other data as a new experiment, add name=NAME")
    console.show("data          the same as in the run")


def check_device(config: DictConfig, recorded: dict[str, Any]) -> None:
    """Check that there is a GPU if the recorded run used one.

    Raises:
        CannotRerun: torch finds no GPU.
    """
    import torch

    if config.trainer.get("accelerator") == "gpu" and not torch.cuda.is_available():
        raise CannotRerun(
            f"the run used a GPU ({recorded.get('device')}), and torch finds none here: add "
            "trainer.accelerator=cpu to run a new experiment on the CPU"
        )


def new_folder(config: DictConfig) -> Path:
    """A new run folder where `rnnexp train` puts them. The recorded config cannot choose it."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    return Path(os.environ.get("RNNEXP_OUTPUTS") or "outputs") / config.name / stamp
