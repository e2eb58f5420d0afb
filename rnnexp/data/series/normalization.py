"""Normalization: what the network's min-max scaling is fitted on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnexp.data.series.cleaning import Series
from rnnexp.errors import UserError


@dataclass(frozen=True)
class MinMax:
    """Minimum and range of every column of every series.

    fit: `train`, the training span alone; or `file`, the whole file as in the lecture, which lets
    the test span's extremes into the scaler (a leak, kept for comparison).
    """

    fit: Literal["train", "file"] = "train"

    def scaling(self, series: list[Series], training_steps: list[int]) -> dict[str, list]:
        """The buffers of `rnnexp.nn.scaling.Scaling`, in the order of the series."""
        fitted: dict[str, list] = {"minimum": [], "range": [], "change": []}
        for one, steps in zip(series, training_steps, strict=True):
            seen = one.values if self.fit == "file" else one.values[:steps]
            minimum, maximum = seen.min(axis=0), seen.max(axis=0)
            constant = np.flatnonzero(maximum == minimum)
            if 0 in constant:
                raise UserError(
                    f"series {one.name!r} is constant over the span that its scaler is fitted on, "
                    "so there is nothing to learn from it: remove its file"
                )
            change = float(np.diff(seen[:, 0]).std())
            if change == 0:
                raise UserError(
                    f"series {one.name!r} changes by the same amount at every step of the span "
                    "that its scaler is fitted on, so there is nothing to learn from it: remove "
                    "its file"
                )
            extent = maximum - minimum
            extent[constant] = 1.0  # a constant extra input scales to 0
            fitted["minimum"].append(minimum.tolist())
            fitted["range"].append(extent.tolist())
            fitted["change"].append(change)
        return fitted
