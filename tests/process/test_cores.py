"""Sharing the cores of the machine among concurrent runs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnexp.cli import main
from rnnexp.process import cores
from rnnexp.process.locks import is_taken
from rnnexp.runs.folder.reading import read_run


@pytest.fixture(autouse=True)
def four_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cores, "available", lambda: {0, 1, 2, 3})
    monkeypatch.delenv("OMP_NUM_THREADS")


LIVE = """
import fcntl, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
input()
"""


def folder() -> Path:
    found = cores._folder()
    assert found is not None
    return found


def content(threads: Any, on: Any) -> str:
    return json.dumps({"threads": threads, "cores": on})


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """The claim of another live process."""
    claim = folder() / "other.json"
    claim.touch()
    process = subprocess.Popen(
        [sys.executable, "-c", LIVE, str(claim)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout and process.stdout.readline() == b"locked\n"
    yield claim
    process.communicate(b"\n")


def test_what_other_runs_have_is_not_free(other: Path) -> None:
    other.write_text(content(3, [0, 1, 2, 3]))
    assert cores.free() == 1
    other.write_text(content(8, [0, 1, 2, 3]))
    assert cores.free() == 1
    other.write_text(content(2, [3, 4, 5]))  # they share one core with this process
    assert cores.free() == 3


@pytest.mark.parametrize(("limit", "free"), [("1", 1), ("3", 3), ("8", 4), ("0", 1), ("many", 4)])
def test_omp_num_threads_is_a_limit(limit: str, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert cores.free() == free


def test_a_run_that_is_gone_takes_nothing_whoever_has_its_number_now() -> None:
    gone = folder() / f"{os.getppid()}.json"  # a live process, which holds no lock
    gone.write_text(content(3, [0, 1, 2, 3]))
    assert cores.free() == 4
    assert not gone.exists()


@pytest.mark.parametrize(
    "claim",
    [
        *("{", "[1]", "null", "", "[" * 60000, '{"threads": 3}'),
        *(content(-500, [0, 1]), content("2", [0]), content(True, [0])),
        *(content(1, None), content(1, [[0]]), content(2, 7)),
    ],
)
def test_a_claim_that_cannot_be_read_is_passed_over(other: Path, claim: str) -> None:
    other.write_text(claim)
    assert cores.free() == 4


def test_a_link_is_not_followed_and_a_pipe_not_waited_for(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    own = folder() / f"{os.getpid()}.json"
    own.symlink_to(victim)
    os.mkfifo(folder() / "1.json")
    assert cores.free() == 4
    with cores.claimed(2):
        assert victim.read_text() == "precious"
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file"])
def test_a_folder_of_somebody_else_is_not_used(kind: str, tmp_path: Path) -> None:
    place = folder()
    place.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if kind == "open to others":
        place.mkdir()
        place.chmod(0o777)
    elif kind == "a link":
        place.symlink_to(elsewhere)
    else:
        place.touch()
    assert cores._folder() is None and cores.free() == 4
    with cores.claimed(2):
        assert list(elsewhere.iterdir()) == []


def test_the_runtime_folder_of_the_user_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    assert cores._folder() is None  # there is no such folder
    (tmp_path / "run").mkdir()
    assert folder().parent == tmp_path / "run"


def test_a_claim_ends_with_the_run() -> None:
    with cores.claimed(2):
        (path,) = folder().iterdir()
        assert json.loads(path.read_text()) == {"threads": 2, "cores": [0, 1, 2, 3]}
        claim = os.open(path, os.O_RDONLY)
        assert is_taken(claim)
        os.close(claim)
    assert not path.exists()


def test_a_run_takes_what_is_left_and_records_it(
    other: Path, empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "available", lambda: {0, 1})
    other.write_text(content(1, [0, 1]))
    assert main(["train", "trainer/debug=one_batch", "paths.outputs=out"]) == 0
    (run,) = Path("out/quickstart").iterdir()
    assert read_run(run)["threads"] == 1
    assert list(folder().iterdir()) == [other]
