"""One run from config to record, on small files."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from load_files import write_load_files
from omegaconf import DictConfig, OmegaConf

from rnnexp.config import compose
from rnnexp.errors import RunFailed, UserError
from rnnexp.evaluate import evaluate
from rnnexp.experiment import run

SMALL = [
    "model.hidden_size=8",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "data.look_back=30",
    "determinism.threads=1",
    "callbacks.progress_bar=null",
]
OURS = ["experiment=power_load_pmgru", "data.chunking.length=40", *SMALL]
LECTURE = ["experiment=power_load_pmgru_lecture", "data.batch_size=64", *SMALL]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    return write_load_files(tmp_path / "load")


def config(files: Path, overrides: list[str] = OURS, *more: str) -> DictConfig:
    return compose([*overrides, f"data.root={files}", *more])


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def expected_test_rows(files: Path, look_back: int) -> pd.DataFrame:
    """The test rows by pandas alone: the last int(0.1 * (rows - look-back)) of each file."""
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
    assert recorded.seed == 0 and recorded.data.seed == 0
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
    assert metrics["baseline/last_value/smape"] > 0

    history = pd.read_csv(folder / "history.csv")
    assert history["epoch"].tolist() == [0, 1]
    losses = [float.fromhex(loss) for loss in read(folder, "digest.json")["losses"]]
    assert len(losses) == history["step"].iloc[-1]
    half = len(losses) // 2
    assert history["train/loss"].iloc[1] == pytest.approx(np.mean(losses[half:]), rel=1e-4)

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
    assert "test/smape is" in capsys.readouterr().out

    path = files / "AA_hourly.csv"
    path.write_text(path.read_text().replace(",1", ",2", 1))
    with pytest.raises(UserError, match="data of this run cannot be found again"):
        evaluate(folder)


def test_same_seed_same_digest_other_seed_other(files: Path, tmp_path: Path) -> None:
    for name, seed in {"a": 0, "b": 0, "c": 1}.items():
        run(config(files, OURS, f"seed={seed}"), tmp_path / name)
    a, b, c = (read(tmp_path / name, "digest.json") for name in "abc")
    assert a == b
    assert all(a[key] != c[key] for key in a)


def test_no_test_value_reaches_the_training(files: Path, tmp_path: Path) -> None:
    """A spike in the test span changes the test targets, and nothing before them."""
    run(config(files), tmp_path / "a")
    path = files / "AA_hourly.csv"
    lines = path.read_text().splitlines()
    latest = max(range(1, len(lines)), key=lambda i: lines[i])
    lines[latest] = lines[latest].split(",")[0] + ",99999.0"
    path.write_text("\n".join(lines))
    run(config(files), tmp_path / "b")
    a, b = read(tmp_path / "a", "digest.json"), read(tmp_path / "b", "digest.json")
    assert a["losses"] == b["losses"] and a["weights/last"] == b["weights/last"]
    spec_a, spec_b = (read(tmp_path / n, "run.json")["spec"]["scaling"] for n in "ab")
    assert spec_a == spec_b
    smape = [read(tmp_path / name, "metrics.json")["test/smape"] for name in "ab"]
    assert smape[0] != smape[1]


def test_the_lectures_scaler_leaks_and_ours_does_not(files: Path, tmp_path: Path) -> None:
    """The control of the test above: fitted on the whole file, the spike is seen."""
    path = files / "AA_hourly.csv"
    lines = path.read_text().splitlines()
    latest = max(range(1, len(lines)), key=lambda i: lines[i])
    lines[latest] = lines[latest].split(",")[0] + ",99999.0"
    path.write_text("\n".join(lines))
    run(config(files, LECTURE), tmp_path / "lecture")
    scaling = read(tmp_path / "lecture", "run.json")["spec"]["scaling"]
    assert scaling["minimum"][0][0] + scaling["range"][0][0] == pytest.approx(99999.0)


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

    monkeypatch.setattr("rnnexp.experiment.test_best", bug)
    with pytest.raises(ZeroDivisionError):
        run(config(files), tmp_path / "run")
    assert read(tmp_path / "run", "run.json")["status"] == "failed"
    assert "planted" in read(tmp_path / "run", "run.json")["error"]
    assert "Traceback" in (tmp_path / "run/log.txt").read_text()
    assert not (tmp_path / "run/metrics.json").exists()
    with pytest.raises(UserError, match=r"no readable metrics.json"):
        evaluate(tmp_path / "run")


def test_ctrl_c_is_an_interrupted_run(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("rnnexp.tasks.forecasting.Forecasting.validation_step", stop)
    with pytest.raises(KeyboardInterrupt):
        run(config(files), tmp_path / "run")
    assert read(tmp_path / "run", "run.json")["status"] == "interrupted"


def test_a_diverging_run_stops_before_the_update(files: Path, tmp_path: Path) -> None:
    diverging = ["optimizer=sgd", "optimizer.lr=1e39", "trainer.gradient_clip_val=null"]
    with pytest.raises(RunFailed, match=r"training loss became (nan|inf) at epoch \d+, step \d+"):
        run(config(files, OURS, *diverging), tmp_path / "run")
    assert read(tmp_path / "run", "run.json")["status"] == "failed"


@pytest.mark.parametrize("model", ["gru", "lstm", "rnn"])
def test_every_recurrence_is_one_word(files: Path, tmp_path: Path, model: str) -> None:
    run(config(files, OURS, f"model={model}", "model.hidden_size=8"), tmp_path / "run")
    assert read(tmp_path / "run", "metrics.json")["test/smape"] < 20


def test_windows_of_one_target_need_a_readout_that_fits(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model/readout=every_step"):
        run(config(files, OURS, "model/readout=last_hidden"), tmp_path / "run")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(files: Path, tmp_path: Path) -> None:
    run(config(files, OURS, "trainer.accelerator=gpu"), tmp_path / "run")
    assert read(tmp_path / "run", "run.json")["status"] == "completed"
