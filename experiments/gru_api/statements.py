"""What torch.nn.GRU does: every statement is a function that fails where it is not true.

The first line of its docstring is the title, the rest the explanation. What it returns are its
variables, whose shapes the page shows. The sizes are the lecture's: sequences of 5 elements, 3 of
them in a batch, input size 10, hidden size 20, 2 layers.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from rnnexp.nn import cells
from rnnexp.nn.recurrence import TorchRecurrence
from rnnexp.nn.representations import Features


def distance(a: Tensor, b: Tensor) -> float:
    """The largest difference between two tensors of one shape."""
    assert a.shape == b.shape, f"{tuple(a.shape)} is not {tuple(b.shape)}"
    return float((a - b).detach().abs().max())


def alone(gru: nn.GRU, ending: str) -> nn.GRU:
    """One layer in one direction as a GRU of its own: `_l1` is the second layer, `_l1_reverse`
    its backward direction."""
    weights = {
        name.removesuffix(ending) + "_l0": weight
        for name, weight in gru.state_dict().items()
        if name.endswith(ending)
    }
    single = nn.GRU(weights["weight_ih_l0"].shape[1], gru.hidden_size)
    single.load_state_dict(weights)
    return single


def refusal(call: Callable[..., Any], *arguments: Any) -> str:
    """What torch says when it refuses the call."""
    try:
        call(*arguments)
    except RuntimeError as error:
        return str(error)
    raise AssertionError("the call was not refused")


# What goes in, and what comes out ---------------------------------------------------------------


def the_lectures_example() -> dict[str, Any]:
    """The shapes of the lecture's example

    The input has the axes (sequence, batch, input size). `output` is the last layer's hidden state
    after every element: (sequence, batch, hidden size). `h_n` is every layer's hidden state after
    the last element: (layers, batch, hidden size), as the initial `h_0` is.
    """
    gru = nn.GRU(input_size=10, hidden_size=20, num_layers=2)
    x = torch.randn(5, 3, 10)
    h_0 = torch.randn(2, 3, 20)
    output, h_n = gru(x, h_0)
    assert output.shape == (5, 3, 20)
    assert h_n.shape == (2, 3, 20)
    return locals()


def one_element_at_a_time() -> dict[str, Any]:
    """One element at a time is the same as the whole sequence at once

    The loop over the sequence is inside nn.GRU. Written outside, with the hidden state handed from
    call to call, it gives the same outputs and the same final hidden state.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x, h_0 = torch.randn(5, 3, 10), torch.randn(2, 3, 20)
    output, h_n = gru(x, h_0)
    h, outputs = h_0, []
    for element in x.split(1):
        output_t, h = gru(element, h)
        outputs.append(output_t)
    assert distance(torch.cat(outputs), output) < 1e-5
    assert distance(h, h_n) < 1e-5
    return locals()


def the_last_output() -> dict[str, Any]:
    """The last output is the last layer's final hidden state

    In one direction and without padding `output[-1]` and `h_n[-1]` are the same numbers; either can
    be read to classify a sequence. (Two directions and padding: see below.)
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    last = output[-1]
    assert torch.equal(last, h_n[-1])
    return locals()


def zero_at_first() -> dict[str, Any]:
    """Without h_0 the hidden state begins at zero, in every call

    nn.GRU keeps nothing from one call to the next: the same input gives the same output again.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    again, _ = gru(x)
    from_zero, _ = gru(x, torch.zeros(2, 3, 20))
    assert torch.equal(again, output)
    assert torch.equal(from_zero, output)
    assert distance(gru(x, h_n)[0], output) > 0.01
    return locals()


def sequences_of_a_batch() -> dict[str, Any]:
    """The sequences of a batch know nothing of each other

    A sequence gives the same outputs by itself as among others.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    second, second_n = gru(x[:, 1:2])
    assert distance(second, output[:, 1:2]) < 1e-5
    assert distance(second_n, h_n[:, 1:2]) < 1e-5
    return locals()


def any_length() -> dict[str, Any]:
    """Length and batch size belong to the data, input size to the network

    The same network reads sequences of any length in batches of any size. The size of an element
    is fixed, and so is the batch size within one call, that of `h_0` included.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    output, h_n = gru(torch.randn(50, 1, 10))
    assert output.shape == (50, 1, 20)
    assert h_n.shape == (2, 1, 20)
    assert "Expected 10, got 11" in refusal(gru, torch.randn(5, 3, 11))
    h_0 = torch.randn(2, 3, 20)
    last_batch = torch.randn(5, 2, 10)
    assert "Expected hidden size (2, 2, 20)" in refusal(gru, last_batch, h_0)
    return locals()


