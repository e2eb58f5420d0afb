"""The lecture's text networks as they stand on its slides, trained by the classification task."""

from typing import Any, Literal, cast

import torch
from torch import Tensor

from rnnexp.nn.lecture.published import char_rnn, grunet, textnet
from rnnexp.nn.lecture.words import OneHotWords, Words
from rnnexp.nn.representations import OneHot, OneHotTokens, Sequences
from rnnexp.tasks.classification.network import Classifier
from rnnexp.tasks.classification.spec import ClassificationSpec

TRANSLATIONS = {"textnet": textnet, "grunet": grunet, "char_rnn": char_rnn}


class LiteralClassifier(Classifier):
    """A Classifier that feeds a literal network (`rnnexp.nn.lecture`) with one document of a batch
    after the other. It is slow, and one can stop in its loop.

    It takes the settings of the fast network, builds it, and gives the literal one its initial
    weights: both start at the same point. literal: which network it is; "textnet" is TEXTnetOrder2
    too, as the settings have it.
    """

    def __init__(
        self,
        spec: ClassificationSpec,
        literal: Literal["textnet", "grunet", "char_rnn"],
        **settings: Any,
    ) -> None:
        if not isinstance(spec, ClassificationSpec):
            raise ValueError(
                f"the literal network {literal} reads documents or names: choose an experiment on "
                "them, for example experiment=sentiment_textnet_onehot"
            )
        super().__init__(spec, **settings)
        self.literal = TRANSLATIONS[literal].literal(self)
        del self.recurrence, self.readout  # their weights are in the literal network
        if isinstance(self.representation, OneHotTokens):
            self.representation.sparse = False  # a torch.nn.Linear has dense gradients

    def forward(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> Tensor:
        documents = self.documents(self.represent(tokens, lengths, extra))
        return torch.cat([self.literal(words) for words in documents])

    def documents(self, x: Sequences) -> list[Words]:
        """The words of every document of a batch, without padding."""
        documents: list[Words] = []
        for number in range(x.batch):
            length = x.steps if x.lengths is None else int(x.lengths[number])
            words = x.values[:length, number]  # (T,) numbers, or (T, I) vectors
            if isinstance(x, OneHot):
                vocabulary, like = self.representation.size, next(self.literal.parameters())
                documents.append(OneHotWords(words.tolist(), cast(int, vocabulary), like))
            else:
                documents.append(words.unsqueeze(1).unbind())
        return documents
