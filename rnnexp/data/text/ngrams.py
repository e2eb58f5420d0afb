"""Log-count ratios of n-grams of tokens (words or characters), as extra inputs of every step.

NB-SVM (Wang and Manning 2012, Baselines and Bigrams) weights an n-gram by its log-count ratio: the
logarithm of its frequency in documents of one class over its frequency in the other documents. A
network with these inputs starts from the knowledge of naive Bayes, and can add the word order.
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
# The tokens of an n-gram, first to last, each as its distance (in tokens) from the last one.
NGRAMS: dict[str, tuple[int, ...]] = {
    "unigram": (0,),
    "bigram": (1, 0),
    "skip_bigram": (2, 0),
    "trigram": (2, 1, 0),
    "fourgram": (3, 2, 1, 0),
    "fivegram": (4, 3, 2, 1, 0),
}
BEFORE = 0  # the number of the padding before the first token
MOST_NGRAMS = 2**63  # an n-gram is numbered by an int64


class NgramTable:
    """The log-count ratios of every n-gram of the training part, for C classes.

    Each ratio is divided by the standard deviation of its column in the training inputs.

    words: the known tokens, numbered from 1 on. ngrams: kind -> numbers of its n n-grams, int64
    (n,), ascending. ratios: kind -> float32 (n + 1, C); the last row is for unknown n-grams.
    """

    def __init__(
        self, words: Sequence[str], ngrams: dict[str, np.ndarray], ratios: dict[str, np.ndarray]
    ) -> None:
        self.words, self.ngrams, self.ratios = list(words), ngrams, ratios
        self._number = {word: number for number, word in enumerate(self.words, start=1)}

    def of(self, tokens: Sequence[str]) -> np.ndarray:
        """(T, kinds * C) float32: the ratios of the n-grams that end at each token, by kind."""
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
        """The number of extra inputs per step: kinds * C."""
        return sum(ratios.shape[1] for ratios in self.ratios.values())

    def to_plain(self) -> dict[str, Any]:
        """The table as tensors and plain values."""
        return {
            "words": self.words,
            "ngrams": {kind: torch.from_numpy(values) for kind, values in self.ngrams.items()},
            "ratios": {kind: torch.from_numpy(values) for kind, values in self.ratios.items()},
        }

    @classmethod
    def from_plain(cls, content: dict[str, Any], kinds: Sequence[str]) -> NgramTable:
        """The inverse of `to_plain`. Tables of earlier versions have ratios (n + 1,), for C = 1.

        Raises:
            ValueError: the content is not a table of these kinds.
        """
        try:
            words = [str(word) for word in content["words"]]
            ngrams = {kind: content["ngrams"][kind].long().numpy() for kind in kinds}
            ratios = {kind: content["ratios"][kind].float().numpy() for kind in kinds}
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is not a table of {', '.join(kinds)}") from error
        if any(len(ratios[kind]) != len(ngrams[kind]) + 1 for kind in kinds):
            raise ValueError("the numbers of n-grams and of ratios do not match")
        ratios = {kind: values.reshape(len(values), -1) for kind, values in ratios.items()}
        return cls(words, ngrams, ratios)


class LogCountRatios:
    """For every token, the log-count ratios of the n-grams that end at the token.

    If p of the P documents of a class contain an n-gram, and q of the Q other documents, the ratio
    of the class is
        log((p + smoothing) / (P + smoothing)) - log((q + smoothing) / (Q + smoothing)).
    Each class has a ratio; with two classes, only the second one has, as the first is redundant.

    The training inputs are cross-fitted: the training part is split into `parts` folds, and the
    ratios of a document are counted in the other folds. Otherwise its inputs would contain its own
    label, and what the network learns from them would not generalise.

    kinds: the kinds of n-grams, keys of `NGRAMS`.

    Raises:
        UserError: a kind is unknown or listed twice, or a number is out of range.
    """

    def __init__(self, kinds: Sequence[Kind], parts: int = 10, smoothing: float = 1.0) -> None:
        if not kinds or not set(kinds) <= set(NGRAMS):
            raise UserError(
                f"data.ngrams.kinds is {list(kinds)}: choose one or more of {', '.join(NGRAMS)}"
            )
        if len(set(kinds)) < len(kinds):
            raise UserError(f"data.ngrams.kinds is {list(kinds)}: list each kind only once")
        if parts < 2:
            raise UserError(f"data.ngrams.parts is {parts}: it must be at least 2")
        if smoothing <= 0:
            raise UserError(f"data.ngrams.smoothing is {smoothing}: it must be above 0")
        self.kinds, self.parts, self.smoothing = tuple(kinds), parts, smoothing

    def fit(
        self, training: list[Document], classes: int, seed: int
    ) -> tuple[list[np.ndarray], NgramTable]:
        """The inputs (T, kinds * C) float32 of each training document, and the table that gives
        the inputs of other documents. C is 1 for two classes, else the number of classes.

        seed: decides the folds.

        Raises:
            UserError: a class has fewer training documents than there are folds, or there are too
                many different words.
        """
        labels = np.array([document.label for document in training])
        counts = np.bincount(labels, minlength=classes)
        if counts.min() < self.parts:
            raise UserError(
                f"data.ngrams.parts is {self.parts}, but one class has only {counts.min()} "
                "training documents: lower it"
            )
        words = list(dict.fromkeys(word for document in training for word in document.tokens))
        ngrams, places = self._list_ngrams(training, words)
        held = [np.unique(own) for own in places]
        first = np.cumsum([0, *(len(own) for own in ngrams.values())])
        told = [1] if classes == 2 else range(classes)

        def ratios(chosen: np.ndarray) -> np.ndarray:
            """(n-grams + 1, C), counted in the chosen documents; last row: an unknown n-gram."""
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
        """The n-grams of every kind, ascending, and for every document the indices (T, kinds) of
        its n-grams in the concatenated lists of all kinds."""
        for kind in self.kinds:
            if (len(words) + 2) ** len(NGRAMS[kind]) > MOST_NGRAMS:
                raise UserError(
                    f"data.ngrams.kinds has {kind}, but {len(words):,} different words give more "
                    f"than 2**63 of them: remove {kind}"
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
        """The folds: (indices of the documents of the other folds, indices of its own).

        Equal texts are in one fold. Folds are stratified by group and class, or by class alone if
        every group is too small.
        """
        strata = [f"{document.group}/{document.label}" for document in training]
        if max(Counter(strata).values()) < self.parts:
            strata = [str(document.label) for document in training]
        texts = [document.text for document in training]
        state = derive(seed, "n-grams") % 2**32
        folds = StratifiedGroupKFold(self.parts, shuffle=True, random_state=state)
        with warnings.catch_warnings():  # some strata may be smaller than the number of folds
            warnings.filterwarnings("ignore", message="The least populated class")
            return iter(list(folds.split(texts, strata, texts)))


def _ngrams_at(tokens: Sequence[str], number: dict[str, int], kinds: Sequence[str]) -> np.ndarray:
    """The number of the n-gram of each kind that ends at each token: (T, kinds) int64.

    number: known token -> its number, from 1 on. All unknown tokens have the next number.
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
