"""Sharing the cores of the machine among concurrent runs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnexp.cli import main
from rnnexp.process import cores
from rnnexp.runs.folder.reading import read_run


@pytest.fixture(autouse=True)
def four_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cores, "available", lambda: {0, 1, 2, 3})
    monkeypatch.delenv("OMP_NUM_THREADS")


@pytest.fixture
def other() -> Iterator[int]:
    """The id of another live process."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.communicate(b"\n")


def claim(process: int, threads: int, on: list[int]) -> Path:
    folder = cores._folder()
    folder.mkdir(exist_ok=True)
    path = folder / f"{process}.json"
    path.write_text(json.dumps({"threads": threads, "cores": on}))
    return path


def test_what_other_runs_have_is_not_free(other: int) -> None:
    assert cores.free() == 4
    claim(other, 3, [0, 1, 2, 3])
    assert cores.free() == 1
    claim(other, 8, [0, 1, 2, 3])
    assert cores.free() == 1
    claim(other, 2, [3, 4, 5])  # they share one core with this process
    assert cores.free() == 3


@pytest.mark.parametrize(("limit", "free"), [("1", 1), ("3", 3), ("8", 4), ("0", 1), ("many", 4)])
def test_omp_num_threads_is_a_limit(limit: str, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert cores.free() == free


def test_a_run_that_is_gone_or_this_process_takes_nothing(other: int) -> None:
    claim(os.getpid(), 3, [0, 1, 2, 3])
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    claim(gone.pid, 3, [0, 1, 2, 3])
    claim(other, 3, [0, 1, 2, 3]).write_text("{")  # a half-written file
    assert cores.free() == 4


def test_a_claim_ends_with_the_run() -> None:
    with cores.claimed(2):
        (path,) = cores._folder().iterdir()
        assert json.loads(path.read_text()) == {"threads": 2, "cores": [0, 1, 2, 3]}
    assert not path.exists()


def test_a_run_takes_what_is_left_and_records_it(
    other: int, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "available", lambda: {0, 1})
    claim(other, 1, [0, 1])
    assert main(["train", "trainer/debug=one_batch", "paths.outputs=out"]) == 0
    (folder,) = Path("out/quickstart").iterdir()
    assert read_run(folder)["threads"] == 1
    assert [path.stem for path in cores._folder().iterdir()] == [str(other)]
