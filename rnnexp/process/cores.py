"""Shares the cores of this machine among concurrent runs.

Two concurrent runs that each use all cores are many times slower than one run after the other. So
every run claims its threads in a file, and the next run takes the remaining cores.

A claim is a lock on a file, which the system releases when the process ends, however it ends. The
files lie in a folder that no other user can write to. What is found there is not trusted all the
same: without such a folder, and from a claim that cannot be read, a run learns nothing.
"""

import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnexp.process.locks import HAS_LOCKS, is_taken, open_unfollowed, take

MOST_THREADS = 1024  # of a run; more than torch can start end the process without a word
MOST_BYTES = 65536  # of a claim; one with thousands of cores has fewer


def available() -> set[int]:
    """The cores that this process may use, by number."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def free() -> int:
    """The number of available cores that no other run has claimed, at most OMP_NUM_THREADS where
    it is set; at least 1."""
    mine = available()
    taken = sum(min(threads, len(mine & cores)) for threads, cores in _other_claims())
    limit = os.environ.get("OMP_NUM_THREADS", "")
    most = int(limit) if limit.isdecimal() else len(mine)
    return max(1, min(len(mine) - taken, most))


@contextmanager
def claimed(threads: int) -> Iterator[None]:
    """Claim a number of cores for the threads of this process during the block."""
    folder = _folder()
    claim = (
        open_unfollowed(folder / f"{os.getpid()}.json", os.O_RDWR | os.O_CREAT) if folder else None
    )
    if folder is None or claim is None:  # without a claim, other runs may be slow
        yield
        return
    try:
        with suppress(OSError):
            take(claim)
            os.ftruncate(claim, 0)
            content = {"threads": threads, "cores": sorted(available())}
            os.write(claim, json.dumps(content).encode())
        yield
    finally:
        with suppress(OSError):
            (folder / f"{os.getpid()}.json").unlink(missing_ok=True)
        os.close(claim)


def _other_claims() -> Iterator[tuple[int, set[int]]]:
    """The number of threads and the cores of every other live run."""
    folder = _folder()
    for path in folder.glob("*.json") if folder else ():
        if path.stem == str(os.getpid()):
            continue
        claim = open_unfollowed(path, os.O_RDONLY)
        if claim is None:
            continue
        try:
            if is_taken(claim):
                content = json.loads(os.read(claim, MOST_BYTES))
                threads, cores = content["threads"], content["cores"]
                if type(threads) is int and threads > 0:
                    yield threads, set(cores)
            else:  # its process is gone
                with suppress(OSError):
                    path.unlink()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # it is being written, or is no claim
        finally:
            os.close(claim)


def _folder() -> Path | None:
    """The folder of the claims, which belongs to this user and to nobody else; None if there is
    none."""
    if not HAS_LOCKS:
        return None
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    parent = Path(runtime) if os.path.isabs(runtime) else Path(tempfile.gettempdir())
    folder = parent / f"rnnexp-claims-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    is_own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    return folder if is_own and not stat.S_IMODE(found.st_mode) & 0o077 else None
