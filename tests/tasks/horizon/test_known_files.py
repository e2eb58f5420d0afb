"""rnnexp predict --known: the known columns of the horizon in a file of their own."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rnnexp
from rnnexp.cli import main
from tests.support.public_series import write_gefcom2014
from tests.support.shrink import QUIET, TINY

Capture = pytest.CaptureFixture[str]

HORIZON = ["task=horizon", "data.look_back=24", "data.horizon=6", "data.batch_size=8", *TINY]
HORIZON += ["data.test_windows=3", "data.validation_windows=2", *QUIET]
CSV = ["data=series_csv", "data.datetime_column=time", "data.value_column=sold", *HORIZON]
SHOP = [*CSV, "data.root=shop.csv", "data.input_columns=[price,visits]", "data.known=[price]"]
LONG = [*CSV, "data.root=long.csv", "data.input_columns=[price]", "data.known=[price]"]
LONG += ["data.series_column=item"]


def shop(hours: int, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    time = pd.date_range("2024-01-01", periods=hours, freq="h").strftime("%Y-%m-%d %H:%M")
    values = random.normal(50, 10, (hours, 3)).round(1)
    return pd.DataFrame(
        {"time": time, **dict(zip(["sold", "price", "visits"], values.T, strict=True))}
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `shop`, `long` (two series), `late` (with a lead), `day` (no known
    column), `next` (the one-step task) and `energy` (GEFCom2014)."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        patch.setenv("RNNEXP_DATA", str(place / "data"))
        shop(300).to_csv("shop.csv", index=False)
        both = [shop(300, 1).assign(item="milk"), shop(300, 2).assign(item="bread")]
        pd.concat(both).to_csv("long.csv", index=False)
        write_gefcom2014(place / "data" / "gefcom2014")
        one_step = ["data.look_back=24", "data.chunking.length=40", *TINY, *QUIET]
        for name, settings in {
            "shop": SHOP,
            "long": LONG,
            "late": [*SHOP, "data.issue.lead=2"],
            "day": [*SHOP, "data.known=[]"],
            "next": [*SHOP[:3], SHOP[-3], "data.input_columns=[price,visits]", *one_step],
            "energy": ["data=gefcom2014", "data.known=[T]", "data.last_rows=600", *HORIZON],
        }.items():
            assert main(["train", *settings, f"hydra.run.dir={name}"]) == 0
    return place


@pytest.fixture
def here(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with shop.csv, which ends before the horizon, and plan.csv, which goes beyond it."""
    monkeypatch.chdir(tmp_path)
    shop(100).to_csv("shop.csv", index=False)
    shop(130)[["time", "price"]].to_csv("plan.csv", index=False)
    return runs


