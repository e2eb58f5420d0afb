"""What a metric is called, what it is measured in, and which way is better."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A metric of a validation and of a test: its name as in metrics.json after `test/`, the unit
    of its values (empty where they have none), and whether a lower value is the better one.

    headline: whether a result table shows it.
    """

    name: str
    unit: str
    lower_is_better: bool
    headline: bool = True

    def to_plain(self) -> dict[str, Any]:
        """As run.json has it."""
        plain = asdict(self)
        del plain["headline"]  # it lists the headline alone
        return plain
