"""LightGBM as an extra baseline, against features made by pandas alone."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rnnexp
from experiments.power_load import study
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.build import build_data
from rnnexp.runs.settings import resolve
from rnnexp.tasks.forecasting import trees
from rnnexp.tasks.forecasting.data import ForecastingData
from tests.support.load_files import load_table, write_load_file
from tests.support.shrink import OURS, QUIET, SYNTHETIC_LOAD, TINY


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(trees.TREES, "n_estimators", 20)


def read(folder: Path) -> ForecastingData:
    data = build_data(resolve(compose([*OURS, f"data.root={folder}"])))
    assert isinstance(data, ForecastingData)
    return data


@pytest.mark.parametrize("differences", [False, True])
def test_predictions_are_those_of_features_made_by_pandas(
    tmp_path: Path, differences: bool
) -> None:
    """900 hours, look-back 30: 87 test rows, 43 validation rows before them."""
    lightgbm = pytest.importorskip("lightgbm")
    table = load_table(900, seed=1)
    load = table["load"].astype(float)
    last = load.shift(1)
    columns = {f"lag {lag}": load.shift(lag) for lag in range(30, 1, -1)}
    columns |= {f"lag {lag}": load.shift(lag).fillna(last) for lag in (168, 169)}
    if differences:
        columns = {name: column - last for name, column in columns.items()}
    before = table["Datetime"] - pd.Timedelta(hours=1)
    columns |= {"last": last, "hour": before.dt.hour, "day": before.dt.day_of_week}
    features = pd.DataFrame(columns).astype(float).to_numpy()
    model = lightgbm.LGBMRegressor(**trees.TREES, verbosity=-1)
    model.fit(features[30:770], (load - last).to_numpy()[30:770])
    expected = last.to_numpy()[813:] + model.predict(features[813:])

    write_load_file(tmp_path, "AA", table)
    prediction, seconds = trees.lightgbm_prediction(read(tmp_path), differences)
    assert len(prediction) == 87 and seconds > 0
    np.testing.assert_allclose(prediction, expected, rtol=1e-9)


def test_every_series_has_its_own_model(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    tables = {
        name: load_table(900, seed, level) for name, seed, level in [("AA", 1, 1e3), ("BB", 2, 9e3)]
    }
    for name, table in tables.items():
        for folder in (tmp_path / "both", tmp_path / name):
            folder.mkdir(exist_ok=True)
            write_load_file(folder, name, table.copy())
    both, *alone = (
        trees.lightgbm_prediction(read(tmp_path / name), True)[0] for name in ("both", "AA", "BB")
    )
    np.testing.assert_array_equal(both, np.concatenate(alone))


def test_it_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightgbm")
    write_load_file(tmp_path, "AA", load_table(900, seed=1))
    data = read(tmp_path)
    first = trees.lightgbm_metrics(data, "lightgbm")
    assert 0 < first[0]["smape"] < 5 and first[1] > 0
    monkeypatch.setattr(trees, "lightgbm_prediction", None)
    assert trees.lightgbm_metrics(data, "lightgbm") == first


def test_without_lightgbm_one_sentence(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert study.main(["--lightgbm"]) == 2
    said = capsys.readouterr().err
    assert "LightGBM is not installed: pip install" in said and said.count("\n") == 1


def test_a_run_asks_for_them(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = [*OURS, *QUIET, "data=synthetic_load", *TINY, *SYNTHETIC_LOAD, "task.lightgbm=true"]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "lightgbm", None)
        assert main(["train", *overrides]) == 2
        assert "or leave out task.lightgbm" in capsys.readouterr().err
    pytest.importorskip("lightgbm")
    run = rnnexp.run(overrides)
    found = {name.split("/")[1] for name in run.metrics if name.startswith("baseline/")}
    assert {"ridge", "lightgbm", "lightgbm_differences"} <= found
