"""Run a recorded run again and say whether the result is identical.

Compared to the bit are the order of batches, every training loss, the last and the best weights,
the predictions and the metrics. What the two runs stood on, their ground, is compared as well, so
that a difference of numbers can be told from another machine, version, file or line of code. With
overrides it is a new experiment instead.
"""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from rnnexp import console
from rnnexp.commands._options import allow, folder_parser
from rnnexp.commands._verdict import IDENTICAL, show_verdict
from rnnexp.config import check, override
from rnnexp.errors import CannotRerun, UserError
from rnnexp.runs.comparison.repetition import ground_differences, result_differences
from rnnexp.runs.experiment import run
from rnnexp.runs.folder.digest import read_result
from rnnexp.runs.folder.reading import read_config, read_run
from rnnexp.runs.loading import find_data


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    parser.add_argument(
        "overrides", metavar="KEY=VALUE", nargs="*", help="what a new experiment changes"
    )
    arguments = parser.parse_intermixed_args(argv)
    allow(arguments.allow)
    return rerun(arguments.folder, arguments.overrides)


def rerun(folder: Path, overrides: list[str]) -> int:
    """Run a recorded config again in a new folder and compare; or, with overrides, run what it
    becomes with them, which is a new experiment with nothing to compare.

    Returns the exit code: 0 identical (also on other ground), 1 different numbers on the same
    ground, 4 different numbers on different ground.

    Raises:
        UserError: the folder is no run folder, its config is not one that may be run, or the
            overrides are wrong.
        CannotRerun: something that a repetition needs is missing.
        RunFailed: the training cannot go on.
    """
    folder = folder.resolve()  # what is recorded of it must be true from every folder
    recorded = read_run(folder)
    try:
        config = read_config(folder)
    except UserError as error:
        raise CannotRerun(str(error)) from error
    check(config)
    find_data(config, recorded)
    if overrides:
        changed = override(config, overrides)
        check(changed)
        again = new_folder(changed)
        console.show(f"a new experiment: {folder} with {', '.join(overrides)}")
        run(changed, again, changed_from=str(folder), changes=overrides)
        return IDENTICAL
    if recorded.get("status") != "completed":
        raise CannotRerun(
            f"{folder} has the status {recorded.get('status')!r}: only a completed run has a "
            "result to compare with"
        )
    before = read_result(folder)
    check_device(config, recorded)
    again = new_folder(config)
    try:
        run(config, again, rerun_of=str(folder))
    except UserError as error:  # what the completed run had, its data for one, is not here
        raise CannotRerun(f"{folder} cannot be run again: {error}") from error
    ground = ground_differences(folder, read_run(again))
    results = result_differences(before, read_result(again))
    if results and not config.determinism.deterministic:
        console.show("determinism   fast: the last digits may differ from run to run")
    return show_verdict(ground, results, again)


def check_device(config: DictConfig, recorded: dict[str, Any]) -> None:
    """Refuse to repeat on the processor what was run on a GPU.

    Raises:
        CannotRerun: there is no GPU here.
    """
    if config.trainer.get("accelerator") == "gpu" and not torch.cuda.is_available():
        raise CannotRerun(
            f"this was run on a GPU ({recorded.get('device')}), and there is none here that torch "
            "can use: with trainer.accelerator=cpu it is a new experiment"
        )


def new_folder(config: DictConfig) -> Path:
    """A run folder where `rnnexp train` makes them here, whatever a stranger's config says."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    return Path(os.environ.get("RNNEXP_OUTPUTS", "outputs")) / config.name / stamp
