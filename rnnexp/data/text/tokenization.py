"""Splits a text into words."""

from __future__ import annotations

import re
from typing import ClassVar

_APOSTROPHES = "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}`\N{ACUTE ACCENT}"
_QUOTES = "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_INVISIBLE = "\N{ZERO WIDTH NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}"
_LOST = "\N{REPLACEMENT CHARACTER}\x1a"  # an accented letter or a quote that was lost before
_PLAIN = str.maketrans(
    dict.fromkeys(_APOSTROPHES, "'")
    | dict.fromkeys(_QUOTES, '"')
    | dict.fromkeys(_INVISIBLE, "")
    | dict.fromkeys(_LOST, " ")
    | {"\N{HORIZONTAL ELLIPSIS}": "...", "\N{EM DASH}": "--", "\N{EN DASH}": "-"}
)


class LectureWords:
    """The lecture's words: lower-case letters a to z, digits and apostrophes; all else separates.

    The result equals the words in the lecture's archives. They were made without decoding HTML
    entities, so `&quot;` gives the word `quot`.
    """

    decode_entities: ClassVar[bool] = False
    _word = re.compile(r"[a-z0-9']+")

    def __call__(self, text: str) -> list[str]:
        return self._word.findall(text.lower())


class Words:
    """Lower-case words and punctuation, in the tokenisation of the Penn Treebank and GloVe.

    "Don't buy 2!" gives do n't buy 2 ! and "it's well-made..." gives it 's well - made ...
    """

    decode_entities: ClassVar[bool] = True
    # Two or more dots become three; four or more of another mark become three.
    _run = re.compile(r"(\.)\1+|([^\w\s])\2{3,}")
    _token = re.compile(
        r"""
          n't\b
        | (?<=[^\W_]) '(?:s|m|d|re|ve|ll)\b
        | \d+ (?:[.,:]\d+)+             # 4.5  1,000  10:30
        | [^\W_]+? (?= n't\b)           # do|n't
        | [^\W_]+
        | \.\.\. | --
        | [^\w\s] | _
        """,
        re.VERBOSE,
    )

    def __call__(self, text: str) -> list[str]:
        plain = text.lower().translate(_PLAIN)
        return self._token.findall(self._run.sub(r"\1\1\1\2\2\2", plain))
