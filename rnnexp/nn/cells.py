"""Cells: the equations of one step, and nothing else.

A cell maps (input projection at step t, state at step t-1) to the state at step t. The input
projection W x_t + b of every step is made beforehand by the recurrence, as one product. The state
is a tuple of tensors of shape (B, H) whose first item is the hidden state h.

In the equations sigma is the logistic sigmoid, * is element-wise and h_0 = 0.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


class Cell(nn.Module):
    """What every cell shares: the input projection's parameters and the zero state.

    `input_weight` has shape (input_size, projections * hidden_size), so that a one-hot input is a
    row of it; `bias` has shape (projections * hidden_size,). A subclass adds its recurrent weights
    as `recurrent(hidden_size)` parameters and writes its equations in `forward`.
    """

    projections: ClassVar[int]  # how many W x_t + b the equations need
    states: ClassVar[int] = 1  # how many tensors of shape (B, H) make up the state

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.input_weight = nn.Parameter(torch.empty(input_size, self.projections * hidden_size))
        self.bias = nn.Parameter(torch.empty(self.projections * hidden_size))

    def reset_parameters(self) -> None:
        """Draw every parameter from U(-1/sqrt(H), 1/sqrt(H)), as torch.nn's recurrent layers do."""
        bound = self.hidden_size**-0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def zero_state(self, batch: int) -> State:
        """h_0 (and the other state tensors): `states` zeros of shape (B, H)."""
        zero = self.bias.new_zeros(batch, self.hidden_size)
        return (zero,) * self.states

    def forward(self, x: Tensor, state: State) -> State:
        """x: (B, projections * H), state: tensors (B, H) -> the next state."""
        raise NotImplementedError


def recurrent(hidden_size: int) -> nn.Parameter:
    """An uninitialised recurrent weight U, stored (H, H) for `h @ U`."""
    return nn.Parameter(torch.empty(hidden_size, hidden_size))


class Vanilla(Cell):
    """The simple recurrent network with tanh (Elman 1990; torch.nn.RNN's equation).

    h_t = tanh(W x_t + b + U h_{t-1})
    """

    projections = 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.U = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        return (torch.tanh(torch.addmm(x, h, self.U)),)


class MGU(Cell):
    """The minimal gated unit, the lecture's pmGRU (Zhou et al. 2016, arXiv 1603.09420, eqs. 8-10).

    f_t  = sigma(W_f x_t + U_f h_{t-1} + b_f)
    h~_t = tanh(W_h x_t + U_h (f_t * h_{t-1}) + b_h)
    h_t  = (1 - f_t) * h_{t-1} + f_t * h~_t
    """

    projections = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.U_f = recurrent(hidden_size)
        self.U_h = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        x_f, x_h = x.chunk(2, dim=-1)  # W_f x_t + b_f, W_h x_t + b_h
        f = torch.sigmoid(torch.addmm(x_f, h, self.U_f))
        candidate = torch.tanh(torch.addmm(x_h, f * h, self.U_h))
        return (torch.lerp(h, candidate, f),)  # (1 - f) * h + f * candidate
