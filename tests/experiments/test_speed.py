"""The study of speed: its yardsticks do the same work as the cells, its clock is fair, its bars can
fail, and nothing is written that was measured on a busy machine. No time is tested."""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from experiments.speed import fresh_process, growth, harness, machine, study, timing
from experiments.speed.bars import Bar, judge, read_bars
from experiments.speed.contenders import (
    AUTO,
    LOOP,
    PLAIN,
    PRODUCTS,
    Case,
    Ours,
    contender,
    contenders,
    torchs,
)
from experiments.speed.fresh_process import AS_TORCH_COMES
from experiments.speed.growth import peak_bytes
from experiments.speed.study import FULL, QUICK
from experiments.speed.timing import Ratio, Stopwatch, ratio
from experiments.speed.yardsticks import LAYERS, LOOPS, Layer, products
from rnnexp.errors import UserError
from rnnexp.nn import cells
from rnnexp.nn.fast.kernels import KERNELS
from rnnexp.nn.plain import run_plain
from rnnexp.nn.recurrence import PathName
from rnnexp.nn.representations import Features
from rnnexp.process import cores, determinism
from tests.experiments.shrunk import in_this_process, without_pulse

FOLDER = Path(study.__file__).parent
INPUTS, HIDDEN = 3, 4
every_cell = pytest.mark.parametrize("kind", KERNELS)


# Yardsticks -------------------------------------------------------------------------------------


# The layers of the lecture's networks after their loop, which are not timed.
OUTPUT = ("network.combined_to_middle", "network.middle_to_out", "network.project3.0")
Layers = dict[str, tuple[Sequence[Tensor], Tensor]]


def layers_of(cell: cells.Cell) -> Layers:
    """The weights (n, H) and the bias (H,) of each torch.nn.Linear in a cell's literal loop."""
    W, b = cell.input_weight.chunk(cell.projections, dim=1), cell.bias.chunk(cell.projections)
    match cell:
        case cells.Vanilla() | cells.Linear():
            return {"network.combined_to_hidden": ([*W, cell.U], b[0])}
        case cells.TEXTnetOrder2():
            fed: Layers = {"network.linear_for_cell": ([cell.W_c], cell.b_c)}
            return {"network.combined_to_hidden": ([*W, cell.U, cell.V], b[0])} | fed
        case cells.MGU():
            f, h = ([W[0], cell.U_f], b[0]), ([W[1], cell.U_h], b[1])
            return {"network.project1.0": f, "network.project2.0": h}
        case cells.GRUChung():
            U = [*cell.U.chunk(2, dim=1), cell.U_h]
            names = ["update", "reset", "candidate"]
        case cells.GRU():
            U, d = list(cell.U.chunk(3, dim=1)), cell.recurrent_bias.chunk(3)
            return {
                "reset": ([W[0], U[0]], b[0] + d[0]),
                "update": ([W[1], U[1]], b[1] + d[1]),
                "candidate_of_input": ([W[2]], b[2]),
                "candidate_of_hidden": ([U[2]], d[2]),
            }
        case cells.LSTM():
            U = list(cell.U.chunk(4, dim=1))
            names = ["input_gate", "forget_gate", "candidate", "output_gate"]
        case _:
            raise AssertionError(f"{cell} has no literal loop")
    return {name: ([w, u], bias) for name, w, u, bias in zip(names, W, U, b, strict=True)}


@every_cell
def test_a_literal_loop_says_what_the_cell_says(kind: type[cells.Cell]) -> None:
    torch.manual_seed(0)
    cell, x = kind(INPUTS, HIDDEN), torch.randn(6, 5, INPUTS)
    loop = LOOPS[kind](INPUTS, HIDDEN)
    layers = layers_of(cell)
    linear_layers = {name for name, one in loop.named_modules() if isinstance(one, nn.Linear)}
    assert set(layers) == {name for name in linear_layers if name not in OUTPUT}
    with torch.no_grad():
        for name, (weights, bias) in layers.items():
            linear = loop.get_submodule(name)
            assert isinstance(linear, nn.Linear)
            linear.weight.copy_(torch.cat(list(weights)).t())
            linear.bias.copy_(bias)
    expected, (last, *_) = run_plain(cell, Features(x))
    torch.testing.assert_close(loop(x, every_step=True), expected)
    torch.testing.assert_close(loop(x, every_step=False), last)


