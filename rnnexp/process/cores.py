"""The cores of this machine, shared among the runs that are under way.

Two runs with as many threads each as there are cores are many times slower than one after the
other. So every run says how many threads it has, in a file of the machine's temporary folder, and
the next one takes what is left.
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
    """How many of them other runs leave; at least 1."""
    mine, taken = available(), 0
    for path in _folder().glob("*.json"):
        with suppress(OSError, ValueError, KeyError):  # another run may be ending just now
            claim = json.loads(path.read_text())
            if int(path.stem) != os.getpid() and _is_alive(int(path.stem)):
                taken += min(claim["threads"], len(mine & set(claim["cores"])))
    return max(1, len(mine) - taken)


@contextmanager
def claimed(threads: int) -> Iterator[None]:
    """Say that this process has so many threads."""
    path = _folder() / f"{os.getpid()}.json"
    with suppress(OSError):  # then nobody knows of it, and everything else works
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
