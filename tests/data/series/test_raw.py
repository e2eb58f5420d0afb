"""Reading CSV files: against pandas, and for each mistake one sentence with file and line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.data.series.raw import RawSeries, read_series
from rnnexp.data.sources.power_load import read_power_load
from rnnexp.data.sources.series_csv import read_series_csv
from rnnexp.errors import UserError

Read = Callable[..., RawSeries]

HOURS = [f"2004-12-31 {hour:02d}:00:00" for hour in range(24)]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads the series that a text, or bytes, hold."""

    def read(content: str | bytes, **options: object) -> RawSeries:
        path = tmp_path / "A_hourly.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        settings = {"name": "A", "datetime_column": "Datetime", "columns": None} | options
        [series] = read_series(path, **settings)  # type: ignore[arg-type]
        return series

    return read


def rows(*times: str, header: str = "Datetime,A_MW") -> str:
    """A file whose values count up from 1."""
    return "\n".join([header, *(f"{time},{n}" for n, time in enumerate(times, start=1))]) + "\n"


# --- what is read -------------------------------------------------------------------------------


def test_rows_are_sorted_by_time_and_equal_times_keep_their_order(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    hours = generator.integers(0, 300, 500)  # many duplicates, in no order
    table = pd.DataFrame(
        {
            "Datetime": pd.Timestamp("2010-03-01") + pd.to_timedelta(hours, "h"),
            "A_MW": generator.normal(1000, 100, 500).round(3),
        }
    )
    path = tmp_path / "A_hourly.csv"
    table.to_csv(path, index=False)
    [raw] = read_series(path, name="A", datetime_column="Datetime", columns=None)

    expected = table.sort_values("Datetime", kind="stable")
    assert raw.time.dtype == np.dtype("datetime64[s]")
    np.testing.assert_array_equal(raw.time, expected["Datetime"].to_numpy().astype("M8[s]"))
    np.testing.assert_array_equal(raw.values[:, 0], expected["A_MW"].to_numpy())


def test_an_empty_cell_is_a_missing_value(read: Read) -> None:
    raw = read("Datetime,A_MW\n2004-01-01 00:00:00,1.5\n2004-01-01 01:00:00,\n2004-01-02,-2e1\n")
    np.testing.assert_array_equal(raw.values, [[1.5], [np.nan], [-20.0]])


def test_byte_order_mark_windows_line_ends_blank_lines_and_quotes(read: Read) -> None:
    text = '\ufeffDatetime,"A_MW"\r\n"2004-01-01 00:00:00",1\r\n\r\n2004-01-01 01:00:00, 2\r\n'
    assert read(text).values[:, 0].tolist() == [1, 2]


def test_columns_are_chosen_by_name_and_in_that_order(read: Read) -> None:
    text = "sun,when,load,note\n0.5,2004-01-01,7,a\n0.25,2004-01-02,8,b\n"
    raw = read(text, datetime_column="when", columns=["load", "sun"])
    assert raw.values.tolist() == [[7, 0.5], [8, 0.25]]


def test_the_fingerprint_is_of_the_content(read: Read) -> None:
    first, again = read(rows(*HOURS)), read(rows(*HOURS))
    changed = read(rows(*HOURS).replace(",24", ",25"))
    assert first.fingerprint == again.fingerprint != changed.fingerprint


# --- dates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "joint"),
    [
        ("%Y-%m-%d %H:%M:%S", " "),
        ("%Y-%m-%dT%H:%M:%S", "T"),
        ("%Y-%m-%d %H:%M", " "),
        ("%Y/%m/%d %H:%M", " "),
        ("%d.%m.%Y %H:%M", " "),
        ("%d/%m/%Y %H:%M:%S", " "),
        ("%d-%m-%Y %H:%M", " "),
        ("%m/%d/%Y %H:%M", " "),  # not ambiguous over a month
    ],
)
def test_datetime_formats_are_found_out_from_the_whole_column(
    read: Read, shown: str, joint: str
) -> None:
    times = pd.date_range("2004-01-01", periods=31 * 24, freq="h")
    raw = read(rows(*times.strftime(shown)))
    np.testing.assert_array_equal(raw.time, times.to_numpy().astype("M8[s]"))


