"""rnnexp trace: what it writes and prints, that a run stays as it is, and what it refuses."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import rnnexp
from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.experiment import run as train
from tests.support.load_files import load_table, write_load_file
from tests.support.refusals import refused
from tests.support.shrink import LECTURE, OURS, QUIET, TINY

Capture = pytest.CaptureFixture[str]
TEXT = "The lining is not awful, but the strap is never practical."
REVIEWS = ["experiment=quickstart_reviews", "data.per_class=40", *TINY, "callbacks.figures=null"]
KINDS = {
    "reviews": REVIEWS,
    "both directions": [*REVIEWS, "model.bidirectional=true", "model.num_layers=2"],
    "every step": [*OURS, *QUIET],
    "last step": [*LECTURE, *QUIET],
    "horizon": [
        *("experiment=quickstart_day_ahead", "data.number=1", "data.days=40", "data.look_back=48"),
        *("model.base=season", *TINY, "callbacks.figures=null"),
    ],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with runs and two files of load, AA and BB."""
    folder = tmp_path_factory.mktemp("traces")
    (folder / "load").mkdir()
    for seed, name in enumerate(("AA", "BB")):
        write_load_file(folder / "load", name, load_table(900, seed, level=1000.0 * (seed + 1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNEXP_CACHE", str(folder / "cache"))
        patch.delenv("RNNEXP_DATA", raising=False)
        yield folder


@pytest.fixture
def run(
    place: Path, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The run of the kind that the test names, made once. The current folder is an empty one."""
    kind = request.param
    monkeypatch.chdir(tmp_path)
    folder = place / kind.replace(" ", "_")
    if not folder.exists():
        series = [f"data.root={place / 'load'}"] if "step" in kind else []
        train(compose([*KINDS[kind], *series]), folder)
    shutil.rmtree(folder / "trace", ignore_errors=True)
    return folder


def record(run: Path) -> dict[str, bytes]:
    files = [path for path in run.rglob("*") if path.is_file() and "trace" not in path.parts]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("run", ["reviews"], indirect=True)
def test_texts(run: Path, capfd: Capture) -> None:
    before = record(run)
    assert main(["trace", str(run), "--text", TEXT, "--text", "It is elegant."]) == 0
    said = capfd.readouterr().out
    pictures = sorted((run / "trace").glob("*.png"))
    assert len(pictures) == 2 == len(list((run / "trace").glob("*.svg")))
    assert all(str(path) in said for path in pictures)
    assert pictures[0].read_bytes()[:4] == b"\x89PNG"
    loaded = rnnexp.load(run)
    frame = loaded.trace(TEXT).frame()
    assert list(frame) == ["step", "word", "p(positive)", "contribution"]
    assert frame["word"].tolist()[:5] == ["the", "lining", "is", "not", "awful"]
    expected = loaded.predict(TEXT)["p_positive"][0]
    assert frame["p(positive)"].iloc[-1] == pytest.approx(expected, abs=1e-6)
    for row in frame.itertuples():
        assert f"{row[3]:.3f}" in said and f"{row[4]:+.3f}" in said
    events = EventAccumulator(str(run / "trace"), size_guidance={"images": 0})
    tags = events.Reload().Tags()["images"]
    assert sorted(tags) == [f"trace/{path.stem}" for path in pictures]
    assert record(run) == before


@pytest.mark.parametrize("run", ["both directions"], indirect=True)
def test_a_layer(run: Path) -> None:
    loaded = rnnexp.load(run)
    first, top = loaded.trace(TEXT, layer=1), loaded.trace(TEXT)
    assert (first.layer, top.layer) == ("layer 1 of 2", "layer 2 of 2")
    assert [one.direction for one in top.states] == ["forward", "backward"]
    assert not np.allclose(first.states[0].hidden, top.states[0].hidden)
    expected = loaded.predict(TEXT)["p_positive"][0]
    assert top.curves["p(positive)"][-1] == pytest.approx(expected, abs=1e-6)
    assert main(["trace", str(run), "--text", TEXT, "--layer", "1", "--output", "a.pdf"]) == 0
    assert Path("a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("run", ["reviews"], indirect=True)
def test_a_traced_run_is_tested_and_repeated_as_before(run: Path, capfd: Capture) -> None:
    assert main(["trace", str(run), "--text", "it is elegant"]) == 0
    assert main(["test", str(run)]) == 0
    assert main(["rerun", str(run)]) == 0
    said = capfd.readouterr()
    assert "to the bit" in said.out and "verdict       identical" in said.out
    assert "not as the run wrote it" not in said.err


@pytest.mark.parametrize("run", ["every step", "last step"], indirect=True)
def test_a_series(run: Path, place: Path, capfd: Capture) -> None:
    path = place / "load" / "AA_hourly.csv"
    assert main(["trace", str(run), "--csv", str(path)]) == 0
    loaded = rnnexp.load(run)
    trace = loaded.trace(path)
    frame, table = trace.frame(), pd.read_csv(path)
    assert list(frame) == ["step", "time", "predicted", "actual"] and len(frame) == 30
    following = loaded.predict(path)
    assert frame["predicted"].iloc[-1] == pytest.approx(following["prediction"][0], rel=1e-7)
    assert frame["actual"].tolist()[:-1] == table.iloc[-29:, 1].tolist()
    assert np.isnan(frame["actual"].iloc[-1])
    assert frame["time"].iloc[-1] == str(table.iloc[-1, 0]).replace(" ", "T")
    assert following["timestamp"][0].replace("T", " ") in trace.title
    assert "predicted" in capfd.readouterr().out and list((run / "trace").glob("aa_*.png"))


@pytest.mark.parametrize("run", ["every step"], indirect=True)
def test_one_of_several_series(run: Path, place: Path, tmp_path: Path, capfd: Capture) -> None:
    files = [str(run), "--csv", str(place / "load")]
    sentence = refused(["trace", *files], capfd)
    assert "load has 2 series, 'AA', 'BB': name one with --series NAME" in sentence
    said = refused(["trace", *files, "--series", "AB"], capfd)
    assert "--series AB: " in said and "has no series of this name; " in said
    output = tmp_path / "a.svg"
    assert main(["trace", *files, "--series", "BB", "--output", str(output)]) == 0
    assert "<svg" in output.read_text() and not (run / "trace").exists()


def test_a_run_folder_that_cannot_be_written(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    from rnnexp.errors import UserError
    from rnnexp.trace.files import write_below

    (tmp_path / "trace").write_text("a file")
    with pytest.raises(UserError, match=r"trace cannot be written \(.*\): choose a file with"):
        write_below(tmp_path, Figure(), "a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "trace").unlink()
    (tmp_path / "trace").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="trace is a link, and is not written to: choose a file"):
        write_below(tmp_path, Figure(), "a")
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("run", "arguments", "sentence"),
    [
        ("reviews", [], "give what is to be traced: --text TEXT, or --csv FILE"),
        ("reviews", ["--text", "a", "--csv", "a.csv"], "give either --text or --csv"),
        ("reviews", ["--csv", "a.csv"], "was trained on SYNTHETIC reviews, not on series: give"),
        ("reviews", ["--text", ""], "the text is empty: give another text"),
        ("reviews", ["--text", "xyzzy"], "the text has no word that the network knows"),
        ("reviews", ["--text", "it", "--layer", "2"], "this network has one layer, 1"),
        ("reviews", ["--text", "it", "--output", "a.gif"], "ends in .png, .svg, .pdf"),
        (
            "reviews",
            ["--text", "it", "--output", "no/a.png"],
            "there is no folder no, choose another file",
        ),
        ("reviews", ["--text", "a", "--text", "b", "--output", "a.png"], "one file holds one text"),
        ("reviews", ["--text", "it", "--series", "AA"], "--series AA: it names a series of"),
        ("reviews", ["--text", "it", "data.frequency=1D"], "trace can only change how the file"),
        ("every step", ["--text", "it"], "was trained on series: give one with --csv FILE"),
        ("every step", ["--csv", "no.csv"], "no.csv: the file cannot be read"),
        ("horizon", ["--csv", "no.csv"], "Horizon cannot be traced: rnnexp trace is for"),
    ],
    indirect=["run"],
)
def test_what_is_refused(run: Path, arguments: list[str], sentence: str, capfd: Capture) -> None:
    assert sentence in refused(["trace", str(run), *arguments], capfd)
    assert not (run / "trace").exists()


@pytest.mark.parametrize("run", ["reviews"], indirect=True)
def test_a_bad_text_does_not_stop_the_others(run: Path, capfd: Capture) -> None:
    texts = ("xyzzy", "it is elegant", "", "it " * 1001, "a\udcff")
    given = [word for text in texts for word in ("--text", text)]
    assert main(["trace", str(run), *given]) == 1
    said = capfd.readouterr()
    assert said.err.splitlines()[-5:] == [
        "rnnexp: text 1, 'xyzzy', has no word that the network knows",
        "rnnexp: text 3 is empty",
        f"rnnexp: text 4, '{'it ' * 13}i...', has 1,001 words, and at most 1,000 are traced",
        r"rnnexp: text 5, 'a\udcff', is not UTF-8 text",
        "rnnexp: without a trace: 4 of 5",
    ]
    assert "elegant" in said.out and len(list((run / "trace").glob("*.png"))) == 1
    shutil.rmtree(run / "trace")
    assert main(["trace", str(run), "--text", "xyzzy", "--text", ""]) == 2
    assert "without a trace: 2 of 2" in capfd.readouterr().err and not (run / "trace").exists()
    layer = ["--text", "it", "--text", "xyzzy", "--layer", "2"]
    assert "this network has one layer" in refused(["trace", str(run), *layer], capfd)


@pytest.mark.parametrize("run", ["reviews"], indirect=True)
def test_a_run_without_a_checkpoint(run: Path, tmp_path: Path, capfd: Capture) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    said = refused(["trace", str(folder), "--text", "it"], capfd)
    assert "has no checkpoint: the run did not finish an epoch" in said
    status = json.loads((folder / "run.json").read_text()) | {"status": "interrupted"}
    shutil.copytree(run / "checkpoints", folder / "checkpoints")
    (folder / "run.json").write_text(json.dumps(status))
    assert main(["trace", str(folder), "--text", "it is", "--output", "a.png"]) == 0
    assert "has the status 'interrupted': using the checkpoint so far" in capfd.readouterr().err
