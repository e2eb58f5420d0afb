"""The description of a metric: its name, its unit and its direction."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from torch import Tensor

from rnnexp.errors import UserError


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


def unit_beside(name: str, unit: str) -> str:
    """The unit to write beside the name of a metric: none if the name has it, as mae_MW does."""
    return "" if name.endswith(f"_{unit}") else unit


class AddedMetric:
    """Base class of the metrics that a config adds to those of its task, under `task.metrics`. The
    key there is the name of the metric.

    unit: of its values. lower_is_better: a subclass says it.
    """

    unit: ClassVar[str] = ""
    lower_is_better: ClassVar[bool]

    def __call__(self, prediction: Tensor, target: Tensor) -> Any:
        """One number, of all that was validated or tested.

        A forecast: prediction and target (n,) float64, in original units. A classification:
        prediction (n, C), log-probabilities, and target (n,), numbers of the classes.
        """
        raise UserError(f"{type(self).__name__} must implement __call__(prediction, target)")


class AddedMetrics:
    """What stands under `task.metrics`: name -> metric. One that is null is left out.

    Raises:
        UserError: something there is no AddedMetric, or does not say which way is better.
    """

    def __init__(self, metrics: Mapping[str, AddedMetric | None]) -> None:
        if not isinstance(metrics, Mapping):
            raise UserError(
                "task.metrics must map names to metrics: write `NAME: {_target_: CLASS}` in the "
                "YAML of the metric, where NAME is the name in metrics.json"
            )
        self.metrics = {name: one for name, one in metrics.items() if one is not None}
        for name, metric in self.metrics.items():
            kind = type(metric).__name__
            if not isinstance(metric, AddedMetric):
                raise UserError(
                    f"task.metrics.{name} is of the class {kind}: it must be a subclass of "
                    "rnnexp.tasks.metric.AddedMetric"
                )
            if not isinstance(getattr(metric, "lower_is_better", None), bool):
                raise UserError(
                    f"task.metrics.{name}: {kind} must say lower_is_better = True, or False"
                )

    @property
    def described(self) -> list[Metric]:
        return [Metric(name, one.unit, one.lower_is_better) for name, one in self.metrics.items()]

    def __call__(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Name -> value.

        Raises:
            UserError: a metric does not give one number.
        """
        values = {name: metric(prediction, target) for name, metric in self.metrics.items()}
        for name, value in values.items():
            if not isinstance(value, (int, float)) and getattr(value, "ndim", 1) != 0:
                raise UserError(f"task.metrics.{name} must give one number, and not {value!r:.60}")
        return {name: float(value) for name, value in values.items()}


NONE_ADDED = AddedMetrics({})
