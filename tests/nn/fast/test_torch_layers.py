"""torch's own layers as a path of our cells: equal to the plain path, with all gradients."""

from typing import Any

import pytest
import torch

from rnnexp.nn import cells
from rnnexp.nn.fast.torch_layers import LAYERS, run_torch
from rnnexp.nn.plain import run_plain
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features, OneHot


def outputs_and_gradients(run: Any, cell: cells.Cell, x: Features) -> list[torch.Tensor]:
    values = x.values.detach().requires_grad_()  # with its strides
    hidden, final = run(cell, Features(values), True)
    weight = torch.arange(hidden.numel(), dtype=hidden.dtype).view_as(hidden).cos()
    loss = (hidden * weight).sum() + sum((state**2).sum() for state in final)
    return [hidden, *final, *torch.autograd.grad(loss, [values, *cell.parameters()])]


@pytest.mark.parametrize("kind", LAYERS)
def test_equal_to_the_plain_path(kind: Any) -> None:
    torch.manual_seed(0)
    cell = kind(4, 5).double()
    x = Features(torch.randn(7, 3, 4).double())
    expected = outputs_and_gradients(run_plain, cell, x)
    for one, other in zip(outputs_and_gradients(run_torch, cell, x), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("has_onednn", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_an_lstm_has_the_digits_of_torch_lstm(
    dtype: torch.dtype, has_onednn: bool, training: bool, batch_first: bool
) -> None:
    torch.manual_seed(0)
    cell = cells.LSTM(4, 5).to(dtype).train(training)
    values = torch.randn(7, 3, 4, dtype=dtype)
    x = Features(values.transpose(0, 1) if batch_first else values)
    with torch.backends.mkldnn.flags(enabled=has_onednn):
        ours = outputs_and_gradients(run_torch, cell, x)
        theirs = outputs_and_gradients(run_torch_lstm, cell, x)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def run_torch_lstm(cell: cells.LSTM, x: Features, every_step: bool) -> Any:
    zero = torch.zeros(1, x.batch, cell.hidden_size, dtype=cell.bias.dtype)
    biases = [cell.bias, torch.zeros_like(cell.bias)]
    weights = [cell.input_weight.t(), cell.U.t(), *biases]
    options = (True, 1, 0.0, cell.training, False, False)
    hidden, *state = torch.lstm(x.values, (zero, zero), weights, *options)
    return hidden, [one.squeeze(0) for one in state]


def test_a_recurrence_uses_it_where_it_can() -> None:
    torch.manual_seed(0)
    both_ways = CellRecurrence(cells.LSTM, 4, 5, num_layers=2, bidirectional=True, path="torch")
    x = Features(torch.randn(6, 3, 4))
    hidden, final = both_ways(x)
    assert both_ways.path == "torch" and hidden.shape == (6, 3, 10)
    assert both_ways(x, every_step=False)[0].shape == (0, 3, 10)
    both_ways.asked = "plain"
    for one, other in zip((hidden, *final), (lambda h, f: (h, *f))(*both_ways(x)), strict=True):
        torch.testing.assert_close(one, other)

    both_ways.asked = "torch"
    both_ways(Features(x.values, torch.tensor([6, 2, 0])))  # padding
    assert both_ways.path == "fused"
    with torch.autocast("cpu", torch.bfloat16):
        both_ways(Features(x.values, torch.tensor([6, 2, 0])))
    assert both_ways.path == "plain"
    words = CellRecurrence(cells.GRU, 9, 5, path="torch")
    words(OneHot(torch.randint(9, (6, 3))))
    assert words.path == "fused"
    assert CellRecurrence(cells.MGU, 4, 5, path="torch").path == "fused"


def test_only_by_size_lays_the_weights_out_as_torch_reads_them() -> None:
    """Norms of gradients are summed in the order of the memory, so earlier runs keep theirs."""
    for path, is_contiguous in (("by_size", False), ("auto", False), ("fused", True)):
        torch.manual_seed(0)
        (cell,) = CellRecurrence(cells.LSTM, 3, 4, path=path).layers  # type: ignore[arg-type]
        assert isinstance(cell, cells.LSTM)
        assert (
            cell.U.is_contiguous() is is_contiguous
            and cell.U.t().is_contiguous() is not is_contiguous
        )
        torch.manual_seed(0)
        assert torch.equal(cell.U, cells.LSTM(3, 4).U)


def test_an_unknown_path() -> None:
    with pytest.raises(ValueError, match="path is 'fast': it must be one of auto, fused, native"):
        CellRecurrence(cells.MGU, 4, 5, path="fast")  # type: ignore[arg-type]
