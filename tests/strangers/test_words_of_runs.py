"""Runs by the words that were typed: labels, TensorBoard, the leaderboard."""

import json
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from rnnexp.cli import main
from rnnexp.errors import UserError
from rnnexp.launching.labels import label
from rnnexp.launching.plan import plan
from rnnexp.runs.comparison.leaderboard import find_runs, tables
from rnnexp.runs.comparison.statistics import _whole_key
from rnnexp.runs.hyperparameters import by_option
from tests.support.shrink import HERE, NO_FIGURES, SYNTHETIC_LOAD

Capture = pytest.CaptureFixture[str]
SMALL = ["model.hidden_size=4", "trainer.max_epochs=1", *HERE, *NO_FIGURES, *SYNTHETIC_LOAD]


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "gru_seed1"),
        (["seed=1", "model=gru", "experiment=quickstart", "logger=none"], "gru_seed1"),
        (["optimizer.lr=0.01", "callbacks.figures=null"], "gru_lr0.01_seed1"),
        (["model/recurrence=mgu", "~model.dropout"], "gru_mgu_no-dropout_seed1"),
        (["+model.sizes=[1,2]", "data.root=/a b/c"], "gru_sizes-1-2-_root-a-b-c_seed1"),
        (["scheduler=cosine", "trainer/debug=one_batch"], "gru_cosine_one_batch_seed1"),
    ],
)
def test_labels(overrides: list[str], expected: str) -> None:
    assert label("gru", overrides, 1) == expected


def test_a_long_label_keeps_its_seed() -> None:
    long = label("lecture/pmgru", [f"a.key{n}={n}" for n in range(40)], 7)
    assert long.startswith("lecture-pmgru_key00_") and long.endswith("_seed7") and len(long) < 70


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["name=shop", "seed=3", "optimizer.lr=0.1"], "shop_seed3"),
        (["name='my shop'"], "my-shop_seed0"),
        (["optimizer.lr=0.1"], "pmgru_lr0.1_seed0"),
    ],
)
def test_a_name_that_was_given_is_the_label_of_a_single_run(
    overrides: list[str], expected: str, empty_folder: Path
) -> None:
    assert plan(overrides).jobs[0].label == expected
    *_, last = plan([*overrides, "model=gru,lstm"], multirun=True).jobs
    assert last.label.startswith("lstm_") and "shop" not in last.label


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("swept")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("RNNEXP_OUTPUTS", str(place / "outputs"))
        patch.setenv("RNNEXP_CACHE", str(place / "cache"))
        sweep = ["model=pmgru,gru", "optimizer.lr=0.01,0.02"]
        assert main(["train", "-m", *sweep, *SMALL]) == 0
        assert main(["train", "-m", "model=pmgru,gru", "seed=1", *SMALL, "optimizer.lr=0.01"]) == 0
    return place


def jobs(swept: Path) -> list[Path]:
    first, _ = sorted((swept / "outputs" / "multirun").iterdir())
    return sorted(path for path in first.iterdir() if path.is_dir())


def test_folders_and_tensorboard_say_what_was_varied(swept: Path) -> None:
    labels = [f"{model}_lr{lr}_seed0" for model in ("pmgru", "gru") for lr in ("0.01", "0.02")]
    assert [job.name for job in jobs(swept)] == [
        f"{n}_quickstart_{name}" for n, name in enumerate(labels)
    ]
    for job, name in zip(jobs(swept), labels, strict=True):
        run = json.loads((job / "run.json").read_text())
        assert run["label"] == name and run["choices"]["model"] == name.split("_")[0]
        assert [path.name for path in (job / "tensorboard").iterdir()] == [name]
        assert not any(one.startswith("hydra.") for one in run["overrides"])
        assert "started: " in (job / "log.txt").read_text()

    events = EventAccumulator(str(jobs(swept)[0] / "tensorboard" / labels[0]))
    events.Reload()
    metadata = events.SummaryMetadata("_hparams_/experiment")
    told = HParamsPluginData.FromString(metadata.plugin_data.content).experiment
    first = {info.name for info in told.hparam_infos if info.differs}
    assert {"model", "optimizer.lr", "model.hidden_size"} <= first and "seed" not in first
    assert [one.name.tag for one in told.metric_infos][:2] == ["test/smape", "test/mae_MW"]
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    settings = HParamsPluginData.FromString(content).session_start_info.hparams
    assert settings["model"].string_value == "pmgru"


