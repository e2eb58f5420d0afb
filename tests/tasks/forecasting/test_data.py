"""The data module of the forecasting task: split, scaler and windows, on small and real files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.preprocessing import MinMaxScaler

from rnnexp.config import compose
from rnnexp.data.series.calendar.frequency import steps_in_a_season
from rnnexp.data.series.spans import split_by_time
from rnnexp.errors import UserError
from rnnexp.runs.build import build_data
from rnnexp.tables import Table
from rnnexp.tasks.forecasting.data import ForecastingData
from tests.support.load_files import load_table, write_load_file, write_load_files
from tests.support.shrink import WINDOWS

LECTURE = [
    "data/cleaning=keep",
    "data/conditioning=lecture",
    "data/chunking=running_basis",
    "data.normalization.fit=file",
    "data.validation_fraction=0.0",
]


def load(root: Path, *overrides: str) -> ForecastingData:
    config = compose(["data=power_load", f"data.root={root}", *overrides])
    data = build_data(config)
    assert isinstance(data, ForecastingData)
    return data


def test_split_by_time() -> None:
    split = split_by_time(rows=1000, look_back=90, validation_fraction=0.05, test_fraction=0.1)
    assert (split.train, split.validation, split.rows) == (1000 - 91 - 45, 1000 - 91, 1000)


def test_lecture_windows_against_pandas(tmp_path: Path) -> None:
    """Every training and test window equals a plain slice of the sorted file."""
    write_load_files(tmp_path, names=("AA",))
    data = load(tmp_path, *LECTURE, "data.look_back=30", "data.batch_size=1000")
    table = pd.read_csv(tmp_path / "AA_hourly.csv", parse_dates=["Datetime"])
    values = table.sort_values("Datetime", kind="stable")["AA_MW"].to_numpy()
    count = len(values) - 30
    held_out = int(0.1 * count)
    windows = np.stack([values[i : i + 30] for i in range(count)])

    starts = torch.arange(count - held_out)
    batch = data.source.chunking.batch(data.source.store, starts, 30)
    np.testing.assert_allclose(batch.values[..., 0], windows[:-held_out], rtol=1e-6)
    np.testing.assert_allclose(batch.target[:, 0], values[30:-held_out], rtol=1e-6)
    assert torch.equal(
        data.source.chunking.starts(data.source.store, [(0, len(values) - held_out)], 30, 0, 0),
        starts,
    )

    [test] = list(data.test_dataloader())
    np.testing.assert_allclose(test.values[..., 0], windows[-held_out:], rtol=1e-6)
    np.testing.assert_allclose(test.target[:, 0], values[-held_out:], rtol=1e-6)


def test_scaler_against_scikit_learn(tmp_path: Path) -> None:
    write_load_files(tmp_path, names=("AA",))
    for fit in ("file", "train"):
        data = load(tmp_path, *WINDOWS, "data/cleaning=keep", f"data.normalization.fit={fit}")
        values = data.source.series[0].values
        seen = values if fit == "file" else values[: data.source.splits[0].train]
        reference = MinMaxScaler().fit(seen)
        scaling = data.scaling
        assert scaling["minimum"][0][0] == pytest.approx(reference.data_min_[0])
        assert scaling["range"][0][0] == pytest.approx(reference.data_range_[0])
        change = pd.Series(seen[:, 0]).diff().std(ddof=0)
        assert scaling["change"][0] == pytest.approx(change)


def test_test_windows_do_not_depend_on_cleaning(tmp_path: Path) -> None:
    write_load_files(tmp_path)
    kept, cleaned = (load(tmp_path, *WINDOWS, f"data/cleaning={c}") for c in ("keep", "careful"))
    for span in ("test", "validation"):
        a, b = kept.windows(span), cleaned.windows(span)
        assert torch.equal(a.target, b.target) and (a.time == b.time).all()


def test_a_repaired_or_empty_value_is_never_a_target(tmp_path: Path) -> None:
    table = load_table(600, seed=0)
    table.loc[595, "load"] = np.nan  # an empty cell in the test span
    table.loc[590, "load"] = 0.5  # near zero: repaired as an input, but an original row
    write_load_file(tmp_path, "AA", table)
    data = load(tmp_path, *WINDOWS)
    windows = data.windows("test")
    tested = int(0.1 * (600 - 30))
    assert len(windows) == tested - 1
    assert 0.5 in windows.target.tolist()
    assert not torch.isnan(windows.target).any()
    inputs, _, _ = data.source.store.inputs(windows.start, 30)
    assert inputs.min() > 100  # 0.5 is not among the inputs of the windows after it


@pytest.mark.parametrize("rows", [3, 20, 30, 36])
def test_short_files(tmp_path: Path, rows: int) -> None:
    write_load_files(tmp_path, names=("LONG",))
    write_load_file(tmp_path, "SHORT", load_table(rows, seed=0))
    with pytest.raises(UserError, match=rf"SHORT_hourly.csv has {rows} rows.*data.skip_short=true"):
        load(tmp_path, *WINDOWS)
    data = load(tmp_path, *WINDOWS, "data.skip_short=true")
    assert data.spec.series == ["LONG"]
    assert data.facts()["left_out"] == ["SHORT"]
    [table] = data.report()
    assert isinstance(table, Table) and table.caption == "left out, too short: SHORT"
    (tmp_path / "LONG_hourly.csv").unlink()
    with pytest.raises(UserError, match="no series is long enough"):
        load(tmp_path, *WINDOWS, "data.skip_short=true")


def test_windows_never_reach_into_another_series(tmp_path: Path) -> None:
    """Enough rows, but too few steps: most rows have the time of the row before."""
    write_load_files(tmp_path, names=("FIRST",))
    table = load_table(40, seed=0)
    table = pd.concat([table.iloc[:10].loc[table.index[:10].repeat(60)], table.iloc[10:]])
    write_load_file(tmp_path, "SECOND", table)
    merged = "data.cleaning.most_duplicates=1"
    with pytest.raises(UserError, match=r"SECOND_hourly.csv has 630 rows, too few"):
        load(tmp_path, *WINDOWS, merged)
    assert load(tmp_path, *WINDOWS, "data/cleaning=keep", merged).spec.series == ["FIRST", "SECOND"]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.look_back=0", r"data.look_back is 0: it must be at least 1"),
        ("data.validation_fraction=0.9", r"data.validation_fraction is 0.9"),
        ("data.frequency=often", r"data.frequency='often' is not a length of time"),
        ("data.frequency=0h", r"data.frequency='0h' must be positive"),
        ("data.batch_size=99999", r"fewer than"),
        ("data.chunking.length=0", r"data.chunking.length is 0: it must be at least 1"),
        ("data.chunking.warm_up=40", r"data.chunking.warm_up is 40"),
    ],
)
def test_wrong_settings(tmp_path: Path, override: str, sentence: str) -> None:
    write_load_files(tmp_path)
    with pytest.raises(UserError, match=sentence):
        load(tmp_path, *WINDOWS, "data.drop_last=true", override)


def test_setup_is_done_once(tmp_path: Path) -> None:
    write_load_files(tmp_path)
    data = load(tmp_path, *WINDOWS)
    store = data.source.store
    data.setup("fit")
    assert data.source.store is store


def test_fingerprint_is_of_content_not_time_or_place(tmp_path: Path) -> None:
    a = load(write_load_files(tmp_path / "a"), *WINDOWS).facts()
    (tmp_path / "a/AA_hourly.csv").touch()
    b = load(write_load_files(tmp_path / "b"), *WINDOWS).facts()
    assert a["fingerprints"] == b["fingerprints"] and a["data"] != b["data"]
    path = tmp_path / "b/AA_hourly.csv"
    path.write_text(path.read_text().replace(",1", ",2", 1))
    changed = load(tmp_path / "b", *WINDOWS).facts()
    assert changed["fingerprints"]["data"] != a["fingerprints"]["data"]
    assert changed["fingerprints"]["split"] == a["fingerprints"]["split"]


def test_any_regular_series(tmp_path: Path) -> None:
    """Half-hourly, two files, an extra input column, a unit."""
    for name in ("north", "south"):
        time = pd.date_range("2020-01-01", periods=600, freq="30min")
        wind = 5 + np.sin(np.arange(600) / 7) + (name == "south")
        table = pd.DataFrame({"when": time, "gusts": wind * 2, "speed": wind})
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    config = compose(
        [
            "data=series_csv",
            f"data.root={tmp_path}",
            "data.datetime_column=when",
            "data.value_column=speed",
            "data.input_columns=[gusts]",
            "data.frequency=30min",
            "data.unit=m_s",
            *WINDOWS,
        ]
    )
    data = build_data(config)
    assert isinstance(data, ForecastingData)
    assert data.spec.series == ["north", "south"]
    assert data.spec.columns == ["speed", "gusts"]
    assert data.source.season == 48
    batch = next(iter(data.train_dataloader()))
    torch.testing.assert_close(batch.values[..., 1], batch.values[..., 0] * 2)


def test_steps_in_a_season() -> None:
    hours = [1, 24, 24 * 7, 24 * 30]
    assert [steps_in_a_season(np.timedelta64(h, "h")) for h in hours] == [24, 7, 1, 1]


def test_real_files_have_the_published_windows(data_root: Path) -> None:
    root = data_root / "power_load"
    lecture = load(root, *LECTURE, "data.batch_size=1024", "data.drop_last=true")
    assert lecture.train_dataloader().sampler.count == 819_910
    assert len(lecture.train_dataloader()) * 5 == 4_000
    assert len(lecture.windows("test")) == 91_095
    ours = load(root)
    assert len(ours.windows("test")) == 91_095
    assert torch.equal(ours.windows("test").target, lecture.windows("test").target)


def test_real_files_fit_in_little_memory(data_root: Path) -> None:
    """Reading and windowing all files takes under 300 MB more than the interpreter with torch."""
    script = f"""
import resource, torch, pandas, pytorch_lightning, hydra
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from rnnexp.config import compose
from rnnexp.runs.build import build_data
data = build_data(compose(["data=power_load", "data.root={data_root / "power_load"}"]))
next(iter(data.train_dataloader())), next(iter(data.test_dataloader()))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(done.stdout.split()[-1]) < 300
