"""A task from outside rnnexp: which character of a name comes next?

This file and conf/task/next_character.yaml are all of it. It is fed by any source of documents.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.module import DataModule, Spec
from rnnexp.data.loading.samplers import BatchesByLength, ShuffledBatches
from rnnexp.data.text.source import DocumentSource
from rnnexp.data.text.tokens import TokenBatch
from rnnexp.data.text.vocabulary import Vocabulary
from rnnexp.tables import Column, Table
from rnnexp.tasks.metric import Metric
from rnnexp.tasks.task import Task

CHARACTERS = "characters.json"  # in the run's folder


@dataclass(frozen=True)
class NextCharacterSpec(Spec):
    vocabulary: int


class NextCharacterData(DataModule):
    """Names in batches of about the same length."""

    keeps = (CHARACTERS,)
    source: DocumentSource
    spec: NextCharacterSpec

    def specify(self) -> NextCharacterSpec:
        source = self.source
        training = source.stores["training"]
        every = torch.arange(len(training))
        self.batches = ShuffledBatches(
            lambda epoch: every, source.batch_size, source.seed, lengths=training.lengths
        )
        tested = len(source.documents["test"])
        title = f"the next character in {tested:,} {source.things}"
        return NextCharacterSpec(title, tested, source.things, len(source.vocabulary))

    @property
    def batch_order(self) -> str:
        return self.batches.seen.hexdigest()

    def kept(self) -> dict[str, Any]:
        return {CHARACTERS: self.source.vocabulary.tokens}

    def restore(self, spec: NextCharacterSpec, kept: dict[str, Any]) -> None:
        self.spec, self.source.vocabulary = spec, Vocabulary(kept[CHARACTERS])

    def train_dataloader(self) -> BatchLoader:
        return BatchLoader(self.batches, self.source.stores["training"].batch)

    def val_dataloader(self) -> BatchLoader:
        return self._evaluation("validation")

    def test_dataloader(self) -> BatchLoader:
        return self._evaluation("test")

    def _evaluation(self, part: str) -> BatchLoader:
        store = self.source.stores[part]
        return BatchLoader(BatchesByLength(store.lengths, self.source.eval_batch_size), store.batch)


class Network(nn.Module):
    """Token numbers (B, T) -> log-probabilities of the next one after each, (B, T, V)."""

    def __init__(
        self,
        spec: NextCharacterSpec,
        representation: Callable[..., nn.Module],
        recurrence: Callable[..., nn.Module],
        readout: Callable[..., nn.Module],
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.representation = representation(vocabulary=spec.vocabulary)
        size = self.representation.size
        self.recurrence = recurrence(
            input_size=size, hidden_size=hidden_size, num_layers=num_layers, dropout=dropout
        )
        self.readout = readout(input_size=size, hidden_size=hidden_size, outputs=spec.vocabulary)

    def forward(self, tokens: Tensor, lengths: Tensor | None) -> Tensor:
        x = self.representation(tokens, lengths)
        hidden, final = self.recurrence(x)
        return functional.log_softmax(self.readout(x, hidden, final), dim=-1)


class NextCharacter(Task):
    """Trains a Network by the negative log-likelihood of every character but the first.

    Its metric is its own: bits a character, the lower the better.
    """

    sources = DocumentSource
    spec_class = NextCharacterSpec
    data_module = NextCharacterData

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.evaluated: list[tuple[Tensor, Tensor]] = []

    @property
    def metrics(self) -> list[Metric]:
        return [Metric("bits", "bits a character", lower_is_better=True)]

    def losses(self, batch: TokenBatch) -> Tensor:
        """(B, T - 1), in nats; NaN behind the end of a name."""
        output = self.network(batch.tokens, batch.lengths)[:, :-1]
        losses = -output.gather(2, batch.tokens[:, 1:, None]).squeeze(2)
        if batch.lengths is None:
            return losses
        place = torch.arange(1, batch.tokens.shape[1])
        return losses.masked_fill(place >= batch.lengths.unsqueeze(1), torch.nan)

    def batch_loss(self, batch: TokenBatch) -> Tensor:
        return self.losses(batch).nanmean()

    def training_step(self, batch: TokenBatch, batch_index: int) -> Tensor:
        loss = self.batch_loss(batch)
        self.report_loss(loss, len(batch.label))
        return loss

    def validation_step(self, batch: TokenBatch, batch_index: int) -> None:
        self.evaluated.append((batch.row, self.losses(batch).nanmean(1)))

    def on_validation_epoch_end(self) -> None:
        bits = self._collected()[1].mean().item()
        self.log("val/loss", bits * math.log(2))
        self.report_metrics("val", {"bits": bits}, shown="bits")

    test_step = validation_step

    def on_test_epoch_end(self) -> None:
        row, bits = self._collected()
        self.predictions = {"target": row, "bits": bits}
        self.report_metrics("test", {"bits": bits.mean().item()}, shown="bits")

    def _collected(self) -> tuple[Tensor, Tensor]:
        row, nats = (torch.cat(part) for part in zip(*self.evaluated, strict=True))
        self.evaluated.clear()
        order = row.argsort()
        return row[order], nats[order].double() / math.log(2)

    def predictions_table(self, data: NextCharacterData) -> pd.DataFrame:
        names = [one.text for one in data.source.documents["test"]]
        return pd.DataFrame({"name": names, "bits": self.predictions["bits"].numpy()})

    @classmethod
    def baselines(cls, data: NextCharacterData) -> dict[str, dict[str, float]]:
        """The frequency of each character in the training part, whatever stands before it."""
        source = data.source
        counts = torch.bincount(source.stores["training"].tokens, minlength=len(source.vocabulary))
        bits = -(counts.double().clamp(min=0.5) / counts.sum()).log2()
        tested = source.stores["test"].tokens
        return {"frequency": {"bits": bits[tested].mean().item()}}

    @classmethod
    def answer(cls, network: Network, data: NextCharacterData, given: Sequence[str]) -> "Following":
        tokens = data.source.vocabulary
        likeliest = []
        for text in given:
            with torch.no_grad():
                output = network(torch.tensor([tokens.encode(text)]), None)
            likeliest.append(tokens.tokens[int(output[0, -1].argmax())])
        return Following(list(given), likeliest)


@dataclass
class Following:
    """The likeliest character after each beginning of a name."""

    beginnings: list[str]
    likeliest: list[str]
    notes: list[str] = field(default_factory=list)

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame({"beginning": self.beginnings, "likeliest": self.likeliest})

    def table(self) -> Table:
        columns = [Column("beginning"), Column("likeliest")]
        return Table("", columns, list(zip(self.beginnings, self.likeliest, strict=True)))
