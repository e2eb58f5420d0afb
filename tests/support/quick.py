"""Bounds the time of a block: a command that waits for ever must fail its test, not stop it."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 5  # of the processor


@contextmanager
def quick() -> Iterator[None]:
    """Fail if the block takes more than `SECONDS` of the processor, or hangs."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise AssertionError("the command hangs")

    before, started = signal.signal(signal.SIGALRM, stop), time.process_time()
    signal.alarm(12 * SECONDS)  # the machine may be busy
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert time.process_time() - started < SECONDS
