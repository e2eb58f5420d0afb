"""The paths of the cells side by side in one process, as ratios to torch.nn.GRU.

In every round each contender runs once, forward and as a training step (forward, and backward to
all weights), synchronised; a row has medians over the rounds. The bare products are those of the
cell's step with nothing between them: W x of all steps at once and U h step by step, and for a
training step twice as many again.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from experiments.gpu.part import Row
from rnnexp.nn import cells
from rnnexp.nn.fast.compiled import missing_compiler
from rnnexp.nn.fast.fused import has_fused_path
from rnnexp.nn.fast.torch_layers import has_torch_path
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Features
from rnnexp.process import determinism

INPUTS = 12
# Sizes and cells in the order of their importance: what the time does not reach is left out.
SIZES = [  # batch, steps, hidden
    *[(1024, 90, 256), (64, 90, 128), (1024, 90, 128), (64, 256, 256)],
    *[(64, 90, 256), (1024, 256, 256), (64, 256, 128), (1024, 256, 128)],
]
FIRST: list[type[cells.Cell]] = [
    *[cells.MGU, cells.GRU, cells.LSTM, cells.GRUChung, cells.Vanilla, cells.TEXTnetOrder2]
]
THEN: list[type[cells.Cell]] = [
    *[cells.LiGRU, cells.MinGRU, cells.MGU1, cells.MGU2, cells.MGU3, cells.Linear]
]
COMPILED = [cells.MGU, cells.GRUChung, cells.LSTM]  # half a minute each: last, at the first size
PATHS = ("plain", "fused", "torch", "graphed")
YARDSTICK = "torch.nn.GRU"
ROUNDS, WARM_UP = 3, 1


class Size(NamedTuple):
    batch: int
    steps: int
    hidden: int

    def __str__(self) -> str:
        return f"{self.batch} x {self.steps} x {self.hidden}"


class Contender:
    """A layer of one path: how to run it, and how much memory it takes."""

    def __init__(self, build: Callable[[], nn.Module], x: Tensor, on_gpu: bool) -> None:
        self.on_gpu, self.x = on_gpu, x
        self.peak: float | None = None
        if on_gpu:
            gc.collect()  # the graphs of earlier contenders
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_reserved()
        self.layer = build()
        for _ in range(WARM_UP):
            self.forward()
            self.step()
        if on_gpu:
            torch.cuda.synchronize()
            # Reserved, not allocated: the memory of a graph is not allocated between its replays.
            self.peak = (torch.cuda.max_memory_reserved() - before) / 2**20

    def outputs(self) -> Tensor:
        """The hidden states (T, B, H)."""
        own = isinstance(self.layer, CellRecurrence)
        return self.layer(Features(self.x) if own else self.x)[0]

    @torch.no_grad()
    def forward(self) -> None:
        self.outputs()

    def step(self) -> None:
        for parameter in self.layer.parameters():
            parameter.grad = None
        self.outputs().square().mean().backward()

    def results(self) -> list[Tensor]:
        """The hidden states and the gradients of all weights."""
        for parameter in self.layer.parameters():
            parameter.grad = None
        hidden = self.outputs()
        hidden.square().mean().backward()
        gradients = [one.grad for one in self.layer.parameters() if one.grad is not None]
        return [hidden.detach(), *gradients]


class Products(nn.Module):
    """The matrix products of a cell alone."""

    def __init__(self, cell: cells.Cell, x: Tensor) -> None:
        super().__init__()
        columns = sum(
            weight.shape[1]
            for name, weight in cell.named_parameters()
            if weight.ndim == 2 and name != "input_weight"
        )
        self.W = cell.input_weight.detach()
        self.U = x.new_zeros(cell.hidden_size, columns)
        self.inputs = x.flatten(0, 1)
        self.hidden = x.new_zeros(x.shape[1], cell.hidden_size)
        self.gates = x.new_zeros(x.shape[1], columns)
        self.all_hidden = x.new_zeros(len(self.inputs), cell.hidden_size)
        self.all_gates = x.new_zeros(len(self.inputs), columns)
        self.projected = x.new_zeros(len(self.inputs), self.W.shape[1])
        self.steps = len(x)

    def once(self) -> None:
        _ = self.inputs @ self.W
        for _ in range(self.steps):
            _ = self.hidden @ self.U

    def with_gradients(self) -> None:
        self.once()
        for _ in range(self.steps):
            _ = self.gates @ self.U.t()
        _ = self.all_hidden.t() @ self.all_gates
        _ = self.inputs.t() @ self.projected


def measure(dry: bool, seconds: float) -> Iterator[Row]:
    determinism.prepare(deterministic=True, threads=1)
    device, end = torch.device("cpu" if dry else "cuda"), time.monotonic() + seconds
    sizes = [Size(4, 5, 8)] if dry else [Size(*size) for size in SIZES]
    order = [(size, kind) for kinds in (FIRST, THEN) for size in sizes for kind in kinds]
    left_out = []
    # Compiling is worth a quarter of the time, if there is a compiler.
    share = 0.0 if dry or missing_compiler() else 0.25 * seconds
    for size, kind in order[:2] if dry else order:
        if time.monotonic() > end - share:
            left_out.append(f"{kind.__name__} {size}")
        else:
            yield from side_by_side(kind, size, device, PATHS)
    for kind in COMPILED:
        why = "not tried with --dry" if dry else ""
        if not why and (compiler := missing_compiler()):
            why = f"the compiler {compiler} is not installed"
        if not why and time.monotonic() > end - 30:
            why = "not reached in the time"
        if why:
            yield {"cell": kind.__name__, "size": str(sizes[0]), "path": "compiled", "note": why}
        else:
            yield from side_by_side(kind, sizes[0], device, ("compiled",))
    if left_out:
        yield {"cell": "not reached in the time", "note": ", ".join(left_out)}


def side_by_side(
    kind: type[cells.Cell], size: Size, device: torch.device, paths: tuple[str, ...]
) -> list[Row]:
    """A row for each path of a cell, and for torch's layers and the products."""
    torch.manual_seed(0)
    on_gpu = device.type == "cuda"
    x = torch.randn(size.steps, size.batch, INPUTS, device=device)
    model = kind(INPUTS, size.hidden)
    state = model.state_dict()

    def ours(path: Any) -> nn.Module:
        layer = CellRecurrence(kind, INPUTS, size.hidden, path=path)
        layer.layers[0].load_state_dict(state)
        return layer.to(device)

    builders: dict[str, Callable[[], nn.Module]] = {
        YARDSTICK: lambda: nn.GRU(INPUTS, size.hidden).to(device),
        "torch.nn.LSTM": lambda: nn.LSTM(INPUTS, size.hidden).to(device),
    }
    missing = {"fused": not has_fused_path(model), "torch": not has_torch_path(model)}
    builders |= {path: partial(ours, path) for path in paths if not missing.get(path)}

    works: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {}
    contenders, rows = dict[str, Contender](), dict[str, Row]()
    for name, build in builders.items():
        rows[name] = {"size": str(size), "cell": kind.__name__, "path": name}
        try:
            contender = Contender(build, x, on_gpu)
        except Exception as error:  # of one path: the others are measured all the same
            rows[name]["note"] = f"{type(error).__name__}: {error}"[:200]
            continue
        taken = getattr(contender.layer, "path", name)
        if name in (*PATHS, "compiled") and taken != name:
            rows[name]["note"] = f"took the {taken} path"
            continue
        contenders[name], works[name] = contender, (contender.forward, contender.step)
    products = Products(model.to(device), x)
    works["products"] = products.once, products.with_gradients
    rows["products"] = {"size": str(size), "cell": kind.__name__, "path": "products"}

    if "plain" in contenders:
        expected = contenders["plain"].results()
        for name in ("fused", "torch", "graphed"):
            if name in contenders:
                rows[name]["of plain"] = difference(contenders[name].results(), expected)
    times = timed(works, on_gpu)
    for name, (forward, step) in times.items():
        base_forward, base_step = times.get(YARDSTICK, (float("nan"),) * 2)
        peak = contenders[name].peak if name in contenders else None
        rows[name] |= {
            "forward, ms": forward,
            "step, ms": step,
            "forward of nn.GRU": forward / base_forward,
            "step of nn.GRU": step / base_step,
            "peak, MiB": peak,
        }
    return list(rows.values())


