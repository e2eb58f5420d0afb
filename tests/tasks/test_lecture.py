"""The lecture's literal networks can be trained: at every step they equal the fast networks, and
their runs are recorded and repeated like any others."""

import inspect
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from rnnexp.cli import main
from rnnexp.config import check, compose
from rnnexp.errors import UserError
from rnnexp.nn.lecture.published import char_rnn, grunet, pmgru, textnet
from rnnexp.nn.lecture.textnet import TEXTnet
from rnnexp.optim.rows import RowOptimizer
from rnnexp.runs.build import build_data, build_task
from tests.support import REPOSITORY
from tests.support.networks import EMBEDDINGS
from tests.support.shrink import NO_FIGURES, TINY

# The commands of docs/lecture.md, on small synthetic data.
REVIEWS = ["data=synthetic_reviews", "data.per_class=10"]
COMMANDS = {
    "textnet": ["experiment=sentiment_textnet_onehot", *REVIEWS],
    "textnet_order2": ["experiment=sentiment_textnet_order2_onehot", *REVIEWS],
    "grunet": ["experiment=sentiment_gru_onehot", *REVIEWS],
    "char_rnn": [
        *("experiment=names_char_rnn", "data=synthetic_names", "data.number=10"),
        "data.iterations=20",
    ],
    "pmgru": [
        *("experiment=power_load_pmgru_lecture", "data=synthetic_load", "data.number=1"),
        *("data.days=30", "data.look_back=12", "data.batch_size=64"),
    ],
}
TRANSLATIONS: dict[str, ModuleType] = {
    "textnet": textnet,
    "textnet_order2": textnet,
    "grunet": grunet,
    "char_rnn": char_rnn,
    "pmgru": pmgru,
}


def in_double(batch: Any) -> Any:
    def convert(tensor: Any) -> Any:
        return tensor.double() if torch.is_tensor(tensor) and tensor.is_floating_point() else tensor

    return type(batch)(*map(convert, batch))


def losses(task: Any, optimizer: torch.optim.Optimizer, batches: list[Any]) -> Iterator[float]:
    for batch in batches:
        loss = task.batch_loss(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item()


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        *((name, []) for name in COMMANDS),
        *((name, [EMBEDDINGS]) for name in ("textnet", "textnet_order2", "grunet")),
    ],
)
def test_ten_steps_are_those_of_the_fast_network(name: str, overrides: list[str]) -> None:
    """On batches of several sequences of different lengths, in double precision."""
    settings = ["model.hidden_size=6", "optimizer=sgd", "optimizer.lr=0.1", "data.batch_size=4"]
    if name.startswith("textnet"):
        settings.append("model.readout.dropout=0")
    command = [*COMMANDS[name], *settings, *overrides]
    fast_config, literal_config = compose(command), compose([*command, f"model=lecture/{name}"])
    data = build_data(fast_config)
    batches = [in_double(batch) for batch in islice(data.train_dataloader(), 10)]
    assert len(batches) == 10

    fast = build_task(fast_config, data).double()
    literal = build_task(literal_config, data).double()
    network: Any = literal.network.literal
    translation = TRANSLATIONS[name]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(2)
    translation.load_published(fast.network, network.state_dict())
    optimizers = [task.configure_optimizers() for task in (fast, literal)]
    found = list(losses(literal, optimizers[1], batches))
    expected = list(losses(fast, optimizers[0], batches))
    assert found == pytest.approx(expected, rel=0, abs=1e-10)
    assert len(set(found)) == 10  # the steps changed something

    if isinstance(optimizers[0], RowOptimizer):
        optimizers[0].catch_up()
    for layer, weight in translation.to_published(fast.network).items():
        torch.testing.assert_close(network.state_dict()[layer], weight, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", COMMANDS)
def test_both_start_at_the_same_weights(name: str) -> None:
    command = [*COMMANDS[name], "model.hidden_size=6"]
    data = build_data(compose(command))
    fast = build_task(compose(command), data)
    literal: Any = build_task(compose([*command, f"model=lecture/{name}"]), data)
    weights = TRANSLATIONS[name].to_published(fast.network)
    assert weights.keys() == literal.network.literal.state_dict().keys()
    for layer, weight in literal.network.literal.state_dict().items():
        assert torch.equal(weight, weights[layer])


@pytest.mark.parametrize("name", COMMANDS)
def test_a_run_is_recorded_and_repeated(
    name: str, empty_folder: Path, capfd: pytest.CaptureFixture
) -> None:
    command = ["train", *COMMANDS[name], f"model=lecture/{name}", *TINY, *NO_FIGURES]
    assert main([*command, "trainer.limit_train_batches=10"]) == 0
    [folder] = empty_folder.glob("outputs/*/*")
    assert main(["rerun", str(folder)]) == 0
    assert "verdict       identical:" in capfd.readouterr().out
    assert main(["test", str(folder)]) == 0
    assert "to the bit" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("name", "override", "sentence"),
    [
        ("textnet", "model.bidirectional=true", "defined for one layer and one direction"),
        ("textnet", "model/readout=pooled", "neither DLStudio's TEXTnet nor its TEXTnetOrder2"),
        ("textnet", "model.readout.middle=50", "has 50 units, but the lecture's has 100"),
        ("textnet", "model.literal=grunet", "the network is not DLStudio's GRUnet"),
        ("grunet", "model.readout.dropout=0.5", "GRUnet has no dropout before its output"),
        ("char_rnn", "model/recurrence=vanilla", "char RNN has no tanh around h_t"),
        ("pmgru", "model.target=change", "target 'level', one layer of MGU"),
        ("pmgru", "data/chunking=every_step data.batch_size=2", "set data/chunking=running_basis"),
    ],
)
def test_what_is_not_on_the_slide_is_refused(name: str, override: str, sentence: str) -> None:
    settings = [f"model=lecture/{name}", "model.hidden_size=6", *override.split()]
    config = compose([*COMMANDS[name], *settings])
    data = build_data(config)
    with pytest.raises(UserError, match=sentence):
        build_task(config, data)


@pytest.mark.parametrize("name", ["textnet", "char_rnn"])
def test_a_text_network_says_that_it_needs_texts(name: str) -> None:
    config = compose([f"model=lecture/{name}", "data.days=40", "data.number=1"])
    check(config)
    data = build_data(config)
    with pytest.raises(UserError, match=f"network {name} reads documents: choose an"):
        build_task(config, data)


def test_the_page_has_these_networks_and_the_line_of_the_loop() -> None:
    page = (REPOSITORY / "docs" / "lecture.md").read_text(encoding="utf-8")
    for name, (experiment, *_) in COMMANDS.items():
        cells = (f"`{name}.py`", f"`{experiment.partition('=')[2]}`", f"`model=lecture/{name}`")
        assert f"| {' | '.join(cells)} |" in page
    lines = Path(inspect.getfile(TEXTnet)).read_text(encoding="utf-8").splitlines()
    stops = [int(line) for line in re.findall(r"b rnnexp/nn/lecture/textnet.py:(\d+)", page)]
    assert [lines[stop - 1].split()[0] for stop in stops] == ["h", "return"]
    assert lines[stops[0] - 2].strip().startswith("for t in")
    assert f"Line {stops[0]} of `textnet.py`" in page
