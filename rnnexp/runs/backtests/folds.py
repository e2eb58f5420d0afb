"""The runs of the folds of a back-test, and the forecasts of a run on windows that are chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, open_dict

from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.module import DataModule
from rnnexp.errors import UserError
from rnnexp.printing import complain
from rnnexp.runs.build import build_task, build_trainer, load_best
from rnnexp.runs.experiment import run
from rnnexp.runs.folder.digest import changed_files
from rnnexp.runs.folder.reading import read_run
from rnnexp.runs.resume import resume
from rnnexp.tasks.task import Task

BAR = "progress_bar"  # the one callback of a test that only shows how far it is


def train_until(
    config: DictConfig,
    until: str,
    test_windows: int,
    folder: Path,
    **facts: Any,
) -> bool:
    """Have an ordinary run in `folder` whose data end at a time: a completed one stays, an
    unfinished one goes on, else a new one is trained.

    config: of the run that is repeated. until: in ISO 8601, as `data.until`. test_windows: horizons
    at the end of its data that it does not train on, since every run tests itself. facts: further
    entries of run.json. Returns whether it was completed before.

    Raises: as `rnnexp.runs.experiment.run` and `rnnexp.runs.resume.resume`.
    """
    if (folder / "run.json").exists():
        recorded = read_run(folder)
        if recorded.get("status") != "completed":
            resume(folder)
            return False
        for name in changed_files(folder, recorded):
            complain(f"{name} of {folder} is not as the run wrote it")
        return True
    own = config.copy()
    with open_dict(own):  # recorded by a version without these keys, perhaps
        own.data.until, own.data.test_windows = until, test_windows
    try:
        run(own, folder, **facts)
    except UserError as error:
        raise UserError(f"the data before {until.replace('T', ' ')}: {error}") from error
    return False


def predict_windows(
    config: DictConfig, folder: Path, data: DataModule, loader: BatchLoader
) -> Task:
    """The task of a run after a test on the batches of a loader, as `rnnexp test` does it: its
    `predictions` are those of the best checkpoint.

    config: resolved. data: those of the network, which may be longer than the training's.

    Raises:
        UserError: the checkpoint is missing, damaged, or of another network.
    """
    config = config.copy()
    config.logger = None
    config.callbacks = {name: config.callbacks[name] for name in config.callbacks if name == BAR}
    for name in ("profiler", "limit_test_batches"):
        config.trainer.pop(name, None)
    task = build_task(config, data)
    load_best(task, folder)
    build_trainer(config, folder).test(task, dataloaders=loader, verbose=False)
    return task