def test_midnight_may_be_a_bare_date(read: Read) -> None:
    raw = read(rows("31.12.2004", "31.12.2004 01:00", "31.12.2004 02:00:30"))
    assert raw.time.astype(str).tolist() == [
        "2004-12-31T00:00:00",
        "2004-12-31T01:00:00",
        "2004-12-31T02:00:30",
    ]


@pytest.mark.parametrize("sign", ["/", ".", "-"])
def test_an_ambiguous_column_is_an_error_that_offers_the_override(read: Read, sign: str) -> None:
    text = rows(*(f"0{day}{sign}02{sign}2004 01:00" for day in (1, 3, 4)))
    with pytest.raises(UserError, match=r"A_hourly\.csv.*day-first or month-first") as error:
        read(text)
    offer = f"%d{sign}%m{sign}%Y %H:%M"
    assert f'data.datetime_format="{offer}"' in str(error.value)
    assert read(text, datetime_format=offer).time[1] == np.datetime64("2004-02-03T01:00:00")
    month_first = read(text, datetime_format=f"%m{sign}%d{sign}%Y %H:%M")
    assert month_first.time[1] == np.datetime64("2004-03-02T01:00:00")


def test_the_override_is_followed_to_the_letter(read: Read) -> None:
    text = rows("12/31/2004 11:00 PM", "12/31/2004 12:00 PM")
    raw = read(text, datetime_format="%m/%d/%Y %I:%M %p")
    assert raw.time.astype(str).tolist() == ["2004-12-31T12:00:00", "2004-12-31T23:00:00"]
    with pytest.raises(UserError, match="line 2: '2004-12-31 00:00:00'"):
        read(rows(*HOURS), datetime_format="%d/%m/%Y %H:%M")


