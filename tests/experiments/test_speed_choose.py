"""The sizes that `auto` takes: how they are found from times, and where they are kept."""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.speed import choose
from experiments.speed.timing import Stopwatch, bursts
from rnnexp.nn.fast import choices
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.fast.tuning import Tuning
from tests.experiments.shrunk import without_pulse

SIZES: list[choose.Size] = [(64, 64), (1, 32), (64, 256)]  # in any order


def found(
    monkeypatch: pytest.MonkeyPatch,
    times: dict[choose.Size, tuple[float, float]],
    most: float = math.inf,
    tolerance: float = choose.TOLERANCE,
) -> Any:
    """The threshold for these times of `below` and `above` at each size."""

    def seconds(works: Sequence[Any], rounds: int, stopwatch: Stopwatch) -> np.ndarray:
        (below, above) = works
        return np.array([times[below()][0], times[above()][1]])

    monkeypatch.setattr(choose, "seconds", seconds)
    return choose.threshold(
        list(times),
        lambda size: [lambda: size],
        lambda size: [lambda: size],
        1,
        Stopwatch(),
        most,
        tolerance,
    )


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ((2.0, 2.0, 2.0), None),  # `below` is always faster
        ((0.5, 0.5, 0.5), 0),
        ((0.5, 2.0, 0.5), 64 * 64),
        ((2.0, 2.0, 0.5), 64 * 256),
        ((0.9, 2.0, 1.01), 64 * 64),
        ((0.99, 1.0, 0.99), None),  # within the noise, nothing changes
        ((0.5, 0.6, 1.3), 0),  # the largest loss decides
    ],
)
def test_threshold(
    above: tuple[float, ...], expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {size: (1.0, time) for size, time in zip(SIZES, above, strict=True)}
    assert found(monkeypatch, times) == expected


def test_the_loss_of_one_side_can_be_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """`above` is faster at the middle size, and slower at the largest one."""
    times: dict[choose.Size, tuple[float, float]]
    times = {(1, 32): (1.0, 2.0), (64, 64): (1.0, 0.8), (64, 256): (1.0, 1.1)}
    assert found(monkeypatch, times) == 64 * 64
    assert found(monkeypatch, times, most=1.05) is None


def test_a_draw_goes_to_what_runs_below(monkeypatch: pytest.MonkeyPatch) -> None:
    times: dict[choose.Size, tuple[float, float]]
    times = {(1, 32): (1.0, 2.0), (64, 64): (1.0, 0.96), (64, 256): (1.0, 0.8)}
    assert found(monkeypatch, times) == 64 * 64
    assert found(monkeypatch, times, tolerance=0.05) == 64 * 256


def test_short_sequences_are_compared_by_their_cost() -> None:
    """The calls of a step count as many elements: Tuning.takes_plain has the same measure."""
    limit = choose.cost_of((64, 128, 12))
    tuning = replace(choose.MKL, plain_below_training=limit, plain_below_inference=limit)
    assert tuning.takes_plain(11, 64, 128, training=True)
    assert not tuning.takes_plain(12, 64, 128, training=False)
    assert tuning.takes_plain(23, 1, 32, training=True)
    assert not tuning.takes_plain(24, 1, 32, training=True)


def test_a_value_is_taken_by_its_largest_loss() -> None:
    """Whatever it gains elsewhere; the first of those that differ by noise alone."""
    times = [np.array([1.0, 0.985, 0.98, 0.5]), np.array([1.2, 1.0, 1.0, 3.0])]
    assert choose.least_loss(times) == 1


def test_short_works_are_repeated_in_bursts() -> None:
    done = []
    repeated = bursts({"a": lambda: done.append(1)}, seconds=1.0, shortest=0.3)
    repeated["a"]()
    assert len(done) == 3
    bursts({"a": lambda: done.append(1)}, seconds=1.0, shortest=4.0)["a"]()
    assert len(done) == 4


def test_what_was_found_is_kept_under_the_instruction_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pulse(monkeypatch)
    monkeypatch.setattr(choices, "TABLE", tmp_path / "choices.json")
    monkeypatch.setattr(choices, "table", lambda: {"AVX2": {"measured": "before"}, "here": {}})
    monkeypatch.setattr(choices, "instruction_set", lambda: "here")
    monkeypatch.setattr(choose, "BURST", 0.0)
    findings = choose.measure(argparse.Namespace(quick=True), Stopwatch())
    assert "What auto becomes: here" in findings.tables[0]
    assert findings.keep is not None
    findings.keep()
    table = json.loads(choices.TABLE.read_text())
    assert table["AVX2"] == {"measured": "before"} and "on " in table["here"]["measured"]
    for cell in KERNELS:
        assert Tuning.of(table["here"]["every cell"] | table["here"][cell.__name__])
