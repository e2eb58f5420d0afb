"""Signals that interrupt a run: Ctrl-C, or the end of the session or of the machine."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")  # the last two are unknown to Windows


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt during the block at every signal of `NAMES` that is not ignored, as
    SIGHUP is under nohup. In other threads than the main one, signals stay as they are."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    # A handler that another language has installed is None, and could not be restored.
    before = {number: signal.getsignal(number) for number in numbers}
    changed = {
        number: handler
        for number, handler in before.items()
        if handler not in (signal.SIG_IGN, None)
    }
    for number in changed:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> Any:
    raise KeyboardInterrupt
