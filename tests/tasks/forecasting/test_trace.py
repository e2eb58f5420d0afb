"""The prediction after every step of a window is that of the window's beginning alone."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from rnnexp.errors import UserError
from rnnexp.nn.cells import MGU
from rnnexp.nn.readouts import EveryStep, LastHidden, LastInputAndPreviousHidden, Pooled
from rnnexp.nn.recurrence import CellRecurrence, TorchRecurrence
from rnnexp.nn.representations import Features
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.forecasting.spec import ForecastingSpec
from rnnexp.tasks.forecasting.trace import outputs_after_every_step

STEPS = 5
SPEC = ForecastingSpec("", 0, "windows", ["one"], ["MW"], "MW", 0, STEPS, "last")
RECURRENCES: dict[str, Any] = {
    "cells": partial(CellRecurrence, MGU),
    "both directions": partial(CellRecurrence, MGU, bidirectional=True),
    "torch": partial(TorchRecurrence, nn.GRU),
}
READOUTS = [EveryStep, LastHidden, Pooled, LastInputAndPreviousHidden]


@pytest.mark.parametrize("recurrence", RECURRENCES)
@pytest.mark.parametrize("readout", READOUTS)
def test_the_output_after_each_step(recurrence: str, readout: Any) -> None:
    torch.manual_seed(0)
    network = Forecaster(SPEC, RECURRENCES[recurrence], readout, hidden_size=4).eval()
    values = torch.rand(1, STEPS, 1, dtype=torch.float64)
    x = network.represent(values, torch.empty(1, STEPS, 0), torch.tensor([0]))
    assert isinstance(x, Features)
    with torch.no_grad():
        found = outputs_after_every_step(network, x)
        for end in range(1, STEPS + 1):
            window = values[:, :end], torch.empty(1, end, 0), torch.tensor([0])
            torch.testing.assert_close(found[end - 1], network(*window, last=True)[0, 0])


def test_a_window_that_is_too_long_for_a_batch_of_its_beginnings() -> None:
    network = Forecaster(SPEC, RECURRENCES["cells"], LastHidden, hidden_size=4)
    with pytest.raises(UserError, match=r"windows of 2,001 steps \(data.look_back\) are too long"):
        outputs_after_every_step(network, Features(torch.zeros(2001, 1, 1)))
