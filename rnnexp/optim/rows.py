"""Lazy optimisers: they update only the rows of a table in use, without changing the result.

A parameter with a sparse gradient of rows (`rnnexp.nn.fast.tables`) is a table. torch's optimisers
also update the rows without a gradient, by momentum and weight decay. The optimisers here postpone
these updates until a row is read or used again (`rnnexp.optim.idle`), so the cost of a step depends
only on the number of rows in use.

- Reading has no side effects: `lookup` computes the up-to-date value of a row, and the next step
  computes it again. Repeated reads, several backward passes before a step, and exceptions in
  between are safe.
- Call `catch_up()` before any other access to a table, for example to evaluate, export or save the
  weights. It changes the rounding of the rows, so call it at fixed steps of a run.
- The state of the optimiser contains the pending steps of each row. Saving has no side effects. A
  run that loads the state and the parameters continues bit for bit.
- As in torch, a step skips a table whose gradient is None.
- torch's optimiser of the same name updates all other parameters, bit for bit.
"""

import math
from collections.abc import Iterator
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor

from rnnexp.nn.fast.tables import ROW_READERS
from rnnexp.optim.gradients import touched_rows
from rnnexp.optim.idle import Idle

CATCH_UP_ROWS = 4096  # rows that `catch_up` updates at a time; bounds its memory


class RowOptimizer(torch.optim.Optimizer):
    """Base class: keeps track of the tables and of the pending steps of their rows.

    numbers: how many numbers the optimiser stores per weight, K in `rnnexp.optim.idle`. buffers:
    torch's names for the tensors in the optimiser's state, such as momentum.
    """

    numbers: ClassVar[int]
    buffers: ClassVar[tuple[str, ...]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: dict[Tensor, Idle] = {}  # pending steps of each table
        self._versions: dict[Tensor, int] = {}  # of each table, to detect changes from outside

    # To be defined by a subclass ------------------------------------------------------------------

    def _current(self, table: Tensor, rows: Tensor) -> Iterator[Tensor]:
        """The up-to-date values of these rows: the weights (U, N), then each buffer."""
        raise NotImplementedError

    def _step_rows(
        self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]
    ) -> None:
        """Take a step. rows: (U,), indices; gradient: (U, N)."""
        raise NotImplementedError

    def check_tables(self) -> None:
        """Check that the settings allow lazy updates.

        Call this before training if some gradients are sparse; otherwise the first step raises.

        Raises:
            ValueError: the settings do not allow lazy updates.
        """

    # Steps ----------------------------------------------------------------------------------------

    def _init_group(self, group: dict[str, Any], *lists: list[Any]) -> Any:
        """torch calls this to collect the parameters that its step updates. Update tables here, and
        pass only the other parameters to torch."""
        others = []
        for parameter in group["params"]:
            if parameter in self._idle or _is_sparse(parameter.grad):
                self._step_table(parameter, group)
            else:
                others.append(parameter)
        return super()._init_group({**group, "params": others}, *lists)  # type: ignore[misc]

    def _step_table(self, table: Tensor, group: dict[str, Any]) -> None:
        if table.grad is None:
            return
        self._take(table)
        if self._idle[table].behind and not table.grad.is_sparse:
            raise RuntimeError(
                "a table has a dense gradient, so it was not read by rnnexp.nn.fast.tables, while "
                "some of its rows were outdated: call the optimiser's catch_up() before the table "
                "is read"
            )
        rows, gradient = touched_rows(table.grad)
        self._step_rows(table, rows, -gradient if group["maximize"] else gradient, group)

    def _take(self, table: Tensor) -> None:
        """Make this optimiser the reader of the table."""
        if table not in self._idle:
            if table.dim() != 2:
                raise ValueError(f"a table has shape (V, N), but this one has {tuple(table.shape)}")
            taken = int(self.state[table].get("step", 0))  # earlier steps with dense gradients
            self._idle[table] = Idle(len(table), self.numbers, table.device, taken)
            self._versions[table] = table._version
        reader = ROW_READERS.find(table)
        if reader is not self:
            if reader is not None:  # another optimiser
                reader.catch_up()
            ROW_READERS.register(table, self)
        self._check_unchanged(table)

    def _write(self, table: Tensor, rows: Tensor, current: list[Tensor]) -> None:
        """Write the up-to-date values of these rows; current: the result of `_current`."""
        for tensor, values in zip([table, *self._buffers(table)], current, strict=True):
            tensor.index_copy_(0, rows, values)
        self._idle[table].used(rows)
        self._versions[table] = table._version

    def _buffers(self, table: Tensor) -> list[Tensor]:
        state = self.state[table]
        return [state[name] for name in self.buffers if name in state]

    # Reading --------------------------------------------------------------------------------------

    def read_rows(self, table: Tensor, rows: Tensor) -> Tensor:
        """The up-to-date weights (U, N) of the given rows of a table, without writing them; rows:
        (U,), indices.

        Raises:
            RuntimeError: the table was changed from outside while some rows were outdated.
        """
        if not self._idle[table].behind:
            return table.index_select(0, rows)
        self._check_unchanged(table)
        return next(self._current(table, rows))

    @torch.no_grad()
    def catch_up(self) -> None:
        """Bring all rows of all tables up to date, so that any code may read them.

        Raises:
            RuntimeError: a table was changed from outside while some rows were outdated.
        """
        for table, idle in self._idle.items():
            if not idle.behind:
                continue
            self._check_unchanged(table)
            for rows in idle.rows_behind().split(CATCH_UP_ROWS):
                self._write(table, rows, list(self._current(table, rows)))
            idle.behind = False
            ROW_READERS.remove(table, self)

    def _check_unchanged(self, table: Tensor) -> None:
        if self._idle[table].behind and self._versions[table] != table._version:
            raise RuntimeError(
                "a table was changed from outside while some of its rows were outdated: call the "
                "optimiser's catch_up() before the change"
            )

    # Saving ---------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        saved = super().state_dict()
        for number, table in enumerate(self._parameters()):
            if table in self._idle:
                state = saved["state"].get(number, {})
                saved["state"][number] = {**state, "idle": self._idle[table].state_dict()}
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        numbers = chain.from_iterable(group["params"] for group in state_dict["param_groups"])
        for table in self._idle:
            ROW_READERS.remove(table, self)
        self._idle.clear()
        for number, table in zip(numbers, self._parameters(), strict=True):
            if self.state.get(table, {}).pop("idle", None) is None:
                continue
            # Read the argument: torch casts its copy to the dtype of the parameter.
            self._idle[table] = Idle(len(table), self.numbers, table.device)
            self._idle[table].load_state_dict(state_dict["state"][number]["idle"])
            self._versions[table] = table._version
            if self._idle[table].behind:
                ROW_READERS.register(table, self)
            else:
                ROW_READERS.remove(table)

    def _parameters(self) -> Iterator[Tensor]:
        return chain.from_iterable(group["params"] for group in self.param_groups)