@pytest.mark.parametrize("backend", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_layer_of_torch_gives_every_state_or_the_last(backend: type[nn.RNNBase]) -> None:
    layer, x = Layer(backend, INPUTS, HIDDEN), torch.randn(6, 5, INPUTS)
    hidden = layer(x, every_step=True)
    assert hidden.shape == (6, 5, HIDDEN)
    assert torch.equal(layer(x, every_step=False), hidden[-1])


def flops(work: timing.Work) -> int:
    """Of the matrix products; torch's counter knows all but the one in place."""

    def of_addmm_(_: Any, a: list[int], b: list[int], **__: Any) -> int:
        return 2 * a[0] * a[1] * b[1]

    mapping = {torch.ops.aten.addmm_: of_addmm_}
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        work()
    return counter.get_total_flops()


@every_cell
@pytest.mark.parametrize("training", [True, False])
def test_products_are_those_of_the_network(kind: type[cells.Cell], training: bool) -> None:
    """And all contenders do the same work. The first step's zero state needs no gradient, our bias
    is one more input, and the output is not the cell's: a few per cent. With the bias there are 256
    columns beside each other, which need no zeros to be aligned."""
    case = Case(kind, batch=8, steps=40, hidden=240, inputs=15, training=training)
    works = contenders(case, {"fused": "fused", PLAIN: "plain"})  # torch does not count its LSTM's
    cell = kind(case.inputs, case.hidden)
    per_step = {n: w.numel() for n, w in cell.named_parameters() if w.dim() == 2}
    inputs = per_step.pop("input_weight")
    recurrent = sum(per_step.values())
    times = (2 * inputs + 3 * recurrent) if training else inputs + recurrent
    expected = 2 * case.batch * case.steps * times
    assert flops(works[PRODUCTS]) == expected
    for name in ("fused", PLAIN, LOOP):
        assert flops(works[name]) == pytest.approx(expected, rel=0.05)


def test_products_of_many_steps_together_leave_none_out() -> None:
    """3 * 2000 rows are not a multiple of those that are multiplied together."""
    cell = cells.Vanilla(2, 8)
    expected = 2 * 3 * 2000 * (2 * 2 * 8 + 3 * 8 * 8)
    assert flops(products(cell, batch=3, steps=2000, training=True)) == expected


# Contenders -------------------------------------------------------------------------------------


@every_cell
def test_every_cell_with_a_fused_path_has_its_yardsticks(kind: type[cells.Cell]) -> None:
    names = list(contenders(Case(kind, 2, 3, HIDDEN)))
    layer = [f"nn.{LAYERS[kind].__name__}"] if kind in LAYERS else []
    assert names == [AUTO, PLAIN, LOOP, *layer, PRODUCTS]


def test_ours_takes_the_path_that_it_is_named_after() -> None:
    case = Case(cells.MGU, 2, 3, HIDDEN)
    x = torch.randn(3, 2, case.inputs)
    paths: tuple[PathName, ...] = ("fused", "plain")
    for path in paths:
        network = Ours(case, path)
        assert network(x, every_step=True).shape == (3, 2, HIDDEN)
        assert network(x, every_step=False).shape == (2, HIDDEN)
        assert network.recurrence.path == path


def test_torchs_own_are_made_and_run_in_another_process() -> None:
    case = QUICK.base
    assert torchs(case) == [LOOP, "nn.GRU"] and torchs(replace(case, cell=cells.Linear)) == [LOOP]
    with fresh_process.fresh_process(contender, {n: (case, n) for n in torchs(case)}) as works:
        assert list(works) == torchs(case)
        for work in works.values():
            work()
        work_there: Any = works["nn.GRU"]
        (pool, _) = work_there.args
        with pytest.raises(KeyError, match="LSTM"):  # nothing of this name was made there
            fresh_process._run_there(pool, "LSTM")


def test_the_process_apart_is_told_threads_and_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_process, "_works", {})
    calls: list[Any] = []
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: calls.append(threads))

    def make(name: str, size: int) -> timing.Work:
        return lambda: calls.append((name, size))

    fresh_process._make(2, make, {"a": ("loop", 9), "b": ("layer", 4)})
    fresh_process._work("b")
    assert calls == [2, ("layer", 4)]


def test_making_contenders_draws_nothing_from_the_global_stream() -> None:
    before = torch.get_rng_state()
    contenders(QUICK.base)
    assert torch.equal(torch.get_rng_state(), before)


# Clock, memory and machine ----------------------------------------------------------------------


