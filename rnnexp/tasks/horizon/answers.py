"""Forecasts over a horizon for new series, prepared by the same code as in the test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.source import SeriesSource
from rnnexp.data.series.unseen import clean_new, read_new
from rnnexp.errors import UserError
from rnnexp.tasks.answers import one_line
from rnnexp.tasks.horizon.ahead import (
    KnownFiles,
    known_over_the_horizon,
    split_at_the_last_value,
    times_ahead,
)
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.forecasts import HorizonForecasts
from rnnexp.tasks.horizon.networks.network import HorizonNetwork
from rnnexp.tasks.horizon.networks.quantiles import point_of
from rnnexp.tasks.horizon.windows import seasonal_scales
from rnnexp.tasks.new_series import how_read


def forecast(
    network: HorizonNetwork, data: HorizonData, paths: Sequence[Path], known: Sequence[Path] = ()
) -> HorizonForecasts:
    """Predict the next H values of every series in these files. data: after `setup` or `restore`.

    A series ends with its last row that has a value. The known columns of the horizon stand in the
    rows after it, or in the files `known`. A file or series that cannot be predicted does not stop
    the others.

    Raises:
        UserError: the only file or series cannot be predicted: it cannot be read in the format of
            the run's source, has another frequency, is too short, or lacks a known value. Or a file
            of `known` cannot be read.
    """
    source, notes = data.source, []
    raw, failed = read_new(source, paths)
    known_files = KnownFiles.read(source, known, series=len(raw) + len(failed))
    rows: list[pd.DataFrame] = []
    predicted: list[Series] = []
    for one in raw:
        try:
            past, ahead = split_at_the_last_value(one)
            series, left_out = clean_new(past, source)
            columns, replaced = known_over_the_horizon(series, ahead, known_files.of(one), source)
            scaling = _scaling(data, series, source.static_values(one))
            rows.append(_forecast(network, data, series, columns, scaling))
        except UserError as error:
            failed[one.name if one.alone else one.place] = str(error)
            continue
        predicted.append(series)
        notes += replaced
        if left_out:
            notes.append(f"{one_line(one.name)}: {left_out:,} rows before a long gap were left out")
    if len(failed) == 1 and not rows:
        raise UserError(*failed.values())
    table = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    notes += how_read(raw, predicted, data.spec.series, source)
    history = {one.name: _history(one, source) for one in predicted}
    return HorizonForecasts(table, data.spec.unit, notes, failed, history)


def _history(series: Series, source: SeriesSource) -> pd.Series:
    """The values before the forecast, for its picture: three seasons, or twice the horizon."""
    last = slice(-max(3 * source.season, 2 * source.horizon), None)
    values = np.where(series.observed, series.values[:, 0], np.nan)
    shown = source.clock.local(series.time[last])
    return pd.Series(values[last], pd.DatetimeIndex(shown), name="value")


def _forecast(
    network: HorizonNetwork,
    data: HorizonData,
    series: Series,
    known: np.ndarray,
    scaling: dict[str, Any],
) -> pd.DataFrame:
    source, horizon = data.source, data.source.horizon
    time = times_ahead(series, source)
    read = np.concatenate([series.time[-source.look_back :], time])
    calendar = source.conditioning.calendar(source.clock.local(read))
    trained = data.spec.series
    place = trained.index(series.name) if series.name in trained else None
    network = network.of_series(place, scaling)
    values = torch.from_numpy(series.values[-source.look_back :]).unsqueeze(0)
    first = torch.zeros(1, dtype=torch.int64)
    masks = {"mask": _mask(series, known, source)} if source.cleaning.masks else {}
    with torch.no_grad():
        encoded = source.conditioning.encode(calendar.unsqueeze(0))
        ahead = torch.from_numpy(known).unsqueeze(0)
        outputs = network(values, encoded, ahead, first, **masks)
        quantiles = network.predict(outputs, values, first)[0]  # (H, Q)
    levels = network.levels
    table = {
        "series": [series.name] * horizon,
        "issue_time": source.clock.text(np.repeat(time[:1], horizon)),
        "step": np.arange(1, horizon + 1),
        "timestamp": source.clock.text(time[-horizon:]),
        "prediction": point_of(quantiles, levels).numpy(),
    }
    return pd.DataFrame(table | {f"q{x:g}": quantiles[:, i].numpy() for i, x in enumerate(levels)})


def _mask(series: Series, known: np.ndarray, source: SeriesSource) -> torch.Tensor:
    """(1, T + A, C): which values were observed; after the window of the known columns alone."""
    after = np.zeros((len(known), series.mask.shape[1]), dtype=bool)
    after[:, source.known_columns] = ~np.isnan(known)
    return torch.from_numpy(np.concatenate([series.mask[-source.look_back :], after])[None])


def _scaling(data: HorizonData, series: Series, static: Sequence[float]) -> dict[str, Any]:
    """The run's scaling of a series; a series that is new is scaled by its own history. The static
    values are those of its file.

    Raises:
        UserError: the series repeats itself after a season, so that it has no scale.
    """
    own: dict[str, Any] = {"static": data.standardised([static])} if static else {}
    if series.name in data.spec.series:
        place = data.spec.series.index(series.name)
        return {key: [values[place]] for key, values in data.scaling.items()} | own
    season, steps = data.source.season, torch.tensor([len(series.time)])
    values, observed = torch.from_numpy(series.values[:, 0]), torch.from_numpy(series.observed)
    scale = float(seasonal_scales(values, observed, season, steps)) if season < steps else 0.0
    if not scale > 0:
        raise UserError(
            f"series {series.name!r} is new, and has no change over data.season={season} steps to "
            "be scaled by: give a longer file"
        )
    fitted = data.source.normalization.scaling([series], [len(series.time)])
    return {**fitted, "seasonal": [scale]} | own