def _is_sparse(gradient: Tensor | None) -> bool:
    return gradient is not None and gradient.is_sparse


class SGD(RowOptimizer, torch.optim.SGD):
    """Lazy torch.optim.SGD with (Nesterov) momentum, dampening, weight decay (L2) and any schedule.

    In exact arithmetic it equals torch.optim.SGD for every row at every step, even if learning
    rate, momentum, dampening and weight decay change from step to step. In floating point, taking
    many steps at once changes the rounding: the relative error is 1e-6 in single precision and
    1e-14 in double precision.
    """

    numbers = 2  # weight, momentum
    buffers = ("momentum_buffer",)

    def _current(self, table: Tensor, rows: Tensor) -> Iterator[Tensor]:
        steps = self._idle[table].since(rows).to(table.dtype)  # (U, 2, 2)
        w_to_w, w_to_b, b_to_w, b_to_b = steps.view(-1, 4, 1).unbind(1)  # (U, 1) each
        w = table.index_select(0, rows)
        if not self._buffers(table):
            yield w.mul_(w_to_w)
            return
        b = self.state[table]["momentum_buffer"].index_select(0, rows)
        yield (w * w_to_w).addcmul_(b, b_to_w)
        yield (b * b_to_b).addcmul_(w, w_to_b)

    def _step_rows(
        self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]
    ) -> None:
        first = group["momentum"] != 0 and not self._buffers(table)
        if first:
            self.state[table]["momentum_buffer"] = torch.zeros_like(table)
        # A step is linear in weight, momentum and gradient, so the gradient can be added last.
        step, *shares = _linear_step(group, first)
        self._idle[table].advance(step)
        current = list(self._current(table, rows))
        for values, share in zip(current, shares, strict=False):
            values.add_(gradient, alpha=share)
        self._write(table, rows, current)


def _linear_step(group: dict[str, Any], first: bool) -> tuple[list[list[float]], float, float]:
    """A step of SGD as a matrix S and two factors a, c: [w b] <- [w b] S + gradient [a c].

    The equations are from torch.optim.SGD. With d = weight_decay * w + gradient, a step is
    b' = momentum * b + (1 - dampening) * d (without dampening at the first step) and
    w' = w - lr * b', or w' = w - lr * (d + momentum * b') with Nesterov momentum.
    """
    lr, momentum, decay = (float(group[key]) for key in ("lr", "momentum", "weight_decay"))
    if momentum == 0:  # b does not exist, or does not change
        return [[1 - lr * decay, 0.0], [0.0, 1.0]], -lr, 0.0
    d_to_b = 1.0 if first else 1 - group["dampening"]
    at_once, by_b = (1.0, momentum) if group["nesterov"] else (0.0, 1.0)
    d_to_w = -lr * (at_once + by_b * d_to_b)
    from_w = [1 + decay * d_to_w, decay * d_to_b]
    from_b = [-lr * by_b * momentum, momentum]
    return [from_w, from_b], d_to_w, d_to_b