def no_batch_axis() -> dict[str, Any]:
    """An input of two axes is one sequence without a batch axis

    So a batch of single elements, (batch, input size), is read as one sequence, and nothing warns.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = torch.randn(5, 10)
    output, h_n = gru(x)
    batched, _ = gru(x.unsqueeze(1))
    assert output.shape == (5, 20)
    assert h_n.shape == (2, 20)
    assert distance(output, batched.squeeze(1)) < 1e-5
    return locals()


def no_output_layer() -> dict[str, Any]:
    """The outputs are hidden states, between -1 and 1

    From a zero state, whatever goes in. There is no output layer: classes or a value in megawatts
    need a linear layer of one's own behind it.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = 1000 * torch.randn(5, 3, 10)
    output, h_n = gru(x)
    assert output.abs().max() <= 1
    assert h_n.abs().max() <= 1
    logits = nn.Linear(20, 18)(h_n[-1])
    assert logits.shape == (3, 18)
    return locals()


# Which axis is which ----------------------------------------------------------------------------


def swapped_axes() -> dict[str, Any]:
    """Batch and sequence swapped is no error

    nn.GRU expects the sequence first. An input (batch, sequence, input size) passes all the same,
    and what is read as a sequence goes from one member of the batch to the next: no output is
    right but the very first.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = torch.randn(5, 3, 10)
    output, _ = gru(x)
    swapped, _ = gru(x.transpose(0, 1))
    assert swapped.shape == (3, 5, 20)
    wrong = (swapped.transpose(0, 1) - output).abs().amax(dim=2) > 0.01
    assert wrong.sum() == 5 * 3 - 1
    assert distance(swapped[0, 0], output[0, 0]) < 1e-5
    return locals()


def batch_first() -> dict[str, Any]:
    """batch_first swaps the first two axes of input and output

    The numbers are the same ones.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    other = nn.GRU(10, 20, num_layers=2, batch_first=True)
    other.load_state_dict(gru.state_dict())
    x = torch.randn(3, 5, 10)
    output, h_n = other(x)
    expected, expected_n = gru(x.transpose(0, 1))
    assert output.shape == (3, 5, 20)
    assert distance(output, expected.transpose(0, 1)) < 1e-5
    assert distance(h_n, expected_n) < 1e-5
    return locals()


def batch_first_and_states() -> dict[str, Any]:
    """batch_first does not apply to h_0 and h_n

    They keep the axes (layers, batch, hidden size).
    """
    gru = nn.GRU(10, 20, num_layers=2, batch_first=True)
    x, h_0 = torch.randn(3, 5, 10), torch.randn(2, 3, 20)
    output, h_n = gru(x, h_0)
    assert h_n.shape == (2, 3, 20)
    assert torch.equal(h_n[-1], output[:, -1])
    assert "Expected hidden size (2, 3, 20)" in refusal(gru, x, h_0.transpose(0, 1))
    return locals()


def transpose_not_view() -> dict[str, Any]:
    """Axes are swapped by transpose; view mixes the sequences

    To put the layers' final states side by side, (batch, layers * hidden size), the batch has to
    come first. `view` gives the shape, and rows that hold parts of two sequences.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = torch.randn(5, 3, 10)
    _, h_n = gru(x)
    right = h_n.transpose(0, 1).reshape(3, 40)
    wrong = h_n.view(3, 40)
    assert torch.equal(right, torch.cat([h_n[0], h_n[1]], dim=1))
    assert torch.equal(wrong[0], torch.cat([h_n[0, 0], h_n[0, 1]]))
    assert not torch.equal(wrong, right)
    return locals()


# Layers and directions --------------------------------------------------------------------------


def a_stack() -> dict[str, Any]:
    """The second layer reads the outputs of the first

    Two layers are two GRUs one after the other. `output` shows the last one alone; of the first,
    `h_n[0]` is all that comes out.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    lower, lower_n = alone(gru, "_l0")(x)
    upper, upper_n = alone(gru, "_l1")(lower)
    assert distance(upper, output) < 1e-5
    assert distance(torch.cat([lower_n, upper_n]), h_n) < 1e-5
    return locals()


