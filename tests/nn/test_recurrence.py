"""Recurrences: torch's backends, stacks, and padding that changes nothing."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import nn

from rnnexp.nn.cells import MGU, Vanilla
from rnnexp.nn.recurrence import CellRecurrence, TorchRecurrence
from rnnexp.nn.representations import Features

RECURRENCES: dict[str, Callable[..., nn.Module]] = {
    "mgu": partial(CellRecurrence, MGU),
    "vanilla": partial(CellRecurrence, Vanilla),
    "gru": partial(TorchRecurrence, nn.GRU),
    "lstm": partial(TorchRecurrence, nn.LSTM),
}


@pytest.mark.parametrize("backend", [nn.GRU, nn.LSTM])
def test_torch_recurrence_is_torch(backend: Callable[..., nn.RNNBase]) -> None:
    torch.manual_seed(0)
    recurrence = TorchRecurrence(backend, 4, 6, num_layers=2)
    reference = backend(4, 6, 2)
    reference.load_state_dict(recurrence.layers.state_dict())
    x = torch.randn(7, 3, 4)
    hidden, final = recurrence(Features(x))
    expected, expected_final = reference(x)
    torch.testing.assert_close(hidden, expected)
    first = expected_final[0] if isinstance(expected_final, tuple) else expected_final
    torch.testing.assert_close(final[0], first[-1])


def test_a_stack_feeds_each_layer_with_the_one_below() -> None:
    torch.manual_seed(0)
    recurrence = CellRecurrence(Vanilla, 4, 6, num_layers=2)
    reference = nn.RNN(4, 6, 2)
    with torch.no_grad():
        for number, cell in enumerate(cast(Any, recurrence.layers)):
            cell.input_weight.copy_(getattr(reference, f"weight_ih_l{number}").t())
            cell.U.copy_(getattr(reference, f"weight_hh_l{number}").t())
            bias = getattr(reference, f"bias_ih_l{number}") + getattr(
                reference, f"bias_hh_l{number}"
            )
            cell.bias.copy_(bias)
    x = torch.randn(5, 3, 4)
    torch.testing.assert_close(recurrence(Features(x))[0], reference(x)[0])


@pytest.mark.parametrize("name", RECURRENCES)
def test_padding_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    recurrence = RECURRENCES[name](input_size=4, hidden_size=6, num_layers=2)
    lengths = torch.tensor([5, 2, 3])
    x = torch.randn(5, 3, 4)
    more = torch.cat([x, torch.full((4, 3, 4), 99.0)])
    for b, length in enumerate(lengths.tolist()):
        more[length:, b] = 99.0
    hidden, final = recurrence(Features(x, lengths))
    padded_hidden, padded_final = recurrence(Features(more, lengths))
    for part, padded_part in zip(final, padded_final, strict=True):
        torch.testing.assert_close(part, padded_part)
    for b, length in enumerate(lengths.tolist()):
        alone_hidden, alone_final = recurrence(Features(x[:length, b : b + 1]))
        torch.testing.assert_close(padded_hidden[:length, b], alone_hidden[:, 0])
        torch.testing.assert_close(hidden[:length, b], alone_hidden[:, 0])
        torch.testing.assert_close(final[0][b], alone_final[0][0])


def test_projection_is_one_product_over_all_steps() -> None:
    x = torch.randn(5, 3, 4)
    weight, bias = torch.randn(4, 6), torch.randn(6)
    torch.testing.assert_close(Features(x).project(weight, bias), x @ weight + bias)
