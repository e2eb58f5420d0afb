"""The training, validation and test span of a series."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SeriesSplit:
    """The rows of the three spans of one series: training [0, train), validation
    [train, validation), test [validation, rows). Rows are the original ones, sorted by time."""

    train: int
    validation: int
    rows: int


def split_by_time(
    rows: int, look_back: int, validation_fraction: float, test_fraction: float
) -> SeriesSplit:
    """The test span is the last int(test_fraction * (rows - look_back)) rows. The validation span
    precedes it and is computed alike. The training span is the rest."""
    test = int(test_fraction * (rows - look_back))
    validation = int(validation_fraction * (rows - look_back))
    return SeriesSplit(rows - test - validation, rows - test, rows)


def too_few(
    split: SeriesSplit,
    look_back: int,
    least: int,
    horizons: Mapping[str, int | None],
    horizon: int,
) -> str:
    """What a series with too few rows is too short for, and what to lower.

    least: the steps that a training span needs. horizons: the number of horizons of which the
    validation and the test span consist; None: they are a share of the rows.
    """
    counted = {span: count for span, count in horizons.items() if count is not None}
    spans = [
        f"a {span} span of data.{span}_windows={count} times data.horizon={horizon} steps"
        for span, count in counted.items()
    ]
    keys = "data.look_back or data.chunking.length"
    if counted and split.rows - split.train + least > split.rows >= least + look_back:
        keys = " or ".join(["data.horizon", *(f"data.{span}_windows" for span in counted)])
    return (
        f"too few for windows of data.look_back={look_back} steps, "
        f"{', '.join(spans) or 'a test span'} and a training span of {least} steps: lower {keys}"
    )
