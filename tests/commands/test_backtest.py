"""`rnnexp backtest`: forecasts at issue times, alone and with refits."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.cli import main
from rnnexp.errors import UserError
from rnnexp.runs.backtests import folds
from rnnexp.tasks.horizon import trees
from rnnexp.tasks.horizon.backtest.results import Results
from rnnexp.tasks.horizon.baselines import targets
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.windows import HorizonWindows
from tests.support.runs import Kept
from tests.support.shrink import QUIET, TINY

Capture = pytest.CaptureFixture[str]

COLUMNS = ["data=series_csv", "data.root=.", "data.datetime_column=time"]
COLUMNS += ["data.value_column=sold", "data.input_columns=[price,visits]", "data.known=[price]"]
RUN = [*COLUMNS, "task=horizon", "data.look_back=48", "data.horizon=38", "data.batch_size=8"]
RUN += ["data.test_windows=5", "data.validation_windows=2", "data.cleaning.outliers=keep"]
RUN += [*TINY, *QUIET]
DAY_AHEAD = ["--horizon", "24", "--at", "10:00", "--lead", "14h"]
HOURS = 700
FIGURES = Results.figures


def shop(seed: int) -> pd.DataFrame:
    random, hour = np.random.default_rng(seed), np.arange(HOURS)
    price = 10 + random.integers(0, 3, HOURS)
    visits = 50 + 20 * np.sin(2 * np.pi * hour / 24) + random.normal(0, 2, HOURS)
    sold = (3 * visits - 5 * price + random.normal(0, 3, HOURS)).round(1)
    time = pd.date_range("2024-01-01", periods=HOURS, freq="h").strftime("%Y-%m-%d %H:%M")
    return pd.DataFrame({"time": time, "sold": sold, "price": price, "visits": visits.round(2)})


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """Two shops, and `run`, a run on them."""

    def make(place: Path) -> None:
        for number, name in enumerate(("left", "right")):
            shop(number).to_csv(place / f"{name}.csv", index=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(place)
            patch.setenv("RNNEXP_CACHE", str(place / "cache"))
            assert main(["train", *RUN, "hydra.run.dir=run"]) == 0

    return Kept(tmp_path_factory.mktemp("backtest") / "kept", make)


@pytest.fixture
def here(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of `kept`. Figures take most of the time of a small back-test: none is drawn."""
    monkeypatch.setattr(Results, "figures", lambda results: {})
    place = kept.restored()
    monkeypatch.chdir(place)
    monkeypatch.setenv("RNNEXP_CACHE", str(place / "cache"))
    return place


def outcome(*options: str, output: str = "out") -> dict[str, Any]:
    assert main(["backtest", "run", *options, "--output", output]) == 0
    found: dict[str, Any] = json.loads(Path(output, "metrics.json").read_text())
    return found


def test_the_runs_own_windows_have_its_metrics_to_the_bit(here: Path, capsys: Capture) -> None:
    found = outcome()
    recorded = json.loads(Path("run/metrics.json").read_text())
    for name, value in recorded.items():
        if not name.startswith("val/"):
            assert found[name.replace("test/", "backtest/")] == value
    table, before = pd.read_csv("out/backtest.csv"), pd.read_csv("run/predictions.csv")
    assert table.drop(columns="fold").equals(before)
    said = capsys.readouterr().out
    assert "back-test    out" in said and "report out\n" in said


