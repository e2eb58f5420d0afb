"""What goes wrong when a run goes on: one sentence, nothing is changed, and it works once the cause
is gone."""

import errno
import logging
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from experiments.robustness.deaths import Death
from experiments.robustness.outcome import differences, outcome
from rnnexp.cli import main
from rnnexp.files import write_json
from rnnexp.hashes import hash_content
from rnnexp.process.locks import locked
from rnnexp.runs.folder.reading import LOCK, read_run
from tests.support.disk import files_of_at_most
from tests.support.interrupted import BATCH, EVERY_STEP, train
from tests.support.load_files import load_table, write_load_file, write_load_files
from tests.support.runs import Kept
from tests.support.shrink import WINDOWS

SETTINGS = ["experiment=power_load_pmgru", *WINDOWS, *EVERY_STEP, "data.batch_size=8"]
SETTINGS += ["trainer.max_epochs=2", "logger=none", "trainer.limit_train_batches=6"]
RAN, FAILED, MISTAKE, CANNOT = 0, 1, 2, 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kept, dict[str, Any]]:
    """A place with data, a whole run and a killed one, and the outcome of the whole one."""

    def make(place: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNNEXP_CACHE", str(place / "cache"))
            files = write_load_files(place / "load")
            settings = [*SETTINGS, f"data.root={files}"]
            train(place / "whole", settings)
            train(place / "killed", settings, Death(BATCH, 9))

    kept = Kept(tmp_path_factory.mktemp("faults") / "place", make)
    return kept, outcome(kept.place / "whole")


@pytest.fixture
def killed(
    made: tuple[Kept, dict[str, Any]], empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder of a run that was killed in its second epoch."""
    place = made[0].restored()
    monkeypatch.setenv("RNNEXP_CACHE", str(place / "cache"))
    return place / "killed"


@pytest.fixture
def ends_well(
    made: tuple[Kept, dict[str, Any]], capfd: pytest.CaptureFixture
) -> Callable[..., str]:
    def check(folder: Path, *options: str) -> str:
        """Go on with the run, which ends as the whole one. Returns what was said."""
        capfd.readouterr()
        assert main(["resume", str(folder), *options]) == RAN
        assert differences(made[1], outcome(folder)) == []
        said = capfd.readouterr()
        return said.out + said.err

    return check


@pytest.fixture
def refused(capfd: pytest.CaptureFixture) -> Callable[..., str]:
    def check(folder: Path, code: int, *options: str) -> str:
        """The one sentence that refuses to go on; the record stays as it was."""
        before = record_of(folder)
        capfd.readouterr()
        assert main(["resume", str(folder), *options]) == code
        said = capfd.readouterr().err
        assert said.startswith("rnnexp: ") and said.count("\n") == 1 and len(said) < 500, said
        assert record_of(folder) == before
        return said

    return check


def record_of(folder: Path) -> dict[str, bytes]:
    """All files but the log."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in paths if path.name not in ("log.txt", LOCK)}


# The disk ---------------------------------------------------------------------------------------


def test_no_room_for_a_checkpoint(
    killed: Path, ends_well: Callable[..., str], capfd: pytest.CaptureFixture
) -> None:
    with files_of_at_most(10_000):
        assert main(["resume", str(killed)]) == FAILED
    said = capfd.readouterr().err
    assert said == f"rnnexp: the run cannot be written to {killed}: {os.strerror(errno.EFBIG)}\n"
    assert read_run(killed)["status"] == "failed"
    assert not [path for path in killed.rglob("*") if ".ckpt." in path.name]
    ends_well(killed)
    assert "error" not in read_run(killed)


@pytest.mark.parametrize("name", ["digest.json", "predictions.csv", "metrics.json", "run.json"])
def test_no_room_for_a_result_or_a_folder_that_is_read_only(
    name: str,
    killed: Path,
    ends_well: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    fault = errno.EROFS if name == "run.json" else errno.ENOSPC
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == name:
            raise OSError(fault, os.strerror(fault), str(path))
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        assert main(["resume", str(killed)]) == FAILED
    said = capfd.readouterr().err
    assert said == f"rnnexp: the run cannot be written to {killed}: {os.strerror(fault)}\n"
    ends_well(killed)


def test_a_folder_that_is_read_only(
    killed: Path,
    refused: Callable[..., str],
    ends_well: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = os.open

    def read_only(path: Any, flags: int, *arguments: Any, **settings: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and Path(path).is_relative_to(killed):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *arguments, **settings)

    def cannot_open(handler: logging.FileHandler) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), handler.baseFilename)

    def cannot_write(path: Path, content: bytes) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        patch.setattr(logging.FileHandler, "_open", cannot_open)
        patch.setattr(Path, "write_bytes", cannot_write)
        said = refused(killed, FAILED)
    assert said == f"rnnexp: the run cannot be written to {killed}: {os.strerror(errno.EROFS)}\n"
    ends_well(killed)


# Checkpoints ------------------------------------------------------------------------------------


def test_a_torn_checkpoint_gives_way_to_the_one_before_it(
    killed: Path, ends_well: Callable[..., str]
) -> None:
    (killed / "checkpoints/last.ckpt").write_bytes(b"")
    said = "".join(ends_well(killed).split())  # it may be wrapped anywhere
    assert "last.ckptisnotacheckpoint" in said
    assert "goingonfromtheonebeforeitgoingonatepoch2/2,step3" in said


def test_wherever_it_is_torn(killed: Path) -> None:
    """Truncated or with another byte, it is either not used, or its content is the same."""
    from rnnexp.runs.start import read_start

    place = killed / "checkpoints/last.ckpt"
    whole, draw = place.read_bytes(), random.Random(0)
    start = read_start(killed)
    assert start and start.path == place
    known = hash_content(start.checkpoint)
    for position in [draw.randrange(len(whole)) for _ in range(20)]:
        changed = bytearray(whole)
        changed[position] ^= 1 << draw.randrange(8)
        for torn in (whole[:position], bytes(changed)):
            place.write_bytes(torn)
            found = read_start(killed)
            assert found is not None
            if found.path == place:
                assert hash_content(found.checkpoint) == known
            else:
                assert found.path.name == "previous.ckpt" and "last.ckpt" in found.damaged


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_both_are_torn(killed: Path, content: bytes, refused: Callable[..., str]) -> None:
    for name in ("last.ckpt", "previous.ckpt"):
        (killed / "checkpoints" / name).write_bytes(content)
    assert "last.ckpt is not a checkpoint" in refused(killed, CANNOT)


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the content of a checkpoint, and its hash with it."""
    content = torch.load(path, weights_only=True)
    del content["sha256"]
    change(content)
    content["sha256"] = hash_content(content)
    torch.save(content, path)


def set_at(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


def removed(*keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        del content[keys[-1]]

    return change


STRANGE = {
    "no position": (removed("position"), "earlier version"),
    "another position": (set_at("position", value=[1]), "position"),
    "no random states": (removed("position", "random"), "random"),
    "other random states": (set_at("position", "random", "torch", value="x"), "torch"),
    "short random states": (
        set_at("position", "random", "torch", value=torch.zeros(3, dtype=torch.uint8)),
        "torch",
    ),
    "short states of Python": (set_at("position", "random", "python", value=torch.ones(3)), "py"),
    "states of NumPy": (set_at("position", "random", "numpy", value=torch.ones(624)), "numpy"),
    "rest of NumPy": (set_at("position", "random", "numpy_rest", value=[1]), "numpy"),
    "logged steps": (set_at("position", "logged_steps", value=-1), "logged_steps"),
    "means": (set_at("position", "means", value={"train/loss": 5}), "means"),
    "other means": (set_at("position", "means", value={"train/loss": {}}), "has no value"),
    "metrics": (set_at("position", "callback_metrics", value={"a": "b"}), "callback_metrics"),
    "trained": (set_at("position", "trained", value="yes"), "trained"),
    "event files": (set_at("position", "event_files", value={"a": "b"}), "event_files"),
    "no batches": (removed("trained"), "trained"),
    "negative batches": (set_at("trained", value=[6, -1]), "trained"),
    "too many batches": (set_at("trained", 0, value=10**9), "trained on"),
    "no epoch": (set_at("trained", value=[]), "trained"),
    "no weights": (removed("state_dict"), "no state_dict"),
    "no optimisers": (removed("optimizer_states"), "optimizer_states"),
    "odd optimisers": (set_at("optimizer_states", value=[{"state": 5}]), "optimizer_states"),
    "two optimisers": (lambda c: c["optimizer_states"].append({}), "optimizer_states"),
    "no loops": (removed("loops"), "loops"),
    "no schedule": (set_at("lr_schedulers", value=[]), "schedules"),
    "no progress": (set_at("loops", "fit_loop", value={}), "epoch_progress"),
    "fewer batches": (set_at("trained", value=[6, 1]), "different numbers of batches"),
    "odd loops": (set_at("loops", "fit_loop", value=7), "fit_loop"),
    "no callbacks": (set_at("callbacks", value=[]), "callbacks"),
    "another version of Lightning": (removed("pytorch-lightning_version"), "pytorch-lightning"),
    "number of steps": (set_at("global_step", value="many"), "global_step"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_checkpoint_of_a_stranger(name: str, killed: Path, refused: Callable[..., str]) -> None:
    change, said = STRANGE[name]
    rewrite(killed / "checkpoints/last.ckpt", change)
    assert said in refused(killed, CANNOT)


DEEPER = {
    "a loop": set_at("loops", "fit_loop", "epoch_loop.scheduler_progress", value=7),
    "a callback": set_at("callbacks", value={"History": {"rows": 5}}),
    "an optimiser": set_at("optimizer_states", value=[{"state": {}, "param_groups": [{}]}]),
    "the state of a weight": set_at("optimizer_states", 0, "state", 0, value={"step": "x"}),
    "a schedule": set_at("lr_schedulers", value=[{"last_epoch": "x"}]),
    "means of nothing": set_at(
        *("position", "means"),
        value={"x": {"value": torch.ones(1), "cumulated_batch_size": torch.ones(1)}},
    ),
    "the version of Lightning": set_at("pytorch-lightning_version", value="x"),
    "the history": removed("callbacks", "History"),
}


@pytest.mark.parametrize("name", DEEPER)
def test_a_checkpoint_that_cannot_be_restored(
    name: str, killed: Path, capfd: pytest.CaptureFixture
) -> None:
    rewrite(killed / "checkpoints/last.ckpt", DEEPER[name])
    assert main(["resume", str(killed)]) == CANNOT
    said = capfd.readouterr().err
    assert said.startswith("rnnexp: ") and said.count("\n") == 1 and "last.ckpt" in said, said
    assert read_run(killed)["status"] == "failed"


def test_a_checkpoint_of_another_network(
    killed: Path, refused: Callable[..., str], ends_well: Callable[..., str]
) -> None:
    place = killed / "checkpoints/last.ckpt"
    whole = place.read_bytes()
    weight = "network.recurrence.layers.0.U_h"
    rewrite(place, set_at("state_dict", weight, value=torch.ones(5, 5)))
    assert "does not match the network in config.yaml" in refused(killed, CANNOT)
    place.write_bytes(whole)
    ends_well(killed)


@pytest.mark.parametrize("left", ["no checkpoint", "only config.yaml"])
def test_a_run_without_a_checkpoint_begins_anew(
    left: str, killed: Path, ends_well: Callable[..., str]
) -> None:
    shutil.rmtree(killed / "checkpoints")
    if left == "only config.yaml":
        for path in killed.iterdir():
            if path.name != "config.yaml":
                path.unlink()
    assert "beginning anew\n" in ends_well(killed)
    assert read_run(killed)["resumed"][0]["anew"] is True


# Data and environment ---------------------------------------------------------------------------


def test_data_that_are_gone_or_changed(
    killed: Path, refused: Callable[..., str], ends_well: Callable[..., str]
) -> None:
    files = killed.parent / "load"
    one = files / "AA_hourly.csv"
    whole = one.read_bytes()
    write_load_file(files, "AA", load_table(900, seed=7))
    assert "have changed: data fingerprint" in refused(killed, CANNOT)
    for path in files.iterdir():
        path.rename(files.parent / path.name)
    assert "has no file NAME_hourly.csv" in refused(killed, MISTAKE)
    for path in files.parent.glob("*_hourly.csv"):
        path.rename(files / path.name)
    one.write_bytes(whole)
    ends_well(killed)


def test_two_at_once(
    killed: Path, refused: Callable[..., str], ends_well: Callable[..., str]
) -> None:
    with locked(killed / LOCK):
        assert f"{killed} is in use: another process is running it" in refused(killed, MISTAKE)
    ends_well(killed)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"versions": {"torch": "2.0.0"}}, "torch"),
        ({"code": {"sha256": "0"}}, "code of rnnexp"),
        ({"threads": 7}, "threads"),
    ],
)
def test_other_ground(
    change: dict[str, Any],
    name: str,
    killed: Path,
    refused: Callable[..., str],
    ends_well: Callable[..., str],
) -> None:
    run = read_run(killed)
    changed = {k: run[k] | v if isinstance(v, dict) else v for k, v in change.items()}
    write_json(killed / "run.json", run | changed)
    said = refused(killed, CANNOT)
    assert f"since these have changed: {name}" in said and "--on-other-ground" in said
    ends_well(killed, "--on-other-ground")
    then, now = read_run(killed)["other_ground"][name]
    assert then != now


def test_a_folder_without_a_run(tmp_path: Path, refused: Callable[..., str]) -> None:
    for place in (tmp_path / "nowhere", tmp_path):
        refused(place, MISTAKE)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("checkpoint.every_steps=0", "checkpoint.every_steps is 0: it must be more than 0"),
        ("checkpoint.every_minutes=-1", "checkpoint.every_minutes is -1.0: it must be more than 0"),
        ("checkpoint.every_minutes=nan", "checkpoint.every_minutes is nan: it must be more than 0"),
    ],
)
def test_intervals_that_are_none(
    override: str, sentence: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", override]) == 2
    assert sentence in capsys.readouterr().err and list(empty_folder.iterdir()) == []


@pytest.mark.parametrize("epochs", ["abc", "0", "1.5"])
def test_a_length_that_is_none(epochs: str, killed: Path, refused: Callable[..., str]) -> None:
    said = refused(killed, 2, f"trainer.max_epochs={epochs}")
    assert f"trainer.max_epochs={epochs}: it must be a number of epochs" in said
