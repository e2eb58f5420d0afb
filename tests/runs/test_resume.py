"""A run that was interrupted goes on, and ends as the one that was not, to the bit."""

import json
import shutil
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from experiments.robustness.deaths import Death
from experiments.robustness.outcome import differences, outcome
from rnnexp.cli import main
from rnnexp.process import determinism
from rnnexp.process.locks import locked
from rnnexp.runs.folder.reading import LOCK, read_history, read_run
from tests.support.interrupted import BATCH, EVERY_STEP, RECORD, TEST, VALIDATION, train
from tests.support.shrink import SYNTHETIC_LOAD

# 10 steps an epoch, from windows at random offsets.
LOAD = ["experiment=quickstart", *SYNTHETIC_LOAD, "data.batch_size=2", "trainer.max_epochs=3"]
LOAD += EVERY_STEP
DROPOUT = [*LOAD, "model.num_layers=2", "model.dropout=0.3"]
NAMES = ["experiment=quickstart_names", "data.number=10", "data.batch_size=16", *EVERY_STEP]
ROWS = ["experiment=sentiment_gru_onehot_works", "data=synthetic_reviews", "data.per_class=20"]
ROWS += ["data.max_tokens=30", "data.batch_size=16", "trainer.max_epochs=3", *EVERY_STEP]
AHEAD = [
    "experiment=quickstart_day_ahead",
    *SYNTHETIC_LOAD,
    "data.look_back=168",
    "model.dropout=0.3",
]
AHEAD += ["callbacks=weight_average", "task.conformal=true", "monitor=val/sql", *EVERY_STEP]
AHEAD += [
    "data.validation_windows=2",
    "data.test_windows=2",
    "trainer.max_epochs=3",
    "data.batch_size=8",
]
EARLY = [*LOAD, "callbacks=early_stopping", "callbacks.early_stopping.patience=1"]
EARLY += ["optimizer.lr=0.3", "trainer.max_epochs=20", "logger=none"]
NO_CURVES = ["monitor=null", "logger=none", "determinism=fast"]
CHECKPOINT = "rnnexp.callbacks.checkpoint.Checkpoint"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path_factory.getbasetemp() / "cache_of_resume"))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """The outcome of a run that nothing interrupts."""

    @cache
    def known(*settings: str) -> dict[str, Any]:
        return outcome(train(tmp_path_factory.mktemp("whole") / "run", list(settings)))

    return known


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def goes_on(folder: Path, whole: dict[str, Any]) -> None:
    assert main(["resume", str(folder)]) == 0
    assert differences(whole, outcome(folder)) == []


KILLS = {
    "dropout, gradient flow": (
        [*DROPOUT, "callbacks=gradient_flow", "callbacks.progress_bar=null"],
        [Death(BATCH, 14)],
    ),
    "rows of AdamRows, dropout": (ROWS, [Death(BATCH, 9)]),
    "accumulated gradients, validation within an epoch": (
        [*LOAD, "+trainer.accumulate_grad_batches=2", "+trainer.val_check_interval=0.5"],
        [Death(BATCH, 14), Death(VALIDATION, 2)],
    ),
    "validation after every other epoch": (
        [*LOAD, *NO_CURVES, "+trainer.check_val_every_n_epoch=2"],
        [Death(BATCH, 12)],
    ),
    "mean of the weights, quantiles moved": (AHEAD, [Death(BATCH, 5), Death(BATCH, 6)]),
    "number of steps, class-uniform draws": (
        [*NAMES, "data.draw=class_uniform", "trainer.max_epochs=null", "+trainer.max_steps=11"],
        [Death(BATCH, 7), Death(BATCH, 1)],
    ),
    "before and after an early stop": (EARLY, [Death(BATCH, 25), Death(TEST)]),
    "several in a row": (
        LOAD,
        [
            Death("os.replace", 4, "last.ckpt"),
            Death("os.fsync", 3, after=True),
            Death(VALIDATION),
            Death("torch.save", 4),
            Death(f"{RECORD}.predictions", after=True),
        ],
    ),
}


@pytest.mark.parametrize("name", KILLS)
def test_a_killed_run_ends_as_if_it_had_not_been_killed(
    name: str, folder: Path, uninterrupted: Callable[..., dict[str, Any]]
) -> None:
    settings, deaths = KILLS[name]
    train(folder, settings, *deaths)
    goes_on(folder, uninterrupted(*settings))
    assert len(read_run(folder)["resumed"]) == len(deaths)


def test_what_is_killed_before_it_trains_begins_anew(
    folder: Path, uninterrupted: Callable[..., dict[str, Any]]
) -> None:
    """At first, config.yaml has every `auto`."""
    early = [Death(f"{RECORD}.{name}") for name in ("config", "kept")]
    train(folder, LOAD, *early, Death(f"{RECORD}.kept", signal=signal.SIGTERM), Death(BATCH))
    goes_on(folder, uninterrupted(*LOAD))


