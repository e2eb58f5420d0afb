"""Row lookups in large tables, at a cost that does not depend on the size of the table.

The input weight for one-hot words is a table with one row per word of the vocabulary. A batch uses
few of these rows. The gradient is a sparse tensor that holds only the rows in use, sorted and
without duplicates.

A lazy optimiser (`rnnexp.optim.rows`) does not update unused rows. It registers itself in
`ROW_READERS` as the reader of the table, which computes the up-to-date value of a row. Therefore
read a table only through the functions of this module, or after the optimiser's `catch_up()`.
"""

import weakref
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary


class RowReader(Protocol):
    """Computes the up-to-date values of the rows of a table; a lazy optimiser implements this."""

    def read_rows(self, table: Tensor, rows: Tensor) -> Tensor:
        """The up-to-date values (U, N) of the given rows, without writing them; rows: (U,)."""

    def catch_up(self) -> None:
        """Bring every row up to date, and remove the reader from `ROW_READERS`."""


class RowReaders:
    """Maps each table with outdated rows to its reader.

    The registry holds weak references to tables and readers. A copy of a table has no reader.
    """

    def __init__(self) -> None:
        self._readers = WeakTensorKeyDictionary()  # table -> weak reference to its reader

    def register(self, table: Tensor, reader: RowReader) -> None:
        """From now on, lookups in this table call the reader."""
        self._readers[table] = weakref.ref(reader)

    def remove(self, table: Tensor, reader: RowReader | None = None) -> None:
        """From now on, lookups read the table directly. If a reader is given, do nothing unless it
        is the reader of the table."""
        reference = self._readers.get(table)
        if reference is not None and reader in (None, reference()):
            del self._readers[table]

    def find(self, table: Tensor) -> RowReader | None:
        """The reader of a table; None if all rows are up to date.

        Raises:
            RuntimeError: the reader no longer exists, so the values of outdated rows are lost.
        """
        reference = self._readers.get(table)
        if reference is None:
            return None
        reader = reference()
        if reader is None:
            raise RuntimeError(
                "some rows of a table are outdated, and the optimiser that could update them is "
                "gone: call its catch_up() before it is deleted"
            )
        return reader


ROW_READERS = RowReaders()


def lookup(table: Tensor, indices: Tensor) -> Tensor:
    """table: (V, N), indices: integers of any shape (...) -> rows of the table, (..., N)."""
    if indices.numel() == 1:  # e.g. the last word of a review: no duplicates to merge
        return _Rows.apply(table, indices.view(1)).view(*indices.shape, -1)
    rows, place = rows_in_use(table, indices)
    return functional.embedding(place, rows)


def rows_in_use(table: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """The rows at the given indices as a smaller table (U, N), and the position of every index in
    the smaller table, a tensor like `indices`.

    Lookups in the smaller table give the same values as in the full table. The gradient of the full
    table is then sparse.
    """
    numbers, place = indices.unique(return_inverse=True)  # sorted
    return _Rows.apply(table, numbers), place


def current_rows(table: Tensor, rows: Tensor) -> Tensor:
    """The up-to-date values (U, N) of rows of a table, without gradient; rows: (U,), indices."""
    reader = ROW_READERS.find(table)
    return table.index_select(0, rows) if reader is None else reader.read_rows(table, rows)


class _Rows(torch.autograd.Function):
    """Rows of a table, sorted and without duplicates, with a sparse gradient of the table."""

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
    """A coalesced sparse tensor of this shape that is zero except in the given rows.

    rows: (U,), indices, sorted and without duplicates. values: (U, N).
    """
    return torch.sparse_coo_tensor(
        rows.unsqueeze(0), values, shape, is_coalesced=True, check_invariants=False
    )
