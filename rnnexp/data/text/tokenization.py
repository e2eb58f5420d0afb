"""From a text to its tokens."""

from __future__ import annotations

import re
from typing import ClassVar

_APOSTROPHES = "\N{LEFT SINGLE QUOTATION MARK}\N{RIGHT SINGLE QUOTATION MARK}`\N{ACUTE ACCENT}"
_QUOTES = "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}"
_INVISIBLE = "\N{ZERO WIDTH NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{SOFT HYPHEN}"
_LOST = "\N{REPLACEMENT CHARACTER}\x1a"  # where an accented letter or a quote once was
_PLAIN = str.maketrans(
    dict.fromkeys(_APOSTROPHES, "'")
    | dict.fromkeys(_QUOTES, '"')
    | dict.fromkeys(_INVISIBLE, "")
    | dict.fromkeys(_LOST, " ")
    | {"\N{HORIZONTAL ELLIPSIS}": "...", "\N{EM DASH}": "--", "\N{EN DASH}": "-"}
)


class LectureWords:
    """The lecture's words: lower case, letters a to z, digits and apostrophes; the rest parts them.

    It is exactly what the lecture's archives hold. They were made from the files as they are,
    so that `&quot;` is a word, quot: entities must not be decoded before.
    """

    decode_entities: ClassVar[bool] = False
    _word = re.compile(r"[a-z0-9']+")

    def __call__(self, text: str) -> list[str]:
        return self._word.findall(text.lower())


class Words:
    """Words as the Penn Treebank and GloVe write them, lower case, and punctuation.

    "Don't buy 2!" is do n't buy 2 ! and "it's well-made..." is it 's well - made ...
    """

    decode_entities: ClassVar[bool] = True
    # Two or more dots are three, and four or more of any other mark are three too.
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
