"""Overrides that shrink an experiment to a fraction of a second."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from rnnexp.config import compose
from tests.support.load_files import write_load_files
from tests.support.name_files import write_name_files
from tests.support.public_series import write_ett, write_gefcom2014
from tests.support.review_files import write_review_files, write_vectors

HERE = ["trainer.accelerator=cpu", "determinism.threads=1", "callbacks.progress_bar=null"]

# The smallest run of any experiment.
TINY = ["model.hidden_size=4", "trainer.max_epochs=1", "logger=none", *HERE]

# Figures and TensorBoard take most of the time of a small run, and few tests look at them.
NO_FIGURES = ["callbacks.figures=null"]
QUIET = [*NO_FIGURES, "logger=none"]

# Time series, with windows that are cut from short files.
WINDOWS = ["data.look_back=30", "data.chunking.length=40"]
SYNTHETIC_LOAD = ["data.number=1", "data.days=40", *WINDOWS]

# Two experiments on the files of tests/support/load_files.py, with their figures.
TWO_EPOCHS = ["model.hidden_size=8", "trainer.max_epochs=2", *HERE]
OURS = ["experiment=power_load_pmgru", *WINDOWS, *TWO_EPOCHS]
LECTURE = [
    *("experiment=power_load_pmgru_lecture", "data.look_back=30", "data.batch_size=64"),
    *TWO_EPOCHS,
]

# Every experiment, by the class that reads its data ---------------------------------------------

WORDS = ["it", "broke", "works", "good", "bad", "love", "dollars", "one", "of", "lamps", "kettles"]


@dataclass(frozen=True)
class Small:
    """How experiments on one source of data become small.

    settings: those that an experiment does not have are left out. write: writes the files of the
    source into a new folder, which is `data` in the current one, and RNNEXP_DATA.
    """

    settings: list[str]
    write: Callable[[Path], object] = Path.mkdir


def write_reviews(data: Path) -> None:
    write_review_files(data / "reviews")
    for name in ("glove.6B.100d.txt", "GoogleNews-vectors-negative300.bin"):
        write_vectors(data / "embeddings" / name, WORDS, dimension=5)


SMALL = {
    "SyntheticLoad": Small([*SYNTHETIC_LOAD, "data.batch_size=16", "model.base=season"]),
    "GEFCom2014": Small(
        ["data.last_rows=600", "data.horizon=24", "data.test_windows=3", "data.batch_size=8"],
        lambda data: write_gefcom2014(data / "gefcom2014"),
    ),
    "ETT": Small(
        [
            *("data.look_back=48", "data.horizon=24", "data.test_windows=3", "data.batch_size=8"),
            "trainer.limit_train_batches=20",
        ],
        lambda data: write_ett(data / "ett"),
    ),
    "PowerLoad": Small(
        [
            "data.issue.at=null",
            *("data.root=data/power_load", "data.batch_size=16", *WINDOWS),
            "trainer.limit_train_batches=20",
        ],
        lambda data: write_load_files(data / "power_load", hours=700),
    ),
    "SyntheticReviews": Small(["data.per_class=40", "data.batch_size=8"]),
    "Reviews": Small(
        ["data.root=data/reviews", "data.batch_size=8", "data.vectors.dimension=5"],
        write_reviews,
    ),
    "SyntheticRecall": Small(["data.number=60", "data.distance=6", "data.batch_size=8"]),
    "SyntheticNames": Small(["data.number=20", "data.batch_size=8"]),
    "Names": Small(
        [
            *("data.root=data/names", "data.batch_size=8", "data.ngrams.parts=2"),
            "trainer.limit_train_batches=20",
        ],
        lambda data: write_name_files(data / "names"),
    ),
}


def shrunk(experiment: str, place: Path) -> list[str]:
    """The overrides of a small run of an experiment, whose data are written below `place`."""
    config: Any = compose([f"experiment={experiment}"])
    source = config.data._target_.rpartition(".")[2]
    if source not in SMALL:
        pytest.fail(f"{experiment} has its data from {source}: add to SMALL what makes them small")
    SMALL[source].write(place / "data")

    def is_known(setting: str) -> bool:
        return OmegaConf.select(config, setting.partition("=")[0], default="-") != "-"

    settings = ["seed=0", *TWO_EPOCHS, *SMALL[source].settings]
    return [f"experiment={experiment}", *filter(is_known, settings), "logger=none"]
