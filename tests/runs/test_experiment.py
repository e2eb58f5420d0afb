"""One run, from config to record, on small files."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from rnnexp.commands.test import evaluate
from rnnexp.config import compose
from rnnexp.data.loading.samplers import ShuffledBatches
from rnnexp.errors import RunFailed, UserError
from rnnexp.hashes import hash_tensors
from rnnexp.runs.experiment import run
from rnnexp.runs.folder.reading import read_checkpoint
from rnnexp.tasks.forecasting.task import Forecasting
from tests.support.load_files import write_load_files
from tests.support.shrink import LECTURE, OURS, QUIET

QUIETLY = [*OURS, *QUIET]  # without figures and TensorBoard


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return write_load_files(tmp_path / "load")


def config(files: Path, overrides: list[str] = QUIETLY, *more: str) -> DictConfig:
    return compose([*overrides, f"data.root={files}", *more])


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def expected_test_rows(files: Path, look_back: int) -> pd.DataFrame:
    """The test rows, with pandas alone: the last int(0.1 * (rows - look-back)) of each file."""
    parts = []
    for path in sorted(files.glob("*_hourly.csv")):
        table = pd.read_csv(path, parse_dates=["Datetime"]).sort_values("Datetime", kind="stable")
        table.columns = ["timestamp", "target"]
        table.insert(0, "file", path.name.removesuffix("_hourly.csv"))
        parts.append(table.tail(int(0.1 * (len(table) - look_back))))
    return pd.concat(parts, ignore_index=True)


@pytest.mark.parametrize("overrides", [OURS, LECTURE], ids=["ours", "lecture"])
def test_a_run_is_recorded_whole(files: Path, tmp_path: Path, overrides: list[str]) -> None:
    folder = tmp_path / "run"
    monitored = run(config(files, overrides), folder)

    found = read(folder, "run.json")
    assert found["status"] == "completed"
    assert found["data"] == str(files)
    assert found["parameters"] > 0 and found["seconds"]["train"] > 0
    assert set(found["fingerprints"]) == {"data", "split", "scaler"}
    assert {"torch", "python", "rnnexp"} <= set(found["versions"])

    recorded = OmegaConf.load(folder / "config.yaml")
    assert recorded.seed == 0
    assert "auto" not in (folder / "config.yaml").read_text().split()

    predictions = pd.read_csv(folder / "predictions.csv", parse_dates=["timestamp"])
    rows = expected_test_rows(files, look_back=30)
    assert predictions["file"].tolist() == rows["file"].tolist()
    assert predictions["timestamp"].tolist() == rows["timestamp"].tolist()
    np.testing.assert_allclose(predictions["target"], rows["target"], rtol=1e-6)

    metrics = read(folder, "metrics.json")
    p, g = predictions["prediction"], predictions["target"]
    smape = 100 * ((p - g).abs() / ((p + g).abs() / 2)).mean()
    assert metrics["test/smape"] == pytest.approx(smape, rel=1e-6)
    assert metrics["test/smape_lecture"] == pytest.approx(smape / 4, rel=1e-6)
    own = predictions["file"] == "BB"
    assert metrics["test/mae_MW/BB"] == pytest.approx((p - g)[own].abs().mean(), rel=1e-6)
    assert metrics["baseline/naive/smape"] > 0

    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == [0, 1]
    losses = [float.fromhex(loss) for loss in read(folder, "digest.json")["losses"]]
    assert len(losses) == history["step"].iloc[-1]
    second = losses[len(losses) // 2 :]
    assert min(second) - 1e-6 <= history["train/loss"].iloc[1] <= max(second) + 1e-6

    for figure in ("loss", "error_by_hour", "predictions/AA", "predictions/BB"):
        assert (folder / "figures" / f"{figure}.png").stat().st_size > 5000
    assert list((folder / "tensorboard").glob("events*"))
    checkpoints = {path.name for path in (folder / "checkpoints").iterdir()}
    if overrides is OURS:
        assert monitored == metrics["val/smape"] == pytest.approx(history["val/smape"].min())
        assert checkpoints == {"best.ckpt", "last.ckpt"}
    else:
        assert monitored is None and checkpoints == {"last.ckpt"}


def test_test_again_from_the_folder_alone(
    files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    run(config(files), folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert evaluate(folder) == 0
    assert "to the bit" in capsys.readouterr().out
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    checkpoint = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    checkpoint["state_dict"]["network.readout.linear.bias"] += 0.5
    torch.save(checkpoint, folder / "checkpoints/best.ckpt")
    assert evaluate(folder) == 1
    assert "different     test/smape:" in capsys.readouterr().out

    path = files / "AA_hourly.csv"
    path.write_text(path.read_text().replace(",1", ",2", 1))
    with pytest.raises(UserError, match="data of this run have changed"):
        evaluate(folder)


def test_same_seed_same_digest_other_seed_other(files: Path, tmp_path: Path) -> None:
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        run(config(files, QUIETLY, f"seed={seed}"), tmp_path / name)
    a, b, c = (read(tmp_path / name, "digest.json") for name in "abc")
    assert a == b
    assert all(a[key] != c[key] for key in a)


def spoil_test_span(files: Path) -> None:
    """Multiply every test value of AA, the first and the last included."""
    path = files / "AA_hourly.csv"
    table = pd.read_csv(path)
    held_out = int(0.1 * (len(table) - 30))
    tested = table["Datetime"].sort_values(kind="stable").index[-held_out:]
    table.loc[tested, "AA_MW"] *= 100
    table.to_csv(path, index=False)


def test_no_test_value_reaches_the_training(files: Path, tmp_path: Path) -> None:
    """Corrupted test values change the test results, but nothing before the test."""
    run(config(files), tmp_path / "a")
    spoil_test_span(files)
    run(config(files), tmp_path / "b")
    a, b = read(tmp_path / "a", "digest.json"), read(tmp_path / "b", "digest.json")
    assert a["losses"] == b["losses"] and a["weights/last"] == b["weights/last"]
    spec_a, spec_b = (read(tmp_path / n, "scaling.json") for n in "ab")
    assert spec_a == spec_b
    metrics = [read(tmp_path / name, "metrics.json") for name in "ab"]
    assert metrics[0]["test/smape"] != metrics[1]["test/smape"]
    assert metrics[0]["val/smape"] == metrics[1]["val/smape"]


def test_the_lectures_scaler_leaks(files: Path, tmp_path: Path) -> None:
    """Control of the test above: a scaler that is fitted on the whole file sees the test values."""
    spoil_test_span(files)
    run(config(files, [*LECTURE, *QUIET]), tmp_path / "lecture")
    scaling = read(tmp_path / "lecture", "scaling.json")
    assert scaling["minimum"][0][0] + scaling["range"][0][0] > 50_000


def test_last_and_best_are_what_they_say(files: Path, tmp_path: Path) -> None:
    """A run whose last epoch is its worst, because the learning rate grows too large."""
    overrides = ["trainer.max_epochs=4", "scheduler=one_cycle", "scheduler.warm_up=1.0"]
    run(config(files, QUIETLY, *overrides, "optimizer.lr=3.0"), tmp_path / "run")
    history = pd.read_csv(tmp_path / "run/history.csv")
    assert history["val/smape"].to_numpy().argmin() < 3, "the premise of this test"
    recorded = read(tmp_path / "run", "digest.json")
    for kind in ("last", "best"):
        checkpoint = read_checkpoint(tmp_path / "run/checkpoints" / f"{kind}.ckpt")
        assert hash_tensors(checkpoint["state_dict"]) == recorded[f"weights/{kind}"]
    assert recorded["weights/last"] != recorded["weights/best"]
    metrics = read(tmp_path / "run", "metrics.json")
    assert metrics["val/smape"] == pytest.approx(history["val/smape"].min())


def test_every_epoch_has_its_own_order(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs = []
    original = ShuffledBatches.__iter__

    def spy(self: ShuffledBatches) -> Iterator[torch.Tensor]:
        epochs.append(self.epoch)
        return original(self)

    monkeypatch.setattr(ShuffledBatches, "__iter__", spy)
    run(config(files, QUIETLY, "trainer.max_epochs=3"), tmp_path / "run")
    assert list(dict.fromkeys(epochs)) == [0, 1, 2]


@pytest.mark.parametrize("debug", ["one_batch", "overfit", "profile", "anomaly"])
def test_debug_options_run(files: Path, tmp_path: Path, debug: str) -> None:
    small = [override for override in QUIETLY if "max_epochs" not in override]
    run(config(files, small, f"trainer/debug={debug}"), tmp_path / "run")
    losses = [float.fromhex(loss) for loss in read(tmp_path / "run", "digest.json")["losses"]]
    if debug == "overfit":
        assert len(losses) == 100 and losses[-1] < losses[0] / 2
    if debug == "profile":
        assert list((tmp_path / "run").rglob("*profile*.txt"))


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "monitor=val/smap",
            "monitor=val/smap is not a validation metric; did you mean val/smape?",
        ),
        ("data.validation_fraction=0.0", "monitor=val/smape needs validation data"),
        ("trainer.accelerator=tpu", "trainer.accelerator is 'tpu': it must be auto, cpu or gpu"),
        ("trainer.devices=2", "trainer.devices is 2: it must be 1; trainer=ddp trains on several"),
        ("determinism.threads=0", "determinism.threads is 0"),
        ("determinism.threads=many", "determinism.threads is 'many'"),
        ("determinism.matmul_precision=low", "determinism.matmul_precision is 'low'"),
        ("determinism.deterministic=maybe", "determinism.deterministic is 'maybe'"),
        ("model.hidden_size=0", "hidden_size and num_layers must be at least 1"),
        ("model.num_layers=0", "hidden_size and num_layers must be at least 1"),
        ("model.dropout=1.5", "dropout is 1.5"),
        ("data.season=-24", "data.season is -24"),
        ("trainer.max_epochs=-1", "needs the number of steps of the run"),
    ],
)
def test_wrong_settings_are_one_sentence(
    files: Path, tmp_path: Path, override: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        run(config(files, QUIETLY, override), tmp_path / "run")


def test_a_run_folder_is_never_written_twice(files: Path, tmp_path: Path) -> None:
    run(config(files), tmp_path / "run")
    before = (tmp_path / "run/run.json").read_text()
    with pytest.raises(UserError, match="already holds a run"):
        run(config(files), tmp_path / "run")
    assert (tmp_path / "run/run.json").read_text() == before


def test_a_failed_run_says_so_and_has_no_metrics(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("rnnexp.runs.experiment.test_weights", bug)
    with pytest.raises(ZeroDivisionError):
        run(config(files), tmp_path / "run")
    assert read(tmp_path / "run", "run.json")["status"] == "failed"
    assert "planted" in read(tmp_path / "run", "run.json")["error"]
    assert "Traceback" in (tmp_path / "run/log.txt").read_text()
    assert not (tmp_path / "run/metrics.json").exists()
    with pytest.raises(UserError, match=r"status 'failed': it is not a completed run"):
        evaluate(tmp_path / "run")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_interrupts_a_run(
    number: signal.Signals, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(task: Forecasting) -> None:
        os.kill(os.getpid(), number)

    monkeypatch.setattr(Forecasting, "on_validation_start", stop)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        run(config(files), tmp_path / "run")
    assert signal.getsignal(number) == before
    assert read(tmp_path / "run", "run.json")["status"] == "interrupted"
    assert len(pd.read_csv(tmp_path / "run/history.csv")) == 1  # this epoch is finished
    assert (tmp_path / "run/checkpoints/last.ckpt").exists()
    assert not (tmp_path / "run/.lock").exists()


def test_a_diverging_run_stops_before_the_update(files: Path, tmp_path: Path) -> None:
    diverging = ["optimizer=sgd", "optimizer.lr=1e39", "trainer.gradient_clip_val=null"]
    with pytest.raises(RunFailed, match=r"training loss became (nan|inf) at epoch \d+, step \d+"):
        run(config(files, QUIETLY, *diverging), tmp_path / "run")
    assert read(tmp_path / "run", "run.json")["status"] == "failed"


@pytest.mark.parametrize("model", ["gru", "lstm", "rnn"])
def test_every_recurrence_is_one_word(files: Path, tmp_path: Path, model: str) -> None:
    run(config(files, QUIETLY, f"model={model}", "model.hidden_size=8"), tmp_path / "run")
    assert read(tmp_path / "run", "metrics.json")["test/smape"] < 20


def test_windows_of_one_target_need_a_readout_that_fits(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model/readout=every_step"):
        run(config(files, QUIETLY, "model/readout=last_hidden"), tmp_path / "run")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="torch finds no GPU here"):
        run(config(files, QUIETLY, "trainer.accelerator=gpu"), tmp_path / "run")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(
    "words",
    [
        *("pmgru", "gru", "lstm", "rnn", "pmgru model.recurrence.path=graphed"),
        *("gru data.on_device=auto", "gru data.on_device=copied"),
    ],
)
def test_on_a_gpu(files: Path, tmp_path: Path, words: str) -> None:
    model = f"model={words}".split()
    run(config(files, OURS, "trainer.accelerator=gpu", *model), tmp_path / "run")
    assert read(tmp_path / "run", "run.json")["status"] == "completed"
    assert "auto" not in (tmp_path / "run" / "config.yaml").read_text().split()
    assert evaluate(tmp_path / "run") == 0
