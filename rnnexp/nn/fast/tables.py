"""Lookups in large tables whose cost does not depend on the size of the table.

A weight over one-hot words is a table with one row for each word of the vocabulary. A batch uses
few of them. The gradient is a sparse tensor that holds only the rows in use, each once and in
order, so an optimiser (`rnnexp.optim.rows`) need not touch the others.

Such a lazy optimiser does not update unused rows. It then registers itself in `ROW_READERS` as the
reader of the table: it computes the up-to-date value of a row. So a table must be read through the
functions of this module, or after the optimiser's `catch_up()`.
"""

import weakref
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary


class RowReader(Protocol):
    """Something that updates the rows of a table late, and so has to be asked for their values."""

    def read_rows(self, table: Tensor, rows: Tensor) -> Tensor:
        """The up-to-date values (U, N) of the given rows; rows: (U,). Changes nothing."""

    def catch_up(self) -> None:
        """Bring every row up to date, and remove the reader from `ROW_READERS`."""


class RowReaders:
    """Which tables have rows that are not up to date, and who knows their values.

    The registry keeps neither the tables nor the readers in memory. A copy of a table has no
    reader.
    """

    def __init__(self) -> None:
        self._readers = WeakTensorKeyDictionary()  # table -> weak reference to its reader

    def register(self, table: Tensor, reader: RowReader) -> None:
        """Read the rows of this table by the reader from now on."""
        self._readers[table] = weakref.ref(reader)

    def remove(self, table: Tensor, reader: RowReader | None = None) -> None:
        """Read the table directly again. If a reader is given, only the table of this reader."""
        reference = self._readers.get(table)
        if reference is not None and reader in (None, reference()):
            del self._readers[table]

    def find(self, table: Tensor) -> RowReader | None:
        """The reader of a table; None if all its rows are up to date.

        Raises:
            RuntimeError: the reader no longer exists, so that nobody knows the rows.
        """
        reference = self._readers.get(table)
        if reference is None:
            return None
        reader = reference()
        if reader is None:
            raise RuntimeError(
                "rows of a table are not up to date, and the optimiser that knows them is gone: "
                "call its catch_up() before it is deleted"
            )
        return reader


ROW_READERS = RowReaders()


def lookup(table: Tensor, indices: Tensor) -> Tensor:
    """table: (V, N), indices: integers of any shape (...) -> the rows, (..., N)."""
    if indices.numel() == 1:  # for example the last word of a review: nothing to sort or to add up
        return _Rows.apply(table, indices.view(1)).view(*indices.shape, -1)
    rows, place = rows_in_use(table, indices)
    return functional.embedding(place, rows)


def rows_in_use(table: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """The rows that the indices name, as a small table (U, N), and the position of each index in
    it, a tensor like `indices`.

    Computing with the small table gives the same result as with the large one, and gives the large
    one a sparse gradient.
    """
    numbers, place = indices.unique(return_inverse=True)  # sorted
    return _Rows.apply(table, numbers), place


def current_rows(table: Tensor, rows: Tensor) -> Tensor:
    """The up-to-date values (U, N) of rows of a table; rows: (U,), their numbers. No gradient."""
    reader = ROW_READERS.find(table)
    return table.index_select(0, rows) if reader is None else reader.read_rows(table, rows)


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
    """A table of this shape that is zero except in the given rows, as a coalesced sparse tensor.

    rows: (U,), their numbers, each once and in order. values: (U, N).
    """
    return torch.sparse_coo_tensor(
        rows.unsqueeze(0), values, shape, is_coalesced=True, check_invariants=False
    )
