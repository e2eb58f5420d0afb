"""The graphed path against the plain path. Without a GPU, a stand-in for torch's graphs runs on the
processor: it has static memory as they do, and runs the steps on whatever that memory holds."""

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor, nn

from rnnexp.nn import cells
from rnnexp.nn.fast import cards, graphed
from rnnexp.nn.plain import run_over
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features, OneHot
from rnnexp.runs import settings
from tests.nn.running import KINDS, close

NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def static_memory(
    run: Callable[..., tuple[Tensor, ...]],
    inputs: tuple[Tensor, ...],
    allow_unused_input: bool = False,
) -> Callable[..., tuple[Tensor, ...]]:
    """What torch.cuda.make_graphed_callables returns: a function whose inputs, outputs and
    gradients have fixed places, those of the last call included."""
    assert allow_unused_input and all(tensor.is_leaf for tensor in inputs)
    assert not any(tensor.is_inference() for tensor in inputs)
    trained = torch.is_grad_enabled()
    needing = [number for number, tensor in enumerate(inputs) if tensor.requires_grad]
    outputs = tuple(tensor.detach().clone() for tensor in run(*inputs))
    gradients = [torch.zeros_like(inputs[number]) for number in needing]
    live: list[tuple[Tensor, ...]] = [()]

    class Graphed(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *given: Tensor) -> tuple[Tensor, ...]:
            for own, tensor in zip(inputs, given, strict=True):
                if own.data_ptr() != tensor.data_ptr():
                    own.copy_(tensor)
            with torch.inference_mode(False), torch.set_grad_enabled(trained):
                live[0] = run(*inputs)
            with torch.no_grad():
                for output, value in zip(outputs, live[0], strict=True):
                    output.copy_(value)
            return tuple(output.detach() for output in outputs)

        @staticmethod
        def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
            pairs = [
                (output, gradient)
                for output, gradient in zip(live[0], given, strict=True)
                if output.requires_grad
            ]
            found = torch.autograd.grad(
                [output for output, _ in pairs],
                [inputs[number] for number in needing],
                [gradient for _, gradient in pairs],
                allow_unused=True,
                retain_graph=True,
            )
            result: list[Tensor | None] = [None] * len(inputs)
            for number, own, gradient in zip(needing, gradients, found, strict=True):
                if gradient is not None:
                    result[number] = own.copy_(gradient).detach()
            return tuple(result)

    return lambda *given: Graphed.apply(*given)


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of the projections that have been captured, by the stand-in."""
    shapes = []

    def make(run: Any, inputs: tuple[Tensor, ...], **options: Any) -> Any:
        shapes.append(tuple(inputs[0].shape))
        return static_memory(run, inputs, **options)

    monkeypatch.setattr(graphed, "DEVICE", "cpu")
    monkeypatch.setattr("torch.cuda.make_graphed_callables", make)
    monkeypatch.setattr(graphed, "gc", MagicMock())  # among the objects of a test session: slow
    yield shapes
    graphed._graphs.clear()


def pair(kind: Any, device: str = "cpu", **options: Any) -> tuple[CellRecurrence, CellRecurrence]:
    """The same recurrence on the graphed and on the plain path."""
    torch.manual_seed(0)
    one = CellRecurrence(kind, 4, 5, path="graphed", **options).double().to(device)
    other = copy.deepcopy(one)
    other.asked = "plain"
    return one, other


def trained(
    recurrence: CellRecurrence, x: Tensor, optimiser: torch.optim.Optimizer | None = None
) -> list[Tensor]:
    """Outputs and all gradients of one step. The optimiser moves the weights in place."""
    hidden, final = recurrence(Features(x))
    weight = torch.arange(hidden.numel(), device=x.device).view_as(hidden).cos()
    loss = (hidden * weight).sum() + sum((state**2).sum() for state in final)
    recurrence.zero_grad(set_to_none=True)
    loss.backward()
    gradients = [one.grad.clone() for one in recurrence.parameters() if one.grad is not None]
    if optimiser:
        optimiser.step()
    return [hidden, *final, *gradients]


def same_over_steps(kind: Any, device: str) -> None:
    one, other = pair(kind, device)
    optimisers = [torch.optim.SGD(each.parameters(), lr=1e-3) for each in (one, other)]
    results = []
    for step in range(4):
        torch.manual_seed(step)
        x = torch.randn(7 if step < 3 else 6, 3, 4, dtype=torch.float64, device=device)
        results.append((trained(one, x, optimisers[0]), trained(other, x, optimisers[1])))
        assert (one.path, other.path) == ("graphed", "plain")
    for found, expected in results:  # at the end: nothing has been overwritten since
        close(found, expected)
    with torch.inference_mode():
        before = one(Features(x))[0]
        close(before, other(Features(x))[0])
        one(Features(x + 1))
        close(before, other(Features(x))[0])
    with torch.no_grad():
        close(one(Features(x))[1], other(Features(x))[1])
        close(one(Features(x), every_step=False)[1], other(Features(x), every_step=False)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_the_plain_path(kind: Any, captured: list) -> None:
    same_over_steps(kind, "cpu")
    assert len(captured) == 4  # two lengths in training, one without gradients, one final state


@pytest.mark.cuda
@NEEDS_GPU
@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_the_plain_path_on_a_gpu(kind: Any) -> None:
    same_over_steps(kind, "cuda")


def added_up(device: str) -> None:
    """Gradients of two batches, one after the other, and of an output that is not used."""
    x = torch.randn(2, 7, 3, 4, dtype=torch.float64, device=device)
    found = []
    for each in pair(cells.LSTM, device, num_layers=2, bidirectional=True):
        for part in x:
            each(Features(part))[0].square().sum().backward()
        each(Features(x[0]))[1][1].sum().backward()
        found.append([one.grad for one in each.parameters()])
    close(*found)


def test_gradients_add_up(captured: list) -> None:
    added_up("cpu")
    assert len(captured) == 4  # one a cell


@pytest.mark.cuda
@NEEDS_GPU
def test_gradients_add_up_on_a_gpu() -> None:
    added_up("cuda")


def twice_at_once(device: str) -> None:
    """Two passes forward before one backward: the second must not use the memory of the first."""
    x = torch.randn(2, 7, 3, 4, dtype=torch.float64, device=device)
    found = []
    for each in pair(cells.MGU, device):
        first, second = (each(Features(part))[0] for part in x)
        (first * second).sum().backward()
        found.append([one.grad for one in each.parameters()])
    close(*found)


def test_two_passes_forward_before_one_backward(captured: list) -> None:
    twice_at_once("cpu")


@pytest.mark.cuda
@NEEDS_GPU
def test_two_passes_forward_before_one_backward_on_a_gpu() -> None:
    twice_at_once("cuda")


def test_a_second_pass_backward_is_refused_if_the_memory_is_used_again(captured: list) -> None:
    one, _ = pair(cells.MGU)
    x = Features(torch.randn(7, 3, 4).double())
    loss = one(x)[0].sum()
    loss.backward(retain_graph=True)
    loss.backward(retain_graph=True)
    one(x)
    with pytest.raises(RuntimeError, match=r"a second backward pass needs .* choose path=plain"):
        loss.backward()


def test_an_output_that_is_thrown_away_frees_its_graph(
    captured: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair(cells.MGU)
    x = Features(torch.randn(7, 3, 4).double())
    plain = []

    def counted(*arguments: Any) -> Any:
        plain.append(1)
        return run_over(*arguments)

    monkeypatch.setattr(graphed, "run_over", counted)
    one(x)
    one(x)
    kept = one(x)[0]
    assert len(plain) == 4  # one at capture, and one in each replay of the stand-in
    last = one(x)[0]
    assert len(plain) == 5 and not hasattr(last.grad_fn, "graph") and hasattr(kept.grad_fn, "graph")


def test_what_has_no_graph_runs_step_by_step(captured: list) -> None:
    one, other = pair(cells.GRU)
    x = torch.randn(7, 3, 4).double()
    lengths = torch.tensor([7, 2, 1])
    close(one(Features(x, lengths))[0], other(Features(x, lengths))[0])
    assert one.path == "plain"
    one(Features(x[:0]))
    assert one.path == "plain"
    with torch.autocast("cpu", torch.bfloat16):
        one(Features(x))
    assert one.path == "plain" and captured == []
    for steps in range(1, 4 + graphed.MOST_GRAPHS):
        close(one(Features(x[:steps]))[0], other(Features(x[:steps]))[0])
    assert len(captured) == graphed.MOST_GRAPHS
    with torch.no_grad():
        one(Features(x))
    assert len(captured) == graphed.MOST_GRAPHS + 1


def test_one_hot_words_with_lazy_rows(captured: list) -> None:
    torch.manual_seed(0)
    one = CellRecurrence(cells.MGU, 9, 5, path="graphed")
    words = [OneHot(torch.randint(9, (6, 3)), sparse=True) for _ in range(2)]
    found = []
    for path in ("graphed", "plain"):
        one.zero_grad()
        one.asked = path
        for x in words:
            one(x)[0].sum().backward()
        gradients: list[Any] = [parameter.grad for parameter in one.parameters()]
        found.append([gradient.to_dense() for gradient in gradients])
    torch.testing.assert_close(*found)
    assert captured == [(6, 3, 10)]


def test_frozen_weights_and_inputs_that_are_trained(captured: list) -> None:
    x = torch.randn(6, 3, 4).double().requires_grad_()
    found = []
    for each in pair(cells.GRU):
        cell: Any = each.layers[0]
        for frozen in (cell.U, cell.input_weight):
            frozen.requires_grad_(False)
        found.append(torch.autograd.grad(each(Features(x))[0].sum(), [x, cell.recurrent_bias]))
        assert cell.U.grad is None
    close(*found)


def test_other_memory_of_a_parameter_makes_new_graphs(captured: list) -> None:
    one, other = pair(cells.MGU)
    x = torch.randn(6, 3, 4).double()
    trained(one, x)
    own: Any = one.layers[0]
    kept = own.U_h.data
    before = kept.clone()
    for each in (one, other):
        cell: Any = each.layers[0]
        cell.U_h.data = cell.U_h.data + 1
    close(trained(one, x), trained(other, x))
    close(kept, before)  # and the old memory is left alone
    assert len(captured) == 2 and len(graphed._graphs[own]) == 1
    one.load_state_dict(other.state_dict())  # in place
    trained(one, x)
    assert len(captured) == 2
    one.to(torch.float64)  # as on the way to the CPU and back
    assert one.layers[0] not in graphed._graphs
    trained(one, x)
    assert len(captured) == 3


def test_graphs_are_no_part_of_a_cell(captured: list) -> None:
    one, _ = pair(cells.MGU)
    x = torch.randn(6, 3, 4).double()
    trained(one, x)
    before = list(one.state_dict())
    copies = [copy.deepcopy(one), pickle.loads(pickle.dumps(one))]
    assert [list(each.state_dict()) for each in copies] == [before] * 2
    assert list(graphed._graphs) == [one.layers[0]]
    for each in copies:
        nn.init.zeros_(each.get_parameter("layers.0.U_h"))
        trained(each, x)
    assert len(captured) == 3 and one.get_parameter("layers.0.U_h").abs().sum() > 0
    del copies, each
    assert list(graphed._graphs) == [one.layers[0]]  # they die with their cell


def test_steps_that_cannot_be_captured(captured: list, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("torch.cuda.make_graphed_callables", refuse)
    one, _ = pair(cells.MGU)
    with pytest.raises(
        RuntimeError, match=r"MGU over .*\(6, 3, 10\) .* choose path=plain \(operat"
    ):
        one(Features(torch.randn(6, 3, 4).double()))


@pytest.mark.parametrize("kind", [cells.MGU, cells.MGU1, cells.MinGRU, cells.TEXTnetOrder2])
def test_torch_takes_what_it_is_given(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own function, with a device that only pretends: every replay finds the outputs of the
    capture, which are right for its inputs."""
    monkeypatch.setattr(graphed, "DEVICE", "cpu")
    monkeypatch.setattr(graphed, "gc", MagicMock())
    monkeypatch.setattr("torch.cuda.synchronize", lambda: None)
    monkeypatch.setattr("torch.cuda.graphs.graph_pool_handle", lambda: None)
    for name in ("CUDAGraph", "Stream", "stream", "graph"):
        monkeypatch.setattr(f"torch.cuda.{name}", MagicMock())
    one, other = pair(kind)
    x = torch.randn(
        1, 3, 4
    ).double()  # one step: a part of some states is no function of the inputs
    for each in (one, other):
        each.zero_grad()
        hidden, final = each(Features(x))
        assert each.path == each.asked
        (hidden.sum() + sum(state.sum() for state in final)).backward()
    gradients = [[p.grad for p in each.parameters() if p.grad is not None] for each in (one, other)]
    assert all(map(bool, gradients))
    close(one(Features(x))[0], other(Features(x))[0])
    with torch.inference_mode():
        close(one(Features(x)), other(Features(x)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_is_the_plain_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.make_graphed_callables", None)
    one, other = pair(cells.MGU)
    x = Features(torch.randn(6, 3, 4).double())
    assert one.path == "plain" and torch.equal(one(x)[0], other(x)[0])
    assert one.path == "plain"


def test_auto_takes_it_where_a_check_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    from omegaconf import OmegaConf

    def chosen(card: str) -> str:
        node = {"_target_": "rnnexp.nn.recurrence.CellRecurrence", "path": "auto"}
        config = OmegaConf.create({"recurrence": node})
        settings._choose_paths(config, cards.auto_path(card))
        return config.recurrence.path

    assert chosen("NVIDIA H100 80GB HBM3") == "fused"
    monkeypatch.setattr(cards, "CHECKED", frozenset({"NVIDIA H100 80GB HBM3"}))
    assert chosen("NVIDIA H100 80GB HBM3") == "graphed" and chosen("another") == "fused"
