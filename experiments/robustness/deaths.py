"""Runs a command of rnnexp in a process of its own, which a signal ends at a planted moment.

The process is forked from this one, which has imported torch. So it starts at once.
"""

import os
import pydoc
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import rnnexp.launching.launch
import rnnexp.runs.resume  # noqa: F401 - what commands import late, once for all processes
from rnnexp.callbacks.history import History
from rnnexp.cli import main
from rnnexp.tasks.task import Task

HANGING_SECONDS = 120


def located(function: str) -> tuple[Any, str]:
    """The module or the class of a function with this full name, and its name there.

    Raises:
        LookupError: there is none.
    """
    place, _, name = function.rpartition(".")
    owner = pydoc.locate(place)
    if not hasattr(owner, name):
        raise LookupError(f"there is no function {function}")
    return owner, name


@dataclass(frozen=True)
class Death:
    """A signal that a process sends to itself at a call of a function.

    function: its full name, e.g. "rnnexp.tasks.task.Task.training_step". call: at which call, from
    1. argument: only calls count one of whose arguments contains this text. after: once the call
    has returned. times: how often the signal is sent.
    """

    function: str
    call: int = 1
    argument: str = ""
    after: bool = False
    signal: int = signal.SIGKILL
    times: int = 1

    def plant(self) -> None:
        """Replace the function in this process."""
        owner, name = located(self.function)
        function, calls = getattr(owner, name), 0

        @wraps(function)
        def planted(*arguments: Any, **settings: Any) -> Any:
            nonlocal calls
            calls += any(self.argument in str(one) for one in arguments) or not self.argument
            if self.after:
                result = function(*arguments, **settings)
                self._strike(calls)
                return result
            self._strike(calls)
            return function(*arguments, **settings)

        setattr(owner, name, planted)

    def _strike(self, calls: int) -> None:
        if calls == self.call:
            for _ in range(self.times):
                os.kill(os.getpid(), self.signal)


@dataclass(frozen=True)
class AfterSeconds:
    """A signal that a process gets so many seconds after its first training step."""

    seconds: float
    signal: int = signal.SIGKILL

    def plant(self) -> None:
        """Watch the training of this process."""
        step = Task.training_step

        def first(*arguments: Any) -> Any:
            setattr(Task, "training_step", step)  # noqa: B010
            watch = threading.Timer(self.seconds, os.kill, (os.getpid(), self.signal))
            watch.daemon = True
            watch.start()
            return step(*arguments)

        setattr(Task, "training_step", first)  # noqa: B010


@dataclass(frozen=True)
class Leaving:
    """A function that does nothing any more. function: its full name."""

    function: str

    def plant(self) -> None:
        """Replace the function in this process."""
        setattr(*located(self.function), lambda *arguments: None)


@dataclass(frozen=True)
class Noting:
    """Notes in the lines of a file after which epoch and step a process was, e.g. "2.14"."""

    path: Path

    def plant(self) -> None:
        """Watch the training of this process."""
        note = History.on_train_batch_end

        def noting(history: Any, trainer: Any, *arguments: Any) -> None:
            with self.path.open("a") as file:
                file.write(f"{trainer.current_epoch + 1}.{arguments[-1] + 1}\n")
            note(history, trainer, *arguments)

        setattr(History, "on_train_batch_end", noting)  # noqa: B010


def run_apart(argv: list[str], *plants: Any, log: Path) -> int:
    """Run `rnnexp ARGV` in a forked process, with what is planted there.

    log: a file for what it prints. Returns the exit code; that of a signal is negative.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            _write_to(log)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for one in plants:
                one.plant()
            sys.argv = ["rnnexp", *argv]
            code = main(argv)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    return _waited_for(child)


def _write_to(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))


def _waited_for(child: int) -> int:
    started = time.monotonic()
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > started + HANGING_SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError("the process hangs")
        time.sleep(0.005)
