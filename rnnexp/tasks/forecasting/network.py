"""The network that predicts the next value of a time series."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from rnnexp.nn.readouts import Readout, outputs_of
from rnnexp.nn.recurrence import MOST_LAYERS, Recurrence
from rnnexp.nn.representations import Features
from rnnexp.nn.scaling import Scaling, with_mask
from rnnexp.tasks.forecasting.spec import ForecastingSpec

Target = Literal["level", "change"]
Input = Literal["level", "change"]


class Forecaster(nn.Module):
    """Values in original units -> the next value in original units, both float64.

    scaling -> recurrence -> readout -> inverse scaling. The scaling is part of the network, so a
    checkpoint alone predicts in original units.

    inputs: the inputs at step t besides the time features:
        level   the scaled value (and the scaled extra columns)
        change  y_t - y_{t-1}, divided by its standard deviation over the training span; 0 at the
                first step of a window, since the value before the window is unknown

    With `data.cleaning.missing=mask`, a missing value is 0 in scaled units, and so is a change from
    or to it; every column has its mask beside it.

    target: the output of the readout: the next `level`, scaled, or the `change` to the next value,
    divided by the same standard deviation.

    Raises:
        ValueError: a setting is out of range, or the readout does not fit the other settings.
    """

    def __init__(
        self,
        spec: ForecastingSpec,
        recurrence: Callable[..., Recurrence],
        readout: Callable[..., Readout],
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        inputs: Sequence[Input] = ("level",),
        target: Target = "level",
    ) -> None:
        super().__init__()
        if hidden_size < 1 or num_layers < 1:
            raise ValueError("hidden_size and num_layers must be at least 1")
        if num_layers > MOST_LAYERS:
            raise ValueError(f"num_layers is {num_layers}: it must be at most {MOST_LAYERS}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout}: it must be at least 0 and below 1")
        if "level" not in inputs:
            raise ValueError("model.inputs must contain 'level'")
        self.inputs, self.target = tuple(inputs), target
        self.scaling = Scaling.unfitted(len(spec.series), len(spec.columns))
        features = len(spec.columns) * (1 + spec.masks) + len(self.inputs) - 1 + spec.calendar
        self.recurrence = recurrence(
            input_size=features, hidden_size=hidden_size, num_layers=num_layers, dropout=dropout
        )
        self.readout = readout(
            input_size=features, hidden_size=self.recurrence.output_size, outputs=1
        )
        self.readout.check(num_layers, False, self.recurrence.states)
        # The final state of a backward recurrence is its state at the first step, not the last.
        one_direction = self.recurrence.output_size == hidden_size
        self.reads_final_state = self.readout.every_step and one_direction
        if spec.supervised == "every_step" and not self.readout.every_step:
            raise ValueError(
                "data/chunking=every_step has a target at every step and needs "
                "model/readout=every_step"
            )
        if spec.supervised == "every_step" and not one_direction:
            raise ValueError(
                "with data/chunking=every_step a recurrence that reads backwards too would see the "
                "values that it has to predict: set model.recurrence.bidirectional=false"
            )

    def represent(
        self, values: Tensor, calendar: Tensor, series: Tensor, mask: Tensor | None = None
    ) -> Features:
        """The inputs of the recurrence: values (B, T, C), time features `calendar` (B, T, K),
        series (B,) and mask (B, T, C), which values were observed -> features (T, B, F)."""
        columns = [with_mask(self.scaling(values, series), mask)]
        if "change" in self.inputs:
            change = self.scaling.scale_change(torch.diff(values[..., 0], dim=1), series)
            if mask is not None:
                change = change.masked_fill(~(mask[:, 1:, 0] & mask[:, :-1, 0]), 0)
            columns.append(nn.functional.pad(change, (1, 0)).unsqueeze(-1))
        return Features(torch.cat([*columns, calendar], dim=-1).transpose(0, 1))

    def forward(
        self,
        values: Tensor,
        calendar: Tensor,
        series: Tensor,
        last: bool = False,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Scaled outputs, the inputs of the loss: (B, T) or (B, 1), depending on the readout.

        last: only the output at the last step, (B, 1).
        """
        return self.outputs(self.represent(values, calendar, series, mask), last)

    def outputs(self, x: Features, last: bool = False) -> Tensor:
        """`forward` from the inputs of the recurrence."""
        read = self.readout.run_over(x)
        if last and self.reads_final_state:
            _, final = self.recurrence(read, every_step=False)
            hidden = final[0].unsqueeze(0)
        else:
            hidden, final = self.recurrence(read, self.readout.reads_every_step)
        outputs = outputs_of(self.readout, x, hidden, final).squeeze(-1)
        return outputs[:, -1:] if last else outputs

    def scale(self, target: Tensor, last: Tensor, series: Tensor) -> Tensor:
        """Scaled targets for the loss. target, and the values `last` before it: (B, K), in original
        units; series: (B,)."""
        if self.target == "level":
            return self.scaling.scale_target(target, series)
        return self.scaling.scale_change(target - last, series)

    def invert(self, outputs: Tensor, last: Tensor, series: Tensor) -> Tensor:
        """The inverse of `scale`: outputs of `forward` -> (B, K) in original units."""
        if self.target == "level":
            return self.scaling.invert_target(outputs, series)
        return last + self.scaling.invert_change(outputs, series)

    def predict(
        self, values: Tensor, calendar: Tensor, series: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """The value after each window, in original units: (B,)."""
        outputs = self(values, calendar, series, last=True, mask=mask)
        return self.invert(outputs, values[:, -1:, 0], series).squeeze(1)
