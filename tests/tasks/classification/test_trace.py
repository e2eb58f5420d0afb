"""The trace of a text: the answers of its beginnings, and the contributions of its words."""

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from rnnexp.errors import UserError
from rnnexp.nn.cells import GRU, LSTM, Linear
from rnnexp.nn.readouts import LastHidden, LastInputAndPreviousHidden, Pooled
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.nn.representations import Embeddings, OneHotTokens
from rnnexp.tasks.classification.answers import classify
from rnnexp.tasks.classification.network import Classifier
from rnnexp.tasks.classification.task import Classification
from rnnexp.tasks.classification.trace import contributions, trace
from tests.support.toy_documents import ToyDocuments, document, fed

WORDS = ["the", "zip", "is", "not", "elegant", "but", "it", "broke", "at", "once"]
EMBEDDED = partial(Embeddings, dimension=6)
READOUTS: dict[str, Any] = {
    "last_hidden": partial(LastHidden, before="relu"),
    "pooled": partial(Pooled, pooling=["mean", "max", "last"]),
    "last_input": partial(LastInputAndPreviousHidden, middle=5),
}


class Notes(ToyDocuments):
    def tokens_of(self, text: str) -> list[str]:
        return text.split()


@pytest.fixture(scope="module")
def data() -> Any:
    known = [document(" ".join(WORDS[start:]), start % 2) for start in range(8)] * 2
    return fed(Notes(["bad", "good"], known, [document("it broke", 0)]))


def network(
    spec: Any,
    readout: str = "last_hidden",
    representation: Any = EMBEDDED,
    cell: Any = GRU,
    **settings: Any,
) -> Any:
    torch.manual_seed(3)
    recurrence = partial(CellRecurrence, cell)
    found = Classifier(
        spec, representation, recurrence, READOUTS[readout], hidden_size=4, **settings
    )
    return found.double().eval()


@pytest.mark.parametrize("settings", [{}, {"bidirectional": True}, {"num_layers": 2}])
@pytest.mark.parametrize("readout", ["last_hidden", "pooled"])
def test_the_answers_are_those_for_each_beginning_alone(
    data: Any, readout: str, settings: dict[str, Any]
) -> None:
    own = network(data.spec, readout, **settings)
    found = trace(own, data, " ".join(WORDS))
    assert found.steps == WORDS and list(found.curves) == ["p(good)"]
    beginnings = [" ".join(WORDS[: end + 1]) for end in range(len(WORDS))]
    alone = [classify(own, data, [one]).probability[0, 1] for one in beginnings]
    np.testing.assert_allclose(found.curves["p(good)"], alone, rtol=1e-6)
    assert len({round(float(p), 9) for p in alone}) > 5
    assert len(found.states) == (2 if "bidirectional" in settings else 1)
    assert found.layer == ("layer 2 of 2" if "num_layers" in settings else "")


