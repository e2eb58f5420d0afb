"""Prints text of which a part is foreign: names of files, classes and series, entries of the run
folders of others. Nothing in it acts on the terminal.

`rnnexp.console` draws tables and wraps sentences; no other module prints.
"""

import logging
import re
import sys

# All control characters but newline and tab; marks and overrides of the direction of writing, which
# show a text in another order; separators that some programs take for a newline; halves of
# characters, which stand for undecodable bytes.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029"
    "\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text with every character spelt out that acts on a terminal: \\x1b for an escape."""
    return _ACTING.sub(lambda one: one[0].encode("unicode_escape").decode("ascii"), text)


def say(*lines: object, end: str = "\n") -> None:
    """Print lines on standard output, as they are apart from `printable`."""
    print(*(printable(str(line)) for line in lines), sep="\n", end=end)


def complain(sentence: object) -> None:
    """Print a sentence of this program on standard error."""
    print(f"rnnexp: {printable(str(sentence))}", file=sys.stderr, flush=True)


class PrintableFormatter(logging.Formatter):
    """Formats the messages of a log, which is read on a terminal too."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
