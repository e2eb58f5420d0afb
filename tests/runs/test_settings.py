"""What `auto` becomes: a recorded config says what a run did, whatever would be chosen today."""

import json
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from rnnexp.cli import main
from rnnexp.config import compose
from rnnexp.config.schema import plain
from rnnexp.nn.fast.native import build
from rnnexp.nn.fast.native.build import why_not
from rnnexp.runs.comparison.leaderboard import find_runs
from rnnexp.runs.experiment import prepare, run
from rnnexp.runs.folder.reading import read_config, read_config_hash
from rnnexp.runs.folder.record import recording
from rnnexp.runs.hyperparameters import flat
from rnnexp.runs.settings import resolve
from tests.support.shrink import QUIET, SYNTHETIC_LOAD, TINY

LOAD = ["experiment=quickstart", *SYNTHETIC_LOAD, *TINY, *QUIET]
REVIEWS = ["experiment=quickstart_reviews", "data.per_class=10", *TINY, *QUIET]
DAY_AHEAD = ["experiment=quickstart_day_ahead", "data.number=1", "data.days=90", *TINY, *QUIET]
EVERY_AUTO = ["determinism.threads=auto", "trainer.accelerator=auto", "data.on_device=auto"]
EARLY = ["callbacks=early_stopping", "callbacks.figures=null"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RNNEXP_OUTPUTS", str(tmp_path / "outputs"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def left(config: DictConfig) -> list[str]:
    """The keys of a config whose value is `auto`."""
    return [key for key, value in flat(plain(config)).items() if value == "auto"]


@pytest.mark.parametrize("words", [LOAD, REVIEWS, DAY_AHEAD], ids=["load", "reviews", "day ahead"])
def test_no_auto_is_recorded(words: list[str], tmp_path: Path) -> None:
    asked = compose([*words, *EVERY_AUTO, *EARLY, "monitor=auto"])
    assert {"data.on_device", "trainer.accelerator", "monitor"} <= set(left(asked))
    with recording(tmp_path / "run", [], asked) as record:
        config, data = prepare(record, asked, resolve(asked))
    assert not left(config) and not left(read_config(tmp_path / "run"))
    assert config.data.on_device is False and data.source.on_device is False


@pytest.mark.parametrize(
    ("words", "free", "expected"),
    [
        (LOAD, 10**9, True),
        (LOAD, 10**3, "copied"),
        ([*LOAD, "monitor=val/loss"], 10**9, True),
        (REVIEWS, 10**3, "copied"),
        (DAY_AHEAD, 10**9, "copied"),
    ],
)
def test_a_gpu_decides_once_the_data_are_read(
    words: list[str], free: int, expected: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (free, 10**10))
    asked = compose([*words, "data.on_device=auto", "trainer.accelerator=gpu"])
    with monkeypatch.context() as patch:
        patch.setattr("torch.cuda.is_available", lambda: True)
        patch.setattr("torch.cuda.device_count", lambda: 1)
        patch.setattr("torch.cuda.get_device_name", lambda: "a card")
        resolved = resolve(asked)
    with recording(tmp_path / "run", [], asked) as record:
        config, data = prepare(record, asked, resolved)
    assert not left(config)
    recorded = read_config(tmp_path / "run")
    assert recorded.data.on_device == config.data.on_device == data.source.on_device == expected
    # A rerun does the same, however much memory is free.
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda: (10**5, 10**10))
    with recording(tmp_path / "again", [], recorded) as record:
        _, again = prepare(record, recorded, recorded)
    assert again.source.on_device == expected


def test_a_recorded_auto_is_still_rerun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, outputs = tmp_path / "outputs" / "earlier", tmp_path / "outputs"
    run(compose([*LOAD, "data.on_device=auto"]), folder)
    config = OmegaConf.load(folder / "config.yaml")
    config.data.on_device = "auto"  # as earlier versions recorded it
    OmegaConf.save(config, folder / "config.yaml")
    content = json.loads((folder / "run.json").read_text())
    content["config_sha256"] = read_config_hash(folder)
    (folder / "run.json").write_text(json.dumps(content))

    assert main(["test", str(folder)]) == 0
    assert main(["rerun", str(folder)]) == 0
    assert "verdict       identical" in capsys.readouterr().out
    (again,) = outputs.glob("quickstart/*")
    assert read_config(again).data.on_device is False
    first, second = find_runs([outputs])
    assert first.config == second.config  # where the batches were made changes no result


@pytest.mark.skipif(bool(why_not()), reason="no C++ compiler")
def test_steps_in_cpp_are_repeated_and_name_their_compiler(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "outputs" / "first"
    run(compose([*LOAD, "model.recurrence.path=native"]), folder)
    recorded = json.loads((folder / "run.json").read_text())
    assert recorded["path"] == "native"
    assert recorded["kernels"].endswith(f", steps by {build.compiler_version()}")
    assert main(["rerun", str(folder)]) == 0
    assert "verdict       identical" in capsys.readouterr().out
    # Where there is no compiler the run can still be used, and the difference is explained.
    monkeypatch.setattr(build, "_built", lambda: "it needs a compiler")
    assert main(["test", str(folder)]) == 4
    said = capsys.readouterr().out
    assert "path=native: it needs a compiler; the fused path is used" in said
    assert "environment   kernels: " in said and "different     test/smape: " in said


def test_a_cell_without_steps_in_cpp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(compose([*LOAD, "model/recurrence=mingru", "model.recurrence.path=native"]), tmp_path / "a")
    said = capsys.readouterr().out
    assert "path=native: MinGRU has no steps in C++; the plain path is used" in said
    recorded = json.loads((tmp_path / "a" / "run.json").read_text())
    assert recorded["path"] == "plain" and "steps by" not in recorded["kernels"]


@pytest.mark.parametrize("monitor", ["auto", "val/loss"])
def test_callbacks_watch_the_metric_of_the_run(monitor: str, tmp_path: Path) -> None:
    words = [*LOAD, *EARLY, f"monitor={monitor}", "callbacks.early_stopping.monitor=auto"]
    run(compose(words), tmp_path / "run")
    config = read_config(tmp_path / "run")
    assert config.callbacks.early_stopping.monitor == config.monitor != "auto"


def test_a_callback_that_is_no_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["monitor=auto"], ["monitor=val/loss"]):
        assert main(["train", *LOAD, *words, "+callbacks.mine=abc"]) == 2
        assert "callbacks.mine names no class (_target_)" in capsys.readouterr().err
