"""Time features. Those of the default settings are the features of earlier runs, to the bit."""

import hashlib
import math

import numpy as np
import pytest
import torch

from rnnexp.data.series.conditioning import Conditioning, CyclicColumns, LectureColumns
from rnnexp.errors import UserError

TIME = np.datetime64("2019-12-25T00:30:00", "s") + np.arange(20000) * np.timedelta64(3600, "s")


@pytest.mark.parametrize("conditioning", [CyclicColumns(), LectureColumns(), CyclicColumns(2, 5)])
def test_the_calendar_is_that_of_earlier_runs(conditioning: Conditioning) -> None:
    calendar = conditioning.calendar(TIME)
    assert calendar.dtype == torch.int16 and calendar.shape == (len(TIME), 4)
    content = hashlib.sha256(calendar.numpy().tobytes()).hexdigest()
    assert content == "214f1d3d6fb87ee18d45dada8db30f31dfaa4b4598a397cbf9c4b523d897bb93"


def test_the_default_features_are_those_of_earlier_runs() -> None:
    def waves(period: int, harmonics: int) -> torch.Tensor:
        phase = torch.arange(period, dtype=torch.float64) * (2 * math.pi / period)
        turns = phase.unsqueeze(1) * torch.arange(1, harmonics + 1)
        return torch.cat([turns.sin(), turns.cos()], dim=1).float()

    cyclic = CyclicColumns()
    minute, weekday, _, day = cyclic.calendar(TIME).long().unbind(-1)
    expected = torch.cat([waves(1440, 3)[minute], torch.eye(7)[weekday], waves(366, 1)[day]], -1)
    assert cyclic.encode(cyclic.calendar(TIME)).equal(expected)


def test_waves_of_the_year() -> None:
    one, three = CyclicColumns(), CyclicColumns(year_harmonics=3)
    assert three.size == one.size + 4
    first, more = (each.encode(each.calendar(TIME)) for each in (one, three))
    assert more[:, :13].equal(first[:, :13])
    sines, cosines = more[:, 13:16], more[:, 16:19]
    assert sines[:, 0].equal(first[:, 13]) and cosines[:, 0].equal(first[:, 14])
    torch.testing.assert_close(sines[:, 1], 2 * sines[:, 0] * cosines[:, 0])
    torch.testing.assert_close(cosines[:, 1], 2 * cosines[:, 0] ** 2 - 1)
    assert CyclicColumns(year_harmonics=0).size == one.size - 2


@pytest.mark.parametrize("harmonics", [-1, 184])
def test_waves_of_the_year_that_are_none(harmonics: int) -> None:
    with pytest.raises(UserError, match=r"data\.conditioning\.year_harmonics is .* from 0 to 183"):
        CyclicColumns(year_harmonics=harmonics)
