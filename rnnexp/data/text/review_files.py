"""Reads the Multi-Domain Sentiment Dataset (Blitzer, Dredze and Pereira 2007).

One folder a product category holds `positive.review` and `negative.review`, each a run of
`<review> ... </review>` blocks. That looks like XML and is not: there is no root, `&` and `<`
stand in the text as they are, and a tag may come twice (the first one counts). What makes it
readable all the same is that a tag begins its line and what it holds ends with its closing tag.
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

from rnnexp.errors import UserError
from rnnexp.nearest import did_you_mean

LABELS = ("negative", "positive")

_OPENING = re.compile(r"<([A-Za-z_]\w*)>")
_CLOSING = re.compile(r"</[A-Za-z_]\w*>")
_LONGEST_LINE = 2**24  # bytes; a file without line ends must not fill the memory
# What people meant by a C1 control character: its byte in Windows-1252, if it has one there.
_MEANT = str.maketrans(
    {chr(code): bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
)

Lines = Iterator[tuple[int, str]]  # line number from 1, and the line with its end


@dataclass(frozen=True)
class Review:
    """One review, without white space at the ends of its texts.

    label: "negative" or "positive", by its file. rating: 1 to 5 stars; None: not a number there.
    title, product, date: as written, empty where there is none.
    """

    category: str
    label: str
    text: str
    title: str
    rating: float | None
    product: str
    date: str


def categories(root: Path, wanted: Sequence[str] | None = None) -> list[str]:
    """The product categories in a folder, sorted: its subfolders with reviews of both kinds.

    Args:
        wanted: these alone; None: all that are there.

    Raises:
        UserError: there is no such folder, nothing in it, not what is wanted, or one kind alone.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    files = sorted(root.glob("*/*.review"))
    found = sorted({file.parent.name for file in files if file.stem in LABELS})
    if not found:
        below = sorted(root.glob("*/*/positive.review"))
        offer = f"; did you mean {below[0].parents[1]}?" if below else ""
        raise UserError(f"{root}: no folder in it has positive.review and negative.review{offer}")
    if wanted is not None and not wanted:
        raise UserError(f"{root}: no category is asked for; choose from {', '.join(found)}")
    chosen = found if wanted is None else sorted(set(wanted))
    for category in chosen:
        if category not in found:
            raise UserError(f"{root}: no category {category!r}{did_you_mean(category, found)}")
        for label in LABELS:
            if not (path := _path(root, category, label)).is_file():
                raise UserError(
                    f"{path}: this file is missing, and a category needs both kinds: get it, or "
                    f"name other categories"
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
    """The first `number` reviews of each kind, or all where there are fewer or it is None.

    Returns:
        {"negative": [...], "positive": [...]}, neither of them empty, in the order of the files.

    Raises:
        UserError: a file has no review, or `read_reviews` refuses it.
    """
    if number is not None and number < 1:
        raise UserError(f"{number} reviews of each kind cannot be read, 1 is the least")
    first = {}
    for label in LABELS:
        path = _path(root, category, label)
        reviews = read_reviews(
            path, category, label, encoding=encoding, decode_entities=decode_entities
        )
        first[label] = list(islice(reviews, number))
        if not first[label]:
            raise UserError(
                f"{path}: the file has no review, and both kinds are needed: get it anew"
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
    """Read the reviews of a file one by one; whoever stops early leaves the rest unread.

    Args:
        encoding: one in which a line ends with the byte 10. None: UTF-8 if the whole file is
            that (it is run through once to see), else Latin-1. Either way the bytes 128 to 159 of
            Windows-1252, curly quotes among them, are what they are there.
        decode_entities: whether `&quot;` becomes `"`, or stays as it is.

    Raises:
        UserError: for the first thing that cannot be read, with file and line.
    """
    try:
        with path.open("rb") as file:
            lines = _lines(path, file, encoding or _find_encoding(file))
            for start, fields in _blocks(path, lines):
                if decode_entities:
                    fields = {tag: html.unescape(held).strip() for tag, held in fields.items()}
                if not fields.get("review_text"):
                    fault = "an empty" if "review_text" in fields else "no"
                    raise UserError(
                        f"{path}, line {start}: this review has {fault} <review_text>: "
                        "write one, or take the review out"
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
    """UTF-8 if all of the file is that, else Latin-1, which any file is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while piece := file.read(2**16):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    finally:
        file.seek(0)
    return "utf-8"


def _lines(path: Path, file: BinaryIO, encoding: str) -> Lines:
    for number, line in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), start=1):
        if len(line) == _LONGEST_LINE:
            raise UserError(f"{path}, line {number}: this line is too long for a review file")
        if b"\0" in line:
            raise UserError(
                f"{path}, line {number}: this is not text (a byte is 0); a review file is saved "
                "as UTF-8 or Latin-1"
            )
        try:
            text = line.decode(encoding)
        except LookupError:
            raise UserError(f"{path}: there is no encoding {encoding!r}") from None
        except UnicodeError:
            raise UserError(
                f"{path}, line {number}: this is not {encoding} text; name the right encoding, "
                "or none to have it found"
            ) from None
        if not text.isascii():
            text = text.removeprefix("\ufeff").translate(_MEANT)
        yield number, text.replace("\r\n", "\n")


# --- from lines to tags -------------------------------------------------------------------------


def _blocks(path: Path, lines: Lines) -> Iterator[tuple[int, dict[str, str]]]:
    """The line where a review starts, and what its tags hold."""
    is_first = True
    for number, line in lines:
        line = line.strip()
        if line == "<review>":
            yield number, _fields(path, number, lines)
            is_first = False
        elif line and is_first:
            raise UserError(
                f"{path}, line {number}: this is not a review file: it begins with "
                f"{line[:30]!r} and not with <review>"
            )
        elif line:
            raise _misplaced(path, number, line)


def _fields(path: Path, start: int, lines: Lines) -> dict[str, str]:
    """What the tags of one review hold, up to its end."""
    fields: dict[str, str] = {}
    for number, line in lines:
        line = line.strip()
        if line == "</review>":
            return fields
        if line == "<review>":
            raise UserError(
                f"{path}, line {start}: this review has no </review> before the next one begins "
                f"(line {number}): close it there"
            )
        if tag := _OPENING.match(line):
            rest = chain([(number, line[tag.end() :] + "\n")], lines)
            fields.setdefault(tag[1], _held(path, start, number, tag[1], rest))
        elif line:
            raise _misplaced(path, number, line)
    raise _cut(path, start)


def _held(path: Path, review: int, start: int, tag: str, lines: Lines) -> str:
    """The text up to the end of a tag. Whatever looks like another tag is a part of it."""
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
                f"(line {number}): close it there"
            )
        held.append(line)
    raise _cut(path, review)


def _misplaced(path: Path, line: int, text: str) -> UserError:
    if closing := _CLOSING.match(text):
        return UserError(
            f"{path}, line {line}: {closing[0]} closes a tag that is not open: take it out"
        )
    return UserError(
        f"{path}, line {line}: {text[:30]!r} is in no tag; the file is damaged or cut off, "
        "get it anew"
    )


def _cut(path: Path, line: int) -> UserError:
    return UserError(
        f"{path}, line {line}: the file ends before this review does; it is cut off, get it anew"
    )
