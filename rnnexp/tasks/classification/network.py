"""The network that classifies a sequence of tokens."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnexp.nn.readouts import Readout, outputs_of
from rnnexp.nn.recurrence import MOST_LAYERS, Recurrence, TorchRecurrence
from rnnexp.nn.representations import OneHotTokens, Sequences
from rnnexp.tasks.classification.spec import ClassificationSpec


class Classifier(nn.Module):
    """Token numbers -> log-probabilities of the classes.

    representation -> recurrence -> readout -> log-softmax.

    bidirectional: every layer also reads the sequence backwards, and the hidden states of both
    directions are concatenated. dropout: probability, between layers. token_dropout: probability
    that a token is replaced by the unknown token in training.

    Raises:
        ValueError: a setting is out of range, or the settings do not fit together.
    """

    def __init__(
        self,
        spec: ClassificationSpec,
        representation: Callable[..., nn.Module],
        recurrence: Callable[..., Recurrence],
        readout: Callable[..., Readout],
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        token_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if hidden_size < 1 or num_layers < 1:
            raise ValueError("hidden_size and num_layers must be at least 1")
        if num_layers > MOST_LAYERS:
            raise ValueError(f"num_layers is {num_layers}: it must be at most {MOST_LAYERS}")
        for name, share in {"dropout": dropout, "token_dropout": token_dropout}.items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} is {share}: it must be at least 0 and below 1")
        if token_dropout and spec.unknown is None:
            raise ValueError(
                "token_dropout needs an unknown token, which this vocabulary does not have: set "
                "model.token_dropout=0 or data.vocabulary=train"
            )
        self.token_dropout, self.unknown = token_dropout, spec.unknown
        for key, asked in {"vectors": spec.vectors, "ngrams": spec.extra}.items():
            if asked and getattr(representation, "func", representation) is OneHotTokens:
                raise ValueError(f"data.{key} needs model/representation=embeddings")
        self.representation = representation(
            vocabulary=spec.vocabulary, vectors=spec.vectors, extra=spec.extra
        )
        inputs = self.representation.size
        self.recurrence = recurrence(
            input_size=inputs,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        if isinstance(self.representation, OneHotTokens) and isinstance(
            self.recurrence, TorchRecurrence
        ):
            raise ValueError(
                "one-hot vectors are never built, but this recurrence needs them: choose a "
                "recurrence of cells, for example model=grunet, or model/representation=embeddings"
            )
        self.readout = readout(
            input_size=inputs,
            hidden_size=self.recurrence.output_size,
            outputs=len(spec.classes),
        )
        if self.readout.every_step:
            raise ValueError(
                "a classification has one output per sequence: choose a model/readout other than "
                "every_step"
            )
        self.readout.check(num_layers, bidirectional, self.recurrence.states)

    def forward(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> Tensor:
        """Log-probabilities (B, classes).

        tokens: (B, T) integers. lengths: (B,), or None if all have T steps. extra: (B, T, K), extra
        inputs of every step, or None.
        """
        return self.classify(self.represent(tokens, lengths, extra))

    def classify(self, x: Sequences) -> Tensor:
        """Log-probabilities (B, classes) from the inputs of the recurrence."""
        read = self.readout.run_over(x)
        hidden, final = self.recurrence(read, self.readout.reads_every_step)
        outputs = outputs_of(self.readout, x, hidden, final)
        return functional.log_softmax(outputs.squeeze(1), dim=-1)

    def represent(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> Sequences:
        """The inputs of the recurrence: (T, B, ...)."""
        if self.training and self.token_dropout:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.token_dropout
            assert self.unknown is not None  # __init__ refuses token_dropout without it
            tokens = tokens.masked_fill(dropped, self.unknown)
        return self.representation(tokens, lengths, extra)