def test_a_part_of_the_horizon_and_what_is_written(here: Path) -> None:
    found = outcome(*DAY_AHEAD)
    table = pd.read_csv("out/backtest.csv", parse_dates=["issue_time", "timestamp"])
    levels = [f"q{level / 10:g}" for level in range(1, 10)]
    first = ["series", "issue_time", "step", "timestamp", "target", "prediction"]
    assert list(table) == [*first, *levels, "scale", "fold"]
    assert set(table["issue_time"].dt.strftime("%H:%M")) == {"10:00"}
    ahead = table["timestamp"] - table["issue_time"]
    assert (ahead == pd.to_timedelta(table["step"] + 13, unit="h")).all()
    # The test span begins 190 hours before 2024-01-30 04:00, at 2024-01-22 06:00.
    days = pd.date_range("2024-01-22 10:00", "2024-01-28 10:00", freq="D")
    assert table["issue_time"].unique().tolist() == days.tolist()
    values = shop(0)["sold"].set_axis(pd.to_datetime(shop(0)["time"]))
    left = table[table["series"] == "left"]
    assert left["target"].tolist() == values[left["timestamp"]].tolist()

    error = (table["prediction"] - table["target"]).abs()
    assert found["backtest/mae"] == pytest.approx(error.mean())
    by_step = pd.read_csv("out/by_step.csv")
    assert by_step["mae"].tolist() == pytest.approx(error.groupby(table["step"]).mean().tolist())
    by_hour = pd.read_csv("out/by_hour.csv")
    hours = error.groupby(table["timestamp"].dt.hour).mean()
    assert by_hour["hour"].tolist() == hours.index.tolist()
    assert by_hour["mae"].tolist() == pytest.approx(hours.tolist())
    by_series = pd.read_csv("out/by_series.csv").set_index("series")
    assert by_series.loc["left", "sql"] == found["backtest/sql/left"]
    # Naive: the value before the issue time.
    naive = (values[left["issue_time"] - pd.Timedelta("1h")].to_numpy() - left["target"]).abs()
    right = table[table["series"] == "right"]
    others = shop(1)["sold"].set_axis(pd.to_datetime(shop(1)["time"]))
    naive_right = others[right["issue_time"] - pd.Timedelta("1h")].to_numpy() - right["target"]
    both = (naive.mean() + naive_right.abs().mean()) / 2
    assert found["baseline/naive/mae"] == pytest.approx(both)

    record = json.loads(Path("out/backtest.json").read_text())
    assert record["status"] == "completed" and len(record["issue_times"]) == 7
    assert record["steps"] == {"horizon": 24, "lead": 14, "at": "10:00", "every": None} | {
        "refit": None
    }


