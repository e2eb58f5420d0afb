"""The data module of every classification task: from documents to batches of token numbers.

read -> validation split off -> vocabulary -> numbers -> batches. A source (reviews, the lecture's
archives, the synthetic ones) only says how its documents are read.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Group, RenderableType
from rich.table import Table
from torch import nn

from rnnexp.data.documents import Document
from rnnexp.data.module import DataModule
from rnnexp.data.ngrams import LogCountRatios, NgramTable
from rnnexp.data.samplers import (
    BatchesByLength,
    BatchLoader,
    ClassUniformBatches,
    ShuffledBatches,
)
from rnnexp.data.splits import stratified_split
from rnnexp.data.tokens import TokenStore
from rnnexp.data.vectors import Loaded, WordVectors
from rnnexp.data.vocabulary import UNKNOWN, Vocabulary, count_tokens
from rnnexp.errors import UserError
from rnnexp.nn.representations import Embeddings

PARTS = ("training", "validation", "test")


class ClassificationData(DataModule):
    """Labelled documents in three parts, as numbers of the tokens of a vocabulary.

    things, token: what documents and their tokens are called; baselines choose their n-grams by it.
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
    order in which they were read), vocabulary, stores (part -> TokenStore), spec.
    """

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
        super().__init__()
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
        self._table: NgramTable | None = None
        self.spec: dict[str, Any] = {}

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
        """The tokens of a new text, made as those of the documents are."""
        raise NotImplementedError

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

    def setup(self, stage: str | None = None) -> None:
        """Read, split, build the vocabulary. A second call does nothing.

        Raises:
            UserError: a file or a setting is wrong.
        """
        if self.spec:
            return
        rest, test = self.read()
        self.not_tested = rest
        kept, validation = self.split_off(rest, self.validation_fraction, "validation")
        self.documents = {
            "training": [rest[number] for number in kept],
            "validation": [rest[number] for number in validation],
            "test": test,
        }
        for part in ("training", "test"):
            if not self.documents[part]:
                raise UserError(
                    f"{self.place}: there are no {self.things} for the {part} part: give it some"
                )
        self.vocabulary, self.loaded_vectors = self._build_vocabulary()
        extra: dict[str, list[np.ndarray]] = {}
        if self.ngrams is not None:
            extra["training"], self._table = self.ngrams.fit(
                self.documents["training"], len(self.classes), self.split_seed
            )
        self.stores = {part: self.encode(self.documents[part], extra.get(part)) for part in PARTS}
        self._training_batches = self._batches(self.stores["training"])
        groups = sorted({document.group for document in rest + test} - {""})
        tested = len(test)
        self.spec = {
            "task": "classification",
            "title": f"{_count(len(groups), 'category', 'categories')}{tested:,} {self.things}",
            "tested": tested,
            "things": self.things,
            "classes": list(self.classes),
            "groups": groups,
            "vocabulary": len(self.vocabulary),
            "unknown": self.vocabulary.unknown,
            "vectors": self._vectors_spec(),
            "extra": self._table.size if self._table else 0,
        }

    def _batches(self, training: TokenStore) -> ShuffledBatches | ClassUniformBatches:
        if self.draw == "class_uniform":
            iterations = self.iterations or math.ceil(len(training) / self.batch_size)
            return ClassUniformBatches(
                training.label, self.batch_size, iterations, self.seed, self.reshuffle
            )
        everything = torch.arange(len(training))
        return ShuffledBatches(
            lambda epoch: everything,
            self.batch_size,
            self.seed,
            reshuffle=self.reshuffle,
            lengths=training.lengths,
        )

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
        if extra is None and self._table is not None:
            extra = [self._table.of(document.tokens) for document in documents]
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

    def _vectors_spec(self) -> dict[str, Any] | None:
        if self.loaded_vectors is None:
            return None
        known = self.loaded_vectors.known
        return {"dimension": self.loaded_vectors.vectors.shape[1], "known": int(known.sum())}

    def initialize(self, network: nn.Module) -> None:
        """Give the network's embeddings the word vectors."""
        representation = getattr(network, "representation", None)
        if self.loaded_vectors is not None and isinstance(representation, Embeddings):
            representation.take_vectors(self.loaded_vectors.vectors, self.loaded_vectors.known)

    # New texts ----------------------------------------------------------------------------------

    def restore(self, tokens: list[str], ngram_table: dict[str, Any] | None, extra: int) -> None:
        """Take over what a run recorded of its training part (`tokens`, `ngram_table`), so that
        new texts can be encoded without the data. extra: how many further inputs a step has.

        Raises:
            ValueError: it is not what these settings need.
        """
        self.vocabulary = Vocabulary(tokens)
        if self.ngrams is not None:
            self._table = NgramTable.from_plain(ngram_table or {}, self.ngrams.kinds)
            if self._table.size != extra:
                raise ValueError(
                    f"it has {self._table.size} ratios a token, and the network reads {extra}"
                )

    # What a run records -------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Fingerprints of the data, the split and the vocabulary, and the sizes of the parts."""
        split = {
            part: {
                "documents": len(documents),
                "sha256": _fingerprint([_content(one) for one in documents]),
            }
            for part, documents in self.documents.items()
        }
        fingerprints = {
            "data": _fingerprint(sorted(map(_content, self._everything()))),
            "split": _fingerprint(split),
            "vocabulary": self.vocabulary.fingerprint,
        }
        facts = {"data": self.place, "fingerprints": fingerprints, "split": split}
        if self.loaded_vectors is not None:
            fingerprints["vectors"] = self.loaded_vectors.fingerprint
            facts["vectors"] = self.loaded_vectors.place
        return facts

    @property
    def tokens(self) -> list[str]:
        return self.vocabulary.tokens

    @property
    def ngram_table(self) -> dict[str, Any] | None:
        return self._table.to_plain() if self._table is not None else None

    def _everything(self) -> list[Document]:
        return [one for part in PARTS for one in self.documents[part]]

    def identity(self) -> dict[str, Any]:
        """All that a baseline on the test documents depends on."""
        tokens = [list(one.tokens) for one in self._everything()]
        fingerprints = self.facts()["fingerprints"]
        return {
            "task": self.spec["task"],
            "data": fingerprints["data"],
            "split": fingerprints["split"],
            "tokens": _fingerprint(tokens),
        }

    def report(self) -> RenderableType:
        """How many documents of each group and class there are, and what became of their tokens."""
        table = self._by_group() if self.spec["groups"] else self._by_class()
        return Group(table, *self.notes, *self._token_notes())

    def _by_group(self) -> Table:
        """Documents of each group and class, and of each part."""
        counts = Counter((one.group, one.label) for one in self._everything())
        table = Table(title=f"The {self.things}", title_justify="left")
        table.add_column("")
        for name in self.classes:
            table.add_column(name, justify="right")
        groups = self.spec["groups"]
        for group in groups:
            numbers = [counts[group, label] for label in range(len(self.classes))]
            table.add_row(group, *map("{:,}".format, numbers), end_section=group == groups[-1])
        for part in PARTS:
            labels = Counter(one.label for one in self.documents[part])
            numbers = [labels[label] for label in range(len(self.classes))]
            table.add_row(f"in the {part} part", *map("{:,}".format, numbers))
        return table

    def _by_class(self) -> Table:
        """Documents of each class and part: without groups there is room for many classes."""
        table = Table(title=f"The {self.things}", title_justify="left")
        for heading in ("", *PARTS, "all"):
            table.add_column(heading, justify="right" if heading else "left")
        counts = [Counter(one.label for one in self.documents[part]) for part in PARTS]
        rows = [[count[label] for count in counts] for label in range(len(self.classes))]
        rows.append([count.total() for count in counts])
        for name, numbers in zip([*self.classes, "all"], rows, strict=True):
            shown = map("{:,}".format, [*numbers, sum(numbers)])
            table.add_row(name, *shown, end_section=name == self.classes[-1])
        return table

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

    @property
    def batch_order(self) -> str:
        """Hash over every training batch given so far."""
        return self._training_batches.seen.hexdigest()

    # What Lightning asks for --------------------------------------------------------------------

    def train_dataloader(self) -> BatchLoader:
        return BatchLoader(self._training_batches, self.stores["training"].batch)

    def val_dataloader(self) -> BatchLoader | list[Any]:
        return self._evaluation_loader("validation") if self.documents["validation"] else []

    def test_dataloader(self) -> BatchLoader:
        return self._evaluation_loader("test")

    def _evaluation_loader(self, part: str) -> BatchLoader:
        return self.loader(self.stores[part])

    def loader(self, store: TokenStore) -> BatchLoader:
        """Every sequence of a store once, for evaluation."""
        return BatchLoader(BatchesByLength(store.lengths, self.eval_batch_size), store.batch)


def cut(numbers: list[int], most: int | None) -> list[int]:
    """The first and the last half of `most` tokens of a longer sequence."""
    if most is None or len(numbers) <= most:
        return numbers
    return numbers[: most - most // 2] + numbers[-(most // 2) :]


def _content(document: Document) -> list[Any]:
    return [document.group, document.label, document.text]


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}, " if number else ""


def _fingerprint(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
