"""ETTh1 and ETTh2: each column is a series of its own."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.cli import main
from rnnexp.data.sources.ett import COLUMNS, read_ett
from rnnexp.errors import UserError
from tests.support.public_series import write_ett
from tests.support.shrink import QUIET, TINY, WINDOWS

NAMES = [f"{file}_{column}" for file in ("ETTh1", "ETTh2") for column in COLUMNS]


def test_every_column_is_a_series(tmp_path: Path) -> None:
    write_ett(tmp_path, hours=50)
    series = read_ett([tmp_path])
    assert [one.name for one in series] == NAMES
    for one in series:
        file, _, column = one.name.partition("_")
        table = pd.read_csv(tmp_path / f"{file}.csv", parse_dates=["date"])
        assert one.values.shape == (50, 1)
        np.testing.assert_allclose(one.values[:, 0], table[column], rtol=1e-15)
        np.testing.assert_array_equal(one.time, table["date"].to_numpy().astype("datetime64[s]"))
        assert one.place == f"{tmp_path / file}.csv, series '{one.name}'"


def test_one_file_is_seven_series(tmp_path: Path) -> None:
    write_ett(tmp_path)
    assert [one.name for one in read_ett([tmp_path / "ETTh2.csv"])] == NAMES[7:]


def test_what_is_refused(tmp_path: Path) -> None:
    write_ett(tmp_path, hours=50)
    table = pd.read_csv(tmp_path / "ETTh1.csv").drop(columns="OT")
    table.to_csv(tmp_path / "ETTh1.csv", index=False)
    with pytest.raises(UserError, match=r"ETTh1\.csv: there is no column 'OT'"):
        read_ett([tmp_path])
    (tmp_path / "ETTh1.csv").unlink()
    with pytest.raises(UserError, match=r"the folder has no file ETTh1\.csv"):
        read_ett([tmp_path])
    (tmp_path / "copy").mkdir()
    copy = Path(shutil.copy(tmp_path / "ETTh2.csv", tmp_path / "copy"))
    with pytest.raises(UserError, match="the series name 'ETTh2_HUFL' is already taken"):
        read_ett([tmp_path / "ETTh2.csv", copy])


def test_train_and_predict(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a series that is mostly 0, and one that crosses zero."""
    folder = write_ett(empty_folder / "data" / "ett")
    monkeypatch.setenv("RNNEXP_DATA", str(empty_folder / "data"))
    assert main(["train", "data=ett", *WINDOWS, *TINY, *QUIET]) == 0
    [run] = (empty_folder / "outputs" / "ett").iterdir()
    metrics = json.loads((run / "metrics.json").read_text())
    assert all(metrics[f"test/mae/{name}"] > 0 for name in NAMES)
    assert all(np.isfinite(metrics[f"test/mase/{name}"]) for name in NAMES)
    capsys.readouterr()
    assert main(["predict", str(run), "--csv", str(folder / "ETTh2.csv")]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in NAMES[7:])


def test_a_constant_column_is_named(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_ett(empty_folder / "ett")
    table = pd.read_csv(folder / "ETTh2.csv")
    table["HULL"] = 0.0
    table.to_csv(folder / "ETTh2.csv", index=False)
    assert main(["data", "check", "ett", f"data.root={folder}"]) == 2
    assert "ETTh2.csv, series 'ETTh2_HULL': the series is constant (0)" in capsys.readouterr().err


def test_the_real_files(data_root: Path) -> None:
    folder = data_root / "ett"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}")
    series = read_ett([folder])
    assert [one.name for one in series] == NAMES
    assert all(one.values.shape == (17_420, 1) for one in series)
    assert {str(one.time[-1]) for one in series} == {"2018-06-26T19:00:00"}
