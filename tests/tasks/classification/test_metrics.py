"""Classification metrics against scikit-learn."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    recall_score,
    top_k_accuracy_score,
)

from rnnexp.tasks.classification.metrics import classification_metrics, described

# sklearn warns of a class that is predicted and never right, and leaves it out as we do.
pytestmark = pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")


def predicted(n: int, classes: int, seed: int) -> torch.Tensor:
    """(n, classes) log-probabilities."""
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, classes, generator=draw).double().mul(3).log_softmax(1)


@pytest.mark.parametrize(
    ("classes", "occurring"),
    [(2, [0, 1]), (2, [1]), (3, [0, 2]), (5, [0, 1, 2, 3, 4]), (18, [0, 3, 4, 11, 17])],
)
def test_against_scikit_learn(classes: int, occurring: list[int]) -> None:
    log_probability = predicted(60, classes, seed=classes)
    target = torch.tensor(occurring * 60)[:60]
    names = [f"class{number}" for number in range(classes)]
    metrics = classification_metrics(log_probability, target, names)
    probability = log_probability.double().exp().numpy()
    true, likeliest = target.numpy(), probability.argmax(1)
    numbers = np.arange(classes)
    assert metrics["accuracy"] == pytest.approx(accuracy_score(true, likeliest))
    balanced = balanced_accuracy_score(true, likeliest)
    assert metrics["balanced_accuracy"] == pytest.approx(balanced)
    macro_f1 = f1_score(true, likeliest, average="macro")
    assert metrics["macro_f1"] == pytest.approx(macro_f1, rel=1e-6)
    assert metrics["nll"] == pytest.approx(log_loss(true, probability, labels=numbers), rel=1e-6)
    recalls = recall_score(true, likeliest, average=None, labels=occurring)
    for number, recall in zip(occurring, recalls, strict=True):
        assert metrics[f"recall/class{number}"] == pytest.approx(recall)
    if classes > 3:
        top3 = top_k_accuracy_score(true, probability, k=3, labels=numbers)
        assert metrics["top3_accuracy"] == pytest.approx(top3)
    else:
        assert "top3_accuracy" not in metrics


def test_by_hand_with_a_class_that_does_not_occur() -> None:
    """Three of four right; class 2 is guessed once and never true."""
    probability = torch.tensor([[0.7, 0.2, 0.1], [0.3, 0.2, 0.5], [0.2, 0.6, 0.2], [0.8, 0.1, 0.1]])
    metrics = classification_metrics(probability.log(), torch.tensor([0, 0, 1, 0]), ["a", "b", "c"])
    assert metrics["accuracy"] == 0.75
    assert metrics["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert metrics["macro_f1"] == pytest.approx((4 / 5 + 1 + 0) / 3)
    nll = -(math.log(0.7) + math.log(0.3) + math.log(0.6) + math.log(0.8)) / 4
    assert metrics["nll"] == pytest.approx(nll)
    assert all(type(value) is float for value in metrics.values())


@pytest.mark.parametrize("classes", [2, 3, 4, 18])
def test_every_metric_is_described_and_no_other(classes: int) -> None:
    names = [f"class {number}" for number in range(classes)]
    computed = classification_metrics(predicted(20, classes, 0), torch.arange(20) % classes, names)
    described_names = [metric.name for metric in described(classes)]
    assert described_names == [name for name in computed if not name.startswith("recall/")]
    better = {metric.name for metric in described(classes) if not metric.lower_is_better}
    assert better == set(described_names) - {"nll"}
