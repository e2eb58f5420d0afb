"""TEXTnet and TEXTnetOrder2: equations, sizes, and conversion of DLStudio's weights both ways."""

from typing import Any

import pytest
import torch

from rnnexp.nn.lecture.published.textnet import load_published, to_published
from rnnexp.nn.lecture.textnet import TEXTnet
from rnnexp.nn.lecture.textnet_order2 import TEXTnetOrder2
from rnnexp.nn.readouts import LastInputAndPreviousHidden
from tests.support.networks import (
    EMBEDDINGS,
    ONE_HOT,
    classifier,
    composed,
    inputs,
    outputs,
    parameters,
)

MODELS = ["textnet", "textnet_slide", "textnet_order2", "textnet_order2_slide"]
Published = TEXTnet | TEXTnetOrder2


def published_layout(model: str, inputs: int, hidden: int) -> Published:
    kind = TEXTnetOrder2 if "order2" in model else TEXTnet
    return kind(inputs, hidden, classes=2, tanh="slide" not in model)


def both(model: str, representation: str) -> tuple[Any, Published]:
    """Our network and DLStudio's network, with different weights."""
    network: Any = classifier(f"model={model}", representation, hidden_size=6)
    return network, published_layout(model, network.representation.size, 6).double().eval()


def check_equal_outputs(network: Any, published: Published) -> None:
    for steps in (1, 2, 3, 4, 9):  # c_t is zero at t = 1 and t = 2
        tokens = torch.randint(11, (3, steps))
        expected = outputs(published, inputs(network, tokens))
        torch.testing.assert_close(network(tokens, None), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("representation", [ONE_HOT, EMBEDDINGS])
@pytest.mark.parametrize("model", MODELS)
def test_weights_of_dlstudio_give_equal_outputs_both_ways(model: str, representation: str) -> None:
    network, published = both(model, representation)
    ours = to_published(network)
    with torch.no_grad():
        for parameter in published.parameters():
            parameter.mul_(3)  # large enough that every part affects the output
    load_published(network, published.state_dict())
    check_equal_outputs(network, published)
    back = to_published(network)
    published.load_state_dict(back)  # checks all names and shapes
    check_equal_outputs(network, published)

    published.load_state_dict(ours)
    load_published(network, ours)
    check_equal_outputs(network, published)


def test_published_weights_are_copies() -> None:
    network, _ = both("textnet", ONE_HOT)
    before = [parameter.clone() for parameter in network.parameters()]
    for weight in to_published(network).values():
        weight.zero_()
    assert all(map(torch.equal, before, network.parameters()))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("textnet", 10_718_770),
        ("textnet_slide", 10_718_770),
        ("textnet_order2", 11_294_770),
        ("textnet_order2_slide", 11_294_770),
    ],
)
def test_parameters_at_the_lectures_sizes(model: str, expected: int) -> None:
    assert parameters(f"model={model}", ONE_HOT, vocabulary=17_001) == expected


@pytest.mark.parametrize("model", MODELS)
def test_weights_start_as_those_of_torchs_linear_layers(model: str) -> None:
    network = classifier(f"model={model}", ONE_HOT, vocabulary=3000)
    torch.manual_seed(0)
    linear_layers = published_layout(model, 3000, 512).state_dict()
    weights = {name: w for name, w in to_published(network).items() if w.numel() >= 100}
    for name, weight in weights.items():
        reference = linear_layers[name]
        assert weight.abs().max().item() == pytest.approx(reference.abs().max().item(), rel=0.1)
        assert weight.std().item() == pytest.approx(reference.std().item(), rel=0.2)


def test_dropout_is_where_dlstudio_has_it() -> None:
    """After the middle layer; TEXTnetWithEmbeddings has none, as the config's comment says."""
    for model in MODELS:
        assert composed(f"model={model}").model.readout.dropout == 0.1
    network, _ = both("textnet", EMBEDDINGS)
    assert isinstance(network.readout, LastInputAndPreviousHidden)
    tokens = torch.randint(11, (2, 5))
    plain = network(tokens, None)
    assert not torch.equal(network.train()(tokens, None), plain)
    network.readout.dropout.p = 0.0
    assert torch.equal(network(tokens, None), plain)


def test_wrong_weights_are_refused() -> None:
    network, published = both("textnet_order2", ONE_HOT)
    state = published.state_dict()
    small, _ = both("textnet", ONE_HOT)
    with pytest.raises(ValueError, match=r"combined_to_hidden.weight has shape \(6, 23\), but"):
        load_published(small, state)
    with pytest.raises(ValueError, match=r"has 'fc.bias', which is not part of this network"):
        load_published(network, state | {"fc.bias": torch.zeros(2)})
    del state["linear_for_cell.bias"]
    with pytest.raises(ValueError, match=r"no 'linear_for_cell.bias': it is not .* TEXTnetOrder2"):
        load_published(network, state)


@pytest.mark.parametrize(
    "overrides",
    [
        ["model=textnet", "model/readout=pooled"],
        ["model=textnet", "model.num_layers=2", "model/readout=last_hidden"],
        ["model=textnet", "model.readout.middle=null"],
        ["model=textnet_order2", "model.readout.states=[0]"],
        ["model=textnet", "model/recurrence=gru_cell"],
        ["model=gru", "model/readout=textnet"],
    ],
)
def test_other_networks_are_refused(overrides: list[str]) -> None:
    network = classifier(*overrides, hidden_size=6)
    with pytest.raises(ValueError, match="neither DLStudio's TEXTnet nor"):
        to_published(network)
