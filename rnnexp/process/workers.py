"""Processes that work on jobs side by side.

A process is used again for the next job. If one dies, its job alone is lost: the jobs that have not
begun go to the others and to a new one. None outlives the process that started it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from typing import Any

PATIENCE = 60.0  # seconds for the checkpoints of interrupted runs


@dataclass(frozen=True)
class Outcome:
    """What became of a job: its number, and its result; None if its process died."""

    number: int
    result: Any
    died: bool = False


class Worker:
    """One process, and the job that it works on.

    environment: variables that the process has beside those of this one.
    """

    def __init__(self, work: Callable[..., Any], environment: Mapping[str, str]) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        # Nothing is sent over the lifeline: its end says that this process is gone.
        lifeline, self._lifeline = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(work, theirs, lifeline))
        with _environment(environment), _without_main():
            self.process.start()
        theirs.close()
        lifeline.close()
        self.number: int | None = None

    def begin(self, number: int, arguments: Sequence[Any]) -> None:
        self.number = number
        with suppress(OSError):  # it has died, which `run_side_by_side` sees
            self.connection.send(arguments)

    def outcome(self) -> Outcome:
        """What became of the job, once the process has answered or died."""
        assert self.number is not None
        try:
            found = Outcome(self.number, self.connection.recv())
        except (EOFError, OSError):
            found = Outcome(self.number, None, died=True)
        self.number = None
        return found

    def end(self) -> None:
        """End the process, which is idle or dead."""
        self.connection.close()
        self._lifeline.close()
        self.process.join()


def run_side_by_side(
    work: Callable[..., Any],
    jobs: Sequence[Sequence[Any]],
    environments: Sequence[Mapping[str, str]],
) -> Iterator[Outcome]:
    """Call `work` with the arguments of each job, and yield the outcomes as they come.

    work: a function of a module. jobs: arguments that can be pickled, in the order in which they
    begin. environments: of each process; their number is that of the processes.

    A KeyboardInterrupt of this process interrupts all jobs, which have a minute to end; a second
    one kills them.
    """
    waiting = list(enumerate(jobs))[::-1]
    slots: list[Worker | None] = [None] * min(len(environments), len(jobs))
    try:
        while waiting or any(slots):
            for place, worker in enumerate(slots):
                if worker is None and waiting:
                    slots[place] = worker = Worker(work, environments[place])
                if worker is not None and worker.number is None and waiting:
                    worker.begin(*waiting.pop())
                elif worker is not None and worker.number is None:
                    worker.end()
                    slots[place] = None
            connections = [worker.connection for worker in slots if worker]
            answered = connection.wait(connections) if connections else []
            for place, worker in enumerate(slots):
                if worker and worker.connection in answered:
                    outcome = worker.outcome()
                    if outcome.died:
                        worker.end()
                        slots[place] = None
                    yield outcome
    except BaseException:
        _interrupt([worker for worker in slots if worker])
        raise


def _interrupt(workers: Sequence[Worker]) -> None:
    """Interrupt the jobs and wait for their processes."""
    try:
        for worker in workers:
            if worker.process.is_alive() and worker.process.pid:
                os.kill(worker.process.pid, signal.SIGTERM)
        for worker in workers:
            worker.process.join(PATIENCE)
    finally:
        for worker in workers:
            worker.process.kill()
            worker.end()


def _work(
    work: Callable[..., Any],
    jobs: connection.Connection,
    lifeline: connection.Connection,
) -> None:
    """What a process does: one job after another, until there is none."""
    # Ctrl-C reaches every process of the terminal: the one that started this one passes it on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            jobs.send(work(*jobs.recv()))


def _end_with(lifeline: connection.Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv()
    os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_main() -> Iterator[None]:
    """Keep new processes from running the user's script again, which they do not need."""
    main: Any = vars(sys.modules["__main__"])
    kept: Any = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(kept)
