"""The yardsticks of our time loop: literal loops, torch's layers, and the matrix products alone.

Loops and layers are called as network(x, every_step) with x: (T, B, I), and return every hidden
state (T, B, H) or the last one (B, H).
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnnexp.nn import cells
from rnnexp.nn.fast import choices
from rnnexp.nn.lecture import pmgru, textnet, textnet_order2

State = tuple[Tensor, ...]


# Literal loops ----------------------------------------------------------------------------------


class Loop(nn.Module):
    """The equations step by step: a torch.nn.Linear over [x_t; h_{t-1}] for each gate, and autograd
    for the gradients."""

    states = 1

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.inputs, self.hidden = inputs, hidden

    def forward(self, x: Tensor, every_step: bool) -> Tensor:
        state: State = (torch.zeros(x.shape[1], self.hidden),) * self.states
        hidden = []
        for t in range(x.shape[0]):
            state = self.step(x[t], *state)
            hidden.append(state[0])
        return torch.stack(hidden) if every_step else hidden[-1]

    def step(self, x: Tensor, *state: Tensor) -> State:
        """x: (B, I), state: tensors (B, H) -> the next state."""
        raise NotImplementedError


class TEXTnet(Loop):
    """The lecture's network (rnnexp/nn/lecture) without its output."""

    tanh = True

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.network = textnet.TEXTnet(inputs, hidden, classes=2, tanh=self.tanh)

    def step(self, x: Tensor, *state: Tensor) -> State:
        return (self.network.step(x, *state),)


class TEXTnetOfTheSlide(TEXTnet):
    """The same without tanh."""

    tanh = False


class TEXTnetOrder2(Loop):
    """The lecture's network (rnnexp/nn/lecture) without its output."""

    states = 3

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.network = textnet_order2.TEXTnetOrder2(inputs, hidden, classes=2)

    def step(self, x: Tensor, *state: Tensor) -> State:
        return self.network.step(x, *state)


class PmGRU(Loop):
    """The lecture's network (rnnexp/nn/lecture) without its output."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.network = pmgru.pmGRU(inputs, hidden)

    def step(self, x: Tensor, *state: Tensor) -> State:
        return (self.network.step(x, *state),)


class LectureGRU(Loop):
    """z_t  = sigma(W_z [x_t; h_{t-1}] + b_z)
    r_t  = sigma(W_r [x_t; h_{t-1}] + b_r)
    h~_t = tanh(W_h [x_t; r_t * h_{t-1}] + b_h)
    h_t  = (1 - z_t) * h_{t-1} + z_t * h~_t
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.update = nn.Linear(inputs + hidden, hidden)
        self.reset = nn.Linear(inputs + hidden, hidden)
        self.candidate = nn.Linear(inputs + hidden, hidden)

    def step(self, x: Tensor, *state: Tensor) -> State:
        (h,) = state
        combined = torch.cat([x, h], dim=1)
        z = torch.sigmoid(self.update(combined))
        r = torch.sigmoid(self.reset(combined))
        candidate = torch.tanh(self.candidate(torch.cat([x, r * h], dim=1)))
        return ((1 - z) * h + z * candidate,)


