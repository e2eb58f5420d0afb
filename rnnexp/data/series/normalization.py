"""Normalization: fits the min-max scaling of the network."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnexp.data.series.cleaning import Series
from rnnexp.errors import UserError


@dataclass(frozen=True)
class MinMax:
    """Fits the minimum and the range of every column of every series.

    fit: `train` fits on the training span; `file` fits on the whole file, as the lecture does. The
    latter leaks the extremes of the test span into the scaling, and is kept for comparison.
    """

    fit: Literal["train", "file"] = "train"

    def scaling(self, series: list[Series], training_steps: list[int]) -> dict[str, list]:
        """The arguments of `rnnexp.nn.scaling.Scaling`, in the order of the series.

        Raises:
            UserError: the target of a series, or its change, is constant over the fitted span.
        """
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
            if change < np.spacing(np.abs(seen[:, 0]).max()):  # 0, but for the values' rounding
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
