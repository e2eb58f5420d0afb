"""Processes that work side by side: nothing is lost but the job of a process that dies."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnexp.process.workers import run_side_by_side
from tests.support import REPOSITORY


def square(number: int) -> tuple[int, int, str]:
    return number**2, os.getpid(), os.environ["MINE"]


def square_or_die(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


def sleep(folder: str, name: str) -> None:
    (Path(folder) / f"{name}.{os.getpid()}").touch()
    try:
        time.sleep(60)
    except BaseException:
        (Path(folder) / f"{name}.interrupted").touch()
        raise


def test_processes_are_used_again() -> None:
    environments = [{"MINE": "a"}, {"MINE": "b"}]
    outcomes = list(run_side_by_side(square, [(number,) for number in range(6)], environments))
    assert {one.number: one.result[0] for one in outcomes} == {n: n**2 for n in range(6)}
    assert len({one.result[1:] for one in outcomes}) == 2
    assert {one.result[2] for one in outcomes} <= {"a", "b"} and "MINE" not in os.environ


def test_a_process_that_dies_loses_its_job_alone() -> None:
    outcomes = list(run_side_by_side(square_or_die, [(number,) for number in range(5)], [{}, {}]))
    assert {one.number: one.result for one in outcomes if not one.died} == {0: 0, 1: 1, 3: 9, 4: 16}
    assert [one.number for one in outcomes if one.died] == [2]


SLEEPING = """
from rnnexp.process.workers import run_side_by_side
from rnnexp.process.interruption import interruptible
from tests.process.test_workers import sleep
import sys

if __name__ == "__main__":
    with interruptible():
        list(run_side_by_side(sleep, [(sys.argv[1], "a"), (sys.argv[1], "b")], [{}, {}]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_started_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "sleeping.py"
    script.write_text(SLEEPING)
    marks = tmp_path / "marks"
    marks.mkdir()
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(
        [sys.executable, str(script), str(marks)], env=environment, stderr=subprocess.DEVNULL
    )
    until(lambda: len(list(marks.iterdir())) == 2)
    workers = [int(path.suffix[1:]) for path in marks.iterdir()]
    process.send_signal(number)
    process.wait(30)
    until(lambda: not any(map(is_alive, workers)))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it took longer than 30 s"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().split()[2] != "Z"
