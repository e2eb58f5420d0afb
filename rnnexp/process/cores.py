"""Shares the cores of this machine among concurrent runs.

Two concurrent runs that each use all cores are many times slower than one run after the other. So
every run records its number of threads in a file in the machine's temporary folder, and the next
run takes the remaining cores.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnexp.files import write_json


def available() -> set[int]:
    """The cores that this process may use, by number."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def free() -> int:
    """The number of available cores that no other run has claimed, at most OMP_NUM_THREADS where
    it is set; at least 1."""
    mine, taken = available(), 0
    for path in _folder().glob("*.json"):
        with suppress(OSError, ValueError, KeyError):  # a run that ends deletes its file
            claim = json.loads(path.read_text())
            if int(path.stem) != os.getpid() and _is_alive(int(path.stem)):
                taken += min(claim["threads"], len(mine & set(claim["cores"])))
    limit = os.environ.get("OMP_NUM_THREADS", "")
    most = int(limit) if limit.isdecimal() else len(mine)
    return max(1, min(len(mine) - taken, most))


@contextmanager
def claimed(threads: int) -> Iterator[None]:
    """Claim a number of cores for the threads of this process during the block."""
    path = _folder() / f"{os.getpid()}.json"
    with suppress(OSError):  # without the file, other runs may be slow
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"threads": threads, "cores": sorted(available())})
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _folder() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"rnnexp-cores-{user}"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
