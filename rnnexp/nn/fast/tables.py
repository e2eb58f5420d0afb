"""Rows of a large table, read and given a gradient at a cost in which its size has no part.

A weight over one-hot words is a table with a row for each word of the vocabulary, of which a batch
uses a few. Its gradient is a sparse tensor of these rows alone, each once and in order, so that an
optimiser (`rnnexp.optim.rows`) need not touch the others. Such an optimiser may let the rows lie
that are not in use; then it leaves word at the table, as the attribute `read_rows`, how a row is
to be read. So a table is read here, or after the optimiser's `catch_up()`.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def lookup(table: Tensor, indices: Tensor) -> Tensor:
    """table: (V, N), indices: integers of any shape (...) -> the rows, (..., N)."""
    if indices.numel() == 1:  # the last word of a review, say: nothing to sort or to add up
        return _Rows.apply(table, indices.view(1)).view(*indices.shape, -1)
    rows, place = rows_in_use(table, indices)
    return functional.embedding(place, rows)


def rows_in_use(table: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """The small table (U, N) of the rows that the indices name, and the place in it of each
    index: a tensor like indices.

    Whatever reads the small table in the place of the large one has the same result, and gives
    the large one a sparse gradient.
    """
    numbers, place = indices.unique(return_inverse=True)  # in order
    return _Rows.apply(table, numbers), place


def current_rows(table: Tensor, rows: Tensor) -> Tensor:
    """The rows (U, N) of a table as they are by now; rows: (U,), their numbers. No gradient."""
    read_rows = getattr(table, "read_rows", None)
    return table.index_select(0, rows) if read_rows is None else read_rows(rows)


class _Rows(torch.autograd.Function):
    """Rows of a table, each at most once and in order."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.shape = table.shape
        return current_rows(table, rows)

    @staticmethod
    def backward(ctx: Any, g_rows: Tensor) -> tuple[Tensor, None]:
        (rows,) = ctx.saved_tensors
        return sparse_rows(rows, g_rows, ctx.shape), None


def sparse_rows(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """A table of this shape that is zero but for some rows, each once and in order, as a coalesced
    sparse tensor. rows: (U,), values: (U, N)."""
    return torch.sparse_coo_tensor(
        rows.unsqueeze(0), values, shape, is_coalesced=True, check_invariants=False
    )
