"""LightGBM and statsforecast as baselines of a horizon, against what is built by hand."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.process.code import installed
from rnnexp.runs.build import build_data
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.forecasting.trees import TREES
from rnnexp.tasks.horizon import statistical, task, trees
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.windows import HorizonWindows
from tests.support.shop import COLUMNS, shop
from tests.support.shrink import QUIET, TINY

Capture = pytest.CaptureFixture[str]

HORIZON = [*COLUMNS, "task=horizon", "data.look_back=48", "data.horizon=24", "data.batch_size=8"]
HORIZON += ["data.test_windows=3", "data.validation_windows=2", "data.cleaning.outliers=keep"]
LEVELS = (0.1, 0.25, 0.5, 0.9)
FIRST = (628, 652, 676)  # the first predicted steps of the test windows


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(TREES, "n_estimators", 20)
    shop().to_csv("shop.csv", index=False)
    return tmp_path


@pytest.fixture
def lightgbm() -> None:
    pytest.importorskip(
        "lightgbm", reason="LightGBM is not installed: pip install rnnexp[lightgbm]"
    )


@pytest.fixture
def statsforecast() -> None:
    reason = "statsforecast is not installed: pip install rnnexp[statsforecast]"
    pytest.importorskip("statsforecast", reason=reason)


def read(*settings: str) -> HorizonData:
    data = build_data(compose([*HORIZON, *settings]))
    assert isinstance(data, HorizonData)
    return data


def write_shops(folder: Path, factors: list[int]) -> None:
    """Write a file for each factor, by which its sales are multiplied."""
    folder.mkdir()
    for factor in factors:
        table = shop()
        table["sold"] *= factor
        table.to_csv(folder / f"{factor}.csv", index=False)


def spiked() -> None:
    """Change what is observed from the first predicted step of the test on."""
    table = shop()
    table.loc[FIRST[0] :, ["sold", "visits"]] = 1e6
    table.to_csv("shop.csv", index=False)


def first_window(data: HorizonData) -> HorizonWindows:
    windows = data.windows("test")
    return windows[:1]


# LightGBM -----------------------------------------------------------------------------------------


def features(table: pd.DataFrame, issued: int) -> pd.DataFrame:
    """A row for each of the 24 steps from row `issued` of the file."""
    steps = np.arange(24)
    sold, price = table["sold"], table["price"]
    time = pd.to_datetime(table["time"])[issued : issued + 24]
    season = sold.shift(24)[issued : issued + 24].to_numpy()
    two = sold.shift(48)[issued : issued + 24].to_numpy()
    columns = {
        "season": season,
        "longest": two - season,  # the window has two seasons, which are repeated
        "mean": (season + two) / 2 - season,
    }
    columns |= {f"last {k}": sold[issued - k] - season for k in (3, 2, 1)}
    for lag in (24, 168):
        change = (sold - sold.shift(lag)).fillna(0)
        columns |= {f"change {k}, {lag}": np.full(24, change[issued - k]) for k in (3, 2, 1)}
    columns |= {
        "price": price[issued : issued + 24].to_numpy(),
        "earlier price": price.shift(24)[issued : issued + 24].to_numpy(),
        "step": steps,
        "minute": time.dt.hour.to_numpy() * 60,
        "day": time.dt.day_of_week.to_numpy(),
        "year": time.dt.day_of_year.to_numpy() - 1,
    }
    return pd.DataFrame(columns).astype(float)


def test_trees_are_those_of_features_made_by_pandas(
    lightgbm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 509 training windows every 11th is used."""
    from lightgbm import LGBMRegressor

    monkeypatch.setattr(trees, "ROWS", 50 * 24)
    table, training = shop(), range(48, 580 - 24 + 1, 11)
    x = pd.concat([features(table, issued) for issued in training])
    sold = table["sold"].to_numpy()
    y = np.concatenate([sold[i : i + 24] - sold[i - 24 : i] for i in training])
    model = LGBMRegressor(**TREES, verbosity=-1).fit(x.to_numpy(), y)
    changes = [np.asarray(model.predict(features(table, issued).to_numpy())) for issued in FIRST]
    expected = [sold[i - 24 : i] + change for i, change in zip(FIRST, changes, strict=True)]

    data = read()
    found = trees.lightgbm_forecasts(data, data.windows("test"))
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-9)