class TorchGRU(Loop):
    """r_t  = sigma(W_r [x_t; h_{t-1}] + b_r)
    z_t  = sigma(W_z [x_t; h_{t-1}] + b_z)
    h~_t = tanh(W_h x_t + b_h + r_t * (U_h h_{t-1} + d_h))
    h_t  = (1 - z_t) * h~_t + z_t * h_{t-1}
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.reset = nn.Linear(inputs + hidden, hidden)
        self.update = nn.Linear(inputs + hidden, hidden)
        self.candidate_of_input = nn.Linear(inputs, hidden)
        self.candidate_of_hidden = nn.Linear(hidden, hidden)

    def step(self, x: Tensor, *state: Tensor) -> State:
        (h,) = state
        combined = torch.cat([x, h], dim=1)
        r = torch.sigmoid(self.reset(combined))
        z = torch.sigmoid(self.update(combined))
        candidate = torch.tanh(self.candidate_of_input(x) + r * self.candidate_of_hidden(h))
        return ((1 - z) * candidate + z * h,)


class LSTM(Loop):
    """i_t, f_t, o_t = sigma(W_i,f,o [x_t; h_{t-1}] + b_i,f,o)
    g_t = tanh(W_g [x_t; h_{t-1}] + b_g)
    c_t = f_t * c_{t-1} + i_t * g_t
    h_t = o_t * tanh(c_t)
    """

    states = 2

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self.input_gate = nn.Linear(inputs + hidden, hidden)
        self.forget_gate = nn.Linear(inputs + hidden, hidden)
        self.candidate = nn.Linear(inputs + hidden, hidden)
        self.output_gate = nn.Linear(inputs + hidden, hidden)

    def step(self, x: Tensor, *state: Tensor) -> State:
        h, c = state
        combined = torch.cat([x, h], dim=1)
        i = torch.sigmoid(self.input_gate(combined))
        f = torch.sigmoid(self.forget_gate(combined))
        g = torch.tanh(self.candidate(combined))
        o = torch.sigmoid(self.output_gate(combined))
        c = f * c + i * g
        return o * torch.tanh(c), c


LOOPS: dict[type[cells.Cell], type[Loop]] = {
    cells.Vanilla: TEXTnet,
    cells.Linear: TEXTnetOfTheSlide,
    cells.TEXTnetOrder2: TEXTnetOrder2,
    cells.MGU: PmGRU,
    cells.GRU: TorchGRU,
    cells.GRUChung: LectureGRU,
    cells.LSTM: LSTM,
}


# torch's own layers -----------------------------------------------------------------------------


class Layer(nn.Module):
    """A recurrent layer of torch."""

    def __init__(self, backend: Callable[..., nn.RNNBase], inputs: int, hidden: int) -> None:
        super().__init__()
        self.layer = backend(inputs, hidden)

    def forward(self, x: Tensor, every_step: bool) -> Tensor:
        hidden, final = self.layer(x)
        last = final[0] if isinstance(final, tuple) else final  # (1, B, H)
        return hidden if every_step else last[0]


# torch's layer of the same equations, or nn.GRU for all relatives of the GRU. Some cells have none.
LAYERS: dict[type[cells.Cell], type[nn.RNNBase]] = {
    cells.Vanilla: nn.RNN,
    cells.MGU: nn.GRU,
    cells.GRUChung: nn.GRU,
    cells.GRU: nn.GRU,
    cells.LSTM: nn.LSTM,
}


# The limit --------------------------------------------------------------------------------------

MAX_ROWS = 4096  # sequences times steps in one product over many steps


class Product:
    """The product of a matrix (rows, n) with a weight (n, m), and its gradients. The operands are
    always the same, so they stay in the cache."""

    def __init__(self, weight: Tensor, rows: int) -> None:
        self.weight = weight.detach()
        self.x, self.g = (torch.randn(rows, size) for size in weight.shape)
        self.y, self.g_x = torch.empty_like(self.g), torch.empty_like(self.x)
        self.g_weight = torch.empty_like(self.weight)

    def forward(self) -> None:
        torch.mm(self.x, self.weight, out=self.y)

    def gradient_of_rows(self) -> None:
        torch.mm(self.g, self.weight.t(), out=self.g_x)

    def gradient_of_weight(self) -> None:
        torch.mm(self.x.t(), self.g, out=self.g_weight)


def products(cell: cells.Cell, batch: int, steps: int, training: bool) -> Callable[[], None]:
    """The matrix products of a cell and nothing else, by the fused path's kernels.

    Forward, every recurrent weight is multiplied once a step, and the input weight once for many
    steps. Backward, every recurrent weight is multiplied once a step again, and the gradients of
    all weights are computed for many steps at a time. The inputs need no gradient.
    """
    size, tuning = cell.hidden_size, choices.tuning_of(type(cell).__name__)
    weights = [weight for weight in cell.parameters() if weight.dim() == 2]
    recurrent = [Product(weight, batch) for weight in weights if weight is not cell.input_weight]
    parts = [min(MAX_ROWS, batch * steps - start) for start in range(0, batch * steps, MAX_ROWS)]
    inputs = {rows: Product(cell.input_weight, rows) for rows in set(parts)}
    whole = {rows: [Product(weight, rows) for weight in weights] for rows in set(parts)}

    def work() -> None:
        with tuning.products(parts[0], size, size):
            for rows in parts:
                inputs[rows].forward()
        with tuning.products(batch, size, size):
            for _ in range(steps):
                for product in recurrent:
                    product.forward()
            for _ in range(steps if training else 0):
                for product in recurrent:
                    product.gradient_of_rows()
        with tuning.products(parts[0], size, size):
            for rows in parts if training else []:
                for product in whole[rows]:
                    product.gradient_of_weight()

    return work
