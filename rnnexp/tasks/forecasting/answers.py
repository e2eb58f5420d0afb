"""Forecasts for new series, prepared by the same code as in the test."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.unseen import clean_new, read_new
from rnnexp.data.series.windows import Store
from rnnexp.errors import UserError
from rnnexp.nn.scaling import Scaling
from rnnexp.tables import Column, Table, number
from rnnexp.tasks.answers import one_line
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.new_series import how_read


@dataclass(frozen=True)
class Forecasts:
    """The next value of each of n series, in original units, and its time.

    notes: sentences on how the series were read. unread: the file or series that could not be
    predicted, and why.
    """

    series: list[str]
    time: list[str]  # ISO 8601, of each value
    value: np.ndarray  # float64, (n,)
    unit: str
    notes: list[str]
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        return list(self.unread.values())

    def frame(self) -> pd.DataFrame:
        """One row per series: series, timestamp, prediction, unit; and if one failed, error."""
        frame = pd.DataFrame(
            {
                "series": self.series,
                "timestamp": self.time,
                "prediction": self.value,
                "unit": self.unit,
            }
        )
        if not self.unread:
            return frame
        lost = pd.DataFrame({"series": list(self.unread), "error": self.failed})
        return pd.concat([frame, lost.assign(unit=self.unit)], ignore_index=True)

    def table(self) -> Table:
        """One row per series."""
        rows = []
        for name, time, value in zip(self.series, self.time, self.value.tolist(), strict=True):
            in_units = f"{number(value)} {self.unit}".strip()
            rows.append([one_line(name), in_units, time.replace("T", " ")])
        rows += [[one_line(name), "failed", ""] for name in self.unread]
        columns = [Column("series"), Column("next value", numbers=True), Column("for")]
        return Table("", columns, rows)


def forecast(network: Forecaster, data: ForecastingData, paths: Sequence[Path]) -> Forecasts:
    """Predict the next value of every series in these files. data: after `setup` or `restore`.

    A file or series that cannot be predicted does not stop the others.

    Raises:
        UserError: the only file or series cannot be predicted: it cannot be read in the format of
            the run's source, has another frequency, or is too short.
    """
    source, notes = data.source, []
    raw, failed = read_new(source, paths)
    series: list[Series] = []
    scalings: list[dict[str, list]] = []
    for one in raw:
        try:
            cleaned, left_out = clean_new(one, source)
            scalings.append(scaling_of(data, cleaned))
        except UserError as error:
            failed[one.name if one.alone else one.place] = str(error)
            continue
        series.append(cleaned)
        if left_out:
            notes.append(f"{one_line(one.name)}: {left_out:,} rows before a long gap were left out")
    if len(failed) == 1 and not series:
        raise UserError(*failed.values())
    following = [source.frequency.after(one.time[-1:], 1)[0] for one in series]
    return Forecasts(
        [one.name for one in series],
        source.clock.text(np.array(following, "datetime64[s]")).tolist(),
        _predicted(network, data, series, scalings),
        data.spec.unit,
        notes + how_read(raw, series, data.spec.series, source),
        failed,
    )


def _predicted(
    network: Forecaster,
    data: ForecastingData,
    series: Sequence[Series],
    scalings: Sequence[dict[str, list]],
) -> np.ndarray:
    if not series:
        return np.empty(0, np.float32)
    network, inputs, masks = prepared(network, data, series, scalings)
    with torch.no_grad():
        return network.predict(*inputs, **masks).numpy()


def prepared(
    network: Forecaster,
    data: ForecastingData,
    series: Sequence[Series],
    scalings: Sequence[dict[str, list]],
) -> tuple[Forecaster, tuple[torch.Tensor, ...], dict[str, torch.Tensor]]:
    """A copy of the network with the scaling of these series, the last window of each series as its
    inputs, and their mask, if there is one."""
    source = data.source
    store = Store(
        list(series), source.conditioning, source.cleaning.masks, source.clock, source.step
    )
    windows = store.first[1:] - source.look_back, source.look_back
    network = copy.deepcopy(network)
    rows = {key: [own[key][0] for own in scalings] for key in scalings[0]}
    network.scaling = Scaling(**rows)  # indexed by the new series
    mask = store.mask_of(*windows)
    return network, store.inputs(*windows), {} if mask is None else {"mask": mask}


def scaling_of(data: ForecastingData, series: Series) -> dict[str, list]:
    """The run's scaling of a series; a series that is new is scaled by its own history."""
    if series.name not in data.spec.series:
        return data.source.normalization.scaling([series], [len(series.time)])
    place = data.spec.series.index(series.name)
    return {key: [data.scaling[key][place]] for key in ("minimum", "range", "change")}