def test_rounds_in_turns_without_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that moves when a contender works: the first takes 1 s and the second 4 s, but 100 s
    while warming up."""
    now, calls = 0.0, []
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))

    def work(name: str, seconds: float) -> timing.Work:
        def run() -> None:
            nonlocal now
            calls.append(name)
            now += seconds if calls.count(name) > 1 else 100

        return run

    stopwatch = Stopwatch()
    state = random.getstate()
    times = stopwatch.side_by_side({"one": work("one", 1), "two": work("two", 4)}, rounds=9)
    assert random.getstate() == state
    assert times.to_dict("list") == {"one": [1.0] * 9, "two": [4.0] * 9}
    assert ratio(times, "one", "two") == (0.25, 0.25, 0.25)
    rounds = {tuple(calls[start : start + 2]) for start in range(0, 20, 2)}
    assert len(calls) == 20 and rounds == {("one", "two"), ("two", "one")}
    assert len(stopwatch.pulse) == 10


def test_a_ratio_is_taken_round_by_round() -> None:
    times = pd.DataFrame({"one": [1.0, 20.0, 3.0], "two": [2.0, 20.0, 12.0]})
    assert ratio(times, "one", "two") == Ratio(low=0.375, median=0.5, high=0.75)
    assert str(ratio(times, "one", "two")) == "0.50 (0.38 to 0.75)"


def test_peak_memory_is_what_is_held_at_one_time() -> None:
    before = torch.zeros(500)

    def work() -> None:
        nonlocal before
        both = torch.zeros(1000), torch.zeros(1000)
        del both
        single = torch.zeros(1500)
        del single
        before = torch.zeros(10)

    assert peak_bytes(work) == 2 * 4000


def test_the_cores_of_this_process_are_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cores 1 and 2 of three: 300 s and 40 s of work, idle and waiting not counted, guests counted
    within the others' time already."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _: 100, raising=False)
    monkeypatch.setattr(machine, "STAT", tmp_path / "stat")
    assert machine._busy() is None
    assert machine.Watch().others() is None
    (tmp_path / "stat").write_text(
        "cpu  1 2 3 4 5 6 7 8 9 10\n"
        "cpu0 900000 0 0 5 5 0 0 0 0 0\n"
        "cpu1 10000 5000 5000 77777 888 4000 4000 2000 1234 0\n"
        "cpu2 1000 1000 1000 77777 888 500 250 250 0 0\n"
        "intr 12345 6 7\n"
    )
    assert machine._busy() == 340.0


def watching(monkeypatch: pytest.MonkeyPatch, busy: list[float]) -> None:
    """Ten seconds pass between two looks at the machine, in which this process works for four."""
    looks = iter(range(100))
    monkeypatch.setattr(
        machine.Watch, "_now", lambda _: (10.0 * (n := next(looks)), 4.0 * n, busy[n])
    )


@pytest.mark.parametrize(("busy", "others"), [([7, 12], 0.1), ([7, 11], 0.0), ([7, 26], 1.5)])
def test_others_are_who_is_at_work_besides(
    busy: list[float], others: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching(monkeypatch, busy)
    assert machine.Watch().others() == pytest.approx(others)


def test_conditions_are_told() -> None:
    steady = [1.0, 1.02, 0.99, 1.01] * 5
    facts, wrong = machine.conditions(0.04, steady)
    assert facts.startswith("Other processes kept 0.04 cores busy; one and the same product took ")
    assert "(quartiles of 20 rounds)" in facts and wrong == ""
    unknown, _ = machine.conditions(None, steady)
    assert unknown.startswith("One and the same product took ")
    assert machine.conditions(0.4, steady)[1] == "other processes kept 0.40 cores busy"
    unsteady = machine.conditions(0.04, [1.0, 1.5] * 10)[1]
    assert unsteady.startswith("one and the same product took 0.80 to 1.20 of its median time")


# Bars -------------------------------------------------------------------------------------------


def test_bars_are_met_or_missed_by_the_worst_row() -> None:
    tables = {
        "cells": {
            "a": pd.DataFrame({AUTO: [1.0, 9.0, 1.0], PLAIN: [2.0, 9.0, 2.0], LOOP: [4.0] * 3}),
            "b": pd.DataFrame({AUTO: [3.0], PLAIN: [4.0]}),
        }
    }
    to_plain, to_loop = f"cells: {AUTO} to {PLAIN}", f"cells: {AUTO} to {LOOP}"
    bars = [
        Bar(to_plain, max=0.76),
        Bar(to_plain, max=0.76, aim=0.74),
        Bar(to_plain, max=0.74, aim=0.73),
        Bar(to_loop, aim=0.2),
    ]
    values = study.values(tables, [])
    table, missed = judge(bars, values)
    assert list(table["here"]) == ["0.750", "0.750", "0.750", "0.250"]
    assert list(table[""]) == ["met", "aim missed", "missed", "aim missed"]
    assert missed == ["cells: auto to plain path is 0.750, at most 0.74"]
    assert judge([], values)[1] == []


@pytest.mark.parametrize(
    "value", [f"cell: {AUTO} to {PLAIN}", f"cells: {AUTO} to nn.GRU"], ids=["bar0", "bar1"]
)
def test_a_bar_for_what_is_not_measured_is_refused(value: str) -> None:
    tables = {"cells": {"a": pd.DataFrame({AUTO: [1.0], PLAIN: [2.0]})}}
    with pytest.raises(UserError, match="no measured value has the name that this bar expects"):
        judge([Bar(value, max=1)], study.values(tables, []))


def test_what_the_lecture_and_torch_are_to_be_beaten_by() -> None:
    bars = {
        bar.value: (bar.max, bar.aim) for bar in read_bars(FOLDER / "expected.yaml", "time loop")
    }
    assert bars[f"training: {AUTO} to {PRODUCTS}"][1] == 1.25  # 80 %
    assert bars[f"inference: {AUTO} to {PRODUCTS}"][1] == 1.333  # 75 %
    assert bars[f"every step: {AUTO} to nn.GRU"] == (0.6, 0.5)
    assert bars[f"cells: {AUTO} to {PLAIN}"] == (1.0, None)
    assert bars[f"cells: {AUTO} to nn.LSTM"] == (1.05, 1.0)
    (case,) = FULL.tables["training"].values()
    assert (case.batch, case.steps, case.hidden, case.inputs) == (1024, 90, 256, 12)
    assert case.training and not case.every_step
    sizes = {(case.steps, case.hidden) for case in FULL.tables["every step"].values()}
    assert sizes == {(steps, hidden) for steps in (180, 256) for hidden in (128, 192, 256)}
    assert {case.cell for case in FULL.tables["cells"].values()} == set(KERNELS)
    assert max(FULL.growth["steps"]) == 2000
    for axis, values in FULL.growth.items():
        assert getattr(FULL.base, axis) in values


# The command ------------------------------------------------------------------------------------


BEGIN, END = (f"<!-- time loop, avx512: {edge} -->" for edge in ("begin", "end"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The study's folder with an old table, on a quiet machine, prepared as for a run."""
    page, _, rest = (FOLDER / "README.md").read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    (tmp_path / "README.md").write_text(f"{page}{BEGIN}\nold\n{END}{after}")
    monkeypatch.setattr(machine, "instruction_set", lambda: "AVX512 with MKL at AVX2")
    (tmp_path / "expected.yaml").write_text((FOLDER / "expected.yaml").read_text())
    monkeypatch.setattr(harness, "HERE", tmp_path)
    monkeypatch.setattr(machine, "WATCH_SECONDS", 0.0)
    watching(monkeypatch, [4.0 * n for n in range(100)])
    prepared: list[dict[str, Any]] = []
    monkeypatch.setattr(determinism, "prepare", lambda **options: prepared.append(options))
    yield tmp_path
    assert prepared == [{"deterministic": True, "threads": len(cores.available())}]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Nothing is run: every contender takes as long as is written here, a second if nothing is."""
    seconds: dict[str, float] = {AUTO: 0.3, PRODUCTS: 0.24, "pulse": 0.01}
    seconds |= {f"{LOOP}{AS_TORCH_COMES}": 2.0, f"nn.GRU{AS_TORCH_COMES}": 3.0}

    def side_by_side(self: Stopwatch, works: dict[str, timing.Work], rounds: int) -> pd.DataFrame:
        self.pulse += [0.01, seconds["pulse"]] * 2
        times = {
            # Linear growth, and as many steps cost as much at every value.
            name: seconds.get(name.partition(" at ")[0], 1.0) * size_of(name)
            for name in works
        }
        return pd.DataFrame([times] * rounds)

    monkeypatch.setattr(Stopwatch, "side_by_side", side_by_side)
    monkeypatch.setattr(study, "fresh_process", in_this_process)
    monkeypatch.setattr(growth, "peak_bytes", lambda _: 2**20)
    monkeypatch.setattr("experiments.speed.contenders.products", lambda *_: None)
    return seconds


def size_of(name: str) -> int:
    return int(name.rpartition(" at ")[2]) if " at " in name else 1


def test_the_whole_study_writes_tables_and_figure(
    here: Path, measured: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert study.main([]) == 0
    page = (here / "README.md").read_text()
    table = page.partition(BEGIN)[2].partition(END)[0]
    assert "old" not in table and "## Conclusion" in page
    assert "Other processes kept 0.00 cores busy" in table
    training = table.partition(f"**{study.TITLES['training']}**")[2].splitlines()[2:5]
    assert training == [
        "|  | to plain path | to literal loop | to torch's | to literal loop, as torch comes | "
        "to nn.GRU, as torch comes | products' share |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| batch 1024, 90 steps, hidden 256 | 0.30 (0.30 to 0.30) | 0.30 (0.30 to 0.30) | "
        "nn.GRU 0.30 (0.30 to 0.30) | 0.15 (0.15 to 0.15) | 0.10 (0.10 to 0.10) | 80% |",
    ]
    assert "| LSTM, batch 64, 180 steps, hidden 128 |" in table
    # 2^20 bytes are 32 hidden states of 128 numbers for each of 64 * 100 / 100 sequences and steps.
    assert "| nn.GRU | 3.33, 0.3 | 3.33, 0.2 | 3.33, 0.1 | 3.33, 0.0 | 3.33, 0.0 |" in table
    assert table.count("| met |") == len(read_bars(here / "expected.yaml", "time loop"))
    assert (here / "growth_avx512.png").read_bytes().startswith(b"\x89PNG")
    assert "missed" not in capsys.readouterr().err


def test_a_bar_that_is_missed(
    here: Path,
    measured: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(growth, "draw", lambda growths: Figure())
    measured |= {AUTO: 0.65, PRODUCTS: 0.6}
    assert study.main([]) == 1
    said = capsys.readouterr().err
    assert said == "study: missed: every step: auto to nn.GRU is 0.650, at most 0.6\n"
    assert "| 0.650 | 0.6 | 0.5 | missed |" in (here / "README.md").read_text()


def test_on_a_processor_that_is_not_shown_nothing_is_written(
    here: Path, measured: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (here / "README.md").read_text()
    monkeypatch.setattr(machine, "instruction_set", lambda: "another")
    assert study.main([]) == 0
    assert (here / "README.md").read_text() == before
    assert [path.name for path in here.glob("*.png")] == []


def test_a_busy_machine_is_refused_at_once(
    here: Path,
    measured: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watching(monkeypatch, [7.0, 26.0])
    monkeypatch.setattr(Stopwatch, "side_by_side", None)
    assert study.main([]) == 2
    said = capsys.readouterr().err
    assert "other processes keep 1.5 cores busy" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("busy", "pulse", "reason"),
    [
        ([4, 8, 12, 30], 0.01, "other processes kept 1.40 cores busy\n"),
        ([4, 8, 12, 16], 0.02, "one and the same product took 0.67 to 1.33 of its median time"),
    ],
)
def test_what_was_measured_on_a_busy_machine_is_not_kept(
    busy: list[float],
    pulse: float,
    reason: str,
    here: Path,
    measured: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watching(monkeypatch, busy)
    measured["pulse"] = pulse
    before = (here / "README.md").read_text()
    assert study.main([]) == 1
    assert f"README.md stays as it is: {reason}" in capsys.readouterr().err
    assert (here / "README.md").read_text() == before
    assert not (here / "growth_avx512.png").exists()


def test_quick(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything is really measured, whoever else is at work. But the processes apart, which take
    seconds to start, are in this one."""
    without_pulse(monkeypatch)
    monkeypatch.setattr(study, "fresh_process", in_this_process)
    watching(monkeypatch, [9.0, 99.0])
    before = (here / "README.md").read_text()
    assert study.main(["--quick"]) == 0
    said = capsys.readouterr().out
    for title in study.TITLES.values():
        assert title in said
    words = " ".join(said.split())  # tables are as wide as the terminal
    for text in ("kept 8.60 cores busy", "TEXTnetOrder2, batch 4, 6", "nn.LSTM", "pmGRU, growth"):
        assert text in words
    assert "What is expected" not in said
    assert (here / "README.md").read_text() == before
    assert not (here / "growth_avx512.png").exists()
