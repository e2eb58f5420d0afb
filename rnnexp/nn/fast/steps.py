"""Steps by hand: what a cell does at one step, forward and backward, in memory that is given.

On the plain path autograd records every operation of a step and allocates what it needs. Here each
cell's step writes into memory that is there already, and its gradient is written out; the runner in
`rnnexp.nn.fast.fused` does the rest. So a cell has its equations twice: in `rnnexp.nn.cells` to be read,
and here to be fast. Tests hold them equal.

A tensor of one step has shape (R, H): R sequences, H hidden units. Those of several steps are
flattened to (rows, H), of S * R rows or some more; the gradients in these are zero. In names, g_x
is the gradient of the loss with respect to x.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnexp.nn import cells
from rnnexp.nn.fast.kernels import tanh

# Gradients of a function's input from that of its output y, written into `grad_input`.
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
tanh_backward = torch.ops.aten.tanh_backward.grad_input


LARGE = 2**18  # numbers in a weight
PIECE = 128  # columns of a weight or some more, of which the sums stay in a core's registers


class Step(NamedTuple):
    """What a step reads and writes.

    gates: before the step the input projections W x_t + b, after it the activations. kept: what
    else the gradient needs. before, after: the state. joined: [h; x_t; 1], the hidden state before
    the step, or several states side by side, and beside them the inputs; inputs: these alone. Where
    they are projected beforehand they have no columns.
    """

    gates: Sequence[Tensor]
    kept: Sequence[Tensor]
    before: Sequence[Tensor]
    after: Sequence[Tensor]
    joined: Tensor
    inputs: Tensor


class Gradients(NamedTuple):
    """Those that a step writes: of the input projections (gates), and what else those of the
    weights need (kept)."""

    gates: Sequence[Tensor]
    kept: Sequence[Tensor]


class Steps:
    """The steps of one cell over R sequences.

    gates, kept, kept_gradients, states: how many tensors of each a step has. side_by_side: which of
    the states are multiplied together. joining: in the order of the gates the recurrent weights
    whose products can be taken over [h; x_t; 1], each with those of the other states; none, where
    that of a gate's input has to stay apart.

    input_weights: of every gate the weight (J, H) of the inputs that stand beside the hidden state;
    None where the gates hold their projections already.
    """

    gates: ClassVar[int]
    kept: ClassVar[int] = 0
    kept_gradients: ClassVar[int] = 0
    states: ClassVar[int] = 1
    side_by_side: ClassVar[tuple[int, ...]] = (0,)
    joining: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def __init__(self, cell: Any, rows: int, input_weights: Sequence[Tensor] | None) -> None:
        self.input_weights = input_weights
        self.beta = 1 if input_weights is None else 0  # whether a gate holds something to add to
        self.a, self.b = cell.bias.new_empty(2, rows, cell.hidden_size).unbind(0)  # for anything
        self._transposed: dict[int, Tensor] = {}
        self._cut: dict[int, Tensor | None] = {}
        self.cuts = torch.get_num_threads() if rows == 1 and not cell.bias.is_cuda else 1

    @staticmethod
    def bias(cell: Any) -> Tensor:
        """What is added to the input projections: (P * H,)."""
        return cell.bias

    def join(self, U: Tensor, gate: int) -> Tensor:
        """The weight of [h; x_t; 1] in a gate."""
        return U if self.input_weights is None else torch.cat([U, self.input_weights[gate]])

    def room(self, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Memory for [some h; x_t; 1] of so many sequences; of the h alone; of the inputs alone."""
        width = 0 if self.input_weights is None else len(self.input_weights[0])
        hidden_size = self.a.shape[1]
        joined = self.a.new_empty(rows, hidden_size + width)
        return joined, joined[:, :hidden_size], joined[:, hidden_size:]

    def t(self, weight: Tensor) -> Tensor:
        """A weight transposed in memory, once: every product with it is faster then. But that of
        one sequence and a large weight takes as long as to read it, in whatever order."""
        number = id(weight)
        if number not in self._transposed:
            turned = weight.t()
            as_it_lies = len(self.a) == 1 and weight.numel() >= LARGE
            self._transposed[number] = turned if as_it_lies else turned.contiguous()
        return self._transposed[number]

    def product(self, into: Tensor, x: Tensor, weight: Tensor, beta: float = 0) -> Tensor:
        """into (R, m) becomes beta * into + x @ weight, of x (R, n) and weight (n, m).

        That of one sequence and a large weight takes as long as to read the weight, which one core
        would do alone: it is cut into columns, and every core reads its own.
        """
        if self.cuts == 1:
            return into.addmm_(x, weight, beta=beta)
        number = id(weight)
        if number not in self._cut:
            self._cut[number] = self._columns(weight)
        columns = self._cut[number]
        if columns is None:
            return into.addmm_(x, weight, beta=beta)
        pieces = len(columns)
        into.view(pieces, 1, -1).baddbmm_(x.expand(pieces, 1, -1), columns, beta=beta)
        return into

    def _columns(self, weight: Tensor) -> Tensor | None:
        """A weight (n, m) cut into pieces (p, n, m / p), the same number for every core; None where
        it stays whole. A piece lies together in memory."""
        size = weight.shape[1]
        if weight.numel() < LARGE or size % self.cuts:
            return None
        if not weight.is_contiguous():  # transposed: every column lies together anyway
            return weight.unflatten(1, (self.cuts, -1)).transpose(0, 1)
        most = max(1, size // (PIECE * self.cuts))
        pieces = self.cuts * next(n for n in range(most, 0, -1) if size % (n * self.cuts) == 0)
        return weight.unflatten(1, (pieces, -1)).transpose(0, 1).contiguous()

    def forward(self, step: Step) -> None:
        """From the state before to the state after."""
        raise NotImplementedError

    def backward(self, step: Step, g: Gradients, g_state: list[Tensor]) -> None:
        """g_state, of the state after, becomes that of the state before; g is written."""
        raise NotImplementedError

    def weights(self, step: Step, g: Gradients, g_weights: dict[str, Tensor]) -> None:
        """Add the gradients of the recurrent parameters, by name, over several steps; those that
        are joining have below them the rows of the inputs."""
        raise NotImplementedError


class VanillaSteps(Steps):
    """h' = tanh(x + U h)"""

    gates = 1

    joining = (("U",),)

    def __init__(self, cell: cells.Vanilla, rows: int, *inputs: Any) -> None:
        super().__init__(cell, rows, *inputs)
        self.U = cell.U.detach()
        self.W = self.join(self.U, 0)

    def forward(self, step: Step) -> None:
        tanh(self.product(step.gates[0], step.joined, self.W, self.beta), out=step.after[0])

    def backward(self, step: Step, g: Gradients, g_state: list[Tensor]) -> None:
        (g_x,), (g_h,) = g.gates, g_state
        tanh_backward(g_h, step.after[0], grad_input=g_x)
        self.product(g_h, g_x, self.t(self.U))

    def weights(self, step: Step, g: Gradients, g_weights: dict[str, Tensor]) -> None:
        g_weights["U"].addmm_(step.joined.t(), g.gates[0])


class LinearSteps(Steps):
    """h' = x + U h"""

    gates = 1

    joining = (("U",),)

    def __init__(self, cell: cells.Linear, rows: int, *inputs: Any) -> None:
        super().__init__(cell, rows, *inputs)
        self.U = cell.U.detach()
        self.W = self.join(self.U, 0)

    def forward(self, step: Step) -> None:
        step.after[0].copy_(self.product(step.gates[0], step.joined, self.W, self.beta))

    def backward(self, step: Step, g: Gradients, g_state: list[Tensor]) -> None:
        (g_x,), (g_h,) = g.gates, g_state
        g_x.copy_(g_h)
        self.product(g_h, g_x, self.t(self.U))

    def weights(self, step: Step, g: Gradients, g_weights: dict[str, Tensor]) -> None:
        g_weights["U"].addmm_(step.joined.t(), g.gates[0])


class TEXTnetOrder2Steps(Steps):
    """h' = tanh(x + [h; fed] [U; V]), cell' = sigma(W_c h' + b_c), fed' = cell

    The gradient that is kept is that before the sigma.
    """

    gates = 1
    kept_gradients = 1
    states = 3
    side_by_side = (0, 2)
    joining = (("U", "V"),)

    def __init__(self, cell: cells.TEXTnetOrder2, rows: int, *inputs: Any) -> None:
        super().__init__(cell, rows, *inputs)
        self.UV = torch.cat([cell.U.detach(), cell.V.detach()])
        self.W = self.join(self.UV, 0)
        self.W_c, self.b_c = cell.W_c.detach(), cell.b_c.detach()
        self.tanh = cell.activation is torch.tanh
        # The gradients of the state before, in turns with those of the state after.
        g_joined = self.a.new_empty(2, rows, 2 * cell.hidden_size)
        self.turns = [(one, *one.chunk(2, dim=1)) for one in g_joined]

    def forward(self, step: Step) -> None:
        _, cell, _ = step.before
        new_h, new_cell, new_fed = step.after
        x = self.product(step.gates[0], step.joined, self.W, self.beta)
        tanh(x, out=new_h) if self.tanh else new_h.copy_(x)
        self.product(new_cell.copy_(self.b_c), new_h, self.W_c, beta=1).sigmoid_()
        new_fed.copy_(cell)

    def backward(self, step: Step, g: Gradients, g_state: list[Tensor]) -> None:
        (g_x,), (g_sum,) = g.gates, g.kept
        g_h, g_cell, g_fed = g_state
        sigmoid_backward(g_cell, step.after[1], grad_input=g_sum)
        self.product(g_h, g_sum, self.t(self.W_c), beta=1)
        tanh_backward(g_h, step.after[0], grad_input=g_x) if self.tanh else g_x.copy_(g_h)
        self.turns.reverse()
        g_joined, g_h_before, g_fed_before = self.turns[0]
        self.product(g_joined, g_x, self.t(self.UV))
        g_state[:] = g_h_before, g_fed, g_fed_before  # what was fed is the cell of before

    def weights(self, step: Step, g: Gradients, g_weights: dict[str, Tensor]) -> None:
        g_weights["U"].addmm_(step.joined.t(), g.gates[0])  # and below it V
        g_weights["W_c"].addmm_(step.after[0].t(), g.kept[0])
        g_weights["b_c"].add_(g.kept[0].sum(0))


class MGUSteps(Steps):
    """f = sigma(x_f + U_f h), c = tanh(x_h + U_h (f * h)), h' = (1 - f) * h + f * c"""

    gates = 2
    joining = (("U_f",), ("U_h",))

    def __init__(self, cell: cells.MGU, rows: int, *inputs: Any) -> None:
        super().__init__(cell, rows, *inputs)
        self.U_f, self.U_h = cell.U_f.detach(), cell.U_h.detach()
        self.W_f, self.W_h = self.join(self.U_f, 0), self.join(self.U_h, 1)
        self.joined, self.fh, self.inputs = self.room(rows)

    def forward(self, step: Step) -> None:
        (f, c), (h,) = step.gates, step.before
        self.product(f, step.joined, self.W_f, self.beta).sigmoid_()
        torch.mul(f, h, out=self.fh)
        self.inputs.copy_(step.inputs)
        tanh(self.product(c, self.joined, self.W_h, self.beta), out=c)
        torch.lerp(h, c, f, out=step.after[0])

    def backward(self, step: Step, g: Gradients, g_state: list[Tensor]) -> None:
        (f, c), (h,), (g_f, g_c), (g_h,) = step.gates, step.before, g.gates, g_state
        a, g_fh = self.a, self.b
        torch.mul(g_h, f, out=a)
        tanh_backward(a, c, grad_input=g_c)
        self.product(g_fh, g_c, self.t(self.U_h))
        torch.sub(c, h, out=a).mul_(g_h).addcmul_(g_fh, h)
        sigmoid_backward(a, f, grad_input=g_f)
        torch.lerp(g_h, g_fh, f, out=g_h)
        self.product(g_h, g_f, self.t(self.U_f), beta=1)

    def weights(self, step: Step, g: Gradients, g_weights: dict[str, Tensor]) -> None:
        (f, _), (h,), (g_f, g_c) = step.gates, step.before, g.gates
        joined, fh, inputs = self.room(len(h))
        torch.mul(f, h, out=fh)
        inputs.copy_(step.inputs)
        g_weights["U_f"].addmm_(step.joined.t(), g_f)
        g_weights["U_h"].addmm_(joined.t(), g_c)


class GRUSteps(Steps):
    """r, z = sigma(x + U h), m = U_h h + d_h, c = tanh(x_h + r * m), h' = (1 - z) * c + z * h

    m is kept. The input of c is not multiplied by r, and so it stays apart from m. The recurrent
    biases of r and z are in x.
    """

    gates = 3
    kept = kept_gradients = 1

    def __init__(self, cell: cells.GRU, rows: int, *inputs: Any) -> None:
        super().__init__(cell, rows, *inputs)
        self.U = [U.contiguous() for U in cell.U.detach().chunk(3, dim=1)]
        self.d_h = cell.recurrent_bias.detach()[2 * cell.hidden_size :]

    @staticmethod
    def bias(cell: cells.GRU) -> Tensor:
        outside = cell.recurrent_bias.clone()
        outside[2 * cell.hidden_size :] = 0
        return cell.bias + outside

    def forward(self, step: Step) -> None:
        (r, z, c), (m,), (h,) = step.gates, step.kept, step.before
        self.product(r, h, self.U[0], beta=1).sigmoid_()
        self.product(z, h, self.U[1], beta=1).sigmoid_()
        self.product(m.copy_(self.d_h), h, self.U[2], beta=1)
        tanh(c.addcmul_(r, m), out=c)
        torch.lerp(c, h, z, out=step.after[0])

    def backward(self, step: Step, g: Gradients, g_state: list[Tensor]) -> None:
        (r, z, c), (m,), (h,) = step.gates, step.kept, step.before
        (g_r, g_z, g_c), (g_m,), (g_h,) = g.gates, g.kept, g_state
        a = self.a
        torch.sub(h, c, out=a).mul_(g_h)
        sigmoid_backward(a, z, grad_input=g_z)
        torch.mul(g_h, z, out=self.b)
        torch.sub(g_h, self.b, out=a)
        g_h.copy_(self.b)
        tanh_backward(a, c, grad_input=g_c)
        torch.mul(g_c, m, out=a)
        sigmoid_backward(a, r, grad_input=g_r)
        torch.mul(g_c, r, out=g_m)
        for part, U in zip((g_r, g_z, g_m), self.U, strict=True):
            self.product(g_h, part, self.t(U), beta=1)

    def weights(self, step: Step, g: Gradients, g_weights: dict[str, Tensor]) -> None:
        (h,), parts = step.before, (g.gates[0], g.gates[1], g.kept[0])
        for g_U, part in zip(g_weights["U"].chunk(3, dim=1), parts, strict=True):
            g_U.addmm_(h.t(), part)
        for g_d, part in zip(g_weights["recurrent_bias"].chunk(3), parts, strict=True):
            g_d.add_(part.sum(0))


class GRUChungSteps(Steps):
    """z, r = sigma(x + U h), c = tanh(x_h + U_h (r * h)), h' = (1 - z) * h + z * c"""

    gates = 3
    joining = (("U",), ("U_h",))

    def __init__(self, cell: cells.GRUChung, rows: int, *inputs: Any) -> None:
        super().__init__(cell, rows, *inputs)
        self.U_z, self.U_r = (U.contiguous() for U in cell.U.detach().chunk(2, dim=1))
        self.U_h = cell.U_h.detach()
        self.W_z, self.W_r, self.W_h = (
            self.join(U, gate) for gate, U in enumerate((self.U_z, self.U_r, self.U_h))
        )
        self.joined, self.rh, self.inputs = self.room(rows)

    def forward(self, step: Step) -> None:
        (z, r, c), (h,) = step.gates, step.before
        self.product(z, step.joined, self.W_z, self.beta).sigmoid_()
        self.product(r, step.joined, self.W_r, self.beta).sigmoid_()
        torch.mul(r, h, out=self.rh)
        self.inputs.copy_(step.inputs)
        tanh(self.product(c, self.joined, self.W_h, self.beta), out=c)
        torch.lerp(h, c, z, out=step.after[0])

    def backward(self, step: Step, g: Gradients, g_state: list[Tensor]) -> None:
        (z, r, c), (h,), (g_z, g_r, g_c), (g_h,) = step.gates, step.before, g.gates, g_state
        a, g_rh = self.a, self.b
        torch.sub(c, h, out=a).mul_(g_h)
        sigmoid_backward(a, z, grad_input=g_z)
        torch.mul(g_h, z, out=a)
        g_h.sub_(a)
        tanh_backward(a, c, grad_input=g_c)
        self.product(g_rh, g_c, self.t(self.U_h))
        g_h.addcmul_(g_rh, r)
        g_rh.mul_(h)
        sigmoid_backward(g_rh, r, grad_input=g_r)
        self.product(g_h, g_z, self.t(self.U_z), beta=1)
        self.product(g_h, g_r, self.t(self.U_r), beta=1)

    def weights(self, step: Step, g: Gradients, g_weights: dict[str, Tensor]) -> None:
        (_, r, _), (h,), (g_z, g_r, g_c) = step.gates, step.before, g.gates
        joined, rh, inputs = self.room(len(h))
        torch.mul(r, h, out=rh)
        inputs.copy_(step.inputs)
        for g_U, part in zip(g_weights["U"].chunk(2, dim=1), (g_z, g_r), strict=True):
            g_U.addmm_(step.joined.t(), part)
        g_weights["U_h"].addmm_(joined.t(), g_c)


class LSTMSteps(Steps):
    """i, f, o = sigma(x + U h), g = tanh(x_g + U_g h), c' = f * c + i * g, h' = o * tanh(c')"""

    gates = 4
    states = 2
    joining = (("U",),)

    def __init__(self, cell: cells.LSTM, rows: int, *inputs: Any) -> None:
        super().__init__(cell, rows, *inputs)
        self.U = [U.contiguous() for U in cell.U.detach().chunk(4, dim=1)]
        self.W = [self.join(U, gate) for gate, U in enumerate(self.U)]

    def forward(self, step: Step) -> None:
        (_, c), (new_h, new_c) = step.before, step.after
        for gate, W in zip(step.gates, self.W, strict=True):
            self.product(gate, step.joined, W, self.beta)
        i, f, g, o = step.gates
        torch.mul(f.sigmoid_(), c, out=new_c).addcmul_(i.sigmoid_(), tanh(g, out=g))
        torch.mul(self._tanh_of(new_c), o.sigmoid_(), out=new_h)

    def _tanh_of(self, c: Tensor) -> Tensor:
        """In self.a."""
        return tanh(self.a.copy_(c), out=self.a)

    def backward(self, step: Step, g: Gradients, g_state: list[Tensor]) -> None:
        (i, f, candidate, o), (_, c), (_, new_c) = step.gates, step.before, step.after
        (g_i, g_f, g_candidate, g_o), (g_h, g_c) = g.gates, g_state
        a, b = self.a, self.b
        self._tanh_of(new_c)
        torch.mul(g_h, a, out=b)
        sigmoid_backward(b, o, grad_input=g_o)
        torch.mul(g_h, o, out=b)
        g_c.add_(tanh_backward(b, a, grad_input=a))
        torch.mul(g_c, candidate, out=a)
        sigmoid_backward(a, i, grad_input=g_i)
        torch.mul(g_c, i, out=a)
        tanh_backward(a, candidate, grad_input=g_candidate)
        torch.mul(g_c, c, out=a)
        sigmoid_backward(a, f, grad_input=g_f)
        g_c.mul_(f)
        for number, (part, U) in enumerate(zip(g.gates, self.U, strict=True)):
            self.product(g_h, part, self.t(U), beta=min(number, 1))

    def weights(self, step: Step, g: Gradients, g_weights: dict[str, Tensor]) -> None:
        for g_U, part in zip(g_weights["U"].chunk(4, dim=1), g.gates, strict=True):
            g_U.addmm_(step.joined.t(), part)


STEPS: dict[type[cells.Cell], type[Steps]] = {
    cells.Vanilla: VanillaSteps,
    cells.Linear: LinearSteps,
    cells.TEXTnetOrder2: TEXTnetOrder2Steps,
    cells.MGU: MGUSteps,
    cells.GRU: GRUSteps,
    cells.GRUChung: GRUChungSteps,
    cells.LSTM: LSTMSteps,
}
