"""Predictions for new texts, prepared by the same code as in the test."""

from __future__ import annotations

from collections.abc import Sequence
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
from rnnexp.tasks.answers import cut, listed, printable, quoted
from rnnexp.tasks.classification.data import ClassificationData

LIKELIEST = ("likeliest", "second", "third")  # column headings of the classes in the table
SHOWN = 100  # characters of a text in the table


@dataclass(frozen=True)
class Classes:
    """The probabilities (n, C) of C classes for n texts.

    notes: sentences on how the texts were read.
    """

    texts: list[str]
    classes: list[str]
    probability: np.ndarray
    notes: list[str]

    def frame(self) -> pd.DataFrame:
        """One row per text: the text, its likeliest class, and p_CLASS for every class."""
        likeliest = [self.classes[label] for label in self.probability.argmax(axis=1)]
        columns = {f"p_{name}": p for name, p in zip(self.classes, self.probability.T, strict=True)}
        return pd.DataFrame({"text": self.texts, "prediction": likeliest} | columns)

    def table(self) -> Table:
        """One row per text, with its three likeliest classes and their probabilities."""
        headings = LIKELIEST[: len(self.classes)]
        columns = [Column("text"), *(Column(heading, wraps=False) for heading in headings)]
        rows = []
        for text, row in zip(self.texts, self.probability, strict=True):
            best = np.argsort(-row, kind="stable")[: len(headings)]
            cells = [f"{self.classes[label]} {row[label]:.3f}" for label in best]
            rows.append([printable(cut(text, SHOWN)), *cells])
        return Table("", columns, rows)


def classify(network: nn.Module, data: ClassificationData, texts: Sequence[str]) -> Classes:
    """Predict the classes of new texts. data: after `setup` or `restore`.

    Raises:
        UserError: a text has no token that the network knows.
    """
    source = data.source
    documents = [Document(source.tokens_of(text), 0, "", text) for text in texts]
    notes = _how_they_are_read(source, documents)
    rows, outputs = [], []
    with torch.no_grad():
        for batch in data.loader(source.encode(documents)):
            rows.append(batch.row)
            outputs.append(network(batch.tokens, batch.lengths, batch.extra))
    probability = torch.cat(outputs)[torch.cat(rows).argsort()].exp()
    return Classes(list(texts), data.spec.classes, probability.numpy(), notes)


def _how_they_are_read(source: DocumentSource, documents: Sequence[Document]) -> list[str]:
    """Sentences on tokens that are left out or unknown, and on texts that are cut.

    Raises:
        UserError: a text has no token that the network knows.
    """
    vocabulary, words = source.vocabulary, f"{source.token}s"
    left_out, unknown = dict[str, None](), dict[str, None]()  # in the order of the texts
    long = 0
    for place, document in enumerate(documents, start=1):
        kept = source.kept(document.tokens)
        if not document.tokens or not (kept or vocabulary.unknown is not None):
            which = f"text {place}, {quoted(document.text)}," if len(documents) > 1 else "the text"
            raise UserError(
                f"{which} has no {source.token} that the network knows: give another text"
            )
        without = set(range(len(document.tokens))) - set(kept)
        left_out |= dict.fromkeys(source.left_out(document.text))
        left_out |= dict.fromkeys(document.tokens[at] for at in sorted(without))
        unknown |= dict.fromkeys(
            document.tokens[at] for at in kept if document.tokens[at] not in vocabulary
        )
        long += source.max_tokens is not None and len(kept) > source.max_tokens
    notes = []
    if left_out:
        notes.append(f"unknown {words}, left out: {listed(left_out)}")
    if unknown:
        notes.append(f"unknown {words}, read as {UNKNOWN}: {listed(unknown)}")
    if long:
        notes.append(
            f"texts cut to {source.max_tokens} {words} (data.max_tokens), first and last half: "
            f"{long:,}"
        )
    return notes
