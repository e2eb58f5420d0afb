"""Lengths of time in steps."""

import pytest

from rnnexp.data.series.calendar.frequency import Frequency


@pytest.mark.parametrize(
    ("frequency", "text", "steps"),
    [
        ("1h", "14h", 14),
        ("1h", "30D", 720),
        ("1h", "1D12h", 36),
        ("1h", "D", 24),
        ("1h", "90min", 1.5),
        ("1h", "-2h", -2),
        ("15min", "1h", 4),
        ("MS", "6MS", 6),
        ("2MS", "6MS", 3),
        ("2MS", "MS", 0.5),
        ("B", "5B", 5),
        ("QS-FEB", "4QS-FEB", 4),
        ("W-MON", "4W-MON", 4),
        ("W-MON", "28D", 4),
    ],
)
def test_a_length_of_time_in_steps(frequency: str, text: str, steps: float) -> None:
    assert Frequency(frequency).steps_in(text) == steps


@pytest.mark.parametrize(
    ("frequency", "text", "why"),
    [
        ("1h", "24", "a length of time such as 30min, 14h or 30D"),
        ("1h", "", "a length of time"),
        ("1h", "soon", "a length of time"),
        ("1h", "nat", "a length of time"),
        ("1h", "10:00", "a length of time"),
        ("1h", "999999999999D", "a length of time"),
        ("MS", "30D", "a number of steps such as 3MS"),
        ("2MS", "6ME", "a number of steps such as 6MS"),
        ("B", "7D", "a number of steps such as 3B"),
        ("MS", "-3MS", "a number of steps such as 3MS"),
    ],
)
def test_a_length_of_time_that_has_no_steps(frequency: str, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"it must be {why}"):
        Frequency(frequency).steps_in(text)
