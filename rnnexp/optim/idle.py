"""The steps of an optimiser that a row of a table takes while it is not in use.

The gradient of such a row is zero, so a step is a linear map of the K numbers that the optimiser
keeps for each weight: the weight itself, its momentum, ... The map is the same for all weights and
all rows. If these numbers are a row vector s, step t is s <- s S_t. So n steps are one product of n
matrices K x K, even if learning rate and momentum change from step to step, and a row need be
touched only when it is used again.

The usual closed forms are prefix sums of the schedule over powers of the momentum. They divide by
momentum**t, which is 1e-16 after 350 steps at 0.9, and 0 after 7,000. Here a new matrix is only
multiplied to the end of a product, in double precision: there is no division and no cancellation.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK = 1024  # steps; all rows are touched once a block


class Idle:
    """For every row of a table, the product of all steps since its last use.

    Steps come in blocks. Within a block, the product from each of its steps to the current step is
    kept. At the end of a block, the pending product of every row is multiplied by the product of
    the block. This touches all rows once every `BLOCK` steps: a few microseconds a step for 100,000
    rows.

    Memory: 8 (K^2 + 1) bytes a row, and at most 8 K^2 `BLOCK` bytes, whatever the length of a run.

    step: number of steps of the table. behind: whether some rows have not taken all of them.
    """

    def __init__(self, rows: int, size: int, device: torch.device, step: int = 0) -> None:
        self.step = self._start = step
        self.behind = False
        self.last = torch.full((rows,), step, device=device)  # the step of each row's last use
        self._identity = torch.eye(size, dtype=torch.double, device=device).unsqueeze(0)
        # From the last use of a row to the start of the block; the identity after a use within it.
        self._before = self._identity.repeat(rows, 1, 1)  # (V, K, K)
        # From each step of the block to the current one: (steps so far + 1, K, K).
        self._within = self._identity

    def advance(self, step: list[list[float]]) -> None:
        """Count one more step, whose matrix S_t this is. No row has taken it yet."""
        matrix = self._identity.new_tensor(step)
        self._within = torch.cat([self._within @ matrix, self._identity])
        self.step += 1
        self.behind = True
        if self.step - self._start == BLOCK:
            self._before.copy_(self._before @ self._within[self._place(self.last)])
            self._within, self._start = self._identity, self.step

    def since(self, rows: Tensor) -> Tensor:
        """The product S_(last + 1) ... S_step of each of these rows, (U, K, K)."""
        within = self._within.index_select(0, self._place(self.last.index_select(0, rows)))
        return self._before.index_select(0, rows) @ within

    def _place(self, last: Tensor) -> Tensor:
        return (last - self._start).clamp_(min=0)

    def used(self, rows: Tensor) -> None:
        """Note that these rows have taken all steps."""
        self.last.index_fill_(0, rows, self.step)
        self._before.index_copy_(0, rows, self._identity.expand(len(rows), -1, -1))

    def rows_behind(self) -> Tensor:
        """The numbers of the rows that have not taken all steps."""
        return (self.last < self.step).nonzero().squeeze(1)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values. The tensors are not copied."""
        return {
            "step": self.step,
            "start": self._start,
            "last": self.last,
            "before": self._before,
            "within": self._within,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from the result of `state_dict`, which is copied."""
        device = self.last.device
        self.step, self._start = state["step"], state["start"]
        self.last, self._before, self._within = (
            state[name].to(device, copy=True) for name in ("last", "before", "within")
        )
        self.behind = len(self.rows_behind()) > 0
