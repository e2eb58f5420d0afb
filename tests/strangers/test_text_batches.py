"""rnnexp predict on many texts: one that cannot be read does not stop the others, and is named by
its row, in the messages and in the output."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.runs.experiment import run as train
from rnnexp.tasks.classification import answers
from tests.support.shrink import NO_FIGURES, TINY

Capture = pytest.CaptureFixture[str]
FAILED = 1
CLOSED = ["data=synthetic_reviews", "data/tokenization=lecture", "data.vocabulary=everything"]

GOOD = ["the lamp is good", "not bad"]
PIPED = b"the lamp is good\n\nb\xffd\n!?\nnot bad\n"
FAULTS = {2: "is empty", 3: "is not UTF-8 text", 4: "has no word that the network knows"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("batches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        small = ["data.per_class=10", "trainer.max_epochs=1"]
        train(compose([*CLOSED, *TINY, *small, *NO_FIGURES]), place / "run")
    return place / "run"


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def pipe(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return pipe


def test_the_others_are_predicted_and_the_rows_are_named(
    folder: Path, pipe: Callable[[bytes], None], capfd: Capture
) -> None:
    pipe(PIPED)
    assert main(["predict", str(folder)]) == FAILED
    said = capfd.readouterr()
    assert said.err.splitlines()[-4:] == [
        "rnnexp: text 2 is empty",
        "rnnexp: text 3, 'b\N{REPLACEMENT CHARACTER}d', is not UTF-8 text",
        "rnnexp: text 4, '!?', has no word that the network knows",
        "rnnexp: without a prediction: 3 of 5",
    ]
    rows = [line.split("│")[2].strip() for line in said.out.splitlines() if line.startswith("│")]
    assert [row == "no prediction" for row in rows] == [False, True, True, True, False]


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_the_output_keeps_every_row_and_marks_the_bad_ones(
    suffix: str, folder: Path, pipe: Callable[[bytes], None], tmp_path: Path, capfd: Capture
) -> None:
    out, alone = tmp_path / f"out.{suffix}", tmp_path / "alone.csv"
    pipe(PIPED)
    assert main(["predict", str(folder), "--text", "-", "--output", str(out)]) == FAILED
    said = capfd.readouterr()
    assert f"predictions in {out}: 2" in said.out.replace("\n", "")
    assert "3 of 5; their rows in" in said.err
    read = pd.read_csv if suffix == "csv" else pd.read_json
    table = read(out)
    assert len(table) == 5
    assert table["prediction"].isna().tolist() == [False, True, True, True, False]
    assert table["p_positive"].isna().tolist() == [False, True, True, True, False]
    found = {row + 1: error for row, error in enumerate(table["error"]) if isinstance(error, str)}
    assert found == FAULTS

    given = [argument for text in GOOD for argument in ("--text", text)]
    assert main(["predict", str(folder), *given, "--output", str(alone)]) == 0
    expected = pd.read_csv(alone)
    assert "error" not in expected
    whole = table[table["error"].isna()].reset_index(drop=True)
    assert whole["text"].tolist() == expected["text"].tolist()
    assert whole["prediction"].tolist() == expected["prediction"].tolist()
    assert whole["p_positive"].tolist() == pytest.approx(expected["p_positive"].tolist(), abs=1e-6)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_piped_texts_in_every_form(
    encoding: str, end: str, folder: Path, pipe: Callable[[bytes], None], tmp_path: Path
) -> None:
    pipe(end.join(GOOD).encode(encoding))
    out = tmp_path / "out.json"
    assert main(["predict", str(folder), "--output", str(out)]) == 0
    assert [row["text"] for row in json.loads(out.read_text())] == GOOD


def test_a_text_that_is_too_long(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setattr(answers, "LONGEST", 20)
    given = ["--text", "not " * 21, "--text", "not " * 20]
    assert main(["predict", str(folder), *given]) == FAILED
    assert "is too long: it has 21 words, at most 20 are read" in capfd.readouterr().err


def test_when_no_text_can_be_read(folder: Path, tmp_path: Path, capfd: Capture) -> None:
    given = ["--text", "", "--text", "b\udcffd"]
    assert main(["predict", str(folder), *given]) == 2
    assert "without a prediction: 2 of 2\n" in capfd.readouterr().err
    out = tmp_path / "out.csv"
    assert main(["predict", str(folder), *given, "--output", str(out)]) == 2
    assert "without a prediction: 2 of 2; nothing was written" in capfd.readouterr().err
    assert main(["predict", str(folder), "--text", "!?", "--output", str(out)]) == 2
    assert not out.exists()


def test_in_python_a_bad_text_is_an_error(folder: Path) -> None:
    with pytest.raises(UserError, match=r"text 2, '!\?', has no word that the network knows"):
        rnnexp.load(folder).predict([GOOD[0], "!?"])
