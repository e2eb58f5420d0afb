"""Every experiment in conf/experiment, shrunk to a second, gives identical results twice."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from rnnexp.callbacks.figures import Figures
from rnnexp.cli import main
from rnnexp.config import compose, config_dir
from rnnexp.hashes import hash_tensors
from rnnexp.runs.comparison.repetition import baseline_differences
from rnnexp.runs.experiment import run
from tests.support.shrink import shrunk

EXPERIMENTS = sorted(path.stem for path in (config_dir() / "experiment").glob("*.yaml"))


@pytest.fixture(scope="module", params=EXPERIMENTS)
def recorded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A completed run with seed 0. The path of its data is relative to the current folder."""
    place = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("RNNEXP_OUTPUTS", raising=False)
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        patch.setenv("RNNEXP_DATA", str(place / "data"))
        run(compose(shrunk(request.param, place)), place / "run")
        yield place / "run"


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures in reruns: they take most of the time and are not compared."""
    monkeypatch.setattr(Figures, "on_test_end", lambda *_: None)


def result(folder: Path) -> tuple[dict[str, Any], bytes]:
    """The digest, and the bytes of predictions.csv."""
    return json.loads((folder / "digest.json").read_text()), (
        folder / "predictions.csv"
    ).read_bytes()


@pytest.mark.usefixtures("_no_figures")
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


@pytest.mark.usefixtures("_no_figures")
def test_another_seed_is_another_run(recorded: Path) -> None:
    assert OmegaConf.load(recorded / "config.yaml").seed == 0
    assert main(["rerun", str(recorded), "seed=1"]) == 0
    [other] = (recorded.parent / "outputs").glob("*/*")
    (digest, predictions), (other_digest, other_predictions) = result(recorded), result(other)
    assert digest.keys() == other_digest.keys()
    assert [key for key in digest if digest[key] == other_digest[key]] == []
    assert predictions != other_predictions


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ([], {}),
        (["test/mase: 0.5 then, 0.6 now"], {}),
        (["baseline/lightgbm/mase: 0.5 then, 0.6 now"], {"lightgbm": ("4.5", "4.6")}),
    ],
)
def test_the_packages_of_baselines_matter_where_baselines_differ(
    results: list[str], found: dict[str, Any], tmp_path: Path
) -> None:
    then = {"status": "completed", "baseline_versions": {"lightgbm": "4.5", "statsmodels": "1"}}
    (tmp_path / "run.json").write_text(json.dumps(then))
    now = {"baseline_versions": {"lightgbm": "4.6", "statsmodels": "1"}}
    assert baseline_differences(tmp_path, now, results) == found


def test_numbers_of_any_kind_have_a_hash() -> None:
    numbers = torch.tensor([1.0, 2.0])
    kinds = [numbers, numbers.bfloat16(), numbers.int(), numbers > 1, torch.tensor(1.0)]
    hashes = [hash_tensors({"x": one})["x"] for one in kinds]
    assert len(set(hashes)) == len(kinds)
    assert hash_tensors({"x": numbers.clone()})["x"] == hashes[0]
