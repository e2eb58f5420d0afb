"""The horizon task from data to forecasts, on small files."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.runs.build import build_data, build_network
from rnnexp.tasks.horizon.metrics import horizon_metrics
from rnnexp.tasks.horizon.networks.quantiles import checked_levels, ordered
from tests.support.refusals import refused
from tests.support.shop import COLUMNS, shop
from tests.support.shrink import QUIET, TINY

Capture = pytest.CaptureFixture[str]

HORIZON = ["task=horizon", "data.look_back=48", "data.horizon=24", "data.batch_size=8"]
HORIZON += ["data.test_windows=3", "data.validation_windows=2", *TINY]
LONG = ["data.horizon=650", "data.test_windows=null"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    shop().to_csv("shop.csv", index=False)
    return tmp_path


def train(*settings: str) -> Path:
    assert main(["train", *COLUMNS, *HORIZON, *settings, "hydra.run.dir=run"]) == 0
    return Path("run")


def test_a_run_repeats_and_its_tables_are_its_metrics(here: Path, capsys: Capture) -> None:
    folder = train()
    table = pd.read_csv(folder / "predictions.csv")
    levels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    named = [f"q{level:g}" for level in levels]
    first = ["series", "issue_time", "step", "timestamp", "target", "prediction"]
    assert list(table) == [*first, *named, "scale"]
    assert len(table) == 3 * 24 and (table["prediction"] == table["q0.5"]).all()
    assert (np.diff(table[named].to_numpy(), axis=1) >= 0).all()
    last = shop()["time"].iloc[-1]
    assert table["timestamp"].iloc[-1] == f"{last.replace(' ', 'T')}:00"
    assert table["issue_time"].unique().tolist() == [
        "2024-01-27T04:00:00",
        "2024-01-28T04:00:00",
        "2024-01-29T04:00:00",
    ]
    sold = shop()["sold"].to_numpy()
    assert table["target"].tolist() == sold[-72:].tolist()

    change = [np.abs(sold[24:end] - sold[: end - 24]).mean() for end in (628, 652, 676)]
    quantiles = torch.from_numpy(table[named].to_numpy().reshape(3, 24, 9))
    target = torch.from_numpy(sold[-72:].reshape(3, 24))
    expected = horizon_metrics(
        quantiles[..., 4], target, torch.tensor(change), "", quantiles, levels
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    found = {name: metrics[f"test/{name}"] for name in expected}
    assert found == pytest.approx(expected, rel=1e-6)
    yesterday = np.abs(sold[-72:] - sold[-96:-24]).reshape(3, 24).mean(1) / change
    assert metrics["baseline/seasonal_naive_day/mase"] == pytest.approx(yesterday.mean())

    capsys.readouterr()
    assert main(["rerun", "run"]) == 0
    assert "identical" in capsys.readouterr().out
    assert main(["test", "run"]) == 0


def test_a_point_forecast_alone(here: Path) -> None:
    folder = train("task.quantiles=[]", "model.base=mean", "callbacks.figures=null")
    assert list(pd.read_csv(folder / "predictions.csv"))[-2:] == ["prediction", "scale"]
    metrics = json.loads((folder / "metrics.json").read_text())
    assert "test/mase" in metrics and "test/sql" not in metrics


@pytest.mark.parametrize("model", ["pmgru", "lstm", "rnn", "textnet"])
def test_every_kind_of_cell_predicts_a_horizon(here: Path, model: str) -> None:
    folder = train(f"model={model}", "model/readout=every_step", *QUIET)
    run = json.loads((folder / "run.json").read_text())
    assert run["path"].startswith("torch" if model == "lstm" else "fused")


# What reaches a forecast --------------------------------------------------------------------------


def batch_and_network(settings: list[str]) -> tuple[Any, Any]:
    config = compose([*COLUMNS, *HORIZON, *settings])
    data = build_data(config)
    torch.manual_seed(0)
    network = build_network(config, data.spec)
    data.initialize(network)
    return next(iter(data.test_dataloader())), network.eval()


def test_nothing_that_is_observed_later_reaches_a_forecast(here: Path) -> None:
    """The test windows lie one after the other, so what comes after the first is changed."""
    batch, network = batch_and_network(["data.cleaning.outliers=keep"])
    read = (batch.values, batch.calendar, batch.known, batch.series)
    before = network(*read)

    changed = shop()
    changed.loc[len(changed) - 72 :, "visits"] = 1e6
    changed.loc[len(changed) - 60 :, "sold"] = 1e6
    changed.loc[len(changed) - 72 :, "sold"] = -1e6
    changed.to_csv("shop.csv", index=False)
    later, _ = batch_and_network(["data.cleaning.outliers=keep"])
    after = network(later.values, later.calendar, later.known, later.series)
    assert torch.equal(after[0], before[0])
    assert not torch.equal(after[1], before[1])

    known = batch.known.clone()
    known[0, 5] += 1
    assert not torch.equal(network(*read[:2], known, read[3])[0], before[0])


# New data -----------------------------------------------------------------------------------------


def test_a_new_file_holds_what_is_known_of_the_horizon(here: Path, capsys: Capture) -> None:
    folder = train(*QUIET)
    past = shop(200)
    ahead = pd.DataFrame(
        {
            "time": pd.date_range("2024-01-09 08:00", periods=24, freq="h").strftime("%F %H:%M"),
            "price": 11,
        }
    )
    pd.concat([past, ahead]).to_csv("shop.csv", index=False)
    found = rnnexp.load(folder).predict("shop.csv")
    assert found["step"].tolist() == list(range(1, 25))
    assert found["issue_time"].unique().tolist() == ["2024-01-09T08:00:00"]
    assert found["timestamp"].iloc[-1] == "2024-01-10T07:00:00"
    assert (found["q0.1"] <= found["q0.9"]).all()

    pd.concat([past, ahead[:10]]).to_csv("shop.csv", index=False)
    capsys.readouterr()
    assert main(["predict", "run", "--csv", "shop.csv"]) == 2
    assert (
        "column 'price', which is known over the horizon, has no value for 2024-01-09 18:00:00: "
        "add the rows of the next 24 steps after the last sold"
    ) in capsys.readouterr().err


def test_a_prediction_is_that_of_the_test(here: Path) -> None:
    folder = train(*QUIET)
    whole, tested = shop(), pd.read_csv(folder / "predictions.csv")
    whole.loc[len(whole) - 24 :, ["sold", "visits"]] = np.nan
    whole.to_csv("shop.csv", index=False)
    found = rnnexp.load(folder).predict("shop.csv")
    assert found["prediction"].tolist() == pytest.approx(tested["prediction"].tolist()[-24:])


# Mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["data.horizon=0"], "data.horizon is 0: it must be at least 1"),
        (["data.horizon=24h"], "data.horizon is '24h', it must be a number of steps of data.freq"),
        (["data.issue.lead=90min"], "data.issue.lead is '90min', it must be a number of steps"),
        (["data.issue.every=1D"], "data.issue.every is '1D', it must be a number of steps"),
        (["data.horizon=400"], "too few for windows"),
        (
            [*LONG, "data.validation_windows=null"],
            "the longest training span has 603 steps, too few for a window of data.horizon=650, "
            "data.look_back=48, data.stride=24, which need 721: lower data.horizon to at most 65",
        ),
        (
            ["data.horizon=150", "data.test_windows=2"],
            "a test span of data.test_windows=2 times data.horizon=150 steps and a training span "
            "of 256 steps: lower data.horizon or data.validation_windows or data.test_windows, or "
            "set data.skip_short=true",
        ),
        (["data.known=[prize]"], "shop.csv: there is no column 'prize'; did you mean price?"),
        (["data.known=price"], "data.known is 'price', it must be a list of str such as [price]"),
        (["data.known=[sold]"], "data.known: 'sold' is the column to predict"),
        (["task.quantiles=[0.5,0.1]"], "task.quantiles is [0.5, 0.1]: the levels must ascend"),
        (["task.quantiles=[0.5,0.5]"], "the levels must ascend"),
        (["task.quantiles=[0.1,0.9]"], "it must contain 0.5, the point forecast"),
        (["task.quantiles=[0.5,1.0]"], "a level lies between 0 and 1"),
        (["model.base=week"], "model.base=week needs windows of 168 steps"),
        (["model.base=yesterday"], "model.base"),
        (["model/readout=last_hidden"], "must give an output at every step of the horizon"),
        (["task=forecasting"], "data.horizon is for the task that predicts a horizon: add"),
    ],
)
def test_mistakes(here: Path, settings: list[str], sentence: str, capsys: Capture) -> None:
    assert main(["train", *COLUMNS, *HORIZON, *settings]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("levels", "sentence"),
    [
        ("[0.5,0.1]", "the levels must ascend, each once"),
        ("[0.5,0.5]", "the levels must ascend, each once"),
        ("[0,0.5]", "a level lies between 0 and 1"),
        ("[0.5,1]", "a level lies between 0 and 1"),
        ("[0.1,0.9]", "it must contain 0.5"),
    ],
)
def test_wrong_levels_are_refused_before_the_data_are_read(
    levels: str, sentence: str, empty_folder: Path, capsys: Capture
) -> None:
    settings = [*COLUMNS, *HORIZON, f"task.quantiles={levels}"]  # there is no shop.csv
    assert sentence in refused(["train", *settings], capsys)
    assert not Path("outputs").exists()


def test_quantiles_do_not_cross() -> None:
    levels = checked_levels([0.1, 0.25, 0.5, 0.9])
    outputs = torch.randn(1000, len(levels)) * 100
    quantiles = ordered(outputs, levels)
    assert (quantiles.diff(dim=-1) >= 0).all()
    assert torch.equal(quantiles[:, 2], outputs[:, 2])
    with pytest.raises(UserError, match="must ascend"):
        checked_levels([0.9, 0.5])


def test_repaired_values_of_known_columns_are_counted(empty_folder: Path, capsys: Capture) -> None:
    """Three test windows of 24 steps: the price ends within the second one."""
    made = shop()
    made.loc[made.index[-30:], "price"] = np.nan
    made.loc[made.index[100:102], "visits"] = np.nan
    made.to_csv("shop.csv", index=False)
    words = [word for word in COLUMNS if word != "data=series_csv"]
    words += ["task=horizon", "data.look_back=48", "data.horizon=24", "data.test_windows=3"]
    assert main(["data", "check", "series_csv", *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert (
        "column 'price': 30 cells of 700 repaired; the last value of series 'shop' is of "
        "2024-01-28 21:00:00, 30 steps before its end, so forecasts there rest on a repeated value"
    ) in said
    assert "column 'visits': 2 cells of 700 repaired 2 of 3 test windows have repaired values" in (
        said
    )
    assert main(["data", "check", "series_csv", *words, "data/cleaning=masked"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "column 'price': 30 cells of 700 masked; the last value" in said
    assert "test windows have repaired" not in said and "rest on" not in said


def test_a_mean_of_the_weights_over_few_steps_is_said(here: Path, capsys: Capture) -> None:
    words = [*COLUMNS, *HORIZON, *QUIET, "callbacks=weight_average"]
    assert main(["train", *words, "hydra.run.dir=run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    found = re.search(r"after (\d+) steps the mean of the weights still has (\d+) % of the", said)
    assert found and int(found[2]) == round(100 * 0.99 ** (int(found[1]) - 1))
    decay = "callbacks.weight_average.decay=0.001"
    assert main(["train", *words, decay, "hydra.run.dir=short"]) == 0
    assert "% of the" not in capsys.readouterr().out
