"""Tables, batches and training loops for the tests of lazy optimisers."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from rnnexp.nn.fast.tables import lookup
from rnnexp.optim import rows
from rnnexp.optim.schedules import Cosine

VOCABULARY, SIZE, STEPS = 200, 3, 300
Read = Callable[[Tensor, Tensor], Tensor]
Schedule = Callable[[Optimizer], Any]
SCHEDULES: dict[str, Schedule | None] = {
    "constant": None,
    "cosine": lambda optimizer: Cosine(optimizer, steps=STEPS),
    # changes the momentum too
    "one cycle": lambda optimizer: OneCycleLR(optimizer, max_lr=0.02, total_steps=STEPS + 1),
}


def dense(table: Tensor, indices: Tensor) -> Tensor:
    """Like `lookup`, but with a dense gradient."""
    return functional.embedding(indices, table)


def new_table(dtype: torch.dtype = torch.double, seed: int = 0) -> nn.Parameter:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(VOCABULARY, SIZE, generator=generator, dtype=torch.double)
    return nn.Parameter(values.to(dtype))


def batches(steps: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Words, most of them rare, and a target for the row of each word."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        words = (VOCABULARY * torch.rand(4, generator=generator) ** 6).long()
        yield words, torch.randn(4, SIZE, generator=generator, dtype=torch.double)


def loss(read: Tensor, target: Tensor) -> Tensor:
    return ((read - target.to(read.dtype)) ** 2).sum() / 2


def one_step(
    optimizer: Optimizer, table: nn.Parameter, read: Read, words: Tensor, target: Tensor
) -> None:
    optimizer.zero_grad()
    loss(read(table, words), target).backward()
    optimizer.step()


def train(
    optimizer: Optimizer,
    table: nn.Parameter,
    read: Read,
    schedule: Schedule | None = None,
    steps: int = STEPS,
) -> Tensor:
    """Train for some steps, in which most rows are not in use, and return the table."""
    scheduler = schedule(optimizer) if schedule else None
    for batch in batches(steps):
        one_step(optimizer, table, read, *batch)
        if scheduler:
            scheduler.step()
    if isinstance(optimizer, rows.RowOptimizer):
        optimizer.catch_up()
    return table.detach()


def difference(ours: Tensor, theirs: Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


class ForgetfulSGD(rows.SGD):
    """Control: skips the updates of rows that are not in use."""

    def _step_rows(self, table: Tensor, *step: Any) -> None:
        super()._step_rows(table, *step)
        self._idle[table].used(torch.arange(len(table)))


class ForgetfulAdam(rows.Adam):
    """Control: skips the updates of rows that are not in use, like torch.optim.SparseAdam."""

    def _step_rows(self, table: Tensor, *step: Any) -> None:
        super()._step_rows(table, *step)
        self._idle[table].used(torch.arange(len(table)))


def snapshot(optimizer: Optimizer, table: nn.Parameter) -> list[Any]:
    """The table and the state of the optimiser, after saving and loading."""
    buffer = io.BytesIO()
    torch.save([table.detach(), optimizer.state_dict()], buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def assert_same_bits(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def partly_trained(
    kind: type[rows.RowOptimizer] = rows.SGD, steps: int = 100, **settings: Any
) -> tuple[rows.RowOptimizer, nn.Parameter]:
    """An optimiser and its table after some steps, with outdated rows."""
    table = new_table(torch.float)
    if kind is rows.SGD:
        settings = {"momentum": 0.9, "weight_decay": 0.01, **settings}
    optimizer = kind([table], lr=0.02, **settings)
    for batch in batches(steps):
        one_step(optimizer, table, lookup, *batch)
    return optimizer, table
