"""The graphed path: the steps of the plain path as CUDA graphs, for any cell.

On a GPU the plain path is bound by the launches of its many small operations. A CUDA graph replays
them with one launch: the same operations on the same memory, with other numbers. A graph is
captured when a cell first meets a shape, and each graph keeps the memory of its steps. So there are
at most MOST_GRAPHS of a cell in training, and as many in inference; further shapes run step by
step. The input projections are not part of a graph.

`forward` of a cell must depend on tensors alone: what Python does there happens once, at capture.
"""

import gc
import weakref
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rnnexp.nn.cell import Cell, State
from rnnexp.nn.plain import run_over
from rnnexp.nn.representations import Sequences

MOST_GRAPHS = 4  # of a cell, each in training and in inference: full and last batches
DEVICE = "cuda"  # the type of device that has graphs

# Beside the cells, not in them: a copy or a checkpoint of a cell has no graphs.
_graphs: "weakref.WeakKeyDictionary[Cell, dict[Any, Graph]]" = weakref.WeakKeyDictionary()


def has_graphed_path(cell: Cell, x: Sequences | None = None) -> bool:
    """Whether a graph can run this cell over x: on a GPU, without padding."""
    suits = x is None or (x.lengths is None and x.steps > 0 and x.batch > 0)
    return cell.bias.device.type == DEVICE and suits


def run_graphed(cell: Cell, x: Sequences, every_step: bool) -> tuple[Tensor, State]:
    """Run one cell over x. Returns the hidden states (T, B, H), or an empty tensor (0, B, H) unless
    every_step, and the final state.

    Raises:
        RuntimeError: the steps of the cell cannot be captured.
    """
    projected = cell.project(x)
    graph = _graph_of(cell, projected, every_step)
    if graph is None:
        return run_over(cell, projected, None, every_step)
    hidden, *state = graph.run(projected, _weights(cell))
    return hidden, tuple(state)


def forget(cell: Cell) -> None:
    """Free the graphs of a cell, whose parameters are about to get other memory."""
    if _graphs.pop(cell, None):
        gc.collect()  # torch's function refers to itself


def _weights(cell: Cell) -> list[Tensor]:
    """All parameters except the input weight, which only the projection uses."""
    return [one for name, one in cell.named_parameters() if name != "input_weight"]


def _graph_of(cell: Cell, projected: Tensor, every_step: bool) -> "Graph | None":
    """The graph for these inputs, captured if there is none yet; None if the cell has too many, or
    if the backward pass of an earlier call still needs the memory of this one."""
    weights, graphs = _weights(cell), _graphs.setdefault(cell, {})
    places = [tensor.data_ptr() for tensor in (*weights, *cell.buffers())]
    if any(graph.places != places for graph in graphs.values()):
        graphs.clear()  # a parameter has other memory now
    trained = [torch.is_grad_enabled() and one.requires_grad for one in (projected, *weights)]
    key = (projected.shape, projected.dtype, every_step, cell.training, tuple(trained))
    if key not in graphs:
        if sum(any(other[-1]) == any(trained) for other in graphs) >= MOST_GRAPHS:
            return None
        graphs[key] = Graph(cell, projected, trained, every_step, places)
    return None if graphs[key].is_in_use() else graphs[key]


class _Steps(nn.Module):
    """The steps of a cell as a module, so that they can be called with other parameters."""

    def __init__(self, cell: Cell, every_step: bool) -> None:
        super().__init__()
        self.cell, self.every_step = cell, every_step

    def forward(self, projected: Tensor) -> tuple[Tensor, ...]:
        hidden, state = run_over(self.cell, projected, None, self.every_step)
        return hidden, *state


class Graph:
    """The steps of one cell over inputs of one shape, captured forward and, in training, backward.

    projected: (T, B, projections * H). trained: whether the projections and each weight need a
    gradient. places: the addresses of the weights and buffers, which the graph reads.

    torch returns the graph's own memory, which the next replay overwrites: outputs, and gradients,
    which torch would also take over as the `.grad` of a parameter. Here both are copied.
    """

    def __init__(
        self, cell: Cell, projected: Tensor, trained: list[bool], every_step: bool, places: list
    ) -> None:
        self.places, self.trained = places, any(trained)
        self.replays = 0
        self._last: Callable[[], Any] = lambda: None  # the backward pass of the last replay
        names = [f"cell.{name}" for name, _ in cell.named_parameters() if name != "input_weight"]
        alive = weakref.ref(cell)  # graphs die with their cell

        def run(projected: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
            steps = _Steps(cast(Cell, alive()), every_step)
            return functional_call(steps, dict(zip(names, weights, strict=True)), (projected,))

        # Under inference mode, the memory could not be written outside of it.
        with torch.inference_mode(False), torch.set_grad_enabled(self.trained):
            # Leaves of its own, in the memory of the weights: the nodes of autograd that accumulate
            # the gradients of the parameters belong to another stream, and cannot be captured.
            inputs = [projected.detach().clone(), *(one.detach() for one in _weights(cell))]
            for tensor, needs_gradient in zip(inputs, trained, strict=True):
                tensor.requires_grad_(needs_gradient)
            gc.collect()  # the memory of earlier graphs; and none of them may end during a capture
            try:
                self._replay: Any = torch.cuda.make_graphed_callables(
                    run, tuple(inputs), allow_unused_input=True
                )
            except RuntimeError as error:
                raise RuntimeError(
                    f"{type(cell).__name__} over inputs of shape {tuple(projected.shape)} cannot "
                    f"be captured as a CUDA graph: choose path=plain ({error})"
                ) from error

    def is_in_use(self) -> bool:
        """Whether the last replay waits for its backward pass."""
        last = self._last()
        return last is not None and not last.is_done

    def run(self, projected: Tensor, weights: list[Tensor]) -> tuple[Tensor, ...]:
        """The hidden states and the tensors of the final state."""
        self.replays += 1
        if not self.trained:
            return tuple(tensor.clone() for tensor in self._replay(projected, *weights))
        return _Taken.apply(self, *self._replay(*_Given.apply(projected, *weights)))

    def expect(self, backward: Any) -> None:
        """Remember the backward pass of the last replay."""
        self._last = weakref.ref(backward)


class _Given(torch.autograd.Function):
    """The inputs of a graph. Their gradients are copies."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        return tuple(tensor.view_as(tensor) for tensor in inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        return tuple(None if one is None else one.clone() for one in gradients)


class _Taken(torch.autograd.Function):
    """The outputs of a graph, copied. The backward pass checks that no replay came between."""

    @staticmethod
    def forward(ctx: Any, graph: Graph, *outputs: Tensor) -> tuple[Tensor, ...]:
        ctx.graph, ctx.replay, ctx.is_done = graph, graph.replays, False
        graph.expect(ctx)
        return tuple(tensor.clone() for tensor in outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.replay != ctx.graph.replays:
            raise RuntimeError(
                "a second backward pass needs the steps of a CUDA graph that has run again since: "
                "choose path=plain"
            )
        ctx.is_done = True
        return None, *gradients
