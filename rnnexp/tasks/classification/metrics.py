"""Classification metrics: fractions from 0 to 1, and a loss in nats."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from torchmetrics.functional.classification import multiclass_f1_score

from rnnexp.tasks.metric import Metric

MANY_CLASSES = 4  # with fewer classes, the top-3 accuracy is always 1


def described(classes: int) -> list[Metric]:
    """The descriptions of the metrics of `classification_metrics`, except recall by class."""
    top3 = ["top3_accuracy"] if classes >= MANY_CLASSES else []
    shares = ["accuracy", "balanced_accuracy", "macro_f1", *top3]
    return [
        *(Metric(name, "", lower_is_better=False) for name in shares),
        Metric("nll", "nats", lower_is_better=True),
    ]


def classification_metrics(
    log_probability: Tensor, target: Tensor, classes: Sequence[str]
) -> dict[str, float]:
    """log_probability: (n, C), target: (n,) class indices, classes: C names.

    accuracy           fraction of documents whose likeliest class is correct
    balanced_accuracy  mean recall over the classes in `target`
    macro_f1           mean F1 over the classes that are a target or a prediction
    top3_accuracy      fraction whose true class is among the three likeliest; with over 3 classes
    nll                mean negative log-likelihood of the true class, in nats
    recall/CLASS       recall of each class in `target`
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
