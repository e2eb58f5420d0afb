"""Consoles that are narrow, full, closed or not UTF-8: nothing printed is lost silently or cut, and
printing never fails a run."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import hydra
import pytest

from rnnexp import console
from rnnexp.cli import main
from rnnexp.streams import Guarded, guarded
from rnnexp.tables import Column, Table
from tests.support import REPOSITORY
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

Capture = pytest.CaptureFixture[str]
RUN = ["train", "name=a", *TINY, *QUIET, *SYNTHETIC_LOAD]


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def ascii_stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="ascii")


def test_what_the_encoding_lacks_is_spelt_out() -> None:
    stream = ascii_stream()
    Guarded(stream).write("1 ± 2, Łódź\n")
    stream.flush()
    assert stream.buffer.getvalue() == rb"1 +- 2, \u0141\xf3d\u017a" + b"\n"  # type: ignore[attr-defined]


def test_a_table_on_an_ascii_console(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = ascii_stream()
    monkeypatch.setattr(sys, "stdout", stream)
    with guarded():
        console.show(Table("Łódź", [Column("value", numbers=True)], [["1.0 ± 0.1"]]))
    stream.flush()
    said = stream.buffer.getvalue().decode("ascii")  # type: ignore[attr-defined]
    assert "1.0 +- 0.1" in said and r"\u0141" in said and "+--" in said


@pytest.mark.parametrize("stream", [None, Full(), "closed"])
def test_a_stream_that_cannot_be_written_to(
    stream: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    with guarded() as output:
        print("lost")
        console.show("lost")
    assert isinstance(output.lost, OSError) == isinstance(stream, Full)
    assert sys.stdout is stream


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_below_the_output(empty_folder: Path) -> None:
    """The answer of `--help` is lost, which is said; a run is complete and stays a success."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    for arguments, code in ((["--help"], 1), (RUN, 0)):
        with open("/dev/full", "w") as full:
            ended = subprocess.run(
                [sys.executable, "-m", "rnnexp", *arguments],
                env=environment,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
            )
        said = "rnnexp: the output could not be written: No space left on device\n"
        assert (ended.returncode, ended.stderr) == (code, said)
    [run] = empty_folder.glob("outputs/a/*/run.json")
    assert json.loads(run.read_text())["status"] == "completed"


@pytest.mark.parametrize("command", [["train"], ["train", "-m", "seed=0,1"], ["train", "-m"]])
def test_an_output_folder_that_cannot_be_made(
    command: list[str], empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (empty_folder / "file").touch()
    monkeypatch.setenv("RNNEXP_OUTPUTS", "file/outputs")
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "cannot be written to" in said and "Not a directory; choose another place" in said
    monkeypatch.setenv("RNNEXP_OUTPUTS", "")
    assert main(command) == 2
    assert "RNNEXP_OUTPUTS or paths.outputs is empty" in capsys.readouterr().err


def test_the_command_inside_a_program_that_uses_hydra(empty_folder: Path, capsys: Capture) -> None:
    theirs = empty_folder / "theirs"
    theirs.mkdir()
    (theirs / "config.yaml").write_text("answer: 42\n")
    with hydra.initialize_config_dir(str(theirs), version_base=None):
        assert main(["train", "--cfg", "job", "model=gru"]) == 0
        assert main(["train", "model=gruu"]) == 2
        assert main(RUN) == 0
        assert hydra.compose("config").answer == 42
    assert "Traceback" not in capsys.readouterr().err


# Narrow consoles --------------------------------------------------------------------------------

LABELS = ["this run, best checkpoint", "naive seasonal change"]
METRICS = ["accuracy", "balanced_accuracy", "rmse_MW", "top3_accuracy", "nll"]
NUMBERS = [["17,520", "0.001234", "1,234,567", "0.9999", "12.34"]] * 2


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_number_and_no_heading_is_cut(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(console.console, "width", width)
    columns = [Column(""), *(Column(name, numbers=True) for name in METRICS)]
    rows = [[label, *numbers] for label, numbers in zip(LABELS, NUMBERS, strict=True)]
    for plain in (False, True):
        console.show(Table("Title", columns, rows, "Caption", plain=plain))
        said = capsys.readouterr().out
        assert max(map(len, said.splitlines())) <= width
        assert "…" not in said and said.count("Title") == said.count("Caption") == 1
        words = re.split(r"[\s│┃]+", said)
        for number in NUMBERS[0]:
            assert words.count(number) == 2
        assert set(METRICS) <= set(words)


def test_a_table_that_fits_is_one() -> None:
    table = Table("", [Column("name"), Column("value", numbers=True)], [["a", "1"]])
    assert console.parts(table, 20) == [table]


def test_the_printed_commands_are_for_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/rnnexp")
    assert console.command("rnnexp", "test", Path("my runs/a")) == "rnnexp test 'my runs/a'"
    assert console.command("rnnexp", "test", "a", "--allow", "b") == "rnnexp test a --allow b"
