"""Pipes, devices and endless files in the place of files: they are refused at once, not read."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import rnnexp.runs.loading  # noqa: F401 - the import is not timed
from rnnexp.cli import main
from rnnexp.data.text.review_files import LONGEST_REVIEW
from rnnexp.data.vectors import gensim
from rnnexp.files import open_regular
from tests.support import REPOSITORY
from tests.support.name_files import write_name_files
from tests.support.quick import quick
from tests.support.refusals import refused
from tests.support.review_files import write_review_files

Capture = pytest.CaptureFixture[str]
IRREGULAR = "it is a pipe or a device, not a file"
KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, IRREGULAR),
    "link to a pipe": (lambda path: linked(path, os.mkfifo), IRREGULAR),
    "device": (lambda path: path.symlink_to("/dev/zero"), IRREGULAR),
    "folder": (Path.mkdir, "Is a directory"),
    "large": (lambda path: large(path), "it has more than {:,} bytes, the most that is read"),
}
MIB = 2**20


def linked(path: Path, make: Callable[[Path], object]) -> None:
    make(path.with_suffix(".other"))
    path.symlink_to(path.with_suffix(".other"))


def large(path: Path) -> None:
    """A file of a tebibyte, which takes no space."""
    path.touch()
    os.truncate(path, 2**40)


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def spoilt(request: pytest.FixtureRequest) -> Callable[[Path, int], str]:
    """Puts something else in the place of a file, and returns why it is refused."""
    make, why = request.param

    def spoil(path: Path, largest: int) -> str:
        path.unlink()
        make(path)
        return str(why).format(largest)

    return spoil


Spoilt = Callable[[Path, int], str]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A completed run, beside another one."""
    golden = REPOSITORY / "tests" / "golden" / "earlier_forecasting"
    shutil.copytree(golden, tmp_path / "runs" / "good")
    return Path(shutil.copytree(golden, tmp_path / "runs" / "bad"))


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("run.json", 64 * MIB),
        ("config.yaml", MIB),
        ("metrics.json", MIB),
        ("digest.json", 512 * MIB),
    ],
)
def test_in_a_ranked_run(
    name: str, largest: int, run: Path, spoilt: Spoilt, capsys: Capture
) -> None:
    why = spoilt(run / name, largest)
    with quick():
        assert main(["leaderboard", str(run.parent), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == f"rnnexp: not ranked: {run / name} cannot be read: {why}\n"
    rows = json.loads(said.out)
    assert [row["seeds"] for row in rows if row["smape"] is not None] == ["0"]


@pytest.mark.parametrize(("name", "largest"), [("history.csv", 64), ("predictions.csv", 1024)])
def test_in_a_run_that_is_repeated(
    name: str, largest: int, run: Path, spoilt: Spoilt, capsys: Capture
) -> None:
    why = spoilt(run / name, largest * MIB)
    with quick():
        assert main(["rerun", str(run)]) == 3
    assert capsys.readouterr().err == f"rnnexp: {run / name} cannot be read: {why}\n"


def test_a_checkpoint(run: Path, spoilt: Spoilt, capsys: Capture) -> None:
    spoilt(checkpoint := run / "checkpoints" / "best.ckpt", 2**36)
    with quick():
        assert main(["predict", str(run), "--csv", str(run / "history.csv")]) == 2
    said = capsys.readouterr().err
    why = "is not a checkpoint of tensors and plain values, so it is not loaded"
    assert said == f"rnnexp: {checkpoint} {why}\n"


def test_what_a_run_kept(tmp_path: Path, spoilt: Spoilt, capsys: Capture) -> None:
    golden = REPOSITORY / "tests" / "golden" / "earlier_classification"
    run = Path(shutil.copytree(golden, tmp_path / "run"))
    why = spoilt(run / "vocabulary.json", 64 * MIB)
    with quick():
        assert main(["predict", str(run), "--text", "good"]) == 2
    said = capsys.readouterr().err
    assert said == f"rnnexp: {run / 'vocabulary.json'} cannot be read: {why}\n"


def test_links_to_files_are_read(run: Path, capsys: Capture) -> None:
    for path in [path for path in run.iterdir() if path.is_file()]:
        path.rename(path.with_suffix(".other"))
        path.symlink_to(path.with_suffix(".other"))
    with quick():
        assert main(["leaderboard", str(run)]) == 0
    said = capsys.readouterr()
    assert "smape" in said.out and said.err == ""
    with open_regular(run / "history.csv") as file:
        assert file.read(5) == b"epoch"


# --- data ---------------------------------------------------------------------------------------


def test_a_series(empty_folder: Path, spoilt: Spoilt, capsys: Capture) -> None:
    (path := empty_folder / "sales.csv").touch()
    why = spoilt(path, 2**31)
    if path.is_dir():
        return  # a folder of series
    with quick():
        said = refused(["data", "check", "series_csv", f"data.root={path}"], capsys)
    assert said == f"rnnexp: {path.resolve()}: the file cannot be read ({why})\n"


def test_a_language(empty_folder: Path, spoilt: Spoilt, capsys: Capture) -> None:
    root = write_name_files(empty_folder / "names")
    why = spoilt(path := root / "Czech.txt", 2**31)
    sentence = f"{path}: the file cannot be read ({why})"
    if not path.is_file():  # then it is no language
        sentence = f"{root}: no language 'Czech'; "
    arguments = ["data", "check", "names", f"data.root={root}", "data.languages=[Czech,Welsh]"]
    with quick():
        assert refused(arguments, capsys).startswith(f"rnnexp: {sentence}")


def test_reviews(empty_folder: Path, spoilt: Spoilt, capsys: Capture) -> None:
    root = write_review_files(empty_folder / "reviews")
    why = spoilt(path := root / "lamps" / "positive.review", 2**31)
    sentence = f"{path}: the file cannot be read ({why})"
    if not path.is_file():
        sentence = f"{path}: this file is missing, and a category needs both kinds: "
    with quick():
        said = refused(["data", "check", "reviews", f"data.root={root}"], capsys)
    assert said.startswith(f"rnnexp: {sentence}")


def test_a_review_without_an_end(empty_folder: Path, capsys: Capture) -> None:
    root = write_review_files(empty_folder / "reviews")
    path = root / "lamps" / "positive.review"
    path.write_text("<review>\n<review_text>\n" + f"{'a' * 99}\n" * (LONGEST_REVIEW // 100))
    with quick():
        said = refused(["data", "check", "reviews", f"data.root={root}"], capsys)
    assert said == (
        f"rnnexp: {path}, line 1: this review has no end within 4,194,304 characters: insert a "
        "</review>, or remove the review\n"
    )


def test_word_vectors(empty_folder: Path, spoilt: Spoilt, capsys: Capture) -> None:
    root = write_review_files(empty_folder / "reviews")
    (path := empty_folder / "vectors.txt").touch()
    why = spoilt(path, 2**36)
    sentence = f"{path}: the file cannot be read ({why})"
    if not path.is_file():
        sentence = f"data.vectors.file={path}: there is no such file"
    arguments = ["data", "check", "reviews", f"data.root={root}", "data/vectors=glove"]
    with quick():
        said = refused([*arguments, f"data.vectors.file={path}"], capsys)
    assert said == f"rnnexp: {sentence}\n"


def test_several_machines(empty_folder: Path, capsys: Capture) -> None:
    with quick():
        said = refused(["train", "experiment=quickstart", "+trainer.num_nodes=2"], capsys)
    assert said == (
        "rnnexp: trainer.num_nodes is 2: it must be 1, because a run stays on one machine; start "
        "several runs with -m\n"
    )


def test_the_matrix_beside_word_vectors(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "vectors.vectors.npy")
    with quick(), pytest.raises(OSError, match="it is a pipe or a device, not a file"):
        open_regular(path)
    with quick(), pytest.raises(OSError, match="it is a pipe or a device, not a file"):
        gensim._mapped(path)
