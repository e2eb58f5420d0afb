"""What single words and short phrases say about the class, as further inputs of every step; or
single characters and short runs of them, where a token is a character.

NB-SVM (Wang and Manning 2012, Baselines and Bigrams) weighs an n-gram by its log-count ratio: the
logarithm of how much more often documents of one class hold it than documents of the others. A
network that reads those ratios starts from what naive Bayes knows, and adds the order of words.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from sklearn.model_selection import StratifiedGroupKFold

from rnnexp.data.text.documents import Document
from rnnexp.errors import UserError
from rnnexp.process.determinism import derive

Kind = Literal["unigram", "bigram", "skip_bigram", "trigram", "fourgram", "fivegram"]
# The words of an n-gram, from the first to the last, by how far each stands before the last one.
NGRAMS: dict[str, tuple[int, ...]] = {
    "unigram": (0,),
    "bigram": (1, 0),
    "skip_bigram": (2, 0),
    "trigram": (2, 1, 0),
    "fourgram": (3, 2, 1, 0),
    "fivegram": (4, 3, 2, 1, 0),
}
BEFORE = 0  # stands for the words before the first one
MOST_NGRAMS = 2**63  # that have a number


class NgramTable:
    """The C log-count ratios of every n-gram of the training part, each in units of its standard
    deviation over the n-grams of a kind.

    words: numbered from 1 on. ngrams: for every kind its n-grams as numbers, int64 (n,), ascending.
    ratios: for every kind float32 (n + 1, C), the last row for all n-grams that are not there.
    """

    def __init__(
        self, words: Sequence[str], ngrams: dict[str, np.ndarray], ratios: dict[str, np.ndarray]
    ) -> None:
        self.words, self.ngrams, self.ratios = list(words), ngrams, ratios
        self._number = {word: number for number, word in enumerate(self.words, start=1)}

    def of(self, tokens: Sequence[str]) -> np.ndarray:
        """(T, kinds * C) float32: what the n-grams that end at each token say, kind by kind."""
        numbers = _ngrams_at(tokens, self._number, list(self.ngrams))
        columns = []
        for own, known, ratios in zip(
            numbers.T, self.ngrams.values(), self.ratios.values(), strict=True
        ):
            place = np.searchsorted(known, own)
            found = known[np.minimum(place, len(known) - 1)] == own
            columns.append(ratios[np.where(found, place, len(known))])
        return np.concatenate(columns, axis=1)

    @property
    def size(self) -> int:
        """How many inputs a token has: kinds * C."""
        return sum(ratios.shape[1] for ratios in self.ratios.values())

    def to_plain(self) -> dict[str, Any]:
        """As tensors and plain values."""
        return {
            "words": self.words,
            "ngrams": {kind: torch.from_numpy(values) for kind, values in self.ngrams.items()},
            "ratios": {kind: torch.from_numpy(values) for kind, values in self.ratios.items()},
        }

    @classmethod
    def from_plain(cls, content: dict[str, Any], kinds: Sequence[str]) -> NgramTable:
        """The inverse of `to_plain`. A table of an earlier version has ratios (n + 1,), for C = 1.

        Raises:
            ValueError: the content is not that of a table of these kinds.
        """
        try:
            words = [str(word) for word in content["words"]]
            ngrams = {kind: content["ngrams"][kind].long().numpy() for kind in kinds}
            ratios = {kind: content["ratios"][kind].float().numpy() for kind in kinds}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is not a table of {', '.join(kinds)}") from error
        if any(len(ratios[kind]) != len(ngrams[kind]) + 1 for kind in kinds):
            raise ValueError("an n-gram has no ratio, or two")
        ratios = {kind: values.reshape(len(values), -1) for kind, values in ratios.items()}
        return cls(words, ngrams, ratios)


class LogCountRatios:
    """For every token, the log-count ratios of each kind of n-gram that ends at it.

    Of an n-gram that p of the P documents of a class hold, and q of the Q documents of all others,
    the class has the ratio
    log((p + smoothing) / (P + smoothing)) - log((q + smoothing) / (Q + smoothing)).
    There is one for every class; of two classes that of the second says it all.

    The ratios for the training part are cross-fitted: it is divided into `parts`, and a document
    is given the ratios of the other parts. Its own label would otherwise stand in its inputs, and
    what a network learns from that does not hold for new documents.
    """

    def __init__(self, kinds: Sequence[Kind], parts: int = 10, smoothing: float = 1.0) -> None:
        if not kinds or not set(kinds) <= set(NGRAMS):
            raise UserError(f"data.ngrams.kinds is {list(kinds)}: it lists {', '.join(NGRAMS)}")
        if len(set(kinds)) < len(kinds):
            raise UserError(f"data.ngrams.kinds is {list(kinds)}: it lists each kind once")
        if parts < 2:
            raise UserError(f"data.ngrams.parts is {parts}: it must be at least 2")
        if smoothing <= 0:
            raise UserError(f"data.ngrams.smoothing is {smoothing}: it must be above 0")
        self.kinds, self.parts, self.smoothing = tuple(kinds), parts, smoothing

    def fit(
        self, training: list[Document], classes: int, seed: int
    ) -> tuple[list[np.ndarray], NgramTable]:
        """The inputs of the documents to train on, (T, kinds * C) float32 for each, and the table
        that gives those of all others; C is 1 for two classes, else as many as there are.

        seed: divides the training part.

        Raises:
            UserError: the training part has too few documents of a class, or too many words.
        """
        labels = np.array([document.label for document in training])
        counts = np.bincount(labels, minlength=classes)
        if counts.min() < self.parts:
            raise UserError(
                f"data.ngrams.parts is {self.parts}, and one class has {counts.min()} documents to "
                "train on: lower it"
            )
        words = list(dict.fromkeys(word for document in training for word in document.tokens))
        ngrams, places = self._list_ngrams(training, words)
        held = [np.unique(own) for own in places]
        first = np.cumsum([0, *(len(own) for own in ngrams.values())])
        told = [1] if classes == 2 else range(classes)

        def ratios(chosen: np.ndarray) -> np.ndarray:
            """(n-grams + 1, C), counted in the chosen documents; the last is of one not counted."""
            count = np.zeros((classes, first[-1] + 1))
            for document in chosen:
                count[labels[document], held[document]] += 1
            all_counts = count.sum(axis=0)
            documents = np.bincount(labels[chosen], minlength=classes)
            columns = [
                self._log_share(count[label], documents[label])
                - self._log_share(all_counts - count[label], len(chosen) - documents[label])
                for label in told
            ]
            return np.stack(columns, axis=1)

        inputs: list[np.ndarray] = [np.empty(0)] * len(training)
        for others, own in self._parts(training, seed):
            of_others = ratios(others)
            for document in own:
                inputs[document] = of_others[places[document]].reshape(len(places[document]), -1)
        deviation = np.concatenate(inputs).std(axis=0)
        deviation[deviation == 0] = 1
        of_all = ratios(np.arange(len(training)))
        units = deviation.reshape(len(self.kinds), -1)
        scaled = {
            kind: (np.concatenate([of_all[a:b], of_all[-1:]]) / unit).astype(np.float32)
            for kind, a, b, unit in zip(ngrams, first, first[1:], units, strict=False)
        }
        table = NgramTable(words, ngrams, scaled)
        return [(values / deviation).astype(np.float32) for values in inputs], table

    def _log_share(self, count: np.ndarray, documents: int) -> np.ndarray:
        return np.log(count + self.smoothing) - np.log(documents + self.smoothing)

    def _list_ngrams(
        self, training: list[Document], words: list[str]
    ) -> tuple[dict[str, np.ndarray], list[np.ndarray]]:
        """The n-grams of every kind, ascending, and for every document the places (T, kinds) of
        its own in the list of all kinds, one after the other."""
        for kind in self.kinds:
            if (len(words) + 2) ** len(NGRAMS[kind]) > MOST_NGRAMS:
                raise UserError(
                    f"data.ngrams.kinds has {kind}, and {len(words):,} different words make more "
                    "of those than can be numbered: leave it out"
                )
        number = {word: number for number, word in enumerate(words, start=1)}
        numbers = [_ngrams_at(document.tokens, number, self.kinds) for document in training]
        ngrams: dict[str, np.ndarray] = {}
        columns, first = [], 0
        for kind, column in zip(self.kinds, np.concatenate(numbers).T, strict=True):
            ngrams[kind], place = np.unique(column, return_inverse=True)
            columns.append(first + place)
            first += len(ngrams[kind])
        ends = np.cumsum([len(own) for own in numbers])[:-1]
        return ngrams, np.split(np.stack(columns, axis=1), ends)

    def _parts(
        self, training: list[Document], seed: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each part as (the documents of all others, its own). Equal texts are in one part.

        Every part has its share of each group and class, as far as there are enough of them.
        """
        strata = [f"{document.group}/{document.label}" for document in training]
        if max(Counter(strata).values()) < self.parts:
            strata = [str(document.label) for document in training]
        texts = [document.text for document in training]
        state = derive(seed, "n-grams") % 2**32
        folds = StratifiedGroupKFold(self.parts, shuffle=True, random_state=state)
        with warnings.catch_warnings():  # of a group that is smaller than the number of parts
            warnings.filterwarnings("ignore", message="The least populated class")
            return iter(list(folds.split(texts, strata, texts)))


def _ngrams_at(tokens: Sequence[str], number: dict[str, int], kinds: Sequence[str]) -> np.ndarray:
    """The n-grams of each kind that end at each token, as numbers: (T, kinds) int64.

    number: of every known word, from 1 on. Of an unknown one the number is higher than all.
    """
    unknown = len(number) + 1
    furthest = max(max(NGRAMS[kind]) for kind in kinds)
    words = [BEFORE] * furthest + [number.get(token, unknown) for token in tokens]
    numbered, size = np.array(words, dtype=np.int64), unknown + 1
    columns = []
    for kind in kinds:
        column = np.zeros(len(tokens), dtype=np.int64)
        for back in NGRAMS[kind]:
            column = column * size + numbered[furthest - back :][: len(tokens)]
        columns.append(column)
    return np.stack(columns, axis=1)
