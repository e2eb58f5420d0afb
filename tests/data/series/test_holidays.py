"""Public holidays. The dates are those of the calendars of the places."""

import sys
from typing import Any

import numpy as np
import pytest

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.data.series.conditioning import CyclicColumns
from rnnexp.data.series.holidays import PublicHolidays
from rnnexp.errors import UserError
from rnnexp.runs.settings import facts_of_this_process, resolve

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def library() -> Any:
    return pytest.importorskip("holidays")


def found(place: str, first: str, end: str) -> list[str]:
    days = np.arange(first, end, dtype="datetime64[D]")
    return [str(day) for day in days[PublicHolidays(place).among(days)]]


def test_a_country_and_its_subdivisions(library: Any) -> None:
    common = ["2024-01-01", "2024-03-29", "2024-04-01", "2024-05-01", "2024-05-09", "2024-05-20"]
    assert found("DE", "2024-01-01", "2024-06-30") == common
    assert found("DE-BY", "2024-01-01", "2024-06-30") == sorted(
        [*common, "2024-01-06", "2024-05-30"]
    )
    assert found("GB-SCT", "2024-01-01", "2024-01-31") == ["2024-01-01", "2024-01-02"]
    assert found("GB-ENG", "2024-01-01", "2024-01-31") == ["2024-01-01"]


def test_a_day_does_not_depend_on_the_length_of_the_series(library: Any) -> None:
    """New Year 2022 was a Saturday, and observed on the last day of 2021."""
    assert found("US", "2021-12-26", "2022-01-01") == ["2021-12-31"]
    assert found("US", "2021-12-26", "2022-03-01")[:2] == ["2021-12-31", "2022-01-01"]
    assert found("US", "2021-12-26", "2021-12-26") == []


@pytest.mark.parametrize("year", [1950, 2101])
def test_years_that_the_library_does_not_know(library: Any, year: int) -> None:
    with pytest.raises(UserError, match=f"knows the years 1991 to 2100 of DE, .* of {year}: leave"):
        found("DE", f"{year}-01-01", f"{year}-02-01")


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("XX", "there is no country 'XX': give a code such as US, DE, DE-BY or GB-ENG"),
        ("us", "there is no country 'us'; did you mean US?"),
        ("de-by", "there is no country 'de'; did you mean DE-BY?"),
        ("Germany", "there is no country 'Germany'; did you mean DE?"),
        ("United States", "there is no country 'United States'; did you mean US?"),
        ("UK", "there is no country 'UK'; did you mean GB?"),
        ("NO-", "NO has no subdivision ''"),
        ("DE-by", "DE has no subdivision 'by'; did you mean DE-BY?"),
        ("DE-Bavaria", "DE has no subdivision 'Bavaria'; "),
        ("DE-Bayern", "DE has no subdivision 'Bayern'; did you mean DE-BY?"),
        ("GB-EN", "GB has no subdivision 'EN'; did you mean GB-ENG?"),
    ],
)
def test_places_that_there_are_not(library: Any, place: str, sentence: str) -> None:
    with pytest.raises(UserError) as error:
        PublicHolidays(place)
    assert f"data.conditioning.holidays={place}: {sentence}" in str(error.value)


def test_without_the_library(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    assert main(["train", "data.conditioning.holidays=US"]) == 2
    assert (
        "data.conditioning.holidays=US needs the library holidays, which is not installed: pip "
        "install 'rnnexp[holidays]', or set data.conditioning.holidays=null"
    ) in capsys.readouterr().err


def test_norway_is_a_country(library: Any) -> None:
    """NO is a word for false in YAML."""
    config: Any = compose(["data.conditioning.holidays=NO"])
    assert config.data.conditioning.holidays == "NO"


def test_the_feature(library: Any) -> None:
    time = np.arange("2024-04-30T22", "2024-05-02T02", dtype="datetime64[h]").astype("M8[s]")
    plain, with_holidays = CyclicColumns(), CyclicColumns(holidays="DE-BY")
    features = with_holidays.encode(with_holidays.calendar(time))
    assert features.shape == (28, with_holidays.size) and with_holidays.size == plain.size + 1
    assert features[:, -1].tolist() == [0.0] * 2 + [1.0] * 24 + [0.0] * 2
    assert features[:, :-1].equal(plain.encode(plain.calendar(time)))


def test_a_run_records_the_version_of_the_library(library: Any) -> None:
    """Where it decides the data, and nowhere else."""
    plain = facts_of_this_process(resolve(compose([])))["versions"]
    used = facts_of_this_process(resolve(compose(["data.conditioning.holidays=US"])))["versions"]
    assert used == plain | {"holidays": library.__version__}
