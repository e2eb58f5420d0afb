"""hydra/launcher=ray: jobs in processes of Ray, one of which is lost."""

import importlib.util
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.errors import UserError
from rnnexp.launching.on_ray import RayLauncher
from rnnexp.runs.folder.reading import read_run
from tests.support.lost_worker import check_a_sweep_with_a_lost_worker
from tests.support.shrink import QUIET, TINY

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install rnnexp[ray]"
)


@needs_ray
@pytest.mark.slow
def test_a_lost_worker_is_resumed_and_a_failure_is_named(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["hydra/launcher=ray"]
    check_a_sweep_with_a_lost_worker(words, empty_folder, monkeypatch, capfd)


@needs_ray
@pytest.mark.slow
def test_a_folder_that_ray_copies(empty_folder: Path) -> None:
    """Data below it are found by the same relative path; the results are here."""
    series = empty_folder / "mine" / "data" / "series.csv"
    series.parent.mkdir(parents=True)
    hours = [f"2020-01-{day:02} {hour:02}:00" for day in range(1, 29) for hour in range(24)]
    series.write_text(
        "\n".join(["time,load", *(f"{hour},{100 + n % 24}" for n, hour in enumerate(hours))])
    )
    columns = ["data.datetime_column=time", "data.value_column=load", "data.frequency=1h"]
    words = ["train", "-m", "data=series_csv", "data.root=data/series.csv", *columns, *TINY, *QUIET]
    words += ["seed=0,1", "hydra/launcher=ray", "hydra.launcher.working_dir=mine"]
    assert main([*words, "hydra.sweep.dir=sweep"]) == 0
    runs = [read_run(path.parent) for path in Path("sweep").glob("*/run.json")]
    assert [run["status"] for run in runs] == ["completed"] * 2


def test_wrong_settings(empty_folder: Path) -> None:
    with pytest.raises(UserError, match=r"working_dir=nowhere: there is no such folder"):
        RayLauncher(working_dir="nowhere")
    with pytest.raises(UserError, match=r"threads_per_job is 0: it must be at least 1"):
        RayLauncher(threads_per_job=0)
