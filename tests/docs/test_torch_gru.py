"""docs/torch_gru.md: the code of every statement passes, and fails if the statement is false."""

import re
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from tests.support import REPOSITORY

PAGE = (REPOSITORY / "docs" / "torch_gru.md").read_text(encoding="utf-8")
PRELUDE, *_ = re.findall(r"```python\n(.*?)\n```", PAGE, re.DOTALL)
CODE = dict(re.findall(r"#### (.+?)\n\n.+?\n\n```python\n(.*?)\n```", PAGE, re.DOTALL))

# For each statement, a part of its code and a replacement that makes the statement false.
WRONG = {
    "The shapes of the lecture's example": ("h_n.shape == (2, 3, 20)", "h_n.shape == (3, 2, 20)"),
    "One element at a time gives the same result as the whole sequence": (
        "output_t, h = gru(element, h)",
        "output_t, h = gru(element)",
    ),
    "The last output is the last layer's final hidden state": ("h_n[-1]", "h_n[0]"),
    "Without h_0, the hidden state starts at zero in every call": (
        "torch.zeros(2, 3, 20)",
        "torch.ones(2, 3, 20)",
    ),
    "The sequences of a batch are independent": (
        "gru(x[:, 1:2])",
        "gru(x[:, 1:2], h_n[:, :1].contiguous())",
    ),
    "Length and batch size may vary, the input size may not": (
        "last_batch, h_0)",
        "torch.randn(5, 3, 10), h_0)",
    ),
    "A two-dimensional input is one sequence without a batch axis": (
        "x.unsqueeze(1)",
        "x.unsqueeze(0)",
    ),
    "The outputs are hidden states, between -1 and 1": (
        "output, h_n = gru(x)",
        "output, h_n = gru(x, 3 * torch.ones(2, 3, 20))",
    ),
    "Swapping batch and sequence raises no error": ("5 * 3 - 1", "5 * 3 - 3"),
    "batch_first swaps the first two axes of input and output": (
        "gru(x.transpose(0, 1))",
        "gru(x.view(5, 3, 10))",
    ),
    "batch_first does not apply to h_0 and h_n": ("x, h_0.transpose(0, 1))", "x, h_0)"),
    "transpose swaps axes; view mixes the sequences": (
        "h_n.transpose(0, 1).reshape(3, 40)",
        "h_n.reshape(3, 40)",
    ),
    "The second layer reads the outputs of the first": (
        'one_layer(gru, "_l1")(lower)',
        'one_layer(gru, "_l1")(lower.flip(0))',
    ),
    "Bidirectional is a second GRU that reads the sequence backwards": (
        "backward.flip(0)",
        "backward",
    ),
    "Each direction of the second layer reads both directions of the first": (
        "torch.cat([forward, backward.flip(0)], dim=-1)",
        "torch.cat([forward, forward], dim=-1)",
    ),
    "h_n is ordered by layer, then by direction": (
        "h_n.view(2, 2, 3, 20)",
        "h_n.view(2, 2, 3, 20).transpose(0, 1)",
    ),
    "With two directions, the last output is not the final state": (
        "output[-1, :, 20:]",
        "output[-1, :, :20]",
    ),
    "Padding changes the final state": ("output, h_n = gru(x)", "output, h_n = gru(x[:2])"),
    "Packing removes the effect of padding": (
        "pack_padded_sequence(x, lengths)",
        "pack_padded_sequence(x, lengths * 0 + 5)",
    ),
    "A packed sequence lists the elements step by step, with a batch size for each step": (
        "[3, 3, 2, 1, 1]",
        "[5, 3, 2]",
    ),
    "Unsorted lengths need only enforce_sorted=False": (
        "h_n[:, 0]",
        "h_n[:, 2]",
    ),
    "Unpacked outputs are as long as the longest sequence of the batch": (", total_length=5", ""),
    "With one direction, the final state can be indexed in the padded outputs": (
        "output[lengths - 1, torch.arange(3)]",
        "output[-1]",
    ),
    "The backward direction reads the padding first": (
        "pad_sequence([long, short])",
        "torch.stack([short, short], dim=1)",
    ),
    "An empty sequence cannot be packed": ("[5, 3, 0]", "[5, 3, 1]"),
    "Dropout is applied between layers, not after the last layer": (
        "(torch.zeros(5, 3, 20))",
        "(torch.ones(5, 3, 20))",
    ),
    "With one layer, dropout does nothing, and torch warns": (
        "torch.equal(trained, evaluated)",
        "trained.eq(0).any()",
    ),
    "Every element of the sequence has a new dropout mask": (
        "(lower, 0.5)",
        "(lower[:1].expand(5, 3, 20), 0.5)",
    ),
    "A sequence can be processed in chunks if the state is passed on": (
        "gru(x[2:], h)",
        "gru(x[2:])",
    ),
    "A state that is passed on keeps its graph until it is detached": (
        "gru(second, h)",
        "gru(second, h.detach())",
    ),
    "Every layer and direction has two weights and two biases": ("(20 + 20 + 2)", "(20 + 20 + 1)"),
    "The parameter counts of the lecture": ("num_layers=2", "num_layers=2, bias=False"),
    "The three blocks are r, z and n, in this order": ("x_r, x_z, x_n =", "x_z, x_r, x_n ="),
    "nn.GRUCell is one step of one layer": ("h = cell(x_t, h)", "h = cell(x_t)"),
    "The second bias matters only in the candidate": (
        "d[:40], torch.zeros(20)",
        "torch.zeros(40), d[40:]",
    ),
    "torch applies the reset gate after the product with U, the lecture before": (
        "before = torch.tanh(x @ W_n.T + (r * h) @ U_n.T)",
        "before = after",
    ),
    "torch's z weights the old state, the lecture's z weights the candidate": (
        "-v[20:40]",
        "v[20:40]",
    ),
    "Every weight and bias is drawn from U(-1/sqrt(H), 1/sqrt(H)) for hidden size H": (
        "20**-0.5",
        "30**-0.5",
    ),
    "rnnexp's cell GRU is torch's GRU with transposed weights": (
        "(h,) = cell(projected, (h,))",
        "(h,) = cell(projected, (h.relu(),))",
    ),
    "rnnexp's cell GRUChung is the lecture's GRU": ("(r * h) @ cell.U_h", "r * (h @ cell.U_h)"),
    "rnnexp's TorchRecurrence is nn.GRU, packed if there are lengths": (
        "torch.tensor([2, 5, 0])",
        "torch.tensor([3, 5, 0])",
    ),
}


