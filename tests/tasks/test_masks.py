"""Missing values as such: what stands at a masked place reaches no network, in training, tests and
predictions of both tasks on series."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.cli import main
from rnnexp.nn.cells import MGU
from rnnexp.nn.readouts import EveryStep
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.scaling import with_mask
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.forecasting.spec import ForecastingSpec
from rnnexp.tasks.horizon.networks.direct import Direct
from rnnexp.tasks.horizon.networks.encoder_decoder import EncoderDecoder
from rnnexp.tasks.horizon.networks.network import HorizonNetwork
from rnnexp.tasks.horizon.networks.recursive import Recursive
from rnnexp.tasks.horizon.spec import HorizonSpec
from tests.support.shrink import QUIET, TINY

Capture = pytest.CaptureFixture[str]

SHAPE: dict[str, Any] = {"title": "", "tested": 0, "things": "", "unit": "", "calendar": 0}
SHAPE |= {"series": ["A"], "columns": ["y", "price", "visits"], "look_back": 20, "masks": True}
SERIES = torch.zeros(3, dtype=torch.int64)
RECURRENCE = partial(CellRecurrence, MGU)


def test_zero_and_a_mask_by_hand() -> None:
    values, mask = torch.tensor([[1.5, torch.nan]]), torch.tensor([[True, False]])
    assert with_mask(values, mask).tolist() == [[1.5, 0, 1, 0]]
    assert with_mask(values, None) is values


# What reaches a network -------------------------------------------------------------------------


def forecaster(target: str = "level") -> Forecaster:
    torch.manual_seed(0)
    spec = ForecastingSpec(**SHAPE, supervised="every_step")
    inputs = ["level", "change"]
    return Forecaster(spec, RECURRENCE, EveryStep, 4, inputs=inputs, target=target)  # type: ignore[arg-type]


def test_the_inputs_of_a_forecaster_by_hand() -> None:
    values = torch.tensor([[[1.0, 7, 4], [2, 8, 5], [4, 9, 6]]])
    mask = torch.tensor([[[1, 1, 0], [0, 1, 1], [1, 0, 1]]], dtype=torch.bool)
    nothing = torch.empty(1, 3, 0)
    x = forecaster().represent(values, nothing, SERIES[:1], mask).values[:, 0]
    assert x.tolist() == [[1, 7, 0, 1, 1, 0, 0], [0, 8, 5, 0, 1, 1, 0], [4, 0, 6, 1, 0, 1, 0]]


def test_a_spike_at_a_masked_place_does_not_reach_a_forecast() -> None:
    network, draw = forecaster(), torch.Generator().manual_seed(0)
    values = torch.rand(3, 20, 3, generator=draw, dtype=torch.float64)
    mask = torch.rand(values.shape, generator=draw) > 0.3
    read = (torch.empty(3, 20, 0), SERIES)
    before = network(values, *read, mask=mask)
    spiked = torch.where(mask, values, 1e9)
    assert torch.equal(network(spiked, *read, mask=mask), before)
    assert torch.equal(network.predict(spiked, *read, mask), network.predict(values, *read, mask))
    mask[0, 12, 1] ^= True
    assert not torch.equal(network(values, *read, mask=mask)[0], before[0])


def horizon_network(kind: type[HorizonNetwork], quantiles: bool) -> HorizonNetwork:
    torch.manual_seed(0)
    spec = HorizonSpec(**SHAPE, known=["price"], horizon=3, season=2)
    settings: dict[str, Any] = {"memory": [3], "rectified": True}
    settings |= {"quantiles": [0.1, 0.5, 0.9] if quantiles else []}
    settings["readout"] = EveryStep if kind is EncoderDecoder else None
    network = kind(spec=spec, recurrence=RECURRENCE, hidden_size=4, **settings)
    return network.eval()


@pytest.mark.parametrize("kind", [EncoderDecoder, Direct, Recursive])
def test_a_spike_at_a_masked_place_does_not_reach_a_horizon(kind: type[HorizonNetwork]) -> None:
    """Of the target before the last seven seasons, where the repair is read by nothing else."""
    network = horizon_network(kind, quantiles=kind is not Recursive)
    draw = torch.Generator().manual_seed(0)
    values = torch.rand(3, 20, 3, generator=draw, dtype=torch.float64)
    known = torch.rand(3, 3, 1, generator=draw, dtype=torch.float64)
    mask = torch.rand(3, 23, 3, generator=draw) > 0.3
    mask[:, 6:20, 0] = True
    mask[:, 20:, [0, 2]] = False
    mask[0, 21, 1] = False
    nothing = torch.empty(3, 23, 0)
    before = network(values, nothing, known, SERIES, mask=mask)
    spiked = torch.where(mask[:, :20], values, 1e9)
    ahead = torch.where(mask[:, 20:, 1:2], known, torch.nan)
    assert torch.equal(network(spiked, nothing, ahead, SERIES, mask=mask), before)
    for place in ((0, 12, 0), (0, 12, 1), (0, 12, 2), (0, 21, 1)):
        other = mask.clone()
        other[place] ^= True
        assert not torch.equal(network(values, nothing, known, SERIES, mask=other)[0], before[0])


# From files to forecasts ------------------------------------------------------------------------

COLUMNS = ["data=series_csv", "data.root=shop.csv", "data.datetime_column=time"]
COLUMNS += ["data.value_column=sold", "data.input_columns=[price,visits]", "data/cleaning=masked"]
COLUMNS += ["data.cleaning.outliers=fill", "data.cleaning.longest_gap=5", "data.batch_size=8"]
TASKS = {
    "horizon": ["task=horizon", "data.known=[price]", "data.look_back=48", "data.horizon=12"],
    "forecasting": ["data.look_back=48", "data.chunking.length=60", "data.chunking.warm_up=5"],
}
OTHER = {
    "horizon": ["model/network=horizon_direct", "data.forks=6"],
    "forecasting": ["model.inputs=[level,change]", "model.target=change"],
}


def shop(hours: int = 600) -> pd.DataFrame:
    """Hourly sales of which 30 % of all cells are empty, with a gap of two days, and with values
    near zero."""
    random, hour = np.random.default_rng(0), np.arange(hours)
    price = 10.0 + random.integers(0, 3, hours)
    visits = 50 + 20 * np.sin(2 * np.pi * hour / 24) + random.normal(0, 2, hours)
    sold = 100 + 3 * visits - 5 * price + random.normal(0, 3, hours)
    sold[[50, 300, hours - 20]] = 0.5
    table = pd.DataFrame({"sold": sold, "price": price, "visits": visits}).round(2)
    table = table.mask(random.random(table.shape) < 0.3)
    table.loc[[50, 300, hours - 20], "sold"] = 0.5
    table.loc[hours - 1, "sold"] = 200.0
    time = pd.date_range("2024-01-01", periods=hours, freq="h").strftime("%Y-%m-%d %H:%M")
    table.insert(0, "time", time)
    return table.drop(index=range(200, 248))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("masked")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        shop().to_csv("shop.csv", index=False)
        for task, settings in TASKS.items():
            words = [*COLUMNS, *settings, *TINY, *QUIET]
            assert main(["train", *words, f"hydra.run.dir={task}"]) == 0
            assert main(["train", *words, *OTHER[task], f"hydra.run.dir={task}_other"]) == 0
    return place


@pytest.mark.parametrize("task", [*TASKS, *(f"{task}_other" for task in TASKS)])
def test_a_training_with_missing_values(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, task: str
) -> None:
    monkeypatch.chdir(runs)
    metrics = json.loads((runs / task / "metrics.json").read_text())
    assert all(np.isfinite(value) for value in metrics.values() if value is not None)
    table = pd.read_csv(runs / task / "predictions.csv")
    sold = shop().set_index("time")["sold"]
    when = table["timestamp"].str.replace("T", " ").str[:16]
    expected = sold.reindex(when).to_numpy(copy=True)
    if task.startswith("horizon"):  # a treated outlier is no target there
        expected[expected == 0.5] = np.nan
        assert table["target"].isna().any()
    np.testing.assert_array_equal(table["target"].to_numpy(), expected)
    assert table["prediction"].notna().all()
    assert main(["test", task]) == 0
    assert "equal the recorded ones to the bit" in capsys.readouterr().out


def predicted(folder: Path, table: pd.DataFrame, place: Path) -> np.ndarray:
    table.to_csv(place / "shop.csv", index=False)
    return rnnexp.load(folder).predict(place / "shop.csv")["prediction"].to_numpy()


def with_prices(table: pd.DataFrame, prices: list[float]) -> pd.DataFrame:
    """With rows of the next hours, of which the price alone is known."""
    ahead = pd.date_range("2024-01-26 00:00", periods=len(prices), freq="h")
    rows = {"time": ahead.strftime("%Y-%m-%d %H:%M"), "price": prices}
    return pd.concat([table, pd.DataFrame(rows)], ignore_index=True)


@pytest.mark.parametrize("task", [*TASKS, *(f"{task}_other" for task in TASKS)])
def test_a_prediction_of_a_file_with_missing_values(runs: Path, tmp_path: Path, task: str) -> None:
    folder = runs / task
    prices = [11.0, np.nan, 12, 10, 11, np.nan, 12, 10, 11, 12, 12, 10]
    table = with_prices(shop(), prices) if task.startswith("horizon") else shop()
    before = predicted(folder, table, tmp_path)
    assert np.isfinite(before).all()
    spiked = table.copy()
    assert spiked["sold"].eq(0.5).sum() == 3
    spiked["sold"] = spiked["sold"].replace(0.5, 0.1)  # near zero, and so masked
    np.testing.assert_array_equal(predicted(folder, spiked, tmp_path), before)
    filled = table.copy()
    filled.loc[filled.index[-20:], "visits"] = 60.0
    assert not np.array_equal(predicted(folder, filled, tmp_path), before)


def test_a_prediction_says_what_was_masked_and_which_row_is_absent(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    with_prices(shop(), [11.0] * 12).to_csv("shop.csv", index=False)
    assert main(["predict", str(runs / "horizon"), "--csv", "shop.csv"]) == 0
    sentence = "of the last 48 values were missing or near zero, and were masked"
    assert sentence in " ".join(capsys.readouterr().err.split())
    with_prices(shop(), [11.0] * 11).to_csv("shop.csv", index=False)
    assert main(["predict", str(runs / "horizon"), "--csv", "shop.csv"]) == 2
    assert "has no value for 2024-01-26 11:00:00" in " ".join(capsys.readouterr().err.split())


def test_a_masked_prediction_is_that_of_the_test(runs: Path, tmp_path: Path) -> None:
    tested = pd.read_csv(runs / "horizon" / "predictions.csv")
    last = tested[tested["issue_time"] == tested["issue_time"].iloc[-1]]
    table = shop()
    table.loc[table.index[-12:], ["sold", "visits"]] = np.nan
    if np.isnan(table["sold"].iloc[-13]):
        table.loc[table.index[-13], "sold"] = np.nan
    found = predicted(runs / "horizon", table, tmp_path)
    assert found.tolist() == pytest.approx(last["prediction"].tolist())
