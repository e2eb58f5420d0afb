"""Show what a trained network does with one text or series, step after step.

The figure has, above each other: the answer after every step, had the input ended there; for texts,
gradient times input of every word; the hidden states of a layer; and the gates of its cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnexp import console
from rnnexp.commands.shared.new_data import (
    add_overrides,
    check_overrides,
    complain_of_changes,
    load_with_warnings,
)
from rnnexp.commands.shared.options import allow, folder_parser
from rnnexp.commands.shared.output import check_output_file
from rnnexp.errors import UserError
from rnnexp.printing import complain
from rnnexp.process.memory import enough_memory

if TYPE_CHECKING:
    from rnnexp.runs.loading import LoadedRun
    from rnnexp.tasks.trace import Trace

FORMATS = (".png", ".svg", ".pdf")  # endings of --output


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    parser.usage = (
        "rnnexp trace DIR (--text TEXT | --csv FILE [--series NAME]) [--layer N] [--output FILE] "
        "[data.KEY=VALUE]"
    )
    parser.add_argument(
        "--text", action="append", default=[], help="a text; may be given several times"
    )
    parser.add_argument(
        "--csv", metavar="FILE", type=Path, help="a series in the format of the run's own files"
    )
    parser.add_argument("--series", metavar="NAME", help="which one, if the file has several")
    parser.add_argument(
        "--layer",
        metavar="N",
        type=int,
        help="whose hidden states and gates are shown: 1 is the layer above the input; the default "
        "is the top one",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="write the figure to this .png, .svg or .pdf alone, not to DIR/trace",
    )
    add_overrides(parser)
    arguments = parser.parse_intermixed_args(argv)
    allow(arguments.allow)
    with enough_memory():
        return trace(
            arguments.folder,
            arguments.text,
            arguments.csv,
            arguments.series,
            arguments.layer,
            arguments.output,
            arguments.overrides,
        )


def trace(
    folder: Path,
    texts: Sequence[str] = (),
    file: Path | None = None,
    series: str | None = None,
    layer: int | None = None,
    output: Path | None = None,
    overrides: Sequence[str] = (),
) -> int:
    """Print a table of every trace, and draw it into DIR/trace, or into the file `output`.

    texts: for classification. file: a CSV file, for forecasting; series: which of its series.
    layer: from 1; None: the top one. overrides: data.KEY=VALUE, how to read the file.

    Returns the exit code: 0; 1 if some of several texts cannot be traced; 2 if none can.

    Raises:
        UserError: the run has no checkpoint, or its task is another one; the input cannot be read,
            or the figure cannot be written.
    """
    # Late: they import torch and matplotlib, and --help does without.
    from rnnexp.trace.figure import figure_of
    from rnnexp.trace.files import name_of, write, write_below

    given: Sequence[str | Path] = list(texts) if file is None else [file]
    _check(texts, file, series, output)
    check_overrides("trace", overrides, [] if file is None else [file])
    run = load_with_warnings(folder, overrides)
    if (run.task.new_data == "series") != (file is not None):
        if file is None:
            raise UserError(f"{folder} was trained on series: give one with --csv FILE")
        raise UserError(
            f"{folder} was trained on {run.spec.things}, not on series: give a text with "
            "--text TEXT"
        )
    traces, failed = _traces(run, given, layer, series)
    complain_of_changes(run)
    for sentence in failed:
        complain(sentence)
    for one in traces:
        for note in one.notes:
            complain(note)
        console.show(one.table())
        figure = figure_of(one)
        if output is not None:
            write(output, figure)
            console.show_line(f"figure: {output}")
            continue
        picture = write_below(folder, figure, name_of(one, layer))
        console.show_line(f"figure: {picture}, and as .svg")
    if traces and output is None:
        board = console.command("rnnexp", "board", console.from_here(folder))
        console.show_line(f"in TensorBoard, under IMAGES: {board}")
    if failed:
        complain(f"without a trace: {len(failed):,} of {len(given):,}")
    return 0 if not failed else 1 if traces else 2


def _traces(
    run: LoadedRun, given: Sequence[str | Path], layer: int | None, series: str | None
) -> tuple[list[Trace], list[str]]:
    """The traces, and a sentence for each of several texts that has none; a single one raises."""
    from rnnexp.tasks.answers import quoted
    from rnnexp.tasks.trace import CannotTrace

    traces, failed = [], []
    for number, one in enumerate(given, start=1):
        try:
            traces.append(run.trace(one, layer, series))
        except CannotTrace as error:
            if len(given) == 1:
                raise
            failed.append(f"text {number}{one and f', {quoted(str(one))},'} {error.fault}")
    return traces, failed


def _check(
    texts: Sequence[str], file: Path | None, series: str | None, output: Path | None
) -> None:
    """Check the arguments before any work is done."""
    if bool(texts) == (file is not None):
        raise UserError(
            "give either --text or --csv: a run is trained on texts or on series"
            if texts
            else "give what is to be traced: --text TEXT, or --csv FILE for a run on series"
        )
    if series is not None and file is None:
        raise UserError(f"--series {series}: it names a series of the file of --csv, give that too")
    if output is None:
        return
    if output.suffix not in FORMATS:
        raise UserError(f"--output {output}: give a file that ends in {', '.join(FORMATS)}")
    if len(texts) > 1:
        raise UserError(
            f"--output {output}: one file holds one text, and {len(texts)} are given: give one "
            "--text, or omit --output"
        )
    check_output_file(output, [] if file is None else [file])
