"""Writes the folder of a back-test.

backtest.json    status, what was asked, the run and its digest, issue times, folds, versions
backtest.csv     a row for every step of every forecast
metrics.json     flat: `backtest/...`, and `baseline/NAME/...` on the same forecasts
by_step.csv, by_series.csv, by_hour.csv, by_fold.csv: the metrics of parts of the forecasts
figures/         PNG
folds/01, ...    with refits: ordinary run folders

All but backtest.json and the folds is written at the end. Then the status becomes `completed`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from rnnexp.callbacks.figures import sign_as
from rnnexp.errors import RunFailed, UserError
from rnnexp.files import csv_text, remove_unfinished, write_json, write_text
from rnnexp.printing import complain
from rnnexp.process.locks import locked
from rnnexp.runs.folder.provenance import now
from rnnexp.runs.folder.reading import BACKTEST, LOCK, read_backtest

FOLDS = "folds"


def new_place(name: str) -> Path:
    """A new folder in that of all outputs. name: that of the run."""
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    return Path(os.environ.get("RNNEXP_OUTPUTS") or "outputs") / "backtests" / name / stamp


class BacktestRecord:
    """The record of one back-test while it is made. content: that of backtest.json."""

    def __init__(self, folder: Path, content: dict[str, Any]) -> None:
        self.folder, self.content = folder, content

    def save(self, **facts: Any) -> None:
        """Add facts to backtest.json."""
        self.content |= facts
        write_json(self.folder / BACKTEST, self.content)

    def fold(self, number: int) -> Path:
        """The run folder of a fold."""
        return self.folder / FOLDS / f"{number:02}"

    def table(self, name: str, table: pd.DataFrame) -> None:
        write_text(self.folder / f"{name}.csv", csv_text(table))

    def metrics(self, metrics: dict[str, float]) -> None:
        write_json(self.folder / "metrics.json", metrics)

    def figure(self, name: str, figure: Figure, run: str) -> None:
        """run: the name of the run, which is written below the figure."""
        sign_as(figure, f"back-test of {run}", self.folder.name)
        path = self.folder / "figures" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)

    def completed(self) -> None:
        self.save(status="completed", finished=now())


@contextmanager
def recording_backtest(folder: Path, content: dict[str, Any]) -> Iterator[BacktestRecord]:
    """Record a back-test in a new folder, or go on with one that is not completed.

    content: of backtest.json; `run` and `steps` must be those of the back-test that goes on.

    Raises:
        UserError: the folder cannot be made, is in use, or holds something else.
        RunFailed: the disk is full, or the folder can no longer be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in folder.iterdir()} - {LOCK}
    except OSError as error:
        raise UserError(f"--output {folder}: it cannot be written ({error.strerror})") from error
    with locked(folder / LOCK) as own:
        if not own:
            raise UserError(f"{folder} is in use: another process writes a back-test there")
        begun = {"status": "running", "started": now(), **content}
        if there:
            begun = _goes_on(folder, content)
            remove_unfinished(folder)
        record = BacktestRecord(folder, begun)
        try:
            record.save(status="running")
            yield record
        except OSError as error:
            if not str(error.filename or "").startswith(str(folder)):
                raise
            raise RunFailed(f"{folder} cannot be written: {error.strerror}") from error


def _goes_on(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """What backtest.json says of the back-test that goes on.

    Raises:
        UserError: the folder holds something else, a completed back-test or another one.
    """
    if not (folder / BACKTEST).exists():
        raise UserError(
            f"--output {folder}: it holds something else, which is never overwritten: choose "
            "another folder"
        )
    before = read_backtest(folder)
    if before["status"] == "completed":
        raise UserError(
            f"--output {folder}: it holds a completed back-test, which is never overwritten: "
            "choose another folder"
        )
    if before["run"]["digest"] != content["run"]["digest"]:
        raise UserError(f"--output {folder}: it is of another run: choose another folder")
    asked, then = content["steps"], before["steps"]
    differing = [
        f"{key} was {then.get(key)} and is {asked[key]}"
        for key in asked
        if then.get(key) != asked[key]
    ]
    if differing:
        raise UserError(
            f"--output {folder}: a back-test goes on with the same arguments alone (in steps, "
            f"{', '.join(differing)}): choose another folder"
        )
    if any(before.get(key) != content.get(key) for key in ("versions", "code")):
        complain("the code or its libraries have changed since the back-test began")
    return before | content | {"started": before.get("started", now())}
