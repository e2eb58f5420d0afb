"""The lecture's own datasets: its archives, or a folder that `rnnexp data convert` wrote."""

from pathlib import Path
from typing import Any

from rnnexp.data.text.documents import Document
from rnnexp.data.text.review_archives import (
    Archive,
    archive_pair,
    read_archive,
    read_converted,
    write_archive,
)
from rnnexp.data.text.review_files import LABELS
from rnnexp.data.text.source import DocumentSource
from rnnexp.data.text.tokenization import LectureWords
from rnnexp.data.text.vocabulary import count_tokens
from rnnexp.errors import UserError


class LectureReviews(DocumentSource):
    """Reviews that are already tokenised, and split into training and test.

    root: a folder with `sentiment_dataset_{train,test}_N.tar.gz`, or a converted one. size: N, if
    the folder has archives of several sizes. With vocabulary=everything, words have the order of
    the archive, which DLStudio's one-hot weights depend on.
    """

    things = "reviews"
    classes = LABELS

    def __init__(self, root: str, size: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.root, self.size = root, size
        self._own_words: list[str] = []

    @property
    def place(self) -> str:
        folder = Path(self.root).expanduser()
        if not folder.is_dir():
            raise UserError(f"data.root={self.root}: there is no such folder")
        return str(folder.resolve())

    def read(self) -> tuple[list[Document], list[Document]]:
        folder = Path(self.place)
        if (folder / "train.jsonl").exists():
            train, test = read_converted(folder)
        else:
            train, test = map(read_archive, archive_pair(folder, self.size))
        if train.vocabulary != test.vocabulary:
            raise UserError(
                f"data.root={self.root}: the vocabularies of train and test differ, so the two "
                "parts do not belong together"
            )
        for kind, reviews in (("negative", train.negative), ("positive", train.positive)):
            if not any(map(any, reviews.values())):
                raise UserError(f"data.root={self.root}: train has no {kind} reviews")
        self._own_words = train.vocabulary
        return _documents(train), _documents(test)

    def words(self) -> list[str]:
        return self._own_words

    def tokens_of(self, text: str) -> list[str]:
        return LectureWords()(text)


def _documents(archive: Archive) -> list[Document]:
    return [
        Document(words, LABELS.index(label), category, " ".join(words))
        for label, reviews in (("negative", archive.negative), ("positive", archive.positive))
        for category, listed in sorted(reviews.items())
        for words in listed
        if words
    ]


def as_archives(source: DocumentSource) -> tuple[Archive, Archive]:
    """The training part (validation included) and the test part as archives of the lecture.

    Their vocabulary is the source's own, or all words of both parts if it has none.
    """
    train, test = source.not_tested, source.documents["test"]
    vocabulary = source.words() or count_tokens(one.tokens for one in train + test)
    return _archive(train, vocabulary), _archive(test, vocabulary)


def _archive(documents: list[Document], vocabulary: list[str]) -> Archive:
    kinds: tuple[dict[str, list[list[str]]], ...] = ({}, {})
    for document in documents:
        kinds[document.label].setdefault(document.group, []).append(list(document.tokens))
    negative, positive = kinds
    return Archive(positive, negative, vocabulary)


def write_archive_pair(folder: Path, train: Archive, test: Archive) -> None:
    """Write `sentiment_dataset_{train,test}_N.tar.gz` to a new or empty folder.

    N is the largest number of reviews of one kind in one category, training and test together.

    Raises:
        UserError: the folder is not empty, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: move it away, or choose another folder")
    size = max(
        len(kind.get(category, [])) + len(other.get(category, []))
        for kind, other in ((train.positive, test.positive), (train.negative, test.negative))
        for category in {*kind, *other}
    )
    for part, archive in (("train", train), ("test", test)):
        write_archive(folder / f"sentiment_dataset_{part}_{size}.tar.gz", archive)
