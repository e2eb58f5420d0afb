"""Clipping and reduction of sparse gradients against torch's functions on dense gradients."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from rnnexp.nn.fast.tables import lookup, sparse_rows
from rnnexp.optim.gradients import clip_grad_norm_, clip_grad_value_, reduce_rows, touched_rows


def parameters(seed: int = 0) -> list[nn.Parameter]:
    """Two tables and a matrix with the gradients of a batch, and a parameter without a gradient."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [(50, 3), (20, 2), (4, 5), (2, 2)]
    tables = [nn.Parameter(torch.randn(*size, generator=generator)) for size in sizes]
    for table in tables[:2]:
        words = torch.randint(20, (12,), generator=generator)
        # Read twice, so that autograd adds two sparse gradients.
        loss = (lookup(table, words) ** 2).sum() + lookup(table, words[:5]).sum()
        loss.backward()
    (tables[2] ** 3).sum().backward()
    return tables


def dense(parameters: list[nn.Parameter]) -> list[nn.Parameter]:
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in parameters]
    for copy, parameter in zip(copies, parameters, strict=True):
        if parameter.grad is not None:
            copy.grad = parameter.grad.to_dense().clone()
    return copies


def gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    return [p.grad.to_dense() for p in parameters if p.grad is not None]


def test_touched_rows() -> None:
    first, *_ = parameters()
    assert first.grad is not None
    rows, values = touched_rows(first.grad)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert torch.equal(first.grad.to_dense()[rows], values)
    rows, values = touched_rows(torch.ones(3, 2))
    assert rows.tolist() == [0, 1, 2] and values.shape == (3, 2)


def test_a_row_that_stands_twice_is_summed() -> None:
    twice = torch.sparse_coo_tensor(
        torch.tensor([[4, 1, 4]]),
        torch.tensor([[1.0], [2.0], [3.0]]),
        (6, 1),
        check_invariants=True,
    )
    rows, values = touched_rows(twice)
    assert rows.tolist() == [1, 4] and values.tolist() == [[2.0], [4.0]]
    table = nn.Parameter(torch.zeros(6, 1))
    table.grad = twice
    assert clip_grad_norm_([table], 1.0).item() == pytest.approx(20**0.5)  # not 14**0.5
    assert table.grad.to_dense()[4].item() == pytest.approx(4 / 20**0.5)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.1, 1e6])
def test_clipping_by_the_common_norm(max_norm: float, norm_type: float) -> None:
    ours = parameters()
    theirs = dense(ours)
    norm = clip_grad_norm_(iter(ours), max_norm, norm_type)
    expected = nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    torch.testing.assert_close(norm, expected, rtol=1e-6, atol=0)
    torch.testing.assert_close(gradients(ours), gradients(theirs), rtol=1e-6, atol=0)
    assert ours[0].grad is not None and ours[0].grad.is_sparse


def test_clipping_of_dense_gradients_alone_has_torchs_bits() -> None:
    ours = dense(parameters())
    theirs = dense(ours)
    clip_grad_norm_(ours, 0.1)
    nn.utils.clip_grad_norm_(theirs, 0.1)
    assert all(map(torch.equal, gradients(ours), gradients(theirs)))


def test_clipping_where_no_row_is_touched() -> None:
    table = nn.Parameter(torch.zeros(5, 2))
    table.grad = sparse_rows(torch.empty(0, dtype=torch.int64), torch.empty(0, 2), table.shape)
    assert clip_grad_norm_([table], 1.0, float("inf")).item() == 0


def test_clipping_by_value() -> None:
    ours = parameters()
    theirs = dense(ours)
    clip_grad_value_(ours, 0.5)
    nn.utils.clip_grad_value_(theirs, 0.5)
    torch.testing.assert_close(gradients(ours), gradients(theirs), rtol=0, atol=0)


# Two processes ----------------------------------------------------------------------------------


def reduce_in_a_process(rank: int, folder: Path) -> None:
    """Save the gradients of the tables in this process before and after reduction in `folder`."""
    distributed.init_process_group(
        "gloo", init_method=(folder / "meeting").as_uri(), rank=rank, world_size=2
    )
    found: dict[str, Any] = {}
    for mean in (True, False):
        first, second, _, last = tables = parameters(seed=rank)
        if rank == 1:
            second.grad = None  # this process did not read this table
        before = [None if t.grad is None else t.grad.to_dense().clone() for t in tables]
        reduce_rows([first, second, last], mean=mean)
        after = [None if t.grad is None else t.grad.to_dense() for t in tables]
        rows = [touched_rows(t.grad)[0] for t in (first, second) if t.grad is not None]
        found["mean" if mean else "sum"] = {"before": before, "after": after, "rows": rows}
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


def test_reduction_over_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    spawn(reduce_in_a_process, (tmp_path,), nprocs=2)
    of_ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for name, part in {"sum": 1.0, "mean": 0.5}.items():
        zero, one = (found[name]["before"] for found in of_ranks)
        for found in of_ranks:
            first, second, _, last = found[name]["after"]
            torch.testing.assert_close(first, part * (zero[0] + one[0]), rtol=1e-6, atol=0)
            torch.testing.assert_close(second, part * zero[1], rtol=1e-6, atol=0)
            assert last is None
            rows = found[name]["rows"][0].tolist()
            touched = (zero[0] != 0).any(1) | (one[0] != 0).any(1)
            assert rows == touched.nonzero().squeeze(1).tolist()
        both = [found[name]["after"] for found in of_ranks]
        assert torch.equal(both[0][0], both[1][0]) and torch.equal(both[0][1], both[1][1])
