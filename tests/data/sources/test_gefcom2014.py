"""GEFCom2014-E: when its hours begin, where its series begins, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from rnnexp.cli import main
from rnnexp.data.sources.gefcom2014 import read_gefcom2014
from rnnexp.errors import UserError
from tests.support.public_series import write_gefcom2014
from tests.support.shrink import QUIET, TINY, WINDOWS

HEADER = "Date,Hour,load,T\n"


def test_an_hour_has_the_time_of_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "GEFCom2014-E.csv"
    path.write_text(
        HEADER + "2005/12/31,24,,30.5\n2006/1/1,1,3010,22.67\n2006/1/1,2,,21\n2006/1/1,3,2000,20\n"
        "2006/1/1,24,2500,19\n"
    )
    [raw] = read_gefcom2014([tmp_path])
    assert raw.name == "GEFCom2014-E"
    assert raw.time.astype(str).tolist() == [
        *("2006-01-01T00:00:00", "2006-01-01T01:00:00", "2006-01-01T02:00:00"),
        "2006-01-01T23:00:00",
    ]
    expected = [[3010, 22.67], [np.nan, 21], [2000, 20], [2500, 19]]
    np.testing.assert_array_equal(raw.values, expected)


@pytest.mark.parametrize("date", ["2006-01-{:02}", "{:02}-01-2006", "1/{}/2006"])
def test_other_ways_to_write_its_dates(tmp_path: Path, date: str) -> None:
    """Copies of the file differ in that."""
    rows = [f"{date.format(day)},{hour},{hour},1" for day in (1, 13) for hour in (1, 24)]
    (tmp_path / "GEFCom2014-E.csv").write_text(HEADER + "\n".join(rows))
    [raw] = read_gefcom2014([tmp_path])
    assert raw.time.astype(str).tolist() == [
        *("2006-01-01T00:00:00", "2006-01-01T23:00:00"),
        *("2006-01-13T00:00:00", "2006-01-13T23:00:00"),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("2006/1/1,1,1,1\n2006/1/2,0,3010,22\n", r"Hour 0 on 2006-01-02: .*are 1 to 24"),
        ("2006/1/1,1,x,22\n", r"line 2: 'x' in column 'load' is not a finite number"),
        ("2006/1/1,25,1,22\n", r"line 2: '2006/1/1 25' is not a date and time"),
        ("2006/1/1,1,,22\n", "column 'load' has no values"),
    ],
)
def test_rows_that_are_refused(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "GEFCom2014-E.csv").write_text(HEADER + rows)
    with pytest.raises(UserError, match=message):
        read_gefcom2014([tmp_path])


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"the folder has no file GEFCom2014-E\.csv"):
        read_gefcom2014([tmp_path])


def test_train_and_predict(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_gefcom2014(empty_folder / "data" / "gefcom2014")
    monkeypatch.setenv("RNNEXP_DATA", str(empty_folder / "data"))
    assert main(["train", "data=gefcom2014", *WINDOWS, *TINY, *QUIET]) == 0
    [run] = (empty_folder / "outputs" / "gefcom2014").iterdir()
    assert json.loads((run / "metrics.json").read_text())["test/mae_MW"] > 0
    capsys.readouterr()
    assert main(["predict", str(run), "--csv", str(path)]) == 0
    said = capsys.readouterr().out
    assert "GEFCom2014-E" in said and "2004-01-31 00:00:00" in said


def test_the_real_file(data_root: Path) -> None:
    folder = data_root / "gefcom2014"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}")
    [raw] = read_gefcom2014([folder])
    assert raw.values.shape == (78_888, 2) and not np.isnan(raw.values).any()
    assert raw.time[[0, -1]].astype(str).tolist() == ["2006-01-01T00:00:00", "2014-12-31T23:00:00"]
    assert (np.diff(raw.time) == np.timedelta64(3600, "s")).all()
    assert raw.values[0].tolist() == [3010, 22.67]
