"""From a name to its characters."""

from __future__ import annotations

import string
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import ClassVar


def without_accents(text: str) -> str:
    """Letters without their marks: a character is taken apart by Unicode's canonical
    decomposition (NFD), and what is a mark (category Mn) is left out."""
    parts = unicodedata.normalize("NFD", text)
    return "".join(part for part in parts if unicodedata.category(part) != "Mn")


class LectureCharacters:
    """The lecture's 57 characters: a to z, A to Z, space . , ; '

    A letter with an accent stands without it; every other character is left out.
    """

    alphabet: ClassVar[tuple[str, ...] | None] = tuple(string.ascii_letters + " .,;'")
    _known: ClassVar[frozenset[str]] = frozenset(string.ascii_letters + " .,;'")

    def __call__(self, text: str) -> list[str]:
        return [one for one in without_accents(text) if one in self._known]


class AllCharacters:
    """Every character as it is written, a letter and its accent as one (NFC)."""

    alphabet: ClassVar[tuple[str, ...] | None] = None

    def __call__(self, text: str) -> list[str]:
        return list(unicodedata.normalize("NFC", text))


def changed(
    texts: Iterable[str], characters: LectureCharacters | AllCharacters
) -> Counter[tuple[str, str]]:
    """(a character, what stands in its place) -> how often, for those that do not stay as they are;
    nothing stands for one that is left out."""
    written = Counter(one for text in texts for one in unicodedata.normalize("NFC", text))
    becomes = {one: "".join(characters(one)) for one in written}
    return Counter({(one, new): written[one] for one, new in becomes.items() if new != one})
