"""pmGRU in DLStudio's layout: sizes, and equal outputs after conversion in both directions."""

from functools import partial

import pytest
import torch

from rnnexp.nn.cells import MGU, Vanilla
from rnnexp.nn.lecture.pmgru import pmGRU
from rnnexp.nn.lecture.published.pmgru import load_published, to_published
from rnnexp.nn.readouts import LastHidden
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.forecasting.spec import ForecastingSpec

SPEC = ForecastingSpec(
    title="",
    tested=0,
    things="windows",
    series=["PJM"],
    columns=["MW"],
    unit="MW",
    calendar=4,
    look_back=12,
    supervised="last",
)


def pmgru(hidden: int, cell: type = MGU, layers: int = 1) -> Forecaster:
    return Forecaster(
        SPEC,
        recurrence=partial(CellRecurrence, cell),
        readout=partial(LastHidden, activation="tanh"),
        hidden_size=hidden,
        num_layers=layers,
    )


def test_parameters_at_the_lectures_sizes() -> None:
    assert sum(p.numel() for p in pmgru(256).parameters()) == 134_401


def test_published_weights_give_equal_outputs() -> None:
    torch.manual_seed(0)
    published, network = pmGRU(5, 16), pmgru(16)
    load_published(network, published.state_dict())
    x = torch.rand(3, 12, 5)
    outputs = network(x[..., :1], x[..., 1:], torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close(outputs, published(x))


def test_our_weights_give_equal_outputs_there() -> None:
    torch.manual_seed(1)
    published, network = pmGRU(5, 16), pmgru(16)
    published.load_state_dict(to_published(network))
    x = torch.rand(3, 12, 5)
    outputs = network(x[..., :1], x[..., 1:], torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close(outputs, published(x))


def test_wrong_weights_are_refused() -> None:
    state = pmGRU(5, 16).state_dict()
    with pytest.raises(ValueError, match=r"project1.0.weight has shape \(16, 21\)"):
        load_published(pmgru(8), state)
    del state["project2.0.bias"]
    with pytest.raises(ValueError, match=r"no 'project2.0.bias'"):
        load_published(pmgru(16), state)
    untanned, bent = pmgru(16), pmgru(16)
    untanned.readout = LastHidden(5, 16, 1)
    bent.readout = LastHidden(5, 16, 1, activation="tanh", before="relu")
    for network in (pmgru(16, cell=Vanilla), pmgru(16, layers=2), untanned, bent):
        with pytest.raises(ValueError, match="the network is not DLStudio's pmGRU"):
            to_published(network)
