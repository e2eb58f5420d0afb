"""The fused path against the plain path: values, gradients, padding, nesting, memory."""

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rnnexp.nn.cell import Cell
from rnnexp.nn.cells import GRU, LSTM, MGU, Linear, TEXTnetOrder2, Vanilla
from rnnexp.nn.fast import fused, projections, tuning, workspace
from rnnexp.nn.fast.fused import run_fused
from rnnexp.nn.fast.kernels import KERNELS, base
from rnnexp.nn.fast.kernels.simple import VanillaKernel
from rnnexp.nn.fast.tuning import Tuning
from rnnexp.nn.plain import run_plain
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features, OneHot, Sequences

LENGTHS = torch.tensor([7, 3, 1, 5, 5])
every_cell = pytest.mark.parametrize("kind", KERNELS)


SMALL = Tuning(
    onednn_from=None,
    sigmoid_from=None,
    augment_from=0,
    joint_below=0,
    group_sequences=3,
    block_rows=9,
)


@pytest.fixture(autouse=True, params=[0, 1000], ids=["a product a gate", "joint products"])
def small_cuts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Split batches of 5 into 3 and 2 sequences, and 7 steps into blocks of 3 or 4. Inputs of 6
    features are projected; inputs of 4 features are concatenated to the hidden state."""
    tune(monkeypatch, joint_below=request.param)
    monkeypatch.setattr(projections, "MAX_AUGMENTED_FEATURES", 5)
    torch.manual_seed(0)


def tune(monkeypatch: pytest.MonkeyPatch, **changes: int) -> None:
    """Change the tuning of every cell."""
    before = getattr(vars(fused)["tuning_of"], "chosen", SMALL)

    def tuning_of(cell: str) -> Tuning:
        return chosen

    chosen = replace(before, **changes)
    vars(tuning_of)["chosen"] = chosen
    monkeypatch.setattr(fused, "tuning_of", tuning_of)


def drawn(cell: Any) -> Any:
    """Draw weights that are large enough for every gate to affect the result."""
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_(std=0.7)
    return cell.double()


def sequences(one_hot: bool, lengths: Tensor | None, size: int = 6) -> Sequences:
    if one_hot:
        return OneHot(torch.randint(size, (7, 5)), lengths)
    return Features(torch.randn(7, 5, size, dtype=torch.float64, requires_grad=True), lengths)


def gradients(run: Any, cell: Cell, x: Sequences, every_step: bool) -> list[Tensor]:
    """The outputs, and the gradients of a random linear function of all outputs."""
    hidden, final = run(cell, x, every_step)
    generator = torch.Generator().manual_seed(1)
    outputs = [hidden, *final]
    loss = sum(
        (one * torch.randn(one.shape, generator=generator, dtype=one.dtype)).sum()
        for one in outputs
    )
    inputs = [x.values] if x.values.is_floating_point() else []
    return [*outputs, *torch.autograd.grad(loss, [*inputs, *cell.parameters()])]


@every_cell
@pytest.mark.parametrize(
    ("one_hot", "size"), [(False, 4), (False, 6), (True, 6)], ids=["few", "features", "one hot"]
)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "padded"])
@pytest.mark.parametrize("every_step", [False, True])
def test_equal_to_the_plain_path(
    kind: type[Cell], one_hot: bool, size: int, lengths: Tensor | None, every_step: bool
) -> None:
    cell, x = drawn(kind(size, 4)), sequences(one_hot, lengths, size)
    expected = gradients(run_plain, cell, x, every_step)
    found = gradients(run_fused, cell, x, every_step)
    assert len(found[0]) == (7 if every_step else 0)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
    with torch.no_grad():
        hidden, final = run_fused(cell, x, every_step)
    for one, other in zip([hidden, *final], found, strict=False):
        assert torch.equal(one, other)


@every_cell
@pytest.mark.parametrize("run", [run_plain, run_fused])
def test_sparse_gradients_of_one_hot_words(kind: type[Cell], run: Any) -> None:
    cell = drawn(kind(60, 4))
    x = OneHot(torch.randint(60, (7, 5)), LENGTHS)
    expected = gradients(run, cell, x, True)
    found = gradients(run, cell, replace(x, sparse=True), True)
    rows = [one for one in found if one.is_sparse]
    assert len(rows) == 1 and len(rows[0]._values()) == len(x.values.unique())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.to_dense(), other, rtol=1e-12, atol=1e-12)


@every_cell
@pytest.mark.parametrize(
    ("one_hot", "size"), [(False, 4), (False, 6), (True, 6)], ids=["few", "features", "one hot"]
)
@pytest.mark.parametrize(
    ("threads", "piece"),
    [(2, 2), (2, 1), (3, 1)],
    ids=["one piece for each core", "two for each core", "not split"],
)
def test_weights_split_for_one_sequence(
    kind: type[Cell],
    one_hot: bool,
    size: int,
    threads: int,
    piece: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sequences run one at a time, and the cores share the columns of the weights."""
    tune(monkeypatch, group_sequences=1)
    monkeypatch.setattr(base, "MIN_SPLIT_WEIGHT", 1)
    monkeypatch.setattr(base, "MIN_SPLIT_COLUMNS", piece)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    cell, x = drawn(kind(size, 4)), sequences(one_hot, LENGTHS, size)
    expected = gradients(run_plain, cell, x, True)
    for one, other in zip(gradients(run_fused, cell, x, True), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@every_cell
@pytest.mark.parametrize(
    ("one_hot", "size"), [(False, 4), (False, 6), (True, 6)], ids=["few", "features", "one hot"]
)
@pytest.mark.parametrize("more", [1, 8, 30])
def test_padded_rows_of_a_block_change_nothing(
    kind: type[Cell], one_hot: bool, size: int, more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks of 3 or 4 steps, the last block shorter. Padded rows extend to the next block or past
    the last step."""

    def longer(*arguments: Any) -> list[workspace.Block]:
        blocks = workspace.split_blocks(*arguments)
        return [replace(block, rows=block.rows + more) for block in blocks]

    monkeypatch.setattr(fused, "split_blocks", longer)
    monkeypatch.setattr(torch.Tensor, "new_empty", filled_with_nan)
    cell, x = drawn(kind(size, 4)), sequences(one_hot, LENGTHS, size)
    expected = gradients(run_plain, cell, x, True)
    for one, other in zip(gradients(run_fused, cell, x, True), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)
    with torch.no_grad():
        hidden, final = run_fused(cell, x, True)
    for one, other in zip([hidden, *final], expected, strict=False):  # without the gradients
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def filled_with_nan(tensor: torch.Tensor, *shape: int) -> torch.Tensor:
    return tensor.new_full(shape, torch.nan)


def test_a_weight_is_split_into_as_many_pieces_as_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each piece has at least `piece` columns, and each core has the same number of pieces."""
    monkeypatch.setattr(base, "MIN_SPLIT_WEIGHT", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    tune(monkeypatch, group_sequences=1)
    for size, piece, expected in ((14, 2, 2), (12, 2, 6), (12, 4, 2), (10, 9, 2)):
        monkeypatch.setattr(base, "MIN_SPLIT_COLUMNS", piece)
        cell, x = drawn(Vanilla(3, size)), sequences(False, None, 3)
        weight = VanillaKernel(cell, 1, None, SMALL)._split_columns(cell.U)
        assert weight is not None and weight.shape == (expected, size, size // expected)
        for one, other in zip(run_fused(cell, x, True), run_plain(cell, x, True), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_textnet_order2_without_its_tanh() -> None:
    cell, x = drawn(TEXTnetOrder2(6, 4, tanh=False)), sequences(False, LENGTHS)
    expected = gradients(run_plain, cell, x, True)
    for one, other in zip(gradients(run_fused, cell, x, True), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-9)


def test_onednn_gets_only_a_few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred batches with different numbers of steps."""
    tune(monkeypatch, onednn_from=1, block_rows=4096)
    monkeypatch.setattr(tuning, "HAS_ONEDNN", True)
    asked = set[int]()

    def products(own: Tuning, rows: int, inner: int, columns: int) -> AbstractContextManager[None]:
        asked.add(rows)
        return nullcontext()

    monkeypatch.setattr(Tuning, "products", products)
    cell = MGU(6, 4)
    for steps_of_batch in range(1, 101):
        hidden, _ = run_fused(cell, Features(torch.randn(steps_of_batch, 3, 6)), True)
        hidden.sum().backward()
    one_step = {3}  # rows
    unpadded = {6, 9, 12, 15}
    assert asked - one_step - unpadded == {32, 64, 96, 128, 160, 192, 224, 256, 320}


@every_cell
@pytest.mark.parametrize("size", [4, 6], ids=["few", "features"])
@pytest.mark.parametrize("sigmoid", [False, True])
def test_either_way_of_computing_tanh(
    kind: type[Cell], size: int, sigmoid: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sigmoid:
        tune(monkeypatch, sigmoid_from=0)
    cell, x = drawn(kind(size, 4)), sequences(False, LENGTHS, size)
    expected = gradients(run_plain, cell, x, True)
    for one, other in zip(gradients(run_fused, cell, x, True), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@every_cell
def test_single_precision(kind: type[Cell]) -> None:
    cell = kind(6, 16)
    x = Features(torch.randn(30, 5, 6))
    for one, other in zip(run_fused(cell, x, True), run_plain(cell, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@every_cell
def test_gradcheck_and_the_second_derivative(kind: type[Cell]) -> None:
    cell = drawn(kind(2, 3))
    values = torch.randn(4, 2, 2, dtype=torch.float64, requires_grad=True)

    def function(values: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        hidden, final = run_fused(cell, Features(values, torch.tensor([4, 2])), True)
        return hidden, *final

    inputs = (values, *cell.parameters())
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


@every_cell
@pytest.mark.parametrize("size", [4, 6])
def test_not_even_nan_behind_the_last_step_reaches_anything(kind: type[Cell], size: int) -> None:
    cell, x = drawn(kind(size, 4)), sequences(False, LENGTHS, size)
    expected = gradients(run_fused, cell, x, False)
    values = x.values.detach().clone()
    for row, length in enumerate(LENGTHS):
        values[length:, row] = torch.nan
    found = gradients(run_fused, cell, Features(values.requires_grad_(), LENGTHS), False)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("one_hot", "size"), [(False, 4), (False, 6), (True, 6)])
@pytest.mark.parametrize(("steps", "batch"), [(0, 5), (7, 0)], ids=["no step", "no sequence"])
@every_cell
def test_nothing_to_run_over(
    kind: type[Cell], one_hot: bool, size: int, steps: int, batch: int
) -> None:
    cell, x = drawn(kind(size, 4)), sequences(one_hot, None, size)
    x = replace(x, values=x.values.detach()[:steps, :batch])
    hidden, final = run_fused(cell, x, True)
    assert hidden.shape == (steps, batch, 4)
    for state in final:
        assert torch.equal(state, torch.zeros(batch, 4, dtype=torch.float64))
    torch.stack([hidden.sum(), *(state.sum() for state in final)]).sum().backward()
    assert all(not one.grad.any() for one in cell.parameters())
    with torch.no_grad():
        assert run_fused(cell, x, True)[0].shape == (steps, batch, 4)


# Memory is never shared -------------------------------------------------------------------------


@every_cell
def test_two_forwards_then_their_backwards_in_any_order(kind: type[Cell]) -> None:
    cell = drawn(kind(6, 4))
    first, second = sequences(False, None), sequences(False, LENGTHS)
    alone = [torch.autograd.grad(total(cell, x), cell.parameters()) for x in (first, second)]
    for order in ([0, 1], [1, 0]):
        losses = [total(cell, x) for x in (first, second)]
        for number in order:
            found = torch.autograd.grad(losses[number], cell.parameters())
            for one, other in zip(found, alone[number], strict=True):
                assert torch.equal(one, other)


def total(cell: Cell, x: Sequences) -> Tensor:
    hidden, final = run_fused(cell, x, True)
    return hidden.square().sum() + sum(state.sum() for state in final)


@every_cell
@pytest.mark.parametrize(
    ("one_hot", "size"), [(False, 4), (False, 6), (True, 6)], ids=["few", "features", "one hot"]
)
def test_backward_twice_through_one_graph(kind: type[Cell], one_hot: bool, size: int) -> None:
    cell, x = drawn(kind(size, 4)), sequences(one_hot, None, size)
    loss = total(cell, x)
    first = torch.autograd.grad(loss, cell.parameters(), retain_graph=True)
    second = torch.autograd.grad(loss, cell.parameters())
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


def test_nested_a_cell_over_the_states_of_itself() -> None:
    cell, x = drawn(GRU(4, 4)), Features(torch.randn(7, 5, 4, dtype=torch.float64))

    def twice(run: Any) -> Tensor:
        below, _ = run(cell, x, True)
        _, (final,) = run(cell, Features(below), False)
        return final.square().sum()

    found = torch.autograd.grad(twice(run_fused), cell.parameters())
    expected = torch.autograd.grad(twice(run_plain), cell.parameters())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


def test_an_exception_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    cell, x = drawn(LSTM(6, 4)), sequences(False, None)
    expected = torch.autograd.grad(total(cell, x), cell.parameters())
    kernel, calls = KERNELS[LSTM], iter(range(5))

    def fails(self: Any, *arguments: Any) -> None:
        if next(calls) == 3:
            raise KeyboardInterrupt
        original(self, *arguments)

    for name in ("forward", "backward"):
        original, calls = getattr(kernel, name), iter(range(5))
        with monkeypatch.context() as patch:
            patch.setattr(kernel, name, fails)
            with pytest.raises(KeyboardInterrupt):
                torch.autograd.grad(total(cell, x), cell.parameters())
        found = torch.autograd.grad(total(cell, x), cell.parameters())
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)


def test_another_thread_at_the_same_time() -> None:
    cell = drawn(TEXTnetOrder2(6, 4))
    inputs = [sequences(False, None) for _ in range(4)]
    expected = [torch.autograd.grad(total(cell, x), cell.parameters()) for x in inputs]
    found: dict[int, list[Any]] = {number: [] for number in range(4)}

    def work(number: int) -> None:
        for _ in range(10):
            loss = total(cell, inputs[number])
            found[number].append(torch.autograd.grad(loss, cell.parameters()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert len(found[number]) == 10
        for gradient in found[number]:
            for one, other in zip(gradient, expected[number], strict=True):
                assert torch.equal(one, other)


def test_weights_that_changed_before_backward_are_refused() -> None:
    cell, x = drawn(Linear(6, 4)), sequences(False, None)
    loss = total(cell, x)
    with torch.no_grad():
        cell.U.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_hidden_states_that_are_changed_in_place_are_refused() -> None:
    cell, x = drawn(MGU(6, 4)), sequences(False, None).split(3)[0]
    hidden, _ = run_fused(cell, x, True)
    hidden.detach().mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        hidden.sum().backward()


# Stacks -------------------------------------------------------------------------------------------


@every_cell
def test_stacks_in_both_directions(kind: type[Cell]) -> None:
    options: Any = {"num_layers": 2, "bidirectional": True}
    one = drawn(CellRecurrence(kind, 6, 4, **options))
    other = CellRecurrence(kind, 6, 4, **options, path="plain").double()
    other.load_state_dict(one.state_dict())
    x = sequences(False, LENGTHS)
    for every_step in (True, False):
        hidden, final = one(x, every_step)
        expected, expected_final = other(x, every_step)
        torch.testing.assert_close(hidden, expected, rtol=1e-11, atol=1e-11)
        torch.testing.assert_close(final, expected_final, rtol=1e-11, atol=1e-11)
