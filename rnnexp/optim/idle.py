"""Postponed steps of an optimiser: the updates of a row while the row is not in use.

The gradient of such a row is zero, so a step is a linear map of the K numbers that the optimiser
stores for each weight: the weight, its momentum, ... The map is the same for all weights and all
rows. With these numbers as a row vector s, step t is s <- s S_t, and n steps are one product of n
matrices (K, K), even if learning rate and momentum change from step to step. A row is updated only
when it is used again.

The usual closed forms are prefix sums of the schedule over powers of the momentum. They divide by
momentum**t, which is 1e-16 after 350 steps at 0.9, and 0 after 7,000. The products here are updated
by multiplication in double precision, without division or cancellation.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK_STEPS = 1024  # steps; all rows are touched once per block


class Idle:
    """For every row of a table (V, N), the product of all steps since the last use of the row.

    Steps are grouped into blocks. Within a block, the product from each step to the current step is
    stored. At the end of a block, the pending product of every row is multiplied by the product of
    the block. This touches all rows once every `BLOCK_STEPS` steps: a few microseconds per step for
    100,000 rows.

    Memory: 8 (K^2 + 1) bytes per row, plus at most 8 K^2 `BLOCK_STEPS` bytes. It does not depend on
    the length of a run.

    rows: V. size: K. step: number of steps of the table so far. behind: whether some rows are
    outdated, that is, have pending steps.
    """

    def __init__(self, rows: int, size: int, device: torch.device, step: int = 0) -> None:
        self.step = self._start = step
        self.behind = False
        self.last = torch.full((rows,), step, device=device)  # step of the last use of each row
        self._identity = torch.eye(size, dtype=torch.double, device=device).unsqueeze(0)
        # Product from the last use of a row to the start of the block, (V, K, K); the identity for
        # rows used within the block.
        self._before = self._identity.repeat(rows, 1, 1)
        # Product from each step of the block to the current step, (steps so far + 1, K, K).
        self._within = self._identity

    def advance(self, step: list[list[float]]) -> None:
        """Append a step with the matrix S_t, (K, K), to the pending steps of all rows."""
        matrix = self._identity.new_tensor(step)
        self._within = torch.cat([self._within @ matrix, self._identity])
        self.step += 1
        self.behind = True
        if self.step - self._start == BLOCK_STEPS:
            self._before.copy_(self._before @ self._within[self._place(self.last)])
            self._within, self._start = self._identity, self.step

    def since(self, rows: Tensor) -> Tensor:
        """The product S_(last + 1) ... S_step of the pending steps of each row, (U, K, K); rows:
        (U,), indices."""
        within = self._within.index_select(0, self._place(self.last.index_select(0, rows)))
        return self._before.index_select(0, rows) @ within

    def _place(self, last: Tensor) -> Tensor:
        return (last - self._start).clamp_(min=0)

    def used(self, rows: Tensor) -> None:
        """Mark these rows as up to date; rows: (U,), indices."""
        self.last.index_fill_(0, rows, self.step)
        self._before.index_copy_(0, rows, self._identity.expand(len(rows), -1, -1))

    def rows_behind(self) -> Tensor:
        """The indices of the rows with pending steps, (U,)."""
        return (self.last < self.step).nonzero().squeeze(1)

    def state_dict(self) -> dict[str, Any]:
        """The state as tensors and integers. The tensors are not copied."""
        return {
            "step": self.step,
            "start": self._start,
            "last": self.last,
            "before": self._before,
            "within": self._within,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the result of `state_dict`. The tensors are copied."""
        device = self.last.device
        self.step, self._start = state["step"], state["start"]
        self.last, self._before, self._within = (
            state[name].to(device, copy=True) for name in ("last", "before", "within")
        )
        self.behind = len(self.rows_behind()) > 0
