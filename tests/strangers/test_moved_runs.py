"""Runs on own files travel: `test` and `rerun` are told where the data are now, and fingerprints
decide whether they are the same."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.data.text.review_archives import Archive, write_converted
from tests.support.load_files import load_table
from tests.support.name_files import write_name_files
from tests.support.review_files import write_review_files, write_vectors
from tests.support.runs import Kept
from tests.support.shrink import NO_FIGURES, TINY, WINDOWS

Capture = pytest.CaptureFixture[str]
IDENTICAL, MISTAKE, CANNOT = 0, 2, 3


def write_series(data: Path) -> None:
    data.mkdir()
    load_table(300, seed=0).to_csv(data / "sales.csv", index=False)


def write_reviews(data: Path) -> None:
    write_review_files(data / "reviews")
    write_vectors(data / "vectors.txt", ["it", "works", "love", "broke"], dimension=4)


def write_lecture(data: Path) -> None:
    kinds = [["good", "fine", str(n)] for n in range(9)], [["bad", str(n)] for n in range(9)]
    positive, negative = ({"lamps": kind} for kind in kinds)
    words = ["good", "fine", "bad", *map(str, range(9))]
    archive = Archive(positive, negative, words)
    write_converted(data / "converted", archive, archive)


@dataclass(frozen=True)
class Source:
    """write: writes the data into a new folder. where: the locations, relative to it. changed: one
    of its files."""

    write: Callable[[Path], object]
    settings: list[str]
    where: dict[str, str]
    changed: str
    kind: str = "data"


WORDS = ["data=reviews", "data.per_class=10", "data/vectors=glove", "data.vectors.dimension=4"]
REVIEWS = {"data.root": "reviews", "data.vectors.file": "vectors.txt"}
SOURCES = {
    "series_csv": Source(
        write_series,
        ["data=series_csv", "data.datetime_column=Datetime", "data.frequency=1h", *WINDOWS],
        {"data.root": "[{}/sales.csv]"},
        "sales.csv",
    ),
    "names": Source(
        lambda data: write_name_files(data / "names"),
        ["data=names"],
        {"data.root": "names"},
        "names/Czech.txt",
    ),
    "reviews": Source(write_reviews, WORDS, REVIEWS, "reviews/lamps/negative.review"),
    "vectors": Source(write_reviews, WORDS, REVIEWS, "vectors.txt", "vectors"),
    "lecture_reviews": Source(
        write_lecture,
        ["data=lecture_reviews", "data.validation_fraction=0.2"],
        {"data.root": "converted"},
        "converted/train.jsonl",
    ),
}


def locations(source: Source, data: Path) -> list[str]:
    return [
        f"{key}={where.format(data) if '{}' in where else data / where}"
        for key, where in source.where.items()
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Kept]:
    """name -> a folder with the data and the run, made once; both then move on to elsewhere."""
    kept: dict[str, Kept] = {}

    def make(name: str) -> Kept:
        source = SOURCES[name]

        def fill(place: Path) -> None:
            source.write(place / "data")
            where = locations(source, place / "data")
            assert main(["train", *source.settings, *where, *TINY, *NO_FIGURES, "name=run"]) == 0
            [run] = (place / "outputs/run").iterdir()
            run.rename(place / "run")
            (place / "data").rename(place / "moved")

        run = " ".join(source.settings)  # two of the sources have the same
        if run not in kept:
            with pytest.MonkeyPatch.context() as patch:
                place = tmp_path_factory.mktemp("made")
                patch.setenv("RNNEXP_CACHE", str(place / "cache"))
                patch.setenv("RNNEXP_OUTPUTS", str(place / "place/outputs"))
                patch.delenv("RNNEXP_DATA", raising=False)
                kept[run] = Kept(place / "place", fill)
        return kept[run]

    return make


@pytest.fixture
def moved(
    made: Callable[[str], Kept], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Path, Path]]:
    """name -> the run folder, and the folder of its data, which the run read elsewhere."""

    def restore(name: str) -> tuple[Path, Path]:
        place = made(name).restored()
        monkeypatch.chdir(place)
        monkeypatch.setenv("RNNEXP_CACHE", str(place.parent / "cache"))
        monkeypatch.setenv("RNNEXP_OUTPUTS", str(place / "outputs"))
        monkeypatch.delenv("RNNEXP_DATA", raising=False)
        return place / "run", place / "moved"

    return restore


def refused(arguments: list[str], code: int, capfd: Capture) -> str:
    capfd.readouterr()
    assert main(arguments) == code
    said = capfd.readouterr().err
    assert said.startswith("rnnexp: ") and said.count("\n") == 1
    return said


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "vectors"])
def test_told_where_the_data_are_the_commands_give_their_verdict(
    name: str, moved: Callable[[str], tuple[Path, Path]], capfd: Capture
) -> None:
    run, data = moved(name)
    keys = " ".join(f"{key}=PATH" for key in SOURCES[name].where)
    for command, code in (("test", MISTAKE), ("rerun", CANNOT)):
        said = refused([command, str(run)], code, capfd)
        assert f"if the data of this run have moved, say where they are: {keys}" in said
    where = locations(SOURCES[name], data)
    assert main(["test", str(run), *where]) == IDENTICAL
    assert "metrics equal the recorded ones to the bit" in capfd.readouterr().out
    assert main(["rerun", str(run), *where]) == IDENTICAL
    said = capfd.readouterr().out
    assert "data          the same as in the run" in said
    assert "verdict       identical:" in said and "a new experiment" not in said
    runs = [path for path in (run.parent / "outputs/run").iterdir() if path != run]
    again = max(runs, key=lambda path: path.name)
    assert json.loads((again / "run.json").read_text())["rerun_of"] == str(run)


@pytest.mark.parametrize("name", SOURCES)
def test_other_data_are_no_repetition(
    name: str, moved: Callable[[str], tuple[Path, Path]], capfd: Capture
) -> None:
    run, data = moved(name)
    source, path = SOURCES[name], data / SOURCES[name].changed
    kind, key = source.kind, "data.vectors.file" if source.kind == "vectors" else "data.root"
    text = path.read_text()
    for old, new in (
        ("broke", "works"),
        ("Bal", "Bel"),
        ("good", "bad"),
        ("0.", "1."),
        (",1", ",2"),
    ):
        if old in text:
            path.write_text(text.replace(old, new, 1))
            break
    where = locations(source, data)
    said = refused(["test", str(run), *where], MISTAKE, capfd)
    assert f"the {kind} of this run have changed: " in said
    assert f"if the same files are elsewhere, say where: {key}=PATH" in said
    said = refused(["rerun", str(run), *where], CANNOT, capfd)
    assert f"the {kind} of this run have changed: " in said
    assert "to train on other data as a new experiment, add name=NAME" in said


def test_other_data_with_another_name_are_a_new_experiment(
    moved: Callable[[str], tuple[Path, Path]], capfd: Capture
) -> None:
    run, data = moved("names")
    (data / "names/Czech.txt").write_text("Novak\n" * 20)
    assert main(["rerun", str(run), f"data.root={data / 'names'}", "name=others"]) == 0
    assert "a new experiment" in capfd.readouterr().out
    assert len(list((run.parent / "outputs/others").iterdir())) == 1


def test_a_location_is_all_that_test_can_be_told(
    moved: Callable[[str], tuple[Path, Path]], capfd: Capture
) -> None:
    run, data = moved("names")
    where = f"data.root={data / 'names'}"
    said = refused(["test", str(run), where, "seed=1"], MISTAKE, capfd)
    assert "seed=1: test can only be told where the data are now (data.root, data.v" in said
    said = refused(["test", str(run), "data.root=nowhere"], MISTAKE, capfd)
    assert "data.root=nowhere: there is no such folder" in said
    assert "nowhere" in refused(["rerun", str(run), "data.root=nowhere"], MISTAKE, capfd)


def test_the_environment_says_it_for_all_runs(
    moved: Callable[[str], tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run without data.root reads its folder in RNNEXP_DATA, wherever that is now."""
    run, data = moved("names")
    config = (run / "config.yaml").read_text()
    [root] = [line for line in config.splitlines() if line.startswith("  root: ")]
    (run / "config.yaml").write_text(config.replace(root, "  root: null"))
    monkeypatch.setenv("RNNEXP_DATA", str(data))
    assert main(["test", str(run)]) == IDENTICAL


def test_a_run_of_an_earlier_version_predicts_with_the_data_that_have_moved(
    moved: Callable[[str], tuple[Path, Path]], capfd: Capture
) -> None:
    run, data = moved("reviews")
    (run / "vocabulary.json").unlink()
    predict = ["predict", str(run), "--text", "it works"]
    assert "if the data of this run have moved, say where" in refused(predict, MISTAKE, capfd)
    assert main([*predict, *locations(SOURCES["reviews"], data)]) == 0
