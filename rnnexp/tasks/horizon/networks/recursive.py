"""One step at a time, each from the forecasts before it."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from rnnexp.errors import UserError
from rnnexp.tasks.horizon.networks.direct import Direct
from rnnexp.tasks.horizon.spec import HorizonSpec

NO_QUANTILES = (
    "a recursive forecast has no quantiles, since those of one step say nothing of the steps after "
    "it: set task.quantiles=[]"
)


class Recursive(Direct):
    """Trained to predict the next value alone; the steps after it are predicted by taking each
    forecast for the value that came. Columns that are not known ahead keep their last value.

    Settings: `Direct`, of a horizon of one step.

    Raises:
        UserError: quantiles are asked for: those of one step say nothing of the steps after it.
    """

    def __init__(self, spec: HorizonSpec, **settings: Any) -> None:
        super().__init__(dataclasses.replace(spec, lead=0, horizon=1), **settings)
        if self.levels:
            raise UserError(NO_QUANTILES)
        self.skipped, self.steps = spec.lead, spec.lead + spec.horizon

    def forward(
        self,
        values: Tensor,
        calendar: Tensor,
        known: Tensor,
        series: Tensor,
        forks: int = 1,
        mask: Tensor | None = None,
    ) -> Tensor:
        """In training (B F, 1, 1), of the step after each fork; else (B, H, 1), relative to the
        last value."""
        length = values.shape[1]
        if self.training:
            reach = length + 1
            seen = None if mask is None else mask[:, :reach]
            return super().forward(values, calendar[:, :reach], known[:, :1], series, forks, seen)
        last, found = values[:, -1:, 0], []
        for step in range(self.steps):
            seen, now = calendar[:, step : step + length + 1], known[:, step : step + 1]
            window = None if mask is None else mask[:, step : step + length + 1]
            output = super().forward(values, seen, now, series, mask=window)
            following = values[:, -1:].clone()
            following[..., self.known] = now
            following[..., 0] = super().invert(output, values, series)[..., 0]
            found.append(following[..., 0])
            values = torch.cat([values[:, 1:], following], 1)
            if mask is not None:
                mask = self._with_forecast(mask, step + length)
        above = (torch.cat(found, 1) - last) / self._unit(series)
        return above[:, self.skipped :].unsqueeze(-1)

    def _with_forecast(self, mask: Tensor, step: int) -> Tensor:
        """The mask with that of a step after the window: the target is there, what is not known
        ahead is as it was."""
        following = mask[:, step - 1].clone()
        following[:, self.known] = mask[:, step][:, self.known]
        following[:, 0] = True
        return torch.cat([mask[:, :step], following.unsqueeze(1), mask[:, step + 1 :]], 1)

    def scale(self, target: Tensor, values: Tensor, series: Tensor, forks: int = 1) -> Tensor:
        if self.training:
            return super().scale(target[:, :1], values, series, forks)
        return (target - values[:, -1:, 0]) / self._unit(series)

    def invert(self, outputs: Tensor, values: Tensor, series: Tensor) -> Tensor:
        return outputs * self._unit(series).unsqueeze(-1) + values[:, -1:, :1]
