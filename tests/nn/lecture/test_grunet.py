"""GRUnet: torch's GRU on dense vectors, sizes, and conversion of DLStudio's weights both ways."""

from typing import Any

import pytest
import torch

from rnnexp.nn.lecture.grunet import GRUnet
from rnnexp.nn.lecture.published.grunet import load_published, to_published
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Vectors
from tests.support.networks import EMBEDDINGS, ONE_HOT, classifier, inputs, outputs, parameters


def both(representation: str, layers: int = 2) -> tuple[Any, GRUnet]:
    """Our network and DLStudio's network, with different weights."""
    network: Any = classifier("model=grunet", representation, hidden_size=6, num_layers=layers)
    return network, GRUnet(network.representation.size, 6, 2, layers).double()


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("representation", [ONE_HOT, EMBEDDINGS])
def test_weights_of_dlstudio_give_equal_outputs_both_ways(representation: str, layers: int) -> None:
    network, published = both(representation, layers)
    ours = to_published(network)
    tokens = torch.randint(11, (3, 7))
    x = inputs(network, tokens)
    with torch.no_grad():
        for parameter in published.parameters():
            parameter.mul_(3)  # large enough that every part affects the output

    load_published(network, published.state_dict())
    torch.testing.assert_close(network(tokens, None), outputs(published, x), rtol=1e-12, atol=1e-12)
    published.load_state_dict(to_published(network))  # checks all names and shapes

    published.load_state_dict(ours)
    load_published(network, ours)
    torch.testing.assert_close(network(tokens, None), outputs(published, x), rtol=1e-12, atol=1e-12)


def test_gradients_are_those_of_torchs_gru_on_built_one_hot_vectors() -> None:
    network, published = both(ONE_HOT)
    load_published(network, published.state_dict())
    tokens = torch.randint(11, (3, 7))
    network(tokens, None)[:, 0].sum().backward()
    outputs(published, inputs(network, tokens))[:, 0].sum().backward()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.grad.to_dense())
    gradients = to_published(network)  # same layout as the weights
    for name, parameter in published.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("vocabulary", "expected"), [(17_001, 28_480_002), (43_285, 68_852_226), (64_350, 101_208_066)]
)
def test_parameters_with_one_hot_words(vocabulary: int, expected: int) -> None:
    assert parameters("model=grunet", ONE_HOT, vocabulary=vocabulary) == expected


@pytest.mark.parametrize(("hidden", "expected"), [(200, 542_802), (100, 181_402)])
def test_parameters_with_word_vectors(hidden: int, expected: int) -> None:
    """Frozen word vectors are not counted."""
    vectors = Vectors(dimension=300, known=17_001)
    number = parameters(
        "model=grunet", EMBEDDINGS, vocabulary=17_001, vectors=vectors, hidden_size=hidden
    )
    assert number == expected


def test_dropout_between_layers_is_the_slides() -> None:
    for model, share in {"grunet": 0.0, "grunet_slide": 0.2}.items():
        network = classifier(f"model={model}", EMBEDDINGS, hidden_size=6)
        assert isinstance(network.recurrence, CellRecurrence)
        assert network.recurrence.dropout.p == share


def test_wrong_weights_are_refused() -> None:
    _, published = both(ONE_HOT)
    state = published.state_dict()
    with pytest.raises(
        ValueError, match=r"has 'gru.weight_ih_l1', which is not part of this network"
    ):
        load_published(both(ONE_HOT, layers=1)[0], state)
    with pytest.raises(ValueError, match=r"no 'gru.weight_ih_l2': it is not DLStudio's GRUnet"):
        load_published(both(ONE_HOT, layers=3)[0], state)
    with pytest.raises(ValueError, match=r"gru.weight_ih_l0 has shape \(18, 11\), but this"):
        load_published(both(EMBEDDINGS)[0], state)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=grunet", "model.bidirectional=true"],
        ["model=grunet", "model.readout.before=identity"],
        ["model=grunet", "model.readout.activation=tanh"],
        ["model=grunet", "model/readout=pooled"],
        ["model=grunet", "model/recurrence=mgu"],
        ["model=gru", "model/readout=grunet"],
    ],
)
def test_other_networks_are_refused(overrides: list[str]) -> None:
    network = classifier(*overrides, hidden_size=6)
    with pytest.raises(ValueError, match="the network is not DLStudio's GRUnet"):
        to_published(network)
