"""Classification baselines: the most frequent class, linear models of n-grams, and for names also
tables of whole names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.sparse import spmatrix
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from rnnexp.data.text.documents import Document
from rnnexp.data.text.source import DocumentSource
from rnnexp.tasks.classification.metrics import classification_metrics
from rnnexp.tasks.metric import NONE_ADDED, AddedMetrics


def classification_baselines(
    source: DocumentSource, added: AddedMetrics = NONE_ADDED
) -> dict[str, dict[str, float]]:
    """The metrics of all baselines on the test documents: name -> metric -> value.

    majority                   predicts the class frequencies, i.e. the most frequent class

    If a token is a word, also:
    tfidf_logistic_regression  logistic regression on TF-IDF of unigrams and bigrams, sublinear TF
    nb_svm                     binary unigrams and bigrams, weighted by their log-count ratios

    If a token is a character, also:
    memoriser                  the classes of the same name in training; else class frequencies
    ngram_naive_bayes          naive Bayes on n-grams of up to 5 characters, with marked ends
    ngram_logistic_regression  logistic regression on TF-IDF of n-grams up to 4, sublinear TF
    perfect_memoriser          a memoriser fitted on the test documents too: not a baseline, but an
                               upper bound for any model of these tokens

    `majority` is fitted on the training part; the others on the validation part too, which they do
    not need for model selection. They read the tokens of the source: whole documents, including
    words outside the vocabulary. If all these documents have one class, only `majority` is
    computed.
    """
    parts, number = source.documents, len(source.classes)
    known, tested = [*parts["training"], *parts["validation"]], parts["test"]
    label = np.array([document.label for document in known])
    target = torch.tensor([document.label for document in tested])

    counts = np.bincount([document.label for document in parts["training"]], minlength=number)
    shares = np.tile(counts / counts.sum(), (len(tested), 1))
    baselines = {"majority": _metrics(shares, target, source.classes, added)}
    if len(np.unique(label)) == 1:
        return baselines

    def metrics(model: Any, read: Sequence[Document]) -> dict[str, float]:
        model.fit([one.tokens for one in read], np.array([one.label for one in read]))
        probability = np.zeros((len(tested), number))
        probability[:, model.classes_] = model.predict_proba([one.tokens for one in tested])
        return _metrics(probability, target, source.classes, added)

    models = _models_of_words() if source.token == "word" else _models_of_characters()
    baselines |= {name: metrics(model, known) for name, model in models.items()}
    if source.token == "character":
        baselines["perfect_memoriser"] = metrics(Memoriser(), [*known, *tested])
    return baselines


def _models_of_words() -> dict[str, Any]:
    """C = 30 was best in a cross-validation on the training reviews of three categories."""
    return {
        "tfidf_logistic_regression": make_pipeline(
            TfidfVectorizer(analyzer=unigrams_and_bigrams, sublinear_tf=True),
            LogisticRegression(C=30, max_iter=1000),
        ),
        "nb_svm": make_pipeline(
            CountVectorizer(analyzer=unigrams_and_bigrams, binary=True),
            OneVsRestClassifier(NaiveBayesLogisticRegression()),
        ),
    }


def unigrams_and_bigrams(tokens: Sequence[str]) -> list[tuple[str, ...]]:
    """All unigrams, then all bigrams, of a token sequence."""
    return [*((token,) for token in tokens), *pairwise(tokens)]


def _models_of_characters() -> dict[str, Any]:
    """The n-gram lengths, alpha and C were best in a validation on training names."""
    return {
        "memoriser": Memoriser(),
        "ngram_naive_bayes": make_pipeline(
            CountVectorizer(analyzer=partial(character_ngrams, longest=5)),
            MultinomialNB(alpha=0.1),
        ),
        "ngram_logistic_regression": make_pipeline(
            TfidfVectorizer(analyzer=partial(character_ngrams, longest=4), sublinear_tf=True),
            LogisticRegression(C=20, max_iter=1000, tol=1e-3),
        ),
    }


def character_ngrams(tokens: Sequence[str], longest: int) -> list[str]:
    """All n-grams of 1 to `longest` characters, with `<` and `>` marking the ends of the name."""
    marked = ["<", *tokens, ">"]
    return [
        "".join(marked[first : first + length])
        for length in range(1, longest + 1)
        for first in range(len(marked) - length + 1)
    ]


class Memoriser(ClassifierMixin, BaseEstimator):
    """A table of token sequence -> class counts; unknown sequences get the class frequencies."""

    def fit(self, documents: Sequence[Sequence[str]], label: np.ndarray) -> Memoriser:
        """Count the classes of each sequence. documents: n token sequences, label: (n,)."""
        self.classes_, number = np.unique(label, return_inverse=True)
        self.table_ = defaultdict[tuple[str, ...], Counter[int]](Counter)
        for tokens, one in zip(documents, number.tolist(), strict=True):
            self.table_[tuple(tokens)][one] += 1
        self.all_ = Counter(number.tolist())
        return self

    def predict_proba(self, documents: Sequence[Sequence[str]]) -> np.ndarray:
        """Class probabilities (n, C), C = number of fitted classes."""
        probability = np.zeros((len(documents), len(self.classes_)))
        for row, tokens in enumerate(documents):
            counts = self.table_.get(tuple(tokens), self.all_)
            for one, count in counts.items():
                probability[row, one] = count
        return probability / probability.sum(axis=1, keepdims=True)


class NaiveBayesLogisticRegression(ClassifierMixin, BaseEstimator):
    """NB-SVM of Wang and Manning (2012), for two classes 0 and 1, with their C and beta.

    A linear model of the features times their log-count ratios. Its weights w are interpolated with
    naive Bayes, where all weights are equal: (1 - beta) mean|w| + beta w. The paper uses an SVM;
    logistic regression was as good or better here, and gives probabilities.
    """

    def __init__(self, C: float = 1.0, beta: float = 0.25) -> None:
        self.C, self.beta = C, beta

    def fit(self, features: spmatrix, label: np.ndarray) -> NaiveBayesLogisticRegression:
        """Fit the weights. features: (n, F) counts, label: (n,), 0 or 1."""
        ratio = log_count_ratio(features, label == 1)
        model = LogisticRegression(C=self.C, max_iter=1000)
        model.fit(features.multiply(ratio).tocsr(), label)
        weight = model.coef_[0]
        weight = (1 - self.beta) * np.abs(weight).mean() + self.beta * weight
        self.classes_, self.weight_, self.bias_ = model.classes_, ratio * weight, model.intercept_
        return self

    def predict_proba(self, features: spmatrix) -> np.ndarray:
        """The probabilities (n, 2) of the classes 0 and 1. features: (n, F)."""
        probability = expit(features @ self.weight_ + self.bias_)
        return np.stack([1 - probability, probability], axis=1)


def log_count_ratio(features: spmatrix, positive: np.ndarray) -> np.ndarray:
    """r = log((p / |p|) / (q / |q|)): p is 1 + the count of each feature in the positive documents,
    q the same in the others, |.| the sum. features: (n, F), positive: bool (n,); r: (F,)."""
    p = 1 + np.asarray(features[positive].sum(axis=0)).ravel()
    q = 1 + np.asarray(features[~positive].sum(axis=0)).ravel()
    return np.log(p / p.sum()) - np.log(q / q.sum())


def _metrics(
    probability: np.ndarray, target: torch.Tensor, classes: Sequence[str], added: AddedMetrics
) -> dict[str, float]:
    # A class that is not in the training part has probability 0; the floor keeps its loss finite.
    floor = np.finfo(probability.dtype).eps
    log_probability = torch.from_numpy(np.log(np.maximum(probability, floor)))
    return classification_metrics(log_probability, target, classes) | added(log_probability, target)
