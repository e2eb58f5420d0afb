"""The figures of one run, drawn again from its folder alone."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rnnexp.callbacks.figures import Figures, Outcome
from rnnexp.config import check_recorded, instantiate
from rnnexp.config.schema import plain
from rnnexp.errors import UserError
from rnnexp.runs.build import task_class
from rnnexp.runs.folder.reading import (
    read_config,
    read_digest,
    read_history,
    read_predictions,
    read_run,
)
from rnnexp.tasks.loss import loss_name

DRAWN_BY = "figures"  # the name of the callback


def figures_of(folder: Path) -> dict[str, Figure]:
    """The figures that a completed run saved, by name, without its signature; empty for a run
    without any (callbacks.figures=null).

    Raises:
        UserError: the run is not completed, or a file of its record is missing or damaged.
    """
    run, config = read_run(folder), read_config(folder)
    check_recorded(config, folder / "config.yaml")
    if not config.callbacks.get(DRAWN_BY):
        return {}
    drawing = instantiate(config, f"callbacks.{DRAWN_BY}")
    if not isinstance(drawing, Figures):
        return {}
    predictions = read_predictions(folder)
    outcome = Outcome(
        predictions.assign(**_numbers(predictions)),
        _history(folder),
        _spec(folder, run, task_class(config)),
        loss_name(plain(config.task).get("loss", "")),
        config.monitor,
    )
    try:
        return drawing.draw(outcome)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{folder}: its predictions.csv or history.csv is not what its figures show ({error!r})"
        ) from error


def _spec(folder: Path, run: dict[str, Any], task: Any) -> Any:
    try:
        return task.spec_class.from_plain(run["spec"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{folder / 'run.json'} is damaged: {error}") from error


def _numbers(predictions: pd.DataFrame) -> dict[str, pd.Series]:
    """The columns that hold numbers and empty cells, which were read as text: a name may be NA."""
    found = {}
    for name in predictions.select_dtypes(exclude="number"):
        if (predictions[name] == "").any():
            try:
                found[str(name)] = pd.to_numeric(predictions[name])
            except ValueError:
                continue  # names, one of which is empty
    return found


def _history(folder: Path) -> pd.DataFrame:
    """As `History.table` was during the run; without `losses` where several batches made a step, so
    that their epochs are not known."""
    history = read_history(folder)
    losses = [float.fromhex(loss) for loss in read_digest(folder)["losses"]]
    ends = [0, *history["step"]]
    if ends[-1] != len(losses):
        return history
    by_epoch: list[Any] = [losses[begin:end] for begin, end in pairwise(ends)]
    return history.assign(losses=by_epoch)
