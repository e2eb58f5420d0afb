"""The data module of the classification task: batches of labelled documents."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from rnnexp.data.loading.device import prepare
from rnnexp.data.loading.loader import BatchLoader
from rnnexp.data.loading.module import DataModule
from rnnexp.data.loading.samplers import BatchesByLength, ClassUniformBatches, ShuffledBatches
from rnnexp.data.text.ngrams import NgramTable
from rnnexp.data.text.source import DocumentSource
from rnnexp.data.text.tokens import TokenBatch, TokenStore
from rnnexp.data.text.vocabulary import Vocabulary
from rnnexp.nn.representations import Embeddings, Vectors
from rnnexp.tasks.classification.spec import ClassificationSpec

VOCABULARY, NGRAMS = "vocabulary.json", "ngrams.ckpt"  # in the run folder


class ClassificationData(DataModule):
    """The documents of a source, in batches bucketed by length (unless draws are class-uniform)."""

    keeps = (VOCABULARY, NGRAMS)

    source: DocumentSource
    spec: ClassificationSpec

    def specify(self) -> ClassificationSpec:
        source = self.source
        self._training_batches = self._batches(source.stores["training"])
        groups, tested = source.groups, len(source.documents["test"])
        categories = f"{len(groups)} {'category' if len(groups) == 1 else 'categories'}, "
        return ClassificationSpec(
            title=f"{categories if groups else ''}{tested:,} {source.things}",
            tested=tested,
            things=source.things,
            classes=list(source.classes),
            groups=groups,
            vocabulary=len(source.vocabulary),
            unknown=source.vocabulary.unknown,
            vectors=self._vectors_spec(),
            extra=source.ngram_table.size if source.ngram_table else 0,
        )

    def _batches(self, training: TokenStore) -> ShuffledBatches | ClassUniformBatches:
        source = self.source
        if source.draw == "class_uniform":
            iterations = source.iterations or math.ceil(len(training) / source.batch_size)
            return ClassUniformBatches(
                training.label, source.batch_size, iterations, source.seed, source.reshuffle
            )
        everything = torch.arange(len(training))
        return ShuffledBatches(
            lambda epoch: everything,
            source.batch_size,
            source.seed,
            reshuffle=source.reshuffle,
            lengths=training.lengths,
        )

    def _vectors_spec(self) -> Vectors | None:
        loaded = self.source.loaded_vectors
        if loaded is None:
            return None
        return Vectors(dimension=loaded.vectors.shape[1], known=int(loaded.known.sum()))

    # Initial values, kept files, fingerprints ---------------------------------------------------

    def initialize(self, network: nn.Module) -> None:
        """Give the network's embeddings the word vectors."""
        representation = getattr(network, "representation", None)
        loaded = self.source.loaded_vectors
        if loaded is not None and isinstance(representation, Embeddings):
            representation.take_vectors(loaded.vectors, loaded.known)

    def kept(self) -> dict[str, Any]:
        table = self.source.ngram_table
        kept: dict[str, Any] = {VOCABULARY: self.source.vocabulary.tokens}
        return kept | ({NGRAMS: table.to_plain()} if table else {})

    def restore(self, spec: ClassificationSpec, kept: dict[str, Any]) -> None:
        source, tokens = self.source, kept[VOCABULARY]
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ValueError(f"{VOCABULARY} is not a list of words")
        if not len(tokens) == len(set(tokens)) == spec.vocabulary:
            raise ValueError(f"{VOCABULARY} does not have the {spec.vocabulary:,} words of the run")
        source.vocabulary = Vocabulary(tokens)
        if source.ngrams is not None:
            table = NgramTable.from_plain(kept[NGRAMS], source.ngrams.kinds)
            if table.size != spec.extra:
                raise ValueError(
                    f"{NGRAMS} has {table.size} ratios per token, but the network reads "
                    f"{spec.extra}"
                )
            source.ngram_table = table
        self.spec = spec

    def identity(self) -> dict[str, Any]:
        """All that the baselines on the test documents depend on."""
        source = self.source
        return {
            "task": "classification",
            "classes": list(source.classes),
            "token": source.token,
            "documents": source.content_fingerprint(),
        }

    @property
    def batch_order(self) -> str:
        """Hash (hex) of all training batches so far."""
        return self._training_batches.seen.hexdigest()

    def stores(self) -> list[TokenStore]:
        return list(self.source.stores.values())

    # Dataloaders --------------------------------------------------------------------------------

    def train_dataloader(self) -> BatchLoader:
        return BatchLoader(self._training_batches, self._batches_of(self.source.stores["training"]))

    def val_dataloader(self) -> BatchLoader | list[Any]:
        return self._evaluation_loader("validation") if self.source.documents["validation"] else []

    def test_dataloader(self) -> BatchLoader:
        return self._evaluation_loader("test")

    def _evaluation_loader(self, part: str) -> BatchLoader:
        return self.loader(self.source.stores[part])

    def loader(self, store: TokenStore) -> BatchLoader:
        """A loader of every sequence of a store once, for evaluation."""
        sampler = BatchesByLength(store.lengths, self.source.eval_batch_size)
        return BatchLoader(sampler, self._batches_of(store))

    def _batches_of(self, store: TokenStore) -> Callable[[Any], TokenBatch]:
        ready, _, wrap = prepare(self.trainer, self.source.on_device, store)
        return wrap(ready.batch)
