"""rnnexp data check looks at a file that nobody has described, and proposes the whole command."""

import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.config.compose import initialised, parse
from rnnexp.config.typed import override_of, typed
from rnnexp.data.series.source import SeriesSource
from rnnexp.runs.build import build_data
from tests.support.refusals import refused

Capture = pytest.CaptureFixture[str]
HOURS = 700
TIME = pd.date_range("2020-01-05", periods=HOURS, freq="h")
LOAD = (1000 + 100 * np.sin(np.arange(HOURS) / 24 * 2 * np.pi)).round(2)


def german(number: float) -> str:
    return f"{number:,.2f}".translate(str.maketrans(",.", ".,"))


def plain() -> str:
    return pd.DataFrame({"time": TIME, "mw": LOAD}).to_csv(index=False)


def from_germany() -> bytes:
    rows = [f"{t:%d.%m.%Y %H:%M};{german(v)}" for t, v in zip(TIME, LOAD, strict=True)]
    return "\r\n".join(["Zeit;Größe in MW", *rows]).encode("latin-1")


def from_a_household() -> str:
    rows = [f"{t:%d/%m/%Y};{t:%H:%M:%S};{v}" for t, v in zip(TIME, LOAD, strict=True)]
    return "\n".join(["Date;Time;Power", *rows]).replace(f"{LOAD[5]}", "?", 1)


def from_america() -> str:
    rows = [f'{t:%m/%d/%Y %I:%M %p},"{v:,.2f}"' for t, v in zip(TIME, LOAD, strict=True)]
    return "\n".join(["time,mw", *rows])


def long() -> str:
    parts = [pd.DataFrame({"zone": z, "time": TIME, "mw": LOAD + n}) for n, z in enumerate("AB")]
    return pd.concat(parts).to_csv(index=False)


def calendar() -> str:
    columns = {"year": TIME.year, "month": TIME.month, "day": TIME.day, "hour": TIME.hour}
    return pd.DataFrame({**columns, "mw": LOAD}).to_csv(index=False)


FILES: dict[str, tuple[Callable[[], str | bytes], list[str]]] = {
    "plain": (plain, []),
    "bytes with a mark": (lambda: plain().replace(",", "\t").encode("utf-16"), ["separator=tab"]),
    "Germany": (from_germany, ["decimal=comma", "thousands=point", "encoding=latin-1"]),
    "household": (from_a_household, ["datetime_column=[Date,Time]", 'missing=["?"]']),
    "America": (from_america, ["datetime_format=%m/%d/%Y %I:%M %p", "thousands=comma"]),
    "long": (long, ["series_column=zone"]),
    "calendar": (calendar, ["datetime_format=%Y %m %d %H"]),
}


