"""A format of which a part would be read and not used is refused."""

from pathlib import Path

import pandas as pd
import pytest

from rnnexp.cli import main
from rnnexp.data.series.reading.formats import check_format
from rnnexp.errors import UserError
from tests.support.refusals import refused

REFUSED = {
    "%m/%d/%Y %H:%M %p": 'set data.datetime_format="%m/%d/%Y %I:%M %p"',
    "%p %d.%m.%Y": "%p needs %I beside it",
    "%d.%m.%Y %I:%M": r"%I needs %p \(AM or PM\); write %H",
    "%d.%m.%Y %H %I %p": "%I is not used beside %H",
    "%d.%m.%Y %y": "%y is not used beside %Y",
    "%d %b %m %Y": "is not used beside",
    "%Y-%j-%m": "%j is not used beside %m",
    "%Y-%m-%d %U": "%U cannot be used here",
    "%Y-%m-%d %Z": "%Z cannot be used here",
    "%Y-%m-%d %w": "%w cannot be used here",
    "%Y-%m-%d %d": "%d stands twice",
    "%d.%m. %H:%M": r"a date needs a year \(%Y or %y\)",
    "%Y %d": "%d needs a month",
    "%Y-%m %H": "an hour needs a day",
    "%Y-%m-%d %M": "%M needs %H",
    "%Y-%m-%d %H:%S": "%S needs %M",
    "%z %Y-%m-%d %H:%M": "%z must stand at the end",
    "ISO": "must be a strptime format",
}


@pytest.mark.parametrize("form", REFUSED)
def test_refused(form: str) -> None:
    with pytest.raises(UserError, match=REFUSED[form]):
        check_format(form)


@pytest.mark.parametrize(
    "form",
    ["%Y", "%Y-%m", "%y%m%d", "%Y-%j %H", "%A, %d %B %Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S.%f%z"],
)
def test_accepted(form: str) -> None:
    check_format(form)


def table(form: str) -> pd.DataFrame:
    time = pd.date_range("2020-01-05", periods=800, freq="h")
    return pd.DataFrame({"time": time.strftime(form), "mw": [100 + n % 24 for n in range(800)]})


def test_am_and_pm_beside_a_24_hour_clock(
    empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table("%m/%d/%Y %I:%M:%S %p").to_csv("ampm.csv", index=False)
    check = ["data", "check", "series_csv", "data.root=ampm.csv", "data.datetime_column=time"]
    said = refused([*check, "data.datetime_format='%m/%d/%Y %H:%M:%S %p'"], capfd)
    assert 'set data.datetime_format="%m/%d/%Y %I:%M:%S %p"' in said
    assert main([*check, "data.datetime_format=%m/%d/%Y %I:%M:%S %p"]) == 0
    [row] = [line for line in capfd.readouterr().out.splitlines() if " ampm " in line]
    assert row.split()[3:] == ["800", "0", "0", "0", "0", "800", "0"]


def test_a_weekday_must_be_that_of_the_date(
    empty_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = table("%a %d.%m.%Y %H:%M").to_csv(index=False)
    check = ["data", "check", "series_csv", "data.root=a.csv", "data.datetime_column=time"]
    check.append("data.datetime_format=%a %d.%m.%Y %H:%M")
    Path("a.csv").write_text(text)
    assert main(check) == 0
    capfd.readouterr()
    Path("a.csv").write_text(text.replace("Mon 06.01.2020 03:00", "Tue 06.01.2020 03:00"))
    assert "line 29: 'Tue 06.01.2020 03:00' is not a date" in refused(check, capfd)
