"""Predict the classes of new texts, or the next values of series, with a finished run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rnnexp import console
from rnnexp.commands._options import allow, folder_parser
from rnnexp.errors import UserError
from rnnexp.files import csv_text, json_text, write_text

if TYPE_CHECKING:
    from rnnexp.runs.loading import LoadedRun
    from rnnexp.tasks.answers import Answers

STDIN = "-"
# Settings of how a file is read. Others would not fit the trained network.
FILE_SETTINGS = (
    "data.cleaning.",
    "data.datetime_column=",
    "data.datetime_format=",
    "data.frequency=",
    "data.value_column=",
)


def main(argv: list[str]) -> int:
    parser = folder_parser(__name__, __doc__)
    parser.usage = "rnnexp predict DIR [--text TEXT | --csv FILE] [--output FILE] [data.KEY=VALUE]"
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
        "--output",
        metavar="FILE",
        type=Path,
        help="write to this .csv or .json file instead of printing",
    )
    parser.add_argument(
        "overrides",
        metavar="data.KEY=VALUE",
        nargs="*",
        help="how to read the file, if it differs from the run's, e.g. data.datetime_format",
    )
    arguments = parser.parse_intermixed_args(argv)
    allow(arguments.allow)
    return predict(
        arguments.folder, arguments.text, arguments.csv, arguments.output, arguments.overrides
    )


def predict(
    folder: Path,
    texts: Sequence[str] = (),
    files: Sequence[Path] = (),
    output: Path | None = None,
    overrides: Sequence[str] = (),
) -> int:
    """Print the predictions of a run's best checkpoint, or write them to a file.

    texts: for classification; `-`, or no text at all, reads one text per line from standard input.
    files: for forecasting, CSV files or folders of them. overrides: data.KEY=VALUE, how to read the
    files. Returns the exit code, 0.

    Raises:
        UserError: the run folder is damaged, its task is the other one, or the input is wrong.
    """
    from rnnexp.runs.loading import load  # late: it imports torch, and --help does without

    if texts and files:
        raise UserError("give either --text or --csv: a run is trained on texts or on series")
    _check_overrides(overrides, files)
    if output is not None:
        _check_output(output, files)
    run = load(folder, overrides)
    if run.record.get("status") != "completed":
        _note(f"{folder} has the status {run.record.get('status')!r}: using the checkpoint so far")
    answers = _answers(run, texts, files)
    for note in answers.notes:
        _note(note)
    if output is None:
        console.show(answers.table())
    else:
        _write(answers, output)
        console.show(f"predictions in {output}: {len(answers.frame()):,}")
    return 0


def _answers(run: LoadedRun, texts: Sequence[str], files: Sequence[Path]) -> Answers:
    from rnnexp.runs.loading import restore_data

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
    return run.task.answer(run.network, restore_data(run), given)


def _note(sentence: str) -> None:
    print(f"rnnexp: {sentence}", file=sys.stderr)


# Input ------------------------------------------------------------------------------------------


def _check_overrides(overrides: Sequence[str], files: Sequence[Path]) -> None:
    for line in overrides:
        if not files or not line.startswith(FILE_SETTINGS):
            settings = ", ".join(key.rstrip("=.") for key in FILE_SETTINGS)
            raise UserError(
                f"{line}: predict can only change how the file of --csv is read ({settings})"
            )


def _read_texts(given: Sequence[str]) -> list[str]:
    """The texts of --text, and the lines of standard input if `-` or nothing is given."""
    texts = []
    for text in given or [STDIN]:
        if text == STDIN:
            texts += _lines_of_stdin()
        elif not text.strip():
            raise UserError("--text is empty: give at least one character")
        elif any("\ud800" <= one <= "\udfff" for one in text):  # undecodable bytes
            raise UserError(f"--text {text!r} is not UTF-8 text")
        else:
            texts.append(text)
    return texts


def _lines_of_stdin() -> list[str]:
    if sys.stdin.isatty():
        raise UserError("give a text with --text TEXT, or one per line on standard input")
    content = sys.stdin.buffer.read()
    try:
        read = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"standard input, line {line}: this is not UTF-8 text") from error
    if not read.strip():
        raise UserError("standard input is empty: give a text on each line, or --text TEXT")
    lines = [line.removesuffix("\r") for line in read.removesuffix("\n").split("\n")]
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise UserError(f"standard input, line {number} is empty: remove it")
    return lines


# Output -----------------------------------------------------------------------------------------


def _check_output(output: Path, files: Sequence[Path]) -> None:
    """Check the output file before any work is done."""
    if output.suffix not in (".csv", ".json"):
        raise UserError(f"--output {output}: give a file that ends in .csv or .json")
    if output.is_dir() or not output.parent.is_dir():
        wrong = output if output.is_dir() else output.parent
        what = "is a folder" if output.is_dir() else "does not exist"
        raise UserError(f"--output {output}: {wrong} {what}, choose another file")
    if output.resolve() in [file.resolve() for file in files]:
        raise UserError(f"--output {output}: this is an input file, choose another one")


def _write(answers: Answers, output: Path) -> None:
    """Write CSV or JSON, by the suffix."""
    frame = answers.frame()
    if output.suffix == ".csv":
        text = csv_text(frame)
    else:
        text = json_text(frame.to_dict(orient="records"), ensure_ascii=False)
    try:
        write_text(output, text)
    except OSError as error:
        raise UserError(f"--output {output}: it cannot be written ({error.strerror})") from error
