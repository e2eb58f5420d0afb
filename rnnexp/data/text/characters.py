"""Splits a name into characters."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import ClassVar


def without_accents(text: str) -> str:
    """Remove accents: the text is decomposed (Unicode NFD), and nonspacing marks (category Mn) are
    removed."""
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if unicodedata.category(part) != "Mn")


class LectureCharacters:
    """The lecture's 57 characters: a to z, A to Z, space . , ; '

    Accents are removed; every other character is left out.
    """

    alphabet: ClassVar[tuple[str, ...] | None] = tuple(string.ascii_letters + " .,;'")
    _known: ClassVar[frozenset[str]] = frozenset(string.ascii_letters + " .,;'")

    def __call__(self, text: str) -> list[str]:
        return [one for one in without_accents(text) if one in self._known]


class AllCharacters:
    """Every character, unchanged; a letter and its accent are one character (NFC)."""

    alphabet: ClassVar[tuple[str, ...] | None] = None

    def __call__(self, text: str) -> list[str]:
        return list(unicodedata.normalize("NFC", text))


def changed(
    texts: Iterable[str], characters: LectureCharacters | AllCharacters
) -> Counter[tuple[str, str]]:
    """The characters that change: (character, its replacement) -> count. The replacement of a
    character that is left out is empty."""
    written = Counter(one for text in texts for one in unicodedata.normalize("NFC", text))
    becomes = {one: "".join(characters(one)) for one in written}
    return Counter({(one, new): written[one] for one, new in becomes.items() if new != one})
