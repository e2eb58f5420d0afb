"""Tell the classes of new texts, or the next values of series, by a finished run."""

import sys
from collections.abc import Sequence
from pathlib import Path

from rnnexp import console
from rnnexp.commands._options import allow, folder_parser
from rnnexp.errors import UserError
from rnnexp.files import write_text
from rnnexp.runs.loading import LoadedRun, load, restore_data
from rnnexp.tasks.answers import Answers

STDIN = "-"
# Settings that say how a file is read, and not what the network was trained for.
READING = (
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
        help="a text; may be given several times; - for one a line of the standard input, which is "
        "read where neither --text nor --csv is given",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a series as the run's own files have it, or a folder of them; may be given several "
        "times",
    )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="write to this .csv or .json instead"
    )
    parser.add_argument(
        "overrides",
        metavar="data.KEY=VALUE",
        nargs="*",
        help="how the file is read, where that differs, e.g. data.datetime_format",
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
    """Print what the best checkpoint of a run says, or write it to a file.

    texts: for a classification; `-` stands for one text a line of the standard input, and so does
    none at all. files: for a forecast, CSV files or folders of them. overrides: data.KEY=VALUE, of
    how the files are read.

    Raises:
        UserError: the run folder is not whole or is of the other task, or the input is wrong.
    """
    if texts and files:
        raise UserError("--text and --csv do not go together: a run is on texts or on series")
    _check_overrides(overrides, files)
    if output is not None:
        _check_output(output, files)
    run = load(folder, overrides)
    if run.record.get("status") != "completed":
        _note(f"{folder} has the status {run.record.get('status')!r}: its best checkpoint so far")
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
    if run.task.new_data == "series":
        if not files:
            raise UserError(f"{run.folder} is a run on series: give some with --csv FILE")
        given: Sequence[str] | Sequence[Path] = files
    elif files:
        raise UserError(
            f"{run.folder} is a run on {run.spec.things}, not on series: give a text with "
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
        if not files or not line.startswith(READING):
            settings = ", ".join(key.rstrip("=.") for key in READING)
            raise UserError(
                f"{line}: for a prediction only how the file of --csv is read can be changed "
                f"({settings})"
            )


def _read_texts(given: Sequence[str]) -> list[str]:
    """The texts of the command line, and those of the standard input where they are asked for."""
    texts = []
    for text in given or [STDIN]:
        if text == STDIN:
            texts += _lines_of_stdin()
        elif not text.strip():
            raise UserError("--text is empty: give at least one character")
        elif any("\ud800" <= one <= "\udfff" for one in text):  # bytes that could not be decoded
            raise UserError(f"--text {text!r} is not UTF-8 text")
        else:
            texts.append(text)
    return texts


def _lines_of_stdin() -> list[str]:
    if sys.stdin.isatty():
        raise UserError("give a text with --text TEXT, or one a line on the standard input")
    content = sys.stdin.buffer.read()
    try:
        read = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"the standard input, line {line}: this is not UTF-8 text") from error
    if not read.strip():
        raise UserError("the standard input is empty: give a text on each line, or --text TEXT")
    lines = [line.removesuffix("\r") for line in read.removesuffix("\n").split("\n")]
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise UserError(f"the standard input, line {number}: it is empty, take it out")
    return lines


# Output -----------------------------------------------------------------------------------------


def _check_output(output: Path, files: Sequence[Path]) -> None:
    """Before any work is done."""
    if output.suffix not in (".csv", ".json"):
        raise UserError(f"--output {output}: give a file that ends in .csv or .json")
    if output.is_dir() or not output.parent.is_dir():
        wrong = output if output.is_dir() else output.parent
        what = "is a folder" if output.is_dir() else "does not exist"
        raise UserError(f"--output {output}: {wrong} {what}, name another file")
    if output.resolve() in [file.resolve() for file in files]:
        raise UserError(f"--output {output}: this is the file to read, name another one")


def _write(answers: Answers, output: Path) -> None:
    """CSV or JSON, by its ending. Floats with nine digits: a float32 can be read back exactly."""
    frame = answers.frame()
    if output.suffix == ".csv":
        text = frame.to_csv(index=False, float_format="%.9g")
    else:
        text = frame.to_json(orient="records", indent=2, force_ascii=False, double_precision=15)
        text += "\n"
    try:
        write_text(output, text)
    except OSError as error:
        raise UserError(f"--output {output}: it cannot be written ({error.strerror})") from error
