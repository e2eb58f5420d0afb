"""rnnexp.load: load a run in two lines of Python."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import rnnexp
from rnnexp.config import compose
from rnnexp.errors import UserError
from rnnexp.runs.experiment import run
from tests.support import GOLDEN
from tests.support.load_files import write_load_files
from tests.support.shrink import OURS, QUIET


def test_load_gives_back_network_data_and_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    files = write_load_files(tmp_path / "load")
    run(compose([*OURS, *QUIET, f"data.root={files}"]), tmp_path / "run")

    before = torch.get_rng_state()
    loaded = rnnexp.load(tmp_path / "run")
    assert torch.equal(before, torch.get_rng_state())
    loaded.data.setup("test")
    batches = [
        loaded.network.predict(batch.values, batch.calendar, batch.series)  # type: ignore[operator]
        for batch in loaded.data.test_dataloader()
    ]
    expected = pd.read_csv(tmp_path / "run/predictions.csv")["prediction"]
    np.testing.assert_allclose(torch.cat(batches).detach(), expected, rtol=1e-6)
    assert loaded.config.name == "power_load_pmgru"
    assert not loaded.network.training

    for path in files.iterdir():
        path.unlink()
    assert rnnexp.load(tmp_path / "run").network is not None  # the network needs no data


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"it has no run.json"):
        rnnexp.load(tmp_path)


def test_a_run_of_todays_format_is_read_by_tomorrows_code() -> None:
    """tests/golden/run_format_1: two hidden units, one epoch on synthetic load."""
    loaded = rnnexp.load(GOLDEN / "run_format_1")
    values = torch.linspace(5000, 9000, 30).reshape(1, 30, 1)
    calendar = torch.zeros(1, 30, 15)
    prediction = loaded.network.predict(values, calendar, torch.tensor([0]))  # type: ignore[operator]
    assert prediction.item() == pytest.approx(9097.17578125, rel=1e-6)
