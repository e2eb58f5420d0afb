"""What happens to a row of a table while it is not in use.

Its gradient is zero then, and a step of the optimiser is a linear map of the K numbers that it
keeps for a weight: the weight itself, its momentum, ... It is the same map for all weights of a
row, and for all rows. With the numbers as a row vector s, step t is s <- s S_t, and whatever the
learning rate and the momentum do from step to step, n steps are one product of n matrices K x K:
a row need be touched only when it is used again.

The usual closed forms are prefix sums of the schedule over powers of the momentum. They divide by
momentum**t, which is 1e-16 after 350 steps at 0.9, and 0 after 7,000. Here products are only ever
lengthened at their end, in double precision: nothing is divided, and nothing cancels.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK = 1024  # steps


class Idle:
    """For every row of a table, the product of all steps since its last use.

    Steps come in blocks. Within a block there is a product from each of its steps to now. At its
    end they are put behind what the rows had waited for before it, which passes over all rows once
    in `BLOCK` steps: a few microseconds a step for 100,000 rows.

    Memory: 8 (K^2 + 1) bytes a row, and at most 8 K^2 `BLOCK` bytes, however long the run is.

    step: of the table. behind: whether any row is.
    """

    def __init__(self, rows: int, size: int, device: torch.device, step: int = 0) -> None:
        self.step = self._start = step
        self.behind = False
        self.last = torch.full((rows,), step, device=device)  # step of each row's last use
        self._identity = torch.eye(size, dtype=torch.double, device=device).unsqueeze(0)
        # From the row's last use to the start of the block; the identity if that came after it.
        self._before = self._identity.repeat(rows, 1, 1)  # (V, K, K)
        self._within = self._identity  # (steps of the block + 1, K, K), from each of them to now

    def advance(self, step: list[list[float]]) -> None:
        """One more step, of which this is S_t, has been taken: by no row as yet."""
        matrix = self._identity.new_tensor(step)
        self._within = torch.cat([self._within @ matrix, self._identity])
        self.step += 1
        self.behind = True
        if self.step - self._start == BLOCK:
            self._before.copy_(self._before @ self._within[self._place(self.last)])
            self._within, self._start = self._identity, self.step

    def since(self, rows: Tensor) -> Tensor:
        """The products S_(last + 1) ... S_now of these rows: (U, K, K)."""
        within = self._within.index_select(0, self._place(self.last.index_select(0, rows)))
        return self._before.index_select(0, rows) @ within

    def _place(self, last: Tensor) -> Tensor:
        return (last - self._start).clamp_(min=0)

    def used(self, rows: Tensor) -> None:
        """These rows have taken all steps."""
        self.last.index_fill_(0, rows, self.step)
        self._before.index_copy_(0, rows, self._identity.expand(len(rows), -1, -1))

    def rows_behind(self) -> Tensor:
        """Which rows have not."""
        return (self.last < self.step).nonzero().squeeze(1)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values. The tensors are those in use, not copies."""
        return {
            "step": self.step,
            "start": self._start,
            "last": self.last,
            "before": self._before,
            "within": self._within,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave (copied)."""
        device = self.last.device
        self.step, self._start = state["step"], state["start"]
        self.last, self._before, self._within = (
            state[name].to(device, copy=True) for name in ("last", "before", "within")
        )
        self.behind = len(self.rows_behind()) > 0
