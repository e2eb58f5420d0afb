"""Records what a network computes in one forward pass as nodes of a graph.

So no equation of a network is written a second time: its own Python code runs once, on example
inputs, and every operation of torch on the way becomes a node (`rnnexp.export.operators`). What
does not depend on the inputs is a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnexp.errors import UserError
from rnnexp.export.graph import Graph

Operator = Callable[..., str | list[str]]


MOST = 2**40  # a larger number is no size


class Sizes:
    """The sizes of the example inputs that may differ from call to call: batch B and steps T.

    Both are primes that divide no other size of the network, so that a number in a shape tells what
    it is: T, T - 1, or a multiple of B.

    others: all other sizes, which B and T must not be taken for. any_steps: whether T may differ.
    """

    def __init__(self, others: Iterable[int], any_steps: bool) -> None:
        taken = set(others) - {0}
        primes = [n for n in range(101, 2000) if all(n % d for d in range(2, 45))]
        free = [n for n in primes if not any(size % n == 0 or size == n - 1 for size in taken)]
        self.batch, self.steps = free[:2]
        self.lengths = (self.steps, self.steps - 1) if any_steps else ()

    def vary(self, number: int) -> bool:
        """Whether a number of a shape may differ from call to call."""
        return 0 < number < MOST and (number in self.lengths or number % self.batch == 0)


class Recorder(TorchDispatchMode):
    """While it is entered, operations on recorded tensors are added to the graph."""

    def __init__(self, sizes: Sizes, operators: dict[str, Operator]) -> None:
        super().__init__()
        self.graph, self.sizes, self.operators = Graph(), sizes, operators
        self._names: dict[int, tuple[Tensor, str]] = {}  # by id; holding a tensor keeps its id
        self._constants: dict[int, tuple[Tensor, str]] = {}
        self._sizes: dict[int, str] = {}
        self._paused = False

    # Values -------------------------------------------------------------------------------------

    def track(self, tensor: Tensor, name: str) -> Tensor:
        """From now on, the tensor stands for the value of this name."""
        self._names[id(tensor)] = tensor, name
        return tensor

    def is_recorded(self, value: Any) -> bool:
        """Whether a value is a tensor that depends on the inputs."""
        return isinstance(value, Tensor) and id(value) in self._names

    def name(self, tensor: Tensor) -> str:
        """The name of the value of a tensor; a tensor that does not depend on the inputs is a
        constant."""
        if id(tensor) in self._names:
            return self._names[id(tensor)][1]
        if id(tensor) not in self._constants:
            found = self.graph.constant(tensor.detach().cpu().numpy())
            self._constants[id(tensor)] = tensor, found
        return self._constants[id(tensor)][1]

    def take_sizes(self, source: str, axes: dict[str, int]) -> None:
        """Take B and T from an input. axes: of `batch` and of `steps`, which may be absent."""
        shape = self.graph.add("Shape", source)
        sizes = {
            name: self.graph.add("Gather", shape, self.graph.integers(axis), axis=0)
            for name, axis in axes.items()
        }
        self._sizes[self.sizes.batch] = sizes["batch"]
        if "steps" in sizes:
            steps, minus_one = self.sizes.steps, self.graph.integers(-1)
            self._sizes[steps] = sizes["steps"]
            self._sizes[steps - 1] = self.graph.add("Add", sizes["steps"], minus_one)

    def size(self, number: int) -> str:
        """A vector of one number of a shape."""
        if number in self._sizes:
            return self._sizes[number]
        if self.sizes.vary(number):  # a multiple of B
            others = self.size(number // self.sizes.batch)
            return self.graph.add("Mul", self._sizes[self.sizes.batch], others)
        self._sizes[number] = self.graph.integers(number)
        return self._sizes[number]

    def shape(self, numbers: Iterable[int]) -> str:
        """A shape, as a vector of int64."""
        numbers = list(numbers)
        if not any(map(self.sizes.vary, numbers)):
            return self.graph.integers(*numbers)
        return self.graph.add("Concat", *map(self.size, numbers), axis=0)

    # Recording ----------------------------------------------------------------------------------

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self._paused or not self._depends([*args, *kwargs.values()]):
            return result
        outputs = list(result) if isinstance(result, (list, tuple)) else [result]
        if not all(isinstance(one, Tensor) for one in outputs):
            if func.__name__.startswith("_local_scalar_dense"):
                raise UserError(NOT_EXPORTED.format("a decision that depends on the inputs"))
            return result
        if not any(one.numel() for one in outputs):
            return result  # no columns of a kind; onnxruntime can crash on such tensors
        operator = self.operators.get(func.__name__.partition(".")[0])
        if operator is None:
            raise UserError(NOT_EXPORTED.format(f"the operation {func}"))
        names = operator(self, outputs[0] if len(outputs) == 1 else outputs, *args, **kwargs)
        for one, name in zip(outputs, [names] if isinstance(names, str) else names, strict=True):
            self.track(one, name)
        return result

    def _depends(self, values: Iterable[Any]) -> bool:
        """Whether an argument is a recorded tensor or a size that may differ from call to call."""
        return any(
            self._depends(one)
            if isinstance(one, (list, tuple))
            else self.is_recorded(one) or (type(one) is int and self.sizes.vary(one))
            for one in values
        )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Compute without recording."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    def stand_in(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """A tensor of zeros that stands for a value: its shape and type count alone."""
        with self.paused():
            return self.track(torch.zeros(shape, dtype=dtype), name)

    @contextmanager
    def inside(self, body: Graph) -> Iterator[None]:
        """Record into the body of a node."""
        self.graph, outer = body, self.graph
        try:
            yield
        finally:
            self.graph = outer


NOT_EXPORTED = (
    "the network cannot be exported: it has {}, which rnnexp export does not translate to ONNX; "
    "use rnnexp predict or rnnexp.load"
)


def onnx_type(dtype: torch.dtype) -> np.dtype[Any]:
    """The type of NumPy that ONNX knows a type of torch by."""
    return torch.empty(0, dtype=dtype).numpy().dtype
