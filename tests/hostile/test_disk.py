"""A disk that is full, gone or read-only ends a run with one sentence, and leaves no litter."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.runs.folder.reading import read_run
from rnnexp.tasks.forecasting.task import Forecasting
from tests.support import REPOSITORY
from tests.support.disk import files_of_at_most
from tests.support.shrink import HERE, SYNTHETIC_LOAD

GOLDEN = REPOSITORY / "tests" / "golden" / "earlier_classification"
SMALL = ["experiment=quickstart", *SYNTHETIC_LOAD, "trainer.max_epochs=2"]
SMALL += ["model.hidden_size=64", *HERE]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))


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


def test_a_signal_after_the_end_does_not_undo_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr(
        "rnnexp.runs.experiment.show_end", lambda *_: os.kill(os.getpid(), signal.SIGTERM)
    )
    assert main(["train", *SMALL, f"hydra.run.dir={folder}"]) == 130
    assert read_run(folder)["status"] == "completed"


LINKS = {
    "a log that is a link": ("log.txt", lambda path, there: path.symlink_to(there / "notes")),
    "a log with another name": ("log.txt", lambda path, there: path.hardlink_to(there / "notes")),
    "a log that is a pipe": ("log.txt", lambda path, there: os.mkfifo(path)),
    "figures elsewhere": ("figures", lambda path, there: path.symlink_to(there)),
    "checkpoints elsewhere": ("checkpoints", lambda path, there: path.symlink_to(there)),
}


@pytest.mark.parametrize(("name", "plant"), LINKS.values(), ids=LINKS)
def test_a_run_does_not_go_on_through_links(
    name: str,
    plant: Callable[[Path, Path], object],
    tmp_path: Path,
    capfd: pytest.CaptureFixture,
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(GOLDEN, folder)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(run | {"status": "interrupted"}))
    there = tmp_path / "there"
    there.mkdir()
    (there / "notes").write_text("mine")
    path = folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    plant(path, there)
    assert main(["resume", str(folder)]) == 2
    assert f"{path} is a link or no regular file: a run goes on in" in capfd.readouterr().err
    assert [one.name for one in there.iterdir()] == ["notes"]
    assert (there / "notes").read_text() == "mine"


def test_resume_without_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    assert main(["resume", str(tmp_path / "nowhere")]) == 2
    assert capfd.readouterr().err == f"rnnexp: there is no folder {tmp_path / 'nowhere'}\n"
