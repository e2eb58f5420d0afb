"""Signals that interrupt a run: Ctrl-C, or the end of the session or of the machine."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")  # the last two are unknown to Windows


class Interruption:
    """What the signals of `NAMES` do in this process: they raise KeyboardInterrupt.

    asked: whether a signal has come while it was `delayed`. Whoever delays it looks at this.
    """

    def __init__(self) -> None:
        self.asked = False
        self._delays = False
        self._before: dict[int, Any] = {}

    @contextmanager
    def delayed(self) -> Iterator[None]:
        """During the block, the first signal is only noted in `asked`, and interrupts its end; the
        second one interrupts the block at once."""
        self._delays = True
        try:
            yield
        finally:
            self._delays = False
        if self.asked:
            raise KeyboardInterrupt

    def watch(self) -> None:
        """Receive the signals that are not ignored, as SIGHUP is under nohup. Only the main thread
        can; in others, signals stay as they are. A second call takes over what others have
        changed since."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
            handler = signal.getsignal(number)
            # A handler that was not installed from Python is None, and could not be restored.
            if handler not in (signal.SIG_IGN, None):
                self._before.setdefault(number, handler)
                signal.signal(number, self._receive)

    def restore(self) -> None:
        """Give the signals back to whoever had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._delays and not self.asked:
            self.asked = True
            return
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Let signals interrupt the block by KeyboardInterrupt."""
    interruption = Interruption()
    interruption.watch()
    try:
        yield interruption
    finally:
        interruption.restore()