def refused(arguments: list[str], capsys: Capture) -> str:
    capsys.readouterr()
    assert main(["predict", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err


def with_empty_values(hours: int = 106) -> pd.DataFrame:
    """The known column in the rows after the last value, as without --known."""
    whole = shop(hours)
    whole.loc[100:, ["sold", "visits"]] = np.nan
    return whole


def test_a_file_of_its_own_is_as_good_as_rows_without_a_value(here: Path) -> None:
    run = rnnexp.load(here / "shop")
    Path("whole").mkdir()
    with_empty_values().to_csv("whole/shop.csv", index=False)
    found = run.predict("shop.csv", known="plan.csv")
    assert found["timestamp"].tolist()[0] == "2024-01-05T04:00:00"
    pd.testing.assert_frame_equal(found, run.predict("whole/shop.csv"))

    arguments = ["predict", str(here / "shop"), "--csv", "shop.csv", "--known", "plan.csv"]
    assert main([*arguments, "--output", "out.json"]) == 0
    written = json.loads(Path("out.json").read_text())
    assert [row["prediction"] for row in written] == found["prediction"].tolist()

    plan = pd.read_csv("plan.csv")
    plan[:103].to_csv("first.csv", index=False)
    plan[103:].to_csv("second.csv", index=False)
    parts = run.predict("shop.csv", known=["first.csv", Path("second.csv")])
    pd.testing.assert_frame_equal(parts, found)


def test_the_past_of_the_file_is_not_read(here: Path) -> None:
    run = rnnexp.load(here / "shop")
    expected = run.predict("shop.csv", known="plan.csv")
    plan = pd.read_csv("plan.csv")
    plan.loc[:99, "price"] = 1e6
    plan.loc[106:, "price"] = -1e6
    plan.to_csv("plan.csv", index=False)
    pd.testing.assert_frame_equal(run.predict("shop.csv", known="plan.csv"), expected)
    plan.loc[105, "price"] = 3.5
    plan.to_csv("plan.csv", index=False)
    assert not run.predict("shop.csv", known="plan.csv").equals(expected)


def test_the_file_wins_over_the_rows_after_the_last_value(here: Path, capsys: Capture) -> None:
    run = rnnexp.load(here / "shop")
    expected = run.predict("shop.csv", known="plan.csv")
    other = with_empty_values()
    other.loc[101:103, "price"] += 3
    other.to_csv("shop.csv", index=False)
    pd.testing.assert_frame_equal(run.predict("shop.csv", known="plan.csv"), expected)
    capsys.readouterr()
    assert main(["predict", str(here / "shop"), "--csv", "shop.csv", "--known", "plan.csv"]) == 0
    assert (
        "shop: 3 known values of shop.csv were replaced by those of --known"
    ) in capsys.readouterr().err


def test_each_series_has_its_own_rows(here: Path, capsys: Capture) -> None:
    run = rnnexp.load(here / "long")
    series = {"milk": shop(100, 1), "bread": shop(90, 2)}
    pd.concat([one.assign(item=name) for name, one in series.items()]).to_csv("long.csv")
    plans = [shop(106, 1).assign(item="milk"), shop(106, 2).assign(item="bread")]
    pd.concat(plans)[["item", "price", "time"]].to_csv("plan.csv", index=False)
    found = run.predict("long.csv", known="plan.csv")
    for number, name in enumerate(series, start=1):
        own = found[found["series"] == name].reset_index(drop=True)
        whole = shop(len(series[name]) + 6, number).assign(item=name)
        whole.loc[len(series[name]) :, "sold"] = np.nan
        whole.to_csv("one.csv", index=False)
        pd.testing.assert_frame_equal(run.predict("one.csv"), own)

    plans[0][["item", "price", "time"]].to_csv("plan.csv", index=False)
    sentence = "series 'bread': --known has no rows of this series, it has those of 'milk'"
    arguments = ["predict", str(here / "long"), "--csv", "long.csv", "--known", "plan.csv"]
    capsys.readouterr()
    assert main([*arguments, "--output", "out.csv"]) == 1  # milk is predicted
    assert sentence in capsys.readouterr().err
    assert pd.read_csv("out.csv")["error"].notna().sum() == 1
    series["bread"].assign(item="bread").to_csv("long.csv", index=False)
    assert sentence in refused(arguments[1:], capsys)


def test_several_files_have_the_names_of_their_series(here: Path, capsys: Capture) -> None:
    run = rnnexp.load(here / "shop")
    expected = run.predict("shop.csv", known="plan.csv")
    shop(100, 3).to_csv("kiosk.csv", index=False)
    Path("plans").mkdir()
    shop(106)[["time", "price"]].to_csv("plans/shop.csv", index=False)
    shop(106, 3)[["time", "price"]].to_csv("plans/kiosk.csv", index=False)
    found = run.predict(["kiosk.csv", "shop.csv"], known="plans")
    assert found["series"].unique().tolist() == ["kiosk", "shop"]
    assert found["prediction"].tolist()[6:] == expected["prediction"].tolist()
    arguments = ["--csv", "kiosk.csv", "--csv", "shop.csv", "--known", "plans/kiosk.csv"]
    assert main(["predict", str(here / "shop"), *arguments]) == 1
    assert "each needs one of its own name, shop.csv" in capsys.readouterr().err


def test_rows_of_the_hour_that_a_clock_change_repeats(here: Path) -> None:
    """Their mean, as in the training (data.cleaning.duplicates)."""
    run = rnnexp.load(here / "shop")
    expected = run.predict("shop.csv", known="plan.csv")
    plan = pd.read_csv("plan.csv")
    twice = plan.iloc[[102, 102]].assign(price=plan["price"][102] + np.array([-2, 2]))
    pd.concat([plan[:102], twice, plan[103:]]).to_csv("plan.csv", index=False)
    found = run.predict("shop.csv", known="plan.csv")
    assert found["prediction"].tolist() == pytest.approx(expected["prediction"].tolist())


def test_the_temperature_of_gefcom2014(here: Path) -> None:
    run = rnnexp.load(here / "energy")
    whole = pd.read_csv(here / "data" / "gefcom2014" / "GEFCom2014-E.csv")
    past, ahead = whole[:-50], whole[-60:-40]
    past.to_csv("GEFCom2014-E.csv", index=False)
    ahead.drop(columns="load").to_csv("weather.csv", index=False)
    found = run.predict("GEFCom2014-E.csv", known="weather.csv")
    pd.concat([past, whole[-50:-40].assign(load=np.nan)]).to_csv("GEFCom2014-E.csv", index=False)
    pd.testing.assert_frame_equal(run.predict("GEFCom2014-E.csv"), found)


def test_the_steps_of_the_lead_are_known_too(here: Path, capsys: Capture) -> None:
    run = here / "late"
    found = rnnexp.load(run).predict("shop.csv", known="plan.csv")
    assert found["issue_time"].unique().tolist() == ["2024-01-05T04:00:00"]
    assert found["timestamp"].tolist()[::5] == ["2024-01-05T06:00:00", "2024-01-05T11:00:00"]
    PLAN[:107].to_csv("plan.csv", index=False)
    said = refused([str(run), "--csv", "shop.csv", "--known", "plan.csv"], capsys)
    assert "has no value for 2024-01-05 11:00:00: add the rows of the next 8 steps" in said


# Mistakes -----------------------------------------------------------------------------------------


def text_of(plan: pd.DataFrame) -> str:
    written = io.StringIO()
    plan.to_csv(written, index=False)
    return written.getvalue()


PLAN = shop(130)[["time", "price"]]
MISTAKES = {
    "no such column": (
        text_of(PLAN.rename(columns={"price": "prise"})),
        "plan.csv: there is no column 'price'; did you mean prise?",
    ),
    "no times": (text_of(PLAN[["price"]]), "plan.csv: there is no column 'time'"),
    "ends early": (
        text_of(PLAN[:104]),
        "plan.csv: column 'price', which is known over the horizon, has no value for "
        "2024-01-05 08:00:00: add the rows of the next 6 steps after the last sold "
        "(2024-01-05 03:00:00)",
    ),
    "a missing row": (text_of(PLAN.drop(index=101)), "has no value for 2024-01-05 05:00:00"),
    "an empty cell": (
        text_of(PLAN.assign(price=PLAN["price"].mask(PLAN.index == 101))),
        "plan.csv: column 'price', which is known over the horizon, is empty at "
        "2024-01-05 05:00:00: write its value into this cell",
    ),
    "other steps": (text_of(PLAN[::24]), "has no value for 2024-01-05 04:00:00"),
    "text": (
        text_of(PLAN.astype(str).replace({"price": {str(PLAN["price"][110]): "low"}})),
        "plan.csv, line 112: 'low' in column 'price' is not a finite number; write the value into "
        "this cell",
    ),
    "a wrong time": (
        text_of(PLAN).replace("2024-01-05 06:00", "soon"),
        "plan.csv, line 104: 'soon' is not a date and time",
    ),
    "no rows": (text_of(PLAN[:0]), "plan.csv: the file has a header and no rows"),
    "another clock": (
        text_of(PLAN.assign(time=PLAN["time"] + "+02:00")),
        "the times of plan.csv have a UTC offset, those of shop.csv have none",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_file_that_cannot_be_used(name: str, here: Path, capsys: Capture) -> None:
    content, sentence = MISTAKES[name]
    Path("plan.csv").write_text(content)
    arguments = [str(here / "shop"), "--csv", "shop.csv", "--known", "plan.csv"]
    assert sentence in refused([*arguments, "--output", "out.csv"], capsys)
    assert not Path("out.csv").exists()


def test_files_that_contradict_each_other(here: Path, capsys: Capture) -> None:
    PLAN.assign(price=7.5).to_csv("other.csv", index=False)
    arguments = ["--csv", "shop.csv", "--known", "plan.csv", "--known", "other.csv"]
    sentence = "other.csv: 'price' is 7.5 for 2024-01-05 04:00:00, but"
    assert sentence in refused([str(here / "shop"), *arguments], capsys)


@pytest.mark.parametrize(
    ("run", "sentence"),
    [
        ("day", "--known: this run has no columns that are known over the horizon (data.known)"),
        ("next", "next predicts no horizon of several steps, so nothing is known over it"),
    ],
)
def test_a_run_that_knows_nothing(run: str, sentence: str, here: Path, capsys: Capture) -> None:
    arguments = [str(here / run), "--csv", "shop.csv", "--known", "plan.csv"]
    assert sentence in refused(arguments, capsys)


def test_without_the_file_it_is_offered(here: Path, capsys: Capture) -> None:
    said = refused([str(here / "shop"), "--csv", "shop.csv"], capsys)
    assert "(2024-01-05 03:00:00), or give them with --known FILE" in said


def test_it_is_not_written_over(here: Path, capsys: Capture) -> None:
    arguments = ["--csv", "shop.csv", "--known", "plan.csv", "--output", "plan.csv"]
    assert "this is an input file" in refused([str(here / "shop"), *arguments], capsys)


def test_texts_are_not_series(here: Path, capsys: Capture) -> None:
    said = refused([str(here / "shop"), "--text", "a", "--known", "plan.csv"], capsys)
    assert "was trained on series: give them with --csv FILE" in said