def two_directions() -> dict[str, Any]:
    """Bidirectional is a second GRU that reads the sequence backwards

    Its outputs are put back in the sequence's order and stand beside the forward ones:
    (sequence, batch, 2 * hidden size), forward first.
    """
    gru = nn.GRU(10, 20, bidirectional=True)
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    forward, _ = alone(gru, "_l0")(x)
    backward, _ = alone(gru, "_l0_reverse")(x.flip(0))
    assert output.shape == (5, 3, 40)
    assert distance(output[..., :20], forward) < 1e-5
    assert distance(output[..., 20:], backward.flip(0)) < 1e-5
    return locals()


def layers_in_two_directions() -> dict[str, Any]:
    """Each direction of the second layer reads both directions of the first

    So its input size is twice the hidden size, and its forward half at the first element already
    depends on the last one: two bidirectional layers are more than a stack that reads forwards
    beside one that reads backwards.
    """
    gru = nn.GRU(10, 20, num_layers=2, bidirectional=True)
    x = torch.randn(5, 3, 10, requires_grad=True)
    output, _ = gru(x)
    forward, _ = alone(gru, "_l0")(x)
    backward, _ = alone(gru, "_l0_reverse")(x.flip(0))
    both = torch.cat([forward, backward.flip(0)], dim=-1)
    upper, _ = alone(gru, "_l1")(both)
    assert gru.weight_ih_l1.shape == (60, 40)
    assert distance(output[..., :20], upper) < 1e-5
    (gradient,) = torch.autograd.grad(output[0, :, :20].sum(), x)
    assert gradient[-1].abs().max() > 0
    return locals()


def order_of_h_n() -> dict[str, Any]:
    """The order of h_n is layer by layer, each forward and then backward

    (layers * directions, batch, hidden size); a view tells the two apart.
    """
    gru = nn.GRU(10, 20, num_layers=2, bidirectional=True)
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    _, forward_0 = alone(gru, "_l0")(x)
    _, backward_0 = alone(gru, "_l0_reverse")(x.flip(0))
    by_layer = h_n.view(2, 2, 3, 20)
    assert distance(h_n[0], forward_0[0]) < 1e-5
    assert distance(h_n[1], backward_0[0]) < 1e-5
    assert torch.equal(h_n[2], output[-1, :, :20])
    assert torch.equal(h_n[3], output[0, :, 20:])
    assert torch.equal(by_layer[1, 0], h_n[2])
    return locals()


def last_output_in_two_directions() -> dict[str, Any]:
    """In two directions the last output is not the final state

    The backward GRU ends at the first element: at the last one it has read this one alone, as the
    gradient shows. For the whole sequence in both directions take `h_n[-2]` and `h_n[-1]`.
    """
    gru = nn.GRU(10, 20, bidirectional=True)
    x = torch.randn(5, 3, 10, requires_grad=True)
    output, h_n = gru(x)
    final = torch.cat([h_n[-2], h_n[-1]], dim=1)
    assert final.shape == output[-1].shape == (3, 40)
    assert distance(final, output[-1]) > 0.01
    last, first = output[-1, :, 20:], output[0, :, 20:]
    assert torch.equal(h_n[-1], first)
    (of_last,) = torch.autograd.grad(last.sum(), x, retain_graph=True)
    (of_first,) = torch.autograd.grad(first.sum(), x)
    assert of_last.abs().amax(dim=(1, 2)).gt(0).tolist() == [False, False, False, False, True]
    assert of_first.abs().amax(dim=(1, 2)).gt(0).all()
    return locals()


# Sequences of different lengths -----------------------------------------------------------------


