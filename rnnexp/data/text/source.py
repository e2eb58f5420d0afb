"""The base of every source of labelled documents: read, divided, and numbered."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from rnnexp.data.source import Source, fingerprint
from rnnexp.data.text.documents import Document
from rnnexp.data.text.ngrams import LogCountRatios, NgramTable
from rnnexp.data.text.splits import stratified_split
from rnnexp.data.text.tokens import TokenStore
from rnnexp.data.text.vocabulary import UNKNOWN, Vocabulary, count_tokens
from rnnexp.data.vectors.word_vectors import Loaded, WordVectors
from rnnexp.errors import UserError
from rnnexp.tables import Column, Table

PARTS = ("training", "validation", "test")


class DocumentSource(Source):
    """Labelled documents in three parts, as numbers of the tokens of a vocabulary. A source says
    how its documents are read.

    things: what its documents are called, e.g. reviews. token: what one is; baselines choose their
    n-grams by it.
    split_seed: decides the split; the run's seed decides everything else.
    validation_fraction: of the training part, of every group and class.
    vocabulary: `train` has the tokens of the training part and `<unknown>`; `everything` has those
    of all parts and no other, as in the lecture. min_count: of a token in it.
    max_tokens: longer documents keep their first and last halves of it; None: all of it.
    vectors: word vectors; words without one are left out or learnt, as it says.
    ngrams: what n-grams say of the class, as further inputs of every step.
    draw: `shuffled` has every document once an epoch; `class_uniform` draws a class, then a
    document of it, with replacement. iterations: batches of an epoch of the latter; None: as many
    as `shuffled` has.
    reshuffle: False gives the first epoch's batches in every epoch.

    After `setup`: documents (part -> list), not_tested (those of training and validation, in the
    order in which they were read), vocabulary, loaded_vectors, stores (part -> TokenStore).
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
                "data.iterations is for draws with replacement: set data.draw=class_uniform, or "
                "data.iterations=null"
            )
        self.split_seed, self.validation_fraction = split_seed, validation_fraction
        self.vocabulary_from, self.min_count = vocabulary, min_count
        self.max_tokens, self.vectors, self.ngrams = max_tokens, vectors, ngrams
        self.batch_size, self.eval_batch_size = batch_size, eval_batch_size
        self.draw, self.iterations = draw, iterations
        self.reshuffle, self.seed = reshuffle, seed
        self.documents: dict[str, list[Document]] = {}
        self.ngram_table: NgramTable | None = None

    # What a source says -------------------------------------------------------------------------

    def read(self) -> tuple[list[Document], list[Document]]:
        """The documents to train on (validation is taken from them), and those of the test."""
        raise NotImplementedError

    @property
    def notes(self) -> list[str]:
        """What a person should know of how the documents were chosen."""
        return []

    def words(self) -> list[str] | None:
        """The vocabulary, where the source has one of its own."""
        return None

    def tokens_of(self, text: str) -> list[str]:
        """The tokens of a new text, made as those of the documents are.

        Raises:
            UserError: the source does not say it.
        """
        raise UserError(
            f"{type(self).__name__} does not say the tokens of a text (DocumentSource.tokens_of)"
        )

    def left_out(self, text: str) -> list[str]:
        """What of a new text has no token at all and should have had one; by default nothing."""
        return []

    def split_off(
        self, documents: list[Document], fraction: float, name: str
    ) -> tuple[list[int], list[int]]:
        """Numbers of the documents that stay and of those that are split off: a share of every
        group and class. name: of the part that is split off."""
        strata = [(document.group, document.label) for document in documents]
        return stratified_split(strata, fraction, self.split_seed, name)

    # From documents to numbers ------------------------------------------------------------------

    def setup(self) -> None:
        """Read, split, build the vocabulary.

        Raises:
            UserError: a file or a setting is wrong.
        """
        if self.documents:
            return
        rest, test = self.read()
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
                    f"{self.place}: there are no {self.things} for the {part} part: give it some"
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
        """The vocabulary, and the vectors of its words where there are any."""
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
            kept[0] = True  # a document of which no word is left has this one
            tokens = [token for token, keep in zip(tokens, kept.tolist(), strict=True) if keep]
            loaded = replace(loaded, vectors=loaded.vectors[kept], known=loaded.known[kept])
        return Vocabulary(tokens), loaded

    def encode(
        self, documents: Sequence[Document], extra: list[np.ndarray] | None = None
    ) -> TokenStore:
        """Numbers of the tokens that are kept, and the further inputs of those.

        extra: these, (T, K) a document, where they are not those of a new document.
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
                    "data.tokenization, or data.vocabulary=train, which has an unknown word"
                )
            sequences.append(numbers or [self.vocabulary.unknown or 0])
            if extra is not None:
                inputs.append(extra[row][places] if places else np.zeros_like(extra[row][:1]))
        labels = [document.label for document in documents]
        return TokenStore(sequences, labels, inputs if extra is not None else None)

    def kept(self, tokens: Sequence[str]) -> list[int]:
        """The places of the tokens that have a number, or become the unknown one."""
        skip = self.vectors is not None and self.vectors.unknown == "skip"
        if self.vocabulary.unknown is not None and not skip:
            return list(range(len(tokens)))
        return [place for place, token in enumerate(tokens) if token in self.vocabulary]

    # What a run records -------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Fingerprints of the data, the split and the vocabulary, and the sizes of the parts."""
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
        """The names of the groups, where documents have some."""
        return sorted({document.group for document in self._everything()} - {""})

    def tokens_fingerprint(self) -> str:
        """Hash over the tokens of every document, in the order of the parts."""
        return fingerprint([list(one.tokens) for one in self._everything()])

    def _everything(self) -> list[Document]:
        return [one for part in PARTS for one in self.documents[part]]

    def report(self) -> list[Table | str]:
        """How many documents of each group and class there are, and what became of their tokens."""
        table = self._by_group() if self.groups else self._by_class()
        return [table, *self.notes, *self._token_notes()]

    def _by_group(self) -> Table:
        """Documents of each group and class, and of each part."""
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
        return Table(f"The {self.things}", columns, rows, rules=frozenset({len(self.groups) - 1}))

    def _by_class(self) -> Table:
        """Documents of each class and part: without groups there is room for many classes."""
        counts = [Counter(one.label for one in self.documents[part]) for part in PARTS]
        numbers = [[count[label] for count in counts] for label in range(len(self.classes))]
        numbers.append([count.total() for count in counts])
        rows = [
            [name, *map("{:,}".format, [*row, sum(row)])]
            for name, row in zip([*self.classes, "all"], numbers, strict=True)
        ]
        columns = [Column(""), *(Column(name, numbers=True) for name in (*PARTS, "all"))]
        return Table(f"The {self.things}", columns, rows, rules=frozenset({len(self.classes) - 1}))

    def _token_notes(self) -> list[str]:
        lengths = self.stores["training"].lengths.double()
        median, longest = int(lengths.median()), int(lengths.max())
        notes = [
            f"{len(self.vocabulary):,} tokens in the vocabulary; the {self.things} to train on "
            f"have {median:,} of them (median), at most {longest:,}"
        ]
        if self.loaded_vectors is not None:
            notes.append(self.loaded_vectors.coverage)
        return notes


def cut(numbers: list[int], most: int | None) -> list[int]:
    """The first and the last half of `most` tokens of a longer sequence."""
    if most is None or len(numbers) <= most:
        return numbers
    return numbers[: most - most // 2] + numbers[-(most // 2) :]


def _content(document: Document) -> list[Any]:
    return [document.group, document.label, document.text]
