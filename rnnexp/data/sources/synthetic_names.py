"""SYNTHETIC last names: a seeded generator, for demonstrations and tests without a download.

The files have the format and the defects of real ones: accents, hyphens and apostrophes, repeated
names, names in the wrong file. The same reader processes them.

A name is an opening consonant with a vowel, two or three middle syllables, and an ending, which
replaces the last vowel. Two rules determine its language:

1. The family determines the vowels, the middle consonants and the form of the ending.
2. In the eastern language of a family, the first and the last consonant agree: both are voiced
   (b d g v z) or both are voiceless (p t k f s). In the western language they disagree.

The first consonant is voiced with probability 1/2: Bolarad and Polarat are eastern, Bolarat and
Polarad are western. So no beginning, middle or ending, and no n-gram of fewer than seven letters,
depends on the side. A network must remember the first letter until the end of the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from rnnexp.data.sources.names import Names
from rnnexp.data.text.documents import Document
from rnnexp.errors import UserError

VOICED, VOICELESS = "bdgvz", "ptkfs"


class Family(NamedTuple):
    """The sounds of two related languages. middle: consonants; ending: `{}` is its consonant; more:
    a factor on the number of names."""

    vowels: str
    middle: str
    ending: str
    more: int


FAMILIES = {
    "lomaric": Family("aou", "lmr", "a{}", 2),
    "tevish": Family("eiu", "lnw", "e{}", 1),
    "ouenic": Family("aeo", "rmn", "i{}o", 1),
}
LANGUAGES = {  # file name -> family, and whether the first and the last consonant agree
    f"synthetic_{family}_{side}": (family, side == "east")
    for family in FAMILIES
    for side in ("east", "west")
}
ACCENTS = dict(zip("aeiou", "áéíóú", strict=True))


class SyntheticNames(Names):
    """SYNTHETIC names, generated again, identically, for every run.

    generator_seed: seed of the generator; the run's seed does not change the data. number: names
    per language; the two languages of the first family have twice as many.
    """

    things = "SYNTHETIC names"

    def __init__(self, generator_seed: int = 0, number: int = 500, **settings: Any) -> None:
        super().__init__(**settings)
        if self.root is not None:
            raise UserError("data.root: SYNTHETIC names are generated, leave it out")
        if number < 1:
            raise UserError(f"data.number is {number}: it must be at least 1")
        self.generator_seed, self.number = generator_seed, number

    @property
    def place(self) -> str:
        return f"SYNTHETIC, generated with data.generator_seed={self.generator_seed}"

    def read_documents(self) -> list[Document]:
        with TemporaryDirectory(prefix="rnnexp-synthetic-") as folder:
            write_synthetic_names(Path(folder), self.generator_seed, number=self.number)
            return self.read_folder(Path(folder))


def write_synthetic_names(folder: Path, seed: int, *, number: int) -> None:
    """Write `<folder>/<language>.txt` for each of six invented languages, UTF-8.

    The same seed gives the same bytes. A larger number only appends lines to each file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for place, (language, (family, _)) in enumerate(LANGUAGES.items()):
        generator = np.random.default_rng([seed, place])
        lines: list[str] = []
        for _ in range(number * FAMILIES[family].more):
            lines.append(_line(language, lines, generator))
        (folder / f"{language}.txt").write_bytes("".join(f"{one}\n" for one in lines).encode())


def _line(language: str, before: Sequence[str], generator: np.random.Generator) -> str:
    """A name. One in ten repeats an earlier line, one in forty is of a random language."""
    if before and generator.integers(10) == 0:
        return before[int(generator.integers(len(before)))]
    if generator.integers(40) == 0:
        language = _pick(list(LANGUAGES), generator)
    return _spelt(_name(*LANGUAGES[language], generator), generator)


def _name(family: str, agree: bool, generator: np.random.Generator) -> list[str]:
    """The syllables of a name, the ending last."""
    vowels, middle, ending, _ = FAMILIES[family]
    is_voiced = bool(generator.integers(2))
    opening = VOICED if is_voiced else VOICELESS
    closing = VOICED if is_voiced == agree else VOICELESS
    syllables = [_pick(opening, generator).upper() + _pick(vowels, generator)]
    for _ in range(int(generator.integers(2, 4))):
        syllables.append(_pick(middle, generator) + _pick(vowels, generator))
    last = syllables.pop()[0]  # the ending has its own vowel
    return [*syllables, last + ending.format(_pick(closing, generator))]


def _spelt(syllables: list[str], generator: np.random.Generator) -> str:
    """The spelling of a name; one in ten has an accent, a hyphen or an apostrophe."""
    first, *rest = syllables
    match generator.integers(40):
        case 0 | 1:
            return "".join([first[0] + ACCENTS[first[1]], *rest])
        case 2:
            return "".join([first, "-", *rest])
        case 3:
            return "".join([first, "'", *rest])
        case _:
            return "".join(syllables)


def _pick(options: Sequence[str], generator: np.random.Generator) -> str:
    return options[int(generator.integers(len(options)))]
