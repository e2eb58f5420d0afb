"""Every experiment in conf/experiment, shrunk to a second: run it again, and it is the same."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from rnnexp.cli import main
from rnnexp.config import compose, config_dir
from rnnexp.runs.experiment import run
from rnnexp.runs.folder.digest import hash_tensors
from tests.support.load_files import write_load_files
from tests.support.name_files import write_name_files
from tests.support.review_files import write_review_files, write_vectors

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))
EVERYWHERE = {
    "seed": 0,
    "trainer.max_epochs": 2,
    "trainer.accelerator": "cpu",
    "model.hidden_size": 8,
    "determinism.threads": 1,
    "callbacks.progress_bar": "null",
    "logger": "none",
}
WINDOWS = {"data.look_back": 30, "data.chunking.length": 40, "data.batch_size": 16}
WORDS = ["it", "broke", "works", "good", "bad", "love", "dollars", "one", "of", "lamps", "kettles"]


@dataclass(frozen=True)
class Small:
    """How experiments on one source of data become small.

    settings: those that an experiment does not have are left out. write: writes the files of the
    source into a new folder, which is `data` in the current one, and RNNEXP_DATA.
    """

    settings: dict[str, Any]
    write: Callable[[Path], object] = Path.mkdir


def write_reviews(data: Path) -> None:
    write_review_files(data / "reviews")
    for name in ("glove.6B.100d.txt", "GoogleNews-vectors-negative300.bin"):
        write_vectors(data / "embeddings" / name, WORDS, dimension=5)


# By the class that reads the data.
SMALL = {
    "SyntheticLoad": Small({"data.number": 1, "data.days": 40, **WINDOWS}),
    "PowerLoad": Small(
        {"data.root": "data/power_load", **WINDOWS},
        lambda data: write_load_files(data / "power_load", hours=700),
    ),
    "SyntheticReviews": Small({"data.per_class": 40, "data.batch_size": 8}),
    "Reviews": Small(
        {"data.root": "data/reviews", "data.batch_size": 8, "data.vectors.dimension": 5},
        write_reviews,
    ),
    "SyntheticRecall": Small({"data.number": 60, "data.distance": 6, "data.batch_size": 8}),
    "SyntheticNames": Small({"data.number": 20, "data.batch_size": 8}),
    "Names": Small(
        {
            "data.root": "data/names",
            "data.batch_size": 8,
            "data.ngrams.parts": 2,
            "trainer.limit_train_batches": 20,
        },
        lambda data: write_name_files(data / "names"),
    ),
}


def shrunk(experiment: str, place: Path) -> list[str]:
    """The overrides of a small run of an experiment, whose data are written below `place`."""
    config = compose([f"experiment={experiment}"])
    source = config.data._target_.rpartition(".")[2]
    if source not in SMALL:
        pytest.fail(f"{experiment} has its data from {source}: add to SMALL what makes them small")
    SMALL[source].write(place / "data")
    settings = EVERYWHERE | SMALL[source].settings
    known = [key for key in settings if OmegaConf.select(config, key, default="-") != "-"]
    return [f"experiment={experiment}", *(f"{key}={settings[key]}" for key in known)]


@pytest.fixture(scope="module", params=EXPERIMENTS)
def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A completed run with seed 0. Its data are given relative to the folder that it is in."""
    place = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("RNNEXP_OUTPUTS", raising=False)
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        patch.setenv("RNNEXP_DATA", str(place / "data"))
        run(compose(shrunk(request.param, place)), place / "run")
        yield place / "run"


def result(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The digest, and the predictions as they were written."""
    return json.loads((folder / "digest.json").read_text()), (
        folder / "predictions.csv"
    ).read_bytes()


def test_a_rerun_is_identical_from_anywhere(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    elsewhere = recorded.parent / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for folder in (recorded, Path("..") / recorded.name):
        assert main(["rerun", str(folder)]) == 0
        assert "verdict       identical" in capfd.readouterr().out
    again = [path.parent for path in elsewhere.rglob("digest.json")]
    assert len(again) == 2
    assert all(result(folder) == result(recorded) for folder in again)


def test_another_seed_is_another_run(recorded: Path) -> None:
    assert OmegaConf.load(recorded / "config.yaml").seed == 0
    assert main(["rerun", str(recorded), "seed=1"]) == 0
    [other] = (recorded.parent / "outputs").glob("*/*")
    (digest, predictions), (other_digest, other_predictions) = result(recorded), result(other)
    assert digest.keys() == other_digest.keys()
    assert [key for key in digest if digest[key] == other_digest[key]] == []
    assert predictions != other_predictions


def test_numbers_of_any_kind_have_a_hash() -> None:
    numbers = torch.tensor([1.0, 2.0])
    kinds = [numbers, numbers.bfloat16(), numbers.int(), numbers > 1, torch.tensor(1.0)]
    hashes = [hash_tensors({"x": one})["x"] for one in kinds]
    assert len(set(hashes)) == len(kinds)
    assert hash_tensors({"x": numbers.clone()})["x"] == hashes[0]