def test_without_the_random_states_it_ends_otherwise(
    folder: Path,
    uninterrupted: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train(folder, DROPOUT, Death(BATCH, 14))
    monkeypatch.setattr(determinism, "restore_random_states", lambda states: None)
    assert main(["resume", str(folder)]) == 0
    whole = uninterrupted(*DROPOUT)
    now = outcome(folder)
    assert now["digest.json: losses"][:13] == whole["digest.json: losses"][:13]
    assert now["digest.json: losses"][13:] != whole["digest.json: losses"][13:]
    assert "predictions.csv" in differences(whole, now)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_is_waited_for_and_the_command_that_goes_on_is_shown(
    name: str, folder: Path, uninterrupted: Callable[..., dict[str, Any]]
) -> None:
    settings = [*LOAD, "checkpoint.every_steps=null"]  # the signal asks for the checkpoint
    train(folder, settings, Death(BATCH, 14, signal=getattr(signal, name)))
    said = folder.with_name("run.log").read_text()
    [line] = [line for line in said.splitlines() if line.startswith("go on ")]
    assert line.endswith("resume run") or line.endswith(f"resume {folder}")
    assert said.splitlines()[-1] == "rnnexp: interrupted"
    assert read_run(folder)["status"] == "interrupted"
    goes_on(folder, uninterrupted(*LOAD))
    assert read_run(folder)["resumed"][0]["batch"] == 4


def test_a_second_signal_ends_at_once(folder: Path) -> None:
    train(folder, [*LOAD, "checkpoint.every_steps=null"], Death(BATCH, 14, signal=2, times=2))
    assert read_run(folder)["status"] == "interrupted"
    assert main(["resume", str(folder)]) == 0
    assert read_run(folder)["resumed"][0]["batch"] == 0  # of the second epoch: nothing was saved


def test_a_rerun_of_a_resumed_run_is_identical_and_a_completed_one_is_left_alone(
    folder: Path, empty_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    train(folder, DROPOUT, Death(BATCH, 14))
    assert main(["resume", str(folder)]) == 0
    assert "going on at epoch 2/3, step 4\n" in capfd.readouterr().out
    before = (folder / "run.json").read_bytes()
    assert main(["resume", str(folder)]) == 0
    assert capfd.readouterr().out == f"{folder} is completed: nothing is left to do\n"
    assert (folder / "run.json").read_bytes() == before
    assert main(["rerun", str(folder)]) == 0
    assert "verdict       identical:" in capfd.readouterr().out


# Longer runs ------------------------------------------------------------------------------------

CONSTANT = [*DROPOUT, "scheduler=constant"]


@pytest.mark.parametrize("deaths", [(), (Death(BATCH, 14),)], ids=["completed", "killed"])
def test_a_run_made_longer_is_the_longer_run(
    deaths: tuple[Death, ...],
    folder: Path,
    empty_folder: Path,
    uninterrupted: Callable[..., dict[str, Any]],
) -> None:
    train(folder, [*CONSTANT, "trainer.max_epochs=2"], *deaths)
    with locked(folder / LOCK):  # and its lock file is removed
        assert main(["resume", str(folder), "trainer.max_epochs=3"]) == 2
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert main(["resume", str(folder), "trainer.max_epochs=3"]) == 0
    [longer] = Path("outputs").glob("*/*")
    assert differences(uninterrupted(*CONSTANT), outcome(longer)) == []
    assert len(read_history(longer)) == 3
    assert read_run(longer)["continued_from"] == str(folder)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_cannot_be_made_longer(
    tmp_path: Path, empty_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    quick = [*LOAD, "logger=none", "trainer.max_epochs=2"]
    cases = {
        "the learning-rate schedule of": (quick, 3),
        "has been trained for 2": ([*quick, "scheduler=constant"], 2),
        "was stopped early": ([*EARLY, "scheduler=constant"], 30),
        "trainer.max_steps=11 has ended": (
            [*quick, "scheduler=constant", "+trainer.max_steps=11"],
            9,
        ),
    }
    for number, (said, (settings, epochs)) in enumerate(cases.items()):
        folder = train(tmp_path / str(number), settings)
        capfd.readouterr()
        assert main(["resume", str(folder), f"trainer.max_epochs={epochs}"]) == 3
        sentence = capfd.readouterr().err
        assert said in sentence and sentence.count("\n") == 1
    assert not Path("outputs").exists()


def test_only_the_length_can_be_changed(folder: Path, capfd: pytest.CaptureFixture) -> None:
    shutil.copytree(train(folder, [*LOAD, "logger=none"], Death(BATCH)), folder.with_name("copy"))
    assert main(["resume", str(folder), "optimizer.lr=1"]) == 2
    assert "resume can only change trainer.max_epochs=N" in capfd.readouterr().err
    for path in ("run.json", "config.yaml"):
        assert (folder / path).read_bytes() == (folder.with_name("copy") / path).read_bytes()
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
