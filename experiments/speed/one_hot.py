"""What does a word cost as a one-hot vector? A training step of rnnexp, which touches the rows of
the words in a batch, and one of a literal loop over dense one-hot rows, in one run."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from rich.markdown import Markdown

from experiments import study
from experiments.speed import command, machine
from experiments.speed.apart import Apart
from experiments.speed.growth import along, at
from experiments.speed.one_hot_contenders import (
    LITERAL,
    Document,
    Drawn,
    Ours,
    literal,
    peak_of_training,
)
from experiments.speed.timing import Ratio, Stopwatch, Work, quartiles, ratio
from rnnexp import console
from rnnexp.process import cores, determinism

HERE = Path(__file__).parent
LOOP, KEPT, SINGLE, BATCH = "literal loop", "memory kept", "batch 1", "batch 32"
# Milliseconds a word of a training step of DLStudio 2.5.8, batch 1, vocabulary 20,030: they were
# measured once, with torch 2.13 on 2 cores of an AMD EPYC with AVX-512.
DLSTUDIO = {"TEXTnet": 23, "TEXTnetOrder2": 23, "GRUnet": 66}
CHEAPER = {  # how many times cheaper than that a word is to be, at least, and what one would like
    ("TEXTnet", SINGLE): (200, None),
    ("TEXTnetOrder2", SINGLE): (200, None),
    ("GRUnet", SINGLE): (100, 200),
    ("TEXTnet", BATCH): (1000, None),
    ("GRUnet", BATCH): (400, None),
}
GROWTH = 1.1  # of a word's cost, at most, along the vocabularies from the second one on
MEMORY = 3.0  # GB, at most
COLORS = {"TEXTnet": "#00798c", "TEXTnetOrder2": "#edae49", "GRUnet": "#d1495b"}
BESIDE = {"TEXTnet": "top", "TEXTnetOrder2": "bottom", "GRUnet": "center"}  # of a curve, its name


@dataclass(frozen=True)
class Plan:
    """The sizes of a study.

    singles, batches: how many batches of one document and of 32 are trained on in a round, enough
    for documents of every length. words: of the document that the literal loop reads, about. Along
    the vocabularies it reads so many words_along of it. rounds: at `vocabulary`, along the others,
    and of the loop along them.
    """

    hidden: int
    vocabulary: int
    vocabularies: tuple[int, ...]
    singles: int
    batches: int
    words: int
    words_along: int
    rounds: tuple[int, int, int]


FULL = Plan(512, 20_030, (5_000, 15_000, 30_000, 64_350), 128, 12, 60, 20, (5, 4, 2))
QUICK = Plan(16, 200, (100, 200, 300), 2, 1, 5, 5, (3, 3, 2))


class Measured(NamedTuple):
    """Milliseconds a word (rounds, contenders), and bytes.

    at_one: of each network at one vocabulary. along, loops: at each vocabulary, rnnexp's and the
    literal loop's, batch 1. peak: of the memory in which GRUnet is trained at the largest
    vocabulary; None where the system does not tell.
    """

    at_one: dict[str, pd.DataFrame]
    along: dict[str, pd.DataFrame]
    loops: dict[str, pd.DataFrame]
    peak: int | None


class Bar(NamedTuple):
    """What is expected of a figure. An aim that is missed is shown, and is no failure."""

    measured: str
    value: float
    least: float | None = None
    most: float | None = None
    aim: float | None = None

    @property
    def met(self) -> bool:
        above = self.least is None or self.value >= self.least
        return above and (self.most is None or self.value <= self.most)

    @property
    def verdict(self) -> str:
        if not self.met:
            return "missed"
        return "aim missed" if self.aim and self.value < self.aim else "met"

    def __str__(self) -> str:
        bound = f"at least {self.least:g}" if self.least else f"at most {self.most:g}"
        return f"{self.measured} is {self.value:.4g}, {bound}"


# The command ------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    quick = "small sizes and few rounds, to see how it works: nothing is expected or written"
    return command.run(argv, __doc__, quick, answer)


def answer(quick: bool) -> int:
    """Measure everything, and write table and figure. Returns the exit code: 1 where the machine
    was not quiet or an expectation is missed."""
    determinism.prepare(deterministic=True, threads=len(cores.available()))
    if not quick:
        machine.require_quiet()
    start, watch, stopwatch = time.perf_counter(), machine.Watch(), Stopwatch()
    plan = QUICK if quick else FULL
    measured = measure(plan, stopwatch)
    minutes = (time.perf_counter() - start) / 60
    facts, unrest = machine.conditions(watch.others(), stopwatch.pulse)

    bars = [] if quick else expectations(measured, plan)
    parts = [f"Measured in {minutes:.1f} minutes on {machine.description()}. {facts}\n"]
    parts += [study.markdown_table("What is expected", table_of_bars(bars))] if bars else []
    parts += [
        study.markdown_table(
            f"A training step, vocabulary {plan.vocabulary:,}, hidden {plan.hidden}",
            table_at_one(measured),
        ),
        study.markdown_table(
            f"Milliseconds a word by vocabulary, batch 1, hidden {plan.hidden}",
            table_along(measured, plan),
        ),
    ]
    if measured.peak:
        parts.append(
            f"GRUnet over {max(plan.vocabularies):,} words is trained in {gigabytes(measured):.2f} "
            "GB: the most that the whole process has in memory, Python and torch included."
        )
    text = "\n".join(parts).rstrip()
    console.show(Markdown(text))

    if quick:
        print("README.md stays as it is: these sizes are too small to tell anything")
        return 0
    if unrest:
        print(f"study: README.md stays as it is: {unrest}", file=sys.stderr)
        return 1
    study.write_between_markers(HERE / "README.md", text, "one-hot")
    draw(measured, plan).savefig(HERE / "one_hot.png", dpi=110)
    missed = [bar for bar in bars if not bar.met]
    for bar in missed:
        print(f"study: missed: {bar}", file=sys.stderr)
    return 1 if missed else 0


# Measuring --------------------------------------------------------------------------------------


def measure(plan: Plan, stopwatch: Stopwatch) -> Measured:
    print(f"memory at {max(plan.vocabularies):,} words", flush=True)
    peak = peak_of_training("GRUnet", max(plan.vocabularies), plan.hidden)
    at_one, along, loops = {}, {}, {}
    data = Drawn(plan.vocabulary)
    for network in LITERAL:
        print(f"{network}, {plan.vocabulary:,} words", flush=True)
        at_one[network] = measure_at_one(network, data, plan, stopwatch)
    larger = [Drawn(vocabulary) for vocabulary in plan.vocabularies]
    for network in LITERAL:
        print(f"{network} by vocabulary", flush=True)
        along[network] = measure_along(network, larger, plan, stopwatch)
        loops[network] = measure_loops(network, larger, plan, stopwatch)
    return Measured(at_one, along, loops, peak)


def measure_at_one(network: str, data: Drawn, plan: Plan, stopwatch: Stopwatch) -> pd.DataFrame:
    """A literal loop reads one of the documents of the batches of one."""
    ours = Ours(network, data, plan.hidden)
    singles, batches = data.batches(1)[: plan.singles], data.batches(32)[: plan.batches]
    document = data.document(singles, plan.words)
    loop = network, document, data.vocabulary, plan.hidden
    apart = Apart(literal, {LOOP: loop})
    works: dict[str, Work] = {
        **apart.works,
        KEPT: literal(*loop),
        SINGLE: lambda: ours.train(singles),
        BATCH: lambda: ours.train(batches),
    }
    read = len(document.words)
    words = {LOOP: read, KEPT: read, SINGLE: data.words(singles), BATCH: data.words(batches)}
    times = stopwatch.side_by_side(works, plan.rounds[0])
    apart.end()
    return 1000 * times / pd.Series(words)


def measure_along(
    network: str, datas: list[Drawn], plan: Plan, stopwatch: Stopwatch
) -> pd.DataFrame:
    works, words = dict[str, Work](), dict[str, int]()
    for data in datas:
        name, singles = at(network, data.vocabulary), data.batches(1)[: plan.singles]
        words[name] = data.words(singles)
        works[name] = partial(Ours(network, data, plan.hidden).train, singles)
    return 1000 * stopwatch.side_by_side(works, plan.rounds[1]) / pd.Series(words)


def measure_loops(
    network: str, datas: list[Drawn], plan: Plan, stopwatch: Stopwatch
) -> pd.DataFrame:
    loops = {}
    for data in datas:
        document = data.document(data.batches(1)[: plan.singles], plan.words)
        start = Document(document.words[: plan.words_along], document.label)
        loops[at(network, data.vocabulary)] = network, start, data.vocabulary, plan.hidden
    apart = Apart(literal, loops)
    times = stopwatch.side_by_side(apart.works, plan.rounds[2])
    apart.end()
    return 1000 * times / plan.words_along


def gigabytes(measured: Measured) -> float:
    return (measured.peak or 0) / 1e9


# Judging ----------------------------------------------------------------------------------------


def expectations(measured: Measured, plan: Plan) -> list[Bar]:
    """Judged are the published figures of DLStudio; the loop that was measured stands beside."""
    bars = [
        Bar(f"{network}, {size}: DLStudio's cost of a word to ours", value, least, aim=aim)
        for (network, size), (least, aim) in CHEAPER.items()
        for value in [DLSTUDIO[network] / measured.at_one[network][size].median()]
    ]
    _, small, *_, large = plan.vocabularies
    for network, times in measured.along.items():
        growth = ratio(times, at(network, large), at(network, small)).median
        bars.append(Bar(f"{network}: a word of {large:,} to one of {small:,}", growth, most=GROWTH))
    if measured.peak:
        bars.append(Bar(f"GRUnet, {large:,} words: GB of memory", gigabytes(measured), most=MEMORY))
    return bars


def table_of_bars(bars: list[Bar]) -> pd.DataFrame:
    lines = [
        {
            "measured": bar.measured,
            "here": f"{bar.value:.3g}" if bar.value < 100 else f"{bar.value:,.0f}",
            "expected": f"at least {bar.least:,g}" if bar.least else f"at most {bar.most:g}",
            "aim": f"{bar.aim:,g}" if bar.aim else "",
            "": bar.verdict,
        }
        for bar in bars
    ]
    return pd.DataFrame(lines)


def table_at_one(measured: Measured) -> pd.DataFrame:
    lines = []
    for network, times in measured.at_one.items():
        for size in (SINGLE, BATCH):
            line = {"": f"{network}, {size}", "ms a word": in_words(quartiles(times[size]), ".3f")}
            for loop, name in ((LOOP, LOOP), (KEPT, f"{LOOP}, {KEPT}")):
                cost, cheaper = times[loop].median(), ratio(times, loop, size)
                line[f"{name}: ms, to ours"] = f"{cost:.1f}, {in_words(cheaper, ',.0f')}"
            cost, cheaper = DLSTUDIO[network], quartiles(DLSTUDIO[network] / times[size])
            line["DLStudio, published: ms, to ours"] = f"{cost}, {in_words(cheaper, ',.0f')}"
            lines.append(line)
    return pd.DataFrame(lines)


def table_along(measured: Measured, plan: Plan) -> pd.DataFrame:
    """The last column: of the cost at the largest vocabulary to that at the second one."""
    _, small, *_, large = plan.vocabularies
    lines = []
    for name, found in (("rnnexp", measured.along), (LOOP, measured.loops)):
        for network, times in found.items():
            line = {"": f"{network}, {name}"}
            for vocabulary in plan.vocabularies:
                line[f"{vocabulary:,}"] = f"{times[at(network, vocabulary)].median():.3g}"
            growth = ratio(times, at(network, large), at(network, small))
            lines.append(line | {f"{large:,} to {small:,}": str(growth)})
    return pd.DataFrame(lines)


def in_words(one: Ratio, form: str) -> str:
    """The median, and in brackets the quartiles."""
    return f"{one.median:{form}} ({one.low:{form}} to {one.high:{form}})"


def draw(measured: Measured, plan: Plan) -> Figure:
    """A word's cost by vocabulary, rnnexp's and the literal loop's."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    largest = max(plan.vocabularies)
    for found, style, name in ((measured.loops, "o--", LOOP), (measured.along, "o-", "rnnexp")):
        for network, times in found.items():
            costs = [times[at(network, vocabulary)].median() for vocabulary in plan.vocabularies]
            axes.plot(plan.vocabularies, costs, style, color=COLORS[network], ms=5)
            label, place = f"  {network}, {name}", (largest, costs[-1])
            axes.annotate(label, place, color=COLORS[network], va=BESIDE[network])
    for network in measured.along:
        place = plan.vocabulary, DLSTUDIO[network]
        axes.plot(*place, "x", color=COLORS[network], ms=9, mew=2)
    axes.annotate("DLStudio, published   ", place, ha="right", va="bottom")
    axes.set(yscale="log", ylabel="milliseconds a word of a training step")
    along(axes, plan.vocabularies, "words in the vocabulary")
    return figure


if __name__ == "__main__":
    sys.exit(main())