def timed(
    works: dict[str, tuple[Callable[[], None], Callable[[], None]]], on_gpu: bool
) -> dict[str, tuple[float, float]]:
    """Milliseconds of each contender forward and for a training step."""
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in works}
    for number in range(ROUNDS + 1):
        for name, pair in works.items():
            for work, times in zip(pair, found[name], strict=True):
                seconds = once(work, on_gpu)
                if number:  # the first round warms up
                    times.append(1000 * seconds)
    return {name: (statistics.median(a), statistics.median(b)) for name, (a, b) in found.items()}


def once(work: Callable[[], None], on_gpu: bool) -> float:
    if on_gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if on_gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def difference(found: list[Tensor], expected: list[Tensor]) -> str:
    """`the same bits`, or the largest difference of the states and gradients, each relative to its
    largest value."""
    if all(map(torch.equal, found, expected)):
        return SAME
    parts = [
        float((one - other).abs().max() / other.abs().max().clamp(min=1e-30))
        for one, other in zip(found, expected, strict=True)
    ]
    return f"{max(parts):.0e}"


SAME = "the same bits"


def table(rows: list[Row]) -> pd.DataFrame:
    """A line for each cell and size: the times of torch.nn.GRU, and those of all others as
    multiples of them, `forward, step`."""
    lines: dict[tuple[str, str], Row] = {}
    for row in rows:
        line = lines.setdefault((row.get("size", ""), row["cell"]), {})
        path = row.get("path", "")
        line["batch x steps x hidden"], line["cell"] = row.get("size", ""), row["cell"]
        if path == YARDSTICK and "step, ms" in row:
            line[f"{YARDSTICK}, ms"] = f"{row['forward, ms']:.2f}, {row['step, ms']:.2f}"
        elif "step, ms" in row:
            line[path] = f"{row['forward of nn.GRU']:.2f}, {row['step of nn.GRU']:.2f}"
        if row.get("peak, MiB") is not None:
            peak = f"{path} {row['peak, MiB']:.0f}"
            line["peak, MiB"] = ", ".join(filter(None, [line.get("peak, MiB"), peak]))
        if path == "graphed" and "of plain" in row:
            line["graphed and plain"] = row["of plain"]
        if "note" in row:
            said = f"{path}: {row['note']}" if path else row["note"]
            line["note"] = "; ".join(filter(None, [line.get("note"), said]))
    columns = ["batch x steps x hidden", "cell", f"{YARDSTICK}, ms", "torch.nn.LSTM", *PATHS]
    columns += ["compiled", "products", "graphed and plain", "peak, MiB", "note"]
    found = pd.DataFrame(lines.values())
    return found[[name for name in columns if name in found]]


def graphed_passes(rows: list[Row]) -> tuple[bool, str]:
    """Whether the card's measurements allow path=auto to take the graphed path, and why."""
    graphed = [row for row in rows if row.get("path") == "graphed"]
    if not any("step, ms" in row for row in graphed):
        return False, "it was not measured"
    for row in graphed:
        where = f"{row['cell']} at {row['size']}"
        if "step, ms" not in row:
            return False, f"{where}: {row.get('note')}"
        if row.get("of plain") != SAME:
            return False, f"{where}: it differs from the plain path by {row.get('of plain')}"
        others = {
            other["path"]: other["step, ms"]
            for other in rows
            if (other.get("cell"), other.get("size")) == (row["cell"], row["size"])
            and "step, ms" in other
        }
        fastest = min((others[path], path) for path in ("plain", "fused") if path in others)
        if row["step, ms"] > fastest[0]:
            return False, f"{where}: the {fastest[1]} path is faster"
    return True, "it gave the same bits as the plain path and was the fastest of ours everywhere"