class AdamRows(RowOptimizer):
    """Base class of Adam and AdamW (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1; Loshchilov
    and Hutter 2019, arXiv 1711.05101, algorithm 2).

    A step without a gradient is m <- beta1 m, v <- beta2 v and
    w <- (1 - lr * weight_decay) w - lr / c1 * m / (sqrt(v / c2) + eps), with c1 = 1 - beta1^t and
    c2 = 1 - beta2^t. Without eps, the step is linear in w and x = m / sqrt(v), and multiplies x by
    beta1 / sqrt(beta2).
    """

    numbers = 3  # weight, x, v
    buffers = ("exp_avg", "exp_avg_sq")

    def _current(self, table: Tensor, rows: Tensor) -> Iterator[Tensor]:
        idle, group = self._idle[table], self._group(table)
        steps = idle.since(rows)  # (U, 3, 3)
        fading = steps[:, 1, 1] * steps[:, 2, 2].sqrt()  # of m
        w_to_w, x_to_w, m_to_m, v_to_v = (
            torch.stack([steps[:, 0, 0], steps[:, 1, 0], fading, steps[:, 2, 2]])
            .to(table.dtype)
            .unsqueeze(2)  # (U, 1) each
        )
        w, m, v = (t.index_select(0, rows) for t in (table, *self._buffers(table)))
        # eps / sqrt(v / c2) grows over idle steps, since v decays and c2 grows. All idle steps use
        # its value at the first one. If v is zero, m is zero too.
        beta2 = group["betas"][1]
        c2 = 1 - beta2 ** (idle.last.index_select(0, rows).double() + 1)
        eps = group["eps"] * (c2 / beta2).sqrt().unsqueeze(1)
        x = m / v.sqrt().add_(eps.to(table.dtype) + torch.finfo(table.dtype).tiny)
        yield w.mul_(w_to_w).addcmul_(x, x_to_w)
        yield m.mul_(m_to_m)
        yield v.mul_(v_to_v)

    def check_tables(self) -> None:
        for group in self.param_groups:
            _check_adam(group)

    def _group(self, table: Tensor) -> dict[str, Any]:
        return next(g for g in self.param_groups if any(p is table for p in g["params"]))

    def _step_rows(
        self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]
    ) -> None:
        _check_adam(group)
        state, idle = self.state[table], self._idle[table]
        if not state:
            state["step"] = torch.zeros(())  # torch's Adam expects it
            state.update((name, torch.zeros_like(table)) for name in self.buffers)
        lr, (beta1, beta2), eps = float(group["lr"]), map(float, group["betas"]), group["eps"]
        decay = lr * group["weight_decay"]
        c1, root_c2 = 1 - beta1 ** (idle.step + 1), math.sqrt(1 - beta2 ** (idle.step + 1))

        w, m, v = current = list(self._current(table, rows))
        m.lerp_(gradient, 1 - beta1)
        v.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        w.mul_(1 - decay).addcdiv_(m, (v.sqrt() / root_c2).add_(eps), value=-lr / c1)

        fading = beta1 / math.sqrt(beta2)
        drift = -lr / c1 * root_c2 * fading
        idle.advance([[1 - decay, 0.0, 0.0], [drift, fading, 0.0], [0.0, 0.0, beta2]])
        state["step"] += 1
        self._write(table, rows, current)


class Adam(AdamRows, torch.optim.Adam):
    """Lazy torch.optim.Adam, for tables without weight decay.

    A row that was never used does not change, to the bit, and costs no time. For all other rows, m
    and v equal torch's in exact arithmetic, and so do the weights if eps = 0. If eps > 0, the step
    of a row in use and the first idle step after it equal torch's. Later idle steps use the
    relative eps of the first one; with the default betas they shrink by 10 % per step, and their
    relative error is less than 2 eps / sqrt(v / c2). The error is negligible unless gradients are
    about as small as eps.

    Raises (at the first step of a table, or in `check_tables`):
        ValueError: amsgrad or weight decay is set, or beta1 is not below sqrt(beta2), where the
            weights of idle rows would diverge.
    """


class AdamW(AdamRows, torch.optim.AdamW):
    """Lazy torch.optim.AdamW: like `Adam` here, with exact weight decay for every row.

    A row that was never used costs no time; its weight decay is computed when the row is read.

    Raises (at the first step of a table, or in `check_tables`):
        ValueError: amsgrad is set, or beta1 is not below sqrt(beta2).
    """


def _check_adam(group: dict[str, Any]) -> None:
    """Raise ValueError if the settings do not allow lazy updates."""
    if group["amsgrad"]:
        raise ValueError(
            "amsgrad=True needs an update of every row at every step, but rows that are not in use "
            "are updated later: set it to False"
        )
    if group["weight_decay"] and not group["decoupled_weight_decay"]:
        raise ValueError(
            f"weight_decay={group['weight_decay']} of Adam needs an update of every row at every "
            "step, but rows that are not in use are updated later: use AdamW, or set it to 0"
        )
    beta1, beta2 = group["betas"]
    if beta1**2 >= beta2:
        raise ValueError(
            f"betas={(beta1, beta2)}: the first must be below the square root of the second, since "
            "otherwise the weights of rows that are not in use diverge"
        )
