"""The lecture's char RNN: equations, sizes, and conversion of weights in both directions."""

from typing import Any

import pytest
import torch

from rnnexp.nn.lecture.char_rnn import CharRNN
from rnnexp.nn.lecture.published.char_rnn import load_published, to_published
from tests.support.networks import ONE_HOT, classifier, inputs, outputs, parameters

CHAR_RNN = ("model=textnet_slide", "model/readout=last_input", ONE_HOT)
CLASSES = 5


def both() -> tuple[Any, CharRNN]:
    """Our network and the lecture's network, with different weights."""
    network = classifier(*CHAR_RNN, hidden_size=6, classes=CLASSES)
    return network, CharRNN(11, 6, CLASSES).double()


def check_equal_outputs(network: Any, published: CharRNN) -> None:
    for steps in (1, 2, 7):
        tokens = torch.randint(11, (3, steps))
        expected = outputs(published, inputs(network, tokens))
        torch.testing.assert_close(network(tokens, None), expected, rtol=1e-12, atol=1e-12)


def test_weights_of_the_lecture_give_equal_outputs_both_ways() -> None:
    network, published = both()
    ours = to_published(network)
    with torch.no_grad():
        for parameter in published.parameters():
            parameter.mul_(3)  # large enough that every part affects the output
    load_published(network, published.state_dict())
    check_equal_outputs(network, published)
    published.load_state_dict(to_published(network))  # checks all names and shapes
    check_equal_outputs(network, published)

    published.load_state_dict(ours)
    load_published(network, ours)
    check_equal_outputs(network, published)


def test_parameters_at_the_lectures_size() -> None:
    sizes = {"hidden_size": 128, "vocabulary": 57, "unknown": None, "classes": 18}
    expected = sum(p.numel() for p in CharRNN(57, 128, 18).parameters())
    assert parameters(*CHAR_RNN, **sizes) == expected == 27_156


def test_wrong_weights_are_refused() -> None:
    network, published = both()
    state = published.state_dict()
    with pytest.raises(ValueError, match=r"c2o.weight has shape \(4, 17\), but this network"):
        load_published(network, state | {"c2o.weight": torch.zeros(4, 17)})
    del state["c2h.bias"]
    with pytest.raises(ValueError, match=r"no 'c2h.bias': it is not the lecture's char RNN"):
        load_published(network, state)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=textnet_slide"],
        ["model=textnet_slide", "model/readout=last_hidden"],
        ["model=gru", "model/readout=last_input", "model/recurrence=gru_cell"],
        ["model=textnet_order2", "model/readout=last_input"],
    ],
)
def test_other_networks_are_refused(overrides: list[str]) -> None:
    network = classifier(*overrides, ONE_HOT, hidden_size=6)
    with pytest.raises(ValueError, match="the network is not the lecture's char RNN"):
        to_published(network)
