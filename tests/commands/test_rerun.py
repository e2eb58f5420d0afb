"""Reruns and their verdicts: each planted change gets its own verdict."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.runs.experiment import run
from rnnexp.runs.folder.provenance import code_state
from rnnexp.runs.folder.reading import read_digest
from rnnexp.tasks.forecasting.task import Forecasting
from tests.support.load_files import write_load_files
from tests.support.runs import Kept
from tests.support.shrink import NO_FIGURES, OURS

IDENTICAL, DIFFERENT, MISTAKE, CANNOT, OTHER_ENVIRONMENT = 0, 1, 2, 3, 4


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A folder with small data files and a completed run on them."""

    def make(place: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RNNEXP_CACHE", str(place / "cache"))
            files = write_load_files(place / "load")
            run(compose([*OURS, *NO_FIGURES, f"data.root={files}"]), place / "first")

    return Kept(tmp_path_factory.mktemp("rerun") / "place", make)


@pytest.fixture
def recorded(kept: Kept, empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run folder. The current folder holds only the run and its data."""
    place = kept.restored()
    monkeypatch.setenv("RNNEXP_CACHE", str(place / "cache"))
    monkeypatch.chdir(place)
    return place / "first"


def change_json(path: Path, change: Callable[[dict], object]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def change_config(folder: Path, key: str, value: object) -> None:
    config = OmegaConf.load(folder / "config.yaml")
    OmegaConf.update(config, key, value, force_add=True)
    OmegaConf.save(config, folder / "config.yaml")


def test_identical_also_from_another_folder(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    for place in (recorded.parent, tmp_path / "elsewhere"):
        place.mkdir(exist_ok=True)
        monkeypatch.chdir(place)
        assert main(["rerun", str(recorded)]) == IDENTICAL
        assert "verdict       identical:" in capfd.readouterr().out
    [again] = (tmp_path / "elsewhere/outputs/power_load_pmgru").iterdir()
    assert json.loads((again / "run.json").read_text())["rerun_of"] == str(recorded)


def change_version(folder: Path) -> None:
    change_json(folder / "run.json", lambda r: r["versions"].update(torch="2.0.0"))


def change_threads(folder: Path) -> None:
    change_json(folder / "run.json", lambda r: r.update(threads=7))


def test_identical_in_another_environment(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    change_version(recorded)
    change_threads(recorded)
    assert main(["rerun", str(recorded)]) == IDENTICAL
    said = capfd.readouterr().out
    assert "environment   torch: 2.0.0 then" in said and "environment   threads: 7 then" in said
    assert "verdict       identical, also in another environment (torch, threads)" in said


def change_a_weight(folder: Path) -> None:
    checkpoint = torch.load(folder / "checkpoints/best.ckpt", weights_only=True)
    checkpoint["state_dict"]["network.recurrence.layers.0.U_h"][1, 2] += 1e-6
    torch.save(checkpoint, folder / "checkpoints/best.ckpt")


def change_an_old_weight(folder: Path) -> None:
    """In a run folder of an earlier version, without the hashes of its files."""
    change_json(folder / "run.json", lambda run: run.pop("files"))
    change_a_weight(folder)


def change_a_loss(folder: Path) -> None:
    change_json(folder / "digest.json", lambda d: d["losses"].__setitem__(-1, "0x1.8p+0"))


def change_the_history(folder: Path) -> None:
    path = folder / "history.csv"
    path.write_text(path.read_text().replace("\n0,", "\n7,"))


def change_the_scaling(folder: Path) -> None:
    change_json(folder / "scaling.json", lambda kept: kept.update(minimum=[0.0, 0.0]))


def change_a_metric(folder: Path) -> None:
    change_json(folder / "metrics.json", lambda metrics: metrics.update({"test/smape": 0.1}))


REPEATED = "the results that it recorded are repeated"


@pytest.mark.parametrize(
    ("edit", "name", "what"),
    [
        (change_a_weight, "checkpoints/best.ckpt", REPEATED),
        (change_an_old_weight, "checkpoints/best.ckpt", REPEATED),
        (change_the_history, "history.csv", REPEATED),
        (change_the_scaling, "scaling.json", REPEATED),
        (change_a_loss, "digest.json", "the results differ"),
        (change_a_metric, "metrics.json", "the results differ"),
    ],
)
def test_what_was_edited_since_the_run_is_told_from_a_different_result(
    recorded: Path,
    edit: Callable[[Path], None],
    name: str,
    what: str,
    capfd: pytest.CaptureFixture,
) -> None:
    edit(recorded)
    assert main(["rerun", str(recorded)]) == DIFFERENT
    said = capfd.readouterr().out
    assert f"edited        {name} is not as the run wrote it" in said
    assert f"verdict       edited since the run ({name}), {what}" in said


def test_one_loss_is_named_by_epoch_and_step(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    loss, steps = Forecasting.batch_loss, len(read_digest(recorded)["losses"])

    def changed(task: Forecasting, batch: Any) -> torch.Tensor:
        return loss(task, batch) + (0.5 if task.global_step == steps - 1 else 0.0)

    monkeypatch.setattr(Forecasting, "batch_loss", changed)
    assert main(["rerun", str(recorded)]) == DIFFERENT
    said = capfd.readouterr().out
    assert f"differ from epoch 1, step {steps - 1}: " in said and "then," in said
    assert "different results in the same environment" in said
    assert "environment   " not in said and "edited" not in said


def test_one_weight(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    def changed(task: Forecasting) -> None:
        with torch.no_grad():
            task.network.get_parameter("recurrence.layers.0.U_h")[1, 2] += 1e-6

    monkeypatch.setattr(Forecasting, "on_train_end", changed)
    assert main(["rerun", str(recorded)]) == DIFFERENT
    said = capfd.readouterr().out
    assert "last weights: 1 of" in said and "first network.recurrence.layers.0.U_h" in said


def test_one_data_value(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    path = recorded.parent / "load/AA_hourly.csv"
    path.write_text(path.read_text().replace(",1", ",2", 1))
    assert main(["rerun", str(recorded)]) == OTHER_ENVIRONMENT
    said = capfd.readouterr().out
    assert "environment   data fingerprint" in said
    assert "different results in a different environment" in said and "test/smape:" in said


def test_an_edited_config(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    change_config(recorded, "optimizer.lr", 0.001)
    assert main(["rerun", str(recorded)]) == OTHER_ENVIRONMENT
    said = capfd.readouterr().out
    assert "edited config.yaml" in said and "training losses differ from epoch 0" in said


def test_overrides_make_a_new_experiment(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    assert main(["rerun", str(recorded), "seed=1", "optimizer.lr=0.01"]) == 0
    said = capfd.readouterr().out
    assert "a new experiment" in said and "verdict" not in said
    [again] = (recorded.parent / "outputs/power_load_pmgru").iterdir()
    found = json.loads((again / "run.json").read_text())
    assert found["changes"] == ["seed=1", "optimizer.lr=0.01"]
    config = OmegaConf.load(again / "config.yaml")
    assert config.seed == 1 and config.optimizer.lr == 0.01
    digests = [json.loads((f / "digest.json").read_text()) for f in (recorded, again)]
    assert digests[0]["batch_order"] != digests[1]["batch_order"]
    assert main(["rerun", str(recorded), "model=gru"]) == MISTAKE
    assert "model holds several values" in capfd.readouterr().err
    assert main(["rerun", str(recorded), "optimizer.lrr=0.01"]) == MISTAKE
    assert "did you mean optimizer.lr?" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["config.yaml", "digest.json", "history.csv", "metrics.json"])
def test_what_is_missing_is_named(recorded: Path, name: str, capfd: pytest.CaptureFixture) -> None:
    (recorded / name).unlink()
    assert main(["rerun", str(recorded)]) == CANNOT
    assert name in capfd.readouterr().err
    assert not (recorded.parent / "outputs").exists()


def test_a_failed_run_cannot_be_compared(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    change_json(recorded / "run.json", lambda r: r.update(status="failed"))
    assert main(["rerun", str(recorded)]) == CANNOT
    assert "only a completed run" in capfd.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_here(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    """The rerun is refused before anything is done; on the CPU it is a new experiment."""
    change_config(recorded, "trainer.accelerator", "gpu")
    change_json(recorded / "run.json", lambda r: r.update(device="NVIDIA H200"))
    assert main(["rerun", str(recorded)]) == CANNOT
    said = capfd.readouterr().err
    assert "the run used a GPU (NVIDIA H200), and torch finds none here" in said
    assert said.count("\n") == 1 and not (recorded.parent / "outputs").exists()
    assert main(["rerun", str(recorded), "trainer.accelerator=cpu"]) == 0


def test_data_that_are_gone(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    files = recorded.parent / "load"
    (files / "BB_hourly.csv").unlink()  # one file fewer: different data
    assert main(["rerun", str(recorded)]) == OTHER_ENVIRONMENT
    assert "environment   data fingerprint" in capfd.readouterr().out
    (files / "AA_hourly.csv").unlink()
    assert main(["rerun", str(recorded)]) == CANNOT
    said = capfd.readouterr().err.strip()
    assert f"{files}: the folder has no file NAME_hourly.csv" in said and "\n" not in said
    files.rmdir()
    assert main(["rerun", str(recorded)]) == CANNOT
    assert f"data.root={files}: there is no such folder" in capfd.readouterr().err
    assert main(["rerun", str(recorded), f"data.root={files}"]) == MISTAKE  # nothing to repeat


@pytest.mark.parametrize("option", ["strict", "fast"])
def test_determinism_is_recorded_and_repeated(
    recorded: Path,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    """`fast` may differ in the last digits, and the verdict says so."""
    trained = []
    step = Forecasting.training_step

    def spy(task: Forecasting, *arguments: Any) -> Any:
        trained.append(torch.are_deterministic_algorithms_enabled())
        return step(task, *arguments)

    monkeypatch.setattr(Forecasting, "training_step", spy)
    folder = recorded.parent / option
    files = f"data.root={recorded.parent / 'load'}"
    run(compose([*OURS, *NO_FIGURES, files, f"determinism={option}"]), folder)
    assert OmegaConf.load(folder / "config.yaml").determinism.deterministic == (option == "strict")
    capfd.readouterr()
    assert main(["rerun", str(folder)]) == IDENTICAL
    said = capfd.readouterr().out
    assert "verdict       identical" in said and "last digits" not in said
    assert set(trained) == {option == "strict"}

    change_json(folder / "digest.json", lambda d: d["losses"].__setitem__(0, "0x1.8p+0"))
    assert main(["rerun", str(folder)]) == DIFFERENT
    assert ("determinism   fast: the last digits may differ" in capfd.readouterr().out) == (
        option == "fast"
    )


HOSTILE = [
    "os.system",
    "builtins.eval",
    "torch.load",
    "torch.hub.load",
    "rnnexp.data.fetching.fetch.fetch",
]


@pytest.mark.parametrize("target", HOSTILE)
@pytest.mark.parametrize("where", ["optimizer._target_", "data.cleaning._target_", "nested"])
def test_a_hostile_target_is_never_called(
    recorded: Path, target: str, where: str, capfd: pytest.CaptureFixture
) -> None:
    if where == "nested":
        node = {"_target_": target, "_partial_": True, "_args_": ["touch /tmp/never"]}
        change_config(recorded, "model.inputs", [node])
    else:
        change_config(recorded, where, target)
    assert main(["rerun", str(recorded)]) == MISTAKE
    said = capfd.readouterr().err.strip()
    assert "\n" not in said and target.rpartition(".")[0] in said
    assert main(["test", str(recorded)]) == MISTAKE


def test_where_a_stranger_s_runs_went_is_not_where_ours_go(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_config(recorded, "paths.outputs", str(tmp_path / "theirs"))
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(tmp_path / "ours"))
    assert main(["rerun", str(recorded)]) == IDENTICAL
    assert (tmp_path / "ours/power_load_pmgru").is_dir() and not (tmp_path / "theirs").exists()


WRONG = ["seed=abc", "name=null", "mode=sideways", "optimizer.lr=bad", "name=a/b"]


@pytest.mark.parametrize("override", WRONG)
def test_wrong_overrides_of_a_recorded_run(
    recorded: Path, override: str, capfd: pytest.CaptureFixture
) -> None:
    assert main(["rerun", str(recorded), override]) == MISTAKE
    said = capfd.readouterr()
    assert said.err.startswith("rnnexp: ") and said.err.count("\n") == 1
    assert "a new experiment" not in said.out and not Path("outputs").exists()


NO_CLASSES = {
    "callbacks": [1],
    "callbacks.more": 5,
    "logger": "text",
    "scheduler": "text",
    "task": {},
    "paths": 5,
    "optimizer._target_": "torch.nn.Linear",
    "optimizer.lr": -1.0,
}


@pytest.mark.parametrize("key", NO_CLASSES)
def test_a_config_with_something_else_in_the_place_of_a_class(
    recorded: Path, key: str, capfd: pytest.CaptureFixture
) -> None:
    config: Any = OmegaConf.to_container(OmegaConf.load(recorded / "config.yaml"))
    *parents, last = key.split(".")
    functools.reduce(lambda node, name: node[name], parents, config)[last] = NO_CLASSES[key]
    OmegaConf.save(config, recorded / "config.yaml")
    assert main(["rerun", str(recorded)]) in (MISTAKE, CANNOT)
    said = capfd.readouterr().err.strip()
    assert said.startswith("rnnexp: ") and "\n" not in said


def test_weights_of_another_network(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    change_config(recorded, "model.hidden_size", 5)
    assert main(["test", str(recorded)]) == MISTAKE
    assert "does not match the network in config.yaml" in capfd.readouterr().err


@pytest.mark.parametrize("state", [5, {"a": 1}, {"a": torch.ones(2).to_sparse()}, None])
def test_a_checkpoint_without_weights(
    recorded: Path, state: object, capfd: pytest.CaptureFixture
) -> None:
    content = {"rnnexp_format": 1} | ({} if state is None else {"state_dict": state})
    torch.save(content, recorded / "checkpoints/best.ckpt")
    assert main(["test", str(recorded)]) == MISTAKE
    sentence = "best.ckpt is damaged: (it holds no weights|state_dict.a is no plain tensor)"
    assert re.search(sentence, capfd.readouterr().err)
    assert main(["rerun", str(recorded)]) == CANNOT


def test_what_is_damaged_is_said_before_anything_is_run(
    recorded: Path, capfd: pytest.CaptureFixture
) -> None:
    change_json(recorded / "digest.json", lambda d: d["losses"].__setitem__(0, "no number"))
    assert main(["rerun", str(recorded)]) == CANNOT
    change_json(recorded / "run.json", lambda r: r.update(versions=[1]))
    assert main(["rerun", str(recorded)]) == MISTAKE
    assert "run.json is damaged: versions is [1]" in capfd.readouterr().err
    assert not Path("outputs").exists()


def test_an_edited_table_of_predictions_and_a_metric_that_is_gone(
    recorded: Path, capfd: pytest.CaptureFixture
) -> None:
    table = recorded / "predictions.csv"
    table.write_text(table.read_text().replace("AA", "BB", 1))
    change_json(recorded / "metrics.json", lambda m: m.update({"test/praise": 1.0}))
    assert main(["rerun", str(recorded)]) == DIFFERENT
    said = capfd.readouterr().out
    assert "edited        predictions.csv is not as the run wrote it" in said
    assert "predictions.csv differs" not in said
    assert "test/praise: recorded, but missing now" in said


def test_code_of_an_allowed_package_is_part_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("RNNEXP_ALLOW", "theirs, nowhere")
    (tmp_path / "theirs.py").write_text("x = 1")
    before = code_state()["allowed"]
    (tmp_path / "theirs.py").write_text("x = 2")
    after = code_state()["allowed"]
    assert before["nowhere"] is None and before["theirs"] != after["theirs"]
    monkeypatch.delenv("RNNEXP_ALLOW")
    assert "allowed" not in code_state()


def test_a_pickle_in_place_of_a_checkpoint(recorded: Path, capfd: pytest.CaptureFixture) -> None:
    class Payload:
        def __reduce__(self) -> tuple:
            return (Path.touch, (recorded / "executed",))

    torch.save({"state_dict": Payload(), "rnnexp_format": 1}, recorded / "checkpoints/best.ckpt")
    assert main(["test", str(recorded)]) == MISTAKE
    assert main(["rerun", str(recorded)]) == CANNOT
    assert "is not a checkpoint of tensors and plain values" in capfd.readouterr().err
    assert not (recorded / "executed").exists()


@pytest.mark.parametrize("text", ["", "[1, 2]", "{unclosed", "just words", "seed: 0"])
def test_a_config_of_nonsense(recorded: Path, text: str, capfd: pytest.CaptureFixture) -> None:
    (recorded / "config.yaml").write_text(text)
    assert main(["rerun", str(recorded)]) in (MISTAKE, CANNOT)
    said = capfd.readouterr().err.strip()
    assert said.startswith("rnnexp: ") and "\n" not in said
