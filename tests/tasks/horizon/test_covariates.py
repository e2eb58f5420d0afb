"""Columns that are known over the horizon, observed up to the issue time, or static."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.build import build_data, build_network
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

Capture = pytest.CaptureFixture[str]

HORIZON = ["task=horizon", "data.look_back=24", "data.horizon=6", "data.batch_size=8", *TINY]
HORIZON += ["data.test_windows=3", "data.validation_windows=2", *QUIET]
CSV = ["data=series_csv", "data.datetime_column=time", "data.value_column=sold"]
CSV += ["data.series_column=shop", "data.root=shops.csv"]
ROLES = ["data.known=[price]", "data.observed=[visits]", "data.static=[area,floors]"]
AREAS = {"north": 100.0, "south": 300.0, "west": 200.0}


def shop(name: str, hours: int = 300) -> pd.DataFrame:
    """Hourly sales. `floors` is 2 in every shop."""
    random = np.random.default_rng(list(AREAS).index(name) if name in AREAS else 9)
    time = pd.date_range("2024-01-01", periods=hours, freq="h").strftime("%Y-%m-%d %H:%M")
    values = dict(zip(["sold", "price", "visits"], random.normal(50, 10, (3, hours)), strict=True))
    constants = {"area": AREAS.get(name, 150.0), "floors": 2, "shop": name}
    return pd.DataFrame({"time": time, **values, **constants})


def shops(*names: str) -> pd.DataFrame:
    return pd.concat([shop(name) for name in names or AREAS], ignore_index=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `three`, of three shops, and `one`, of one."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        for run, names in {"three": tuple(AREAS), "one": ("north",)}.items():
            shops(*names).to_csv("shops.csv", index=False)
            assert main(["train", *CSV, *HORIZON, *ROLES, f"hydra.run.dir={run}"]) == 0
    return place


@pytest.fixture
def here(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    shops().to_csv("shops.csv", index=False)
    return runs


def refused(arguments: list[str], capsys: Capture) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    return said.err


# What a run reads ---------------------------------------------------------------------------------


def test_declared_columns_need_not_be_input_columns(here: Path) -> None:
    """They come after these, so that a column can be declared later without another result."""
    found = []
    for settings in (
        ["data.known=[price]", "data.observed=[visits]"],
        ["data.known=[price]", "data.input_columns=[price,visits]"],
        ["data.known=[price]", "data.input_columns=[price,visits]", "data.observed=[visits]"],
    ):
        config = compose([*CSV, *HORIZON, *settings])
        data: Any = build_data(config)
        assert data.spec.columns == ["sold", "price", "visits"]
        assert data.spec.known == ["price"]
        torch.manual_seed(0)
        network = build_network(config, data.spec).eval()
        data.initialize(network)
        batch = next(iter(data.test_dataloader()))
        found.append(network(batch.values, batch.calendar, batch.known, batch.series))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_static_columns_are_standardised_over_the_training_series(here: Path) -> None:
    scaling = json.loads((here / "three" / "scaling.json").read_text())
    assert scaling["static"] == [[area, 2.0] for area in AREAS.values()]
    run = json.loads((here / "three" / "run.json").read_text())
    assert run["spec"]["static"] == ["area", "floors"]
    network = rnnexp.load(here / "three").network
    expected = torch.tensor([[-(1.5**0.5), 0], [1.5**0.5, 0], [0, 0]])
    assert torch.allclose(torch.as_tensor(network.static), expected)
    assert main(["test", str(here / "three"), "data.root=shops.csv"]) == 0


def test_a_static_column_is_an_input_of_every_forecast(here: Path) -> None:
    run = rnnexp.load(here / "three")
    whole = with_plan("north")
    whole.to_csv("new.csv", index=False)
    expected = run.predict("new.csv")["prediction"]
    for column, changes in {"area": True, "floors": False}.items():  # all shops had two floors
        whole.assign(**{column: 7}).to_csv("new.csv", index=False)
        found = run.predict("new.csv")["prediction"]
        assert (not np.allclose(found, expected)) == changes
    # A series that the run does not know brings its own value.
    new = with_plan("north").assign(shop="east")
    areas = []
    for area in (100, 300):
        new.assign(area=area).to_csv("new.csv", index=False)
        areas.append(run.predict("new.csv")["prediction"].tolist())
    assert not np.allclose(areas[0], areas[1])


def test_with_one_series_a_static_column_says_nothing(here: Path) -> None:
    run = rnnexp.load(here / "one")
    found = []
    for area in (100, 300):
        with_plan("north").assign(area=area).to_csv("new.csv", index=False)
        found.append(run.predict("new.csv")["prediction"].tolist())
    assert found[0] == found[1]


def with_plan(name: str, hours: int = 100) -> pd.DataFrame:
    """`hours` rows with values, and six with the price alone: the other cells are empty."""
    table = shop(name)[: hours + 6].copy()
    table.loc[hours:, ["sold", "visits", "area", "floors"]] = np.nan
    return table


# What reaches a forecast --------------------------------------------------------------------------


def test_nothing_that_is_observed_later_reaches_a_prediction(here: Path) -> None:
    """Neither the cells after the last value, nor other columns of the file of known ones."""
    run = rnnexp.load(here / "three")
    whole = with_plan("south")
    whole.to_csv("whole.csv", index=False)
    expected = run.predict("whole.csv")

    later = whole.copy()
    later.loc[100:, "visits"] = 1e6
    later.to_csv("later.csv", index=False)
    pd.testing.assert_frame_equal(run.predict("later.csv"), expected)

    plan = shop("south")[90:110].assign(sold=1e6, visits=1e6, area=1e6)
    plan.to_csv("plan.csv", index=False)
    found = run.predict("whole.csv", known="plan.csv")
    pd.testing.assert_frame_equal(found, expected)

    later.loc[99, "visits"] = 1e6  # the last step before the issue time is seen
    later.to_csv("later.csv", index=False)
    assert not run.predict("later.csv").equals(expected)
    plan.loc[105, "price"] = 9.5
    plan.to_csv("plan.csv", index=False)
    assert not run.predict("whole.csv", known="plan.csv").equals(expected)


def test_columns_may_have_other_names_in_a_new_file(here: Path, capsys: Capture) -> None:
    run = here / "three"
    with_plan("south").to_csv("whole.csv", index=False)
    expected = rnnexp.load(run).predict("whole.csv")["prediction"].tolist()
    german = {"price": "Preis", "visits": "Besuche", "area": "Fläche"}
    with_plan("south").rename(columns=german).to_csv("other.csv", index=False)
    names = ["data.known=[Preis]", "data.observed=[Besuche]", "data.static=['Fläche',floors]"]
    arguments = ["predict", str(run), "--csv", "other.csv"]
    assert main([*arguments, *names, "--output", "out.csv"]) == 0
    assert pd.read_csv("out.csv")["prediction"].tolist() == pytest.approx(expected)
    for wrong, what in {
        "data.known=[]": "further columns",
        "data.observed=[visits,tips]": "further columns",
        "data.static=[area]": "data.static",
    }.items():
        assert (
            f"the {what} are not those that the run was trained with: name as many, in the order "
            "of sold, price, visits, area, floors"
        ) in refused([*arguments, wrong], capsys)
    swapped = ["data.known=[visits]", "data.observed=[price]", "data.input_columns=[price,visits]"]
    assert "the data.known are not those" in refused([*arguments, *swapped], capsys)


# Mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["data.known=[prize]"], "shops.csv: there is no column 'prize'; did you mean price?"),
        (["data.observed=[visit]"], "there is no column 'visit'; did you mean visits?"),
        (["data.static=[aria]"], "there is no column 'aria'; did you mean area?"),
        (["data.known=[sold]"], "data.known: 'sold' is the column to predict: remove it there"),
        (["data.observed=[sold]"], "data.observed: 'sold' is the column to predict"),
        (["data.static=[sold]"], "data.static: 'sold' is the column to predict"),
        (
            ["data.known=[price]", "data.observed=[visits,price]"],
            "'price' stands in data.known and in data.observed: remove it in one of them",
        ),
        (
            ["data.known=[area]", "data.static=[area]"],
            "'area' stands in data.known and in data.static",
        ),
        (["data.known=[price,price]"], "data.known names 'price' twice: remove one of them"),
        (
            ["data.input_columns=[area]", "data.static=[area]"],
            "data.static: 'area' is among the columns that change from row to row",
        ),
        (
            ["data.static=[price]"],
            "shops.csv, line 3: series 'north' has ",
        ),
        (["data.static=[time]"], "line 2: '2024-01-01 00:00' in column 'time' is not a finite"),
        (["data.value_column=null", "data.static=[area]"], "data.static needs data.value_column"),
        (["data.value_column=null", "data.known=[price]"], "data.known needs data.value_column"),
        (["task=forecasting", "data.observed=[visits]"], "data.observed is for the task that pre"),
        (["task=forecasting", "data.static=[area]"], "data.static is for the task that predicts"),
    ],
)
def test_mistakes(here: Path, settings: list[str], sentence: str, capsys: Capture) -> None:
    task = [] if "task=forecasting" not in settings else ["data.horizon=1"]
    assert sentence in refused(["train", *CSV, *HORIZON, *task, *settings], capsys)


def test_a_source_without_such_columns_says_so(here: Path, capsys: Capture) -> None:
    load = ["data=synthetic_load", *SYNTHETIC_LOAD, *HORIZON]
    said = refused(["train", *load, "data.static=[area]"], capsys)
    assert "data.static: SyntheticLoad reads no static columns, data=series_csv does" in said
    said = refused(["train", *load, "data.known=[area]"], capsys)
    assert "data.known: 'area' is not a further column of the series" in said


def test_a_static_column_that_changes_or_is_empty(here: Path, capsys: Capture) -> None:
    settings = ["train", *CSV, *HORIZON, "data.static=[area]"]
    table = shops()
    table.loc[table["shop"] == "south", "area"] = np.nan
    table.to_csv("shops.csv", index=False)
    said = refused(settings, capsys)
    assert "shops.csv, series 'south': column 'area', which is static, has no value" in said
    table = shops()
    table.loc[table.index[table["shop"] == "south"][7], "area"] = 301
    table.to_csv("shops.csv", index=False)
    assert (
        "shops.csv, line 309: series 'south' has 301.0 in column 'area', and 300 before: a static "
        "column (data.static) is the same in all rows of a series; name one that changes in "
        "data.known or data.observed"
    ) in refused(settings, capsys)
    table = shops()
    table["area"] = "large"
    table.to_csv("shops.csv", index=False)
    assert "'large' in column 'area' is not a finite number" in refused(settings, capsys)

    with_plan("south").assign(area=lambda t: t["area"] + t.index).to_csv("new.csv", index=False)
    arguments = ["predict", str(here / "three"), "--csv", "new.csv"]
    assert "new.csv, line 3: series 'south' has 301.0" in refused(arguments, capsys)
    with_plan("south").drop(columns="area").to_csv("new.csv", index=False)
    assert "new.csv: there is no column 'area'" in refused(arguments, capsys)
