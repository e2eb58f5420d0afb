"""New series, which are read and cleaned as those of the training were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnexp.data.series.calendar.frequency import span, usual_distance
from rnnexp.data.series.cleaning import Series, clean, near_zero
from rnnexp.data.series.grid import after_long_gaps
from rnnexp.data.series.raw import RawSeries, unique_names
from rnnexp.data.series.source import SeriesSource
from rnnexp.errors import UserError


def read_new(source: SeriesSource, paths: Sequence[Path]) -> tuple[list[RawSeries], dict[str, str]]:
    """The series of all files, and what could not be read, with the reason."""
    found: list[RawSeries] = []
    failed: dict[str, str] = {}
    for path in paths:
        try:
            files = source.files_in(path)
        except UserError as error:
            failed[str(path)] = str(error)
            continue
        for file in files:
            try:
                read = [one.by(source.clock) for one in source.read_files([file])]
                found = unique_names([*found, *read])
            except UserError as error:
                failed[str(file)] = str(error)
    return found, failed


def clean_new(raw: RawSeries, source: SeriesSource) -> tuple[Series, int]:
    """Apply the run's cleaning to the rows after the last gap that is too long to be filled, if
    they are enough for a window. Also returns how many rows came before it.

    Every row counts as training, since the forecast lies after it.
    """
    distance = usual_distance(raw.time)
    if source.frequency.offset is None and distance not in (None, source.step):
        raise UserError(
            f"{raw.place}: most rows are {span(distance)} apart, but the steps of this run are "
            f"{source.frequency} (data.frequency): resample the series"
        )
    recent = _recent(raw, source)
    series, _ = clean(
        recent,
        source.cleaning,
        frequency=source.frequency,
        season=source.season,
        training_rows=len(recent.time),
    )
    if len(series.time) < source.look_back:
        raise UserError(
            f"{raw.place} has {len(series.time)} steps, but the network reads the last "
            f"{source.look_back} (data.look_back): give a longer file"
        )
    return series, len(raw.time) - len(recent.time)


def _recent(raw: RawSeries, source: SeriesSource) -> RawSeries:
    if source.cleaning.masks:  # however long a gap is
        return raw
    observed = ~np.isnan(raw.values[:, 0])
    if source.cleaning.outliers == "fill":
        observed &= ~near_zero(raw.values[:, 0], source.cleaning.near_zero, len(raw.time))
    frequency = source.frequency if source.cleaning.gaps == "fill" else None
    recent = after_long_gaps(raw, observed, frequency, source.cleaning.longest_gap)
    steps = source.frequency.steps_between(recent.time[[0, -1]])[0] + 1
    return recent if steps >= source.look_back else raw
