"""`rnnexp.load(DIR)`: load a finished run in Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from omegaconf import DictConfig
from torch import nn

from rnnexp.config import check, check_recorded, override
from rnnexp.data.loading.module import DataModule, Spec
from rnnexp.errors import UserError
from rnnexp.runs.build import build_network, data_module, outline, task_class
from rnnexp.runs.folder.reading import (
    CHECKPOINT_MISMATCH,
    best_checkpoint,
    read_config,
    read_kept,
    read_metrics,
    read_predictions,
    read_run,
    read_state_dict,
)
from rnnexp.runs.folder.tensors import mismatch, not_finite
from rnnexp.runs.locations import check_same_data, find_data, if_moved
from rnnexp.tasks.answers import Answers
from rnnexp.tasks.task import Task
from rnnexp.tasks.trace import Trace


@dataclass(frozen=True)
class LoadedRun:
    """A finished run.

    network: the network with the weights of the best checkpoint, in evaluation mode, on the CPU.
    data: the data module; `data.setup()` reads the data. config: the recorded config. folder: the
    run folder. record: run.json. task: the task class. spec: sizes and names that the network needs
    to know of the data.
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
            UserError: metrics.json is damaged, or missing because the run did not complete.
        """
        return read_metrics(self.folder)

    @property
    def predictions(self) -> pd.DataFrame:
        """predictions.csv: target and prediction of every test window or document.

        Raises:
            UserError: predictions.csv is damaged, or missing because the run did not complete.
        """
        return read_predictions(self.folder)

    def predict(
        self,
        given: str | Path | Sequence[str | Path],
        known: str | Path | Sequence[str | Path] = (),
    ) -> pd.DataFrame:
        """Predict new texts, or new series in CSV files. Returns a row for each prediction.

        given: one text or path, or several. known: CSV files with the known columns of the horizon
        (data.known), one path or several; where `given` has other values, those of `known` win.

        Raises:
            UserError: a text, a file or a series cannot be predicted.
        """
        kind: type[Path] | type[str] = Path if self.task.new_data == "series" else str
        new: Any = [kind(one) for one in _listed(given)]
        answers = self.answer(new, [Path(one) for one in _listed(known)])
        for failure in getattr(answers, "failed", []):
            raise UserError(failure)
        return answers.frame()

    def answer(self, given: Sequence[str] | Sequence[Path], known: Sequence[Path] = ()) -> Answers:
        """Predict new texts (str) or files of series (Path). known: files of known columns.

        Raises:
            UserError: the only text, file or series cannot be predicted.
        """
        if known and not self.task.takes_known:
            raise UserError(
                f"--known: {self.folder} predicts no horizon of several steps, so nothing is known "
                "over it: omit it (runs of task=horizon with data.known read such files)"
            )
        more = {"known": known} if known else {}
        return self.task.answer(self.network, restore_data(self), given, **more)

    def trace(
        self, given: str | Path, layer: int | None = None, series: str | None = None
    ) -> Trace:
        """What the network does with one text, or one series in a CSV file, step after step:
        `trace(text).frame()` is a table of it.

        layer: whose hidden states, from 1; None: the top one. series: the name of one of several
        series in the file.

        Raises:
            UserError: the task cannot be traced, or the input cannot be read.
        """
        more = {} if series is None else {"series": series}
        new = Path(given) if self.task.new_data == "series" else given
        return self.task.trace(self.network, restore_data(self), new, layer, **more)


def _listed(given: str | Path | Sequence[str | Path]) -> Sequence[str | Path]:
    return [given] if isinstance(given, str | Path) else given


def load(folder: str | Path, overrides: Sequence[str] = ()) -> LoadedRun:
    """Rebuild the network and data module of a run from its folder alone.

    No data are read: run.json holds the spec of the data, from which the network is built.

    overrides: key=value, applied to the recorded config.

    Raises:
        UserError: the folder is not a run folder, is damaged, or names a class that is not allowed.
    """
    folder = Path(folder)
    run, config = read_run(folder), read_config(folder)
    check_recorded(config, folder / "config.yaml")
    find_data(config, run)
    if overrides:
        config = override(config, overrides)
        check(config)
    if not isinstance(run.get("spec"), dict):
        raise UserError(
            f"{folder} has the status {run.get('status')!r} and no network: the run ended before "
            "the network was built"
        )
    task = task_class(config)
    try:
        spec = task.spec_class.from_plain(run["spec"])
    except (TypeError, ValueError) as error:
        raise UserError(f"{folder / 'run.json'} is damaged: {error}") from error
    with torch.random.fork_rng():  # initialisation must not advance the caller's stream
        network = _trained(config, spec, best_checkpoint(folder))
    data = data_module(config)
    return LoadedRun(network.eval(), data, config, folder, run, task, spec)


def _trained(config: DictConfig, spec: Spec, checkpoint: Path) -> nn.Module:
    """The network of a config with the weights of a checkpoint. No memory is taken before the two
    have been compared: both may be a stranger's."""
    prefix = "network."
    state = read_state_dict(checkpoint)
    own = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    planned = outline(config, spec)
    network = planned if planned is not None else build_network(config, spec)
    if wrong := mismatch(network, own):
        raise UserError(CHECKPOINT_MISMATCH.format(checkpoint, wrong))
    if name := not_finite(own):
        raise UserError(
            f"{checkpoint} cannot predict: {name} holds NaN or infinite weights, because the "
            "training diverged or the file has been edited"
        )
    if planned is not None:
        network = build_network(config, spec)
    network.load_state_dict(own)
    return network


def restore_data(run: LoadedRun) -> DataModule:
    """A data module for new data, restored from the files that the run kept of its training data.
    Folders of earlier versions may lack some of these files; then the training data are read again.

    Raises:
        UserError: a kept file does not belong to the run, or is missing and the training data
            cannot be read.
    """
    data, folder = data_module(run.config), run.folder
    try:
        data.restore(run.spec, read_kept(folder, data.keeps))
    except ValueError as error:
        raise UserError(f"{folder} does not fit its network: {error}") from error
    except KeyError as lacking:
        try:
            data.setup("fit")
            check_same_data(run.record, data.facts(), run.config)
        except UserError as error:
            raise UserError(
                f"{folder} has no {lacking.args[0]}, and it cannot be made from the training data: "
                f"{error}{if_moved(run.config)}"
            ) from error
    return data
