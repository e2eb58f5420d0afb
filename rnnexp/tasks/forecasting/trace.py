"""What a network does with one series: the prediction of the next value after every step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.series.cleaning import Series
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.unseen import clean_new, read_new
from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean
from rnnexp.nn.representations import Features
from rnnexp.tables import number
from rnnexp.tasks.answers import listed, one_line
from rnnexp.tasks.forecasting.answers import prepared, scaling_of
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.new_series import how_read
from rnnexp.tasks.trace import Trace, traced_layer

MOST_STEPS = 2000  # of a window that is read once for each of its beginnings


def trace(
    network: Forecaster,
    data: ForecastingData,
    path: Path,
    layer: int | None = None,
    series: str | None = None,
) -> Trace:
    """Trace the last window of a series, from which `rnnexp predict` predicts the next value.

    data: after `setup` or `restore`. path: a CSV file. layer: from 1; None: the top one. series:
    the name of the series, if the file has several.

    Raises:
        UserError: the series cannot be read, is too short, or is one of several without a name; or
            there is no such layer.
    """
    source = data.source
    raw = _chosen(data, path, series)
    one, left_out = clean_new(raw, source)
    scaled, (values, calendar, number_), masks = prepared(
        network, data, [one], [scaling_of(data, one)]
    )
    with torch.no_grad():
        x = scaled.represent(values, calendar, number_, **masks)
    states, which = traced_layer(scaled, x, layer)
    with torch.no_grad():
        outputs = outputs_after_every_step(scaled, x)
    predicted = scaled.invert(outputs.unsqueeze(0), values[:, :, 0], number_)[0]
    time = one.time[-source.look_back :]
    following = source.frequency.after(time[-1:], 1)[0]
    unit = f" {data.spec.unit}" if data.spec.unit else ""
    notes = [] if not left_out else [f"{left_out:,} rows before a long gap were left out"]
    name = one_line(one.name)
    return Trace(
        title=f"{name}: {number(float(predicted[-1]))}{unit} predicted for "
        f"{source.clock.show(following)}",
        name=f"{one.name} {source.clock.iso(time[-1])}",
        steps=source.clock.text(time).tolist(),
        thing="time",
        curves={"predicted": predicted.numpy()},
        axis=f"Next value after each step{unit and f',{unit}'}",
        states=states,
        layer=which,
        actual=_actual(one, source.look_back),
        notes=[*notes, *how_read([raw], [one], data.spec.series, source)],
        times=source.clock.local(time),
    )


def outputs_after_every_step(network: Forecaster, x: Features) -> Tensor:
    """(T,): the last output for each beginning of a window. x: the window, (T, 1, F).

    An every-step readout of one direction gives them directly. Else all beginnings are one batch,
    padded.

    Raises:
        UserError: the window is too long for such a batch.
    """
    if network.reads_final_state:
        return network.outputs(x)[0]
    if x.steps > MOST_STEPS:
        raise UserError(
            f"windows of {x.steps:,} steps (data.look_back) are too long to be traced with this "
            f"readout, which is run once for each of the steps: at most {MOST_STEPS:,}"
        )
    lengths = torch.arange(1, x.steps + 1)
    outputs = network.outputs(Features(x.values.expand(-1, x.steps, -1), lengths))  # (T, K)
    last = lengths - 1 if outputs.shape[1] > 1 else torch.zeros_like(lengths)
    return outputs[torch.arange(x.steps), last]


def _actual(series: Series, steps: int) -> np.ndarray:
    """(T,): the value after each step; NaN after the last, and where it is missing in the file."""
    values = np.where(series.observed, series.values[:, 0], np.nan)
    return np.append(values, np.nan)[-steps:]


def _chosen(data: ForecastingData, path: Path, name: str | None) -> RawSeries:
    """The series of this name in a file, or the only one."""
    raw, failed = read_new(data.source, [path])
    for sentence in failed.values():
        raise UserError(sentence)
    if name is None:
        if len(raw) > 1:
            raise UserError(
                f"{path} has {len(raw):,} series, {listed([one.name for one in raw])}: name one "
                "with --series NAME"
            )
        return raw[0]
    for one in raw:
        if one.name == name:
            return one
    near = did_you_mean(name, [one.name for one in raw])
    raise UserError(f"--series {name}: {path} has no series of this name{near}")
