"""The metrics of two runs, compared to the bit."""

import math

from rnnexp.runs.comparison.repetition import metric_differences


def test_the_last_bit_counts() -> None:
    then, now = {"test/smape": 0.1, "test/mape": 2.0}, {"test/smape": math.nextafter(0.1, 1)}
    [sentence] = metric_differences(then, now)
    assert sentence == "test/smape: 0.1 then, 0.10000000000000002 now"


def test_not_a_number_is_the_same_as_itself() -> None:
    assert metric_differences({"test/auc": math.nan}, {"test/auc": math.nan}) == []


def test_a_metric_that_was_not_recorded_then_is_no_difference() -> None:
    assert metric_differences({"test/smape": 1.0}, {"test/smape": 1.0, "test/crps": 2.0}) == []
