"""The lecture's archives `sentiment_dataset_{train,test}_N.tar.gz`, and their conversion to JSON.

Despite their name, the archives are not tar files, but gzipped pickles of (positive, negative,
vocabulary), written by Python 2. Unpickling can execute code, so `rnnexp.data.text.safe_pickle`
reads them. A converted folder contains JSON only:

train.jsonl, test.jsonl  one review per line: {"category": ..., "label": "positive", "words": [...]}
vocabulary.json          the words, in the order of the archives
"""

import gzip
import io
import json
import os
import pickle
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from rnnexp.data.lines import lines
from rnnexp.data.text import safe_pickle
from rnnexp.data.text.safe_pickle import PickleRefused
from rnnexp.errors import UserError
from rnnexp.files import open_regular

# Limits, and what the lecture's largest archive (N = 400) has.
MAX_PACKED = 2**26  # bytes; about 10 MB
MAX_UNPACKED = 2**27  # bytes; about 35 MB
MAX_ENTRIES = 10_000_000  # reviews and words, counted at each use if shared; about 2 million

Reviews = dict[str, list[list[str]]]

_NAME = re.compile(r"sentiment_dataset_(train|test)_([1-9]\d*)\.tar\.gz")
_CHUNK = 2**20  # bytes read or unpacked at once


@dataclass(frozen=True)
class Archive:
    """One part of the lecture's data set, train or test.

    positive, negative: category -> reviews -> words. After reading, both have every category.
    vocabulary: different words in the order of the archive, which one-hot weights depend on; sorted
    if the archive holds a set, which has no order.
    """

    positive: Reviews
    negative: Reviews
    vocabulary: list[str]


class _Refused(ValueError):
    """An archive is refused; the message is a clause that gives the reason."""


# --- the lecture's format -----------------------------------------------------------------------


def read_archive(path: Path) -> Archive:
    """Read one of the lecture's archives. No code in the archive is executed.

    Raises:
        UserError: the archive cannot be read, is damaged or too large, or has other content.
    """
    try:
        with open_regular(path) as file:
            return _checked(safe_pickle.loads(_unpack(file)))
    except OSError as error:
        raise UserError(f"{path}: the archive cannot be read ({error.strerror})") from None
    except (PickleRefused, _Refused) as error:
        raise UserError(
            f"{path} is refused: {error}; get the archive again from a source that you trust"
        ) from None


def write_archive(path: Path, archive: Archive) -> None:
    """Write the lecture's format, for the lecture's code. Equal archives give equal bytes.

    Raises:
        UserError: the file cannot be written.
    """
    known: dict[str, str] = {}  # equal words become one object, since pickle writes identities

    def plain(words: list[str]) -> list[str]:
        return [known.setdefault(word, word) for word in words]

    positive, negative = (
        {category: [plain(review) for review in reviews] for category, reviews in kind.items()}
        for kind in _in_every_category(archive.positive, archive.negative)
    )
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as file:
        file.write(pickle.dumps((positive, negative, plain(archive.vocabulary)), protocol=2))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as temporary:
            whole = Path(temporary) / path.name
            whole.write_bytes(packed.getvalue())
            whole.replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None


def archive_pair(root: Path, size: int | None) -> tuple[Path, Path]:
    """The train and the test archive of size N in a folder.

    Args:
        size: N; None: the only size in the folder.

    Raises:
        UserError: the folder has no such pair, or several sizes to choose from.
    """
    if not root.is_dir():
        raise UserError(f"{root}: there is no such folder")
    found: dict[int, dict[str, Path]] = {}
    for path in root.iterdir():
        if match := _NAME.fullmatch(path.name):
            found.setdefault(int(match[2]), {})[match[1]] = path
    if not found:
        raise UserError(f"{root}: the folder has no archive sentiment_dataset_train_N.tar.gz")
    sizes = ", ".join(str(size) for size in sorted(found))
    if size is None and len(found) > 1:
        raise UserError(f"{root} has archives of several sizes; choose data.size from {sizes}")
    size = next(iter(found)) if size is None else size
    if size not in found:
        raise UserError(f"{root} has no archives of size {size}; choose data.size from {sizes}")
    for part in ("train", "test"):
        if part not in found[size]:
            missing = root / f"sentiment_dataset_{part}_{size}.tar.gz"
            raise UserError(f"{missing}: this archive is missing, only its counterpart is there")
    return found[size]["train"], found[size]["test"]


def _unpack(file: BinaryIO) -> bytes:
    """The content of a gzip file of one member. Raises _Refused above the size limits."""
    if os.fstat(file.fileno()).st_size > MAX_PACKED:
        raise _Refused(f"it has more than {MAX_PACKED:,} bytes")
    gunzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # 16: in a gzip wrapper
    content = bytearray()
    try:
        while not gunzip.eof:
            packed = gunzip.unconsumed_tail or file.read(_CHUNK)
            if not packed:
                raise _Refused("it is cut off")
            content += gunzip.decompress(packed, _CHUNK)
            if len(content) > MAX_UNPACKED:
                raise _Refused(f"it unpacks to more than {MAX_UNPACKED:,} bytes")
    except zlib.error:
        raise _Refused("it is not a gzip file, or damaged") from None
    if gunzip.unused_data or file.read(1):
        raise _Refused("more data follow its end")
    return bytes(content)


