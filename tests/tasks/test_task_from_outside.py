"""A third task, defined by the user's own package and ./conf folder, both in tests/outside."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from rnnexp.cli import main
from rnnexp.nn.fast import choices
from tests.support import REPOSITORY

Capture = pytest.CaptureFixture[str]
ALLOW = ["--allow", "next_character"]
TRAIN = [
    "train",
    "data=synthetic_names",
    "task=next_character",
    "name=next",
    "data.number=40",
    "trainer.max_epochs=3",
    "trainer.accelerator=cpu",
    "determinism.threads=1",
    "callbacks.progress_bar=null",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the user's package and configs, and two runs, of pmGRU and of torch.nn.GRU."""
    folder = tmp_path_factory.mktemp("outside") / "here"
    shutil.copytree(REPOSITORY / "tests" / "outside", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setenv("RNNEXP_OUTPUTS", str(folder / "outputs"))
        patch.setenv("RNNEXP_CACHE", str(folder / "cache"))
        # Names are short, and where that was measured, such sequences run on the plain path.
        patch.setattr(choices, "instruction_set", lambda: "not measured")
        patch.setenv("RNNEXP_ALLOW", "")  # undoes what --allow adds
        assert main([*TRAIN, "-m", "model=pmgru,gru", *ALLOW]) == 0
        yield folder


@pytest.fixture
def run(place: Path) -> Path:
    """The run of pmGRU."""
    return next((place / "outputs" / "multirun").glob("*/0_next_pmgru_*"))


def test_it_trains_and_beats_its_own_baseline(run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert record["headline"] == [
        {"name": "bits", "unit": "bits a character", "lower_is_better": True}
    ]
    assert record["path"] == "fused" and set(record["kept"]) == {"characters.json"}
    metrics = json.loads((run / "metrics.json").read_text())
    assert 0 < metrics["test/bits"] < metrics["baseline/frequency/bits"]
    table = pd.read_csv(run / "predictions.csv")
    assert list(table) == ["name", "bits"] and len(table) == record["spec"]["tested"]
    assert table["bits"].mean() == pytest.approx(metrics["test/bits"])


def test_it_is_tested_again_from_its_folder(run: Path, capfd: Capture) -> None:
    assert main(["test", str(run), *ALLOW]) == 0
    assert "to the bit" in capfd.readouterr().out


def test_it_is_repeated(run: Path, capfd: Capture) -> None:
    assert main(["rerun", str(run), *ALLOW]) == 0
    assert "verdict       identical" in capfd.readouterr().out


def test_it_predicts_from_its_folder_alone(run: Path, capfd: Capture) -> None:
    assert main(["predict", str(run), "--text", "Ba", "--text", "Kos", *ALLOW]) == 0
    said = capfd.readouterr().out
    assert "likeliest" in said and "Kos" in said


def test_without_a_trace_of_its_own_it_is_refused(run: Path, capfd: Capture) -> None:
    assert main(["trace", str(run), "--text", "Ba", *ALLOW]) == 2
    assert "NextCharacter cannot be traced: " in capfd.readouterr().err


def test_its_network_is_not_exported(run: Path, capfd: Capture) -> None:
    pytest.importorskip("onnx")
    assert main(["export", str(run), *ALLOW]) == 2
    assert "does not know the network next_character." in capfd.readouterr().err
    assert not (run / "export").exists()


def test_the_leaderboard_ranks_it_by_its_own_metric(place: Path, capfd: Capture) -> None:
    assert main(["leaderboard", str(place / "outputs" / "multirun"), "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    bits = [row["bits"] for row in rows]
    assert len(bits) == 2 and bits == sorted(bits), "the lower the better"
    assert all("the next character" in row["tested on"] for row in rows)


def test_nothing_of_it_is_built_that_was_not_allowed(
    run: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RNNEXP_ALLOW")
    assert main(["rerun", str(run)]) == 2
    assert "a class of your own package needs --allow PACKAGE" in capfd.readouterr().err


def test_several_devices_need_to_know_what_the_loss_is_a_mean_of(
    place: Path, capsys: Capture
) -> None:
    assert main([*TRAIN, "trainer=ddp", "hydra.run.dir=ddp", *ALLOW]) == 2
    assert (
        "rnnexp: trainer=ddp: NextCharacter does not say what its loss is a mean of: terms(batch) "
        "of rnnexp.tasks.task.Task; set trainer=auto\n"
    ) in capsys.readouterr().err
