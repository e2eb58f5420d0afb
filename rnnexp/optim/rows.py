"""Optimisers that touch only the rows of a table that are in use, and lose nothing by it.

A parameter whose gradient comes as a sparse tensor of rows (`rnnexp.nn.fast.tables`) is a table from
then on. Its rows without a gradient lie as they are. In torch's optimisers they would have gone on:
moved by their momentum, and decayed. Here that is made up for when a row is read or used again
(`rnnexp.optim.idle`), at a cost that the rows in use alone decide.

- Reading changes nothing: `lookup` computes what a row is by now, and the step does so once more.
  Two reads, several backward passes before a step, or an exception in between do no harm.
- Whoever reads a table otherwise, to evaluate, export or save the weights, calls `catch_up()`
  first. The rows round differently after it, so it belongs into the schedule of a run.
- The state has each row's last step beside the rows as they are. Saving it changes nothing, and a
  run that loads it, with the parameters, goes on bit by bit.
- As in torch, a step at which a table has no gradient at all (None) passes it by.
- Every other parameter is left to torch's optimiser of the same name, bit by bit.
"""

import math
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor

from rnnexp.errors import UserError
from rnnexp.optim.gradients import touched_rows
from rnnexp.optim.idle import Idle

ROWS = 4096  # that are caught up together


