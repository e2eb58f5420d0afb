"""Gradient flow equals a product of matrices and autograd on an independent loop, and it does not
change a run by a bit."""

import json
import math
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from rnnexp.callbacks.gradient_flow import (
    GradientFlow,
    cell_name,
    gradient_curves,
    gradient_norms,
    some_sequences,
)
from rnnexp.config import compose, config_dir
from rnnexp.data.text.tokens import TokenBatch
from rnnexp.errors import UserError
from rnnexp.nn.cell import Cell
from rnnexp.nn.cells import Linear
from rnnexp.nn.recurrence import CellRecurrence
from rnnexp.runs.experiment import run
from rnnexp.tasks.classification.task import Classification
from tests.support.networks import EMBEDDINGS, ONE_HOT, classifier, spec_of
from tests.support.shrink import HERE, NO_FIGURES, SYNTHETIC_LOAD, TINY
from tests.support.toy_documents import ToyDocuments, document, fed

FILES = sorted((config_dir() / "model/recurrence").glob("[!_]*.yaml"))
CELLS = [file.stem for file in FILES if "TorchRecurrence" not in file.read_text()]
SMALL = ["model.hidden_size=4", "trainer.max_epochs=2", *HERE, *NO_FIGURES]


def task_of(*overrides: str, **settings: Any) -> Classification:
    network = classifier(*overrides, **settings)
    return Classification(network, spec_of(), torch.optim.SGD)


def layers_of(task: Classification) -> nn.ModuleList:
    return cast(CellRecurrence, task.network.recurrence).layers


def batch_of(*texts: list[int]) -> TokenBatch:
    """Padded sequences of token indices with alternating labels."""
    lengths = torch.tensor([len(one) for one in texts])
    steps = int(lengths.max())
    tokens = torch.tensor([one + [0] * (steps - len(one)) for one in texts])
    label, row = torch.arange(len(texts)) % 2, torch.arange(len(texts))
    return TokenBatch(tokens, None if lengths.min() == steps else lengths, label, row)


# By hand ----------------------------------------------------------------------------------------


def test_the_linear_cell_multiplies_by_its_matrix_at_every_step_back() -> None:
    """dL/dh_{T-k} = dL/dh_T (U^T)^k, and dL/dh_T from the derivative of the softmax."""
    task = task_of("model=rnn", "model/recurrence=linear", ONE_HOT, hidden_size=3)
    cell = cast(Linear, layers_of(task)[0])
    readout = cast(Any, task.network.readout).linear
    tokens = [[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]]
    expected = []
    with torch.no_grad():
        for label, sequence in enumerate(tokens):
            h = torch.zeros(3, dtype=torch.double)
            for token in sequence:
                h = cell.input_weight[token] + cell.bias + h @ cell.U
            probability = torch.softmax(readout(h), dim=0)
            gradient = (
                probability - nn.functional.one_hot(torch.tensor(label), 2)
            ) @ readout.weight
            norms = []
            for _ in sequence:
                norms.append(float(gradient.norm()))
                gradient = gradient @ cell.U.T
            expected.append(norms)
    found = gradient_norms(task, batch_of(*tokens))
    mean = [sum(norms) / 2 for norms in zip(*expected, strict=True)]
    assert found.tolist() == pytest.approx(mean, rel=1e-12)


def test_a_memory_that_never_forgets_has_the_same_gradient_everywhere() -> None:
    """MGU with a closed gate: h_t = h_{t-1}, so the derivative is 1."""
    task = task_of("model=pmgru", EMBEDDINGS, "model.recurrence.forget_bias=100")
    found = gradient_norms(task, batch_of([1, 2, 3, 4, 5, 6]))
    assert found.tolist() == pytest.approx([float(found[0])] * 6, rel=1e-12)
    assert found[0] > 1e-3


def test_small_float32_gradients_are_not_lost_in_their_squares() -> None:
    task = task_of("model=rnn", "model/recurrence=linear", ONE_HOT, hidden_size=2)
    cell = cast(Linear, layers_of(task)[0])
    with torch.no_grad():
        cell.U.copy_(1e-10 * torch.eye(2))
    task.float()
    found = gradient_norms(task, batch_of([1, 2, 3, 4]))
    ratios = found[1:] / found[:-1]
    assert ratios.tolist() == pytest.approx([1e-10] * 3, rel=1e-4)


# Against autograd -------------------------------------------------------------------------------


def by_hand(task: Classification, sequence: list[int], label: int) -> list[float]:
    """The gradient norms of one sequence, the last state first, from a loop over the cell with
    retain_grad on every state. The network's own readout reads the states."""
    network = task.network
    cell = cast(Cell, layers_of(task)[-1])
    x = network.representation(torch.tensor([sequence]), None)
    read = network.readout.run_over(x)
    state, hidden = cell.zero_state(1), []
    for x_t in cell.project(read).unbind(0):
        state = cell(x_t, state)
        state[0].retain_grad()
        hidden.append(state[0])
    output = network.readout(x, torch.stack(hidden), state).squeeze(1)
    loss = -torch.log_softmax(output, dim=-1)[0, label]
    loss.backward()
    norms = [0.0 if h.grad is None else float(h.grad.norm()) for h in reversed(hidden)]
    network.zero_grad()
    return norms


