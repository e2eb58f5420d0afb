"""What does a word cost as a one-hot vector? Compares a training step of rnnexp, which touches only
the rows of the words in a batch, with a literal loop over dense one-hot rows."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from experiments import study
from experiments.speed import harness
from experiments.speed.fresh_process import fresh_process
from experiments.speed.growth import along, at
from experiments.speed.harness import Findings
from experiments.speed.one_hot_contenders import (
    LITERAL,
    Document,
    DrawnDocuments,
    Ours,
    bare_products,
    literal,
    peak_of_training,
)
from experiments.speed.timing import Ratio, Stopwatch, Work, quartiles, ratio
from rnnexp.nn.fast.native.build import why_not

LOOP, KEPT, SINGLE, BATCH = "literal loop", "memory kept", "batch 1", "batch 32"
NATIVE = "batch 1, path=native"  # needs a C++ compiler
BYTES = "bytes' limit"
# Milliseconds per word of a training step of DLStudio 2.5.8, batch 1, vocabulary 20,030. They were
# measured once, with torch 2.13 on 2 cores of an AMD EPYC with AVX-512.
DLSTUDIO = {"TEXTnet": 23, "TEXTnetOrder2": 23, "GRUnet": 66}
COLORS = {"TEXTnet": "#00798c", "TEXTnetOrder2": "#edae49", "GRUnet": "#d1495b"}
NAME_BESIDE_CURVE = {"TEXTnet": "top", "TEXTnetOrder2": "bottom", "GRUnet": "center"}


def main(argv: Sequence[str] | None = None) -> int:
    options = harness.parser(__doc__).parse_args(argv)
    return harness.run(options, answer, bars="one-hot", place="one-hot", picture="one_hot.png")


def answer(options: argparse.Namespace, stopwatch: Stopwatch) -> Findings:
    sizes = QUICK if options.quick else FULL
    measured = measure(sizes, stopwatch)
    tables = [
        study.markdown_table(
            f"A training step, vocabulary {sizes.vocabulary:,}, hidden {sizes.hidden}",
            table_at_one(measured),
        ),
        study.markdown_table(
            f"Milliseconds a word by vocabulary, batch 1, hidden {sizes.hidden}",
            table_along(measured, sizes),
        ),
    ]
    if measured.peak:
        tables.append(
            f"GRUnet over {max(sizes.vocabularies):,} words is trained in "
            f"{measured.peak / 1e9:.2f} GB: the most that the whole process has in memory, Python "
            "and torch included."
        )
    return Findings(tables, values(measured, sizes), lambda: draw(measured, sizes))


# What is measured -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """The sizes of the measurements.

    vocabulary: for the comparison of networks, batches and loops. vocabularies: for the growth.
    singles, batches: number of batches of one document and of 32 in a round, enough for documents
    of every length. words, words_along: approximate number of words that the literal loop reads, at
    `vocabulary` and at each of `vocabularies`. rounds: at `vocabulary`, at each of `vocabularies`,
    and of the loop at each of `vocabularies`.
    """

    hidden: int
    vocabulary: int
    vocabularies: tuple[int, ...]
    singles: int
    batches: int
    words: int
    words_along: int
    rounds: tuple[int, int, int]

    @property
    def small_and_large(self) -> tuple[int, int]:
        """The two vocabularies whose costs are compared: the second and the largest one."""
        return self.vocabularies[1], self.vocabularies[-1]


FULL = Sizes(512, 20_030, (5_000, 15_000, 30_000, 64_350), 128, 12, 60, 20, (5, 4, 2))
QUICK = Sizes(16, 200, (100, 200, 300), 2, 1, 5, 5, (3, 3, 2))


class Measured(NamedTuple):
    """Milliseconds per word (rounds, contenders), by network, and bytes.

    at_one: all contenders at one vocabulary. along, loops: rnnexp and the literal loop at every
    vocabulary, batch 1. peak: peak memory of the process that trains GRUnet at the largest
    vocabulary; None if the system does not tell.
    """

    at_one: dict[str, pd.DataFrame]
    along: dict[str, pd.DataFrame]
    loops: dict[str, pd.DataFrame]
    peak: int | None


# Measuring --------------------------------------------------------------------------------------


def measure(sizes: Sizes, stopwatch: Stopwatch) -> Measured:
    print(f"memory at {max(sizes.vocabularies):,} words", flush=True)
    peak = peak_of_training("GRUnet", max(sizes.vocabularies), sizes.hidden)
    at_one, along, loops = {}, {}, {}
    data = DrawnDocuments(sizes.vocabulary)
    for network in LITERAL:
        print(f"{network}, {sizes.vocabulary:,} words", flush=True)
        at_one[network] = measure_at_one(network, data, sizes, stopwatch)
    larger = [DrawnDocuments(vocabulary) for vocabulary in sizes.vocabularies]
    for network in LITERAL:
        print(f"{network} by vocabulary", flush=True)
        along[network] = measure_along(network, larger, sizes, stopwatch)
        loops[network] = measure_loops(network, larger, sizes, stopwatch)
    return Measured(at_one, along, loops, peak)


def measure_at_one(
    network: str, data: DrawnDocuments, sizes: Sizes, stopwatch: Stopwatch
) -> pd.DataFrame:
    """The literal loop reads one of the documents of the batches of one."""
    ours = Ours(network, data, sizes.hidden)
    singles, batches = data.batches(1)[: sizes.singles], data.batches(32)[: sizes.batches]
    document = data.document(singles, sizes.words)
    loop = network, document, data.vocabulary, sizes.hidden
    works: dict[str, Work] = {
        KEPT: literal(*loop),
        SINGLE: lambda: ours.train(singles),
        BATCH: lambda: ours.train(batches),
        BYTES: bare_products(sizes.hidden, data.words(singles)),
    }
    if not why_not():
        native = Ours(network, data, sizes.hidden, "native")
        works[NATIVE] = lambda: native.train(singles)
    read = len(document.words)
    words = {LOOP: read, KEPT: read, SINGLE: data.words(singles), BATCH: data.words(batches)}
    words[BYTES] = words[NATIVE] = words[SINGLE]
    with fresh_process(literal, {LOOP: loop}) as fresh:
        times = stopwatch.side_by_side(fresh | works, sizes.rounds[0])
    return 1000 * times / pd.Series(words)


def measure_along(
    network: str, datas: list[DrawnDocuments], sizes: Sizes, stopwatch: Stopwatch
) -> pd.DataFrame:
    works, words = dict[str, Work](), dict[str, int]()
    for data in datas:
        name, singles = at(network, data.vocabulary), data.batches(1)[: sizes.singles]
        words[name] = data.words(singles)
        works[name] = partial(Ours(network, data, sizes.hidden).train, singles)
    return 1000 * stopwatch.side_by_side(works, sizes.rounds[1]) / pd.Series(words)


def measure_loops(
    network: str, datas: list[DrawnDocuments], sizes: Sizes, stopwatch: Stopwatch
) -> pd.DataFrame:
    loops = {}
    for data in datas:
        document = data.document(data.batches(1)[: sizes.singles], sizes.words)
        start = Document(document.words[: sizes.words_along], document.label)
        loops[at(network, data.vocabulary)] = network, start, data.vocabulary, sizes.hidden
    with fresh_process(literal, loops) as works:
        return 1000 * stopwatch.side_by_side(works, sizes.rounds[2]) / sizes.words_along


# Results ----------------------------------------------------------------------------------------


def values(measured: Measured, sizes: Sizes) -> dict[str, float | None]:
    """For the bars, which are multiples of the published costs of DLStudio."""
    found: dict[str, float | None] = {
        f"{network}, {size}: DLStudio's cost of a word to ours": DLSTUDIO[network] / cost.median()
        for network, times in measured.at_one.items()
        for size, cost in times[[SINGLE, BATCH]].items()
    }
    of_textnet = measured.at_one["TEXTnet"]
    for size in (SINGLE, NATIVE):
        share = ratio(of_textnet, BYTES, size).median if size in of_textnet else None
        found[f"TEXTnet, {size}: share of the {BYTES}"] = share
    small, large = sizes.small_and_large
    for network, times in measured.along.items():
        growth = ratio(times, at(network, large), at(network, small))
        found[f"{network}: a word of {large:,} to one of {small:,}"] = growth.median
    found[f"GRUnet, {large:,} words: GB of memory"] = measured.peak and measured.peak / 1e9
    return found


def table_at_one(measured: Measured) -> pd.DataFrame:
    lines = []
    for network, times in measured.at_one.items():
        for size in [size for size in (SINGLE, NATIVE, BATCH) if size in times]:
            line = {"": f"{network}, {size}", "ms a word": in_words(quartiles(times[size]), ".3f")}
            for loop, name in ((LOOP, LOOP), (KEPT, f"{LOOP}, {KEPT}")):
                cost, cheaper = times[loop].median(), ratio(times, loop, size)
                line[f"{name}: ms, to ours"] = f"{cost:.1f}, {in_words(cheaper, ',.0f')}"
            cost, cheaper = DLSTUDIO[network], quartiles(DLSTUDIO[network] / times[size])
            line["DLStudio, published: ms, to ours"] = f"{cost}, {in_words(cheaper, ',.0f')}"
            lines.append(line)
    return pd.DataFrame(lines)


def table_along(measured: Measured, sizes: Sizes) -> pd.DataFrame:
    """Last column: the ratio of the costs at the largest vocabulary and at the second one."""
    small, large = sizes.small_and_large
    lines = []
    for name, found in (("rnnexp", measured.along), (LOOP, measured.loops)):
        for network, times in found.items():
            line = {"": f"{network}, {name}"}
            for vocabulary in sizes.vocabularies:
                line[f"{vocabulary:,}"] = f"{times[at(network, vocabulary)].median():.3g}"
            growth = ratio(times, at(network, large), at(network, small))
            lines.append(line | {f"{large:,} to {small:,}": str(growth)})
    return pd.DataFrame(lines)


def in_words(one: Ratio, form: str) -> str:
    """The median, and the quartiles in brackets."""
    return f"{one.median:{form}} ({one.low:{form}} to {one.high:{form}})"


def draw(measured: Measured, sizes: Sizes) -> Figure:
    """The cost of a word by vocabulary, for rnnexp and for the literal loop."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    largest = max(sizes.vocabularies)
    for found, style, name in ((measured.loops, "o--", LOOP), (measured.along, "o-", "rnnexp")):
        for network, times in found.items():
            costs = [times[at(network, vocabulary)].median() for vocabulary in sizes.vocabularies]
            axes.plot(sizes.vocabularies, costs, style, color=COLORS[network], ms=5)
            label, place = f"  {network}, {name}", (largest, costs[-1])
            axes.annotate(label, place, color=COLORS[network], va=NAME_BESIDE_CURVE[network])
    for network in measured.along:
        place = sizes.vocabulary, DLSTUDIO[network]
        axes.plot(*place, "x", color=COLORS[network], ms=9, mew=2)
    axes.annotate("DLStudio, published   ", place, ha="right", va="bottom")
    axes.set(yscale="log", ylabel="milliseconds a word of a training step")
    along(axes, sizes.vocabularies, "words in the vocabulary")
    return figure


if __name__ == "__main__":
    sys.exit(main())
