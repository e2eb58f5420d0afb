"""Readouts: from hidden states to outputs.

Each is called with every hidden state (T, B, H), the final state and the lengths. The output
activation is the readout's.
"""

from typing import Literal

from torch import Tensor, nn

from rnnexp.nn.cells import State

Activation = Literal["identity", "tanh", "sigmoid"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}


class LastHidden(nn.Module):
    """activation(W_o h_T + b_o): one output a sequence, (B, 1, out)."""

    def __init__(self, hidden_size: int, outputs: int, activation: Activation = "identity") -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, outputs)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, hidden: Tensor, final: State, lengths: Tensor | None) -> Tensor:
        return self.activation(self.linear(final[0])).unsqueeze(1)


class EveryStep(nn.Module):
    """activation(W_o h_t + b_o) for every step: (B, T, out)."""

    def __init__(self, hidden_size: int, outputs: int, activation: Activation = "identity") -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, outputs)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, hidden: Tensor, final: State, lengths: Tensor | None) -> Tensor:
        return self.activation(self.linear(hidden)).transpose(0, 1)