def _checked(content: object) -> Archive:
    """The content as an Archive. Raises _Refused if it is anything else."""
    match content:
        case [dict() as positive, dict() as negative, list() | set() as words]:
            _check_entries([*positive.values(), *negative.values()])
        case _:
            raise _Refused("it does not hold positive reviews, negative reviews and a vocabulary")
    if not all(isinstance(word, str) for word in words):
        raise _Refused("its vocabulary is not a list of words")
    vocabulary = sorted(words) if isinstance(words, set) else words
    if len(set(vocabulary)) < len(vocabulary):
        raise _Refused("its vocabulary has a word twice")
    positive, negative = _in_every_category(positive, negative)
    return Archive(positive, negative, vocabulary)


def _check_entries(categories: list[Any]) -> None:
    """Check for lists of lists of strings, and their size: a small pickle can share large lists."""
    entries = 0
    for reviews in categories:
        if not isinstance(reviews, list):
            raise _Refused("the reviews of a category are not a list")
        for review in reviews:
            if not isinstance(review, list):
                raise _Refused("a review is not a list of words")
            entries += 1 + len(review)
            if entries > MAX_ENTRIES:
                raise _Refused(f"it has more than {MAX_ENTRIES:,} reviews and words")
            if not all(isinstance(word, str) for word in review):
                raise _Refused("a review is not a list of words")


def _in_every_category(*kinds: Reviews) -> list[Reviews]:
    """The same reviews, with every category in every kind, sorted; some lists may be empty."""
    categories = sorted(set().union(*kinds))
    return [{category: kind.get(category, []) for category in categories} for kind in kinds]


# --- converted ----------------------------------------------------------------------------------


def write_converted(folder: Path, train: Archive, test: Archive) -> None:
    """Write a folder of JSON files, all or none. A category without reviews is lost.

    Raises:
        UserError: the vocabularies of the archives differ, or the folder is not empty or cannot
            be written.
    """
    if train.vocabulary != test.vocabulary:
        raise UserError(
            f"{folder} is not written: the vocabularies of train and test differ, so the two "
            "archives do not belong together"
        )
    try:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} is not empty: move it away, or choose another folder")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
            whole = Path(temporary) / folder.name
            whole.mkdir()
            for name, archive in (("train", train), ("test", test)):
                with (whole / f"{name}.jsonl").open("w", encoding="utf-8") as file:
                    for row in _rows(archive):
                        file.write(json.dumps(row, ensure_ascii=False) + "\n")
            words = json.dumps(train.vocabulary, ensure_ascii=False, indent=0)
            (whole / "vocabulary.json").write_text(words + "\n", encoding="utf-8")
            if folder.exists():
                folder.rmdir()
            whole.rename(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}") from None


def read_converted(folder: Path) -> tuple[Archive, Archive]:
    """The train and the test part that `write_converted` wrote.

    Raises:
        UserError: a file cannot be read, or is damaged (with its line).
    """
    vocabulary = _read_vocabulary(folder / "vocabulary.json")
    kinds = [*_read_reviews(folder / "train.jsonl"), *_read_reviews(folder / "test.jsonl")]
    train_positive, train_negative, test_positive, test_negative = _in_every_category(*kinds)
    return (
        Archive(train_positive, train_negative, vocabulary),
        Archive(test_positive, test_negative, vocabulary),
    )


def _rows(archive: Archive) -> Iterator[dict[str, Any]]:
    for label, kind in (("positive", archive.positive), ("negative", archive.negative)):
        for category, reviews in kind.items():
            for words in reviews:
                yield {"category": category, "label": label, "words": words}


def _read_reviews(path: Path) -> tuple[Reviews, Reviews]:
    """The positive and the negative reviews."""
    kinds: dict[str, Reviews] = {"positive": {}, "negative": {}}
    known: dict[str, str] = {}  # equal words become one object, which saves memory
    for number, line in _lines(path):
        match _parsed(line):
            case {
                "category": str(category),
                "label": "positive" | "negative" as label,
                "words": list(words),
            } if all(isinstance(word, str) for word in words):
                review = [known.setdefault(word, word) for word in words]
                kinds[label].setdefault(category, []).append(review)
            case _:
                raise UserError(
                    f"{path}, line {number}: expected a review with category, label and "
                    "words; convert the archives again"
                )
    if not any(kinds.values()):
        raise UserError(f"{path}: the file has no reviews; convert the archives again")
    return kinds["positive"], kinds["negative"]


def _read_vocabulary(path: Path) -> list[str]:
    match _parsed(b"".join(line for _, line in _lines(path))):
        case list(words) if all(isinstance(word, str) for word in words):
            if len(set(words)) == len(words):
                return words
    raise UserError(f"{path}: expected a list of different words; convert the archives again")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open_regular(path) as file:
            yield from lines(file, str(path), longest=MAX_UNPACKED, what="reviews")
    except OSError as error:
        raise UserError(f"{path}: the file cannot be read ({error.strerror})") from None


def _parsed(text: bytes) -> Any:
    """The content of UTF-8 JSON; None if it is malformed."""
    try:
        return json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
