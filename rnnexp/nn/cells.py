"""Cells: the equations of one step, and nothing else.

A cell maps (input projection at step t, state at step t-1) to the state at step t. The input
projection W x_t + b of every step is made beforehand by the recurrence, as one product. The state
is a tuple of tensors of shape (B, H) whose first item is the hidden state h.

In the equations sigma is the logistic sigmoid, * is element-wise and h_0 = 0.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


Initial = Literal["hidden", "inputs_and_hidden"]


class Cell(nn.Module):
    """What every cell shares: the input projection's parameters and the zero state.

    `input_weight` has shape (input_size, projections * hidden_size), so that a one-hot input is a
    row of it; `bias` has shape (projections * hidden_size,). A subclass adds its recurrent weights
    as `recurrent(hidden_size)` parameters and writes its equations in `forward`.

    initial: every parameter is drawn from U(-1/sqrt(n), 1/sqrt(n)). n is the size of `hidden`, as
    in torch.nn's recurrent layers, or of `inputs_and_hidden`, as in one torch.nn.Linear over
    [x_t; h_{t-1}]: DLStudio's way, tiny where the input is one-hot over a large vocabulary.
    """

    projections: ClassVar[int]  # how many W x_t + b the equations need
    states: ClassVar[int] = 1  # how many tensors of shape (B, H) make up the state

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.initial = input_size, hidden_size, initial
        self.input_weight = nn.Parameter(torch.empty(input_size, self.projections * hidden_size))
        self.bias = nn.Parameter(torch.empty(self.projections * hidden_size))

    def reset_parameters(self) -> None:
        """Draw every parameter as `initial` says."""
        inputs = 0 if self.initial == "hidden" else self.input_size
        bound = (inputs + self.hidden_size) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def zero_state(self, batch: int) -> State:
        """h_0 (and the other state tensors): `states` zeros of shape (B, H)."""
        zero = self.bias.new_zeros(batch, self.hidden_size)
        return (zero,) * self.states

    def forward(self, x: Tensor, state: State) -> State:
        """x: (B, projections * H), state: tensors (B, H) -> the next state."""
        raise NotImplementedError


def recurrent(hidden_size: int, projections: int = 1) -> nn.Parameter:
    """An uninitialised recurrent weight U, stored (H, projections * H) for `h @ U`."""
    return nn.Parameter(torch.empty(hidden_size, projections * hidden_size))


class Vanilla(Cell):
    """The simple recurrent network with tanh (Elman 1990; torch.nn.RNN's equation).

    h_t = tanh(W x_t + b + U h_{t-1})
    """

    projections = 1

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(torch.addmm(x, h, self.U)),)


class Linear(Cell):
    """The lecture's hidden state without a nonlinearity (its slides of TEXTnet and char RNN).

    h_t = W x_t + b + U h_{t-1}
    """

    projections = 1

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        return (torch.addmm(x, h, self.U),)


class TEXTnetOrder2(Cell):
    """The lecture's TEXTnetOrder2: a gate of the hidden state comes back two steps later.

    h_t    = tanh(W x_t + b + U h_{t-1} + V cell_{t-2})
    cell_t = sigma(W_c h_t + b_c)

    The state is (h_t, cell_t, cell_{t-1}), so that its last item is what the next step reads; both
    cells before the first step are zero. tanh=False leaves the tanh out, as the slide does.
    """

    projections = 1
    states = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        initial: Initial = "inputs_and_hidden",
        tanh: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U = recurrent(hidden_size)
        self.V = recurrent(hidden_size)
        self.W_c = recurrent(hidden_size)
        self.b_c = nn.Parameter(torch.empty(hidden_size))
        self.activation = torch.tanh if tanh else torch.nn.Identity()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As two layers of torch.nn.Linear, over [x_t; h_{t-1}; cell_{t-2}] and over h_t."""
        inputs = 0 if self.initial == "hidden" else self.input_size + self.hidden_size
        bound, of_cell = (inputs + self.hidden_size) ** -0.5, self.hidden_size**-0.5
        for parameter in (self.input_weight, self.bias, self.U, self.V):
            nn.init.uniform_(parameter, -bound, bound)
        for parameter in (self.W_c, self.b_c):
            nn.init.uniform_(parameter, -of_cell, of_cell)

    def forward(self, x: Tensor, state: State) -> State:
        h, cell, fed = state
        h = self.activation(torch.addmm(torch.addmm(x, h, self.U), fed, self.V))
        return h, torch.sigmoid(torch.addmm(self.b_c, h, self.W_c)), cell


class GRU(Cell):
    """The gated recurrent unit of torch.nn.GRU: Cho et al. 2014 (arXiv 1406.1078, eqs. 5-8), with
    the reset gate applied after the recurrent product.

    r_t  = sigma(W_r x_t + b_r + U_r h_{t-1} + d_r)
    z_t  = sigma(W_z x_t + b_z + U_z h_{t-1} + d_z)
    h~_t = tanh(W_h x_t + b_h + r_t * (U_h h_{t-1} + d_h))
    h_t  = (1 - z_t) * h~_t + z_t * h_{t-1}
    """

    projections = 3

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U = recurrent(hidden_size, 3)  # U_r, U_z, U_h side by side
        self.recurrent_bias = nn.Parameter(torch.empty(3 * hidden_size))  # d_r, d_z, d_h
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        size = self.hidden_size
        recurrent = torch.addmm(self.recurrent_bias, h, self.U)
        gates = torch.sigmoid(x[:, : 2 * size] + recurrent[:, : 2 * size])
        r, z = gates.chunk(2, dim=1)
        candidate = torch.tanh(torch.addcmul(x[:, 2 * size :], r, recurrent[:, 2 * size :]))
        return (torch.lerp(candidate, h, z),)  # (1 - z) * candidate + z * h


class MGU(Cell):
    """The minimal gated unit, the lecture's pmGRU (Zhou et al. 2016, arXiv 1603.09420, eqs. 8-10).

    f_t  = sigma(W_f x_t + U_f h_{t-1} + b_f)
    h~_t = tanh(W_h x_t + U_h (f_t * h_{t-1}) + b_h)
    h_t  = (1 - f_t) * h_{t-1} + f_t * h~_t
    """

    projections = 2

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U_f = recurrent(hidden_size)
        self.U_h = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        x_f, x_h = x.chunk(2, dim=-1)  # W_f x_t + b_f, W_h x_t + b_h
        f = torch.sigmoid(torch.addmm(x_f, h, self.U_f))
        candidate = torch.tanh(torch.addmm(x_h, f * h, self.U_h))
        return (torch.lerp(h, candidate, f),)  # (1 - f) * h + f * candidate
