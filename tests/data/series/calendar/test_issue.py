"""Issue times by the clock of a zone, whose days have 23 to 25 hours."""

import numpy as np
import pytest
import torch

from rnnexp.data.series.calendar.clock import Clock
from rnnexp.data.series.calendar.issue import Issue
from rnnexp.data.series.grid import time_of
from rnnexp.errors import UserError

BERLIN = Clock("Europe/Berlin")


def issued(issue: Issue, first: str, hours: int = 24 * 6) -> list[str]:
    time = np.datetime64(first, "s") + np.arange(hours) * np.timedelta64(3600, "s")
    local = BERLIN.local(time)
    dates = local.astype("datetime64[D]")
    minutes = torch.from_numpy((local - dates).astype(np.int64) // 60)
    steps = issue.steps(minutes, 0, hours, 1, 24, dates)
    return [text[5:16] for text in BERLIN.text(time[steps.numpy()]).tolist()]


def test_days_are_those_of_the_clock() -> None:
    days = [f"10-{day}T02:00" for day in range(25, 31)]  # on the 27th 02:00 comes twice
    assert issued(Issue(at="02:00"), "2024-10-24T22:00") == days
    assert issued(Issue(at="02:00", every=48), "2024-10-24T22:00") == days[::2]
    spring = [f"03-{day}T02:00" for day in (29, 30)] + ["04-01T02:00", "04-02T02:00", "04-03T02:00"]
    assert issued(Issue(at="02:00"), "2024-03-28T23:00") == spring
    assert issued(Issue(at="02:00", every=48), "2024-03-28T23:00") == [spring[0], spring[3]]


def test_the_end_of_the_data_is_by_the_clock() -> None:
    assert time_of("2024-07-01", BERLIN) == np.datetime64("2024-06-30T22:00:00")
    assert time_of("2024-10-27 02:00", BERLIN) == np.datetime64("2024-10-27T00:00:00")
    assert time_of("2024-10-27T02:00:00+01:00", BERLIN) == np.datetime64("2024-10-27T01:00:00")
    with pytest.raises(UserError, match="was set forward over this time"):
        time_of("2024-03-31 02:30", BERLIN)
    with pytest.raises(UserError, match="a time without an offset"):
        time_of("2024-10-27T02:00:00+01:00", Clock("Europe/Berlin", by_day=True))
