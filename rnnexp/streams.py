"""Standard output and standard error that never raise: printing must not fail a run.

A stream may be missing, closed or full, its reader may be gone, and its encoding may lack a
character.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Characters of our own tables and sentences; all others become an escape such as \u0142.
IN_ASCII = {"±": "+-", "…": "...", "•": "*", "→": "->"}


class Guarded:
    """A text stream whose `write` and `flush` never raise. stream: None without a console.

    lost: the first error of the stream; what was written since then may be lost.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        if self._stream is not None:
            with self._noting():
                try:
                    self._stream.write(text)
                except UnicodeEncodeError:
                    self._stream.write(_encodable(text, self._stream.encoding))
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            with self._noting():
                self._stream.flush()

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def silence(self) -> None:
        """Discard what is still buffered: Python would report it again when the process ends."""
        with suppress(Exception):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    @contextmanager
    def _noting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.lost = self.lost or error
        except ValueError:  # the stream has been closed
            pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _encodable(text: str, encoding: str) -> str:
    """The text with every character that the encoding lacks spelt out."""

    def spelt(character: str) -> str:
        try:
            character.encode(encoding)
        except UnicodeEncodeError:
            escape = character.encode("ascii", "backslashreplace").decode("ascii")
            return IN_ASCII.get(character, escape)
        return character

    return "".join(map(spelt, text))


@contextmanager
def guarded() -> Iterator[Guarded]:
    """Guard sys.stdout, which is yielded, and sys.stderr during the block."""
    before = sys.stdout, sys.stderr
    output, errors = Guarded(sys.stdout), Guarded(sys.stderr)
    sys.stdout, sys.stderr = output, errors
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before
        for stream in (output, errors):
            stream.flush()
            if stream.lost:
                stream.silence()
