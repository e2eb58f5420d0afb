"""Cells: the equations of one step, and nothing else.

A cell maps (input projection at step t, state at step t-1) to the state at step t. The base class
is in `rnnexp.nn.cell`.

In the equations, sigma is the logistic sigmoid, * is the element-wise product, and h_0 = 0.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnexp.nn.cell import Cell, Initial, MemoryGate, State, mix, recurrent
from rnnexp.nn.representations import Sequences

__all__ = [
    "GRU",
    "LSTM",
    "MGU",
    "MGU1",
    "MGU2",
    "MGU3",
    "Cell",
    "GRUChung",
    "Initial",
    "LiGRU",
    "Linear",
    "MemoryGate",
    "MinGRU",
    "State",
    "TEXTnetOrder2",
    "Vanilla",
    "mix",
    "recurrent",
]


class Vanilla(Cell):
    """The simple recurrent network with tanh (Elman 1990; Goodfellow, Bengio and Courville 2016,
    "Deep Learning", eqs. 10.8 and 10.9; torch.nn.RNN's equation).

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
    """The recurrent network without a nonlinearity, from the lecture's slides on TEXTnet and the
    char RNN.

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
    """The lecture's TEXTnetOrder2: a gate computed from h_t is an input of step t+2.

    h_t    = tanh(W x_t + b + U h_{t-1} + V cell_{t-2})
    cell_t = sigma(W_c h_t + b_c)

    The state is (h_t, cell_t, cell_{t-1}); step t+1 reads h_t and cell_{t-1}. Initially
    cell_0 = cell_{-1} = 0. With tanh=False, h_t has no tanh, as on the slide.
    """

    projections = 1
    states = 3
    gates = ("cell",)

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
        """Draw W, U, V as one torch.nn.Linear over [x_t; h_{t-1}; cell_{t-2}] (over h_{t-1} if
        initial is `hidden`), and W_c as one over h_t."""
        inputs = 0 if self.initial == "hidden" else self.input_size + self.hidden_size
        bound, cell_bound = (inputs + self.hidden_size) ** -0.5, self.hidden_size**-0.5
        for parameter in (self.input_weight, self.bias, self.U, self.V):
            nn.init.uniform_(parameter, -bound, bound)
        for parameter in (self.W_c, self.b_c):
            nn.init.uniform_(parameter, -cell_bound, cell_bound)

    def forward(self, x: Tensor, state: State) -> State:
        h, cell, fed = state
        h = self.activation(torch.addmm(torch.addmm(x, h, self.U), fed, self.V))
        return h, torch.sigmoid(torch.addmm(self.b_c, h, self.W_c)), cell


class GRU(Cell):
    """The gated recurrent unit of torch.nn.GRU: Cho et al. 2014 (arXiv 1406.1078, eqs. 5-8), but
    with the reset gate applied after the recurrent product.

    r_t  = sigma(W_r x_t + b_r + U_r h_{t-1} + d_r)
    z_t  = sigma(W_z x_t + b_z + U_z h_{t-1} + d_z)
    h~_t = tanh(W_h x_t + b_h + r_t * (U_h h_{t-1} + d_h))
    h_t  = (1 - z_t) * h~_t + z_t * h_{t-1}
    """

    projections = 3
    memory_gate = MemoryGate("bias", 1, 1)  # z
    gates = ("reset gate r", "update gate z (1: h is kept)")

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
        return (mix(candidate, h, z),)  # (1 - z) * candidate + z * h


class GRUChung(Cell):
    """The gated recurrent unit of the lecture, with the reset gate applied before the recurrent
    product (Chung et al. 2014, arXiv 1412.3555, section 3.2; h_t is eq. 5, the others have no
    number).

    z_t  = sigma(W_z x_t + b_z + U_z h_{t-1})
    r_t  = sigma(W_r x_t + b_r + U_r h_{t-1})
    h~_t = tanh(W_h x_t + b_h + U_h (r_t * h_{t-1}))
    h_t  = (1 - z_t) * h_{t-1} + z_t * h~_t

    `GRU` applies the reset gate after the product, and swaps z_t and 1 - z_t in h_t.
    """

    projections = 3
    memory_gate = MemoryGate("bias", 0, -1)  # z
    gates = ("update gate z (1: h is replaced)", "reset gate r")

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U = recurrent(hidden_size, 2)  # U_z, U_r side by side
        self.U_h = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        size = self.hidden_size
        z, r = torch.sigmoid(torch.addmm(x[:, : 2 * size], h, self.U)).chunk(2, dim=1)
        candidate = torch.tanh(torch.addmm(x[:, 2 * size :], r * h, self.U_h))
        return (mix(h, candidate, z),)  # (1 - z) * h + z * candidate


class LSTM(Cell):
    """Long short-term memory as in torch.nn.LSTM (Hochreiter and Schmidhuber 1997, with the forget
    gate of Gers et al. 2000; Graves 2013, arXiv 1308.0850, eqs. 7-11, without its peepholes).

    i_t = sigma(W_i x_t + b_i + U_i h_{t-1})
    f_t = sigma(W_f x_t + b_f + U_f h_{t-1})
    g_t = tanh(W_g x_t + b_g + U_g h_{t-1})
    o_t = sigma(W_o x_t + b_o + U_o h_{t-1})
    c_t = f_t * c_{t-1} + i_t * g_t
    h_t = o_t * tanh(c_t)

    The state is (h_t, c_t). b is the sum of torch's two biases, bias_ih and bias_hh.
    """

    projections = 4
    states = 2
    memory_gate = MemoryGate("bias", 1, 1)  # f
    gates = ("forget gate f (1: c is kept)", "input gate i", "output gate o")

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U = recurrent(hidden_size, 4)  # U_i, U_f, U_g, U_o side by side
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        h, c = state
        i, f, g, o = torch.addmm(x, h, self.U).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class MGU(Cell):
    """The minimal gated unit, the lecture's pmGRU (Zhou et al. 2016, arXiv 1603.09420, eqs. 8-10).

    f_t  = sigma(W_f x_t + U_f h_{t-1} + b_f)
    h~_t = tanh(W_h x_t + U_h (f_t * h_{t-1}) + b_h)
    h_t  = (1 - f_t) * h_{t-1} + f_t * h~_t
    """

    projections = 2
    memory_gate = MemoryGate("bias", 0, -1)  # f
    gates = ("forget gate f (1: h is replaced)",)

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
        return (mix(h, candidate, f),)  # (1 - f) * h + f * candidate


class MGU1(Cell):
    """MGU with a gate that depends on the hidden state only (Heck and Salem 2017, arXiv 1701.03452,
    "MGU1").

    f_t  = sigma(U_f h_{t-1} + b_f)
    h~_t = tanh(W_h x_t + U_h (f_t * h_{t-1}) + b_h)
    h_t  = (1 - f_t) * h_{t-1} + f_t * h~_t
    """

    projections = 1
    memory_gate = MemoryGate("b_f", 0, -1)  # f
    gates = ("forget gate f (1: h is replaced)",)

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U_f = recurrent(hidden_size)
        self.b_f = nn.Parameter(torch.empty(hidden_size))
        self.U_h = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        f = torch.sigmoid(torch.addmm(self.b_f, h, self.U_f))
        candidate = torch.tanh(torch.addmm(x, f * h, self.U_h))
        return (mix(h, candidate, f),)  # (1 - f) * h + f * candidate


class MGU2(Cell):
    """MGU1 without the bias of the gate (Heck and Salem 2017, arXiv 1701.03452, "MGU2").

    f_t  = sigma(U_f h_{t-1})
    h~_t = tanh(W_h x_t + U_h (f_t * h_{t-1}) + b_h)
    h_t  = (1 - f_t) * h_{t-1} + f_t * h~_t
    """

    projections = 1
    gates = ("forget gate f (1: h is replaced)",)

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U_f = recurrent(hidden_size)
        self.U_h = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        f = torch.sigmoid(torch.mm(h, self.U_f))
        candidate = torch.tanh(torch.addmm(x, f * h, self.U_h))
        return (mix(h, candidate, f),)  # (1 - f) * h + f * candidate


class MGU3(Cell):
    """MGU with a learnt constant as its gate (Heck and Salem 2017, arXiv 1701.03452, "MGU3").

    f    = sigma(b_f)
    h~_t = tanh(W_h x_t + U_h (f * h_{t-1}) + b_h)
    h_t  = (1 - f) * h_{t-1} + f * h~_t
    """

    projections = 1
    memory_gate = MemoryGate("b_f", 0, -1)  # f
    gates = ("forget gate f (1: h is replaced)",)

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.b_f = nn.Parameter(torch.empty(hidden_size))
        self.U_h = recurrent(hidden_size)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        f = torch.sigmoid(self.b_f)  # (H,)
        candidate = torch.tanh(torch.addmm(x, f * h, self.U_h))
        return (mix(h, candidate, f),)  # (1 - f) * h + f * candidate


class LiGRU(Cell):
    """The light gated recurrent unit (Ravanelli et al. 2018, arXiv 1803.10225, section III).

    z_t  = sigma(BN(W_z x_t) + U_z h_{t-1})
    h~_t = relu(BN(W_h x_t) + U_h h_{t-1})
    h_t  = z_t * h_{t-1} + (1 - z_t) * h~_t

    BN(a) = gain * (a - mean) / sqrt(variance + 1e-5) + bias, separately for each entry of a.
    In training, mean and variance are computed over all steps of the batch except padding, so the
    states of a sequence depend on the other sequences of its batch. Evaluation uses the running
    mean and variance from training.
    """

    projections = 2
    memory_gate = MemoryGate("bias", 0, 1)  # z
    gates = ("update gate z (1: h is kept)",)
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.U = recurrent(hidden_size, 2)  # U_z, U_h side by side
        self.gain = nn.Parameter(torch.empty(2 * hidden_size))
        self.register_buffer("running_mean", torch.zeros(2 * hidden_size))
        self.register_buffer("running_var", torch.ones(2 * hidden_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as `Cell` does; BN starts with gain 1 and bias 0."""
        super().reset_parameters()
        nn.init.ones_(self.gain)
        nn.init.zeros_(self.bias)

    def project(self, x: Sequences) -> Tensor:
        """BN(W x_t) of all steps, (T, B, 2 H); zero in the padding."""
        projected = x.project(self.input_weight, torch.zeros_like(self.bias))
        if x.padding is None:
            return self._normalise(projected.flatten(0, 1)).view_as(projected)
        real, normalised = ~x.padding, torch.zeros_like(projected)
        normalised[real] = self._normalise(projected[real])
        return normalised

    def _normalise(self, steps: Tensor) -> Tensor:
        """BN of N steps, (N, 2 H). One step has no variance: the running statistics are used."""
        return functional.batch_norm(
            steps,
            self.running_mean,
            self.running_var,
            self.gain,
            self.bias,
            training=self.training and len(steps) > 1,
        )

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        z, candidate = torch.addmm(x, h, self.U).chunk(2, dim=1)
        return (mix(torch.relu(candidate), h, torch.sigmoid(z)),)  # (1 - z) * candidate + z * h


class MinGRU(Cell):
    """The minimal GRU (Feng et al. 2024, arXiv 2410.01201, section 3.1), run step by step.

    z_t  = sigma(W_z x_t + b_z)
    h~_t = W_h x_t + b_h
    h_t  = (1 - z_t) * h_{t-1} + z_t * h~_t

    Neither gate nor candidate depends on h_{t-1}, so there are no recurrent weights.
    """

    projections = 2
    memory_gate = MemoryGate("bias", 0, -1)  # z
    gates = ("update gate z (1: h is replaced)",)

    def __init__(self, input_size: int, hidden_size: int, initial: Initial = "hidden") -> None:
        super().__init__(input_size, hidden_size, initial)
        self.reset_parameters()

    def forward(self, x: Tensor, state: State) -> State:
        (h,) = state
        z, candidate = x.chunk(2, dim=1)
        return (mix(h, candidate, torch.sigmoid(z)),)  # (1 - z) * h + z * candidate
