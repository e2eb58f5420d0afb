"""Files of other countries and programs: read as they are, or refused with the words to type."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.config.typed import typed
from rnnexp.data.series.raw import RawSeries
from rnnexp.data.series.reading.dialect import Dialect
from rnnexp.data.sources.series_csv import read_series_csv
from rnnexp.errors import UserError

TIMES = ["2020-01-05 00:00", "2020-01-05 01:00", "2020-01-05 02:00"]


def read(
    tmp_path: Path, content: str | bytes, *, form: str | None = None, **dialect: object
) -> RawSeries:
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    [series] = read_series_csv(
        [path],
        datetime_column="time",
        value_column="v",
        datetime_format=form,
        dialect=Dialect(**dialect),  # type: ignore[arg-type]
    )
    return series


def rows(*cells: str, separator: str = ",") -> str:
    lines = [f"{time}{separator}{cell}" for time, cell in zip(TIMES, cells, strict=False)]
    return "\n".join([f"time{separator}v", *lines]) + "\n"


def refusal(tmp_path: Path, content: str | bytes, **settings: object) -> str:
    with pytest.raises(UserError) as error:
        read(tmp_path, content, **settings)  # type: ignore[arg-type]
    assert "a.csv" in str(error.value) and "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "character"), [("semicolon", ";"), ("tab", "\t"), ("pipe", "|"), ("#", "#")]
)
def test_separators(tmp_path: Path, name: str, character: str) -> None:
    text = rows("1.5", "2", "-3e2", separator=character)
    assert read(tmp_path, text, separator=name).values[:, 0].tolist() == [1.5, 2, -300]
    assert read(tmp_path, text, separator=character).values[:, 0].tolist() == [1.5, 2, -300]
    if name != "#":
        assert f"set data.separator={name}" in refusal(tmp_path, text)


def test_blanks_separate_too(tmp_path: Path) -> None:
    text = "time     v\n2020-01-05   1.5\n2020-01-06  2\n"
    assert read(tmp_path, text, separator="blanks").values[:, 0].tolist() == [1.5, 2]
    assert "set data.separator=blanks" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("cells", "settings", "values"),
    [
        (("1,5", "-2,25", "3"), {"decimal": "comma"}, [1.5, -2.25, 3]),
        (("1.234,5", "2", "0,5"), {"decimal": "comma", "thousands": "point"}, [1234.5, 2, 0.5]),
        (("1,234.5", "1,234,567.0", "2"), {"thousands": "comma"}, [1234.5, 1234567, 2]),
        (
            ("1 234,5", "1\u00a0234", "12\u202f345"),
            {"decimal": "comma", "thousands": "blank"},
            [1234.5, 1234, 12345],
        ),
        (("1'234.5", "1\u2019234", "7"), {"thousands": "apostrophe"}, [1234.5, 1234, 7]),
    ],
)
def test_decimals_and_thousands(
    tmp_path: Path, cells: tuple[str, ...], settings: dict[str, str], values: list[float]
) -> None:
    text = rows(*cells, separator=";")
    found = read(tmp_path, text, separator="semicolon", **settings)
    assert found.values[:, 0].tolist() == values
    offer = " ".join(f"data.{key}={value}" for key, value in settings.items())
    assert f"set {offer}" in refusal(tmp_path, text, separator="semicolon")


def test_groups_have_three_digits(tmp_path: Path) -> None:
    text = rows('"1,23"', "2", "3")
    assert "line 2: '1,23'" in refusal(tmp_path, text, thousands="comma")


def test_a_comma_that_may_group_or_divide_is_asked_about(tmp_path: Path) -> None:
    said = refusal(tmp_path, rows('"1,234"', '"2,345"'))
    assert "set data.decimal=comma or data.thousands=comma" in said


def test_cells_that_count_as_empty(tmp_path: Path) -> None:
    text = rows("?", "2", "NULL")
    assert 'set \'data.missing=["?","NULL"]\'' in refusal(tmp_path, text)
    found = read(tmp_path, text, missing=["?", None])  # Hydra reads NULL as None
    np.testing.assert_array_equal(found.values[:, 0], [np.nan, 2, np.nan])
    numbers = read(tmp_path, rows("-999", "2", "-999.0"), missing=[-999])
    np.testing.assert_array_equal(numbers.values[:, 0], [np.nan, 2, np.nan])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, encoding: str) -> None:
    assert read(tmp_path, rows("1", "2").encode(encoding)).values[:, 0].tolist() == [1, 2]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "utf-16-be"])
def test_other_encodings_are_offered(tmp_path: Path, encoding: str) -> None:
    other = {"latin-1": "Größe", "cp1252": "Preis €"}.get(encoding, "Grosse")
    lines = [line + f",{n}" for n, line in enumerate(rows("1", "2").splitlines()[1:])]
    content = "\n".join([f"time,v,{other}", *lines]).encode(encoding)
    assert f"set data.encoding={encoding}" in refusal(tmp_path, content)
    assert read(tmp_path, content, encoding=encoding).values[:, 0].tolist() == [1, 2]


def test_line_ends_of_old_macs(tmp_path: Path) -> None:
    assert read(tmp_path, rows("1", "2").replace("\n", "\r")).values[:, 0].tolist() == [1, 2]


def test_what_is_not_text_is_named(tmp_path: Path) -> None:
    assert "Excel workbook" in refusal(tmp_path, b"PK\x03\x04 and so on")
    assert "gzip archive" in refusal(tmp_path, b"\x1f\x8b\x08 and so on")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"separator": "comm"}, "data.separator='comm': give one character"),
        ({"decimal": "comma", "thousands": "comma"}, "they must differ"),
        ({"encoding": "ansi-ish"}, "data.encoding='ansi-ish' is not an encoding"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Dialect(**settings)  # type: ignore[arg-type]


# Times ------------------------------------------------------------------------------------------

HOURS = ["2020-01-05T00:00:00", "2020-01-05T01:00:00"]


def times(tmp_path: Path, *cells: str, form: str | None = None) -> RawSeries:
    lines = [f'"{cell}",{n}' for n, cell in enumerate(cells)]
    return read(tmp_path, "\n".join(["time,v", *lines]), form=form)


@pytest.mark.parametrize(
    "cells",
    [
        ("2020-01-05T00:00:00Z", "2020-01-05T01:00:00Z"),
        ("2020-01-05T00:00:00.000Z", "2020-01-05T01:00:00.000Z"),
        ("2020-01-05 00:00 UTC", "2020-01-05 01:00 UTC"),
        ("2020-01-05 00:00:00+00", "2020-01-05 01:00:00+00"),
        ("2020-01-05T02:00:00+02:00", "2020-01-05T03:00:00+0200"),
        ("2020-01-05 02:00:00+02:00", "2020-01-05 02:00:00+01:00"),  # a clock change
        ("2020-01-04T19:30:00-04:30", "2020-01-04T20:30:00-04:30"),
    ],
)
def test_utc_offsets(tmp_path: Path, cells: tuple[str, ...]) -> None:
    found = times(tmp_path, *cells)
    assert found.time.astype(str).tolist() == HOURS and found.utc


def test_an_offset_in_a_format_of_ones_own(tmp_path: Path) -> None:
    found = times(
        tmp_path, "5.1.2020 01:00 +0100", "5.1.2020 02:00 +0100", form="%d.%m.%Y %H:%M %z"
    )
    assert found.time.astype(str).tolist() == HOURS and found.utc


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (("1578182400", "1578186000"), "epoch_seconds"),
        (("1578182400000", "1578186000000"), "epoch_milliseconds"),
    ],
)
def test_epochs_are_offered_and_read(tmp_path: Path, cells: tuple[str, ...], form: str) -> None:
    with pytest.raises(UserError, match=f"line 2.*set data.datetime_format={form}"):
        times(tmp_path, *cells)
    found = times(tmp_path, *cells, form=form)
    assert found.time.astype(str).tolist() == HOURS and found.utc


@pytest.mark.parametrize(
    ("cells", "form"),
    [
        (("20200105", "20200106"), "%Y%m%d"),
        (("202001050000", "202001050100"), "%Y%m%d%H%M"),
        (("13/01/99 00:00", "13/01/99 01:00"), "%d/%m/%y %H:%M"),
        (("05-Jan-2020 00:00", "05-Jan-2020 01:00"), "%d-%b-%Y %H:%M"),
        (("01/13/2020 11:00 PM", "01/14/2020 12:00 AM"), "%m/%d/%Y %I:%M %p"),
        (("Jan 5, 2020", "Jan 6, 2020"), "%b %d, %Y"),
        (("1749", "1750"), "%Y"),
    ],
)
def test_other_formats_are_offered(tmp_path: Path, cells: tuple[str, ...], form: str) -> None:
    with pytest.raises(UserError) as error:
        times(tmp_path, *cells)
    assert str(error.value).endswith(f"set {typed('data.datetime_format', form)}")
    assert len(times(tmp_path, *cells, form=form).time) == 2


def test_an_interval_stands_for_its_beginning(tmp_path: Path) -> None:
    found = times(
        tmp_path,
        "05.01.2020 00:00 - 05.01.2020 01:00",
        "05.01.2020 01:00 - 05.01.2020 02:00",
        form="%d.%m.%Y %H:%M",
    )
    assert found.time.astype(str).tolist() == HOURS
    unasked = times(
        tmp_path, "13.01.2020 00:00 - 13.01.2020 01:00", "13.01.2020 01:00 - 13.01.2020 02:00"
    )
    assert unasked.time[0] == np.datetime64("2020-01-13T00:00:00")


def test_months_as_iso_has_them(tmp_path: Path) -> None:
    assert times(tmp_path, "1949-01", "1949-02").time[1] == np.datetime64("1949-02-01")


def test_numbers_are_those_of_the_file(tmp_path: Path) -> None:
    """To the last digit, whatever the dialect."""
    values = np.random.default_rng(0).normal(size=200) * 10.0 ** np.arange(-10, 10).repeat(10)
    stamps = pd.date_range("2020-01-01", periods=200, freq="h")
    lines = [f"{time},{value!r}" for time, value in zip(stamps, values.tolist(), strict=True)]
    text = "\n".join(["time,v", *lines])
    np.testing.assert_array_equal(read(tmp_path, text).values[:, 0], values)
    german = text.replace(",", ";").replace(".", ",")
    found = read(tmp_path, german, separator="semicolon", decimal="comma")
    np.testing.assert_array_equal(found.values[:, 0], values)