@pytest.mark.parametrize("wrong", ["mixed", "%d/%m/%Y %H:%M%Z", "%Y-%Q"])
def test_a_wrong_override_is_an_error(read: Read, wrong: str) -> None:
    with pytest.raises(UserError, match=r"data\.datetime_format="):
        read(rows(*HOURS), datetime_format=wrong)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["2004-01-01", "yesterday"], "line 3: 'yesterday'"),
        (["yesterday", "2004-01-01"], "line 2: 'yesterday'"),
        (["2004-01-01", "2004-02-30"], "line 3: '2004-02-30'"),
        (["2004-01-01", "", "2004-01-02"], "line 3: '' is not a date and time"),
        (["13/01/2004", "14/01/2004", "01/13/2004"], "line 4: '01/13/2004'"),
        (["01/02/2004", "2004-02-02"], "line 3: '2004-02-02'"),
        (["31/12/04 01:00", "31/12/04 02:00"], r"line 2.*data\.datetime_format"),
        (["1104541200", "1104544800"], "line 2: '1104541200'.*set data.datetime_format=epoch_sec"),
        (["2004-01-01 00:00:00Z", "2004-01-01 01:00:00"], "line 3.*no UTC offset"),
        (["2004-01-01 00:00:00", "2004-01-01 01:00:00+01:00"], "line 3.*time zone"),
    ],
)
def test_a_date_that_does_not_fit_is_an_error_with_its_line(
    read: Read, times: list[str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        read(rows(*times))


def test_times_finer_than_a_second_are_refused(read: Read) -> None:
    text = rows("2004-01-01 00:00:00.000", "2004-01-01 00:00:00.500")
    with pytest.raises(UserError, match=r"line 3.*fractions of a second"):
        read(text, datetime_format="%Y-%m-%d %H:%M:%S.%f")


# --- mistakes -----------------------------------------------------------------------------------

GOOD = "2004-01-01 00:00:00,1\n2004-01-01 01:00:00,2\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n \n", "the file is empty"),
        ("Datetime,A_MW\n", "a header and no rows"),
        ("Datetime\n2004-01-01\n", "expected two columns.*1: Datetime"),
        ("Datetime;A_MW\n2004-01-01;1\n", "another separator: set data.separator=semicolon"),
        ("Datetime,A_MW,B_MW\n2004-01-01,1,2\n", "found 3: Datetime, A_MW, B_MW"),
        ("Datetim,A_MW\n" + GOOD, "no column 'Datetime'; did you mean Datetim?"),
        (GOOD, "line 1: 2004-01-01 00:00:00, 1 are data: the first line must hold the names"),
        (
            "Datetime,A_MW\n" + GOOD + "2004-01-01 02:00:00\n",
            "line 4.* 1 columns, the header has 2",
        ),
        ("Datetime,A_MW\n2004-01-01,1,\n2004-01-02,1,\n", "line 2.* 3 columns, the header has 2"),
        # one row too short and one too long make up for each other
        ("Datetime,A_MW\n" + GOOD + "2004-01-02\n2004-01-03,1,2\n", "line 4.*this row has 1"),
        ("Datetime,A_MW\n" + GOOD + "\n2004-01-02,12 MW\n", "line 5: '12 MW' in column 'A_MW'"),
        ("Datetime,A_MW\n" + GOOD + '2004-01-02,"1,234"\n', "line 4: '1,234'"),
        ("Datetime,A_MW\n2004-01-01,TRUE\n2004-01-02,FALSE\n", "line 2: 'TRUE'"),
        ("Datetime,A_MW\n" + GOOD + "2004-01-02,inf\n", "line 4: 'inf'"),
        ("Datetime,A_MW\n" + GOOD + "2004-01-02,-Infinity\n", "line 4: '-Infinity'"),
        ("Datetime,A_MW\n" + GOOD + "2004-01-02,1e999\n", "line 4: '1e999'"),
        ("Datetime,A_MW\n" + GOOD + '2004-01-02,"5\n', "A_hourly.csv"),
        ("Datetime,A_MW\n2004-01-01,\n2004-01-02,\n", "column 'A_MW' has no values"),
        (b"Datetime,A_MW\n2004-01-01,1\n2004-01-02,2\xb0\n", "line 3: the file is not UTF-8"),
        (rows(*HOURS).encode("utf-16-le"), "data.encoding=utf-16-le"),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_file(
    read: Read, content: str | bytes, message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        read(content)
    assert "A_hourly.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_number_in_an_extra_input_is_checked_too(read: Read) -> None:
    text = "when,load,sun\n2004-01-01,7,0.5\n2004-01-02,8,bright\n"
    with pytest.raises(UserError, match="line 3: 'bright' in column 'sun'"):
        read(text, datetime_column="when", columns=["load", "sun"])


def test_two_columns_of_the_wanted_name(read: Read) -> None:
    with pytest.raises(UserError, match="2 columns are called 'load'"):
        read("when,load,load\n2004-01-01,7,8\n", datetime_column="when", columns=["load"])


# --- folders ------------------------------------------------------------------------------------


def test_power_load_reads_every_file_by_name(tmp_path: Path) -> None:
    for name in ("PJM_Load", "AEP"):
        (tmp_path / f"{name}_hourly.csv").write_text(rows(*HOURS, header=f"Datetime,{name}_MW"))
    (tmp_path / "notes.csv").write_text("not a series")
    assert [raw.name for raw in read_power_load(tmp_path)] == ["AEP", "PJM_Load"]


def test_folder_that_is_missing_or_holds_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: there is no such folder"):
        read_power_load(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no file NAME_hourly\.csv"):
        read_power_load(tmp_path)
    with pytest.raises(UserError, match="the folder has no CSV file"):
        read_series_csv([tmp_path], datetime_column="when")
    with pytest.raises(UserError, match=r"nowhere\.csv: the file cannot be read"):
        read_series_csv([tmp_path / "nowhere.csv"], datetime_column="when")


def test_series_csv_reads_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    for place in ("river.csv", "more/tide.csv", "more/lake.csv"):
        (tmp_path / place).write_text("when,level\n2004-01-01,7\n2004-01-02,8\n")
    series = read_series_csv([tmp_path / "river.csv", tmp_path / "more"], datetime_column="when")
    assert [raw.name for raw in series] == ["river", "lake", "tide"]


def test_one_series_name_twice(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "river.csv").write_text("when,level\n2004-01-01,7\n2004-01-02,8\n")
    with pytest.raises(
        UserError, match=r"b/river\.csv.*'river' is already taken by .*a/river\.csv"
    ):
        read_series_csv([tmp_path / "a", tmp_path / "b"], datetime_column="when")


def test_extra_inputs_need_the_value_column(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.value_column"):
        read_series_csv([tmp_path], datetime_column="when", input_columns=["sun"])
