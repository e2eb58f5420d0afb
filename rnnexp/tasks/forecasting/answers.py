"""Forecasts for new series, prepared by the same code as in the test."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnnexp.data.series.cleaning import Series, clean, span, usual_distance
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.source import SeriesSource
from rnnexp.data.series.windows import Store
from rnnexp.errors import UserError
from rnnexp.nn.scaling import Scaling
from rnnexp.tables import Column, Table, number
from rnnexp.tasks.answers import listed, printable
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.network import Forecaster


@dataclass(frozen=True)
class Forecasts:
    """The next value of each of n series, in original units, and its time.

    notes: sentences on how the series were read.
    """

    series: list[str]
    time: np.ndarray  # datetime64[s], (n,)
    value: np.ndarray  # float64, (n,)
    unit: str
    notes: list[str]

    def frame(self) -> pd.DataFrame:
        """One row per series: series, timestamp, prediction, unit."""
        return pd.DataFrame(
            {
                "series": self.series,
                "timestamp": np.datetime_as_string(self.time, unit="s"),
                "prediction": self.value,
                "unit": self.unit,
            }
        )

    def table(self) -> Table:
        """One row per series."""
        rows = []
        for name, time, value in zip(self.series, self.time, self.value.tolist(), strict=True):
            in_units = f"{number(value)} {self.unit}".strip()
            rows.append([printable(name), in_units, str(time).replace("T", " ")])
        columns = [Column("series"), Column("next value", numbers=True), Column("for")]
        return Table("", columns, rows)


def forecast(network: Forecaster, data: ForecastingData, paths: Sequence[Path]) -> Forecasts:
    """Predict the next value of every series in these files. data: after `setup` or `restore`.

    Raises:
        UserError: a file cannot be read in the format of the run's source, has another frequency,
            or is too short.
    """
    source = data.source
    series = [_cleaned(raw, source) for raw in source.read_files(paths)]
    store = Store(series, source.conditioning)
    network = copy.deepcopy(network)
    network.scaling = _scaling(data, series)  # indexed by the new series
    with torch.no_grad():
        value = network.predict(*store.inputs(store.first[1:] - source.look_back, source.look_back))
    return Forecasts(
        [one.name for one in series],
        np.array([one.time[-1] + source.step for one in series]).astype("datetime64[s]"),
        value.numpy(),
        data.spec.unit,
        _how_series_are_read(data, series),
    )


def _cleaned(raw: RawSeries, source: SeriesSource) -> Series:
    """Apply the run's cleaning; every row counts as training, since the forecast lies after it."""
    distance = usual_distance(raw.time)
    if distance is not None and distance != source.step:
        raise UserError(
            f"{raw.path}: most rows are {span(distance)} apart, but the steps of this run are "
            f"{span(source.step)} (data.frequency): resample the series"
        )
    series, _ = clean(
        raw, source.cleaning, step=source.step, season=source.season, training_rows=len(raw.time)
    )
    if len(series.time) < source.look_back:
        raise UserError(
            f"{raw.path} has {len(series.time)} steps, but the network reads the last "
            f"{source.look_back} (data.look_back): give a longer file"
        )
    return series


def _scaling(data: ForecastingData, series: Sequence[Series]) -> Scaling:
    """The run's scaling of each series; a series that is new is scaled by its own history."""
    rows: dict[str, list] = {"minimum": [], "range": [], "change": []}
    for one in series:
        if one.name in data.spec.series:
            fitted, place = data.scaling, data.spec.series.index(one.name)
        else:
            fitted, place = data.source.normalization.scaling([one], [len(one.time)]), 0
        for key in rows:
            rows[key].append(fitted[key][place])
    return Scaling(**rows)


def _how_series_are_read(data: ForecastingData, series: Sequence[Series]) -> list[str]:
    known, look_back, notes = data.spec.series, data.source.look_back, []
    strange = [one.name for one in series if one.name not in known]
    if strange:
        notes.append(
            f"series that were not in training, scaled by their own history: {listed(strange)}; "
            f"those in training were {listed(known)} (a series is named after its file)"
        )
    for one in series:
        repaired = int((~one.observed[-look_back:]).sum())
        if repaired:
            notes.append(
                f"{printable(one.name)}: {repaired:,} of the last {look_back} values were "
                "missing or near zero, and were repaired"
            )
    return notes
