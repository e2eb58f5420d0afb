"""Gradients of which some are sparse in their rows: clipped, and summed over processes.

torch clips and reduces dense gradients only. A sparse one has zeros in the rows that it leaves out,
so that the norm of its rows is its norm.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch import distributed as dist

from rnnexp.nn.fast.tables import sparse_rows


def touched_rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows (U,) of a table's gradient (V, N) are not zero for certain, each once and in
    order, and their values (U, N), which are the gradient's own memory wherever they can be.

    A dense gradient touches all rows.
    """
    if not gradient.is_sparse:
        return torch.arange(len(gradient), device=gradient.device), gradient
    rows = gradient._indices()[0]
    # autograd loses the mark of a coalesced gradient on its way.
    if not gradient.is_coalesced() and not bool((rows[1:] > rows[:-1]).all()):
        gradient = gradient.coalesce()
        rows = gradient._indices()[0]
    return rows, gradient._values()


@torch.no_grad()
def clip_grad_norm_(
    parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2.0
) -> Tensor:
    """Scale all gradients so that their common norm is at most max_norm.

    As torch.nn.utils.clip_grad_norm_ does with dense gradients. Returns the norm before.
    """
    gradients = _values(parameters)
    norm = torch.nn.utils.get_total_norm(gradients, norm_type)
    scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale.to(gradient.device))
    return norm


@torch.no_grad()
def clip_grad_value_(parameters: Iterable[Tensor], clip_value: float) -> None:
    """Clip every entry of every gradient to at most clip_value in size."""
    for gradient in _values(parameters):
        gradient.clamp_(-clip_value, clip_value)


def _values(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The numbers of all gradients, to be changed in place."""
    values = []
    for parameter in parameters:
        if parameter.grad is None:
            continue
        rows, numbers = touched_rows(parameter.grad)
        if parameter.grad.is_sparse:  # in which a row may have stood twice
            parameter.grad = sparse_rows(rows, numbers, parameter.shape)
        if numbers.numel():
            values.append(numbers)
    return values


@torch.no_grad()
def reduce_rows(
    tables: Iterable[Tensor], mean: bool = True, group: dist.ProcessGroup | None = None
) -> None:
    """Give each table, in every process, the sum or mean of its gradients over all processes.

    Only the touched rows travel. A process without a gradient of a table counts as zeros; where
    none has one, there is none after. The sum is taken in the order of the processes, so that all
    have the same bits. Every process must come with the same tables in the same order.

    With torch's DistributedDataParallel, which reduces the others: name the tables to it beforehand
    as parameters to ignore.
    """
    for table in tables:
        rows, values = _of_all_processes(table, group)
        if rows is None:
            continue
        if mean:
            values = values / dist.get_world_size(group)
        distinct, place = rows.unique(return_inverse=True)
        summed = values.new_zeros(len(distinct), values.shape[1]).index_add_(0, place, values)
        table.grad = sparse_rows(distinct, summed, table.shape)


def _of_all_processes(
    table: Tensor, group: dist.ProcessGroup | None
) -> tuple[Tensor | None, Tensor]:
    """The touched rows of all processes one after the other, and their values; None for the rows
    where no process has a gradient."""
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
    padded = tensor.new_zeros(length, *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    return padded
