"""The description of a metric: its name, its unit and its direction."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A metric of validation and test.

    name: as in metrics.json, after `test/`. unit: unit of the values, or empty. lower_is_better:
    whether lower values are better. headline: whether result tables show the metric.
    """

    name: str
    unit: str
    lower_is_better: bool
    headline: bool = True

    def to_plain(self) -> dict[str, Any]:
        """The entry of the metric in run.json."""
        plain = asdict(self)
        del plain["headline"]  # run.json lists headline metrics only
        return plain
