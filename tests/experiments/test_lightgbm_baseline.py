"""LightGBM as an extra baseline, against features made by pandas alone."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from experiments.power_load import lightgbm_baseline, study
from rnnexp.config import compose
from rnnexp.runs.build import build_data
from rnnexp.runs.settings import resolve
from rnnexp.tasks.forecasting.data import ForecastingData
from tests.support.load_files import load_table, write_load_file
from tests.support.shrink import OURS


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(lightgbm_baseline.TREES, "n_estimators", 20)


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
    load = table["load"].astype(np.float32).astype(float)
    last = load.shift(1)
    columns = {f"lag {lag}": load.shift(lag) for lag in range(30, 1, -1)}
    columns |= {f"lag {lag}": load.shift(lag).fillna(last) for lag in (168, 169)}
    if differences:
        columns = {name: column - last for name, column in columns.items()}
    before = table["Datetime"] - pd.Timedelta(hours=1)
    columns |= {"last": last, "hour": before.dt.hour, "day": before.dt.day_of_week}
    features = pd.DataFrame(columns).astype(float).to_numpy()
    model = lightgbm.LGBMRegressor(**lightgbm_baseline.TREES, verbosity=-1)
    model.fit(features[30:770], (load - last).to_numpy()[30:770])
    expected = last.to_numpy()[813:] + model.predict(features[813:])

    write_load_file(tmp_path, "AA", table)
    prediction, seconds = lightgbm_baseline.lightgbm_prediction(read(tmp_path), differences)
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
        lightgbm_baseline.lightgbm_prediction(read(tmp_path / name), True)[0]
        for name in ("both", "AA", "BB")
    )
    np.testing.assert_array_equal(both, np.concatenate(alone))


def test_it_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightgbm")
    write_load_file(tmp_path, "AA", load_table(900, seed=1))
    data = read(tmp_path)
    first = lightgbm_baseline.lightgbm_metrics(data, "lightgbm")
    assert 0 < first[0]["smape"] < 5 and first[1] > 0
    monkeypatch.setattr(lightgbm_baseline, "lightgbm_prediction", None)
    assert lightgbm_baseline.lightgbm_metrics(data, "lightgbm") == first


def test_without_lightgbm_one_sentence(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    assert study.main(["--lightgbm"]) == 2
    said = capsys.readouterr().err
    assert "--lightgbm needs the package lightgbm: pip install" in said and said.count("\n") == 1
