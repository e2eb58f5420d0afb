"""A disk that is full, gone or read-only ends a run with one sentence, and leaves no litter."""

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.runs.folder.reading import read_run
from rnnexp.tasks.forecasting.task import Forecasting
from tests.support.shrink import HERE, SYNTHETIC_LOAD

SMALL = ["experiment=quickstart", *SYNTHETIC_LOAD, "trainer.max_epochs=2"]
SMALL += ["model.hidden_size=64", *HERE]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing more than `size` bytes into a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def litter(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_no_room_for_a_checkpoint(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    folder = tmp_path / "run"
    with files_of_at_most(50_000):
        code = main(["train", *SMALL, f"hydra.run.dir={folder}"])
    said = capfd.readouterr().err
    assert code == 1
    assert said == f"rnnexp: the run cannot be written to {folder}: {os.strerror(errno.EFBIG)}\n"
    run = read_run(folder)
    assert run["status"] == "failed" and os.strerror(errno.EFBIG) in run["error"]
    assert litter(folder) == [] and not list(folder.rglob("*.ckpt"))


def test_no_room_for_the_record(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    folder = tmp_path / "run"
    with files_of_at_most(1000):
        code = main(["train", *SMALL, f"hydra.run.dir={folder}"])
    assert code == 2
    assert f"rnnexp: the run cannot be written to {folder}: " in capfd.readouterr().err
    assert not folder.exists()


def test_a_folder_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    folder = tmp_path / "run"

    def remove(task: Forecasting) -> None:
        shutil.rmtree(folder)
        folder.touch()

    monkeypatch.setattr(Forecasting, "on_validation_start", remove)
    assert main(["train", *SMALL, "logger=none", f"hydra.run.dir={folder}"]) == 1
    said = capfd.readouterr().err
    assert said.startswith(f"rnnexp: the run cannot be written to {folder}: ")
    assert "Traceback" not in said and folder.is_file()


@pytest.mark.parametrize("name", ["digest.json", "predictions.csv", "metrics.json"])
def test_no_room_for_a_result(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    folder, replace = tmp_path / "run", Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    assert main(["train", *SMALL, f"hydra.run.dir={folder}"]) == 1
    said = capfd.readouterr().err
    assert said == f"rnnexp: the run cannot be written to {folder}: {os.strerror(errno.ENOSPC)}\n"
    assert read_run(folder)["status"] == "failed" and litter(folder) == []


def test_two_runs_in_one_folder(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    folder = tmp_path / "run"
    for code in (0, 2):
        assert main(["train", *SMALL, f"hydra.run.dir={folder}"]) == code
    assert "already holds a run, which is never overwritten" in capfd.readouterr().err
