"""Readouts: from hidden states to outputs.

The arguments of a readout are the representation, the hidden states (T, B, H) and the final state.
A readout also applies the output activation.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from rnnexp.nn.cell import State
from rnnexp.nn.representations import Sequences

Activation = Literal["identity", "tanh", "sigmoid", "relu"]
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
}


class Readout(nn.Module):
    """Base class of all readouts.

    input_size: size of x_t, I. hidden_size: size of h_t, H. outputs: size of an output, O.
    reads_every_step: whether the readout needs the hidden state of every step, not only the final
    state. every_step: whether there is one output per step, computed from h_t alone.
    """

    reads_every_step = True
    every_step = False

    def __init__(self, input_size: int, hidden_size: int, outputs: int) -> None:
        super().__init__()

    def check(self, num_layers: int, bidirectional: bool, states: int) -> None:
        """Check that this readout fits a recurrence; states: number of tensors in its state.

        Raises:
            ValueError: the readout does not fit the recurrence.
        """

    def run_over(self, x: Sequences) -> Sequences:
        """The steps of x that the recurrence processes; by default all steps."""
        return x

    def forward(self, x: Sequences, hidden: Tensor, final: State) -> Tensor:
        """x: all steps of the representation, hidden: (T, B, H), or (0, B, H) unless
        reads_every_step -> (B, K, O), where K is T or 1."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward")


def outputs_of(readout: Readout, x: Sequences, hidden: Tensor, final: State) -> Tensor:
    """The outputs of a readout, (B, K, O).

    Raises:
        TypeError: it gives a tensor of another number of dimensions.
    """
    outputs = readout(x, hidden, final)
    if outputs.dim() != 3:
        raise TypeError(
            f"{type(readout).__name__} gave outputs of the shape {tuple(outputs.shape)}: a readout "
            "gives (B, 1, O), or (B, T, O) if it says every_step = True"
        )
    return outputs


class LastHidden(Readout):
    """activation(W_o before(h_T) + b_o): one output per sequence, (B, 1, O).

    before: activation applied to h_T; relu in GRUnet. dropout: probability of zeroing an entry of
    before(h_T) in training.
    """

    reads_every_step = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        outputs: int,
        activation: Activation = "identity",
        before: Activation = "identity",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size, outputs)
        self.linear = nn.Linear(hidden_size, outputs)
        self.activation, self.before = ACTIVATIONS[activation](), ACTIVATIONS[before]()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Sequences, hidden: Tensor, final: State) -> Tensor:
        h = self.dropout(self.before(final[0]))
        return self.activation(self.linear(h)).unsqueeze(1)


class EveryStep(Readout):
    """activation(W_o h_t + b_o): one output per step, (B, T, O)."""

    every_step = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        outputs: int,
        activation: Activation = "identity",
    ) -> None:
        super().__init__(input_size, hidden_size, outputs)
        self.linear = nn.Linear(hidden_size, outputs)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Sequences, hidden: Tensor, final: State) -> Tensor:
        return self.activation(self.linear(hidden)).transpose(0, 1)


class Pooled(Readout):
    """W_o [mean of h_1 .. h_T; maximum of h_1 .. h_T] + b_o: one output per sequence, (B, 1, O).
    This is concat pooling (Howard and Ruder 2018, arXiv 1801.06146, section 3.3), there with h_T.

    pooling: which of `mean`, `max`, `last` (h_T) are concatenated. dropout: probability of zeroing
    a pooled entry in training.

    Raises:
        ValueError: pooling is empty or contains another name.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        outputs: int,
        pooling: Sequence[Literal["mean", "max", "last"]] = ("mean", "max"),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(input_size, hidden_size, outputs)
        if not pooling or not set(pooling) <= {"mean", "max", "last"}:
            raise ValueError(
                f"pooling is {list(pooling)}: it must list at least one of mean, max, last"
            )
        self.pooling = tuple(pooling)
        self.reads_every_step = self.pooling != ("last",)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(len(pooling) * hidden_size, outputs)

    def forward(self, x: Sequences, hidden: Tensor, final: State) -> Tensor:
        pooled = torch.cat([self._pool(how, x, hidden, final) for how in self.pooling], dim=1)
        return self.linear(self.dropout(pooled)).unsqueeze(1)

    def _pool(self, how: str, x: Sequences, hidden: Tensor, final: State) -> Tensor:
        if how == "last":
            return final[0]
        padding = x.padding
        if padding is None:
            return hidden.mean(0) if how == "mean" else hidden.amax(0)
        padding = padding.unsqueeze(2)
        if how == "max":
            return hidden.masked_fill(padding, -torch.inf).amax(0)
        return hidden.masked_fill(padding, 0).sum(0) / (~padding).sum(0)


class LastInputAndPreviousHidden(Readout):
    """The lecture's readout of the last input and the previous hidden state.

    W_o [x_T; h_{T-1}] + b_o, or with a middle layer
    W_o dropout(relu(W_m [x_T; h_{T-1}] + b_m)) + b_o: one output per sequence, (B, 1, O).

    middle: units of the middle layer; None for no such layer. states: indices of the state tensors
    of step T-1 that are read. 0 is the hidden state; TEXTnetOrder2 needs [0, 2], h and cell_{T-2}.

    Raises:
        ValueError: middle is below 1.
    """

    reads_every_step = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        outputs: int,
        middle: int | None = None,
        dropout: float = 0.0,
        states: Sequence[int] = (0,),
    ) -> None:
        super().__init__(input_size, hidden_size, outputs)
        if middle is not None and middle < 1:
            raise ValueError(f"middle is {middle}: it must be at least 1, or None for no layer")
        self.states = tuple(states)
        first = middle or outputs
        # W_m (or W_o) has two parts, so that the product with a one-hot x_T is a row lookup.
        self.input_weight = nn.Parameter(torch.empty(input_size, first))
        self.state_weight = nn.Parameter(torch.empty(len(self.states) * hidden_size, first))
        self.bias = nn.Parameter(torch.empty(first))
        bound = (input_size + len(self.states) * hidden_size) ** -0.5  # as in nn.Linear
        for parameter in (self.input_weight, self.state_weight, self.bias):
            nn.init.uniform_(parameter, -bound, bound)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(middle, outputs) if middle else None

    def check(self, num_layers: int, bidirectional: bool, states: int) -> None:
        if num_layers > 1 or bidirectional:
            raise ValueError(
                "the readout of [x_T; h_{T-1}] is defined for one layer and one direction: set "
                "num_layers=1 and bidirectional=False, or choose another readout"
            )
        if not self.states or not set(self.states) <= set(range(states)):
            raise ValueError(
                f"states is {list(self.states)}, but the state of this recurrence has the tensors "
                f"{list(range(states))}: choose at least one of them"
            )

    def run_over(self, x: Sequences) -> Sequences:
        """All steps but the last, since h_T is not needed."""
        return x.before_last()

    def forward(self, x: Sequences, hidden: Tensor, final: State) -> Tensor:
        state = torch.cat([final[number] for number in self.states], dim=1)
        read = x.last().project(self.input_weight, self.bias).squeeze(0)  # (B, first)
        read = torch.addmm(read, state, self.state_weight)
        if self.linear is not None:
            read = self.linear(self.dropout(torch.relu(read)))
        return read.unsqueeze(1)
