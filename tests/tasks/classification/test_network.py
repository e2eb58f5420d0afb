"""The classifier: padding does not change results; token dropout; refused settings."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnnexp.errors import UserError
from rnnexp.nn.cell import Cell
from rnnexp.nn.readouts import LastHidden, LastInputAndPreviousHidden, Pooled
from rnnexp.nn.recurrence import CellRecurrence, TorchRecurrence
from rnnexp.nn.representations import Embeddings, OneHotTokens, Vectors
from rnnexp.tasks.classification.network import Classifier
from tests.support import networks
from tests.support.networks import ONE_HOT, spec_of

VOCABULARY = 9
SPEC = spec_of(classes=3, vocabulary=VOCABULARY)
CELLS = {cell.__name__: partial(CellRecurrence, cell) for cell in Cell.__subclasses__()}
BACKENDS = {
    "torch_gru": partial(TorchRecurrence, nn.GRU),
    "torch_lstm": partial(TorchRecurrence, nn.LSTM),
}
RECURRENCES: dict[str, partial[Any]] = {**CELLS, **BACKENDS}
READOUTS: dict[str, partial[Any]] = {
    "last_hidden": partial(LastHidden, before="relu"),
    "pooled": partial(Pooled, pooling=["mean", "max", "last"]),
    "last_input": partial(LastInputAndPreviousHidden, middle=5),
}


def network(
    recurrence: str, readout: str, representation: type[nn.Module] = Embeddings, **settings: Any
) -> Classifier:
    torch.manual_seed(0)
    return (
        Classifier(
            SPEC,
            representation,
            RECURRENCES[recurrence],
            READOUTS[readout],
            hidden_size=4,
            **settings,
        )
        .double()
        .eval()
    )  # in training LiGRU sees the whole batch


def gradients(network: Classifier, outputs: Tensor) -> list[Tensor]:
    """Gradients of a weighted sum of the classes, with different weights."""
    loss = (outputs * torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)).sum()
    found = torch.autograd.grad(
        loss, list(network.parameters()), materialize_grads=True, allow_unused=True
    )
    return list(found)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("recurrence", RECURRENCES)
def test_padding_changes_nothing(recurrence: str, readout: str) -> None:
    shapes = [(1, False), (2, False), (1, True), (2, True)]
    for layers, bidirectional in shapes if readout != "last_input" else shapes[:1]:
        settings: dict[str, Any] = {"num_layers": layers, "bidirectional": bidirectional}
        check_padding(network(recurrence, readout, **settings))
        if recurrence in CELLS:
            check_padding(network(recurrence, readout, OneHotTokens, **settings))


def check_padding(network: Classifier) -> None:
    """A batch of different lengths gives the same outputs as its sequences one by one."""
    lengths = torch.tensor([5, 1, 3, 6, 1])
    tokens = torch.randint(VOCABULARY - 1, (5, 7))  # the last column is padding alone
    if isinstance(network.representation, Embeddings):  # a padding that would be seen anywhere
        with torch.no_grad():
            network.representation.learnt[-1] = torch.nan
        tokens[torch.arange(7) >= lengths.unsqueeze(1)] = VOCABULARY - 1
    together = network(tokens, lengths)
    alone = [network(tokens[b : b + 1, :length], None) for b, length in enumerate(lengths.tolist())]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=1e-12)
    one_by_one = [gradients(network, output) for output in alone]
    for number, gradient in enumerate(gradients(network, together)):
        expected = torch.stack([each[number] for each in one_by_one]).sum(0)
        torch.testing.assert_close(gradient, expected, rtol=1e-10, atol=1e-12)


def test_order_of_the_batch_changes_nothing() -> None:
    classifier = network("torch_gru", "pooled", bidirectional=True)
    lengths, tokens = torch.tensor([2, 5, 1, 4]), torch.randint(VOCABULARY, (4, 5))
    order = torch.tensor([3, 0, 2, 1])
    torch.testing.assert_close(
        classifier(tokens[order], lengths[order]), classifier(tokens, lengths)[order]
    )


def test_outputs_are_log_probabilities() -> None:
    outputs = network("GRU", "last_hidden")(torch.randint(VOCABULARY, (4, 5)), None)
    torch.testing.assert_close(outputs.exp().sum(1), torch.ones(4, dtype=torch.float64))


def test_dropped_tokens_become_the_unknown_one_in_training_alone() -> None:
    classifier = network("GRU", "last_hidden", token_dropout=0.25)
    tokens = torch.randint(1, VOCABULARY, (40, 50))
    seen: list[Tensor] = []
    classifier.representation.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    classifier.train()(tokens, None)
    classifier.eval()(tokens, None)
    training, evaluation = seen
    dropped = training != tokens
    assert dropped.double().mean().item() == pytest.approx(0.25, abs=0.05)
    assert set(training[dropped].tolist()) == {SPEC.unknown}
    assert torch.equal(evaluation, tokens)


@pytest.mark.parametrize("model", ["textnet", "textnet_order2", "grunet"])
def test_reviews_choose_the_task_and_with_it_the_network_around(model: str) -> None:
    asked = networks.composed("data=synthetic_reviews", f"model={model}", ONE_HOT)
    assert asked.model == networks.composed(f"model={model}", ONE_HOT).model
    assert asked.model.hidden_size == 512
    assert asked.task._target_ == "rnnexp.tasks.classification.task.Classification"


LAST_INPUT = ["model=textnet", ONE_HOT]


@pytest.mark.parametrize(
    ("overrides", "settings", "sentence"),
    [
        (
            [],
            {"token_dropout": 0.1, "unknown": None},
            "this vocabulary does not have: set model.token_",
        ),
        ([], {"token_dropout": 1.0}, "token_dropout is 1.0: it must be at least 0 and below 1"),
        ([], {"dropout": -0.1}, "dropout is -0.1: it must be at least 0 and below 1"),
        ([], {"hidden_size": 0}, "hidden_size and num_layers must be at least 1"),
        (["model/readout=every_step"], {}, "choose a model/readout other than every_step"),
        (LAST_INPUT, {"num_layers": 2}, "one layer and one direction: set num_layers=1"),
        (LAST_INPUT, {"bidirectional": True}, "is defined for one layer and one direction"),
        (["model=gru", "model/readout=textnet_order2"], {}, "states is [0, 2], but the state"),
        (["model=gru", ONE_HOT], {}, "one-hot vectors are never built, but this recurrence needs"),
        (
            LAST_INPUT,
            {"vectors": Vectors(dimension=3, known=2)},
            "needs model/representation=embed",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    overrides: list[str], settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        networks.classifier(*overrides, **settings)
    assert sentence in str(caught.value)