def test_the_leaderboard_has_the_words_that_were_typed(swept: Path, capfd: Capture) -> None:
    [table] = tables(find_runs([swept / "outputs"])).values()
    assert list(table.columns)[:4] == ["name", "model", "optimizer.lr", "seeds"]
    assert sorted(set(table["model"])) == ["gru", "pmgru"] and len(table) == 4
    assert main(["leaderboard", str(swept / "outputs"), "--json"]) == 0
    assert {row["model"] for row in json.loads(capfd.readouterr().out)} == {"gru", "pmgru"}


def test_a_key_that_was_typed_stays_a_column(swept: Path) -> None:
    """Even where each model has a value of its own."""
    [first, *_, other] = jobs(swept)
    entries = find_runs([first, other])
    assert "optimizer.lr" in next(iter(tables(entries).values()))


def test_a_class_of_an_override_is_no_option() -> None:
    found, choices = {"optimizer": "SGD", "model": "Forecaster"}, {"optimizer": "adam"}
    assert by_option(found, choices, ["optimizer._target_=torch.optim.SGD"]) == found
    assert by_option(found, choices)["optimizer"] == "adam"


def test_groups_by_short_words(swept: Path, tmp_path: Path, capfd: Capture) -> None:
    place = str(swept / "outputs")
    groups = ["model=pmgru,lr=0.01", "model=gru,lr=1e-2"]
    assert main(["leaderboard", place, "--compare", *groups]) == 0
    assert "over the seeds 0, 1" in capfd.readouterr().out.replace("\n", " ")
    for group, sentence in {
        "model=gru": "differ in optimizer.lr: add a condition",
        "hidden=4": "no run has the key hidden",
    }.items():
        assert main(["leaderboard", place, "--compare", group, group]) == 2
        assert sentence in capfd.readouterr().err
    path = tmp_path / "expected.yaml"
    for runs, code in {"model=gru": 2, "model=nobody": 1, "lr=0.01,model=gru": 0}.items():
        line = f"- {{runs: '{runs}', metric: smape, expected: 1, tolerance: 1000}}"
        path.write_text(line)
        assert main(["leaderboard", place, "--check", str(path)]) == code
        said = capfd.readouterr()
        assert (f"{path}: the runs with {runs} differ" in said.err) == (code == 2)


def test_a_short_word_of_two_keys() -> None:
    known = {"model.dropout", "model.readout.dropout", "model.recurrence"}
    assert _whole_key("model/recurrence", known, "") == "model.recurrence"
    assert _whole_key("readout.dropout", known, "") == "model.readout.dropout"
    with pytest.raises(UserError, match=r"may be model.dropout or model.readout.dropout"):
        _whole_key("dropout", known, "dropout=0")


def test_runs_that_did_not_record_their_words(swept: Path, tmp_path: Path) -> None:
    """Folders of earlier versions show the classes and keys that differ."""
    for job in jobs(swept):
        run = json.loads((job / "run.json").read_text())
        del run["choices"]
        old = tmp_path / job.name
        old.mkdir()
        (old / "run.json").write_text(json.dumps(run))
        for name in ("config.yaml", "metrics.json", "digest.json"):
            (old / name).write_text((job / name).read_text())
    [table] = tables(find_runs([tmp_path])).values()
    assert "model.recurrence.cell" in table and "model" not in table


def test_another_test_set_of_the_same_data_is_another_table(
    swept: Path, tmp_path: Path, capfd: Capture
) -> None:
    for number, job in enumerate(jobs(swept)[:2]):
        run = json.loads((job / "run.json").read_text())
        for part in run["split"].values():
            part["train_rows"] += number  # no matter
            part["test_rows"] += number
        other = tmp_path / job.name
        other.mkdir()
        (other / "run.json").write_text(json.dumps(run))
        for name in ("config.yaml", "metrics.json", "digest.json"):
            (other / name).write_text((job / name).read_text())
    titles = list(tables(find_runs([tmp_path])))
    assert len(titles) == 2 and all(", test set " in title for title in titles)
    assert main(["leaderboard", str(tmp_path), "--compare", "model=pmgru", "model=pmgru"]) == 2
    assert "different test sets of the same data" in capfd.readouterr().err


def test_a_sweep_ends_with_its_table(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(empty_folder / "cache"))
    assert main(["train", "-m", "model=rnn", "monitor=null", "logger=none", *SMALL]) == 0
    said = capfd.readouterr().out
    assert "this run, last checkpoint" in said
    assert "a baseline is better than this run: " in said and "smape" in said
    table = said.rpartition("repeat it")[2]
    assert "│ quickstart │" in table and "rnnexp leaderboard outputs/multirun/" in table
