"""What the data decide of a forecast."""

from dataclasses import dataclass

from rnnexp.data.loading.module import Spec


@dataclass(frozen=True)
class ForecastingSpec(Spec):
    """series: their names, in the order of their numbers. columns: of a series, the target first.
    unit: of the target. calendar: how many inputs tell the time of a step. look_back: steps that an
    evaluation window reads. supervised: which outputs of a training window have a target, `last` or
    `every_step`."""

    series: list[str]
    columns: list[str]
    unit: str
    calendar: int
    look_back: int
    supervised: str