def padding() -> dict[str, Any]:
    """Padding changes the final state

    A step over zeros is still a step: biases and the hidden state go on. So neither `h_n` nor
    `output[-1]` is what the short sequence gives by itself. Its outputs up to its end are right.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    long, short = torch.randn(5, 10), torch.randn(2, 10)
    x = pad_sequence([long, short])
    output, h_n = gru(x)
    expected, expected_n = gru(short)
    assert torch.equal(x[2:, 1], torch.zeros(3, 10))
    assert distance(h_n[:, 1], expected_n) > 0.01
    assert distance(output[-1, 1], expected[-1]) > 0.01
    assert distance(output[:2, 1], expected) < 1e-5
    return locals()


def packing() -> dict[str, Any]:
    """Packed, every sequence ends at its own end

    Outputs and final states are those of the sequences by themselves. Unpacked, the outputs after
    the end of a sequence are zeros, so that `output[-1]` still is not the final state: `h_n` is.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x, lengths = torch.randn(5, 3, 10), torch.tensor([5, 3, 2])
    packed = pack_padded_sequence(x, lengths)
    packed_output, h_n = gru(packed)
    output, its_lengths = pad_packed_sequence(packed_output)
    for number, length in enumerate([5, 3, 2]):
        single = gru(x[:length, number])
        assert distance(output[:length, number], single[0]) < 1e-5
        assert distance(h_n[:, number], single[1]) < 1e-5
    assert torch.equal(its_lengths, lengths)
    assert torch.equal(output[3:, 1], torch.zeros(2, 20))
    assert distance(output[-1], h_n[-1]) > 0.01
    return locals()


def a_packed_sequence() -> dict[str, Any]:
    """A packed sequence is a list of elements, and how many sequences still run at each step

    The elements are in the order in which they are read: all first ones, then all second ones.
    """
    x, lengths = torch.randn(5, 3, 10), torch.tensor([5, 3, 2])
    packed = pack_padded_sequence(x, lengths)
    data, batch_sizes = packed.data, packed.batch_sizes
    assert data.shape == (5 + 3 + 2, 10)
    assert batch_sizes.tolist() == [3, 3, 2, 1, 1]
    assert torch.equal(data, torch.cat([x[0], x[1], x[2, :2], x[3, :1], x[4, :1]]))
    return locals()


def unsorted_lengths() -> dict[str, Any]:
    """Lengths that are not sorted need enforce_sorted=False, and nothing else

    By default the longest sequence has to come first. With `enforce_sorted=False` they are sorted
    inside, and outputs and final states come back in the order in which the sequences were given.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x, lengths = torch.randn(5, 3, 10), torch.tensor([2, 5, 3])
    assert "sorted in decreasing order" in refusal(pack_padded_sequence, x, lengths)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    assert torch.equal(packed.data[:3], x[0, [1, 2, 0]])
    packed_output, h_n = gru(packed)
    output, its_lengths = pad_packed_sequence(packed_output)
    assert its_lengths.tolist() == [2, 5, 3]
    assert distance(h_n[:, 0], gru(x[:2, 0])[1]) < 1e-5
    assert distance(output[:3, 2], gru(x[:3, 2])[0]) < 1e-5
    return locals()


def the_longest_sequence() -> dict[str, Any]:
    """Unpacked outputs are as long as the longest sequence of the batch

    Not as long as the input was: `total_length` brings its length back, for a mask, say, or for
    several GPUs.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x, lengths = torch.randn(5, 3, 10), torch.tensor([4, 3, 2])
    packed = pack_padded_sequence(x, lengths)
    packed_output, _ = gru(packed)
    shorter, _ = pad_packed_sequence(packed_output)
    output, _ = pad_packed_sequence(packed_output, total_length=5)
    assert shorter.shape == (4, 3, 20)
    assert output.shape == (5, 3, 20)
    return locals()


