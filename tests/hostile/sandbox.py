"""A machine within the machine, in which a command reads a run folder of a stranger.

Home, caches, temporary files, the current folder and the results all lie in one folder that is
listed before and after a command. What else the command does to the machine (connections, other
programs, files written elsewhere) is seen by an audit hook of Python.
"""

import gc
import io
import os
import re
import shutil
import signal
import socket
import stat
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from rnnexp.cli import main

MOST_SECONDS = 5.0  # of one command
MOST_MEMORY = 2**30  # bytes that one command may take beyond what the process has
HANGING_SECONDS = 8.0  # after which a command is stopped, so that the tests go on
MEMORY_LIMIT = 6 * 2**30  # bytes; beyond this the system refuses memory, so that the machine lives
SECRET = "a-secret-of-the-environment"
CODES = (0, 1, 2, 3, 4)
REFUSED = (2, 3)

# Control characters but newline and tab, those of Latin-1, and those that reorder a line.
RAW_ESCAPES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
FORGED = "rnnexp: forged"  # a sentence that looks like one of the command
# What a command may write beside results: baselines that can be computed again, claimed cores.
CACHED = re.compile(r"cache/rnnexp(/baselines(/[0-9a-f]{24}\.json)?)?")
CLAIMED = re.compile(r"runtime/rnnexp-claims-\d+")
PROGRAMS = {"git"}  # that the command calls: it asks for the commit of its own code

Listing = dict[str, tuple[object, ...]]


class Hanging(BaseException):
    """A command did not end."""


@dataclass
class Outcome:
    """What one command did.

    code: the exit code; None if it raised. error: the end of its traceback. hanging: it had to be
    stopped. peak: bytes of resident memory beyond those at the start. changed: paths in the sandbox
    that came, went or changed. events: what it did outside the sandbox.
    """

    argv: list[str]
    code: int | None = None
    output: str = ""
    said: str = ""
    error: str = ""
    hanging: bool = False
    seconds: float = 0.0
    peak: int = 0
    changed: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """A sentence for each thing that no run folder may bring about."""
        return [f"{' '.join(self.argv)[:200]}: {fault}" for fault in self._faults()]

    def _faults(self) -> Iterator[str]:
        both = self.output + self.said
        if self.error:
            yield f"raises {self.error}"
        elif self.code not in CODES:
            yield f"exit code {self.code}"
        if "Traceback (most recent" in both:
            yield f"a traceback is printed: {both[-500:]}"
        if self.code in REFUSED and not re.fullmatch(r"rnnexp: [^\n]+\n", self.said):
            yield f"refuses with {self.said.count(chr(10))} lines: {self.said[:1000]!r}"
        for found in dict.fromkeys(RAW_ESCAPES.findall(both)):
            place = both.index(found)
            yield f"prints {found!r} raw: {both[max(0, place - 100) : place + 30]!r}"
        if any(line.startswith(FORGED) for line in both.splitlines()):
            yield f"prints a line of its own for the folder: {both[:1000]!r}"
        if SECRET in both:
            yield "prints a variable of the environment"
        if self.seconds > MOST_SECONDS:
            yield f"takes {self.seconds:.1f} s"
        if self.peak > MOST_MEMORY:
            yield f"takes {self.peak / 2**20:,.0f} MiB of memory"
        yield from (f"changes {path}" for path in self.changed)
        yield from self.events