def test_every_statement_has_code() -> None:
    assert len(CODE) == PAGE.count("\n#### ") == PAGE.count("```python") - 1
    assert set(WRONG) == set(CODE)


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_every_statement_is_true(code: str) -> None:
    random = torch.get_rng_state()
    run(code)
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("title", CODE)
def test_every_statement_has_a_wrong_twin_that_fails(title: str) -> None:
    """The twin differs in one part of the code only, so nothing else makes it fail."""
    right, wrong = WRONG[title]
    assert right in CODE[title]
    with pytest.raises(AssertionError):
        run(CODE[title].replace(right, wrong))


class StatesInAnotherOrder(nn.GRU):
    def forward(self, *arguments: Any) -> Any:
        output, h_n = super().forward(*arguments)
        return output, h_n.flip(0)


class ForgetsTheFirstState(nn.GRU):
    def forward(self, x: Any, h_0: Any = None) -> Any:
        return super().forward(x)


class DropsAfterTheLastLayer(nn.GRU):
    def forward(self, *arguments: Any) -> Any:
        output, h_n = super().forward(*arguments)
        if isinstance(output, Tensor):
            output = nn.functional.dropout(output, self.dropout, self.training)
        return output, h_n


@pytest.mark.parametrize(
    ("broken", "title"),
    [
        (StatesInAnotherOrder, "The last output is the last layer's final hidden state"),
        (ForgetsTheFirstState, "One element at a time gives the same result as the whole sequence"),
        (DropsAfterTheLastLayer, "Dropout is applied between layers, not after the last layer"),
    ],
)
def test_another_torch_is_noticed(
    broken: type[nn.GRU], title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn, "GRU", broken)
    with pytest.raises(AssertionError):
        run(CODE[title])


# The page's code --------------------------------------------------------------------------------


def run(code: str, trace: Callable[..., Any] | None = None) -> None:
    """Run the code of a statement after the common prelude."""
    namespace: dict[str, Any] = {"__name__": "page"}
    with torch.random.fork_rng(devices=[]):
        exec(PRELUDE, namespace)
        compiled = compile(code, "<page>", "exec")
        before = sys.gettrace()
        sys.settrace(trace or before)
        try:
            exec(compiled, namespace)
        finally:
            sys.settrace(before)


@pytest.mark.parametrize("code", CODE.values(), ids=CODE)
def test_the_shapes_are_those_after_each_line(code: str) -> None:
    """Also in every iteration of a loop."""
    stated = {
        number: shapes_in(comment)
        for number, line in enumerate(code.splitlines(), start=1)
        if (comment := line.partition("  # ")[2])
    }
    seen: dict[int, list[dict[str, str]]] = {}
    line_before = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal line_before
        if frame.f_code.co_filename != "<page>" or frame.f_code.co_name != "<module>":
            return None
        if line_before in stated and event in ("line", "return"):
            found = {name: shape_of(name, frame.f_locals) for name in stated[line_before]}
            seen.setdefault(line_before, []).append(found)
        line_before = frame.f_lineno
        return trace

    run(code, trace)
    assert set(seen) == set(stated)
    assert all(found == stated[line] for line in stated for found in seen[line])


def test_shapes_stand_beside_the_lines_that_make_them() -> None:
    of_the_lecture = CODE["The shapes of the lecture's example"].splitlines()
    assert "output, h_n = gru(x, h_0)  # output (5, 3, 20), h_n (2, 3, 20)" in of_the_lecture
    title = "One element at a time gives the same result as the whole sequence"
    stepping = CODE[title].splitlines()
    assert "for element in x.split(1):  # element (1, 3, 10)" in stepping
    assert max(len(line) for code in CODE.values() for line in code.splitlines()) <= 100


def shapes_in(comment: str) -> dict[str, str]:
    """`x, h (3, 20), z (5,)` as {x: (3, 20), h: (3, 20), z: (5,)}."""
    groups = re.findall(r"((?:[\w.]+, )*[\w.]+) (\([^)]*\))", comment)
    return {name: shape for names, shape in groups for name in names.split(", ")}


def shape_of(name: str, variables: dict[str, Any]) -> str:
    value = variables[name.removesuffix(".data")]
    assert isinstance(value, PackedSequence) == name.endswith(".data")
    return str(tuple(value.data.shape))
