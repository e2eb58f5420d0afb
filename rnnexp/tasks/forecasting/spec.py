"""The spec of the forecasting task."""

from dataclasses import dataclass

from rnnexp.data.loading.module import Spec


@dataclass(frozen=True)
class ForecastingSpec(Spec):
    """series: names of the series, by index. columns: names of the columns of a series, the target
    first. unit: unit of the target. calendar: number of time features. look_back: steps of an
    evaluation window. supervised: outputs of a training window that have a target, `last` or
    `every_step`. masks: whether the network is told which values are missing."""

    series: list[str]
    columns: list[str]
    unit: str
    calendar: int
    look_back: int
    supervised: str
    masks: bool = False
