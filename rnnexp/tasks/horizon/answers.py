"""Forecasts over a horizon for new series, prepared by the same code as in the test."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.source import SeriesSource
from rnnexp.data.series.unseen import clean_new, read_new
from rnnexp.errors import UserError
from rnnexp.nn.scaling import Scaling
from rnnexp.tables import Column, Table, number
from rnnexp.tasks.answers import one_line
from rnnexp.tasks.horizon.data import HorizonData, known_columns
from rnnexp.tasks.horizon.network import EncoderDecoder
from rnnexp.tasks.horizon.windows import seasonal_scales
from rnnexp.tasks.new_series import how_read


@dataclass(frozen=True)
class HorizonForecasts:
    """The next H values of series, in original units: a row for every step of each.

    notes: sentences on how the series were read. unread: the file or series that could not be
    predicted, and why.
    """

    rows: pd.DataFrame
    unit: str
    notes: list[str]
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        return list(self.unread.values())

    def frame(self) -> pd.DataFrame:
        """One row per step: series, issue_time, step, timestamp, prediction, with quantiles q0.1,
        ..., and unit; and if a series failed, a row of it with error."""
        frame = self.rows.assign(unit=self.unit)
        if not self.unread:
            return frame
        lost = pd.DataFrame({"series": list(self.unread), "error": self.failed})
        return pd.concat([frame, lost.assign(unit=self.unit)], ignore_index=True)

    def table(self) -> Table:
        """One row per step."""
        values = [name for name in self.rows if name == "prediction" or str(name).startswith("q0.")]
        rows = [
            [one_line(row["series"]), row["timestamp"].replace("T", " ")]
            + [number(row[name]) for name in values]
            for row in self.rows.to_dict("records")
        ]
        rows += [[one_line(name), "failed", *("" for _ in values)] for name in self.unread]
        unit = f", {self.unit}" if self.unit else ""
        named = [f"{name}{unit}" if name == "prediction" else str(name) for name in values]
        columns = [Column("series"), Column("for")]
        return Table("", [*columns, *(Column(name, numbers=True) for name in named)], rows)


def forecast(network: EncoderDecoder, data: HorizonData, paths: Sequence[Path]) -> HorizonForecasts:
    """Predict the next H values of every series in these files. data: after `setup` or `restore`.

    A series ends with its last row that has a value. The known columns of the horizon stand in the
    rows after it. A file or series that cannot be predicted does not stop the others.

    Raises:
        UserError: the only file or series cannot be predicted: it cannot be read in the format of
            the run's source, has another frequency, is too short, or lacks a known value.
    """
    source, notes = data.source, []
    raw, failed = read_new(source, paths)
    rows: list[pd.DataFrame] = []
    predicted: list[Series] = []
    for one in raw:
        try:
            past, ahead = _apart(one)
            series, left_out = clean_new(past, source)
            rows.append(_forecast(network, data, series, _known(ahead, series, source)))
        except UserError as error:
            failed[one.name if one.alone else one.place] = str(error)
            continue
        predicted.append(series)
        if left_out:
            notes.append(f"{one_line(one.name)}: {left_out:,} rows before a long gap were left out")
    if len(failed) == 1 and not rows:
        raise UserError(*failed.values())
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    notes += how_read(raw, predicted, data.spec.series, source)
    return HorizonForecasts(table, data.spec.unit, notes, failed)


def _apart(raw: RawSeries) -> tuple[RawSeries, RawSeries]:
    """The rows up to the last one with a value, and those after it."""
    last = int(np.flatnonzero(~np.isnan(raw.values[:, 0])).max(initial=-1)) + 1
    past = dataclasses.replace(raw, time=raw.time[:last], values=raw.values[:last])
    return past, dataclasses.replace(raw, time=raw.time[last:], values=raw.values[last:])


def _known(ahead: RawSeries, series: Series, source: SeriesSource) -> np.ndarray:
    """float64 (H, N): the known columns over the horizon.

    Raises:
        UserError: one has no value at a step.
    """
    columns = known_columns(source)
    found = dict(zip(ahead.time, ahead.values, strict=True))
    rows = []
    for time in source.frequency.after(np.repeat(series.time[-1:], source.horizon), _steps(source)):
        row = found.get(time)
        for column in columns:
            if row is None or np.isnan(row[column]):
                raise UserError(
                    f"{ahead.place}: column {source.columns[column]!r}, which is known over the "
                    f"horizon, has no value for {source.clock.show(time)}: add the rows of the "
                    f"next {source.horizon} steps after the last {source.columns[0]}"
                )
        rows.append([] if row is None else row[columns])
    return np.array(rows, dtype=float).reshape(source.horizon, len(columns))


def _steps(source: SeriesSource) -> np.ndarray:
    return np.arange(1, source.horizon + 1)


def _forecast(
    network: EncoderDecoder, data: HorizonData, series: Series, known: np.ndarray
) -> pd.DataFrame:
    source, horizon = data.source, data.source.horizon
    time = source.frequency.after(np.repeat(series.time[-1:], horizon), _steps(source))
    read = np.concatenate([series.time[-source.look_back :], time])
    calendar = source.conditioning.calendar(source.clock.local(read))
    scaling = _scaling(data, series)
    network = copy.deepcopy(network)
    network.seasonal = torch.tensor(scaling.pop("seasonal"), dtype=torch.float64)
    network.scaling = Scaling(**scaling)
    values = torch.from_numpy(series.values[-source.look_back :]).unsqueeze(0)
    first = torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        encoded = source.conditioning.encode(calendar.unsqueeze(0))
        outputs = network(values, encoded, torch.from_numpy(known).unsqueeze(0), first)
        quantiles = network.invert(outputs, values, first)[0].numpy()  # (H, Q)
    levels = network.levels
    point = quantiles[:, levels.index(0.5) if levels else 0]
    table = {
        "series": [series.name] * horizon,
        "issue_time": source.clock.text(np.repeat(series.time[-1:], horizon)),
        "step": _steps(source),
        "timestamp": source.clock.text(time),
        "prediction": point,
    }
    return pd.DataFrame(table | {f"q{x:g}": quantiles[:, i] for i, x in enumerate(levels)})


def _scaling(data: HorizonData, series: Series) -> dict[str, list]:
    """The run's scaling of a series; a series that is new is scaled by its own history.

    Raises:
        UserError: the series repeats itself after a season, so that it has no scale.
    """
    if series.name in data.spec.series:
        place = data.spec.series.index(series.name)
        return {key: [values[place]] for key, values in data.scaling.items()}
    season, steps = data.source.season, torch.tensor([len(series.time)])
    values, observed = torch.from_numpy(series.values[:, 0]), torch.from_numpy(series.observed)
    scale = float(seasonal_scales(values, observed, season, steps)) if season < steps else 0.0
    if not scale > 0:
        raise UserError(
            f"series {series.name!r} is new, and has no change over data.season={season} steps to "
            "be scaled by: give a longer file"
        )
    own = data.source.normalization.scaling([series], [len(series.time)])
    return {**own, "seasonal": [scale]}