class Sandbox:
    """Folders for one stranger and one user."""

    def __init__(self, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.place = place.resolve()
        folders = ("home", "cache", "runtime", "temporary", "current", "outputs", "strangers")
        for name in folders:
            (self.place / name).mkdir(parents=True)
        self.current, self.outputs = self.place / "current", self.place / "outputs"
        self.strangers = self.place / "strangers"
        (self.place / "home" / "precious.txt").write_text("precious\n")
        for name in [name for name in os.environ if name.startswith("RNNEXP_")]:
            patch.delenv(name)
        patch.setenv("HOME", str(self.place / "home"))
        patch.setenv("XDG_CACHE_HOME", str(self.place / "cache"))
        patch.setenv("XDG_RUNTIME_DIR", str(self.place / "runtime"))
        patch.setenv("TMPDIR", str(self.place / "temporary"))
        patch.setenv("RNNEXP_OUTPUTS", str(self.outputs))
        patch.setenv("TOKEN", SECRET)
        patch.setattr(tempfile, "tempdir", str(self.place / "temporary"))
        patch.setattr(sys, "dont_write_bytecode", True)
        patch.setattr(gc, "get_freeze_count", lambda: 1)  # it counts all objects, at every run
        patch.chdir(self.current)

    def run(self, *argv: str | Path) -> Outcome:
        """Run `rnnexp ARGV` and note everything that it did."""
        outcome = Outcome([str(word) for word in argv])
        before = self.listing()
        with _streams(outcome), _limits(outcome), _watched(outcome, self.place):
            started = time.perf_counter()
            try:
                outcome.code = main(outcome.argv)
            except (Exception, Hanging, SystemExit) as error:
                outcome.hanging = isinstance(error, Hanging)
                outcome.error = "".join(traceback.format_exc().splitlines(keepends=True)[-9:])
            outcome.seconds = time.perf_counter() - started
        after = self.listing()
        outcome.changed = [
            path
            for path in dict.fromkeys([*before, *after])
            if before.get(path) != after.get(path) and not self._may_change(path, before)
        ]
        if any(SECRET in text for text in _texts(self.outputs)):
            outcome.events.append("writes a variable of the environment into the results")
        return outcome

    def _may_change(self, path: str, before: Listing) -> bool:
        """Whether a command may write here: new results, and what can be made again."""
        new = path not in before
        return bool(
            new
            and (path.startswith("outputs/") or CACHED.fullmatch(path) or CLAIMED.fullmatch(path))
        )

    def listing(self) -> Listing:
        """Every path below the sandbox, with what would change if it were written."""
        found: Listing = {}
        for folder, folders, files in os.walk(self.place):
            for name in [*folders, *files]:
                path = Path(folder, name)
                status = path.lstat()
                facts: tuple[object, ...] = (status.st_mode,)
                if not stat.S_ISDIR(status.st_mode):
                    facts += (status.st_size, status.st_mtime_ns, status.st_ino)
                found[path.relative_to(self.place).as_posix()] = facts
        return found

    def remove(self) -> None:
        shutil.rmtree(self.place)


def _texts(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if stat.S_ISREG(path.lstat().st_mode):
            yield path.read_text(encoding="latin-1")


@contextmanager
def _streams(outcome: Outcome) -> Iterator[None]:
    """Keep standard output and standard error, as UTF-8, and the warnings that would be in it."""
    output, said = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)
    )
    with warnings.catch_warnings(record=True) as warned:
        try:
            with redirect_stdout(output), redirect_stderr(said):
                yield
        finally:
            streams: list[Any] = [output.buffer, said.buffer]
            outcome.output, outcome.said = (one.getvalue().decode() for one in streams)
    outcome.said += "".join(
        warnings.formatwarning(str(one.message), one.category, one.filename, one.lineno)
        for one in warned
        if not issubclass(one.category, (DeprecationWarning, PendingDeprecationWarning))
    )


@contextmanager
def _limits(outcome: Outcome) -> Iterator[None]:
    """Measure the memory; stop what hangs, and what takes all memory."""
    import resource  # Windows has none

    def stop(number: int, frame: FrameType | None) -> None:
        raise Hanging

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = _memory("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_LIMIT, hard))
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, HANGING_SECONDS, 1.0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    at_start = _memory("VmRSS")
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        outcome.peak = _memory("VmHWM") - at_start


def _memory(name: str) -> int:
    """An entry of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise LookupError(name)


# What a command does outside ----------------------------------------------------------------------

_watching: Callable[[str, tuple[Any, ...]], None] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching is not None:
        _watching(event, arguments)


sys.addaudithook(_hook)  # Python cannot remove one again

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CALLS = {"os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn", "webbrowser.open"}
REACHING = {
    *("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"),
    *("socket.bind", "urllib.Request", "ftplib.connect", "smtplib.connect"),
}
CHANGING = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod"}


@contextmanager
def _watched(outcome: Outcome, place: Path) -> Iterator[None]:
    """Note connections, other programs, signals, and what is written outside `place`."""
    global _watching

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in REACHING:
            outcome.events.append(f"reaches out: {event} {arguments[1:]!r}")
        elif event in CALLS:
            outcome.events.append(f"starts a program: {event} {arguments[:1]!r}")
        elif event == "subprocess.Popen" and Path(str(arguments[0])).name not in PROGRAMS:
            outcome.events.append(f"starts a program: {arguments[:2]!r}")
        elif event == "os.kill" and arguments[1] != 0:
            outcome.events.append(f"sends a signal: {arguments!r}")
        elif event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
            if (arguments[2] or 0) & WRITING and not _is_inside(arguments[0], place):
                outcome.events.append(f"writes {arguments[0]!r}")
        elif event in CHANGING and not _is_inside(arguments[0], place):
            outcome.events.append(f"changes {arguments[:2]!r} ({event})")

    _watching = note
    try:
        yield
    finally:
        _watching = None


def _is_inside(path: Any, place: Path) -> bool:
    if not isinstance(path, (str, bytes, os.PathLike)):
        return True  # relative to an open folder
    found = os.path.realpath(os.fsdecode(path))
    return found == os.devnull or Path(found).is_relative_to(place)


@contextmanager
def listening() -> Iterator[tuple[int, Callable[[], int]]]:
    """A server on this machine: its port, and a function that counts the connections so far."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        server.setblocking(False)

        def count() -> int:
            found = 0
            while True:
                try:
                    connection, _ = server.accept()
                except BlockingIOError:
                    return found
                connection.close()
                found += 1

        yield server.getsockname()[1], count
