"""Recurrences: torch's layers, stacks, padding without effect, and the choice of a path."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.nn import Parameter
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnexp.nn.cell import Cell
from rnnexp.nn.cells import GRU, MGU, Vanilla
from rnnexp.nn.fast.fused import has_fused_path, run_fused
from rnnexp.nn.plain import run_plain
from rnnexp.nn.recurrence import CellRecurrence, TorchRecurrence
from rnnexp.nn.representations import Features

RECURRENCES: dict[str, Callable[..., Any]] = {
    **{cell.__name__: partial(CellRecurrence, cell) for cell in Cell.__subclasses__()},
    "torch_gru": partial(TorchRecurrence, nn.GRU),
    "torch_lstm": partial(TorchRecurrence, nn.LSTM),
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


def test_dropout_is_between_the_layers_in_training_alone() -> None:
    recurrence = CellRecurrence(Vanilla, 4, 6, num_layers=2, dropout=1.0)
    x = Features(torch.randn(5, 3, 4))
    below, _ = run_plain(cast(Cell, recurrence.layers[0]), x)
    for training, fed in {True: torch.zeros(5, 3, 6), False: below}.items():
        expected, _ = run_plain(cast(Cell, recurrence.layers[1]), Features(fed))
        torch.testing.assert_close(recurrence.train(training)(x)[0], expected)


def gru_weights(recurrence: CellRecurrence) -> dict[str, Parameter]:
    """The weights of every layer and direction under the names of torch.nn.GRU."""
    directions = {"": recurrence.layers, "_reverse": recurrence.backward_layers}
    return {
        f"{name}_l{number}{direction}": weight
        for direction, cells in directions.items()
        for number, cell in enumerate(cast(Any, cells))
        for name, weight in {
            "weight_ih": cell.input_weight,
            "weight_hh": cell.U,
            "bias_ih": cell.bias,
            "bias_hh": cell.recurrent_bias,
        }.items()
    }


@pytest.mark.parametrize("lengths", [None, torch.tensor([2, 5, 1])])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_gru_cells_are_torchs_gru(
    layers: int, bidirectional: bool, lengths: torch.Tensor | None
) -> None:
    """Hidden states, the final state of the last layer, and the gradient of every weight."""
    torch.manual_seed(0)
    recurrence = CellRecurrence(GRU, 4, 6, layers, bidirectional=bidirectional).double()
    reference = nn.GRU(4, 6, layers, bidirectional=bidirectional).double()
    weights = gru_weights(recurrence)
    reference.load_state_dict({name: weight.detach().t() for name, weight in weights.items()})
    x = Features(torch.randn(5, 3, 4).double(), lengths)

    hidden, (final,) = recurrence(x)
    if x.padding is not None and lengths is not None:
        packed = pack_padded_sequence(x.values, lengths, enforce_sorted=False)
        expected_packed, states = reference(packed)
        expected, _ = pad_packed_sequence(expected_packed)
        hidden = hidden.masked_fill(x.padding.unsqueeze(2), 0)
    else:
        expected, states = reference(x.values)
    expected_final = torch.cat([*states[-2:]], dim=1) if bidirectional else states[-1]
    torch.testing.assert_close(hidden, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(final, expected_final, rtol=1e-12, atol=1e-12)

    count, count_final = torch.randn_like(hidden), torch.randn_like(final)
    ((hidden * count).sum() + (final * count_final).sum()).backward()
    ((expected * count).sum() + (expected_final * count_final).sum()).backward()
    for name, parameter in reference.named_parameters():
        gradient = weights[name].grad
        assert gradient is not None
        torch.testing.assert_close(gradient.t(), parameter.grad, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("name", RECURRENCES)
def test_padding_changes_nothing(name: str, bidirectional: bool) -> None:
    """Even if the padding is NaN; an empty sequence keeps the zero state."""
    torch.manual_seed(0)
    recurrence = (
        RECURRENCES[name](input_size=4, hidden_size=6, num_layers=2, bidirectional=bidirectional)
        .double()
        .eval()
    )  # in training, LiGRU depends on the whole batch
    lengths = torch.tensor([5, 0, 2, 3])
    x = Features(torch.randn(7, 4, 4).double(), lengths)
    assert x.padding is not None
    x.values[x.padding] = torch.nan
    x.values[0, 1] = 1.0  # torch's layers read this step, since an empty sequence cannot be packed
    hidden, final = recurrence(x)
    assert len(final) == recurrence.states
    for b, length in enumerate(lengths.tolist()):
        alone, alone_final = recurrence(Features(x.values[:length, b : b + 1]))
        assert alone.shape == (length, 1, recurrence.output_size)
        torch.testing.assert_close(hidden[:length, b], alone[:, 0], rtol=1e-12, atol=1e-12)
        for part, alone_part in zip(final, alone_final, strict=True):
            torch.testing.assert_close(part[b], alone_part[0], rtol=1e-12, atol=1e-12)
            assert length > 0 or (part[b] == 0).all()


def test_projection_is_one_product_over_all_steps() -> None:
    x = torch.randn(5, 3, 4)
    weight, bias = torch.randn(4, 6), torch.randn(6)
    torch.testing.assert_close(Features(x).project(weight, bias), x @ weight + bias)


# Which path is taken ------------------------------------------------------------------------------


def test_the_path_is_told_and_can_be_chosen() -> None:
    class Own(MGU):
        """A subclass, which has no kernel."""

    assert CellRecurrence(MGU, 6, 4).path == "fused"
    assert CellRecurrence(MGU, 6, 4, path="plain").path == "plain"
    assert CellRecurrence(Own, 6, 4).path == "plain"
    recurrence, x = CellRecurrence(MGU, 6, 4), Features(torch.randn(300, 3, 6))
    with torch.autocast("cpu", torch.bfloat16):
        recurrence(x)
    assert recurrence.path == "plain"
    recurrence.bfloat16()(Features(x.values.bfloat16()))
    assert recurrence.path == "plain"
    recurrence.float()(x)
    assert recurrence.path == "fused"
    assert has_fused_path(MGU(6, 4).double())


class Wide(Vanilla):
    def forward(self, x: torch.Tensor, state: Any) -> Any:
        return (torch.cat([x, x], dim=1),)


class Bare(Vanilla):
    def forward(self, x: torch.Tensor, state: Any) -> Any:
        return x


@pytest.mark.parametrize(("cell", "found"), [(Wide, r"\[\(3, 8\)\]"), (Bare, "Tensor")])
def test_a_cell_that_returns_no_state_is_named(cell: Any, found: str) -> None:
    expected = rf"forward returned {found}: .* of the shapes \[\(3, 4\)\]"
    with pytest.raises(TypeError, match=expected):
        run_plain(cell(6, 4), Features(torch.randn(5, 3, 6)))


# Growth -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [run_plain, run_fused])
def test_allocations_grow_linearly_with_the_steps(run: Any) -> None:
    """Indexing one step of a tensor inside the loop would make the backward pass O(T^2): every
    index writes a gradient as large as the tensor."""
    cell = MGU(2, 4)

    def allocated(steps: int) -> int:
        x = Features(torch.randn(steps, 3, 2, requires_grad=True))
        with torch.profiler.profile(profile_memory=True) as profile:
            hidden, _ = run(cell, x, True)
            hidden.sum().backward()
        return sum(max(0, event.cpu_memory_usage) for event in profile.events())

    few, many = allocated(100), allocated(400)
    assert 3.5 < many / few < 4.5
