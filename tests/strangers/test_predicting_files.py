"""rnnexp predict --csv is for batches: a bad file does not stop the others, and what lies before
the look-back does not matter."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.experiment import run as train
from tests.support.shrink import HERE, QUIET

Capture = pytest.CaptureFixture[str]
Predict = Callable[..., tuple[int, str, pd.DataFrame]]
LONGEST_GAP = 20


def table(hours: int = 400, level: float = 1000) -> pd.DataFrame:
    time = pd.date_range("2020-01-05", periods=hours, freq="h")
    noise = np.random.default_rng(int(level)).normal(0, 5, hours)
    load = level + 100 * np.sin(np.arange(hours) / 24 * 2 * np.pi) + noise
    return pd.DataFrame({"time": time, "mw": load.round(1), "holiday": 0})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a constant input column; its series are `one` and `two`."""
    place = tmp_path_factory.mktemp("run")
    (place / "data").mkdir()
    for level, name in ((1000, "one"), (3000, "two")):
        table(level=level).to_csv(place / "data" / f"{name}.csv", index=False)
    settings = ["data=series_csv", f"data.root={place / 'data'}", "data.datetime_column=time"]
    settings += ["data.value_column=mw", "data.input_columns=[holiday]", "data.look_back=30"]
    settings += ["data.chunking.length=40", "model.hidden_size=4", "trainer.max_epochs=1"]
    settings += [f"data.cleaning.longest_gap={LONGEST_GAP}", *HERE, *QUIET]
    train(compose(settings), place / "run")
    return place / "run"


@pytest.fixture
def predict(run: Path, empty_folder: Path, capfd: Capture) -> Predict:
    """Predicts files of these names and tables; exit code, stderr and the rows of the answer."""

    def predict(**files: pd.DataFrame | str) -> tuple[int, str, pd.DataFrame]:
        arguments = ["predict", str(run), "--output", "out.csv"]
        for name, content in files.items():
            path = Path(f"{name}.csv")
            text = content if isinstance(content, str) else content.to_csv(index=False)
            path.write_text(text)
            arguments += ["--csv", str(path)]
        capfd.readouterr()
        code = main(arguments)
        written = Path("out.csv")
        found = pd.read_csv(written) if written.exists() else pd.DataFrame()
        return code, capfd.readouterr().err, found

    return predict


def test_a_constant_input_is_read(run: Path) -> None:
    scaling = json.loads((run / "scaling.json").read_text())
    assert [extent for _, extent in scaling["range"]] == [1, 1]


def test_a_bad_file_does_not_stop_the_others(predict: Predict) -> None:
    broken = table().assign(mw="many")
    code, said, rows = predict(one=table(), broken=broken, two=table(level=3000), short=table(9))
    assert code == 1
    assert rows["series"].tolist() == ["one", "two", "broken.csv", "short"]
    assert rows["prediction"].notna().tolist() == [True, True, False, False]
    assert "line 2: 'many' in column 'mw' is not a finite number" in rows["error"][2]
    assert "short.csv has 9 steps" in rows["error"][3]
    assert said.splitlines() == [
        *(f"rnnexp: {error}" for error in rows["error"][2:]),
        "rnnexp: without a prediction: 2 of 4; their rows in out.csv have an error in the place of "
        "it",
    ]
    alone = predict(one=table())[2]
    assert alone["prediction"][0] == pytest.approx(rows["prediction"][0], rel=1e-6)
    assert list(alone.columns) == ["series", "timestamp", "prediction", "unit"]


def test_one_bad_file_alone_is_a_mistake_of_the_user(predict: Predict) -> None:
    code, said, rows = predict(short=table(9))
    assert code == 2 and rows.empty
    assert said.startswith("rnnexp: short.csv has 9 steps") and said.count("\n") == 1


def test_only_bad_files(predict: Predict) -> None:
    code, said, rows = predict(short=table(9), empty="")
    assert code == 2 and rows.empty and len(said.splitlines()) == 3


@pytest.mark.parametrize("kind", ["missing rows", "empty cells"])
def test_a_long_gap_before_the_look_back_does_not_matter(predict: Predict, kind: str) -> None:
    whole = table()
    gap = slice(100, 100 + LONGEST_GAP + 1)
    if kind == "missing rows":
        holed = whole.drop(index=range(gap.start, gap.stop))
    else:
        holed = whole.assign(mw=whole["mw"].where(~whole.index.isin(range(gap.start, gap.stop))))
    expected = predict(one=whole)[2]["prediction"][0]
    code, said, rows = predict(one=holed)
    assert code == 0 and "rows before a long gap were left out" in said
    assert rows["prediction"][0] == pytest.approx(expected, rel=1e-6)


def test_a_long_gap_within_the_look_back_matters(predict: Predict) -> None:
    code, said, _ = predict(one=table().drop(index=range(375, 375 + LONGEST_GAP + 1)))
    assert code == 2 and "steps are missing" in said


def test_a_constant_file_of_a_known_series(predict: Predict) -> None:
    constant = table().assign(mw=1000)
    code, said, rows = predict(one=constant)
    assert code == 0 and said == "" and 800 < rows["prediction"][0] < 1200
    code, said, _ = predict(stranger=constant)
    assert code == 2 and "is constant" in said


def test_many_series_in_one_file(empty_folder: Path, capfd: Capture) -> None:
    parts = [table(level=level).assign(zone=name) for level, name in ((1000, "N"), (3000, "S/W"))]
    pd.concat(parts).to_csv("zones.csv", index=False)
    settings = ["data=series_csv", "data.root=zones.csv", "data.datetime_column=time"]
    settings += ["data.value_column=mw", "data.series_column=zone", "data.look_back=30"]
    settings += ["data.chunking.length=40", "model.hidden_size=4", "trainer.max_epochs=1"]
    assert main(["train", *settings, "name=zones", "logger=none", *HERE]) == 0
    [record] = Path("outputs/zones").glob("*/run.json")
    run = record.parent
    figures = {path.name for path in (run / "figures/predictions").iterdir()}
    assert figures == {"N.png", "S%2FW.png"}
    table(level=2000).assign(zone="new").to_csv("more.csv", index=False)
    capfd.readouterr()
    files = ["--csv", "zones.csv", "--csv", "more.csv", "--output", "out.csv"]
    assert main(["predict", str(run), *files]) == 0
    rows = pd.read_csv("out.csv")
    assert rows["series"].tolist() == ["N", "S/W", "new"]
    assert rows["prediction"].round(-3).tolist() == [1000, 3000, 2000]
    assert "(data.series_column names a series)" in capfd.readouterr().err


def test_times_with_an_offset_are_utc_and_that_is_said(predict: Predict) -> None:
    """The same hours, written in the local time of a zone one hour ahead of UTC."""
    local = table()
    local["time"] = (local["time"] + pd.Timedelta(hours=1)).dt.strftime("%Y-%m-%dT%H:%M:%S+01:00")
    _, _, expected = predict(one=table())
    code, said, rows = predict(one=local)
    assert code == 0 and "are UTC: 'one'" in said
    pd.testing.assert_frame_equal(rows, expected)
