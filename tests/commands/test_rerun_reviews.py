"""Reruns of a run on reviews with word vectors and n-grams: each planted change gets its own
verdict."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

import rnnexp
from rnnexp.cli import main
from rnnexp.runs.comparison.leaderboard import find_runs, tables
from rnnexp.tasks.classification.data import ClassificationData
from tests.support.review_files import write_review_files, write_vectors
from tests.support.runs import Kept
from tests.support.shrink import NO_FIGURES, TINY

Capture = pytest.CaptureFixture[str]

IDENTICAL, MISTAKE, CANNOT, OTHER_ENVIRONMENT = 0, 2, 3, 4
WORDS = ["it", "works", "love", "broke", "buy", "thing", "solid", "ugly"]
TRAIN = [
    *("train", "experiment=sentiment_best", "data.root=reviews", "data.per_class=10"),
    *("data.vectors.file=vectors.txt", "data.vectors.dimension=8", "data.ngrams.parts=2"),
    *("data.validation_fraction=0.25", "monitor=val/loss", "data.batch_size=8"),
    *(*TINY, *NO_FIGURES, "trainer.max_epochs=2"),
]


def work_in(patch: pytest.MonkeyPatch, place: Path) -> None:
    patch.chdir(place)
    patch.setenv("RNNEXP_CACHE", str(place / "cache"))
    for name in ("RNNEXP_DATA", "RNNEXP_OUTPUTS", "RNNEXP_ALLOW"):
        patch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A folder with reviews, vectors, and a completed run that has relative paths to them."""

    def make(place: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            work_in(patch, place)
            write_review_files(place / "reviews")
            write_vectors(place / "vectors.txt", WORDS, dimension=8)
            assert main(TRAIN) == 0

    return Kept(tmp_path_factory.mktemp("reviews") / "place", make)


@pytest.fixture
def recorded(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run folder, below the current folder."""
    place = kept.restored()
    work_in(monkeypatch, place)
    [folder] = (place / "outputs/sentiment_best").iterdir()
    return folder


def read(folder: Path, name: str = "run.json") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text())
    return content


def test_again_from_another_folder(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    capfd.readouterr()
    assert main(["test", str(recorded)]) == IDENTICAL
    assert "to the bit" in capfd.readouterr().out
    assert main(["rerun", str(recorded)]) == IDENTICAL
    assert "verdict       identical:" in capfd.readouterr().out

    [again] = (elsewhere / "outputs/sentiment_best").iterdir()
    runs = find_runs([recorded.parent, again.parent])
    [table] = tables(runs).values()
    assert len(runs) == 2 and len(table) == 1  # the path of the vectors is no hyperparameter
    assert table["seeds"].item() == "0"
    assert main(["leaderboard", str(recorded.parent), str(again.parent)]) == 0
    assert "sentiment_best" in capfd.readouterr().out


def test_other_vectors_are_another_experiment(recorded: Path) -> None:
    here = recorded.parents[2]
    write_vectors(here / "others.txt", WORDS[::-1], dimension=8)
    assert main([*TRAIN, "data.vectors.file=others.txt"]) == 0
    [table] = tables(find_runs([here / "outputs"])).values()
    assert sorted(table["data.vectors.file"]) == ["others.txt", "vectors.txt"]


def test_loaded_it_predicts_what_was_recorded(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = rnnexp.load(recorded)
    assert isinstance(loaded.data, ClassificationData)
    loaded.data.setup()
    rows, predictions = [], []
    with torch.no_grad():
        for batch in loaded.data.test_dataloader():
            rows.append(batch.row)
            predictions.append(loaded.network(batch.tokens, batch.lengths, batch.extra))
    order = torch.cat(rows).argsort()
    found = torch.cat(predictions)[order].exp()[:, 1].tolist()
    header, *lines = (recorded / "predictions.csv").read_text().splitlines()
    column = header.split(",").index("p_positive")
    assert found == pytest.approx([float(line.split(",")[column]) for line in lines], abs=1e-6)


def test_fingerprints_are_recorded_before_the_first_step(recorded: Path, capfd: Capture) -> None:
    """Also in a run that ends before its training."""
    assert main([*TRAIN, "model.hidden_size=0", "name=failed"]) == MISTAKE
    [failed] = (recorded.parents[1] / "failed").iterdir()
    expected = read(recorded)
    assert set(expected["fingerprints"]) == {"data", "split", "vocabulary", "vectors"}
    assert read(failed)["fingerprints"] == expected["fingerprints"]
    assert expected["vectors"] == str(recorded.parents[2] / "vectors.txt")


def change_review(folder: Path) -> None:
    path = folder.parents[2] / "reviews/lamps/negative.review"
    path.write_text(path.read_text().replace("broke", "works"))


def change_vectors(folder: Path) -> None:
    path = folder.parents[2] / "vectors.txt"
    path.write_text(path.read_text().replace("0.", "1."))


def change_config(key: str, value: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = OmegaConf.load(folder / "config.yaml")
        assert OmegaConf.select(config, key) not in (None, value)
        OmegaConf.update(config, key, value)
        OmegaConf.save(config, folder / "config.yaml")

    return change


CHANGES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a review": (change_review, "data", "the data of this run have changed: "),
    "the vectors": (change_vectors, "vectors", "the vectors of this run have changed: "),
    "the vocabulary": (
        change_config("data.min_count", 4),
        "vocabulary",
        "the vocabulary of this run cannot be reproduced from the same data: config.yaml was",
    ),
    "the split": (
        change_config("data.test_fraction", 0.4),
        "split",
        "the split of this run cannot be reproduced from the same data: config.yaml was",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_has_changed_since(name: str, recorded: Path, capfd: Capture) -> None:
    change, kind, sentence = CHANGES[name]
    change(recorded)
    capfd.readouterr()
    assert main(["test", str(recorded)]) == MISTAKE
    said = capfd.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert main(["rerun", str(recorded)]) == OTHER_ENVIRONMENT
    said = capfd.readouterr().out
    assert f"environment   {kind} fingerprint: " in said
    assert "verdict       different results in a different environment" in said
    edited = "edited config.yaml" in said
    assert edited == (name in ("the vocabulary", "the split"))


def test_vectors_that_are_gone(recorded: Path, capfd: Capture) -> None:
    (recorded.parents[2] / "vectors.txt").unlink()
    capfd.readouterr()
    assert main(["test", str(recorded)]) == MISTAKE
    sentence = "data.vectors.file=vectors.txt: there is no such file"
    assert sentence in capfd.readouterr().err
    assert main(["rerun", str(recorded)]) == CANNOT
    assert sentence in capfd.readouterr().err
