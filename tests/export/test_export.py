"""`rnnexp export`: what it writes and refuses, and the program that predicts without torch."""

import importlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rnnexp
from rnnexp.cli import main
from tests.support.load_files import load_table, write_load_file
from tests.support.refusals import refused
from tests.support.series_files import read_source
from tests.support.shop import COLUMNS, shop
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

Capture = pytest.CaptureFixture[str]

# Runs predict.py in a process in which these packages are missing.
WITHOUT = """
import runpy, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "pandas", "rnnexp", "sklearn", "scipy", "onnx"):
            raise ImportError(f"{name} must not be imported")
sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
NAMES = ["data=synthetic_names", "data.number=30", *TINY, *QUIET]
SMALL_HORIZON = ["task=horizon", "data.look_back=48", "data.horizon=6", "data.batch_size=8"]
SMALL_HORIZON += ["data.test_windows=3", "data.validation_windows=2", *TINY, *QUIET]
TRAINED = {
    "names": [*NAMES, "model=gru", "data/ngrams=log_count_ratios", "data.ngrams.parts=2"],
    "reviews": ["data=synthetic_reviews", "data.per_class=40", "model=textnet", *TINY, *QUIET],
    "load": ["experiment=quickstart", *SYNTHETIC_LOAD, *TINY, *QUIET],
    "lecture_features": [
        *("data=synthetic_load", "model=lstm", "data/conditioning=lecture", *SYNTHETIC_LOAD),
        *(*TINY, *QUIET),
    ],
    "shop": [*COLUMNS, *SMALL_HORIZON, "model.series_vector=2"],
}

Run = Callable[[str], Path]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, with a comparison of fewer inputs, which is quicker."""
    from rnnexp.export import inputs

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(inputs, "INPUTS", 40)
    monkeypatch.setattr(inputs, "OF_DATA", 20)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run folder for each of TRAINED, trained when it is first asked for."""
    place, found = tmp_path_factory.mktemp("runs"), dict[str, Path]()

    def run(name: str) -> Path:
        if name not in found:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(place)
                patch.setenv("RNNEXP_CACHE", str(place / "cache"))
                shop().to_csv("shop.csv", index=False)
                assert main(["train", *TRAINED[name], f"hydra.run.dir={place / name}"]) == 0
            found[name] = place / name
        return found[name]

    return run


def predicted(folder: Path, *arguments: str) -> tuple[pd.DataFrame, int, str]:
    """What predict.py of an export prints: its table, exit code and standard error."""
    program = [sys.executable, "-c", WITHOUT, str(folder / "export" / "predict.py"), *arguments]
    done = subprocess.run(program, capture_output=True, text=True, env={"PATH": ""}, check=False)
    return pd.read_csv(io.StringIO(done.stdout or "nothing\n")), done.returncode, done.stderr


def same(found: pd.DataFrame, expected: Path, scale: float = 1.0) -> None:
    table = pd.read_csv(expected)
    assert list(found) == list(table)
    for name in table:
        if table[name].dtype.kind == "f" and not table[name].isna().all():
            np.testing.assert_allclose(found[name], table[name], atol=1e-5 * scale, rtol=0)
        else:
            pd.testing.assert_series_equal(found[name], table[name])


@pytest.mark.parametrize("name", ["names", "reviews"])
def test_texts(name: str, trained: Run, tmp_path: Path) -> None:
    folder = trained(name)
    assert main(["export", str(folder)]) == 0
    texts = ["Ångström", "It's not good; I didn't like it -- at all.", "  ", "Lomar", "x" * 300]
    given = [word for text in texts for word in ("--text", text)]
    main(["predict", str(folder), *given, "--output", str(tmp_path / "a.csv")])
    table, code, said = predicted(folder, *texts)
    same(table, tmp_path / "a.csv")
    assert code == 1 and "Traceback" not in said


def test_texts_in_a_file(trained: Run, tmp_path: Path) -> None:
    folder = trained("names")
    assert main(["export", str(folder)]) == 0
    texts = ["Lomar", "Åsa, or\nthe like"]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "texts.csv", index=False)
    table, code, _ = predicted(folder, "--csv", str(tmp_path / "texts.csv"))
    assert list(table["text"]) == texts and code == 0
    pd.DataFrame({"name": texts}).to_csv(tmp_path / "texts.csv", index=False)
    _, code, said = predicted(folder, "--csv", str(tmp_path / "texts.csv"))
    assert code == 2 and "must have a column `text`" in said
    _, code, said = predicted(folder, "--csv", "no.csv")
    assert code == 2 and said == "predict.py: no.csv cannot be read: No such file or directory\n"


def test_what_is_no_file_of_series(trained: Run, tmp_path: Path) -> None:
    folder = trained("load")
    assert main(["export", str(folder)]) == 0
    _, code, said = predicted(folder, "hello")
    assert code == 2 and said == (
        "predict.py: hello cannot be read: No such file or directory; this network was trained on "
        "series: give a CSV file with --csv\n"
    )
    _, code, said = predicted(folder, "--csv", "no.csv")
    assert code == 2 and said == "predict.py: no.csv cannot be read: No such file or directory\n"
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "latin.csv").write_bytes(b"Datetime,\xe9_MW\n")
    (tmp_path / "time.csv").write_text("Datetime,a_MW\nyesterday,1\n")
    (tmp_path / "number.csv").write_text("Datetime,a_MW\n2024-01-01,many\n")
    names = ["empty.csv", "latin.csv", "time.csv", "number.csv", "no.csv"]
    _, code, said = predicted(folder, *(word for name in names for word in ("--csv", name)))
    assert code == 1 and said.splitlines() == [
        "predict.py: empty.csv: it is empty",
        "predict.py: latin.csv: it is not UTF-8 text",
        "predict.py: time.csv: 'yesterday' is no time such as 2024-12-31 23:00:00",
        "predict.py: number.csv: 'many' is no number",
        "predict.py: no.csv cannot be read: No such file or directory",
    ]


@pytest.mark.parametrize("name", ["load", "lecture_features"])
def test_series(name: str, trained: Run, tmp_path: Path) -> None:
    folder = trained(name)
    assert main(["export", str(folder)]) == 0
    files = [
        write_load_file(tmp_path, "SYNTHETIC1", load_table(200, seed=1)),
        write_load_file(tmp_path, "NEW", load_table(100, seed=2)),
    ]
    given = [word for file in files for word in ("--csv", str(file))]
    assert main(["predict", str(folder), *given, "--output", str(tmp_path / "a.csv")]) == 0
    table, code, said = predicted(folder, *given)
    assert code == 0 and "'NEW' was not in training" in said
    same(table, tmp_path / "a.csv", scale=1000)


def test_a_horizon_with_known_columns(trained: Run, tmp_path: Path) -> None:
    folder = trained("shop")
    assert main(["export", str(folder)]) == 0
    table = shop(200)
    table.loc[194:, ["sold", "visits"]] = np.nan
    for name in ("shop", "new"):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        given = ["--csv", str(tmp_path / f"{name}.csv")]
        output = tmp_path / f"{name}_predicted.csv"
        assert main(["predict", str(folder), *given, "--output", str(output)]) == 0
        found, code, _ = predicted(folder, *given)
        assert code == 0 and len(found) == 6
        same(found, output, scale=20)
    table[:196].to_csv(tmp_path / "short.csv", index=False)
    _, code, said = predicted(folder, str(tmp_path / "short.csv"))
    assert code == 1 and "needs rows for the next 6 steps with price" in said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: table.drop(index=195), "comes 2:00:00 after the row before, not 1:00:00"),
        (lambda table: table.replace({table["load"][190]: np.nan}), "there are empty cells"),
        (lambda table: table.replace({table["load"][190]: 3.0}), "values near zero"),
        (lambda table: table[:20], "has 20 rows, but the network reads the last 30"),
        (lambda table: table.rename(columns={"Datetime": "when"}), "it must have 'Datetime'"),
        (lambda table: table.replace({table["load"][190]: "1_200"}), "'1_200' is no number"),
        (lambda table: table.replace({table["load"][199]: np.nan}), "last rows have no value"),
    ],
)
def test_what_the_program_does_not_repair_it_refuses(
    change: Callable[[pd.DataFrame], pd.DataFrame], sentence: str, trained: Run, tmp_path: Path
) -> None:
    folder = trained("load")
    if not (folder / "export").exists():
        main(["export", str(folder)])
    table = change(load_table(200, seed=1).astype({"load": object}))
    table.to_csv(tmp_path / "SYNTHETIC1_hourly.csv", index=False)
    found, code, said = predicted(folder, str(tmp_path / "SYNTHETIC1_hourly.csv"))
    assert found.empty and code == 1
    assert sentence in said and "Traceback" not in said


def test_the_record_stays_as_it_is(trained: Run, capsys: Capture) -> None:
    folder = trained("names")
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "export"}
    for _ in range(2):  # the second one takes the place of the first
        assert main(["export", str(folder)]) == 0
    after = {path: path.stat().st_mtime_ns for path in folder.iterdir() if path.name != "export"}
    assert before == after
    said = " ".join(capsys.readouterr().out.split())
    assert "40 inputs gave the same" in said and "model.onnx has" in said
    assert main(["rerun", str(folder)]) == 0
    assert main(["test", str(folder)]) == 0
    assert {path.name for path in (folder / "export").iterdir()} == {
        *("model.onnx", "predict.py", "tokens.py", "metadata.json", "vocabulary.json", "ngrams.npz")
    }


# What is refused --------------------------------------------------------------------------------


def test_a_wrong_graph_is_refused_and_nothing_is_left(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    import onnx

    story: Any = importlib.import_module("rnnexp.export.folder")

    run = shutil.copytree(trained("reviews"), tmp_path / "run")
    shutil.rmtree(run / "export", ignore_errors=True)
    right = story.to_onnx

    def wrong(known: Any) -> Any:
        model = right(known)
        largest = max(model.graph.initializer, key=lambda one: np.prod(one.dims))
        values = onnx.numpy_helper.to_array(largest).copy()
        values[:, 0] += 0.01
        largest.CopyFrom(onnx.numpy_helper.from_array(values, largest.name))
        return model

    monkeypatch.setattr(story, "to_onnx", wrong)
    before = sorted(path.name for path in run.iterdir())
    assert main(["export", str(run)]) == 1
    assert "differs from that in torch by up to 0.0" in capsys.readouterr().err
    assert sorted(path.name for path in run.iterdir()) == before


def test_other_folders(trained: Run, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "empty").mkdir()
    assert "run.json" in refused(["export", str(tmp_path / "empty")], capsys)
    run = shutil.copytree(trained("reviews"), tmp_path / "run")
    shutil.rmtree(run / "export", ignore_errors=True)
    (run / "export").mkdir()
    (run / "export" / "mine.txt").write_text("mine")
    assert "is not an earlier export" in refused(["export", str(run)], capsys)
    assert (run / "export" / "mine.txt").exists()
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "interrupted"}))
    said = refused(["export", str(run)], capsys)
    assert "has the status 'interrupted'" in said and "resume" in said


def test_without_onnx_it_says_what_to_type(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnx" else find(name, *a)
    )
    assert "pip install 'rnnexp[onnx]'" in refused(["export", "run"], capsys)


def test_settings_that_the_program_does_not_read(tmp_path: Path) -> None:
    from rnnexp.export.contents import not_read

    hours = [(day, hour) for day in range(1, 29) for hour in range(24)]
    rows = [f"2024-02-{day:02},{hour},{20 + hour + day % 3}\n" for day, hour in hours]
    (tmp_path / "a.csv").write_text("day,hour,sold\n" + "".join(rows))
    settings: Any = {"timezone": "Europe/Berlin", "decimal": "comma"}
    assert not_read(read_source(tmp_path / "a.csv", ["day", "hour"], **settings)) == (
        "data.timezone and the separator, signs or encoding of data=series_csv and "
        "data.datetime_column (two columns)"
    )


@pytest.mark.parametrize("module", ["check", "programs.texts", "programs.series"])
def test_onnxruntime_is_told_not_to_report(module: str, tmp_path: Path) -> None:
    """Its makers get events of every session otherwise, unless this is set before the import."""
    place = Path(rnnexp.__file__).parent.joinpath("export", *module.split("."))
    program = tmp_path / "program.py"
    program.write_text(place.with_suffix(".py").read_text())
    (tmp_path / "metadata.json").write_text("{}")
    (tmp_path / "onnxruntime.py").write_text(
        "import os, sys\nprint(os.environ.get('ORT_DISABLE_TELEMETRY'))\nsys.exit()\n"
    )
    environment = {name: value for name, value in os.environ.items() if "ORT_" not in name}
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.strip() == "1"
