"""Compares an exported network with the one in torch."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnnexp.errors import RunFailed
from rnnexp.export.inputs import Batch

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else onnxruntime reports to its makers
import onnxruntime

TOLERANCE = 1e-5
INEXACT = 1e-6  # by how much the network in torch may be off its result in double precision


@dataclass(frozen=True)
class Comparison:
    """inputs: how many were compared. left_out: on how many others float32 is too inexact in torch
    itself for a comparison, since over hundreds of steps the rounding of some networks grows.
    difference: the largest; of log-probabilities, or in units of the scale of a series (of
    task=forecasting its range, of task=horizon its change over a season)."""

    inputs: int
    left_out: int
    difference: float


def compare(path: Path, network: nn.Module, kind: str, batches: Iterable[Batch]) -> Comparison:
    """Compare the model in a file with a network.

    kind: `Exported.kind`.

    Raises:
        RunFailed: an output differs by more than TOLERANCE, or most inputs cannot be compared.
    """
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    double = copy.deepcopy(network).double()
    inputs, left_out, largest = 0, 0, 0.0
    for batch in batches:
        with torch.no_grad():
            expected, scale = _expected(network, kind, batch)
            exact, _ = _expected(double, kind, batch)
        (given,) = session.run(None, {name: batch[name].numpy() for name in names})
        found = torch.from_numpy(given)
        if found.shape != expected.shape:
            raise RunFailed(
                f"the exported network gives outputs of the shape {tuple(found.shape)}, and that "
                f"in torch of {tuple(expected.shape)}: nothing was written; please report this"
            )
        compared = _difference(expected, exact, scale) <= INEXACT
        inputs += int(compared.sum())
        left_out += int((~compared).sum())
        difference = _difference(found, expected, scale)
        difference[~compared & difference.isfinite()] = 0
        largest = max(largest, float(difference.max()))
    if not largest <= TOLERANCE:
        raise RunFailed(
            f"the exported network differs from that in torch by up to {largest:.2g} (of "
            f"{inputs:,} inputs; at most {TOLERANCE:g} is allowed): nothing was written; please "
            "report this"
        )
    if inputs < left_out:
        raise RunFailed(
            f"the exported network cannot be compared with that in torch: on {left_out:,} of "
            f"{inputs + left_out:,} inputs torch's own rounding changes the output by more than "
            f"{INEXACT:g}, so nothing was written"
        )
    return Comparison(inputs, left_out, largest)


def _difference(a: Tensor, b: Tensor, scale: Tensor) -> Tensor:
    """The largest difference of each of B inputs, (B,); infinite where one alone is NaN."""
    # Where both are infinite or NaN, as the logarithm of 0, they are the same.
    same = (a == b) | (a.isnan() & b.isnan())
    apart = torch.where(same, 0, (a - b).abs() / scale).nan_to_num(torch.inf)
    return apart.flatten(1).amax(1) if apart.dim() > 1 else apart


def _expected(network: Any, kind: str, batch: Batch) -> tuple[Tensor, Tensor]:
    """What the network in torch gives, and what a difference is measured in."""
    masks = {"mask": batch["mask"]} if "mask" in batch else {}
    if kind == "classification":
        found = network(batch["tokens"], batch["lengths"], batch.get("extra"))
        return found, found.abs().clamp(min=1)
    values, calendar, series = batch["values"], batch["calendar"], batch["series"]
    if kind == "forecasting":
        found = network.predict(values, calendar, series, **masks)
        scale = network.scaling.range[series, 0]
    else:
        outputs = network(values, calendar, batch["known"], series, **masks)
        found = network.predict(outputs, values, series)
        scale = network.seasonal[series]
    shape = (-1, *([1] * (found.dim() - 1)))
    low = network.scaling.minimum[series, 0].view(shape)
    return found, torch.maximum(scale.view(shape), (found - low).abs())
