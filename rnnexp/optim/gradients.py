"""Clip gradients and reduce them over processes, those of tables included, which are sparse.

torch clips dense gradients only, and its DistributedDataParallel does not reduce those that a table
has. The rows missing from a sparse gradient are zero, so the norm of the other rows is the norm of
the gradient.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor
from torch import distributed as dist

from rnnexp.nn.fast.tables import sparse_rows


def touched_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The indices (U,) of the rows in a table's gradient (V, N), sorted and without duplicates, and
    their values (U, N). If possible, the values share the memory of the gradient.

    A dense gradient contains all rows.
    """
    if not gradient.is_sparse:
        return torch.arange(len(gradient), device=gradient.device), gradient
    rows = gradient._indices()[0]
    # autograd drops the flag `is_coalesced`.
    if not gradient.is_coalesced() and not bool((rows[1:] > rows[:-1]).all()):
        gradient = gradient.coalesce()
        rows = gradient._indices()[0]
    return rows, gradient._values()


@torch.no_grad()
def clip_grad_norm_(
    parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2.0
) -> Tensor:
    """torch.nn.utils.clip_grad_norm_ for dense and sparse gradients: scale all gradients so that
    their total norm is at most max_norm. Returns the total norm before scaling.
    """
    gradients = _values(parameters)
    norm = torch.nn.utils.get_total_norm(gradients, norm_type)
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.to(gradient.device))
    return norm


@torch.no_grad()
def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """torch.nn.utils.clip_grad_value_ for dense and sparse gradients: clamp every entry to
    [-clip_value, clip_value]."""
    for gradient in _values(parameters):
        gradient.clamp_(-clip_value, clip_value)


def _values(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The values of all gradients, as tensors that share memory with the gradients."""
    values = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        rows, numbers = touched_rows(parameter.grad)
        if parameter.grad.is_sparse:  # replaced, because rows may have been duplicated
            parameter.grad = sparse_rows(rows, numbers, parameter.shape)
        if numbers.numel():
            values.append(numbers)
    return values


NONE, DENSE, SPARSE = range(3)


@torch.no_grad()
def reduce_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace every gradient by its mean over all processes.

    A process without a gradient contributes zeros. If no process has a gradient, it stays None. The
    order of every sum is that of the parameters and processes, so that the result can be repeated.
    All processes must pass the same parameters in the same order.
    """
    parameters = list(parameters)
    kinds = torch.tensor([_kind(p.grad) for p in parameters], device=parameters[0].device)
    dist.all_reduce(kinds, dist.ReduceOp.MAX)
    by_dtype = defaultdict(list)
    for parameter, kind in zip(parameters, kinds.tolist(), strict=True):
        if kind == DENSE:
            by_dtype[parameter.dtype].append(parameter)
    for group in by_dtype.values():
        _reduce_dense(group)
    reduce_rows(p for p, kind in zip(parameters, kinds.tolist(), strict=True) if kind == SPARSE)


def _kind(gradient: Tensor | None) -> int:
    if gradient is None:
        return NONE
    return SPARSE if gradient.is_sparse else DENSE


def _reduce_dense(parameters: list[Tensor]) -> None:
    """One all-reduce for all of them."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    parts = flat.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


@torch.no_grad()
def reduce_rows(
    tables: Iterable[Tensor], mean: bool = True, group: dist.ProcessGroup | None = None
) -> None:
    """Replace the gradient of each table by its sum or mean over all processes (all-reduce).

    Only the rows in use are sent. A process without a gradient contributes zeros. If no process has
    a gradient, it stays None. The sum follows the order of the processes, so the result is the same
    in all of them to the bit. All processes must pass the same tables in the same order.
    """
    for table in tables:
        rows, values = _gather_rows(table, group)
        if rows is None:
            continue
        if mean:
            values = values / dist.get_world_size(group)
        distinct, place = rows.unique(return_inverse=True)
        summed = values.new_zeros(len(distinct), values.shape[1]).index_add_(0, place, values)
        table.grad = sparse_rows(distinct, summed, table.shape)


def _gather_rows(table: Tensor, group: dist.ProcessGroup | None) -> tuple[Tensor | None, Tensor]:
    """The indices of the rows in use by each process, concatenated in the order of the processes,
    and their values. The indices are None if no process has a gradient."""
    world = dist.get_world_size(group)
    if table.grad is None:
        own, values = table.new_empty(0, dtype=torch.int64), table.new_empty(0, table.shape[1])
    else:
        own, values = touched_rows(table.grad)
    count = own.new_tensor([len(own) if table.grad is not None else -1])
    counts = [torch.empty_like(count) for _ in range(world)]
    dist.all_gather(counts, count, group)
    sizes = [int(size) for size in counts]
    if max(sizes) < 0:
        return None, values
    rows = [own.new_zeros(max(sizes)) for _ in range(world)]
    numbers = [values.new_zeros(max(sizes), values.shape[1]) for _ in range(world)]
    dist.all_gather(rows, _padded(own, max(sizes)), group)
    dist.all_gather(numbers, _padded(values, max(sizes)), group)
    sizes = [max(size, 0) for size in sizes]
    return (
        torch.cat([part[:size] for part, size in zip(rows, sizes, strict=True)]),
        torch.cat([part[:size] for part, size in zip(numbers, sizes, strict=True)]),
    )


def _padded(tensor: Tensor, length: int) -> Tensor:
    """The tensor, padded with zeros to this length along axis 0."""
    padded = tensor.new_zeros(length, *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    return padded
