"""The harness that every command here runs in.

It checks that the machine is quiet, measures, compares the results with the bars, shows them, and
writes them to the README. A command only adds its measurements, tables and picture.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from experiments import study
from experiments.speed import machine
from experiments.speed.bars import judge, read_bars
from experiments.speed.timing import Stopwatch
from rnnexp import console
from rnnexp.process import cores, determinism

HERE = Path(__file__).parent  # README.md, expected.yaml and the pictures
SMALL = "small sizes and few rounds, for trials: nothing is expected or written"


@dataclass(frozen=True)
class Findings:
    """The results of a command.

    tables: tables and sentences in Markdown. values: measured values by name, for the bars; None if
    this system cannot measure one. draw: draws the picture, for a command that has one. keep:
    writes what else the command found, if anything.
    """

    tables: Sequence[str]
    values: Mapping[str, float | None] = field(default_factory=dict)
    draw: Callable[[], Figure] | None = None
    keep: Callable[[], None] | None = None


Measure = Callable[[argparse.Namespace, Stopwatch], Findings]


def parser(description: str | None, quick: str = SMALL) -> argparse.ArgumentParser:
    """The option of every command. quick: what --quick does."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help=quick)
    return parser


def run(
    options: argparse.Namespace,
    measure: Measure,
    *,
    bars: str,
    place: str | None = None,
    picture: str = "",
) -> int:
    """Run a command and return its exit code: 1 if the machine was not quiet or a bar is missed, 2
    if it was busy from the start.

    Args:
        options: `quick`, and what the command's own parser adds.
        measure: measures everything with the stopwatch that it is given.
        bars: name of the command's section in expected.yaml; it may have none.
        place: name of the markers in the README; None for a command that writes nothing.
        picture: file name of the picture.
    """
    return study.exit_code(lambda: _run(options, measure, bars, place, picture))


def _run(
    options: argparse.Namespace, measure: Measure, section: str, place: str | None, picture: str
) -> int:
    determinism.prepare(deterministic=True, threads=len(cores.available()))
    if not options.quick:
        machine.require_quiet()
    bars = [] if options.quick else read_bars(HERE / "expected.yaml", section)
    start, watch, stopwatch = time.perf_counter(), machine.Watch(), Stopwatch()
    findings = measure(options, stopwatch)
    minutes = (time.perf_counter() - start) / 60
    facts, unrest = machine.conditions(watch.others(), stopwatch.pulse)

    judged, missed = judge(bars, findings.values)
    parts = [f"Measured in {minutes:.1f} minutes on {machine.description()}. {facts}\n"]
    parts += [study.markdown_table("What is expected", judged)] if bars else []
    text = "\n".join([*parts, *findings.tables]).rstrip()
    console.show_markdown(text)

    consequence = "README.md stays as it is" if place else "nothing is judged"
    if options.quick:
        print(f"{consequence}: these sizes are too small for conclusions")
        return 0
    if unrest:
        print(f"study: {consequence}: {unrest}", file=sys.stderr)
        return 1
    if place:
        study.write_between_markers(HERE / "README.md", text, place)
    if findings.keep:
        findings.keep()
    if findings.draw and place:
        findings.draw().savefig(HERE / picture, dpi=110)
    for sentence in missed:
        print(f"study: missed: {sentence}", file=sys.stderr)
    return 1 if missed else 0
