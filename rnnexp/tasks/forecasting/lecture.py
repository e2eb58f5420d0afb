"""The lecture's pmGRU, as on its slides, for training by the forecasting task."""

from typing import Any

from torch import Tensor

from rnnexp.nn.lecture.published import pmgru
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.forecasting.spec import ForecastingSpec


class LiteralForecaster(Forecaster):
    """A Forecaster that runs the literal pmGRU (`rnnexp.nn.lecture`) on scaled windows. It is slow,
    but a debugger can step through its loop.

    It takes the settings of the fast network, builds that network, and copies its initial weights,
    so both start from the same weights.

    Raises:
        ValueError: the chunking has targets at every step, or a setting is out of range.
    """

    def __init__(self, spec: ForecastingSpec, **settings: Any) -> None:
        if spec.supervised == "every_step":
            raise ValueError(
                "the lecture's pmGRU has one output, after the last step of a window: set "
                "data/chunking=running_basis, or experiment=power_load_pmgru_lecture"
            )
        super().__init__(spec, **settings)
        self.literal = pmgru.literal(self)
        del self.recurrence, self.readout  # their weights are in the literal network

    def forward(
        self,
        values: Tensor,
        calendar: Tensor,
        series: Tensor,
        last: bool = False,
        mask: Tensor | None = None,
    ) -> Tensor:
        windows = self.represent(values, calendar, series, mask).dense()  # (T, B, F)
        return self.literal(windows.transpose(0, 1))
