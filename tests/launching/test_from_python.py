"""rnnexp.run and rnnexp.load, in a notebook and in a program that uses Hydra itself."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pandas as pd
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

import rnnexp
from rnnexp.errors import RunFailed, UserError
from tests.support import REPOSITORY

SMALL = [
    "experiment=quickstart_names",
    "data.number=20",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "model.hidden_size=8",
    "determinism.threads=1",
    "callbacks.progress_bar=null",
    "callbacks.figures=null",
    "logger=none",
]

DIVERGING = [
    *("data.number=1", "data.days=40", "data.look_back=30", "data.chunking.length=40"),
    *("data.batch_size=4", "optimizer=sgd", "optimizer.lr=1e39", "trainer.gradient_clip_val=null"),
    *("trainer.accelerator=cpu", "determinism.threads=1", "callbacks.progress_bar=null"),
]


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RNNEXP_OUTPUTS", raising=False)
    yield
    torch.use_deterministic_algorithms(False)


def state_of_the_process() -> dict[str, Any]:
    hydras = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    return {
        "hydra": tuple(map(id, hydras)),
        "argv": list(sys.argv),
        "threads": torch.get_num_threads(),
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "random": torch.get_rng_state().sum().item(),
        "filters": list(warnings.filters),
        "loggers": [
            (logging.getLogger(name).level, list(logging.getLogger(name).handlers))
            for name in ("", "pytorch_lightning")
        ],
    }


def test_a_run_comes_back_finished() -> None:
    run = rnnexp.run([*SMALL, "seed=3"])
    assert run.record["status"] == "completed" and run.config.seed == 3
    assert run.record["argv"] == ["rnnexp.run", *SMALL, "seed=3"]
    assert run.folder.parent == Path.cwd() / "outputs" / "quickstart_names"
    metrics = json.loads((run.folder / "metrics.json").read_text())
    assert run.metrics == metrics
    table = run.predictions
    accuracy = (table["target"] == table["prediction"]).mean()
    assert accuracy == pytest.approx(metrics["test/accuracy"])

    tested = pd.DataFrame(rnnexp.load(run.folder).predict(["Kosval", "Ba"]))
    assert tested["text"].tolist() == ["Kosval", "Ba"]
    probabilities = tested.filter(like="p_").to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    pd.testing.assert_frame_equal(run.predict("Kosval"), tested.head(1))
    run.data.setup("fit")  # predicting does not use up the data module
    assert len(run.data.test_dataloader()) > 0


def test_inside_a_program_that_uses_hydra_nothing_is_left_behind(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.yaml").write_text("answer: 42\n")
    with hydra.initialize_config_dir(str(tmp_path / "theirs"), version_base="1.1"):
        before = state_of_the_process()
        rnnexp.run(SMALL)
        assert state_of_the_process() == before
        assert hydra.compose("config").answer == 42
    before = state_of_the_process()
    rnnexp.run([*SMALL, "seed=1"])
    assert state_of_the_process() == before


def test_our_folders_are_not_searched_by_the_program_around(tmp_path: Path) -> None:
    """rnnexp searches ./conf, but a program that uses Hydra itself must not."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "stranger.yaml").write_text("a: 1\n")
    with (
        hydra.initialize_config_dir(str(tmp_path / "theirs"), version_base=None),
        pytest.raises(Exception, match="stranger"),
    ):
        hydra.compose("stranger")


def test_a_mistake_is_an_error_and_no_exit() -> None:
    before = state_of_the_process()
    with pytest.raises(UserError, match="did you mean gru"):
        rnnexp.run([*SMALL, "model=gruu"])
    with pytest.raises(UserError, match=r"call rnnexp.run for each"):
        rnnexp.run([*SMALL, "seed=0,1"])
    with pytest.raises(UserError, match=r"call rnnexp.run for each"):
        rnnexp.run([*SMALL, "sweep=seeds"])
    with pytest.raises(RunFailed, match="the training loss became"):
        rnnexp.run(DIVERGING)
    assert state_of_the_process() == before


def test_the_notebook_runs_from_its_first_cell_to_its_last() -> None:
    notebook = json.loads((REPOSITORY / "docs" / "notebook.ipynb").read_text())
    cells = ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == "code"]
    names: dict[str, Any] = {}
    quiet = '"determinism.threads=1", "callbacks.progress_bar=null", "trainer.max_epochs=8"'
    for cell in cells:
        exec(cell.replace('"trainer.max_epochs=8"', quiet), names)
    assert OmegaConf.is_config(names["again"].config)
    assert (
        names["run"].metrics["test/accuracy"] > names["run"].metrics["baseline/majority/accuracy"]
    )
