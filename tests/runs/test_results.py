"""What is said of the results of a test."""

from types import SimpleNamespace
from typing import Any

import pytest

from rnnexp.runs.results import beaten
from rnnexp.tasks.horizon.metrics import described

OWN = {"sql": 0.5, "mase": 0.7, "smape": 10.0, "mae": 3.0, "rmse": 4.0, "wql": 0.1}
OWN |= {"coverage_80": 0.8}


@pytest.mark.parametrize(
    ("baselines", "sentences"),
    [
        ({"ridge/mase": 0.8, "ridge/smape": 9.0}, []),
        ({"ridge/mase": 0.6, "naive/mase": 0.65}, ["ridge, mase 0.6 against 0.7"]),
        ({"mstl/sql": 0.4, "mstl/mase": 0.6}, ["mstl, sql 0.4 against 0.5"]),
        ({"mstl/sql": 0.6, "mstl/mase": 0.6}, []),
        (
            {"mstl/sql": 0.4, "auto_ets/sql": 0.45, "last_day/mase": 0.5},
            ["mstl, sql 0.4 against 0.5", "last day, mase 0.5 against 0.7"],
        ),
    ],
)
def test_a_better_baseline_is_named_by_the_first_metric_that_it_has(
    baselines: dict[str, float], sentences: list[str]
) -> None:
    task: Any = SimpleNamespace(headline=described("", (0.1, 0.5, 0.9))[:7], ceilings=())
    found = beaten("this run", task, OWN, {f"baseline/{k}": v for k, v in baselines.items()})
    assert found == [f"a baseline is better than this run: {one}" for one in sentences]


def test_any_baseline_is_better_than_no_value() -> None:
    task: Any = SimpleNamespace(headline=described("", (0.1, 0.5, 0.9))[:7], ceilings=())
    found = beaten("this run", task, OWN | {"mase": float("nan")}, {"baseline/ridge/mase": 9.0})
    assert found == ["a baseline is better than this run: ridge, mase 9 against nan"]
