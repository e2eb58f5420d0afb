"""Hand-written kernels: the forward and backward pass of each cell at one step.

`KERNELS` maps a cell to its kernel. Cells without a kernel run on the plain path
(`rnnexp.nn.plain`) or the compiled path (`rnnexp.nn.fast.compiled`).
"""

from rnnexp.nn import cells
from rnnexp.nn.fast.kernels.base import CellKernel
from rnnexp.nn.fast.kernels.gated import GRUChungKernel, GRUKernel, LSTMKernel, MGUKernel
from rnnexp.nn.fast.kernels.simple import LinearKernel, TEXTnetOrder2Kernel, VanillaKernel

KERNELS: dict[type[cells.Cell], type[CellKernel]] = {
    cells.Vanilla: VanillaKernel,
    cells.Linear: LinearKernel,
    cells.TEXTnetOrder2: TEXTnetOrder2Kernel,
    cells.MGU: MGUKernel,
    cells.GRU: GRUKernel,
    cells.GRUChung: GRUChungKernel,
    cells.LSTM: LSTMKernel,
}