def without_packing() -> dict[str, Any]:
    """In one direction the final state can be picked from padded outputs

    The output at the last element of each sequence, chosen by its length, is what packing gives.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x, lengths = torch.randn(5, 3, 10), torch.tensor([2, 5, 3])
    output, _ = gru(x)
    final = output[lengths - 1, torch.arange(3)]
    _, h_n = gru(pack_padded_sequence(x, lengths, enforce_sorted=False))
    assert distance(final, h_n[-1]) < 1e-5
    return locals()


def backwards_over_padding() -> dict[str, Any]:
    """Backwards, padding is read first

    Unpacked, all backward outputs of a short sequence are wrong, those within its length too. So
    two directions need packing.
    """
    gru = nn.GRU(10, 20, bidirectional=True)
    long, short = torch.randn(5, 10), torch.randn(2, 10)
    output, _ = gru(pad_sequence([long, short]))
    expected, _ = gru(short)
    forward, backward = output[:2, 1].split(20, dim=-1)
    assert distance(forward, expected[:, :20]) < 1e-5
    assert (backward - expected[:, 20:]).abs().amax(dim=1).min() > 0.01
    return locals()


def a_sequence_of_no_element() -> dict[str, Any]:
    """A sequence without an element cannot be packed

    A review without a known word, say: leave it out, or give it one element.
    """
    x, lengths = torch.randn(5, 3, 10), torch.tensor([5, 3, 0])
    assert "has to be greater than 0" in refusal(pack_padded_sequence, x, lengths)
    return locals()


# Dropout ----------------------------------------------------------------------------------------


def dropout_between_layers() -> dict[str, Any]:
    """Dropout acts between the layers, and not after the last

    With a probability of 1 the second layer reads zeros alone, and still gives an output; the
    first layer's own state is whole. In evaluation there is none.
    """
    gru = nn.GRU(10, 20, num_layers=2, dropout=1.0)
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    _, lower_n = alone(gru, "_l0")(x)
    upper, _ = alone(gru, "_l1")(torch.zeros(5, 3, 20))
    assert distance(output, upper) < 1e-5
    assert output.ne(0).all()
    assert distance(h_n[:1], lower_n) < 1e-5
    plain = nn.GRU(10, 20, num_layers=2)
    plain.load_state_dict(gru.state_dict())
    evaluated, _ = gru.eval()(x)
    assert torch.equal(evaluated, plain(x)[0])
    return locals()


def dropout_of_one_layer() -> dict[str, Any]:
    """With one layer the dropout does nothing, and torch warns

    There is nothing between the layers of a single one. After the last layer, or on the input,
    nn.Dropout does it.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gru = nn.GRU(10, 20, num_layers=1, dropout=0.5)
    assert "non-zero dropout expects num_layers greater than 1" in str(caught[0].message)
    x = torch.randn(5, 3, 10)
    trained, _ = gru.train()(x)
    evaluated, _ = gru.eval()(x)
    assert torch.equal(trained, evaluated)
    return locals()


def dropout_at_every_step() -> dict[str, Any]:
    """What is dropped is drawn anew for every element of the sequence

    It is nn.Dropout on all outputs of the layer below (here with the same random numbers): no mask
    is kept along the sequence, as variational dropout would.
    """
    gru = nn.GRU(10, 20, num_layers=2, dropout=0.5)
    x = torch.randn(5, 3, 10)
    torch.manual_seed(1)
    output, _ = gru(x)
    lower, _ = alone(gru, "_l0")(x)
    torch.manual_seed(1)
    dropped = functional.dropout(lower, 0.5)
    assert distance(alone(gru, "_l1")(dropped)[0], output) < 1e-5
    assert not torch.equal(dropped[0] == 0, dropped[1] == 0)
    return locals()


# The state between calls ------------------------------------------------------------------------


