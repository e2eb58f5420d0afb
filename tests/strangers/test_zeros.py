"""Zeros and changes of sign: sMAPE says little, MAPE may have no value, and JSON has no NaN."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.runs.build import build_data
from rnnexp.runs.comparison.leaderboard import find_runs
from rnnexp.runs.comparison.statistics import compare
from rnnexp.runs.experiment import run
from rnnexp.runs.folder.reading import read_config
from rnnexp.tasks.forecasting.data import ForecastingData
from rnnexp.tasks.forecasting.task import Forecasting
from tests.support.shrink import NO_FIGURES, TINY, WINDOWS

HOURS, TESTED = 500, int(0.1 * (500 - 30))
VALIDATED = int(0.05 * (500 - 30))
READ = ["data=series_csv", "data.datetime_column=time", "data.unit=kw"]
SMALL = ["trainer.limit_train_batches=3", *TINY, *WINDOWS, *NO_FIGURES]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNEXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def sunshine() -> np.ndarray:
    """(HOURS,): 0 at night, and all through the test span."""
    hour = np.arange(HOURS)
    noise = 1 + 0.2 * np.random.default_rng(0).random(HOURS)
    values = np.maximum(np.sin(2 * np.pi * hour / 24), 0) * noise
    values[-TESTED:] = 0
    return values.round(3)


def write(path: Path, values: np.ndarray) -> Path:
    time = pd.date_range("2020-01-05", periods=len(values), freq="h")
    pd.DataFrame({"time": time, "kw": values}).to_csv(path, index=False)
    return path


def read(path: Path, *overrides: str) -> ForecastingData:
    data = build_data(compose([*READ, f"data.root={path}", *WINDOWS, *overrides]))
    assert isinstance(data, ForecastingData)
    return data


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without a MAPE: every target of its test is 0."""
    folder = tmp_path_factory.mktemp("dark")
    path = write(folder / "sun.csv", sunshine())
    overrides = ["callbacks=early_stopping", "callbacks.progress_bar=null"]
    run(compose([*READ, f"data.root={path}", *SMALL, *overrides]), folder / "run")
    return folder / "run"


