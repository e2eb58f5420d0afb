"""Reads a folder of names: a file `Language.txt` for each language, one name a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnexp.data.file_names import in_utf8
from rnnexp.data.lines import LARGEST, decoded, lines
from rnnexp.errors import UserError
from rnnexp.files import open_regular
from rnnexp.nearest import did_you_mean


@dataclass(frozen=True)
class Name:
    """One line of a file, white space at its ends included. line: line number, from 1."""

    text: str
    language: str
    line: int


def read_names(root: Path, wanted: Sequence[str] | None = None) -> dict[str, list[Name]]:
    """The names of every language (sorted), in the order of their lines. Blank lines are skipped.

    wanted: the languages to read; None: all of the folder.

    Raises:
        UserError: `languages` refuses the folder, or a file cannot be read, has no name, or is
            neither UTF-8 nor UTF-16 with a byte-order mark.
    """
    return {language: _read(root, language) for language in languages(root, wanted)}


def languages(root: Path, wanted: Sequence[str] | None = None) -> list[str]:
    """The languages of a folder, sorted: the names of its text files.

    Raises:
        UserError: the folder does not exist, has no text file, lacks a wanted language, or fewer
            than two languages remain.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    found = sorted(in_utf8(path.stem, path) for path in root.glob("[!.]*.txt") if path.is_file())
    if not found:
        below = sorted(root.glob("*/*.txt")) or sorted(root.glob("*/*/*.txt"))
        offer = f"; did you mean {below[0].parent}?" if below else ""
        raise UserError(
            f"{root}: the folder has no Language.txt files, one per language with one name per "
            f"line{offer}"
        )
    chosen = found if wanted is None else sorted(set(wanted))
    for language in chosen:
        if language not in found:
            raise UserError(f"{root}: no language {language!r}{did_you_mean(language, found)}")
    if len(chosen) < 2:
        there = f"{chosen[0]} is the only language" if chosen else "no language is chosen"
        raise UserError(f"{root}: {there}; a classification needs at least two (data.languages)")
    return chosen


def _read(root: Path, language: str) -> list[Name]:
    path = root / f"{language}.txt"
    names = []
    try:
        with open_regular(path, LARGEST) as file:
            for number, line in lines(file, str(path), what="names"):
                text = decoded(line)
                if text is None:
                    raise UserError(
                        f"{path}, line {number}: this is not UTF-8 text; save the file as UTF-8"
                    )
                if text.strip():
                    names.append(Name(text, language, number))
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None
    if not names:
        raise UserError(f"{path}: the file has no name: add some, or remove the file")
    return names