@pytest.mark.parametrize("name", FILES)
def test_the_proposed_command_reads_the_file(name: str, empty_folder: Path, capfd: Capture) -> None:
    make, words = FILES[name]
    content = make()
    Path("my file.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["data", "check", "series_csv", "data.root=my file.csv"]) == 0
    said = capfd.readouterr().out
    assert "Series summary" in said
    command = said.splitlines()[-1]
    assert all(f"data.{word}" in command for word in words), command
    program, train, *overrides = shlex.split(command)
    assert program.endswith("rnnexp") and train == "train"
    source = build_data(compose(overrides)).source
    assert isinstance(source, SeriesSource)
    np.testing.assert_array_equal(source.series[0].time, TIME.to_numpy().astype("M8[s]"))
    observed = source.series[0].observed
    np.testing.assert_array_equal(source.series[0].values[observed, 0], LOAD[observed])
    assert observed.sum() >= HOURS - 1


def test_short_series_of_months(empty_folder: Path, capfd: Capture) -> None:
    """The classic example: 144 months of passengers."""
    month = pd.date_range("1949-01-01", periods=144, freq="MS").strftime("%Y-%m")
    passengers = 100 + np.arange(144) + 20 * np.sin(np.arange(144) / 12 * 2 * np.pi)
    table = pd.DataFrame({"Month": month, "Passengers": passengers.round()})
    table.to_csv("air.csv", index=False)
    assert main(["data", "check", "series_csv", "data.root=air.csv"]) == 0
    command = capfd.readouterr().out.splitlines()[-1]
    assert command.endswith(
        "data.datetime_column=Month data.frequency=MS data.look_back=24 data.chunking.length=36 "
        "data.chunking.warm_up=9"
    )


def test_what_is_given_stays(empty_folder: Path, capfd: Capture) -> None:
    table = pd.DataFrame({"time": TIME, "a": LOAD, "b": LOAD + 1})
    table.to_csv("two.csv", index=False)
    check = ["data", "check", "series_csv", "data.root=two.csv"]
    assert main(check) == 0
    said = capfd.readouterr().out
    assert "'a' is taken as the value to predict" in said and "'b'" in said
    assert main([*check, "data.value_column=b", "data.unit=MW"]) == 0
    command = capfd.readouterr().out.splitlines()[-1]
    assert command.endswith(
        "rnnexp train data=series_csv data.root=two.csv data.value_column=b data.unit=MW "
        "data.datetime_column=time"
    )


def test_what_is_in_doubt_is_asked_about(empty_folder: Path, capfd: Capture) -> None:
    check = ["data", "check", "series_csv", "data.root=a.csv"]
    short = [f"{t:%d/%m/%Y},{t.hour},{v}" for t, v in zip(TIME[:160], LOAD, strict=False)]
    Path("a.csv").write_text("\n".join(["Date,Hour,mw", *short]))
    said = refused(check, capfd)
    assert "set data.datetime_format=%d/%m/%Y or data.datetime_format=%m/%d/%Y" in said
    assert main([*check, "data.datetime_format=%d/%m/%Y"]) == 0
    said = capfd.readouterr().out
    assert " 2020-01-05   2020-01-11 " in said
    assert "data.datetime_format=%d/%m/%Y 'data.datetime_column=[Date,Hour]'" in said
    Path("a.csv").write_text("name,colour\nx,red\ny,blue\n")
    assert "no column of dates and times was recognised" in refused(check, capfd)
    Path("a.csv").write_text("time,colour\n2020-01-01,red\n2020-01-02,blue\n")
    assert "no column of numbers was recognised" in refused(check, capfd)


def test_classes_of_ones_own_are_allowed(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    """In a fresh process' place: the module is in the current folder."""
    Path("mysource.py").write_text(
        "from rnnexp.data.sources.synthetic_load import SyntheticLoad\n\n\n"
        "class Mine(SyntheticLoad):\n    pass\n"
    )
    Path("conf/data").mkdir(parents=True)
    Path("conf/data/mine.yaml").write_text(
        "defaults: [synthetic_load, _self_]\n_target_: mysource.Mine\n"
    )
    monkeypatch.setenv("RNNEXP_ALLOW", "")
    check = ["data", "check", "mine", "data.days=40", "data.look_back=30"]
    check += ["data.chunking.length=40"]
    assert "needs --allow PACKAGE" in refused(check, capfd)
    assert main([*check, "--allow", "mysource"]) == 0


@pytest.mark.parametrize(
    "value",
    [
        *("a", "a b", "%d/%m/%Y %H:%M", "%b %d, %Y", ";", "#", "?", "it's", "10", "true", "null"),
        *("MW [kW]", "Größe", 'say "x"', "$HOME", "a=b", "15min", "1e5", "W-MON", "\t"),
        *(10, 0.5, ["a", "b c", "?"], ["?", -999], ["1", 2]),
    ],
)
def test_what_is_offered_can_be_typed(value: object) -> None:
    """Through a shell and Hydra, every value comes back."""
    [word] = shlex.split(typed("data.unit", value))  # type: ignore[arg-type]
    assert word == override_of("data.unit", value)  # type: ignore[arg-type]
    with initialised(None):
        assert parse([word])[0].value() == value


def by_the_clock(zone: str | None, first: str = "2024-01-01", days: int = 310) -> pd.DataFrame:
    """Hours as the clock of a zone shows them, with two inputs."""
    time = pd.date_range(first, periods=24 * days, freq="h", tz=zone).tz_localize(None)
    load = (1000 + 100 * np.sin(np.arange(len(time)) / 24 * 2 * np.pi)).round(2)
    return pd.DataFrame({"time": time, "mw": load, "price": load % 7, "wind": load % 3})


def remarks(table: pd.DataFrame, capfd: Capture, *settings: str) -> str:
    table.to_csv("load.csv", index=False)
    assert main(["data", "check", "series_csv", "data.root=load.csv", *settings]) == 0
    said, command = capfd.readouterr().out.split("to train on it:")
    assert "timezone" not in command and "known" not in command
    return " ".join(said.partition("Series summary")[0].split())


BERLIN = "2024-03-31 02:00 is missing and 2024-10-27 02:00 stands there twice, as where the clock "
BERLIN += "is changed: add data.timezone=Europe/Berlin (or another zone with the same changes), or "
BERLIN += "data.timezone=Europe/London data.timestamps=end if times are the ends of their steps"


@pytest.mark.parametrize(
    ("zone", "sentence"),
    [
        ("Europe/Berlin", BERLIN),
        ("America/Chicago", "2024-03-10 02:00 is missing and 2024-11-03 01:00 stands there twice"),
        ("Australia/Melbourne", "add data.timezone=Australia/Sydney (or another zone"),
        (None, ""),
        ("UTC", ""),
        ("Asia/Tokyo", ""),
    ],
)
def test_the_changes_of_a_clock_are_named(
    zone: str | None, sentence: str, empty_folder: Path, capfd: Capture
) -> None:
    said = remarks(by_the_clock(zone), capfd)
    assert sentence in said and ("timezone" in said) == bool(sentence)


def test_other_gaps_and_repeated_times_are_not_those_of_a_clock(
    empty_folder: Path, capfd: Capture
) -> None:
    table = by_the_clock(None)
    change = 24 * 90 + 2  # in Europe
    assert "2024-03-31 02:00 is missing, as" in remarks(table.drop(index=[change, 9]), capfd)
    assert "timezone" not in remarks(table.drop(index=[change, change + 1]), capfd)
    assert "timezone" not in remarks(table.drop(index=[change + 24]), capfd)
    said = remarks(pd.concat([table[:500], table[499:]]), capfd)
    assert "rows with the time of another row: 1; each such time takes their mean, or" in said
    assert "data.cleaning.duplicates=first" in said and "timezone" not in said


def test_the_words_for_a_horizon_and_its_inputs_are_named(
    empty_folder: Path, capfd: Capture
) -> None:
    table = by_the_clock(None, days=30)
    said = remarks(table, capfd)
    assert 'add data.input_columns="[price,wind]"; or with task=horizon' in said.replace("'", '"')
    assert 'data.known="[price,wind]" for columns' in said.replace("'", '"')
    assert 'data.observed="[price,wind]" for those' in said.replace("'", '"')
    assert "for the next 24, add task=horizon data.horizon=24" in said
    assert "horizon" not in remarks(table[["time", "mw"]], capfd, "data.horizon=1")
