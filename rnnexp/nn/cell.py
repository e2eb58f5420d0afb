"""The base class of all cells, and two helper functions for their equations.

A cell maps (input projection at step t, state at step t-1) to the state at step t. The input
projections W x_t + b of all steps are computed beforehand, as one product. The state is a tuple of
tensors of shape (B, H); its first item is the hidden state h. The equations of all cells are in
`rnnexp.nn.cells`.
"""

from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from rnnexp.nn.representations import Sequences

State = tuple[Tensor, ...]
Initial = Literal["hidden", "inputs_and_hidden"]


class MemoryGate(NamedTuple):
    """The gate that weights the old state against the new one."""

    bias: str  # name of the parameter that contains the bias of the gate
    place: int  # index of the block of H entries of the gate within this parameter
    sign: int  # 1 if the gate multiplies the old state, -1 if it multiplies the candidate


class Cell(nn.Module):
    """Base class of all cells: the parameters of the input projection, and the zero state.

    `input_weight` has shape (input_size, projections * hidden_size), so that the product with a
    one-hot input is a row lookup; `bias` has shape (projections * hidden_size,). A subclass adds
    its recurrent weights as `recurrent(hidden_size)` and its equations as `forward`.

    initial: every parameter is drawn from U(-1/sqrt(n), 1/sqrt(n)). With `hidden`, n is H, as in
    the recurrent layers of torch.nn. With `inputs_and_hidden`, n is I + H, as in one
    torch.nn.Linear over [x_t; h_{t-1}]; DLStudio uses this. The weights are then tiny for one-hot
    inputs over a large vocabulary.
    """

    projections: ClassVar[int]  # number of input projections W x_t + b in the equations
    states: ClassVar[int] = 1  # number of tensors (B, H) in the state
    memory_gate: ClassVar[MemoryGate | None] = None  # None: no such gate, or one without bias
    gates: ClassVar[tuple[str, ...]] = ()  # their names, in the order of the sigmoids in `forward`

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__()
        if not isinstance(getattr(self, "projections", None), int):
            raise TypeError(
                f"{type(self).__name__} must set `projections`, the number of input projections "
                "W x_t + b in its equations"
            )
        self.input_size, self.hidden_size, self.initial = input_size, hidden_size, initial
        self.input_weight = nn.Parameter(torch.empty(input_size, self.projections * hidden_size))
        self.bias = nn.Parameter(torch.empty(self.projections * hidden_size))

    def reset_parameters(self) -> None:
        """Draw every parameter from the distribution given by `initial`."""
        inputs = 0 if self.initial == "hidden" else self.input_size
        bound = (inputs + self.hidden_size) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @torch.no_grad()
    def add_forget_bias(self, bias: float) -> None:
        """Shift the bias of the memory gate so that more of the old state is kept (Gers et al.
        2000, for the LSTM). Without a memory gate nothing changes."""
        if self.memory_gate is not None:
            name, place, sign = self.memory_gate
            getattr(self, name).split(self.hidden_size)[place].add_(sign * bias)

    def zero_state(self, batch: int) -> State:
        """The state before the first step: `states` tensors of zeros, each (B, H)."""
        zero = self.bias.new_zeros(batch, self.hidden_size)
        return (zero,) * self.states

    def project(self, x: Sequences) -> Tensor:
        """W x_t + b of all steps, (T, B, projections * H). `forward` gets one step at a time."""
        return x.project(self.input_weight, self.bias)

    def forward(self, x: Tensor, state: State) -> State:
        """x: input projection (B, projections * H), state: tensors (B, H) -> the next state."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward(x, state)")


def recurrent(hidden_size: int, projections: int = 1) -> nn.Parameter:
    """An uninitialised recurrent weight U of shape (H, projections * H), used as `h @ U`."""
    return nn.Parameter(torch.empty(hidden_size, projections * hidden_size))


def mix(old: Tensor, new: Tensor, gate: Tensor) -> Tensor:
    """(1 - gate) * old + gate * new, each (B, H), in the widest dtype of the three.

    torch.lerp needs one dtype, but under autocast products have a narrower dtype than the state.
    """
    precision = torch.promote_types(torch.promote_types(old.dtype, new.dtype), gate.dtype)
    return torch.lerp(old.to(precision), new.to(precision), gate.to(precision))
