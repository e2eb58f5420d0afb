"""Classifiers as configs describe them, and literal inputs for the networks they are held against.

`classifier` is in double precision and evaluation mode, from a seed of its own.
"""

from functools import cache
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.nn import functional

from rnnexp import config
from rnnexp.nn.representations import Embeddings, Vectors
from rnnexp.tasks.classification.network import Classifier
from rnnexp.tasks.classification.spec import ClassificationSpec

ONE_HOT = "model/representation=one_hot"
EMBEDDINGS = "model/representation=embeddings"


@cache
def composed(*overrides: str) -> DictConfig:
    return config.compose(["task=classification", "~experiment", *overrides])


def spec_of(
    classes: int = 2,
    vocabulary: int = 11,
    unknown: int | None = 0,
    vectors: Vectors | None = None,
    extra: int = 0,
) -> ClassificationSpec:
    """Documents of words, of which nothing is known but these sizes."""
    return ClassificationSpec(
        title="",
        tested=0,
        things="documents",
        classes=[f"class {number}" for number in range(classes)],
        groups=[],
        vocabulary=vocabulary,
        unknown=unknown,
        vectors=vectors,
        extra=extra,
    )


def classifier(
    *overrides: str,
    classes: int = 2,
    vocabulary: int = 11,
    unknown: int | None = 0,
    vectors: Vectors | None = None,
    **settings: Any,
) -> Classifier:
    """The network of `rnnexp train task=classification OVERRIDES`.

    settings: arguments of Classifier that win over the config.
    """
    spec = spec_of(classes, vocabulary, unknown, vectors)
    torch.manual_seed(0)
    network = config.instantiate(composed(*overrides), "model", spec=spec, **settings)
    return network.double().eval()


def inputs(network: Classifier, tokens: Tensor) -> Tensor:
    """What the published networks are fed with, built: (B, T) -> (B, T, I)."""
    representation: Any = network.representation
    if isinstance(representation, Embeddings):
        return representation.learnt[tokens].detach()
    return functional.one_hot(tokens, representation.size).double()


def outputs(literal: nn.Module, x: Tensor) -> Tensor:
    """What a literal network says of sequences (B, T, I), one after the other: (B, classes)."""
    return torch.cat([literal(one.unsqueeze(1)) for one in x])


def parameters(*overrides: str, **settings: Any) -> int:
    """How many a network has, of which nothing is allocated."""
    with torch.device("meta"):
        network = classifier(*overrides, **settings)
    return sum(parameter.numel() for parameter in network.parameters())
