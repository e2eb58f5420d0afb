"""A training step on one-hot words: rnnexp's, and a literal loop over dense one-hot rows."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional

from experiments.speed.fresh_process import new_process
from experiments.speed.timing import Work
from rnnexp.config import compose
from rnnexp.data.loading.module import DataModule
from rnnexp.data.loading.samplers import ShuffledBatches
from rnnexp.data.source import Source
from rnnexp.data.text.tokens import TokenStore
from rnnexp.nn.cells import Vanilla
from rnnexp.nn.fast.choices import tuning_of
from rnnexp.nn.fast.kernels.simple import VanillaKernel
from rnnexp.nn.lecture.grunet import GRUnet
from rnnexp.nn.lecture.textnet import TEXTnet
from rnnexp.nn.lecture.textnet_order2 import TEXTnetOrder2
from rnnexp.nn.lecture.words import OneHotWords
from rnnexp.nn.recurrence import PathName
from rnnexp.process import determinism
from rnnexp.process.memory import peak_memory
from rnnexp.runs.build import build_task
from rnnexp.tasks.classification.spec import ClassificationSpec

# Drawn documents --------------------------------------------------------------------------------

DOCUMENTS = 1600  # so that batches of 32 hold documents of about the same length
MEDIAN, SPREAD, LONGEST = 84, 0.88, 1300  # words of a review: a log-normal distribution


class Document(NamedTuple):
    words: list[int]
    label: int


class DrawnDocuments(DataModule):
    """Random documents with the lengths of product reviews.

    Words follow Zipf's law: the probability of the r-th most frequent one is proportional to 1/r.
    So about 85 of 120 words are different.
    """

    def __init__(self, vocabulary: int, documents: int = DOCUMENTS, longest: int = LONGEST) -> None:
        super().__init__(Source())  # there is nothing to read
        self.vocabulary = vocabulary
        draw = np.random.default_rng(0)
        lengths = np.exp(draw.normal(np.log(MEDIAN), SPREAD, documents)).astype(int)
        frequency = 1 / np.arange(1, vocabulary + 1)
        labels = draw.integers(2, size=documents).tolist()
        lengths = lengths.clip(2, longest)
        words = draw.choice(vocabulary, lengths.sum(), p=frequency / frequency.sum())
        sequences = np.split(words, np.cumsum(lengths)[:-1])
        self.store = TokenStore([one.tolist() for one in sequences], labels)
        self.spec = ClassificationSpec(
            title="random documents",
            tested=0,
            things="documents",
            classes=["negative", "positive"],
            groups=[],
            vocabulary=vocabulary,
            unknown=None,
        )

    def batches(self, size: int) -> list[Tensor]:
        """The indices of the documents (B,) of every batch of an epoch."""
        rows, lengths = torch.arange(len(self.store)), self.store.lengths
        return list(ShuffledBatches(lambda epoch: rows, size, seed=0, lengths=lengths))

    def document(self, singles: list[Tensor], words: int) -> Document:
        """The document whose length is nearest to `words`, from batches of one document."""
        batches = [self.store.batch(rows) for rows in singles]
        nearest = min(batches, key=lambda batch: abs(batch.tokens.numel() - words))
        return Document(nearest.tokens[0].tolist(), int(nearest.label))

    def words(self, batches: list[Tensor]) -> int:
        return int(sum(self.store.lengths[rows].sum() for rows in batches))


# rnnexp -----------------------------------------------------------------------------------------

EXPERIMENTS = {
    "TEXTnet": "sentiment_textnet_onehot",
    "TEXTnetOrder2": "sentiment_textnet_order2_onehot",
    "GRUnet": "sentiment_gru_onehot",
}


@cache
def _config(network: str, hidden: int, path: PathName) -> DictConfig:
    settings = [f"model.hidden_size={hidden}", f"model.recurrence.path={path}"]
    return compose([f"experiment={EXPERIMENTS[network]}", *settings])


class Ours:
    """The network of an experiment with its optimiser, which touches only the rows in use."""

    def __init__(
        self, network: str, data: DrawnDocuments, hidden: int, path: PathName = "auto"
    ) -> None:
        self.data, self.task = data, build_task(_config(network, hidden, path), data)
        self.optimizer = self.task.configure_optimizers()

    def train(self, batches: list[Tensor]) -> None:
        """One step per batch, as with Lightning: gather the batch, forward, backward, optimiser."""
        for rows in batches:
            loss = self.task.batch_loss(self.data.store.batch(rows))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()


# The limit --------------------------------------------------------------------------------------


def bare_products(hidden: int, words: int) -> Work:
    """A bare loop that reads one recurrent weight once forward and once backward for each word."""
    cell = Vanilla(1, hidden)
    kernel = VanillaKernel(cell, 1, None, tuning_of("Vanilla"))
    x, out = torch.randn(1, hidden), torch.empty(1, hidden)

    @torch.inference_mode()
    def work() -> None:
        for _ in range(words):
            kernel.set_product(out, x, kernel.U)
        for _ in range(words):
            kernel.set_product(out, x, kernel.U_t)

    return work


# The literal loop -------------------------------------------------------------------------------

# The networks as on the slides of the lecture: rnnexp/nn/lecture.
LITERAL: dict[str, Callable[[int, int, int], nn.Module]] = {
    "TEXTnet": TEXTnet,
    "TEXTnetOrder2": TEXTnetOrder2,
    "GRUnet": GRUnet,
}
CLASSES = 2


def literal(network: str, document: Document, vocabulary: int, hidden: int) -> Work:
    """The lecture's training step on one document; the loop builds dense one-hot rows."""
    with determinism.global_stream(0, "weights"):
        loop = LITERAL[network](vocabulary, hidden, CLASSES)
    optimizer = torch.optim.SGD(loop.parameters(), lr=1e-5, momentum=0.9)

    def train() -> None:
        output = loop(OneHotWords(document.words, vocabulary))
        loss = functional.nll_loss(output, torch.tensor([document.label]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return train


# Memory -----------------------------------------------------------------------------------------


def peak_of_training(network: str, vocabulary: int, hidden: int) -> int | None:
    """The peak memory, in bytes, of a process in which rnnexp trains, Python and torch included;
    None if the system does not tell."""
    with new_process() as pool:
        threads = torch.get_num_threads()
        return pool.submit(_train_there, network, vocabulary, hidden, threads).result()


def _train_there(network: str, vocabulary: int, hidden: int, threads: int) -> int | None:
    """Eight steps on single documents, one step on 32, and the update of all pending rows."""
    determinism.prepare(deterministic=True, threads=threads)
    ours = Ours(network, DrawnDocuments(vocabulary), hidden)
    ours.train(ours.data.batches(1)[:8])
    ours.train(ours.data.batches(32)[:1])
    ours.optimizer.catch_up()
    return peak_memory()
