"""Representations: one-hot words against dense vectors, steps, and word vectors."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rnnexp.nn.representations import (
    Embeddings,
    Features,
    OneHot,
    OneHotTokens,
    Vectors,
    has_sparse_gradients,
)

# One-hot words ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("vocabulary", "out"), [(2, 1), (57, 128), (1000, 33), (4097, 300)])
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_one_hot_rows_are_exactly_the_product(vocabulary: int, out: int, scale: float) -> None:
    torch.manual_seed(0)
    tokens = torch.randint(vocabulary, (7, 5))
    weight = scale * torch.randn(vocabulary, out)
    vectors = functional.one_hot(tokens, vocabulary).float()
    for bias in (torch.zeros(out), torch.randn(out), scale * torch.randn(out)):
        product = Features(vectors).project(weight, bias)
        assert torch.equal(OneHot(tokens).project(weight, bias), product)
        assert product.shape == (7, 5, out)


def test_one_hot_vectors_are_never_built() -> None:
    with pytest.raises(ValueError, match=r"never built, .* choose a recurrence of cells"):
        OneHot(torch.zeros(2, 3, dtype=torch.int64)).dense()


def test_tokens_become_one_hot_with_time_first() -> None:
    tokens, lengths = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])
    representation = OneHotTokens(6)
    x = representation(tokens, lengths)
    assert representation.size == 6 and (x.steps, x.batch) == (3, 2)
    assert torch.equal(x.values, tokens.t()) and x.lengths is lengths


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vectors": Vectors(3, 2)}, "one-hot tokens cannot use word vectors: choose Embeddings"),
        ({"extra": 2}, r"extra=2: one-hot tokens do not support extra inputs .*: choose"),
        ({"rows": 5}, "rows is 5, but each of the 6 tokens needs one: raise it, or set it to None"),
    ],
)
def test_settings_without_a_meaning_for_one_hot_tokens(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        OneHotTokens(6, **settings)


def test_which_networks_have_sparse_gradients() -> None:
    assert has_sparse_gradients(torch.nn.Sequential(OneHotTokens(6, sparse=True)))
    assert not has_sparse_gradients(torch.nn.Sequential(OneHotTokens(6), Embeddings(6)))


def test_a_table_needs_a_dimension() -> None:
    with pytest.raises(ValueError, match="dimension is 0: it must be at least 1"):
        Embeddings(6, dimension=0)


# Steps ------------------------------------------------------------------------------------------

VALUES = torch.tensor([[1, 2, 3, 0], [4, 0, 0, 0], [5, 6, 7, 8]]).t()  # three sequences
LENGTHS = torch.tensor([3, 1, 4])


def columns(values: Tensor) -> list[list[int]]:
    return values.t().tolist()


def test_last_step() -> None:
    assert columns(OneHot(VALUES, LENGTHS).last().values) == [[3], [4], [8]]
    assert columns(OneHot(VALUES).last().values) == [[0], [0], [8]]
    features = Features(VALUES.unsqueeze(2).float(), LENGTHS).last()
    assert features.values.flatten().tolist() == [3, 4, 8] and features.lengths is None


def test_all_but_the_last_step() -> None:
    before = OneHot(VALUES, LENGTHS).before_last()
    assert before.steps == 3 and before.lengths is not None
    assert before.lengths.tolist() == [2, 0, 3]
    assert columns(before.values)[2] == [5, 6, 7]
    assert OneHot(VALUES).before_last().lengths is None


def test_backwards_padding_stays_behind() -> None:
    backwards = OneHot(VALUES, LENGTHS).reversed()
    assert columns(backwards.values) == [[3, 2, 1, 0], [4, 0, 0, 0], [8, 7, 6, 5]]
    assert torch.equal(backwards.reversed().values, VALUES)
    assert columns(OneHot(VALUES).reversed().values)[0] == [0, 3, 2, 1]


def test_padding() -> None:
    padding = OneHot(VALUES, LENGTHS).padding
    assert padding is not None
    assert columns(padding.int()) == [[0, 0, 0, 1], [0, 1, 1, 1], [0, 0, 0, 0]]
    assert OneHot(VALUES).padding is None


def test_nan_in_the_padding_reaches_no_weight() -> None:
    values = torch.randn(4, 3, 2)
    x = Features(values, LENGTHS)
    assert x.padding is not None
    values[x.padding] = torch.nan
    weight, bias = torch.randn(2, 5, requires_grad=True), torch.zeros(5)
    projected = x.project(weight, bias)
    projected[~x.padding].sum().backward()
    expected = values[~x.padding].sum(0).unsqueeze(1).expand(2, 5)
    torch.testing.assert_close(weight.grad, expected)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_projection_of_any_number_of_steps(steps: int) -> None:
    weight, bias = torch.randn(2, 5), torch.randn(5)
    x = Features(torch.randn(steps, 3, 2))
    torch.testing.assert_close(x.project(weight, bias), x.values @ weight + bias)
    tokens = torch.randint(2, (steps, 3))
    torch.testing.assert_close(OneHot(tokens).project(weight, bias), weight[tokens] + bias)


# Word vectors -----------------------------------------------------------------------------------

VECTORS = torch.arange(1.0, 19.0).view(6, 3)
KNOWN = torch.tensor([False, True, True, False, True, False])
EVERY_WORD = torch.arange(6).unsqueeze(0)


def embeddings(known: Tensor = KNOWN, **settings: Any) -> Embeddings:
    torch.manual_seed(0)
    table = Embeddings(6, Vectors(dimension=3, known=int(known.sum())), **settings)
    table.take_vectors(VECTORS, known)
    return table


def table_of(embeddings: Embeddings) -> Tensor:
    """The embedding of every word, (V, E)."""
    return embeddings(EVERY_WORD, None).values[:, 0].detach().clone()


def take_a_step(embeddings: Embeddings) -> None:
    """One training step, with weight decay and a layer on top."""
    layer = torch.nn.Linear(3, 1)
    parameters = [*embeddings.parameters(), *layer.parameters()]
    layer(embeddings(EVERY_WORD, None).values).square().sum().backward()
    torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.5).step()


@pytest.mark.parametrize("known", [KNOWN, torch.ones(6).bool(), torch.zeros(6).bool()])
@pytest.mark.parametrize("tune", [False, True])
def test_known_words_start_from_their_vectors_and_keep_them_unless_tuned(
    known: Tensor, tune: bool
) -> None:
    table = embeddings(known, tune=tune)
    before = table_of(table)
    assert torch.equal(before[known], VECTORS[known])
    take_a_step(table)
    after = table_of(table)
    moved = (after != before).all(1)
    assert torch.equal(moved, torch.ones(6).bool() if tune else ~known)
    assert torch.equal(after[~moved], VECTORS[~moved])


def test_words_without_a_vector_have_rows_of_their_own() -> None:
    table = embeddings()
    assert table.learnt.shape == (3, 3) and table.fixed.shape == (3, 3)
    assert torch.equal(table_of(table)[~KNOWN], table.learnt.detach())
    table(torch.tensor([[3, 3, 1]]), None).values.sum().backward()
    assert table.learnt.grad is not None
    assert table.learnt.grad.tolist() == [[0.0] * 3, [2.0] * 3, [0.0] * 3]


def test_word_vectors_lie_in_the_checkpoint() -> None:
    table = embeddings()
    take_a_step(table)
    fresh = Embeddings(6, Vectors(dimension=3, known=3))
    fresh.load_state_dict(table.state_dict())
    assert torch.equal(table_of(fresh), table_of(table))


def test_embeddings_learnt_from_scratch() -> None:
    table = Embeddings(500, dimension=64)
    assert table.size == 64 and table.learnt.shape == (500, 64)
    assert table.learnt.std().item() == pytest.approx(64**-0.5, rel=0.05)
    tokens = torch.randint(500, (2, 7))
    x = table(tokens, None)
    assert torch.equal(x.dense(), table.learnt[tokens].transpose(0, 1))


def test_dropout_of_entries_in_training_alone() -> None:
    table = Embeddings(500, dropout=0.3)
    tokens = torch.arange(500).unsqueeze(0)
    kept, full = table(tokens, None).values, table.eval()(tokens, None).values
    assert (kept == 0).double().mean().item() == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(kept[kept != 0], full[kept != 0] / 0.7)


def test_further_inputs_stand_beside_the_embedded_word() -> None:
    embeddings = Embeddings(7, extra=2, dimension=3, dropout=0.5)
    assert embeddings.size == 5
    tokens, extra = torch.tensor([[1, 2], [3, 4]]), torch.randn(2, 2, 2)
    x = embeddings(tokens, None, extra).values  # without dropout
    assert torch.equal(x[:, :, 3:], extra.transpose(0, 1))