def test_trees_forecast_the_same_steps(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("lightgbm", reason="pip install rnnexp[lightgbm]")

    def perfect(data: HorizonData, windows: HorizonWindows) -> torch.Tensor:
        return targets(data, windows) + 1

    monkeypatch.setattr(trees, "lightgbm_forecasts", perfect)
    found = outcome(*DAY_AHEAD, "--lightgbm")
    assert found["baseline/lightgbm/mae"] == pytest.approx(1)
    asked = json.loads(Path("out/backtest.json").read_text())["asked"]
    assert asked["libraries"] == ["lightgbm"]


def test_figures(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Results, "figures", FIGURES)
    outcome(*DAY_AHEAD)
    names = {path.relative_to("out").as_posix() for path in Path("out").rglob("*.png")}
    drawn = {"error_by_step", "error_by_hour", "calibration", "forecasts/left", "forecasts/right"}
    assert names == {f"figures/{name}.png" for name in drawn}


def test_a_forecast_is_that_of_a_file_that_ends_at_its_issue_time(here: Path) -> None:
    outcome(*DAY_AHEAD)
    table = pd.read_csv("out/backtest.csv")
    run = rnnexp.load("run")
    one = table[table["series"] == "right"]
    for issued in one["issue_time"].unique()[[0, -1]]:
        whole = shop(1)
        later = pd.to_datetime(whole["time"]) >= pd.Timestamp(issued)
        whole.loc[later, ["sold", "visits"]] = np.nan
        Path("cut").mkdir(exist_ok=True)
        whole.to_csv("cut/right.csv", index=False)
        found = run.predict("cut/right.csv")
        expected = one[one["issue_time"] == issued]
        for name in ("prediction", "q0.1", "q0.9"):
            assert found[name].tolist()[14:] == pytest.approx(expected[name].tolist(), rel=1e-5)
        assert found["timestamp"].tolist()[14:] == expected["timestamp"].tolist()


def test_every_is_the_time_between_issue_times(here: Path, capsys: Capture) -> None:
    outcome("--every", "6h", "--horizon", "38")
    times = pd.to_datetime(pd.read_csv("out/backtest.csv")["issue_time"].unique())
    assert set(np.diff(times)) == {np.timedelta64(6, "h")}
    capsys.readouterr()
    outcome("--every", "6h", "--horizon", "30", output="shorter")
    left_out = "4 more issue times are left out: the network predicts 38 steps"
    assert left_out in capsys.readouterr().out


# Refits -------------------------------------------------------------------------------------------

REFIT = [*DAY_AHEAD, "--refit", "4D"]


def digest(folder: str) -> Any:
    return json.loads(Path(folder, "digest.json").read_text())


def test_folds_are_ordinary_runs_that_read_nothing_after_they_begin(
    here: Path, capsys: Capture
) -> None:
    outcome(*REFIT)
    table = pd.read_csv("out/backtest.csv")
    begins = ["2024-01-22T10:00:00", "2024-01-26T10:00:00"]
    assert table.groupby("fold")["issue_time"].min().tolist() == begins
    assert pd.read_csv("out/by_fold.csv")["until"].tolist() == begins
    run = json.loads(Path("out/folds/01/run.json").read_text())
    assert run["split"]["left"]["test_to"] == "2024-01-22T09:00:00"
    assert run["config"]["data"]["until"] == begins[0]
    capsys.readouterr()
    assert main(["rerun", "out/folds/01"]) == 0
    assert "identical" in capsys.readouterr().out

    # Other data from the second fold on: another run, and the same networks.
    for number, name in enumerate(("left", "right")):
        changed = shop(number)
        later = pd.to_datetime(changed["time"]) >= pd.Timestamp(begins[1])
        changed.loc[later, ["sold", "visits"]] += 1000
        changed.to_csv(f"{name}.csv", index=False)
    before = [digest(f"out/folds/0{fold}") for fold in (1, 2)]
    shutil.rmtree("run")
    assert main(["train", *RUN, "hydra.run.dir=run"]) == 0
    outcome(*REFIT, output="again")
    assert [digest(f"again/folds/0{fold}") for fold in (1, 2)] == before
    second = pd.read_csv("again/backtest.csv")
    first_day = second["issue_time"] == begins[1]
    assert second[first_day]["prediction"].equals(table[first_day]["prediction"])
    assert not second[~first_day]["prediction"].equals(table[~first_day]["prediction"])


def interrupted_at(fold: int) -> Callable[..., None]:
    def train(*arguments: Any, **facts: Any) -> None:
        if arguments[3].name == f"{fold:02}":
            raise KeyboardInterrupt
        whole(*arguments, **facts)

    whole = folds.train_until
    return train


def test_an_interrupted_one_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    expected = outcome(*REFIT, output="whole")
    said = capsys.readouterr().out
    assert re.findall(
        r"^fold (\d) of 2: trained on the data before .*\(\d+\.\d s\)$", said, re.M
    ) == [*"12"]
    assert "best checkpoint" not in said and "run folder" not in said  # those of the folds
    with monkeypatch.context() as patch:
        patch.setattr(folds, "train_until", interrupted_at(2))
        assert main(["backtest", "run", *REFIT, "--output", "out"]) == 130
    again = "backtest run --horizon 24 --at 10:00 --lead 14h --refit 4D --output out"
    assert again in capsys.readouterr().out
    assert not Path("out/metrics.json").exists()
    first = Path("out/folds/01/run.json").read_bytes()

    other = [*DAY_AHEAD, "--refit", "2D", "--output", "out"]
    assert main(["backtest", "run", *other]) == 2
    sentence = "goes on with the same arguments alone (in steps, refit was 96 and is 48)"
    assert sentence in capsys.readouterr().err

    assert outcome(*REFIT) == expected
    assert Path("out/folds/01/run.json").read_bytes() == first
    assert main(["backtest", "run", *REFIT, "--output", "out"]) == 2
    assert "holds a completed back-test" in capsys.readouterr().err


def test_a_refit_that_divides_nothing_or_everything_is_said(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def stop(*arguments: Any, **settings: Any) -> None:
        raise UserError("trained")

    monkeypatch.setattr(folds, "train_until", stop)
    for refit, sentence in {
        "1000D": "--refit is longer than the time of all forecasts: one network is trained\n",
        "4h": "--refit is shorter than the time between issue times: each of the 7 has a network",
        "4D": "",
    }.items():
        assert main(["backtest", "run", *DAY_AHEAD, "--refit", refit, "--output", refit]) == 2
        said = capsys.readouterr().out
        assert sentence in said and ("--refit" in said) == bool(sentence)


# Mistakes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--at", "10:30"], "--at 10:30: no step of series 'left' has this time of day"),
        (["--at", "25:00"], "--at 25:00: write a clock time such as 10:00"),
        (["--every", "90min"], "--every 90min: it must be a whole number of steps of data.freq"),
        (["--refit", "30min"], "--refit 30min: it must be a whole number of steps"),
        (["--at", "10:00", "--every", "36h"], "--every 36h: with --at 10:00 it must be whole days"),
        (["--every", "0h"], "--every 0h: it must be more than 0"),
        (["--horizon", "24h"], "--horizon 24h: it must be a whole number"),
        (["--lead", "-1h"], "--lead -1h: it must be 0 or more"),
        (["--every", "-1D"], "--every -1D: it must be more than 0"),
        (["--refit", "-0.5D"], "--refit -0.5D: it must be more than 0"),
        (["--refit"], "--refit needs a value; see rnnexp backtest --help"),
        (["--lead=-2h"], "--lead -2h: it must be 0 or more"),
        (["--lead", "soon"], "--lead soon: it must be a length of time such as 30min, 14h or 30D"),
        (["--lead", "14"], "--lead 14: it must be a length of time"),
        (["--refit", "nat"], "--refit nat: it must be a length of time"),
        (["--horizon", "0"], "--horizon 0: it must be at least 1 step"),
        (["--horizon", "39"], "the steps 1 to 38: train one with data.horizon=39"),
        (["--lead", "14h"], "ask for the steps 15 to 52 after the issue time"),
        (["--output", "left.csv"], "--output left.csv: left.csv is a file, choose another"),
        (["--output", "run"], "--output run: it holds something else"),
        (["data.look_back=24"], "backtest can only be told where the data are now"),
    ],
)
def test_mistakes(here: Path, options: list[str], sentence: str, capsys: Capture) -> None:
    assert main(["backtest", "run", *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_a_lead_that_is_shorter_than_the_runs(here: Path, capsys: Capture) -> None:
    lead = ["data.issue.lead=14", "data.horizon=24", "hydra.run.dir=late"]
    assert main(["train", *RUN, *lead]) == 0
    assert main(["backtest", "late", "--lead", "2h", "--output", "out"]) == 2
    sentence = "predicts the steps 15 to 38: train one with data.issue.lead=2 data.horizon=24"
    assert sentence in capsys.readouterr().err
    assert main(["backtest", "late", "--horizon", "12", "--output", "out"]) == 0
    assert pd.read_csv("out/backtest.csv")["step"].max() == 12


def test_a_test_span_that_is_too_short(here: Path, capsys: Capture) -> None:
    assert main(["train", *RUN, "data.test_windows=1", "hydra.run.dir=short"]) == 0
    assert main(["backtest", "short", "--at", "23:00"]) == 2
    assert "no issue time at 23:00 lies within the test span" in capsys.readouterr().err


def test_runs_that_cannot_be_tested(here: Path, capsys: Capture) -> None:
    small = ["data=synthetic_load", "data.days=40", "data.number=1", "data.look_back=30"]
    other = [*small, "data.chunking.length=40", *TINY, *QUIET, "hydra.run.dir=other"]
    assert main(["train", *other]) == 0
    assert main(["backtest", "other"]) == 2
    assert "other is a run of the task Forecasting: a back-test is of" in capsys.readouterr().err
    run = json.loads(Path("run/run.json").read_text())
    Path("run/run.json").write_text(json.dumps(run | {"status": "interrupted"}))
    assert main(["backtest", "run"]) == 2
    assert "run has the status 'interrupted'" in capsys.readouterr().err
