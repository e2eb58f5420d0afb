"""Metrics of classifications: fractions from 0 to 1, and a loss in nats."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_f1_score

from rnnexp.tasks.metric import Metric

MANY_CLASSES = 4  # with fewer, the top-3 accuracy says nothing


def described(classes: int) -> list[Metric]:
    """The metrics of `classification_metrics`, recall by class left out."""
    top3 = ["top3_accuracy"] if classes >= MANY_CLASSES else []
    shares = ["accuracy", "balanced_accuracy", "macro_f1", *top3]
    return [
        *(Metric(name, "", lower_is_better=False) for name in shares),
        Metric("nll", "nats", lower_is_better=True),
    ]


def classification_metrics(
    log_probability: Tensor, target: Tensor, classes: Sequence[str]
) -> dict[str, float]:
    """log_probability: (n, C), target: (n,) class numbers, classes: their C names.

    accuracy           share of the documents whose likeliest class is the right one
    balanced_accuracy  the mean over the classes in `target` of the share of each that is right
    macro_f1           the mean of F1 over the classes in `target` or among the likeliest ones
    top3_accuracy      share whose right class is among the three likeliest; with over 3 classes
    nll                the mean negative log-likelihood of the right class, in nats
    recall/CLASS       the share of each class that is right, if any of it is in `target`
    """
    log_probability = log_probability.double()
    prediction = log_probability.argmax(1)
    correct = (prediction == target).double()
    recall = {number: correct[target == number].mean() for number in target.unique().tolist()}
    metrics = {
        "accuracy": correct.mean(),
        "balanced_accuracy": torch.stack(list(recall.values())).mean(),
        "macro_f1": multiclass_f1_score(prediction, target, len(classes), average="macro"),
    }
    if len(classes) >= MANY_CLASSES:
        likeliest = log_probability.topk(3, dim=1).indices
        metrics["top3_accuracy"] = (likeliest == target.unsqueeze(1)).any(1).double().mean()
    metrics["nll"] = functional.nll_loss(log_probability, target)
    metrics |= {f"recall/{classes[number]}": share for number, share in recall.items()}
    return {name: float(value) for name, value in metrics.items()}
