"""The lecture's text networks, as on its slides, for training by the classification task."""

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
    """A Classifier that runs a literal network (`rnnexp.nn.lecture`) on the documents of a batch,
    one by one. It is slow, but a debugger can step through its loop.

    It takes the settings of the fast network, builds that network, and copies its initial weights,
    so both start from the same weights. literal: the network; "textnet" also covers TEXTnetOrder2,
    depending on the settings.

    Raises:
        ValueError: the data are not documents, or the settings do not fit the literal network.
    """

    def __init__(
        self,
        spec: ClassificationSpec,
        literal: Literal["textnet", "grunet", "char_rnn"],
        **settings: Any,
    ) -> None:
        if not isinstance(spec, ClassificationSpec):
            raise ValueError(
                f"the literal network {literal} reads documents: choose an experiment on reviews "
                "or names, for example experiment=sentiment_textnet_onehot"
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