def test_nothing_that_is_observed_later_reaches_the_trees(lightgbm: None) -> None:
    data = read()
    window = first_window(data)
    before = trees.lightgbm_forecasts(data, window)
    values = data.source.store.values
    values[FIRST[0] :, [0, 2]] = torch.nan
    assert torch.equal(trees.lightgbm_forecasts(data, window), before)
    values[FIRST[0] + 5, 1] = 22 - values[FIRST[0] + 5, 1]  # the price, which is known: 10 or 12
    changed = trees.lightgbm_forecasts(data, window) != before
    assert changed.nonzero().tolist() == [[0, 5]]


@pytest.mark.parametrize(("look_back", "horizon"), [(2, 3), (25, 30), (30, 60)])
def test_trees_of_short_windows_and_long_horizons(
    lightgbm: None, look_back: int, horizon: int
) -> None:
    data = read(f"data.look_back={look_back}", f"data.horizon={horizon}", "data.test_windows=2")
    found = trees.lightgbm_forecasts(data, data.windows("test"))
    assert found.shape == (2, horizon) and bool(found.isfinite().all())


def test_every_series_has_its_own_trees(lightgbm: None) -> None:
    """A change over a season up to the first steps of a series does not reach into the one before
    it."""
    found = {}
    for folder, factors in {"a": [1], "b": [10], "both": [1, 10]}.items():
        write_shops(Path(folder), factors)
        data = read(f"data.root={folder}", "data.look_back=3", "data.horizon=2")
        found[folder] = trees.lightgbm_forecasts(data, data.windows("test"))
    assert torch.equal(found["both"], torch.cat([found["a"], found["b"]]))


# Statistical models -------------------------------------------------------------------------------


def test_quantiles_are_the_ends_of_the_intervals(statsforecast: None) -> None:
    from statsforecast.models import MSTL, AutoETS

    data = read("data.test_windows=2")
    found = statistical.statistical_forecasts(data, data.windows("test"), LEVELS)
    assert list(found) == ["mstl", "auto_ets"]
    sold = shop()["sold"].to_numpy()
    for name, model in (("mstl", MSTL([24, 168])), ("auto_ets", AutoETS(24))):
        for row, issued in enumerate(FIRST[1:]):
            ends = model.forecast(y=sold[:issued], h=24, level=[50, 80])
            expected = [ends[key] for key in ("lo-80", "lo-50", "mean", "hi-80")]
            np.testing.assert_allclose(found[name][row].T, expected)
    point = statistical.statistical_forecasts(data, first_window(data), ())
    for name, one in point.items():
        assert one.shape == (1, 24, 1)
        np.testing.assert_allclose(one[0, :, 0], found[name][0, :, 2])


def test_nothing_later_reaches_a_statistical_model(statsforecast: None) -> None:
    def forecasts() -> dict[str, torch.Tensor]:
        data = read()
        return statistical.statistical_forecasts(data, first_window(data), LEVELS)

    before = forecasts()
    spiked()
    after = forecasts()
    assert before.keys() == after.keys() == {"mstl", "auto_ets"}
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_every_series_has_its_own_history(statsforecast: None) -> None:
    write_shops(Path("both"), [1, 10])
    data = read("data.root=both", "data.test_windows=1")
    for one in statistical.statistical_forecasts(data, data.windows("test"), LEVELS).values():
        np.testing.assert_allclose(one[1], 10 * one[0], rtol=1e-3)


def test_a_model_is_left_out_where_the_history_is_short(statsforecast: None) -> None:
    shop(300).to_csv("shop.csv", index=False)
    data = read("data.test_windows=1", "data.horizon=4", "data.look_back=4", "data.season=160")
    assert list(statistical.statistical_forecasts(data, data.windows("test"), ())) == ["auto_ets"]
    start = torch.tensor([0])
    short = HorizonWindows(start, torch.ones(1), 0, data.source.horizon)  # four values before it
    assert statistical.statistical_forecasts(data, short, ()) == {}