def strictly(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


# NaN is null ------------------------------------------------------------------------------------


def test_every_json_file_is_json(dark: Path, capfd: Capture) -> None:
    files = {path.name: strictly(path.read_text()) for path in dark.rglob("*.json")}
    assert {"metrics.json", "run.json", "digest.json", "scaling.json"} <= files.keys()
    metrics = files["metrics.json"]
    assert metrics["test/mape"] is None and metrics["baseline/naive/mape"] is None
    capfd.readouterr()
    assert main(["leaderboard", str(dark), "--json", "--metric", "mape"]) == 0
    [row] = strictly(capfd.readouterr().out)
    assert row["mape"] is None and row["mase"] == metrics["test/mase"]


def test_null_is_read_as_nan(dark: Path, capfd: Capture) -> None:
    metrics = rnnexp.load(dark).metrics
    assert math.isnan(metrics["test/mape"]) and math.isnan(metrics["baseline/ridge/mape"])
    assert main(["test", str(dark)]) == 0  # also with baselines from the cache
    assert "to the bit" in capfd.readouterr().out
    assert main(["leaderboard", str(dark), "--metric", "mape"]) == 0


def test_a_rerun_is_identical(
    dark: Path, tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(tmp_path))
    assert main(["rerun", str(dark)]) == 0
    assert "verdict       identical" in capfd.readouterr().out


def test_a_metric_without_a_value_compares_no_runs(dark: Path, tmp_path: Path) -> None:
    """Two groups with two seeds each, whose mape is null: neither is better."""
    metrics = (dark / "metrics.json").read_text()
    for cell in ("one", "two"):
        for seed in (0, 1):
            folder = tmp_path / f"{cell}{seed}"
            folder.mkdir()
            for name in ("run.json", "digest.json"):
                (folder / name).write_text((dark / name).read_text())
            (folder / "metrics.json").write_text(metrics)
            config = (dark / "config.yaml").read_text()
            config = config.replace("name: series_csv", f"name: {cell}").replace(
                "seed: 0", f"seed: {seed}", 1
            )
            (folder / "config.yaml").write_text(config)
    entries = find_runs([tmp_path], "mape")
    with pytest.raises(UserError, match="do not all have the metric mape"):
        compare(entries, "name=one", "name=two")
    assert "neither" in compare(find_runs([tmp_path], "mase"), "name=one", "name=two")[1]


# MASE, and where it is the monitor --------------------------------------------------------------


def test_mase_by_hand(dark: Path) -> None:
    values, table = sunshine(), rnnexp.load(dark).predictions
    before = values[: -len(table)]
    scale = np.abs(before[24:] - before[:-24]).mean()
    error = np.abs(table["prediction"] - values[-len(table) :]).mean()
    metrics = rnnexp.load(dark).metrics
    assert metrics["test/mase"] == pytest.approx(error / scale, rel=1e-12)
    before = before[:-VALIDATED]
    scale = np.abs(before[24:] - before[:-24]).mean()
    assert metrics["val/mase"] == pytest.approx(metrics["val/mae_kw"] / scale, rel=1e-12)


def test_mase_is_the_monitor_in_the_record_and_in_the_table(dark: Path) -> None:
    config = read_config(dark)
    assert config.monitor == config.callbacks.early_stopping.monitor == "val/mase"
    assert "auto" not in (dark / "config.yaml").read_text().replace("auto_insert", "")
    assert json.loads((dark / "run.json").read_text())["headline"][0]["name"] == "mase"


def test_a_run_that_never_read_its_data_can_be_repeated_with_them(
    dark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its config.yaml says `auto`, also for early stopping: nothing was decided."""
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(tmp_path))
    folder = tmp_path / "failed"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"status": "failed"}))
    config = (dark / "config.yaml").read_text().replace("val/mase", "auto")
    (folder / "config.yaml").write_text(config.replace("name: series_csv", "name: again"))
    assert main(["rerun", str(folder), "seed=1"]) == 0
    [again] = (tmp_path / "again").iterdir()
    again_config = read_config(again)
    assert again_config.monitor == again_config.callbacks.early_stopping.monitor == "val/mase"


@pytest.mark.parametrize(
    ("values", "monitor"),
    [
        (sunshine(), "val/mase"),  # holds zeros
        (sunshine() - 0.41234, "val/mase"),  # changes sign
        (sunshine() + 1, "val/smape"),
        (-1 - sunshine(), "val/smape"),
        # In the test span alone: it decides nothing.
        (np.append(sunshine()[:-TESTED] + 1, np.zeros(TESTED)), "val/smape"),
    ],
)
def test_what_auto_becomes(tmp_path: Path, values: np.ndarray, monitor: str) -> None:
    data = read(write(tmp_path / "sun.csv", values))
    found, sentence = Forecasting.auto_monitor(data)
    assert found == monitor
    assert sentence == (
        "monitor=val/mase, and not val/smape: 'sun' holds zeros or both signs before the test span"
        if monitor == "val/mase"
        else ""
    )


def test_zeros_that_are_repaired_are_no_zeros(tmp_path: Path) -> None:
    values = sunshine() + 1
    values[100] = 0
    path = write(tmp_path / "sun.csv", values)
    assert Forecasting.auto_monitor(read(path))[0] == "val/mase"
    assert Forecasting.auto_monitor(read(path, "data/cleaning=careful"))[0] == "val/smape"


def test_a_scale_of_zero_is_said_and_left_out(tmp_path: Path) -> None:
    write(tmp_path / "sun.csv", sunshine())
    write(tmp_path / "clock.csv", np.arange(HOURS) % 24)
    data = read(tmp_path)
    *_, sentence = data.report()
    assert isinstance(sentence, str) and sentence.startswith("mase leaves out 'clock': before the")
    assert (data.windows("test").scale > 0).sum() == TESTED  # of sun.csv
    assert Forecasting.auto_monitor(data)[0] == "val/mase"
    (tmp_path / "sun.csv").unlink()
    assert Forecasting.auto_monitor(read(tmp_path))[0] == "val/smape"  # mase has no value


def test_a_monitor_without_a_value_is_refused(tmp_path: Path) -> None:
    values = sunshine()
    values[-TESTED - VALIDATED :] = 0
    path = write(tmp_path / "sun.csv", values)
    config = compose([*READ, f"data.root={path}", *SMALL, "monitor=val/mape"])
    with pytest.raises(UserError, match=r"monitor=val/mape has no value on these validation win"):
        run(config, tmp_path / "run")