def a_sequence_in_parts() -> dict[str, Any]:
    """A sequence can be read in parts, if the state is handed on

    The final state of one part is the initial state of the next: that is all there is to remember.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    first, h = gru(x[:2])
    second, h = gru(x[2:], h)
    assert distance(torch.cat([first, second]), output) < 1e-5
    assert distance(h, h_n) < 1e-5
    return locals()


def detach() -> dict[str, Any]:
    """A state that is handed on brings its past along, until it is detached

    In training, part by part, the second backward pass would go through the first part once more,
    whose graph is gone. `h.detach()` has the same values and no past (truncated backpropagation
    through time).
    """
    gru = nn.GRU(10, 20, num_layers=2)
    first = torch.randn(5, 3, 10, requires_grad=True)
    second = torch.randn(5, 3, 10)
    _, h = gru(first)
    connected, _ = gru(second, h)
    cut, _ = gru(second, h.detach())
    assert torch.equal(cut, connected)
    h.sum().backward()
    assert "backward through the graph a second time" in refusal(connected.sum().backward)
    assert first.grad is not None
    before = first.grad.clone()
    cut.sum().backward()
    assert torch.equal(first.grad, before)
    return locals()


# Parameters and equations -----------------------------------------------------------------------


def parameters() -> dict[str, Any]:
    """Every layer and direction has two weights and two biases

    `ih` is multiplied by the input, `hh` by the hidden state. Each holds three blocks of hidden
    size rows, so that a layer has 3 H (I + H + 2) numbers for I inputs and hidden size H.
    """
    gru = nn.GRU(10, 20, num_layers=2)
    assert {name: tuple(parameter.shape) for name, parameter in gru.named_parameters()} == {
        "weight_ih_l0": (3 * 20, 10),
        "weight_hh_l0": (3 * 20, 20),
        "bias_ih_l0": (3 * 20,),
        "bias_hh_l0": (3 * 20,),
        "weight_ih_l1": (3 * 20, 20),
        "weight_hh_l1": (3 * 20, 20),
        "bias_ih_l1": (3 * 20,),
        "bias_hh_l1": (3 * 20,),
    }
    count = sum(parameter.numel() for parameter in gru.parameters())
    assert count == 3 * 20 * (10 + 20 + 2) + 3 * 20 * (20 + 20 + 2) == 4440
    return locals()


def parameters_of_grunet() -> dict[str, Any]:
    """The parameters that the lecture counts

    Its GRUnet reads one-hot words with 2 layers of 512 units, and a linear layer tells 2 classes.
    Nearly all of its parameters are the first layer's `weight_ih`. (The device `meta` has shapes
    and no memory.)
    """
    counts = {}
    for vocabulary in (17_001, 43_285, 64_350):
        gru = nn.GRU(vocabulary, 512, num_layers=2, device="meta")
        readout = nn.Linear(512, 2, device="meta")
        counts[vocabulary] = sum(p.numel() for p in [*gru.parameters(), *readout.parameters()])
    assert counts == {17_001: 28_480_002, 43_285: 68_852_226, 64_350: 101_208_066}
    assert 3 * 512 * 17_001 / counts[17_001] > 0.9
    return locals()


def equations() -> dict[str, Any]:
    """The three blocks are r, z and n, in this order

    The reset gate r, the update gate z and the candidate n (the lecture's h with a tilde).
    """
    gru = nn.GRU(10, 20)
    W, U, b, d = gru.parameters()
    x, h = torch.randn(3, 10), torch.randn(3, 20)
    x_r, x_z, x_n = (x @ W.T + b).chunk(3, dim=1)
    h_r, h_z, h_n = (h @ U.T + d).chunk(3, dim=1)
    r = torch.sigmoid(x_r + h_r)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * h_n)
    following = (1 - z) * n + z * h
    output, _ = gru(x.unsqueeze(0), h.unsqueeze(0))
    assert distance(following, output[0]) < 1e-5
    return locals()


def gru_cell() -> dict[str, Any]:
    """nn.GRUCell is one step of one layer

    No axis for the sequence, none for the layers; the parameters have the same names without `_l0`.
    """
    gru, cell = nn.GRU(10, 20), nn.GRUCell(10, 20)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in gru.state_dict().items()})
    x = torch.randn(5, 3, 10)
    output, _ = gru(x)
    h, outputs = torch.zeros(3, 20), []
    for x_t in x:
        h = cell(x_t, h)
        outputs.append(h)
    assert distance(torch.stack(outputs), output) < 1e-5
    return locals()


def two_biases() -> dict[str, Any]:
    """The second bias makes a difference in the candidate alone

    In r and z only the sum of the two counts. In n the reset gate multiplies `bias_hh` and not
    `bias_ih`, so that there neither can take the other's part.
    """
    gru = nn.GRU(10, 20)
    x = torch.randn(5, 3, 10)
    output, _ = gru(x)
    _, _, b, d = gru.parameters()
    in_gates = torch.cat([d[:40], torch.zeros(20)])
    in_candidate = torch.cat([torch.zeros(40), d[40:]])
    other = nn.GRU(10, 20)
    moved = {"bias_ih_l0": b + in_gates, "bias_hh_l0": d - in_gates}
    other.load_state_dict(gru.state_dict() | moved)
    assert distance(other(x)[0], output) < 1e-5
    moved = {"bias_ih_l0": b + in_candidate, "bias_hh_l0": d - in_candidate}
    other.load_state_dict(gru.state_dict() | moved)
    assert distance(other(x)[0], output) > 0.01
    return locals()


def reset_gate() -> dict[str, Any]:
    """torch resets after the product with U, the lecture before it

    torch: n = tanh(W x + r * (U h)). The lecture (Chung et al. 2014), and Cho et al. 2014:
    n = tanh(W x + U (r * h)). Different numbers, so that trained weights of one are no weights of
    the other; they agree where U is diagonal. (The lecture has no biases.)
    """
    gru = nn.GRU(10, 20, bias=False)
    W, U = gru.parameters()
    W_r, W_z, W_n = W.chunk(3)
    U_r, U_z, U_n = U.chunk(3)
    x, h = torch.randn(3, 10), torch.randn(3, 20)
    r = torch.sigmoid(x @ W_r.T + h @ U_r.T)
    z = torch.sigmoid(x @ W_z.T + h @ U_z.T)
    after = torch.tanh(x @ W_n.T + r * (h @ U_n.T))
    before = torch.tanh(x @ W_n.T + (r * h) @ U_n.T)
    output, _ = gru(x.unsqueeze(0), h.unsqueeze(0))
    assert distance((1 - z) * after + z * h, output[0]) < 1e-5
    assert distance((1 - z) * before + z * h, output[0]) > 0.01
    diagonal = U_n.diagonal().diag()
    assert distance(r * (h @ diagonal.T), (r * h) @ diagonal.T) < 1e-5
    return locals()


def sense_of_z() -> dict[str, Any]:
    """torch's z keeps the old state, the lecture's lets the new one in

    torch, and Cho et al. 2014: h = (1 - z) n + z h. The lecture: h = (1 - z) h + z n. That is only
    a name: as sigma(-a) = 1 - sigma(a), negating the rows of z turns one into the other.
    """
    gru = nn.GRU(10, 20)
    W, U, b, d = gru.parameters()
    x, h = torch.randn(3, 10), torch.randn(3, 20)
    x_r, x_z, x_n = (x @ W.T + b).chunk(3, dim=1)
    h_r, h_z, h_n = (h @ U.T + d).chunk(3, dim=1)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n)
    lecture = (1 - z) * h + z * n
    output, _ = gru(x.unsqueeze(0), h.unsqueeze(0))
    assert distance(lecture, output[0]) > 0.01
    negated = {k: torch.cat([v[:20], -v[20:40], v[40:]]) for k, v in gru.state_dict().items()}
    gru.load_state_dict(negated)
    output, _ = gru(x.unsqueeze(0), h.unsqueeze(0))
    assert distance(lecture, output[0]) < 1e-5
    return locals()


def initial_parameters() -> dict[str, Any]:
    """Every weight and bias is drawn from U(-1/sqrt(H), 1/sqrt(H)), H the hidden size

    Whatever the input size, and the biases too. Drawn by hand with the same seed they are the same
    to the last bit.
    """
    torch.manual_seed(1)
    gru = nn.GRU(10, 20, num_layers=2)
    torch.manual_seed(1)
    bound = 20**-0.5
    drawn = [torch.empty_like(p).uniform_(-bound, bound) for p in gru.parameters()]
    assert all(map(torch.equal, gru.parameters(), drawn))
    return locals()


# The same in rnnexp -----------------------------------------------------------------------------


def rnnexps_cell() -> dict[str, Any]:
    """rnnexp's cell GRU is torch's, with transposed weights

    The cell holds the equations of one step. Its weights are stored (input size, 3 * hidden size),
    so that the product of a one-hot input is a row of them.
    """
    gru, cell = nn.GRU(10, 20), cells.GRU(10, 20)
    W, U, b, d = gru.parameters()
    cell.load_state_dict({"input_weight": W.T, "U": U.T, "bias": b, "recurrent_bias": d})
    x = torch.randn(5, 3, 10)
    output, h_n = gru(x)
    (h,) = cell.zero_state(3)
    outputs = []
    for projected in x @ cell.input_weight + cell.bias:
        (h,) = cell(projected, (h,))
        outputs.append(h)
    assert distance(torch.stack(outputs), output) < 1e-5
    assert distance(h, h_n[-1]) < 1e-5
    one_hot = torch.eye(10)[7]
    assert torch.equal(one_hot @ cell.input_weight, cell.input_weight[7])
    return locals()


def rnnexps_lecture_gru() -> dict[str, Any]:
    """rnnexp's cell GRUChung is the lecture's

    The reset gate before the product, and a z that lets the new state in; a bias is added, which
    the lecture leaves out.
    """
    cell = cells.GRUChung(10, 20)
    x, h = torch.randn(3, 10), torch.randn(3, 20)
    projected = x @ cell.input_weight + cell.bias
    x_z, x_r, x_n = projected.chunk(3, dim=1)
    U_z, U_r = cell.U.chunk(2, dim=1)
    z = torch.sigmoid(x_z + h @ U_z)
    r = torch.sigmoid(x_r + h @ U_r)
    n = torch.tanh(x_n + (r * h) @ cell.U_h)
    (following,) = cell(projected, (h,))
    assert distance(following, (1 - z) * h + z * n) < 1e-5
    return locals()


def rnnexps_recurrence() -> dict[str, Any]:
    """rnnexp's TorchRecurrence is nn.GRU, packed where there are lengths

    Of the final states it gives the last layer's, both directions side by side: what a classifier
    reads. A sequence without an element is allowed, and keeps the zero state.
    """
    recurrence = TorchRecurrence(nn.GRU, 10, 20, num_layers=2, bidirectional=True)
    x, lengths = torch.randn(5, 3, 10), torch.tensor([2, 5, 0])
    _, (final,) = recurrence(Features(x, lengths))
    gru = recurrence.layers
    _, h_n = gru(x[:2, 0])
    assert distance(final[0], torch.cat([h_n[-2], h_n[-1]])) < 1e-5
    _, h_n = gru(x[:, 1])
    assert distance(final[1], torch.cat([h_n[-2], h_n[-1]])) < 1e-5
    assert torch.equal(final[2], torch.zeros(40))
    return locals()


Statement = Callable[[], dict[str, Any]]

SECTIONS: dict[str, list[Statement]] = {
    "What goes in, and what comes out": [
        the_lectures_example,
        one_element_at_a_time,
        the_last_output,
        zero_at_first,
        sequences_of_a_batch,
        any_length,
        no_batch_axis,
        no_output_layer,
    ],
    "Which axis is which": [
        swapped_axes,
        batch_first,
        batch_first_and_states,
        transpose_not_view,
    ],
    "Layers and directions": [
        a_stack,
        two_directions,
        layers_in_two_directions,
        order_of_h_n,
        last_output_in_two_directions,
    ],
    "Sequences of different lengths": [
        padding,
        packing,
        a_packed_sequence,
        unsorted_lengths,
        the_longest_sequence,
        without_packing,
        backwards_over_padding,
        a_sequence_of_no_element,
    ],
    "Dropout": [
        dropout_between_layers,
        dropout_of_one_layer,
        dropout_at_every_step,
    ],
    "The state between calls": [
        a_sequence_in_parts,
        detach,
    ],
    "Parameters and equations": [
        parameters,
        parameters_of_grunet,
        equations,
        gru_cell,
        two_biases,
        reset_gate,
        sense_of_z,
        initial_parameters,
    ],
    "The same in rnnexp": [
        rnnexps_cell,
        rnnexps_lecture_gru,
        rnnexps_recurrence,
    ],
}
