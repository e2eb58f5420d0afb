"""`rnnexp.load(DIR)`: a finished run, back in Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig
from torch import nn

from rnnexp.config import check, instantiate, override
from rnnexp.data.loading.module import DataModule, Spec
from rnnexp.errors import UserError
from rnnexp.runs.build import data_module, task_class
from rnnexp.runs.folder.reading import (
    NOT_ITS_WEIGHTS,
    best_checkpoint,
    read_config,
    read_kept,
    read_metrics,
    read_predictions,
    read_run,
    read_state_dict,
)
from rnnexp.tasks.task import Task


@dataclass(frozen=True)
class LoadedRun:
    """A finished run.

    network: with the weights of the best checkpoint, in evaluation mode, on the CPU.
    data: the data module, not yet read: call `data.setup()`. config: as the run recorded it.
    folder: the run folder. record: its run.json. task: the class of its task. spec: what the data
    decided, sizes and names.
    """

    network: nn.Module
    data: DataModule
    config: DictConfig
    folder: Path
    record: dict[str, Any]
    task: type[Task]
    spec: Spec

    @property
    def metrics(self) -> dict[str, float]:
        """metrics.json: `test/smape`, `baseline/ridge/smape`, ...

        Raises:
            UserError: the run is not completed.
        """
        return read_metrics(self.folder)

    @property
    def predictions(self) -> pd.DataFrame:
        """predictions.csv: target and prediction of everything that was tested.

        Raises:
            UserError: the run is not completed.
        """
        return read_predictions(self.folder)

    def predict(self, given: str | Path | Sequence[str | Path]) -> pd.DataFrame:
        """What the run says of new texts, or of new series in CSV files: a row for each.

        Raises:
            UserError: a text or a file cannot be read as those of the run were.
        """
        one_or_more = [given] if isinstance(given, str | Path) else given
        kind = Path if self.task.new_data == "series" else str
        answers = self.task.answer(self.network, restore_data(self), list(map(kind, one_or_more)))
        return answers.frame()


def load(folder: str | Path, overrides: Sequence[str] = ()) -> LoadedRun:
    """Build network and data module of a run again, from its folder alone.

    The network needs no data: what the data decided stands in the record.

    overrides: key=value, of the recorded config.

    Raises:
        UserError: the folder is not that of a run, or something in it may not be loaded.
    """
    folder = Path(folder)
    run, config = read_run(folder), read_config(folder)
    if overrides:
        config = override(config, overrides)
    check(config)
    find_data(config, run)
    if not isinstance(run.get("spec"), dict):
        raise UserError(
            f"{folder} has the status {run.get('status')!r} and no network: the run did not get as "
            "far as that"
        )
    task = task_class(config)
    try:
        spec = task.spec_class.from_plain(run["spec"])
    except (TypeError, ValueError) as error:
        raise UserError(f"{folder / 'run.json'} is damaged: {error}") from error
    checkpoint = best_checkpoint(folder)
    with torch.random.fork_rng():  # initial weights are drawn, and must not move the stream
        network = instantiate(config, "model", spec=spec)
    _load_weights(network, checkpoint)
    data = data_module(config)
    return LoadedRun(network.eval(), data, config, folder, run, task, spec)


def _load_weights(network: nn.Module, checkpoint: Path) -> None:
    state = read_state_dict(checkpoint)
    prefix = "network."
    own = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    try:
        network.load_state_dict(own)
    except RuntimeError as error:  # of other names or sizes
        raise UserError(NOT_ITS_WEIGHTS.format(checkpoint)) from error


def restore_data(run: LoadedRun) -> DataModule:
    """A data module for new data, with what the run folder holds of the training data. A folder of
    an earlier version may not hold it all: the data themselves are needed then.

    Raises:
        UserError: what is kept is not that of the run, or is missing and the data are not there.
    """
    data, folder = data_module(run.config), run.folder
    try:
        data.restore(run.spec, read_kept(folder, data.keeps))
    except ValueError as error:
        raise UserError(f"{folder} does not hold what its network needs: {error}") from error
    except KeyError as lacking:
        try:
            data.setup("fit")
            check_same_data(run.record, data.facts())
        except UserError as error:
            raise UserError(
                f"{folder} has no {lacking.args[0]}, and the data that would make up for it are "
                f"not to be had: {error}"
            ) from error
    return data


# The data of a recorded run ---------------------------------------------------------------------


def find_data(config: DictConfig, run: dict[str, Any]) -> None:
    """Let a recorded config find its data where the run found them, from any folder."""
    place = run.get("data")
    paths = place if isinstance(place, list) else [place]
    if "root" in config.data and all(isinstance(p, str) and Path(p).exists() for p in paths):
        config.data.root = place
    vectors = run.get("vectors")
    if config.data.get("vectors") and isinstance(vectors, str) and Path(vectors).exists():
        config.data.vectors.file = vectors


def check_same_data(run: dict[str, Any], facts: dict[str, Any]) -> None:
    """Compare the data that were read with those of a run.

    Raises:
        UserError: they are not the same.
    """
    recorded = run.get("fingerprints", {})
    differing = [kind for kind, now in facts["fingerprints"].items() if recorded.get(kind) != now]
    for kind in ("data", "vectors"):  # read from files, and what decides all else
        if kind in differing:
            raise UserError(
                f"the {kind} of this run cannot be found again: what is in {facts[kind]} is not "
                f"what the run read from {run.get(kind)}"
            )
    if differing:
        raise UserError(
            f"the {differing[0]} of this run cannot be made again from the same data: config.yaml "
            "has been edited, or the code is another one"
        )