def test_many_windows_are_refused(statsforecast: None, capsys: Capture) -> None:
    shop(3000).to_csv("shop.csv", index=False)
    run = [*HORIZON, *TINY, "data.horizon=1", "data.test_windows=101", "task.statsforecast=true"]
    assert main(["train", *run]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert (
        "task.statsforecast fits its models anew for each of the 101 windows, and at most 100 are "
        "allowed: lower data.test_windows, the number of them in each series, or leave out "
        "task.statsforecast"
    ) in said
    data = read("data.horizon=1", "data.test_windows=101")
    with pytest.raises(UserError, match="each of the 101 windows"):
        statistical.statistical_baselines(data, data.windows("test"), (), BaselineCache())


# A run that asks for them -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("library", "sentence"),
    [
        ("lightgbm", "LightGBM is not installed: pip install 'rnnexp[lightgbm]'"),
        ("statsforecast", "statsforecast is not installed: pip install 'rnnexp[statsforecast]'"),
    ],
)
def test_without_the_library_one_sentence(
    library: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"{library}.models", raising=False)
    assert main(["train", *HORIZON, *TINY, f"task.{library}=true"]) == 2
    said = capsys.readouterr().err
    assert sentence in said and f"leave out task.{library}" in said and said.count("\n") == 1


def test_a_run_records_their_versions_beside_those_that_decide_it(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    found = {"lightgbm": {"mase": 0.5}}
    monkeypatch.setattr(task, "require_lightgbm", lambda: "4.6.0")
    monkeypatch.setattr(task, "lightgbm_baselines", lambda *_: found)
    run = ["train", *HORIZON, *TINY, *QUIET, "task.lightgbm=true", "hydra.run.dir=run"]
    assert main(run) == 0
    record = Path("run/run.json")
    recorded = json.loads(record.read_text())
    assert recorded["baseline_versions"] == installed(["lightgbm"])
    assert "lightgbm" not in recorded["versions"]
    both = task.Horizon.baseline_packages({"lightgbm": True, "statsforecast": True})
    assert both == ["lightgbm", "statsforecast", "statsmodels"]

    recorded["baseline_versions"]["lightgbm"] = "0.1"
    record.write_text(json.dumps(recorded))
    capsys.readouterr()
    assert main(["rerun", "run"]) == 0  # it had the same results
    assert "verdict       identical: " in capsys.readouterr().out
    found["lightgbm"]["mase"] = 0.6
    assert main(["rerun", "run"]) == 4
    assert "different results in a different environment (lightgbm)" in capsys.readouterr().out


def test_a_run_asks_for_them_and_is_repeated(
    lightgbm: None, statsforecast: None, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    run = ["train", *HORIZON, *TINY, *QUIET, "task.lightgbm=true", "task.statsforecast=true"]
    assert main([*run, "data.test_windows=1", "hydra.run.dir=run"]) == 0
    metrics = json.loads(Path("run/metrics.json").read_text())
    named = {name.split("/")[1] for name in metrics if name.startswith("baseline/")}
    assert {"ridge", "lightgbm", "mstl", "auto_ets"} <= named
    for name in ("mstl", "auto_ets"):
        assert 0 < metrics[f"baseline/{name}/sql"] < metrics[f"baseline/{name}/mase"]
        assert 0 <= metrics[f"baseline/{name}/coverage_80"] <= 1
    assert "baseline/lightgbm/mase" in metrics and "baseline/lightgbm/sql" not in metrics
    assert main(["rerun", "run"]) == 0
    assert "identical" in capsys.readouterr().out
    monkeypatch.setattr(trees, "lightgbm_forecasts", None)
    monkeypatch.setattr(statistical, "statistical_forecasts", None)
    assert main(["test", "run"]) == 0
    assert "computed again" not in capsys.readouterr().out
