"""The networks of the horizon: a decoder, all steps at once, or one step at a time."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.nn.cells import MGU
from rnnexp.nn.readouts import EveryStep
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.runs.build import build_data, build_network
from rnnexp.tasks.horizon.networks.encoder_decoder import EncoderDecoder
from rnnexp.tasks.horizon.networks.quantiles import term_by_term
from tests.support.shop import COLUMNS, shop
from tests.support.shrink import QUIET, TINY

Capture = pytest.CaptureFixture[str]

SMALL = ["task=horizon", "data.look_back=48", "data.horizon=6", "data.batch_size=8", *TINY]
SMALL += ["data.test_windows=3", "data.validation_windows=2", *QUIET]
NETWORKS = {
    "decoder": [],
    "one direction": ["model.bidirectional=false"],
    "direct": ["model/network=horizon_direct"],
    "recursive": ["model/network=horizon_recursive", "task.quantiles=[]"],
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    shop().to_csv("shop.csv", index=False)


def built(*settings: str) -> tuple[Any, Any]:
    """The data, and the network with initial weights."""
    config = compose([*COLUMNS, *SMALL, *settings])
    data = build_data(config)
    torch.manual_seed(0)
    network = build_network(config, data.spec)
    data.initialize(network)
    return data, network.eval()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_trains_from_each_of_many_steps_and_repeats(
    name: str, capsys: Capture
) -> None:
    settings = [*COLUMNS, *SMALL, *NETWORKS[name], "data.forks=20", "hydra.run.dir=run"]
    assert main(["train", *settings]) == 0
    assert main(["rerun", "run"]) == 0
    assert "identical" in capsys.readouterr().out
    assert main(["test", "run"]) == 0


def test_what_reads_backwards_cannot_learn_from_forks() -> None:
    """It would see the values that it has to predict."""
    data, _ = built("data.forks=20")
    backwards = partial(CellRecurrence, MGU, bidirectional=True)
    with pytest.raises(UserError, match=r"bidirectional=false, or data\.forks=1"):
        EncoderDecoder(data.spec, backwards, EveryStep, hidden_size=4)


@pytest.mark.parametrize("centre", ["window", "series"])
@pytest.mark.parametrize("base", ["season", "mean"])
def test_nothing_after_a_fork_reaches_its_forecast(centre: str, base: str) -> None:
    data, network = built("data.forks=4", f"model.centre={centre}", f"model.base={base}")
    batch = next(iter(data.train_dataloader()))
    assert batch.target.shape == (8 * 4, 6)
    read = (batch.calendar, batch.known, batch.series, 4)
    before = network(batch.values, *read).view(8, 4, 6, -1)
    later = batch.values.clone()
    later[:, -2:, [0, 2]] = 1e6  # the price is known
    after = network(later, *read).view(8, 4, 6, -1)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.equal(before[:, 2], after[:, 2])


@pytest.mark.parametrize("name", ["decoder", "direct"])
def test_the_last_fork_is_the_forecast_of_the_whole_window(name: str) -> None:
    settings = ["data.look_back=172", "data.forks=4", "model.centre=series"]  # a week before each
    data, network = built(*settings, *NETWORKS[name])
    batch = next(iter(data.test_dataloader()))
    read = (batch.values, batch.calendar, batch.known, batch.series)
    whole, forked = network(*read), network(*read, 4).view(3, 4, 6, -1)
    torch.testing.assert_close(forked[:, -1], whole)
    scaled = network.scale(batch.target.repeat_interleave(4, 0), batch.values, batch.series, 4)
    expected = network.scale(batch.target, batch.values, batch.series)
    assert torch.equal(scaled.view(3, 4, 6)[:, -1], expected)


def test_the_targets_of_the_forks_are_the_values_after_them() -> None:
    data, _ = built("data.forks=3", "data.issue.lead=2")
    batch = next(iter(data.train_dataloader()))
    values = data.source.store.values[:, 0]
    for window in range(8):
        seen = batch.values[window, :, 0]
        [start] = [i for i in range(600) if torch.equal(values[i : i + 48], seen)]
        for fork in range(3):
            first = start + 48 - 2 + fork + 2  # after the fork and the lead
            assert torch.equal(batch.target[3 * window + fork], values[first : first + 6])


def test_a_recursive_forecast_takes_its_own_for_what_came() -> None:
    """By hand: the windows that follow, with the forecasts in them."""
    data, network = built(*NETWORKS["recursive"])
    batch = next(iter(data.test_dataloader()))
    read = (batch.values, batch.calendar, batch.known, batch.series)
    found = network.invert(network(*read), batch.values, batch.series)
    assert found.shape == (3, 6, 1)
    network.train()
    values, expected = batch.values, []
    for step in range(6):
        calendar, known = batch.calendar[:, step : step + 49], batch.known[:, step : step + 1]
        output = network(values, calendar, known, batch.series)
        season = values[:, -24:-23, :1]
        value = output * network.seasonal[0] + season
        expected.append(value)
        row = torch.cat([value[:, 0], known[:, 0], values[:, -1, 2:]], 1)
        values = torch.cat([values[:, 1:], row.unsqueeze(1)], 1)
    torch.testing.assert_close(found, torch.cat(expected, 1))


def test_a_lead_is_not_predicted() -> None:
    settings = [
        "data.issue.lead=2",
        'data.issue.at="10:00"',
        "data.test_windows=20",
        "monitor=null",
    ]
    assert main(["train", *COLUMNS, *SMALL, *settings, "hydra.run.dir=run"]) == 0
    table = pd.read_csv("run/predictions.csv")
    issued, time = pd.to_datetime(table["issue_time"]), pd.to_datetime(table["timestamp"])
    assert (issued.dt.strftime("%H:%M") == "10:00").all()
    assert issued.nunique() == 5  # 120 hours
    ahead = (time - issued) / pd.Timedelta(hours=1)
    assert (ahead == table["step"] + 1).all()
    assert table["step"].tolist() == [1, 2, 3, 4, 5, 6] * 5
    sold = shop().set_index("time")["sold"]
    assert table["target"].tolist() == sold[time.dt.strftime("%Y-%m-%d %H:%M")].tolist()


def test_a_series_has_a_vector_and_a_new_one_their_mean() -> None:
    Path("shops").mkdir()
    for number in range(2):
        table = shop()
        table["sold"] = table["sold"] * (number + 1)
        table.to_csv(f"shops/{number}.csv", index=False)
    run = ["data.root=shops", "model.series_vector=3", "hydra.run.dir=run"]
    assert main(["train", *COLUMNS, *SMALL, *run]) == 0
    loaded = rnnexp.load("run")
    vectors: torch.Tensor = loaded.network.vectors.weight  # type: ignore[union-attr, assignment]
    scaling = {"minimum": [[0.0] * 3], "range": [[1.0] * 3], "change": [1.0], "seasonal": [1.0]}
    for place, own in ((1, vectors[1]), (None, vectors.mean(0))):
        alone = loaded.network.of_series(place, scaling)  # type: ignore[operator]
        assert torch.equal(alone.vectors.weight[0], own)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["model/network=horizon_recursive"], "set task.quantiles=[]"),
        (["data.forks=49"], "data.forks is 49: a window has data.look_back=48 steps"),
        (["data.forks=30"], "needs windows of 24 steps before the first of data.forks"),
        (["model.centre=middle"], "model.centre is 'middle', it must be 'window' or 'series'"),
        (['data.issue.at="10:30"'], "no step of the series has this time of day"),
        (["data.issue.at=ten"], "data.issue.at is 'ten': write a clock time"),
        (["data.issue.lead=-1"], "data.issue.lead is -1"),
        (["task.conformal=true", "data.validation_windows=0"], "data.validation_windows"),
    ],
)
def test_mistakes(settings: list[str], sentence: str, capsys: Capture) -> None:
    assert main(["train", *COLUMNS, *SMALL, *settings]) == 2
    assert sentence in capsys.readouterr().err


def test_run_json_says_which_path_a_horizon_took() -> None:
    assert main(["train", *COLUMNS, *SMALL, "model=pmgru", "hydra.run.dir=run"]) == 0
    assert json.loads(Path("run/run.json").read_text())["path"] == "fused"


def test_running_sums_term_by_term() -> None:
    """As on a GPU, where torch may have no deterministic cumsum."""
    values = torch.rand(3, 5, dtype=torch.float64, requires_grad=True)
    for axis in (0, -1):
        found, expected = term_by_term(values, axis), values.cumsum(axis)
        torch.testing.assert_close(found, expected)
        weight = torch.rand_like(found)
        gradients = [torch.autograd.grad((one * weight).sum(), values) for one in (found, expected)]
        torch.testing.assert_close(*gradients)
    assert term_by_term(values[:, :0], -1).shape == (3, 0)
