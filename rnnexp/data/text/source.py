"""The base class of all sources of labelled documents: reads, splits and encodes them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from rnnexp.data.loading.device import OnDevice, checked
from rnnexp.data.source import Source, fingerprint
from rnnexp.data.text.documents import Document
from rnnexp.data.text.ngrams import LogCountRatios, NgramTable
from rnnexp.data.text.splits import stratified_split
from rnnexp.data.text.tokens import TokenStore
from rnnexp.data.text.vocabulary import UNKNOWN, Vocabulary, count_tokens
from rnnexp.data.vectors.word_vectors import Loaded, WordVectors
from rnnexp.errors import UserError, unimplemented
from rnnexp.tables import Column, Table

PARTS = ("training", "validation", "test")


class DocumentSource(Source):
    """Labelled documents, split into three parts and encoded by a vocabulary. Subclasses implement
    `read` and `tokens_of`.

    things: what the documents are called, e.g. reviews. token: the kind of token, which also
    chooses the baselines.
    split_seed: decides the split; the run's seed decides everything else.
    validation_fraction: share of the training documents, stratified by group and class.
    vocabulary: `train` has the tokens of the training part and `<unknown>`; `everything` has the
    tokens of all parts, as in the lecture. min_count: least count of a token in the vocabulary.
    max_tokens: a longer document is cut to this length, first and last half; None: no limit.
    vectors: word vectors. ngrams: log-count ratios of n-grams, as extra inputs of every step.
    draw: `shuffled` takes every document once an epoch; `class_uniform` samples with replacement:
    a class uniformly, then one of its documents. iterations: batches per epoch of `class_uniform`;
    None: as many as `shuffled` has. reshuffle: False repeats the batches of the first epoch.
    on_device: whether a GPU gathers the batches (loading/device.py).

    After `setup`: documents (part -> list), not_tested (training and validation documents, in the
    order in which they were read), vocabulary, loaded_vectors, ngram_table, stores (part ->
    TokenStore).
    """

    task = "classification"
    things = "documents"
    token: Literal["word", "character"] = "word"
    classes: Sequence[str]

    def __init__(
        self,
        split_seed: int,
        validation_fraction: float,
        vocabulary: Literal["train", "everything"],
        min_count: int,
        max_tokens: int | None,
        batch_size: int,
        eval_batch_size: int,
        reshuffle: bool,
        vectors: WordVectors | None = None,
        ngrams: LogCountRatios | None = None,
        draw: Literal["shuffled", "class_uniform"] = "shuffled",
        iterations: int | None = None,
        seed: int = 0,
        on_device: OnDevice = False,
    ) -> None:
        for key, value in {
            "min_count": min_count,
            "max_tokens": 2 if max_tokens is None else max_tokens - 1,
            "batch_size": batch_size,
            "eval_batch_size": eval_batch_size,
            "iterations": 1 if iterations is None else iterations,
        }.items():
            if value < 1:
                least = 2 if key == "max_tokens" else 1
                raise UserError(f"data.{key} is too small: it must be at least {least}")
        if not 0 <= validation_fraction <= 0.5:
            raise UserError(
                f"data.validation_fraction is {validation_fraction}: it must lie between 0 and 0.5"
            )
        if iterations is not None and draw == "shuffled":
            raise UserError(
                "data.iterations needs sampling with replacement: set data.draw=class_uniform, or "
                "data.iterations=null"
            )
        self.split_seed, self.validation_fraction = split_seed, validation_fraction
        self.vocabulary_from, self.min_count = vocabulary, min_count
        self.max_tokens, self.vectors, self.ngrams = max_tokens, vectors, ngrams
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.draw, self.iterations, self.on_device = draw, iterations, checked(on_device)
        self.reshuffle, self.seed = reshuffle, seed
        self.documents: dict[str, list[Document]] = {}
        self.ngram_table: NgramTable | None = None

    # What a source says -------------------------------------------------------------------------

    def read(self) -> tuple[list[Document], list[Document]]:
        """The training documents (validation documents included), and the test documents."""
        raise unimplemented(self, "read()")

    @property
    def notes(self) -> list[str]:
        """Sentences on the choice of the documents, for the console."""
        return []

    def words(self) -> list[str] | None:
        """The source's own vocabulary, or None."""
        return None

    def tokens_of(self, text: str) -> list[str]:
        """Tokenise a new text in the same way as the documents.

        Raises:
            UserError: the source does not implement this.
        """
        raise UserError(
            f"{type(self).__name__} cannot tokenise a text: implement DocumentSource.tokens_of"
        )

    def left_out(self, text: str) -> list[str]:
        """Characters of a new text that the tokenisation drops and a user should know of."""
        return []

    def split_off(
        self, documents: list[Document], fraction: float, name: str
    ) -> tuple[list[int], list[int]]:
        """Split off a fraction of the documents, stratified by group and class: indices of the
        documents that stay, and of those that are split off. name: the part that is split off."""
        strata = [(document.group, document.label) for document in documents]
        return stratified_split(strata, fraction, self.split_seed, name)

    def _read_and_check(self) -> tuple[list[Document], list[Document]]:
        found, kind = self.read(), type(self).__name__
        if not isinstance(found, tuple) or len(found) != 2:
            raise UserError(f"{kind}.read must return two lists of documents: training and test")
        for document in [*found[0], *found[1]]:
            if not isinstance(document.label, int):
                raise UserError(
                    f"{kind}.read gave a document the label {document.label!r}: it must be the "
                    "index of its class in `classes`"
                )
        return found

    # From documents to numbers ------------------------------------------------------------------

    def setup(self) -> None:
        """Read and split the documents, build the vocabulary, and encode the documents.

        Raises:
            UserError: a file or a setting is wrong.
        """
        if self.documents:
            return
        rest, test = self._read_and_check()
        self.not_tested = rest
        kept, validation = self.split_off(rest, self.validation_fraction, "validation")
        documents = {
            "training": [rest[number] for number in kept],
            "validation": [rest[number] for number in validation],
            "test": test,
        }
        for part in ("training", "test"):
            if not documents[part]:
                raise UserError(
                    f"{self.place}: there are no {self.things} for the {part} part: add some"
                )
        self.documents = documents
        self.vocabulary, self.loaded_vectors = self._build_vocabulary()
        extra: dict[str, list[np.ndarray]] = {}
        if self.ngrams is not None:
            extra["training"], self.ngram_table = self.ngrams.fit(
                documents["training"], len(self.classes), self.split_seed
            )
        self.stores = {part: self.encode(documents[part], extra.get(part)) for part in PARTS}

    def _build_vocabulary(self) -> tuple[Vocabulary, Loaded | None]:
        """The vocabulary, and its word vectors, or None."""
        own = self.words() if self.vocabulary_from == "everything" else None
        if own is None:
            parts = ("training",) if self.vocabulary_from == "train" else PARTS
            sequences = (one.tokens for part in parts for one in self.documents[part])
            own = count_tokens(sequences, self.min_count)
        if self.vectors is None:
            closed = self.vocabulary_from == "everything" and self.min_count == 1
            return Vocabulary(own if closed else [UNKNOWN, *own]), None
        tokens = [UNKNOWN, *own]
        loaded = self.vectors.load(tokens)
        if self.vectors.unknown == "skip":
            kept = loaded.known.clone()
            kept[0] = True  # <unknown>, for documents without any known word
            tokens = [token for token, keep in zip(tokens, kept.tolist(), strict=True) if keep]
            loaded = replace(loaded, vectors=loaded.vectors[kept], known=loaded.known[kept])
        return Vocabulary(tokens), loaded

    def encode(
        self, documents: Sequence[Document], extra: list[np.ndarray] | None = None
    ) -> TokenStore:
        """Encode the kept tokens, with their extra inputs if the source has n-grams.

        extra: (T, K) for each document; None: look them up in the n-gram table.

        Raises:
            UserError: no word of a document is in the vocabulary, which has no unknown word.
        """
        if extra is None and self.ngram_table is not None:
            extra = [self.ngram_table.of(document.tokens) for document in documents]
        sequences, inputs = [], []
        for row, document in enumerate(documents):
            places = cut(self.kept(document.tokens), self.max_tokens)
            numbers = self.vocabulary.encode(document.tokens[place] for place in places)
            if not numbers and self.vocabulary.unknown is None and self.vectors is None:
                raise UserError(
                    f"{document.text[:60]!r} has no word of the vocabulary: choose another "
                    "data/tokenization, or data.vocabulary=train, which has an unknown word"
                )
            sequences.append(numbers or [self.vocabulary.unknown or 0])
            if extra is not None:
                inputs.append(extra[row][places] if places else np.zeros_like(extra[row][:1]))
        labels = [document.label for document in documents]
        return TokenStore(sequences, labels, inputs if extra is not None else None)

    def kept(self, tokens: Sequence[str]) -> list[int]:
        """Indices of the tokens that are encoded, as themselves or as the unknown token."""
        skip = self.vectors is not None and self.vectors.unknown == "skip"
        if self.vocabulary.unknown is not None and not skip:
            return list(range(len(tokens)))
        return [place for place, token in enumerate(tokens) if token in self.vocabulary]

    # What a run records -------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Entries of run.json: the location of the files, fingerprints of the data, the split and
        the vocabulary, and the sizes of the parts."""
        split = {
            part: {
                "documents": len(documents),
                "sha256": fingerprint([_content(one) for one in documents]),
            }
            for part, documents in self.documents.items()
        }
        fingerprints = {
            "data": fingerprint(sorted(map(_content, self._everything()))),
            "split": fingerprint(split),
            "vocabulary": self.vocabulary.fingerprint,
        }
        facts = {"data": self.place, "fingerprints": fingerprints, "split": split}
        if self.loaded_vectors is not None:
            fingerprints["vectors"] = self.loaded_vectors.fingerprint
            facts["vectors"] = self.loaded_vectors.place
        return facts

    @property
    def groups(self) -> list[str]:
        """The names of the groups, sorted; empty if the documents have none."""
        return sorted({document.group for document in self._everything()} - {""})

    def content_fingerprint(self) -> str:
        """Hash (hex) of the label and the tokens of every document, by part and in order."""
        return fingerprint(
            {
                part: [[one.label, list(one.tokens)] for one in self.documents[part]]
                for part in PARTS
            }
        )

    def _everything(self) -> list[Document]:
        return [one for part in PARTS for one in self.documents[part]]

    def report(self) -> list[Table | str]:
        """A table of the number of documents by group or class, and notes on their tokens."""
        table = self._by_group() if self.groups else self._by_class()
        return [table, *self.notes, *self._token_notes()]

    def _by_group(self) -> Table:
        """The number of documents by group and class, and by part and class."""
        counts = Counter((one.group, one.label) for one in self._everything())
        rows = []
        for group in self.groups:
            numbers = [counts[group, label] for label in range(len(self.classes))]
            rows.append([group, *map("{:,}".format, numbers)])
        for part in PARTS:
            labels = Counter(one.label for one in self.documents[part])
            numbers = [labels[label] for label in range(len(self.classes))]
            rows.append([f"in the {part} part", *map("{:,}".format, numbers)])
        columns = [Column(""), *(Column(name, numbers=True) for name in self.classes)]
        title = f"Number of {self.things}"
        return Table(title, columns, rows, rules=frozenset({len(self.groups) - 1}))

    def _by_class(self) -> Table:
        """The number of documents by class and part; a row per class has room for many classes."""
        counts = [Counter(one.label for one in self.documents[part]) for part in PARTS]
        numbers = [[count[label] for count in counts] for label in range(len(self.classes))]
        numbers.append([count.total() for count in counts])
        rows = [
            [name, *map("{:,}".format, [*row, sum(row)])]
            for name, row in zip([*self.classes, "all"], numbers, strict=True)
        ]
        columns = [Column(""), *(Column(name, numbers=True) for name in (*PARTS, "all"))]
        title = f"Number of {self.things}"
        return Table(title, columns, rows, rules=frozenset({len(self.classes) - 1}))

    def _token_notes(self) -> list[str]:
        lengths = self.stores["training"].lengths.double()
        median, longest = int(lengths.median()), int(lengths.max())
        notes = [
            f"{len(self.vocabulary):,} tokens in the vocabulary; training {self.things} have a "
            f"median length of {median:,} tokens, at most {longest:,}"
        ]
        if self.loaded_vectors is not None:
            notes += [self.loaded_vectors.coverage, *self.loaded_vectors.notes]
        return notes


def cut(numbers: list[int], most: int | None) -> list[int]:
    """Cut a longer sequence to `most` numbers, its first and last half; None: no limit."""
    if most is None or len(numbers) <= most:
        return numbers
    return numbers[: most - most // 2] + numbers[-(most // 2) :]


def _content(document: Document) -> list[Any]:
    return [document.group, document.label, document.text]