@pytest.mark.parametrize("readout", ["last_hidden", "pooled", "textnet"])
@pytest.mark.parametrize("recurrence", CELLS)
def test_every_cell_with_lengths_against_each_sequence_alone(recurrence: str, readout: str) -> None:
    task = task_of("model=rnn", f"model/recurrence={recurrence}", f"model/readout={readout}",
                   EMBEDDINGS, hidden_size=5)  # fmt: skip
    texts = [[1, 2, 3, 4, 5, 6, 7], [8, 9, 10, 1], [5, 4, 3, 2, 1]]
    alone = [by_hand(task, text, number % 2) for number, text in enumerate(texts)]
    longest = max(map(len, alone))
    assert longest == (6 if readout == "textnet" else 7)
    expected = []
    for distance in range(longest):
        norms = [one[distance] for one in alone if len(one) > distance]
        expected.append(sum(norms) / len(norms))
    batch = batch_of(*texts)
    assert gradient_norms(task, batch).tolist() == pytest.approx(expected, rel=1e-9)
    of_a_longer_one = batch._replace(tokens=nn.functional.pad(batch.tokens, (0, 3)))
    assert gradient_norms(task, of_a_longer_one).tolist() == pytest.approx(expected, rel=1e-9)


def test_of_a_stack_it_is_the_last_layer_and_of_two_directions_the_forward_one() -> None:
    options = ("model=gru", "model/recurrence=gru_cell", EMBEDDINGS)
    stack = task_of(*options, hidden_size=5, num_layers=2)
    both = task_of(*options, hidden_size=5, bidirectional=True)
    batch = batch_of([1, 2, 3, 4])
    for task in (stack, both):
        found: list[Tensor] = []
        layer = layers_of(task)[-1]
        cast(CellRecurrence, task.network.recurrence).asked = "plain"
        hook = layer.register_forward_hook(lambda _, x, state: found.append(state[0]))  # noqa: B023
        loss = task.batch_loss(batch)
        hook.remove()
        expected = [float(g.norm()) for g in torch.autograd.grad(loss, found)]
        assert gradient_norms(task, batch).tolist() == pytest.approx(expected[::-1], rel=1e-12)


# The run does not change ------------------------------------------------------------------------


@pytest.mark.parametrize("recurrence", ["ligru", "gru_cell"])
def test_measuring_leaves_every_module_as_it_was(recurrence: str) -> None:
    task = task_of("model=rnn", f"model/recurrence={recurrence}", "model/readout=textnet",
                   EMBEDDINGS, token_dropout=0.5)  # fmt: skip
    network = task.network.train()
    network.readout.eval()
    batch = batch_of([1, 2, 3, 4], [5, 6, 7])
    task.batch_loss(batch).backward()
    path = network.recurrence.path

    def everything() -> tuple[Any, ...]:
        state = {name: value.clone() for name, value in network.state_dict().items()}
        gradients = {name: p.grad for name, p in network.named_parameters()}
        values = {name: None if g is None else g.clone() for name, g in gradients.items()}
        modes = [module.training for module in network.modules()]
        hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules()]
        paths = (cast(CellRecurrence, network.recurrence).asked, network.recurrence.path)
        return state, values, modes, hooks, paths

    before = everything()
    assert gradient_norms(task, batch).tolist() == gradient_norms(task, batch).tolist()
    after = everything()
    assert before[2:] == after[2:] and after[4] == ("auto", path)
    for old, new in zip(before[:2], after[:2], strict=True):
        assert old.keys() == new.keys()
        for name, value in old.items():
            assert (value is None) == (new[name] is None)
            assert value is None or torch.equal(value, new[name])


def small(*overrides: str) -> DictConfig:
    return compose(
        ["experiment=gating_probe", *SMALL, "data.number=60", "data.distance=6", *overrides]
    )