class RowOptimizer(torch.optim.Optimizer):
    """What all of them share: which parameters are tables, and how far their rows are.

    numbers: how many a step mixes, K of `rnnexp.optim.idle`. buffers: what torch's optimiser of the
    same name calls the tensors that it keeps beside the weights.
    """

    numbers: ClassVar[int]
    buffers: ClassVar[tuple[str, ...]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: dict[Tensor, Idle] = {}  # of each table
        self._versions: dict[Tensor, int] = {}  # by which a change from outside shows

    # What a subclass is ---------------------------------------------------------------------------

    def _current(self, table: Tensor, rows: Tensor) -> Iterator[Tensor]:
        """What these rows would be after all steps: the weights (U, N), then each buffer."""
        raise NotImplementedError

    def _step_rows(
        self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]
    ) -> None:
        """Take a step. rows: (U,), gradient: (U, N)."""
        raise NotImplementedError

    # Steps ----------------------------------------------------------------------------------------

    def _init_group(self, group: dict[str, Any], *lists: list[Any]) -> Any:
        """Torch collects here what its step is to update: all but tables, which step right here."""
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
                "a table has a dense gradient, so rnnexp.nn.fast.tables did not read it, while rows of "
                "it are behind: call the optimiser's catch_up() before the table is read"
            )
        rows, gradient = touched_rows(table.grad)
        self._step_rows(table, rows, -gradient if group["maximize"] else gradient, group)

    def _take(self, table: Tensor) -> None:
        """Make sure that the table is known here, and that its rows are read here."""
        if table not in self._idle:
            if table.dim() != 2:
                raise ValueError(f"a table has shape (V, N), and this one {tuple(table.shape)}")
            taken = int(self.state[table].get("step", 0))  # with dense gradients
            self._idle[table] = Idle(len(table), self.numbers, table.device, taken)
            self._versions[table] = table._version
        reader = getattr(table, "read_rows", None)
        if reader is None or reader.func.__self__ is not self:
            if reader is not None:  # another optimiser's
                reader.func.__self__.catch_up()
            table.read_rows = partial(self._read, table)  # type: ignore[attr-defined]
        self._check_unchanged(table)

    def _write(self, table: Tensor, rows: Tensor, current: list[Tensor]) -> None:
        """Put rows where they are after all steps; current: as `_current` gives them."""
        for tensor, values in zip([table, *self._buffers(table)], current, strict=True):
            tensor.index_copy_(0, rows, values)
        self._idle[table].used(rows)
        self._versions[table] = table._version

    def _buffers(self, table: Tensor) -> list[Tensor]:
        state = self.state[table]
        return [state[name] for name in self.buffers if name in state]

    # Reading --------------------------------------------------------------------------------------

    def _read(self, table: Tensor, rows: Tensor) -> Tensor:
        """The weights of these rows as they are by now."""
        if not self._idle[table].behind:
            return table.index_select(0, rows)
        self._check_unchanged(table)
        return next(self._current(table, rows))

    @torch.no_grad()
    def catch_up(self) -> None:
        """Bring all rows of all tables to where they are by now, so that anybody may read them."""
        for table, idle in self._idle.items():
            if not idle.behind:
                continue
            self._check_unchanged(table)
            for rows in idle.rows_behind().split(ROWS):
                self._write(table, rows, list(self._current(table, rows)))
            idle.behind = False

    def _check_unchanged(self, table: Tensor) -> None:
        if self._idle[table].behind and self._versions[table] != table._version:
            raise RuntimeError(
                "a table was changed from outside while rows of it are behind: call the "
                "optimiser's catch_up() before"
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
        self._idle.clear()
        for number, table in zip(numbers, self._parameters(), strict=True):
            if self.state.get(table, {}).pop("idle", None) is None:
                continue
            # From what was saved: torch has given all of it the type of the parameter.
            self._idle[table] = Idle(len(table), self.numbers, table.device)
            self._idle[table].load_state_dict(state_dict["state"][number]["idle"])
            self._versions[table] = table._version
            table.read_rows = partial(self._read, table)  # type: ignore[attr-defined]

    def _parameters(self) -> Iterator[Tensor]:
        return chain.from_iterable(group["params"] for group in self.param_groups)


def _is_sparse(gradient: Tensor | None) -> bool:
    return gradient is not None and gradient.is_sparse


class SGD(RowOptimizer, torch.optim.SGD):
    """torch.optim.SGD: momentum, Nesterov's too, dampening, weight decay (L2), any schedule.

    Equal to it in exact arithmetic for every row at every step, whatever the learning rate,
    momentum, dampening and weight decay do from step to step. In floating point a row takes many
    steps in one, so the last bits differ: by 1e-6 of the weights in single precision, 1e-14 in
    double.
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
        # A step is linear in weight, momentum and gradient: the gradient's part comes on top.
        step, *shares = _linear_step(group, first)
        self._idle[table].advance(step)
        current = list(self._current(table, rows))
        for values, share in zip(current, shares, strict=False):
            values.add_(gradient, alpha=share)
        self._write(table, rows, current)


def _linear_step(group: dict[str, Any], first: bool) -> tuple[list[list[float]], float, float]:
    """A step of SGD without a gradient as the matrix S of [w b] <- [w b] S, and what a gradient
    adds to w and b.

    With d = weight_decay * w + gradient it is b' = momentum * b + (1 - dampening) * d, where the
    first step has no dampening, and w' = w - lr * b', or with Nesterov's momentum
    w' = w - lr * (d + momentum * b').
    """
    lr, momentum, decay = (float(group[key]) for key in ("lr", "momentum", "weight_decay"))
    if momentum == 0:  # then there is no b, or it lies as it is
        return [[1 - lr * decay, 0.0], [0.0, 1.0]], -lr, 0.0
    d_to_b = 1.0 if first else 1 - group["dampening"]
    at_once, by_b = (1.0, momentum) if group["nesterov"] else (0.0, 1.0)
    d_to_w = -lr * (at_once + by_b * d_to_b)
    from_w = [1 + decay * d_to_w, decay * d_to_b]
    from_b = [-lr * by_b * momentum, momentum]
    return [from_w, from_b], d_to_w, d_to_b


class AdamRows(RowOptimizer):
    """What Adam and AdamW share.

    A row that is not in use goes on by m <- beta1 m, v <- beta2 v and
    w <- (1 - lr * weight_decay) w - lr / c1 * m / (sqrt(v / c2) + eps), with c1 = 1 - beta1^t and
    c2 = 1 - beta2^t. Without eps this is linear in w and x = m / sqrt(v), and x fades by
    beta1 / sqrt(beta2) a step.
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
        # In units of sqrt(v), eps grows with c2 and as v fades. It is taken as it is at the first
        # idle step; where v is zero, so is m.
        beta2 = group["betas"][1]
        c2 = 1 - beta2 ** (idle.last.index_select(0, rows).double() + 1)
        eps = group["eps"] * (c2 / beta2).sqrt().unsqueeze(1)
        x = m / v.sqrt().add_(eps.to(table.dtype) + torch.finfo(table.dtype).tiny)
        yield w.mul_(w_to_w).addcmul_(x, x_to_w)
        yield m.mul_(m_to_m)
        yield v.mul_(v_to_v)

    def _group(self, table: Tensor) -> dict[str, Any]:
        return next(g for g in self.param_groups if any(p is table for p in g["params"]))

    def _step_rows(
        self, table: Tensor, rows: Tensor, gradient: Tensor, group: dict[str, Any]
    ) -> None:
        _check_adam(group)
        state, idle = self.state[table], self._idle[table]
        if not state:
            state["step"] = torch.zeros(())  # torch's Adam wants to find it
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
    """torch.optim.Adam, without weight decay.

    A row that was never touched stays as it is, to the bit, and costs no time. Of the others, m and
    v are torch's in exact arithmetic, and with eps = 0 the weights are too. With eps, the moves of
    a row in use and the first one after are torch's; in the later ones, which fade by 10 % a step,
    eps counts as it did then. That changes them by less than a part 2 eps / sqrt(v / c2), with the
    default betas: nothing to be seen where gradients are well above eps.

    Raises at the first step:
        UserError: amsgrad, a weight decay, or beta1 not below sqrt(beta2) (idle weights would run
        away).
    """


class AdamW(AdamRows, torch.optim.AdamW):
    """torch.optim.AdamW: as `Adam` here, with a weight decay that is exact for every row.

    A row that was never touched costs no time; it is decayed when it is read.
    """


def _check_adam(group: dict[str, Any]) -> None:
    if group["amsgrad"]:
        raise UserError(
            "optimizer.amsgrad=true cannot be made up for in rows that are not in use: set it to "
            "false"
        )
    if group["weight_decay"] and not group["decoupled_weight_decay"]:
        raise UserError(
            f"optimizer.weight_decay={group['weight_decay']} of Adam moves every row at every step "
            "in a way that cannot be made up for: choose optimizer=adamw, or set it to 0"
        )
    beta1, beta2 = group["betas"]
    if beta1**2 >= beta2:
        raise UserError(
            f"optimizer.betas={[beta1, beta2]}: the first must be below the square root of the "
            "second, or the weights of rows that are not in use run away"
        )
