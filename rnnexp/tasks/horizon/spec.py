"""The spec of the horizon task."""

from collections.abc import Sequence
from dataclasses import dataclass

from rnnexp.data.loading.module import Spec


@dataclass(frozen=True)
class HorizonSpec(Spec):
    """series: names of the series, by index. columns: names of the columns of a series, the target
    first. known: those that are known over the horizon. unit: unit of the target. calendar: number
    of time features. look_back: steps of a window, which ends at the issue time. lead: steps from
    the issue time to the first predicted one. horizon: steps that are predicted. season: steps in
    one period of the series. forks: steps of a training window from which a forecast is made.
    static: names of the columns that are the same in all rows of a series. masks: whether the
    network is told which values are missing."""

    series: list[str]
    columns: list[str]
    known: list[str]
    unit: str
    calendar: int
    look_back: int
    horizon: int
    season: int
    lead: int = 0
    forks: int = 1
    static: Sequence[str] = ()
    masks: bool = False
