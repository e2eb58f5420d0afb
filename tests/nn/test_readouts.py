"""Readouts against the formulas, element by element."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnnexp.nn.readouts import (
    EveryStep,
    LastHidden,
    LastInputAndPreviousHidden,
    Pooled,
    Readout,
    outputs_of,
)
from rnnexp.nn.representations import Features, OneHot

LENGTHS = torch.tensor([4, 1, 3])
STEPS, BATCH, INPUTS, HIDDEN, OUTPUTS = 4, 3, 2, 5, 2


def sequences(lengths: Tensor | None) -> tuple[Features, Tensor, tuple[Tensor, ...]]:
    """Inputs, hidden states with NaN in the padding, and a final state of three tensors."""
    torch.manual_seed(0)
    x = Features(torch.randn(STEPS, BATCH, INPUTS).double(), lengths)
    hidden = torch.randn(STEPS, BATCH, HIDDEN).double()
    if x.padding is not None:
        hidden[x.padding] = torch.nan
    steps = [STEPS] * BATCH if lengths is None else lengths.tolist()
    last = torch.stack([hidden[length - 1, b] for b, length in enumerate(steps)])
    return x, hidden, (last, torch.randn_like(last), torch.randn_like(last))


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("pooling", [["mean", "max"], ["max"], ["last", "mean"]])
def test_pooled(pooling: list[Any], lengths: Tensor | None) -> None:
    x, hidden, final = sequences(lengths)
    readout = Pooled(INPUTS, HIDDEN, OUTPUTS, pooling).double()
    outputs = readout(x, hidden, final)
    weight, bias = readout.linear.weight.tolist(), readout.linear.bias.tolist()
    for b, length in enumerate([STEPS] * BATCH if lengths is None else lengths.tolist()):
        units = list(zip(*hidden[:length, b].tolist(), strict=True))  # h_1 .. h_T of each unit
        pools = {
            "mean": [sum(unit) / length for unit in units],
            "max": [max(unit) for unit in units],
            "last": [unit[-1] for unit in units],
        }
        read = [value for how in pooling for value in pools[how]]
        for k in range(OUTPUTS):
            expected = sum(map(math.prod, zip(weight[k], read, strict=True))) + bias[k]
            assert outputs[b, 0, k].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("pooling", [[], ["median"]])
def test_pooling_of_another_kind_is_refused(pooling: list[Any]) -> None:
    with pytest.raises(ValueError, match="it must list at least one of mean, max, last"):
        Pooled(INPUTS, HIDDEN, OUTPUTS, pooling)


def test_last_hidden() -> None:
    x, hidden, final = sequences(LENGTHS)
    readout = LastHidden(INPUTS, HIDDEN, OUTPUTS, activation="tanh", before="relu").double()
    expected = torch.tanh(readout.linear(torch.relu(final[0])))
    torch.testing.assert_close(readout(x, hidden, final), expected.unsqueeze(1))


def test_every_step() -> None:
    x, hidden, final = sequences(None)
    readout = EveryStep(INPUTS, HIDDEN, OUTPUTS, activation="sigmoid").double()
    outputs = readout(x, hidden, final)
    for b in range(BATCH):
        for t in range(STEPS):
            expected = torch.sigmoid(readout.linear(hidden[t, b]))
            torch.testing.assert_close(outputs[b, t], expected)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("states", [[0], [0, 2], [1]])
@pytest.mark.parametrize("middle", [None, 7])
def test_last_input_and_previous_hidden(
    middle: int | None, states: list[int], lengths: Tensor | None
) -> None:
    """Equal to torch.nn.Linear over the concatenation [x_T; h_{T-1}; ...]."""
    x, hidden, final = sequences(lengths)
    readout = LastInputAndPreviousHidden(INPUTS, HIDDEN, OUTPUTS, middle, states=states).double()
    over_all = nn.Linear(INPUTS + len(states) * HIDDEN, middle or OUTPUTS).double()
    with torch.no_grad():
        over_all.weight.copy_(torch.cat([readout.input_weight, readout.state_weight]).t())
        over_all.bias.copy_(readout.bias)
    steps = [STEPS] * BATCH if lengths is None else lengths.tolist()
    last = torch.stack([x.values[length - 1, b] for b, length in enumerate(steps)])
    expected = over_all(torch.cat([last, *(final[number] for number in states)], dim=1))
    if readout.linear is not None:
        expected = readout.linear(torch.relu(expected))
    torch.testing.assert_close(readout(x, hidden, final), expected.unsqueeze(1))
    assert (readout.linear is None) == (middle is None)


def test_last_input_is_a_row_for_one_hot_words() -> None:
    _, hidden, final = sequences(None)
    tokens = torch.randint(INPUTS, (STEPS, BATCH))
    vectors = nn.functional.one_hot(tokens, INPUTS).double()
    readout = LastInputAndPreviousHidden(INPUTS, HIDDEN, OUTPUTS, middle=7).double()
    for lengths in (None, LENGTHS):
        outputs = readout(OneHot(tokens, lengths), hidden, final)
        assert torch.equal(outputs, readout(Features(vectors, lengths), hidden, final))


def test_the_recurrence_runs_over_all_but_the_last_step_only_there() -> None:
    x, _, _ = sequences(LENGTHS)
    assert Pooled(INPUTS, HIDDEN, OUTPUTS).run_over(x) is x
    before = LastInputAndPreviousHidden(INPUTS, HIDDEN, OUTPUTS).run_over(x)
    assert before.lengths is not None and before.lengths.tolist() == [3, 0, 2]


@pytest.mark.parametrize("readout", [Pooled, LastHidden])
def test_dropout_of_what_is_read(readout: Any) -> None:
    given = sequences(None)
    dropping = readout(INPUTS, HIDDEN, OUTPUTS, dropout=0.5).double()
    plain = dropping.eval()(*given)
    torch.manual_seed(1)
    assert not torch.equal(dropping.train()(*given), plain)
    assert torch.equal(dropping.eval()(*given), plain)


@pytest.mark.parametrize("middle", [0, -3])
def test_a_middle_layer_of_no_size_is_refused(middle: int) -> None:
    with pytest.raises(ValueError, match=f"middle is {middle}: it must be at least 1, or None"):
        LastInputAndPreviousHidden(INPUTS, HIDDEN, OUTPUTS, middle)


@pytest.mark.parametrize("states", [[], [1], [0, 2], [-1]])
def test_states_that_the_recurrence_has_not_are_refused(states: list[int]) -> None:
    readout = LastInputAndPreviousHidden(INPUTS, HIDDEN, OUTPUTS, states=states)
    with pytest.raises(
        ValueError, match=r"states is \[.*\], but the state .* has the tensors \[0\]: choose"
    ):
        readout.check(num_layers=1, bidirectional=False, states=1)


@pytest.mark.parametrize(("layers", "bidirectional"), [(2, False), (1, True)])
def test_more_than_one_layer_and_direction_are_refused(layers: int, bidirectional: bool) -> None:
    readout = LastInputAndPreviousHidden(INPUTS, HIDDEN, OUTPUTS)
    readout.check(num_layers=1, bidirectional=False, states=1)
    with pytest.raises(ValueError, match="set num_layers=1 and bidirectional=False, or choose"):
        readout.check(layers, bidirectional, states=1)


def test_outputs_of_a_readout_have_three_axes() -> None:
    class Flat(Readout):
        def forward(self, x: Any, hidden: Tensor, final: Any) -> Tensor:
            return hidden[-1]

    hidden = torch.zeros(5, 2, 3)
    with pytest.raises(
        TypeError, match=r"Flat gave outputs of the shape \(2, 3\): a readout gives"
    ):
        outputs_of(Flat(1, 3, 3), None, hidden, (hidden[-1],))  # type: ignore[arg-type]
