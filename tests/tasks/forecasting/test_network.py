"""The forecaster: its inputs, its units, and that it reads nothing outside the window."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from rnnexp.nn.cells import MGU
from rnnexp.nn.readouts import EveryStep, LastHidden, LastInputAndPreviousHidden, Pooled, Readout
from rnnexp.nn.recurrence import CellRecurrence, Recurrence, TorchRecurrence
from rnnexp.nn.scaling import Scaling
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.forecasting.spec import ForecastingSpec

SCALING: dict[str, list] = {
    "minimum": [[100.0], [5.0]],
    "range": [[50.0], [2.0]],
    "change": [4.0, 0.5],
}
SPEC = ForecastingSpec(
    title="",
    tested=0,
    things="windows",
    series=["first", "second"],
    columns=["MW"],
    unit="MW",
    calendar=0,
    look_back=5,
    supervised="every_step",
)


def forecaster(**settings: object) -> Forecaster:
    torch.manual_seed(0)
    recurrence = partial(CellRecurrence, MGU)
    network = Forecaster(SPEC, recurrence, EveryStep, hidden_size=4, **settings)  # type: ignore[arg-type]
    network.scaling = Scaling(**SCALING)
    return network


def test_inputs_by_hand() -> None:
    network = forecaster(inputs=["level", "change"])
    values = torch.tensor([[110.0, 114.0, 122.0, 118.0, 126.0]]).unsqueeze(-1)
    x = network.represent(values, torch.empty(1, 5, 0), torch.tensor([0])).values[:, 0]
    level = [(v - 100) / 50 for v in (110, 114, 122, 118, 126)]
    change = [0, 4 / 4, 8 / 4, -4 / 4, 8 / 4]  # the first step's is 0: nothing before it is read
    torch.testing.assert_close(x, torch.tensor([level, change]).t())


@pytest.mark.parametrize("target", ["level", "change"])
def test_inverse_of_the_scaled_target(target: str) -> None:
    network = forecaster(target=target)
    series = torch.tensor([0, 1])
    values, last = torch.tensor([[120.0, 90.0], [6.0, 4.0]]), torch.tensor([[118.0, 1.0], [5.5, 2]])
    scaled = network.scale(values, last, series)
    by_hand = {
        "level": [[20 / 50, -10 / 50], [1 / 2, -1 / 2]],
        "change": [[2 / 4, 89 / 4], [0.5 / 0.5, 2 / 0.5]],
    }
    torch.testing.assert_close(scaled, torch.tensor(by_hand[target]))
    inverse = network.invert(scaled, last.double(), series)
    torch.testing.assert_close(inverse, values.double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "recurrence",
    [
        partial(CellRecurrence, MGU),
        partial(CellRecurrence, MGU, bidirectional=True),
        partial(TorchRecurrence, nn.LSTM),
    ],
)
@pytest.mark.parametrize("readout", [EveryStep, LastHidden, Pooled])
def test_the_last_output_alone(
    recurrence: Callable[..., Recurrence], readout: Callable[..., Readout]
) -> None:
    spec = replace(SPEC, supervised="last")
    network = Forecaster(spec, recurrence, readout, hidden_size=4, num_layers=2)
    values, series = 100 + 50 * torch.rand(2, 5, 1), torch.tensor([0, 1])
    calendar = torch.empty(2, 5, 0)
    last = network(values, calendar, series, last=True)
    assert last.shape == (2, 1)
    torch.testing.assert_close(last, network(values, calendar, series)[:, -1:])


def test_what_reads_backwards_cannot_learn_every_step() -> None:
    """It would see the values that it has to predict."""
    spec = replace(SPEC, supervised="every_step")
    backwards = partial(CellRecurrence, MGU, bidirectional=True)
    with pytest.raises(ValueError, match=r"set model\.recurrence\.bidirectional=false"):
        Forecaster(spec, backwards, EveryStep, hidden_size=4)


def test_prediction_is_in_original_units_and_reads_its_window_alone() -> None:
    network = forecaster(inputs=["level", "change"], target="change")
    with torch.no_grad():
        assert isinstance(network.readout, EveryStep)
        network.readout.linear.weight.zero_()
        network.readout.linear.bias.fill_(2.0)
    values = torch.tensor([[110.0, 114.0, 122.0, 118.0]]).unsqueeze(-1)
    prediction = network.predict(values, torch.empty(1, 4, 0), torch.tensor([0]))
    torch.testing.assert_close(prediction, torch.tensor([118.0 + 2 * 4.0]))


def test_the_readout_of_the_last_input_reads_the_state_before_it() -> None:
    spec = replace(SPEC, supervised="last")
    recurrence = partial(CellRecurrence, MGU)
    network = Forecaster(spec, recurrence, LastInputAndPreviousHidden, hidden_size=4)
    values = torch.tensor([[110.0, 114.0, 122.0, 118.0]]).unsqueeze(-1)
    calendar, series = torch.empty(1, 4, 0), torch.tensor([0])
    x = network.represent(values, calendar, series)
    hidden, _ = network.recurrence(x)
    expected = network.readout(x, hidden, (hidden[-2],)).squeeze(-1)
    torch.testing.assert_close(network(values, calendar, series), expected)
    with pytest.raises(ValueError, match="is defined for one layer and one direction"):
        Forecaster(spec, recurrence, LastInputAndPreviousHidden, hidden_size=4, num_layers=2)


def test_inputs_without_the_level_are_refused() -> None:
    with pytest.raises(ValueError, match="must contain 'level'"):
        forecaster(inputs=["change"])
