"""Predictions for new texts, prepared by the same code as in the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from rnnexp.data.text.documents import Document
from rnnexp.data.text.source import DocumentSource
from rnnexp.data.text.vocabulary import UNKNOWN
from rnnexp.errors import UserError
from rnnexp.tables import Column, Table
from rnnexp.tasks.answers import NAMED, cut, listed, one_line, quoted
from rnnexp.tasks.classification.data import ClassificationData

LIKELIEST = ("likeliest", "second", "third")  # column headings of the classes in the table
SHOWN = 100  # characters of a text in the table
LONGEST = 100_000  # tokens of a text without data.max_tokens; bounds the memory


@dataclass(frozen=True)
class Classes:
    """The probabilities (n, C) of C classes for n texts; NaN for texts without a prediction.

    notes: sentences on how the texts were read. faults: row (from 0) of a text without a
    prediction -> what is wrong with it.
    """

    texts: list[str]
    classes: list[str]
    probability: np.ndarray
    notes: list[str]
    faults: dict[int, str]

    @property
    def failed(self) -> list[str]:
        """A sentence for each text without a prediction."""
        return [
            f"text {row + 1}{f', {quoted(_text(self.texts[row]))},' if self.texts[row] else ''} "
            f"{fault}"
            for row, fault in self.faults.items()
        ]

    def frame(self) -> pd.DataFrame:
        """One row per text: the text, its likeliest class, and p_CLASS for every class. Rows
        without a prediction are empty there; then a column `error` says what is wrong."""
        likeliest = [
            None if row in self.faults else self.classes[one.argmax()]
            for row, one in enumerate(self.probability)
        ]
        columns = {f"p_{name}": p for name, p in zip(self.classes, self.probability.T, strict=True)}
        if self.faults:
            columns["error"] = [self.faults.get(row) for row in range(len(self.texts))]
        texts = list(map(_text, self.texts))
        return pd.DataFrame({"text": texts, "prediction": likeliest} | columns)

    def table(self) -> Table:
        """One row per text, with its three likeliest classes and their probabilities."""
        headings = LIKELIEST[: len(self.classes)]
        columns = [Column("text"), *(Column(heading, wraps=False) for heading in headings)]
        rows = []
        for number, (text, row) in enumerate(zip(self.texts, self.probability, strict=True)):
            best = np.argsort(-row, kind="stable")[: len(headings)]
            cells = [f"{self.classes[label]} {row[label]:.3f}" for label in best]
            if number in self.faults:
                cells = ["no prediction", *[""] * (len(headings) - 1)]
            rows.append([one_line(cut(_text(text), SHOWN)), *cells])
        return Table("", columns, rows)


def classify(network: nn.Module, data: ClassificationData, texts: Sequence[str]) -> Classes:
    """Predict the classes of new texts. A text that cannot be read does not stop the others.

    data: after `setup` or `restore`. texts: undecodable bytes are surrogates, as in `sys.argv`.

    Raises:
        UserError: there is only one text, and it cannot be read.
    """
    source = data.source
    faults, documents = {}, {}
    for row, text in enumerate(texts):
        document = document_of(source, text)
        if fault := fault_of(source, document):
            faults[row] = fault
        else:
            documents[row] = document
    if faults and len(texts) == 1:
        raise UserError(f"the text {faults[0]}: give another text")
    notes = how_they_are_read(source, documents)
    probability = np.full((len(texts), len(data.spec.classes)), np.nan, np.float32)
    if documents:
        probability[list(documents)] = probabilities(network, data, list(documents.values()))
    return Classes(list(texts), data.spec.classes, probability, notes, faults)


def document_of(source: DocumentSource, text: str) -> Document:
    """A new text as a document; without tokens if it is damaged."""
    return Document([] if _is_damaged(text) else source.tokens_of(text), 0, "", text)


def probabilities(
    network: nn.Module, data: ClassificationData, documents: Sequence[Document]
) -> np.ndarray:
    """(n, C) float32: the probabilities of the classes for n documents."""
    rows, outputs = [], []
    with torch.no_grad():
        for batch in data.loader(data.source.encode(documents)):
            rows.append(batch.row)
            outputs.append(network(batch.tokens, batch.lengths, batch.extra))
    return torch.cat(outputs)[torch.cat(rows).argsort()].exp().numpy()


def _is_damaged(text: str) -> bool:
    """Whether a text has bytes that are not UTF-8, or zeros."""
    return any(one == "\0" or "\ud800" <= one <= "\udfff" for one in text)


def _text(text: str) -> str:
    """A text for the console or a file: a replacement character for each undecodable byte."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def fault_of(source: DocumentSource, document: Document) -> str | None:
    """What is wrong with a new text, as the end of a sentence; None if it can be predicted."""
    if _is_damaged(document.text):
        return "is not UTF-8 text"
    if not document.text.strip():
        return "is empty"
    kept = source.kept(document.tokens)
    if not document.tokens or not (kept or source.vocabulary.unknown is not None):
        return f"has no {source.token} that the network knows"
    if source.max_tokens is None and len(kept) > LONGEST:
        return f"is too long: it has {len(kept):,} {source.token}s, at most {LONGEST:,} are read"
    return None


def how_they_are_read(source: DocumentSource, documents: Mapping[int, Document]) -> list[str]:
    """Sentences on tokens that are left out or unknown, and on texts that are cut."""
    vocabulary, words = source.vocabulary, f"{source.token}s"
    left_out, unknown = dict[str, None](), dict[str, None]()  # in the order of the texts
    long = []
    for row, document in documents.items():
        kept = source.kept(document.tokens)
        without = set(range(len(document.tokens))) - set(kept)
        left_out |= dict.fromkeys(source.left_out(document.text))
        left_out |= dict.fromkeys(document.tokens[at] for at in sorted(without))
        unknown |= dict.fromkeys(
            document.tokens[at] for at in kept if document.tokens[at] not in vocabulary
        )
        if source.max_tokens is not None and len(kept) > source.max_tokens:
            long.append(str(row + 1))
    notes = []
    if left_out:
        notes.append(f"unknown {words}, left out: {listed(left_out)}")
    if unknown:
        notes.append(f"unknown {words}, read as {UNKNOWN}: {listed(unknown)}")
    if long:
        more = f" and {len(long) - NAMED:,} more" if len(long) > NAMED else ""
        notes.append(
            f"texts cut to {source.max_tokens} {words} (data.max_tokens), first and last half: "
            f"{len(long):,} (text {', '.join(long[:NAMED])}{more})"
        )
    return notes
