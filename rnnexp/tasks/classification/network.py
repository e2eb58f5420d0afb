"""The network that tells the class of a sequence of tokens."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnexp.nn.readouts import Readout
from rnnexp.nn.recurrence import Recurrence, TorchRecurrence
from rnnexp.nn.representations import OneHotTokens, Sequences
from rnnexp.tasks.classification.spec import ClassificationSpec


class Classifier(nn.Module):
    """Token numbers -> log-probabilities of the classes.

    representation -> recurrence -> readout -> log-softmax.

    bidirectional: a second recurrence of every layer reads the sequence backwards, and the hidden
    states of both stand side by side. dropout: between layers. token_dropout: the share of tokens
    that are replaced by the unknown one in training.
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
        for name, share in {"dropout": dropout, "token_dropout": token_dropout}.items():
            if not 0 <= share < 1:
                raise ValueError(f"{name} is {share}: it must be at least 0 and below 1")
        if token_dropout and spec.unknown is None:
            raise ValueError(
                "token_dropout puts the unknown token in the place of others, and this vocabulary "
                "has none: set model.token_dropout=0 or data.vocabulary=train"
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
                "one-hot vectors are never built, and this recurrence needs them: choose a "
                "recurrence of cells, for example model=grunet, or model/representation=embeddings"
            )
        self.readout = readout(
            input_size=inputs,
            hidden_size=self.recurrence.output_size,
            outputs=len(spec.classes),
        )
        if self.readout.every_step:
            raise ValueError("a sequence has one class: choose another readout than every_step")
        self.readout.check(num_layers, bidirectional, self.recurrence.states)

    def forward(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> Tensor:
        """tokens: (B, T) integers, lengths: (B,), or None where all have T steps, extra:
        (B, T, K), further inputs of every step where the data have some.

        Returns log-probabilities (B, classes).
        """
        x = self.represent(tokens, lengths, extra)
        read = self.readout.run_over(x)
        hidden, final = self.recurrence(read, self.readout.reads_every_step)
        return functional.log_softmax(self.readout(x, hidden, final).squeeze(1), dim=-1)

    def represent(
        self, tokens: Tensor, lengths: Tensor | None, extra: Tensor | None = None
    ) -> Sequences:
        """What the recurrence reads: (T, B, ...)."""
        if self.training and self.token_dropout:
            dropped = torch.rand(tokens.shape, device=tokens.device) < self.token_dropout
            assert self.unknown is not None  # refused above
            tokens = tokens.masked_fill(dropped, self.unknown)
        return self.representation(tokens, lengths, extra)
