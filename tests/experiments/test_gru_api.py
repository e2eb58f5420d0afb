"""What nn.GRU does: every statement can fail, a wrong one is named, and the page is today's."""

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from experiments import study as studies
from experiments.gru_api import statements, study

FOLDER = Path(study.__file__).parent
PAGE = (FOLDER / "README.md").read_text()
PRELUDE, *_ = re.findall(r"```python\n(.*?)\n```", PAGE, re.DOTALL)
CODE = dict(re.findall(r"#### (.+?)\n\n.+?\n\n```python\n(.*?)\n```", PAGE, re.DOTALL))
STATEMENTS = [one for section in statements.SECTIONS.values() for one in section]

# One part of each statement's code, and what makes the statement a wrong one.
WRONG = {
    "the_lectures_example": ("h_n.shape == (2, 3, 20)", "h_n.shape == (3, 2, 20)"),
    "one_element_at_a_time": ("output_t, h = gru(element, h)", "output_t, h = gru(element)"),
    "the_last_output": ("h_n[-1]", "h_n[0]"),
    "zero_at_first": ("torch.zeros(2, 3, 20)", "torch.ones(2, 3, 20)"),
    "sequences_of_a_batch": ("gru(x[:, 1:2])", "gru(x[:, 1:2], h_n[:, :1].contiguous())"),
    "any_length": ("last_batch, h_0)", "torch.randn(5, 3, 10), h_0)"),
    "no_batch_axis": ("x.unsqueeze(1)", "x.unsqueeze(0)"),
    "no_output_layer": ("output, h_n = gru(x)", "output, h_n = gru(x, 3 * torch.ones(2, 3, 20))"),
    "swapped_axes": ("5 * 3 - 1", "5 * 3 - 3"),
    "batch_first": ("gru(x.transpose(0, 1))", "gru(x.view(5, 3, 10))"),
    "batch_first_and_states": ("x, h_0.transpose(0, 1))", "x, h_0)"),
    "transpose_not_view": ("h_n.transpose(0, 1).reshape(3, 40)", "h_n.reshape(3, 40)"),
    "a_stack": ('alone(gru, "_l1")(lower)', 'alone(gru, "_l1")(lower.flip(0))'),
    "two_directions": ("backward.flip(0)", "backward"),
    "layers_in_two_directions": (
        "torch.cat([forward, backward.flip(0)], dim=-1)",
        "torch.cat([forward, forward], dim=-1)",
    ),
    "order_of_h_n": ("h_n.view(2, 2, 3, 20)", "h_n.view(2, 2, 3, 20).transpose(0, 1)"),
    "last_output_in_two_directions": ("output[-1, :, 20:]", "output[-1, :, :20]"),
    "padding": ("output, h_n = gru(x)", "output, h_n = gru(x[:2])"),
    "packing": ("pack_padded_sequence(x, lengths)", "pack_padded_sequence(x, lengths * 0 + 5)"),
    "a_packed_sequence": ("[3, 3, 2, 1, 1]", "[5, 3, 2]"),
    "unsorted_lengths": ("h_n[:, 0]", "h_n[:, 2]"),
    "the_longest_sequence": (", total_length=5", ""),
    "without_packing": ("output[lengths - 1, torch.arange(3)]", "output[-1]"),
    "backwards_over_padding": ("pad_sequence([long, short])", "torch.stack([short, short], dim=1)"),
    "a_sequence_of_no_element": ("[5, 3, 0]", "[5, 3, 1]"),
    "dropout_between_layers": ("(torch.zeros(5, 3, 20))", "(torch.ones(5, 3, 20))"),
    "dropout_of_one_layer": ("torch.equal(trained, evaluated)", "trained.eq(0).any()"),
    "dropout_at_every_step": ("(lower, 0.5)", "(lower[:1].expand(5, 3, 20), 0.5)"),
    "a_sequence_in_parts": ("gru(x[2:], h)", "gru(x[2:])"),
    "detach": ("gru(second, h)", "gru(second, h.detach())"),
    "parameters": ("(20 + 20 + 2)", "(20 + 20 + 1)"),
    "parameters_of_grunet": ("num_layers=2", "num_layers=2, bias=False"),
    "equations": ("x_r, x_z, x_n =", "x_z, x_r, x_n ="),
    "gru_cell": ("h = cell(x_t, h)", "h = cell(x_t)"),
    "two_biases": ("d[:40], torch.zeros(20)", "torch.zeros(40), d[40:]"),
    "reset_gate": ("before = torch.tanh(x @ W_n.T + (r * h) @ U_n.T)", "before = after"),
    "sense_of_z": ("-v[20:40]", "v[20:40]"),
    "initial_parameters": ("20**-0.5", "30**-0.5"),
    "rnnexps_cell": ("(h,) = cell(projected, (h,))", "(h,) = cell(projected, (h.relu(),))"),
    "rnnexps_lecture_gru": ("(r * h) @ cell.U_h", "r * (h @ cell.U_h)"),
    "rnnexps_recurrence": ("torch.tensor([2, 5, 0])", "torch.tensor([3, 5, 0])"),
}


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A README whose page is old, where the study writes."""
    monkeypatch.setattr(study, "HERE", tmp_path)
    path = tmp_path / "README.md"
    before, _, rest = PAGE.partition(studies.BEGIN)
    after = rest.partition(studies.END)[2]
    path.write_text(f"{before}{studies.BEGIN}\nold\n{studies.END}{after}")
    return path


def test_every_statement_is_true_and_the_page_is_todays(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = torch.get_rng_state()
    assert study.main([]) == 0
    assert torch.equal(torch.get_rng_state(), random)
    version = re.compile(r"true with torch \S+\.")
    assert version.sub("", page.read_text()) == version.sub("", PAGE)
    assert capsys.readouterr().out.count("  true   ") == len(STATEMENTS) == len(CODE)


def test_every_statement_is_in_a_section() -> None:
    functions = inspect.getmembers(statements, inspect.isfunction)
    checks = [f for _, f in functions if f.__module__ == statements.__name__ and not arguments(f)]
    assert set(checks) == set(STATEMENTS)
    assert len(checks) == len(STATEMENTS)


def arguments(function: Callable[..., Any]) -> int:
    return len(inspect.signature(function).parameters)


# Wrong statements -------------------------------------------------------------------------------


def false_statement() -> dict[str, Any]:
    """The batch comes first

    In the final state.
    """
    _, h_n = nn.GRU(10, 20, num_layers=2)(torch.randn(5, 3, 10))
    assert h_n.shape == (3, 2, 20)
    return locals()


def refused_statement() -> dict[str, Any]:
    """Any input size will do

    Torch does not agree.
    """
    output, _ = nn.GRU(10, 20)(torch.randn(5, 3, 11))
    return locals()


def test_wrong_statements_are_code_1_and_named_and_nothing_is_written(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = {"Wrong": [false_statement, refused_statement]}
    monkeypatch.setattr(statements, "SECTIONS", statements.SECTIONS | planted)
    before = page.read_text()
    assert study.main([]) == 1
    said = capsys.readouterr()
    assert "stays as it is; wrong: The batch comes first; Any input size will do\n" in said.err
    assert "assert h_n.shape == (3, 2, 20)" in said.err  # the line
    assert "  WRONG  The batch comes first\n" in said.out
    assert said.out.count("  true   ") == len(STATEMENTS)
    assert page.read_text() == before


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda one: one.__name__)
def test_every_statement_has_a_wrong_twin_that_fails(statement: statements.Statement) -> None:
    """Not for another reason: the code is the page's, and one part of it is another."""
    right, wrong = WRONG[statement.__name__]
    code = CODE[study.title(statement)]
    assert right in code
    run(code)
    with pytest.raises(AssertionError):
        run(code.replace(right, wrong))


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
    ("broken", "noticed"),
    [
        (StatesInAnotherOrder, "The last output is the last layer's final hidden state"),
        (ForgetsTheFirstState, "One element at a time is the same as the whole sequence at once"),
        (DropsAfterTheLastLayer, "Dropout acts between the layers, and not after the last"),
    ],
)
def test_another_torch_is_noticed(
    broken: type[nn.GRU],
    noticed: str,
    page: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(nn, "GRU", broken)
    before = page.read_text()
    assert study.main([]) == 1
    assert noticed in capsys.readouterr().err.splitlines()[-1]
    assert page.read_text() == before


def test_without_assertions_nothing_is_called_true(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "flags", SimpleNamespace(optimize=1))
    before = page.read_text()
    assert study.main([]) == 2
    said = capsys.readouterr()
    assert (said.out, page.read_text()) == ("", before)
    assert "python -O leaves the assertions out" in said.err


# The page's code --------------------------------------------------------------------------------


def run(code: str, trace: Callable[..., Any] | None = None) -> None:
    """A statement's code, behind what each begins with."""
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
    """In every round of a loop."""
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
    stepping = CODE["One element at a time is the same as the whole sequence at once"].splitlines()
    assert "for element in x.split(1):  # element (1, 3, 10)" in stepping
    # `ruff format` formats code in Markdown as well: a longer line would no longer be the study's.
    assert max(len(line) for code in CODE.values() for line in code.splitlines()) <= 100


def shapes_in(comment: str) -> dict[str, str]:
    """`x, h (3, 20), z (5,)` as {x: (3, 20), h: (3, 20), z: (5,)}."""
    groups = re.findall(r"((?:[\w.]+, )*[\w.]+) (\([^)]*\))", comment)
    return {name: shape for names, shape in groups for name in names.split(", ")}


def shape_of(name: str, variables: dict[str, Any]) -> str:
    value = variables[name.removesuffix(".data")]
    assert isinstance(value, PackedSequence) == name.endswith(".data")
    return str(tuple(value.data.shape))