@pytest.mark.parametrize(
    "overrides",
    [
        ["model/recurrence=ligru", "model/readout=textnet", "logger=none"],
        ["model/recurrence=gru_cell", "model.token_dropout=0.2", "data.vocabulary=train"],
    ],
    ids=["ligru", "gru_cell"],
)
def test_a_run_is_the_same_with_and_without(
    overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    run(small(*overrides), tmp_path / "with")
    run(small(*overrides, "~callbacks.gradient_flow"), tmp_path / "without")
    digests, paths = [], []
    for name in ("with", "without"):
        digests.append(json.loads((tmp_path / name / "digest.json").read_text()))
        paths.append(json.loads((tmp_path / name / "run.json").read_text())["path"])
    assert digests[0] == digests[1] and paths[0] == paths[1]

    curves = pd.read_csv(tmp_path / "with" / "gradient_flow.csv")
    assert list(curves) == ["epochs", "distance", "gradient_norm"]
    assert sorted(curves["epochs"].unique()) == [0, 1, 2]
    assert (curves["gradient_norm"] > 0).all()
    picture = tmp_path / "with" / "figures" / "gradient_flow.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "without" / "gradient_flow.csv").exists()
    if "logger=none" not in overrides:
        events = EventAccumulator(str(tmp_path / "with/tensorboard"), size_guidance={"images": 0})
        steps = [image.step for image in events.Reload().Images("gradient_flow")]
        assert len(steps) == 3 and steps[0] == 0 and steps == sorted(set(steps))


def test_it_is_measured_on_series_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    config = compose(["callbacks=gradient_flow", *TINY, *NO_FIGURES, *SYNTHETIC_LOAD])
    run(config, tmp_path / "run")
    curves = pd.read_csv(tmp_path / "run" / "gradient_flow.csv")
    assert curves.groupby("epochs")["distance"].max().to_dict() == {0: 29, 1: 29}


# Networks that cannot be measured ---------------------------------------------------------------


def refusal(folder: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        run(small("logger=none", *overrides), folder)
    return str(caught.value)


def test_what_cannot_be_measured_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNEXP_CACHE", str(tmp_path / "cache"))
    for name in ("gru", "lstm"):
        torchs = [f"model/recurrence={name}", "~model.recurrence.forget_bias"]
        said = refusal(tmp_path / name, *torchs)
        assert f"torch.nn.{name.upper()} hides them" in said
        assert f"set model/recurrence={name}_cell" in said
    said = refusal(tmp_path / "c", "data.validation_fraction=0", "monitor=null")
    assert "increase data.validation_fraction" in said
    said = refusal(tmp_path / "d", "callbacks.gradient_flow.sequences=0")
    assert "callbacks.gradient_flow.sequences is 0" in said


def test_the_sequences_are_the_same_every_time_and_of_middling_length() -> None:
    known = [document("w " * (1 + number % 9), number % 2) for number in range(80)]
    data = fed(ToyDocuments(["a", "b"], known, known[:2], validation_fraction=0.5))
    first, again = some_sequences(data, 3), some_sequences(data, 3)
    assert torch.equal(first.tokens, again.tokens) and len(first.label) == 3
    assert 4 <= first.tokens.shape[1] <= 6 and first.extra is None


# Figure -----------------------------------------------------------------------------------------


def curves_of(epochs: int, last: float, factor: float = 0.5) -> pd.DataFrame:
    rows = [(e, d, last**e * factor**d) for e in range(epochs + 1) for d in range(4)]
    return pd.DataFrame(rows, columns=["epochs", "distance", "gradient_norm"])


def test_the_figure_has_both_scales_and_leaves_out_what_underflowed() -> None:
    curves = curves_of(2, last=0.1)
    curves.loc[3, "gradient_norm"] = 0
    relative, absolute = gradient_curves(curves, "GRU, 8 units").axes
    assert absolute.get_yscale() == relative.get_yscale() == "log"
    shown = {line.get_label(): cast(list[float], line.get_ydata()) for line in absolute.lines}
    assert list(shown["after 2 epochs"]) == pytest.approx([0.01 * 0.5**d for d in range(4)])
    assert math.isnan(shown["before the training"][3])
    assert list(cast(list[float], relative.lines[-1].get_ydata())) == pytest.approx(
        [1, 0.5, 0.25, 0.125]
    )


def test_every_line_of_the_figure_is_in_its_legend_and_the_cell_in_its_title() -> None:
    for epochs, between in ((1, []), (2, ["after 1 epoch"]), (5, ["after 1 to 4 epochs"])):
        figure = gradient_curves(curves_of(epochs, last=0.1), "GRUChung, 32 units")
        (legend,) = figure.legends
        texts = [text.get_text() for text in legend.get_texts()]
        last = f"after {epochs} epoch{'s' if epochs > 1 else ''}"
        assert texts == ["before the training", *between, last]
        assert cast(Any, figure).get_suptitle().endswith(": GRUChung, 32 units")


def test_two_runs_have_the_same_scales() -> None:
    small, large = (gradient_curves(curves_of(3, last), "").axes for last in (1e-3, 1.0))
    for one, other in zip(small, large, strict=True):
        assert one.get_ylim() == other.get_ylim()
        assert one.get_xlabel() == "steps before the last hidden state, T - t"
    for vanished in gradient_curves(curves_of(3, 1.0, factor=1e-9), "").axes:
        assert vanished.get_ylim() in ((1e-8, 10), (1e-12, 10))
        assert vanished.get_xlabel().endswith(": not shown")
    assert gradient_curves(curves_of(3, 1.0, factor=100), "").axes[0].get_ylim()[1] > 1e6


def test_the_cell_of_a_stack_is_named() -> None:
    options = ("model=gru", "model/recurrence=gru_cell", EMBEDDINGS)
    stack = task_of(*options, hidden_size=5, num_layers=2, bidirectional=True)
    name = cell_name(cast(CellRecurrence, stack.network.recurrence))
    assert name == "GRU, 5 units, last of 2 layers, forward direction"


def test_it_has_at_least_one_sequence() -> None:
    with pytest.raises(UserError, match="must be 1 or more"):
        GradientFlow(sequences=0)