@pytest.mark.parametrize("representation", [OneHotTokens, partial(OneHotTokens, sparse=True)])
@pytest.mark.parametrize("readout", READOUTS)
def test_contributions_of_one_hot_words(data: Any, representation: Any, readout: str) -> None:
    """Gradient with respect to the gathered rows of the input weights, times the rows."""
    own = network(data.spec, readout, partial(OneHotTokens), LSTM)
    rows = [data.source.vocabulary.number[word] for word in WORDS]  # each word occurs once
    log_p = own(torch.tensor([rows]), None)[0]
    weights: list[Any] = [own.recurrence.layers[0].input_weight]
    if readout == "last_input":
        weights.append(own.readout.input_weight)
    gradients = torch.autograd.grad(log_p[0] - log_p[1], weights)
    expected = sum(
        (gradient[rows] * weight[rows]).sum(1)
        for gradient, weight in zip(gradients, weights, strict=True)
    )
    traced = trace(network(data.spec, readout, representation, LSTM), data, " ".join(WORDS))
    assert traced.contributions is not None and isinstance(expected, torch.Tensor)
    sign = 1 if traced.sides[0] == "bad" else -1
    assert traced.contributed == f"logit of {traced.sides[0]}"
    np.testing.assert_allclose(sign * traced.contributions, expected.detach(), rtol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_contributions_of_embedded_words(data: Any, bidirectional: bool) -> None:
    own = network(data.spec, "pooled", bidirectional=bidirectional)
    rows = [data.source.vocabulary.number[word] for word in WORDS]
    log_p = own(torch.tensor([rows]), None)[0]
    table: Any = own.representation.learnt
    (gradient,) = torch.autograd.grad(log_p[1] - log_p[0], table)
    x = own.represent(torch.tensor([rows]), None)
    found = contributions(own, x, label=1)
    np.testing.assert_allclose(found, (gradient * table).sum(1)[rows].detach(), rtol=1e-6)


def test_contributions_to_a_linear_network_add_up_to_the_logit(data: Any) -> None:
    own = network(data.spec, cell=Linear)
    own.readout.before = torch.nn.Identity()
    with torch.no_grad():
        own.recurrence.layers[0].bias.zero_()
        own.readout.linear.bias.zero_()
    found = trace(own, data, "it broke at once it broke")
    assert found.contributions is not None
    p = found.curves["p(good)"][-1]
    logit = math.log(p / (1 - p)) * (1 if found.sides[0] == "good" else -1)
    assert logit > 0 and found.contributions.sum() == pytest.approx(logit, rel=1e-5)


def test_of_many_classes_the_likeliest_are_shown_and_the_rest_is_the_other_side() -> None:
    names = ["one", "two", "three", "four", "five", "six"]
    known = [document(word, label) for label, word in enumerate(names)] * 4
    toy = fed(Notes(names, known, [document("one two", 0)]))
    own = network(toy.spec)
    found = trace(own, toy, "two three six")
    probability = classify(own, toy, ["two three six"]).probability[0]
    label = int(probability.argmax())
    assert next(iter(found.curves)) == f"p({names[label]})" and len(found.curves) == 4
    assert found.even is None and found.sides == (names[label], "other classes")
    rows = [toy.source.vocabulary.number[word] for word in ("two", "three", "six")]
    log_p = own(torch.tensor([rows]), None)[0]
    logit = log_p[label] - torch.log(1 - log_p[label].exp())
    table: Any = own.representation.learnt
    (gradient,) = torch.autograd.grad(logit, table)
    expected = (gradient * table).sum(1)[rows].detach()
    np.testing.assert_allclose(np.asarray(found.contributions), expected, rtol=1e-6)


def test_unknown_words_are_marked_and_said(data: Any) -> None:
    found = trace(network(data.spec), data, "it xyzzy broke")
    assert found.steps == ["it", "xyzzy", "broke"] and found.unknown == {1}
    assert found.notes == ["unknown words, read as <unknown>: 'xyzzy'"]


def test_of_a_text_that_is_cut_the_words_that_are_read_are_steps(data: Any) -> None:
    own = network(data.spec)
    data.source.max_tokens = 4
    try:
        found = trace(own, data, " ".join(WORDS))
        expected = classify(own, data, [" ".join(WORDS)]).probability[0, 1]
    finally:
        data.source.max_tokens = None
    assert found.steps == ["the", "zip", "at", "once"] and len(found.notes) == 1
    assert found.curves["p(good)"][-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" ", "the text is empty: give another text"),
        ("xyzzy plugh", "the text has no word that the network knows: give another text"),
        ("it " * 1001, "the text has 1,001 words, and at most 1,000 are traced: give a shorter"),
    ],
)
def test_texts_that_cannot_be_traced(data: Any, text: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        trace(network(data.spec), data, text)


def test_layers_are_counted_from_one(data: Any) -> None:
    with pytest.raises(UserError, match=r"^--layer 2: this network has one layer, 1$"):
        trace(network(data.spec), data, "it broke", layer=2)
    two = network(data.spec, num_layers=2)
    with pytest.raises(UserError, match=r"^--layer 0: this network has the layers 1 to 2, from"):
        trace(two, data, "it broke", layer=0)
    assert trace(two, data, "it broke", layer=1).layer == "layer 1 of 2"


def test_a_network_without_a_recurrence(data: Any) -> None:
    own = network(data.spec)
    del own.recurrence
    own.forward = lambda tokens, lengths, extra: torch.zeros(len(tokens), 2)
    with pytest.raises(UserError, match="Classifier cannot be traced: it has no `recurrence`"):
        Classification.trace(own, data, "it broke")


def test_the_table(data: Any) -> None:
    found = trace(network(data.spec), data, "it broke")
    table = found.table()
    assert [one.heading for one in table.columns] == ["step", "word", "p(good)", "contribution"]
    assert found.contributions is not None
    p, last = found.curves["p(good)"][1], found.contributions[1]
    assert list(table.rows[1]) == ["2", "broke", f"{p:.3f}", f"{last:+.3f}"]
