"""A recorded config is data: it reads nothing of this machine, and writes into the run alone."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from rnnexp.callbacks.checkpoint import CheckpointFiles
from rnnexp.cli import main
from rnnexp.config.targets import LIGHTNING, OWN_LIGHTNING
from rnnexp.errors import UserError
from rnnexp.runs.folder.reading import read_run
from tests.support import REPOSITORY
from tests.support.runs import Kept
from tests.support.shrink import HERE, SYNTHETIC_LOAD

CANNOT, MISTAKE = 3, 2
SMALL = ["experiment=quickstart", *SYNTHETIC_LOAD, "trainer.max_epochs=2"]
SMALL += ["model.hidden_size=4", *HERE]
SWA = "pytorch_lightning.callbacks.StochasticWeightAveraging"
CHECKPOINT = "pytorch_lightning.callbacks.ModelCheckpoint"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    def make(place: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNNEXP_CACHE", str(place / "cache"))
            assert main(["train", *SMALL, f"hydra.run.dir={place / 'theirs'}"]) == 0

    return Kept(tmp_path_factory.mktemp("recorded") / "place", make)


@pytest.fixture
def theirs(kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A run folder of somebody else. The current folder is empty."""
    place = kept.restored()
    monkeypatch.setenv("RNNEXP_CACHE", str(place / "cache"))
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(tmp_path / "ours"))
    monkeypatch.setenv("TOKEN", "secret")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield place / "theirs"
    assert list(here.iterdir()) == [] and not (tmp_path / "home").exists()


def change(folder: Path, key: str, value: object) -> None:
    config = OmegaConf.load(folder / "config.yaml")
    OmegaConf.update(config, key, value, force_add=True)
    OmegaConf.save(config, folder / "config.yaml")


def class_of(target: str, **values: Any) -> dict[str, Any]:
    return {"_target_": target, **values}


REFUSED: dict[str, tuple[str, object, str]] = {
    "a variable of the environment": (
        "logger.name",
        "${oc.env:TOKEN}",
        "has an interpolation, ${...}, and a run has values alone",
    ),
    "another key": ("optimizer.lr", "${seed}", "has an interpolation"),
    "a reference in a list": ("data.input_columns", ["${seed}"], "has an interpolation"),
    "a reference in a key": ("callbacks", {"${seed}": None}, "has an interpolation"),
    "an address": (
        "logger.name",
        "http://127.0.0.1:9/x",
        "logger.name is 'http://127.0.0.1:9/x': a recorded config holds no address",
    ),
    "a file address": ("data.root", "file:///etc", "data.root is 'file:///etc': a recorded"),
    "the name": ("name", "../../away", "it must be the name of a folder"),
    "a logger": ("logger.version", "/away", "logger.version is '/away': a run writes into"),
    "a home": ("logger.name", "~/away", "logger.name is '~/away': a run writes into its folder"),
    "another callback": (
        "callbacks.more",
        class_of(CHECKPOINT),
        f"if you trust this run folder, add --allow {CHECKPOINT}",
    ),
    "a profiler": (
        "trainer.profiler",
        class_of("pytorch_lightning.profilers.SimpleProfiler", dirpath="../x"),
        "trainer.profiler.dirpath is '../x': a run writes into its folder alone",
    ),
}


@pytest.mark.parametrize(("key", "value", "said"), REFUSED.values(), ids=REFUSED)
def test_a_config_that_reads_or_writes_elsewhere_is_refused(
    theirs: Path, key: str, value: object, said: str, capfd: pytest.CaptureFixture
) -> None:
    change(theirs, key, value)
    assert main(["rerun", str(theirs)]) in (MISTAKE, CANNOT)
    sentence = capfd.readouterr().err.strip()
    assert said in sentence and "\n" not in sentence and "secret" not in sentence


def test_paths_of_lightning_are_folders_of_the_run(theirs: Path, tmp_path: Path) -> None:
    change(theirs, "callbacks.more", class_of(CHECKPOINT, dirpath="more", save_last=True))
    profiler = class_of(
        "pytorch_lightning.profilers.SimpleProfiler", dirpath=".", filename="profile"
    )
    change(theirs, "trainer.profiler", profiler)
    assert main(["rerun", str(theirs), "--allow", CHECKPOINT]) == 0
    [ours] = tmp_path.glob("ours/*/*")
    assert (ours / "more/last.ckpt").exists() and (ours / "fit-profile.txt").exists()


def test_a_class_of_lightning_is_allowed_by_its_full_name(
    theirs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    averaging = ["+callbacks.averaging._target_=" + SWA, "+callbacks.averaging.swa_lrs=0.01"]
    folder = tmp_path / "mine"
    assert main(["train", *SMALL, *averaging, f"hydra.run.dir={folder}"]) == 0
    assert main(["rerun", str(folder)]) == MISTAKE
    assert f"add --allow {SWA}" in capfd.readouterr().err
    assert main(["rerun", str(folder), "--allow", SWA]) == 0
    assert "verdict       identical" in capfd.readouterr().out


def test_a_checkpoint_is_written_nowhere_else(tmp_path: Path) -> None:
    files = CheckpointFiles(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/link").symlink_to(tmp_path)
    for path in ("away.ckpt", "run/../away.ckpt", "run/link/away.ckpt"):
        with pytest.raises(UserError, match="a run writes into its folder alone"):
            files.save_checkpoint({"state_dict": torch.zeros(1)}, tmp_path / path)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    files.save_checkpoint({"state_dict": torch.zeros(1)}, tmp_path / "run/a/b.ckpt")
    assert os.listdir(tmp_path / "run/a") == ["b.ckpt"]


def test_the_classes_of_lightning_in_our_own_groups_are_on_the_list() -> None:
    named = {
        line.partition("_target_: ")[2].split()[0]
        for path in (REPOSITORY / "conf").rglob("*.yaml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "_target_: pytorch_lightning" in line
    }
    assert named == OWN_LIGHTNING and named < LIGHTNING


def test_the_folder_of_somebody_else_does_not_change(theirs: Path) -> None:
    profiler = class_of("pytorch_lightning.profilers.SimpleProfiler", filename="profile")
    change(theirs, "trainer.profiler", profiler)
    before = {path: path.stat().st_mtime_ns for path in theirs.rglob("*")}
    assert main(["test", str(theirs)]) == 0
    assert main(["predict", str(theirs), "--csv", os.devnull]) == MISTAKE
    assert main(["rerun", str(theirs)]) == 0
    assert {path: path.stat().st_mtime_ns for path in theirs.rglob("*")} == before
    assert read_run(theirs)["status"] == "completed"
