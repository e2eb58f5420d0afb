"""Reads the Multi-Domain Sentiment Dataset (Blitzer, Dredze and Pereira 2007).

Each product category is a folder with `positive.review` and `negative.review`, which consist of
`<review> ... </review>` blocks. The format is not XML: there is no root element, `&` and `<` are
not escaped, and a tag may occur twice (the first one counts). The reader relies on two rules: an
opening tag begins its line, and a closing tag ends its line.
"""

from __future__ import annotations

import codecs
import html
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from rnnexp.data.file_names import in_utf8
from rnnexp.data.lines import LARGEST, decoded, lines, mark
from rnnexp.errors import UserError
from rnnexp.files import open_regular
from rnnexp.nearest import did_you_mean

LABELS = ("negative", "positive")
LONGEST_REVIEW = 1 << 22  # characters; bounds the memory if a review does not end

_OPENING = re.compile(r"<([A-Za-z_]\w*)>")
_CLOSING = re.compile(r"</[A-Za-z_]\w*>")
# C1 control characters are Windows-1252 bytes that were decoded as Latin-1: undo this.
_MEANT = str.maketrans(
    {chr(code): bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
)

Lines = Iterator[tuple[int, str]]  # line number, from 1, and the line with its line end


@dataclass(frozen=True)
class Review:
    """One review; its texts are stripped of white space at the ends.

    label: "negative" or "positive", from the file name. rating: 1 to 5 stars; None if it is not a
    number. title, product, date: as written, or empty.
    """

    category: str
    label: str
    text: str
    title: str
    rating: float | None
    product: str
    date: str


def categories(root: Path, wanted: Sequence[str] | None = None) -> list[str]:
    """The product categories of a folder, sorted: its subfolders with .review files.

    Args:
        wanted: the categories to read; None: all of the folder.

    Raises:
        UserError: the folder does not exist, has no category, lacks a wanted one, or a category
            lacks one of its two files.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    files = sorted(root.glob("*/*.review"))
    folders = {file.parent for file in files if file.stem in LABELS}
    found = sorted(in_utf8(folder.name, folder) for folder in folders)
    if not found:
        below = sorted(root.glob("*/*/positive.review"))
        offer = f"; did you mean {below[0].parents[1]}?" if below else ""
        raise UserError(f"{root}: no subfolder has positive.review and negative.review{offer}")
    if wanted is not None and not wanted:
        raise UserError(f"{root}: data.categories is empty; choose from {', '.join(found)}")
    chosen = found if wanted is None else sorted(set(wanted))
    for category in chosen:
        if category not in found:
            raise UserError(f"{root}: no category {category!r}{did_you_mean(category, found)}")
        for label in LABELS:
            if not (path := _path(root, category, label)).is_file():
                raise UserError(
                    f"{path}: this file is missing, and a category needs both kinds: add the file, "
                    "or choose other categories with data.categories"
                )
    return chosen


def read_first(
    root: Path,
    category: str,
    number: int | None,
    *,
    encoding: str | None = None,
    decode_entities: bool = True,
) -> dict[str, list[Review]]:
    """The first `number` reviews of each kind; all if there are fewer, or if `number` is None.

    Returns:
        {"negative": [...], "positive": [...]}, both not empty, in the order of the files.

    Raises:
        UserError: `number` is below 1, a file has no review, or `read_reviews` refuses it.
    """
    if number is not None and number < 1:
        raise UserError(f"the number of reviews of each kind is {number}: it must be at least 1")
    first = {}
    for label in LABELS:
        path = _path(root, category, label)
        reviews = read_reviews(
            path, category, label, encoding=encoding, decode_entities=decode_entities
        )
        first[label] = list(islice(reviews, number))
        if not first[label]:
            raise UserError(
                f"{path}: the file has no review, and both kinds are needed: download it again"
            )
    return first


def read_reviews(
    path: Path,
    category: str,
    label: str,
    *,
    encoding: str | None = None,
    decode_entities: bool = True,
) -> Iterator[Review]:
    """Read the reviews of a file lazily, one by one.

    Args:
        encoding: an encoding in which lines end with the byte 10 or 13. None: UTF-8 if the whole
            file is valid UTF-8 (which takes an extra pass), else Latin-1. A byte-order mark, of
            UTF-8 or UTF-16, has priority. In every encoding, characters 128 to 159 are read as in
            Windows-1252, e.g. as curly quotes.
        decode_entities: whether `&quot;` becomes `"`.

    Raises:
        UserError: the file cannot be read or is malformed (with the first such line).
    """
    try:
        with open_regular(path, LARGEST) as file:
            for start, fields in _blocks(path, _lines(path, file, encoding)):
                if decode_entities:
                    fields = {tag: html.unescape(held).strip() for tag, held in fields.items()}
                if not fields.get("review_text"):
                    fault = "an empty" if "review_text" in fields else "no"
                    raise UserError(
                        f"{path}, line {start}: this review has {fault} <review_text>: "
                        "add one, or remove the review"
                    )
                yield Review(
                    category=category,
                    label=label,
                    text=fields["review_text"],
                    title=fields.get("title", ""),
                    rating=_number(fields.get("rating", "")),
                    product=fields.get("product_name", ""),
                    date=fields.get("date", ""),
                )
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None


def _path(root: Path, category: str, label: str) -> Path:
    return root / category / f"{label}.review"


def _number(written: str) -> float | None:
    try:
        number = float(written)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# --- from bytes to lines ------------------------------------------------------------------------


def _find_encoding(file: BinaryIO) -> str:
    """UTF-8 if the whole file is valid UTF-8, else Latin-1, in which every byte is valid."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(2**16):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def _lines(path: Path, file: BinaryIO, encoding: str | None) -> Lines:
    encoding = "utf-8" if mark(file) else encoding or _find_encoding(file)
    for number, line in _whole_lines(lines(file, str(path), what="reviews")):
        try:
            text = decoded(line, encoding)
        except LookupError:
            raise UserError(f"{path}: there is no encoding {encoding!r} (data.encoding)") from None
        if text is None and b"\0" in line:
            raise UserError(
                f"{path}, line {number}: this is not text (a byte is 0); save the file as UTF-8 or "
                "Latin-1"
            )
        if text is None:
            raise UserError(
                f"{path}, line {number}: this is not {encoding} text; set data.encoding to the "
                "right encoding, or to null to detect it"
            )
        if not text.isascii():
            text = text.removeprefix("\ufeff").translate(_MEANT)
        yield number, f"{text}\n" if line.endswith((b"\n", b"\r")) else text


def _whole_lines(pieces: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Lines as they are, unless the first one ends with an LF: then a CR without an LF is a
    character of the text, and ends no line."""
    _, first = next(pieces, (1, b""))
    number, held = 1, [first]
    for _, line in pieces:
        if not (first.endswith(b"\n") and held[-1].endswith(b"\r")):
            yield number, b"".join(held)
            number, held = number + 1, []
        held.append(line)
    yield number, b"".join(held)


# --- from lines to tags -------------------------------------------------------------------------


def _blocks(path: Path, lines: Lines) -> Iterator[tuple[int, dict[str, str]]]:
    """For each review, the line where it starts, and tag -> content."""
    is_first = True
    for number, line in lines:
        line = line.strip()
        if line == "<review>":
            yield number, _fields(path, number, _of_one_review(path, number, lines))
            is_first = False
        elif line and is_first:
            raise UserError(
                f"{path}, line {number}: this is not a review file: it begins with "
                f"{line[:30]!r}, not with <review>"
            )
        elif line:
            raise _misplaced(path, number, line)


def _of_one_review(path: Path, start: int, lines: Lines) -> Lines:
    left = LONGEST_REVIEW
    for number, line in lines:
        left -= len(line)
        if left < 0:
            raise UserError(
                f"{path}, line {start}: this review has no end within {LONGEST_REVIEW:,} "
                "characters: insert a </review>, or remove the review"
            )
        yield number, line


def _fields(path: Path, start: int, lines: Lines) -> dict[str, str]:
    """Read one review to its end: tag -> content."""
    fields: dict[str, str] = {}
    for number, line in lines:
        line = line.strip()
        if line == "</review>":
            return fields
        if line == "<review>":
            raise UserError(
                f"{path}, line {start}: this review has no </review> before the next <review> "
                f"(line {number}): insert one there"
            )
        if tag := _OPENING.match(line):
            rest = chain([(number, line[tag.end() :] + "\n")], lines)
            fields.setdefault(tag[1], _held(path, start, number, tag[1], rest))
        elif line:
            raise _misplaced(path, number, line)
    raise _cut(path, start)


def _held(path: Path, review: int, start: int, tag: str, lines: Lines) -> str:
    """The text up to the closing tag. Other tags inside are part of the text."""
    closing = f"</{tag}>"
    held = []
    for number, line in lines:
        stripped = line.strip()
        if stripped.endswith(closing):
            held.append(stripped.removesuffix(closing))
            return "".join(held).strip()
        if stripped in ("<review>", "</review>"):
            raise UserError(
                f"{path}, line {start}: <{tag}> has no {closing} before its review ends "
                f"(line {number}): insert one there"
            )
        held.append(line)
    raise _cut(path, review)


def _misplaced(path: Path, line: int, text: str) -> UserError:
    if closing := _CLOSING.match(text):
        return UserError(
            f"{path}, line {line}: {closing[0]} closes a tag that is not open: remove it"
        )
    return UserError(
        f"{path}, line {line}: {text[:30]!r} is outside any tag; the file is damaged, "
        "download it again"
    )


def _cut(path: Path, line: int) -> UserError:
    return UserError(
        f"{path}, line {line}: the file ends before this review does; it is incomplete, download "
        "it again"
    )
