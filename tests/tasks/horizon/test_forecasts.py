"""Forecasts as a table and as a picture."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image
from matplotlib.dates import date2num

from rnnexp import console
from rnnexp.cli import main
from rnnexp.tasks.horizon.figures import MOST_PANELS
from rnnexp.tasks.horizon.forecasts import HorizonForecasts, levels_of, short_times
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


def forecasts(
    *names: str, horizon: int = 168, levels: list[float] = LEVELS, unit: str = "MW"
) -> HorizonForecasts:
    times = pd.date_range("2024-03-01", periods=horizon, freq="h")
    written = times.strftime("%Y-%m-%dT%H:%M:%S")
    rows = []
    for number, name in enumerate(names):
        point = 1000.0 * number + np.arange(horizon)
        first = {"series": name, "issue_time": written[0], "step": np.arange(1, horizon + 1)}
        quantiles = {f"q{level:g}": point + 100 * level - 50 for level in levels}
        rows.append(pd.DataFrame(first | {"timestamp": written, "prediction": point} | quantiles))
    past = pd.Series(np.arange(48.0), pd.date_range("2024-02-28", periods=48, freq="h"))
    return HorizonForecasts(pd.concat(rows), unit, [], {}, dict.fromkeys(names, past))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("names", [["AEP"], ["AEP", "a series of two"]])
def test_a_week_with_nine_quantiles_is_a_table_of_one_line_a_step(
    names: list[str], width: int
) -> None:
    table = forecasts(*names).table()
    [part] = console.parts(table, width)
    assert len(part.rows) == 168 * len(names)
    drawn = console.rich_table(part, width)
    assert console.console.measure(drawn).maximum <= width
    headings = [column.heading for column in table.columns]
    assert headings[-4:] == ["for", "prediction, MW", "10 %", "90 %"]
    assert table.rows[0][-4:] == ["2024-03-01 00:00", "0", "-40", "40"]
    assert table.caption == "10 %, 90 %: quantiles; --output FILE.csv writes all 9"
    if len(names) == 1:
        assert headings[0] == "for" and table.title == "AEP, issued at 2024-03-01 00:00"
    else:
        assert headings[0] == "series" and table.rules == {167}
        assert table.title == "issued at 2024-03-01 00:00"


def test_series_that_end_at_different_times() -> None:
    early, late = forecasts("AEP", horizon=2), forecasts("DOM", horizon=2)
    rows = late.rows.assign(issue_time="2024-03-02T00:00:00")
    found = HorizonForecasts(pd.concat([rows, early.rows]), "MW", [])
    assert found.table().title == "issued 2024-03-01 00:00 to 2024-03-02 00:00"


def test_other_quantiles() -> None:
    table = forecasts("AEP", horizon=2, levels=[0.005, 0.5], unit="").table()
    assert [column.heading for column in table.columns] == ["for", "prediction", "0.5 %"]
    assert table.caption == "0.5 %: quantiles"
    table = forecasts("AEP", horizon=2, levels=[]).table()
    assert [column.heading for column in table.columns] == ["for", "prediction, MW"]
    assert table.caption == ""
    assert levels_of(pd.DataFrame(columns=["quality", "q0.5", "q1e-05"])) == [1e-05, 0.5]


def test_times_are_short_where_all_of_them_are() -> None:
    assert short_times(["2024-03-01T00:00:00", "2024-03-02T00:00:00"]) == [
        *("2024-03-01", "2024-03-02")
    ]
    assert short_times(["2024-03-01T00:00:00", "2024-03-01T00:30:00"])[0] == "2024-03-01 00:00"
    assert short_times(["2024-03-01T00:00:00", "2024-03-01T00:00:30"])[0] == "2024-03-01 00:00:00"
    assert short_times(["2024-03-01T00:00:00+01:00"]) == ["2024-03-01 00:00+01:00"]
    assert short_times(["2024-03-01T00:00:00Z"]) == ["2024-03-01 00:00Z"]
    assert short_times([]) == []


def test_a_picture_has_a_panel_for_each_series_with_what_came_before() -> None:
    figure = forecasts("a $1$ shop", "kiosk", horizon=24).figure()
    assert [axes.get_title() for axes in figure.axes] == [
        r"a \$1\$ shop, issued at 2024-03-01 00:00",
        "kiosk, issued at 2024-03-01 00:00",
    ]
    for axes in figure.axes:
        lines = {str(line.get_label()): line for line in axes.get_lines()}
        assert list(lines) == ["history", "forecast", "issue time"]
        assert np.shape(lines["history"].get_xdata()) == (48,)
        assert np.shape(lines["forecast"].get_xdata()) == (24,)
        issued = float(date2num(np.datetime64("2024-03-01")))
        assert date2num(lines["issue time"].get_xdata()).tolist() == [issued, issued]
        assert axes.get_ylabel() == "MW"
    [legend] = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts[:2] == ["history", "central 80 %"] and len(texts) == 7
    figure.canvas.draw()


def test_many_series_are_not_all_drawn() -> None:
    figure = forecasts(*(f"shop {number}" for number in range(40)), horizon=2).figure()
    assert len(figure.axes) == MOST_PANELS
    assert figure.get_suptitle() == "the first 12 of 40 series"


def test_pictures_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    settings = ["data=synthetic_load", "task=horizon", "data.horizon=24", "data.test_windows=2"]
    settings += ["data.batch_size=4", *SYNTHETIC_LOAD, *TINY, *QUIET]
    assert main(["train", *settings, "hydra.run.dir=run"]) == 0
    time = pd.date_range("2024-03-01", periods=90, freq="h").strftime("%Y-%m-%d %H:%M:%S")
    load = 1000 + 100 * np.sin(np.arange(90) / 4)
    pd.DataFrame({"Datetime": time, "x_MW": load}).to_csv("x_hourly.csv", index=False)
    for name in ("out.png", "out.svg", "out.pdf"):
        capsys.readouterr()
        assert main(["predict", "run", "--csv", "x_hourly.csv", "--output", name]) == 0
        assert f"a picture of the predictions in {name}" in capsys.readouterr().out
    assert image.imread("out.png").shape[1] == 1100
    assert Path("out.svg").read_text().startswith("<?xml")
    assert Path("out.pdf").read_bytes().startswith(b"%PDF")

    Path("short_hourly.csv").write_text("Datetime,x_MW\n2024-03-01 00:00:00,1\n")
    arguments = ["predict", "run", "--csv", "short_hourly.csv", "--csv", "x_hourly.csv"]
    assert main([*arguments, "--output", "out.csv"]) == 1
    assert "without a prediction: 1 of 2; their rows in out.csv" in capsys.readouterr().err
    Path("x_hourly.csv").write_text(Path("short_hourly.csv").read_text())
    for name in ("none.png", "none.csv"):
        assert main([*arguments, "--output", name]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 3
        assert "without a prediction: 2 of 2; nothing was written" in said.err
        assert not Path(name).exists()
