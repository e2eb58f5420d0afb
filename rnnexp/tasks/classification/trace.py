"""What a network does with one text: the classes after every word, and what each word contributed.

The contribution of step t to class c is gradient times input, summed over the inputs of the step:

    sum_i  x_ti * d logit_c / d x_ti,    logit_c = log p_c - log(1 - p_c)

with x_t the embedding of the word and its n-gram ratios, or its one-hot vector. It is a first-order
measure: the contributions of a network that is not linear do not add up to the logit.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.text.documents import Document
from rnnexp.data.text.source import cut
from rnnexp.nn.representations import Features, OneHot, Sequences
from rnnexp.tasks.answers import cut as shortened
from rnnexp.tasks.answers import one_line
from rnnexp.tasks.classification.answers import (
    document_of,
    fault_of,
    how_they_are_read,
    probabilities,
)
from rnnexp.tasks.classification.data import ClassificationData
from rnnexp.tasks.classification.network import Classifier
from rnnexp.tasks.trace import CannotTrace, Trace, traced_layer

MOST_STEPS = 1000  # of a text, which is read once for each of its beginnings
QUOTED = 140  # characters of a text in a title
MOST_CURVES = 4  # classes that are shown, of many


def trace(
    network: Classifier, data: ClassificationData, text: str, layer: int | None = None
) -> Trace:
    """Trace a text. data: after `setup` or `restore`. layer: from 1; None: the top one.

    Raises:
        CannotTrace: the text cannot be read, has no known word or too many.
        UserError: there is no such layer.
    """
    source, classes = data.source, data.spec.classes
    document = document_of(source, text)
    if fault := fault_of(source, document):
        raise CannotTrace(fault)
    tokens = document.tokens
    if not any(token in source.vocabulary for token in tokens):
        raise CannotTrace(f"has no {source.token} that the network knows")
    places = cut(source.kept(tokens), source.max_tokens)
    if len(places) > MOST_STEPS:
        raise CannotTrace(
            f"has {len(places):,} {source.token}s, and at most {MOST_STEPS:,} are traced",
            "give a shorter one",
        )
    # As `rnnexp predict` reads the text if it ends there.
    beginnings = [Document(tokens[: place + 1], 0, "", text) for place in places]
    probability = probabilities(network, data, beginnings)  # (T, C)
    batch = source.encode([document]).batch(torch.tensor([0]))
    with torch.no_grad():
        x = network.represent(batch.tokens, None, batch.extra)
    states, which = traced_layer(network, x, layer)
    label = int(probability[-1].argmax())
    shown = _shown(probability, label)
    return Trace(
        title=f"{_quoted(text)}: {classes[label]}, p = {probability[-1, label]:.3f}",
        name=text,
        steps=[tokens[place] for place in places],
        thing=source.token,
        curves={f"p({classes[one]})": probability[:, one] for one in shown},
        axis=f"Probability after each {source.token}, had the text ended there",
        states=states,
        layer=which,
        even=0.5 if len(classes) == 2 else None,
        bounded=True,
        contributions=contributions(network, x, label),
        contributed=f"logit of {classes[label]}",
        sides=(classes[label], classes[1 - label] if len(classes) == 2 else "other classes"),
        unknown=frozenset(
            step for step, place in enumerate(places) if tokens[place] not in source.vocabulary
        ),
        notes=how_they_are_read(source, {0: document}),
    )


def _quoted(text: str) -> str:
    return f"\u201c{shortened(one_line(text), QUOTED)}\u201d"


def _shown(probability: np.ndarray, label: int) -> list[int]:
    """The second of two classes; of many the predicted one, and those that were ever likeliest."""
    if probability.shape[1] <= 2:
        return [probability.shape[1] - 1]
    peak = probability.max(0)
    others = [int(one) for one in np.argsort(-peak, kind="stable") if one != label]
    return [label, *others[: MOST_CURVES - 1]]


def contributions(network: Classifier, x: Sequences, label: int) -> np.ndarray:
    """Gradient times input of every step, (T,). x: one sequence of T steps. label: the class."""
    values = x.values
    if isinstance(x, OneHot):
        size = network.representation.size
        assert isinstance(size, int)
        like = next(network.parameters())
        values = like.new_zeros(*values.shape, size).scatter_(-1, values.unsqueeze(-1), 1.0)
    inputs = values.detach().clone().requires_grad_()  # (T, 1, I)
    logit = logit_of(network.classify(Features(inputs))[0], label)
    (gradient,) = torch.autograd.grad(logit, inputs)
    return (gradient * inputs.detach()).sum(-1).squeeze(1).numpy()


def logit_of(log_probability: Tensor, label: int) -> Tensor:
    """log p - log(1 - p) of a class, from the log-probabilities (C,) of all. With two classes it is
    the difference of the network's two outputs."""
    others = torch.arange(len(log_probability)) != label
    return log_probability[label] - log_probability[others].logsumexp(0)
