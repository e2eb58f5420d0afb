"""Row lookups against plain indexing: values, gradients, readers, and the rows touched."""

import copy
import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from rnnexp.nn.fast.tables import ROW_READERS, current_rows, lookup, rows_in_use


def table(rows: int = 11, size: int = 4) -> nn.Parameter:
    generator = torch.Generator().manual_seed(0)
    return nn.Parameter(torch.randn(rows, size, generator=generator, dtype=torch.double))


INDICES = {
    "several": torch.tensor([[7, 2, 2], [9, 7, 0]]),
    "transposed": torch.tensor([[7, 2, 2], [9, 7, 0]]).t(),
    "one": torch.tensor([[5]]),
    "scalar": torch.tensor(3),
    "none": torch.empty(0, 2, dtype=torch.int64),
}


@pytest.mark.parametrize("name", INDICES)
def test_the_same_as_plain_indexing(name: str) -> None:
    ours, plain, indices = table(), table(), INDICES[name]
    weight = torch.arange(indices.numel() * 4.0, dtype=torch.double).view(*indices.shape, 4)
    out = lookup(ours, indices)
    assert torch.equal(out, plain[indices])
    (out.tanh() * weight).sum().backward()
    (plain[indices].tanh() * weight).sum().backward()
    assert ours.grad is not None and plain.grad is not None
    assert ours.grad.is_sparse and ours.grad.sparse_dim() == 1
    torch.testing.assert_close(ours.grad.to_dense(), plain.grad, rtol=1e-14, atol=0)


def test_the_gradient_has_each_row_in_use_once_and_in_order() -> None:
    ours = table()
    lookup(ours, INDICES["several"]).sum().backward()
    assert ours.grad is not None
    assert ours.grad._indices().tolist() == [[0, 2, 7, 9]]
    assert ours.grad._values()[:, 0].tolist() == [1, 2, 2, 1]


def test_two_reads_of_one_table_add_up() -> None:
    ours, plain = table(), table()
    first, second = torch.tensor([1, 4]), torch.tensor([4, 9])
    (lookup(ours, first).sum() + (lookup(ours, second) ** 2).sum()).backward()
    (plain[first].sum() + (plain[second] ** 2).sum()).backward()
    assert ours.grad is not None and plain.grad is not None
    torch.testing.assert_close(ours.grad.to_dense(), plain.grad, rtol=1e-14, atol=0)


def test_the_small_table_stands_for_the_large_one() -> None:
    ours, indices = table(), INDICES["several"]
    rows, place = rows_in_use(ours, indices)
    assert rows.shape == (4, 4) and place.shape == indices.shape
    assert torch.equal(rows[place], ours[indices])


def test_a_second_derivative() -> None:
    ours, plain, indices = table(), table(), INDICES["several"]

    def second(weight: Tensor, rows: Tensor) -> Tensor:
        (first,) = torch.autograd.grad((rows**3).sum(), rows, create_graph=True)
        (gradient,) = torch.autograd.grad((first**2).sum(), weight)
        return gradient

    result = second(ours, lookup(ours, indices)).to_dense()
    torch.testing.assert_close(result, second(plain, plain[indices]))


# Readers ----------------------------------------------------------------------------------------


class TenTimesTheNumber:
    """A reader that returns 10 n in every entry of row n."""

    def read_rows(self, table: Tensor, rows: Tensor) -> Tensor:
        return 10.0 * rows.unsqueeze(1).expand(-1, table.shape[1])

    def catch_up(self) -> None:
        raise NotImplementedError


@pytest.fixture
def reader() -> TenTimesTheNumber:
    return TenTimesTheNumber()


def test_rows_are_read_by_the_reader_of_the_table(reader: TenTimesTheNumber) -> None:
    ours = table()
    ROW_READERS.register(ours, reader)
    assert current_rows(ours, torch.tensor([3, 1])).tolist() == [[30.0] * 4, [10.0] * 4]
    assert lookup(ours, torch.tensor([2, 2]))[1].tolist() == [20.0] * 4
    assert lookup(ours, torch.tensor([6]))[0].tolist() == [60.0] * 4


def test_another_table_and_a_copy_have_no_reader(reader: TenTimesTheNumber) -> None:
    ours = nn.ParameterDict({"read": table(), "other": table()})
    ROW_READERS.register(ours["read"], reader)
    copied = copy.deepcopy(ours)
    for one in (ours["other"], copied["read"], copied["other"]):
        assert ROW_READERS.find(one) is None
        assert torch.equal(current_rows(one, torch.tensor([3])), table()[3:4])


def test_a_reader_is_removed(reader: TenTimesTheNumber) -> None:
    ours = table()
    ROW_READERS.register(ours, reader)
    ROW_READERS.remove(ours, TenTimesTheNumber())  # not the reader of this table
    assert ROW_READERS.find(ours) is reader
    ROW_READERS.remove(ours, reader)
    assert ROW_READERS.find(ours) is None
    ROW_READERS.remove(ours)  # nothing to do
    ROW_READERS.register(ours, reader)
    ROW_READERS.remove(ours)
    assert torch.equal(current_rows(ours, torch.tensor([3])), ours[3:4])


def test_neither_tables_nor_readers_are_kept_in_memory() -> None:
    ours, reader = table(), TenTimesTheNumber()
    ROW_READERS.register(ours, reader)
    kept = weakref.ref(ours), weakref.ref(reader)
    del reader
    gc.collect()
    assert kept[1]() is None
    with pytest.raises(RuntimeError, match=r"call its catch_up\(\) before it is deleted"):
        lookup(ours, torch.tensor([2]))
    del ours
    gc.collect()
    assert kept[0]() is None
