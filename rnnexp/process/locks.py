"""Locks on files, which the system releases when their process ends, however it ends."""

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl

    HAS_LOCKS = True
except ImportError:  # Windows: nothing is locked
    HAS_LOCKS = False

PAUSES = (0.01, 0.03, 0.1)  # seconds: `is_taken` of another process holds a lock for a moment


def open_unfollowed(path: Path, flags: int) -> int | None:
    """A descriptor of a regular file, opened without following a link or waiting for a pipe; None
    for anything else. A new file is readable by its user alone."""
    try:
        file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    return None


def take(file: int) -> bool:
    """Lock an open file for this process; False if another process holds its lock."""
    for pause in PAUSES:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


def is_taken(file: int) -> bool:
    """Whether another process holds the lock of an open file."""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(file, fcntl.LOCK_UN)
    return False


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of a file during the block, and remove the file at its end. Yields False if
    another process holds the lock. Where the file system has no locks, nobody is refused."""
    file = open_unfollowed(path, os.O_RDWR | os.O_CREAT) if HAS_LOCKS else None
    if file is None:
        yield True
        return
    try:
        own = take(file)
    except OSError:  # a file system without locks
        own = True
    try:
        yield own
    finally:
        if own:
            with suppress(OSError):
                path.unlink()
        os.close(file)


@contextmanager
def waited_for(path: Path) -> Iterator[None]:
    """Hold the lock of a file during the block; wait for it as long as another process holds it.
    The file stays. Where the file system has no locks, nobody waits."""
    file = open_unfollowed(path, os.O_RDWR | os.O_CREAT) if HAS_LOCKS else None
    try:
        if file is not None:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        if file is not None:
            os.close(file)


def is_locked(path: Path) -> bool:
    """Whether a live process holds the lock of a file."""
    file = open_unfollowed(path, os.O_RDONLY) if HAS_LOCKS else None
    if file is None:
        return False
    try:
        return is_taken(file)
    except OSError:
        return False
    finally:
        os.close(file)
