"""What single words and short phrases say about the class, as further inputs of every step.

NB-SVM (Wang and Manning 2012, Baselines and Bigrams) weighs an n-gram by its log-count ratio: the
logarithm of how much more often documents of one class hold it than documents of the other. A
network that reads those ratios starts from what naive Bayes knows, and adds the order of words.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from rnnexp.data.documents import Document
from rnnexp.determinism import derive
from rnnexp.errors import UserError

Kind = Literal["unigram", "bigram", "skip_bigram", "trigram"]
BEFORE = "<before>"  # stands for the words before the first one
# Of a word, the one before it and the one before that: the n-gram that ends at the word.
NGRAMS: dict[str, Callable[[str, str, str], tuple[str, ...]]] = {
    "unigram": lambda word, last, one_before: (word,),
    "bigram": lambda word, last, one_before: (last, word),
    "skip_bigram": lambda word, last, one_before: (one_before, "", word),
    "trigram": lambda word, last, one_before: (one_before, last, word),
}


class LogCountRatios:
    """For every token, the log-count ratio of each kind of n-gram that ends at it.

    Of an n-gram that p of P documents of the second class hold and q of Q of the first it is
    log((p + smoothing) / (P + smoothing)) - log((q + smoothing) / (Q + smoothing)).

    The ratios for the training part are cross-fitted: it is divided into `parts`, and a document
    is given the ratios of the other parts. Its own label would otherwise stand in its inputs, and
    what a network learns from that does not hold for new documents.
    """

    def __init__(self, kinds: Sequence[Kind], parts: int = 10, smoothing: float = 1.0) -> None:
        if not kinds or not set(kinds) <= set(NGRAMS):
            raise UserError(f"data.ngrams.kinds is {list(kinds)}: it lists {', '.join(NGRAMS)}")
        if parts < 2:
            raise UserError(f"data.ngrams.parts is {parts}: it must be at least 2")
        if smoothing <= 0:
            raise UserError(f"data.ngrams.smoothing is {smoothing}: it must be above 0")
        self.kinds, self.parts, self.smoothing = tuple(kinds), parts, smoothing

    def inputs(
        self, documents: dict[str, list[Document]], seed: int
    ) -> dict[str, list[np.ndarray]]:
        """For every part of the split, and every document of it with T tokens, (T, kinds) float32,
        in units of the standard deviation over the training part.

        seed: divides the training part. `documents` has the parts `training` and others.

        Raises:
            UserError: the training part does not have two classes, or too few documents of one.
        """
        training = documents["training"]
        labels = np.array([document.label for document in training])
        counts = np.bincount(labels, minlength=2)
        if len(counts) > 2:
            raise UserError(f"data.ngrams is for two classes, and these data have {len(counts)}")
        if counts.min() < self.parts:
            raise UserError(
                f"data.ngrams.parts is {self.parts}, and one class has {counts.min()} documents to "
                "train on: lower it"
            )
        numbers: dict[tuple[str, ...], int] = {}
        numbered = {
            part: [self._number(document, numbers) for document in listed]
            for part, listed in documents.items()
        }
        held = [np.unique(ngrams) for ngrams in numbered["training"]]

        def ratios(chosen: np.ndarray) -> np.ndarray:
            """(n-grams,), counted in the chosen documents of the training part."""
            logarithm = []
            for label in (1, 0):
                own = chosen[labels[chosen] == label]
                count = np.full(len(numbers), self.smoothing)
                for document in own:
                    count[held[document]] += 1
                logarithm.append(np.log(count) - np.log(len(own) + self.smoothing))
            return logarithm[0] - logarithm[1]

        of_all = ratios(np.arange(len(training)))
        found = {part: [of_all[ngrams] for ngrams in listed] for part, listed in numbered.items()}
        for others, own in self._parts(training, labels, seed):
            of_others = ratios(others)
            for document in own:
                found["training"][document] = of_others[numbered["training"][document]]
        deviation = np.concatenate(found["training"]).std(axis=0)
        deviation[deviation == 0] = 1
        return {
            part: [(values / deviation).astype(np.float32) for values in listed]
            for part, listed in found.items()
        }

    def _number(self, document: Document, numbers: dict[tuple[str, ...], int]) -> np.ndarray:
        """The numbers (T, kinds) of a document's n-grams; new ones are added to `numbers`."""
        makers = [NGRAMS[kind] for kind in self.kinds]
        rows = []
        last = one_before = BEFORE
        for word in document.tokens:
            ngrams = (make(word, last, one_before) for make in makers)
            rows.append([numbers.setdefault(ngram, len(numbers)) for ngram in ngrams])
            last, one_before = word, last
        return np.array(rows, dtype=np.int64).reshape(-1, len(makers))

    def _parts(
        self, training: list[Document], labels: np.ndarray, seed: int
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
