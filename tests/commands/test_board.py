"""`rnnexp board`, and what a run writes for TensorBoard."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from rnnexp.cli import main
from rnnexp.runs.board.hparams import columns
from rnnexp.runs.board.pages import Pages
from tests.support.shrink import HERE, NO_FIGURES

NAMES = ["experiment=quickstart_names", "data.number=10", "data.batch_size=16"]
NAMES += ["trainer.max_epochs=2", *HERE, *NO_FIGURES]
REVIEWS = ["experiment=quickstart_reviews", "data.per_class=20", "model.hidden_size=4"]
REVIEWS += ["trainer.max_epochs=1", *HERE, *NO_FIGURES]
CAPTURE = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("board")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("RNNEXP_OUTPUTS", str(place / "outputs"))
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        sweep = ["model.hidden_size=4,5", "seed=0,1"]
        assert main(["train", "-m", *NAMES, *sweep]) == 0
        assert main(["train", *REVIEWS]) == 0
    return place / "outputs"


def events(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def test_runs_have_names_that_tell_them_apart(runs: Path, tmp_path: Path) -> None:
    pages = Pages([runs, runs / "multirun"], tmp_path)
    names = [f"quickstart_names, hidden_size {size}, seed {seed}" for size in "45" for seed in "01"]
    assert sorted(pages.linked.values()) == [*names, "quickstart_reviews, seed 0"]
    for name in pages.linked.values():
        assert "val/loss" in events(tmp_path / name).Tags()["scalars"]
    pages.look_again()
    assert len(pages.linked) == 5


def test_a_run_that_comes_later_is_linked_too(runs: Path, tmp_path: Path) -> None:
    [sweep] = (runs / "multirun").iterdir()
    first, second, *_ = sorted(path for path in sweep.iterdir() if path.is_dir())
    ours, place = tmp_path / "ours", tmp_path / "links"
    ours.mkdir()
    place.mkdir()
    (ours / "first").symlink_to(first)
    pages = Pages([ours / "first"], place)
    assert list(pages.linked.values()) == ["quickstart_names, seed 0"]
    pages.folders = [first, second, first]
    pages.look_again()
    assert len(pages.linked) == 3 and len(set(pages.linked.values())) == 3


def test_traces_are_linked_beside_their_run(runs: Path, tmp_path: Path) -> None:
    run = one_run(runs, "quickstart_reviews").parents[1]
    ours, place = tmp_path / "ours", tmp_path / "links"
    shutil.copytree(run, ours)
    place.mkdir()
    pages = Pages([ours], place)
    assert list(pages.linked.values()) == ["quickstart_reviews, seed 0"]
    assert main(["trace", str(ours), "--text", "it is elegant"]) == 0
    pages.look_again()
    assert pages.runs == 1
    assert list(pages.linked.values())[1:] == ["quickstart_reviews, seed 0, traced"]
    [tag] = events(place / "quickstart_reviews, seed 0, traced").Tags()["images"]
    assert tag.startswith("trace/it_is_elegant")


def test_the_columns_of_hparams_are_those_that_differ(runs: Path, tmp_path: Path) -> None:
    Pages([runs / "multirun"], tmp_path)
    content = events(tmp_path).SummaryMetadata("_hparams_/experiment").plugin_data.content
    told = HParamsPluginData.FromString(content).experiment
    assert {one.name: one.differs for one in told.hparam_infos} == {
        "model": True,
        "model.hidden_size": True,
        "seed": True,
    }
    size = next(one for one in told.hparam_infos if one.name == "model.hidden_size")
    assert (size.domain_interval.min_value, size.domain_interval.max_value) == (4, 5)
    columns = {one.name.tag: one.display_name for one in told.metric_infos}
    assert list(columns)[:2] == ["test/accuracy", "test/balanced_accuracy"]
    assert columns["test/nll"] == "test/nll, nats" and "val_best/loss" in columns


def test_a_unit_stands_once() -> None:
    """In the name of the metric, or beside it."""
    metrics = {"test/mae_MW": "MW", "test/smape": "%", "test/accuracy": ""}
    content = columns([{"seed": 0}], [], metrics).value[0].metadata.plugin_data.content
    told = HParamsPluginData.FromString(content).experiment.metric_infos
    shown = [one.display_name for one in told]
    assert shown == ["test/mae_MW", "test/smape, %", "test/accuracy"]


def one_run(runs: Path, name: str) -> Path:
    run = next(path for path in sorted(runs.rglob("run.json")) if name in str(path)).parent
    [place] = (run / "tensorboard").iterdir()
    return place


def test_the_final_metrics_add_no_point_to_a_curve(runs: Path) -> None:
    place = one_run(runs, "quickstart_names")
    metrics = json.loads((place.parents[1] / "metrics.json").read_text())
    found = events(place)
    steps = [one.step for one in found.Scalars("val/loss")]
    assert len(steps) == 2 and steps == [one.step for one in found.Scalars("train/loss_epoch")]
    assert found.Scalars("val_best/loss")[-1].value == pytest.approx(metrics["val/loss"])
    assert found.Scalars("test/accuracy")[-1].value == pytest.approx(metrics["test/accuracy"])


def test_both_losses_are_in_one_chart(runs: Path) -> None:
    found = events(one_run(runs, "quickstart_names"))
    [config] = found.Tensors("custom_scalars__config__")
    [category] = Layout.FromString(config.tensor_proto.string_val[0]).category
    [chart] = category.chart
    assert chart.title == "training and validation loss"
    assert list(chart.multiline.tag) == ["^train/loss_epoch$", "^val/loss$"]


def curves(folder: Path) -> list[str]:
    found = events(folder)
    tags: Any = found.Tags()["tensors"]
    return [tag for tag in tags if "precision" in tag]


def test_precision_against_recall(runs: Path) -> None:
    """One curve of two classes, of the second one; of a few, each has its own."""
    [two] = curves(one_run(runs, "quickstart_reviews"))
    assert two == "precision (up) against recall (right)/positive"
    assert len(curves(one_run(runs, "quickstart_names"))) == 6


@pytest.mark.parametrize(("name", "token"), [("names", "character"), ("reviews", "word")])
def test_the_projector_has_the_most_frequent_words(runs: Path, name: str, token: str) -> None:
    place = one_run(runs, f"quickstart_{name}")
    header, *lines = (place / f"{token}_vectors_labels.tsv").read_text().splitlines()
    assert header.split("\t") == [token, "count in training", "mostly in"]
    counts = [int(line.split("\t")[1]) for line in lines]
    assert counts == sorted(counts, reverse=True) and counts[-1] > 0
    vectors = (place / f"{token}_vectors.tsv").read_text().splitlines()
    assert len(vectors) == len(lines) > 10
    assert len({len(line.split("\t")) for line in vectors}) == 1
    assert f'tensor_path: "{token}_vectors.tsv"' in (place / "projector_config.pbtxt").read_text()


def test_the_page_until_it_is_interrupted(runs: Path, tmp_path: Path) -> None:
    environment = os.environ | {"RNNEXP_OUTPUTS": str(runs), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "rnnexp", "board"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        line = process.stdout.readline()
        address = line.split()[3]
        assert address.startswith("http://localhost:") and "5 runs" in line
        names: list[str] = []
        for _ in range(100):  # it reads the runs in the background
            names = json.loads(urlopen(f"{address}data/runs").read())
            if len(names) == 6:
                break
            time.sleep(0.1)
        assert "quickstart_names, hidden_size 4, seed 0" in names
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    assert not list(tmp_path.glob("rnnexp_board_*"))


def test_mistakes(runs: Path, empty_folder: Path, capfd: CAPTURE) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        [sweep] = (runs / "multirun").iterdir()
        no_events = next(path for path in sorted(sweep.iterdir()) if path.is_dir())
        quiet = empty_folder / "quiet"
        quiet.mkdir()
        (quiet / "run.json").write_text((no_events / "run.json").read_text())
        for arguments, said in (
            (["nowhere"], "there is no folder nowhere"),
            ([str(empty_folder)], "has events of TensorBoard: a run writes them with logger="),
            ([str(runs), "--port", "70000"], "--port 70000: it must be a number from 1 to 65535"),
            ([str(runs), "--port", port], f"--port {port} is taken by another program"),
            (
                [str(runs), "--host", "no.host.invalid"],
                "cannot be served at --host no.host.invalid",
            ),
        ):
            assert main(["board", *arguments]) == 2, arguments
            sentence = capfd.readouterr().err.strip()
            assert said in sentence and "\n" not in sentence


def test_without_tensorboard(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: CAPTURE
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    assert main(["board"]) == 2
    assert "pip install tensorboard" in capfd.readouterr().err
