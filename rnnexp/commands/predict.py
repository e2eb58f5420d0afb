"""Predict the classes of new texts, or the next values of series, with a finished run."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnexp import console
from rnnexp.commands.shared.new_data import (
    add_overrides,
    check_overrides,
    complain_of_changes,
    load_with_warnings,
)
from rnnexp.commands.shared.options import allow, folder_parser
from rnnexp.commands.shared.output import check_output_file, writing
from rnnexp.data.lines import LARGEST, decoded, lines
from rnnexp.errors import UserError
from rnnexp.files import csv_text, json_text, write_text, written_beside
from rnnexp.printing import complain
from rnnexp.process.memory import enough_memory

if TYPE_CHECKING:
    from rnnexp.runs.loading import LoadedRun
    from rnnexp.tasks.answers import Answers

STDIN = "-"
TABLES, PICTURES = (".csv", ".json"), (".png", ".svg", ".pdf")  # endings of --output


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    parser.usage = (
        "rnnexp predict DIR [--text TEXT | --csv FILE [--known FILE]] [--output FILE] "
        "[data.KEY=VALUE]"
    )
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        help="a text; may be given several times; - reads one text per line from standard input, "
        "the default without --text and --csv",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a series in the format of the run's own files, or a folder of them; may be given "
        "several times",
    )
    parser.add_argument(
        "--known",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="the columns of data.known over the horizon, in the format of the run's own files, if "
        "they do not stand in the file of --csv; may be given several times",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        type=Path,
        help="write to this file instead of printing: .csv or .json; or .png, .svg or .pdf, a "
        "picture of forecasts over a horizon",
    )
    add_overrides(parser)
    arguments = parser.parse_intermixed_args(argv)
    allow(arguments.allow)
    with enough_memory():
        return predict(
            arguments.folder,
            arguments.text,
            arguments.csv,
            arguments.output,
            arguments.overrides,
            arguments.known,
        )


def predict(
    folder: Path,
    texts: Sequence[str] = (),
    files: Sequence[Path] = (),
    output: Path | None = None,
    overrides: Sequence[str] = (),
    known: Sequence[Path] = (),
) -> int:
    """Print the predictions of a run's best checkpoint, or write them to a file.

    texts: for classification; `-`, or no text at all, reads one text per line from standard input.
    files: for forecasting, CSV files or folders of them. overrides: data.KEY=VALUE, how to read the
    files. known: CSV files with the known columns of the horizon.

    Returns the exit code: 0; 1 if some of several inputs have no prediction; 2 if none has, and
    then nothing is written.

    Raises:
        UserError: the run folder is damaged, its task is the other one, or the input is wrong.
    """
    if texts and files:
        raise UserError("give either --text or --csv: a run is trained on texts or on series")
    check_overrides("predict", overrides, files)
    if output is not None:
        _check_output(output, [*files, *known])
    run = load_with_warnings(folder, overrides)
    answers = _answers(run, texts, files, known)
    if output is not None and output.suffix in PICTURES and not hasattr(answers, "figure"):
        raise UserError(
            f"--output {output}: there is no picture of predictions of this kind, give a file that "
            f"ends in {' or '.join(TABLES)}"
        )
    complain_of_changes(run)
    failed: list[str] = getattr(answers, "failed", [])
    for note in [*answers.notes, *failed]:
        complain(note)
    rows = len(answers.frame())
    inputs = getattr(answers, "inputs", rows)
    if failed and len(failed) == inputs:  # as if each had been given alone
        nothing = "; nothing was written" if output else ""
        complain(f"without a prediction: {inputs:,} of {inputs:,}{nothing}")
        return 2
    if output is None:
        console.show(answers.table())
    elif output.suffix in TABLES:
        _write(answers, output)
        console.show(f"predictions in {output}: {rows - len(failed):,}")
    else:
        _draw(answers, output)
        console.show(f"a picture of the predictions in {output}")
    if not failed:
        return 0
    where = ""
    if output is not None and output.suffix in TABLES:
        where = f"; their rows in {output} have an error in the place of it"
    complain(f"without a prediction: {len(failed):,} of {inputs:,}{where}")
    return 1


def _answers(
    run: LoadedRun, texts: Sequence[str], files: Sequence[Path], known: Sequence[Path]
) -> Answers:
    if run.task.new_data == "series":
        if not files:
            raise UserError(f"{run.folder} was trained on series: give them with --csv FILE")
        given: Sequence[str] | Sequence[Path] = files
    elif files:
        raise UserError(
            f"{run.folder} was trained on {run.spec.things}, not on series: give a text with "
            "--text TEXT"
        )
    else:
        given = _read_texts(texts)
    return run.answer(given, known)


# Input ------------------------------------------------------------------------------------------


def _read_texts(given: Sequence[str]) -> list[str]:
    """The texts of --text, and the lines of standard input if `-` or nothing is given. In both,
    undecodable bytes are surrogates."""
    texts = []
    for text in given or [STDIN]:
        texts += _lines_of_stdin() if text == STDIN else [text]
    return texts


def _lines_of_stdin() -> list[str]:
    if sys.stdin.isatty():
        raise UserError("give a text with --text TEXT, or one per line on standard input")
    content = sys.stdin.buffer.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UserError(f"standard input has more than {LARGEST:,} bytes: give the texts in parts")
    texts = []
    for _, line in lines(io.BytesIO(content), "standard input", longest=len(content)):
        text = decoded(line)
        kept = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        texts.append(kept if text is None else text)
    if not any(text.strip() for text in texts):
        raise UserError("standard input is empty: give a text on each line, or --text TEXT")
    return texts


# Output -----------------------------------------------------------------------------------------


def _check_output(output: Path, files: Sequence[Path]) -> None:
    """Check the output file before any work is done."""
    if output.suffix not in (*TABLES, *PICTURES):
        raise UserError(
            f"--output {output}: give a file that ends in {', '.join(TABLES)}, or, for a picture "
            f"of forecasts over a horizon, in {', '.join(PICTURES)}"
        )
    check_output_file(output, files)


def _write(answers: Answers, output: Path) -> None:
    """Write CSV or JSON, by the suffix."""
    frame = answers.frame()
    if output.suffix == ".csv":
        text = csv_text(frame)
    else:
        text = json_text(frame.to_dict(orient="records"), ensure_ascii=False)
    with writing(output):
        write_text(output, text)


def _draw(answers: Any, output: Path) -> None:
    """Draw a picture, in the format of the suffix."""
    with writing(output), written_beside(output) as beside:
        answers.figure().savefig(beside, format=output.suffix[1:], dpi=110)
