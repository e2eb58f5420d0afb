"""What one-hot words and Lightning's Trainer cost: all contenders do the same work, and nothing is
written that was measured on a busy machine. No time is tested."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from experiments.speed import harness, machine, one_hot, recording, trainer
from experiments.speed.bars import Bar, judge, read_bars
from experiments.speed.growth import at
from experiments.speed.one_hot import (
    BATCH,
    BYTES,
    DLSTUDIO,
    FULL,
    KEPT,
    LOOP,
    NATIVE,
    SINGLE,
    Measured,
)
from experiments.speed.one_hot_contenders import CLASSES, LITERAL, DrawnDocuments, Ours
from experiments.speed.timing import Stopwatch
from rnnexp.nn.fast.tables import current_rows
from rnnexp.nn.lecture.published import grunet, textnet
from rnnexp.nn.lecture.words import OneHotWords
from rnnexp.process import determinism, memory
from tests.experiments.shrunk import composed, in_this_process, without_pulse

FOLDER = Path(one_hot.__file__).parent
VOCABULARY, HIDDEN = 50, 6
every_network = pytest.mark.parametrize("name", LITERAL)


# The same work ----------------------------------------------------------------------------------


def published(name: str, network: Any) -> dict[str, Tensor]:
    """Our weights as DLStudio, and so the literal loop, names them."""
    return (grunet if name == "GRUnet" else textnet).to_published(network)


def both(name: str) -> tuple[Ours, torch.nn.Module]:
    """Our network and the literal loop at the same weights, in double precision."""
    ours = Ours(name, DrawnDocuments(VOCABULARY, documents=8, longest=12), HIDDEN)
    ours.task.double()
    loop = LITERAL[name](VOCABULARY, HIDDEN, CLASSES).double()
    loop.load_state_dict(published(name, ours.task.network))
    return ours, loop


@pytest.fixture
def double() -> Iterator[None]:
    """The one-hot rows are of the default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@every_network
@pytest.mark.parametrize("words", [[3], [3, 3], [7, 1, 7, 0, 49, 7, 2]])
def test_a_literal_loop_has_our_loss_and_gradients(
    name: str, words: list[int], double: None
) -> None:
    ours, loop = both(name)
    ours.task.eval()  # no dropout: both would draw their own
    loop.eval()
    output, expected = (
        ours.task.network(torch.tensor([words]), None),
        loop(OneHotWords(words, VOCABULARY)),
    )
    torch.testing.assert_close(output, expected)
    functional.nll_loss(output, torch.tensor([1])).backward()
    functional.nll_loss(expected, torch.tensor([1])).backward()

    gradients = {}
    with torch.no_grad():  # in the place of our weights, our gradients can be renamed
        for parameter in ours.task.network.parameters():
            gradient = parameter.grad
            parameter.copy_(torch.zeros(()) if gradient is None else gradient.to_dense())
        gradients = published(name, ours.task.network)
    for layer, parameter in loop.named_parameters():
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(gradients[layer], found)


@every_network
def test_steps_are_those_of_dense_sgd(name: str, double: None) -> None:
    """Forward, backward and optimiser, on several documents one after the other."""
    ours, loop = both(name)
    for module in [*ours.task.modules(), *loop.modules()]:
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    batches = ours.data.batches(1)
    optimizer = torch.optim.SGD(loop.parameters(), lr=1e-5, momentum=0.9)
    assert [(g["lr"], g["momentum"]) for g in ours.optimizer.param_groups] == [(1e-5, 0.9)]
    for group in [*ours.optimizer.param_groups, *optimizer.param_groups]:
        group["lr"] = 0.1
    start = {layer: one.clone() for layer, one in loop.state_dict().items()}
    ours.train(batches)
    for rows in batches:
        document = ours.data.document([rows], 1)
        loss = functional.nll_loss(
            loop(OneHotWords(document.words, VOCABULARY)), torch.tensor([document.label])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (table,) = [one for key, one in ours.task.network.named_parameters() if "input" in key][:1]
    assert not torch.equal(current_rows(table, torch.arange(VOCABULARY)), table)  # it is behind
    ours.optimizer.catch_up()
    found = published(name, ours.task.network)
    for layer, expected in loop.state_dict().items():
        torch.testing.assert_close(found[layer], expected)
        assert not torch.equal(expected, start[layer])


def test_drawn_documents_are_as_long_as_reviews_and_use_frequent_words_most() -> None:
    data = DrawnDocuments(20_030)
    assert data.store.lengths.float().mean() == pytest.approx(120, rel=0.05)
    assert data.store.lengths.float().median() == pytest.approx(84, rel=0.05)
    count = torch.bincount(data.store.tokens, minlength=20_030)
    assert count[0] / count[9] == pytest.approx(10, rel=0.1)  # Zipf's law
    assert count.argmax() == 0
    singles, batches = data.batches(1), data.batches(32)
    assert len(singles) == 1600 and len(batches) == 50
    assert data.words(singles) == data.words(batches) == int(data.store.lengths.sum())
    padded = sum(int(data.store.lengths[rows].max()) * len(rows) for rows in batches)
    assert padded < 1.2 * data.words(batches)
    document = data.document(singles[:32], 60)
    lengths = [int(data.store.lengths[rows]) for rows in singles[:32]]
    assert abs(len(document.words) - 60) == min(abs(length - 60) for length in lengths)


def test_peak_memory_is_that_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "status").write_text("VmPeak:\t  999 kB\nVmHWM:\t   12 kB\nVmRSS:\t 5 kB\n")
    monkeypatch.setattr(memory, "PROC_STATUS", tmp_path / "status")
    assert memory.peak_memory() == 12 * 1024
    monkeypatch.setattr(memory, "PROC_STATUS", tmp_path / "none")
    assert memory.peak_memory() is None


def test_the_lecture_s_largest_network_is_what_memory_is_measured_of() -> None:
    with torch.device("meta"):
        loop = LITERAL["GRUnet"](max(FULL.vocabularies), FULL.hidden, CLASSES)
    assert sum(one.numel() for one in loop.parameters()) == 101_208_066
    assert FULL.vocabularies[1] == 15_000 and FULL.vocabulary == 20_030


@pytest.mark.parametrize("size", trainer.SIZES)
def test_trainer_and_bare_loop_end_at_the_same_weights(
    size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Any] = []
    built = trainer.built

    def remembered(overrides: list[str]) -> tuple[Any, Any, Any]:
        config, data, task = built(overrides)
        tasks.append(task)
        return config, data, task

    without_pulse(monkeypatch)
    monkeypatch.setattr(trainer, "built", remembered)
    monkeypatch.setattr(trainer, "compose", composed)
    tiny = ["data.days=60", "data.number=1", "model.hidden_size=4", "determinism.threads=1"]
    tiny += ["trainer.max_epochs=2"]
    overrides = [*trainer.TRAINING, *trainer.SIZES[size], *tiny]
    times = trainer.measure(overrides, Stopwatch(), rounds=1)
    assert set(times) == {trainer.BARE, trainer.TRAINER, trainer.RUN} and len(times) == 1
    assert len(tasks) == 6
    first, *others = [list(task.network.parameters()) for task in tasks]
    for weights in others:
        for one, expected in zip(weights, first, strict=True):
            assert torch.equal(one, expected)


# Judging ----------------------------------------------------------------------------------------


def measured(single: float = 0.05) -> Measured:
    """Two rounds, in milliseconds a word."""
    at_one = {
        name: pd.DataFrame(
            {LOOP: [20.0] * 2, KEPT: [5.0] * 2, SINGLE: [single] * 2, BATCH: 0.01}
            | {BYTES: [single * 0.4] * 2, NATIVE: [single * 0.5] * 2}
        )
        for name in LITERAL
    }
    along, loops = (
        {
            name: pd.DataFrame({at(name, v): [cost * v**power] * 2 for v in FULL.vocabularies})
            for name in LITERAL
        }
        for cost, power in ((0.05, 0), (0.001, 1))
    )
    return Measured(at_one, along, loops, peak=1_500_000_000)


def test_bars_are_multiples_of_the_published_costs() -> None:
    values = one_hot.values(measured(0.4), FULL)
    bars = {bar.value: bar for bar in read_bars(FOLDER / "expected.yaml", "one-hot")}
    of = [f"{network}, batch 1: DLStudio's cost of a word to ours" for network in LITERAL]
    assert [values[name] for name in of] == pytest.approx([57.5, 57.5, 165])
    assert [bars[name].min for name in of] == [200, 200, 100]
    assert list(judge([bars[name] for name in of], values)[0][""]) == [
        "missed",
        "missed",
        "aim missed",
    ]
    batch = "GRUnet, batch 32: DLStudio's cost of a word to ours"
    assert values[batch] == pytest.approx(6600) and bars[batch].min == 400
    assert bars[batch].verdict(6600) == "met"
    assert bars["TEXTnet, batch 32: DLStudio's cost of a word to ours"].min == 1000
    growth = "GRUnet: a word of 64,350 to one of 15,000"
    assert values[growth] == pytest.approx(1) and bars[growth].max == 1.1
    memory = "GRUnet, 64,350 words: GB of memory"
    assert values[memory] == 1.5 and bars[memory].max == 3
    share = "TEXTnet, batch 1, path=native: share of the bytes' limit"
    assert values[share] == pytest.approx(0.8) and bars[share].verdict(0.55) == "aim missed"
    share = "TEXTnet, batch 1: share of the bytes' limit"
    assert values[share] == pytest.approx(0.4) and bars[share].verdict(0.4) == "aim missed"
    assert len(bars) == 11
    assert DLSTUDIO == {"TEXTnet": 23, "TEXTnetOrder2": 23, "GRUnet": 66}


def test_a_bar_is_met_at_its_bound() -> None:
    at_least, at_most = Bar("a", min=200), Bar("a", max=1.1)
    assert at_least.verdict(200) == "met" and at_least.verdict(199.9) == "missed"
    assert at_most.verdict(1.1) == "met" and at_most.verdict(1.11) == "missed"
    assert Bar("a", min=100, aim=200).verdict(150) == "aim missed"
    assert judge([at_most], {"a": 1.112345})[1] == ["a is 1.112, at most 1.1"]


def test_a_bar_for_what_this_system_cannot_measure_is_left_out() -> None:
    table, missed = judge([Bar("a", max=1), Bar("b", max=1)], {"a": None, "b": 1.0})
    assert list(table["measured"]) == ["b"] and missed == []


# The commands -----------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with its page, on a quiet machine of which nothing is changed."""
    (tmp_path / "README.md").write_text((FOLDER / "README.md").read_text())
    (tmp_path / "expected.yaml").write_text((FOLDER / "expected.yaml").read_text())
    monkeypatch.setattr(harness, "HERE", tmp_path)
    monkeypatch.setattr(machine, "WATCH_SECONDS", 0.0)
    monkeypatch.setattr(determinism, "prepare", lambda **options: None)
    watching(monkeypatch, 0.0)
    return tmp_path


def watching(monkeypatch: pytest.MonkeyPatch, others: float) -> None:
    monkeypatch.setattr(machine.Watch, "others", lambda _: others)


def between(page: Path, name: str) -> str:
    _, _, rest = page.read_text().partition(f"<!-- {name}: begin -->")
    return rest.partition(f"<!-- {name}: end -->")[0]


@pytest.mark.parametrize(("single", "code"), [(0.05, 0), (0.5, 1)])
def test_table_and_figure(
    single: float,
    code: int,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure(sizes: Any, stopwatch: Any) -> Measured:
        stopwatch.pulse += [1.0, 1.0]
        return measured(single)

    monkeypatch.setattr(one_hot, "measure", measure)
    other = between(here / "README.md", "time loop, avx2")
    assert one_hot.main([]) == code
    table = between(here / "README.md", "one-hot")
    row = "| TEXTnet, batch 32 | 0.010 (0.010 to 0.010) | 20.0, 2,000 (2,000 to 2,000) | "
    assert f"{row}5.0, 500 (500 to 500) | 23, 2,300 (2,300 to 2,300) |" in table
    assert "| TEXTnet, literal loop | 5 | 15 | 30 | 64.3 | 4.29 (4.29 to 4.29) |" in table
    assert "is trained in 1.50 GB" in table
    assert between(here / "README.md", "time loop, avx2") == other
    assert (here / "one_hot.png").read_bytes().startswith(b"\x89PNG")
    missed = capsys.readouterr().err
    assert missed.count("study: missed: ") == (2 if code else 0)  # of the GRU an aim alone


def test_what_was_measured_on_a_busy_machine_is_not_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(sizes: Any, stopwatch: Any) -> Measured:
        stopwatch.pulse += [1.0, 1.0]
        watching(monkeypatch, 0.5)
        return measured()

    monkeypatch.setattr(one_hot, "measure", measure)
    before = (here / "README.md").read_text()
    assert one_hot.main([]) == 1
    assert "README.md stays as it is: other processes kept 0.50" in capsys.readouterr().err
    assert (here / "README.md").read_text() == before
    assert not (here / "one_hot.png").exists()


@pytest.mark.parametrize("command", [one_hot, trainer])
def test_a_busy_machine_is_refused_at_once(
    command: ModuleType,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    watching(monkeypatch, 1.5)
    monkeypatch.setattr(command, "measure", None)
    assert command.main([]) == 2
    said = capsys.readouterr().err
    assert "other processes keep 1.5 cores busy" in said and said.count("\n") == 1


def test_quick_really_measures(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """But the processes apart, which take seconds to start, are in this one."""
    apart: dict[str, Any] = {}

    def fresh_process(make: Any, loops: dict[str, tuple[Any, ...]]) -> Any:
        apart.update(loops)
        return in_this_process(make, loops)

    without_pulse(monkeypatch)
    monkeypatch.setattr(one_hot, "fresh_process", fresh_process)
    monkeypatch.setattr(one_hot, "peak_of_training", lambda *sizes: 10**9)
    before = (here / "README.md").read_text()
    assert one_hot.main(["--quick"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for text in ("TEXTnetOrder2,", "GRUnet, literal loop", "trained in 1.00 GB"):
        assert text in said
    assert "What is expected" not in said
    assert set(apart) >= {LOOP, at("GRUnet", 300)}
    assert (here / "README.md").read_text() == before


def test_table_of_the_trainer(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = pd.DataFrame(
        {trainer.BARE: [0.004] * 3, trainer.TRAINER: [0.0042] * 3, trainer.RUN: [0.005] * 3}
    )

    def measure(overrides: Sequence[str], stopwatch: Any, rounds: int) -> pd.DataFrame:
        stopwatch.pulse += [1.0, 1.0]
        return times

    monkeypatch.setattr(trainer, "measure", measure)
    assert trainer.main([]) == 0
    row = "| 4.00 | 4.20: +0.20, +5.0% (+5.0% to +5.0%) | 5.00: +1.00, +25.0% (+25.0% to +25.0%) |"
    assert between(here / "README.md", "trainer").count(row) == len(trainer.SIZES)


@pytest.mark.parametrize(("seconds", "code"), [(5.0, 0), (5.2, 1)])
def test_recording_is_judged_and_not_written(
    seconds: float,
    code: int,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[list[str]] = []

    def train(overrides: list[str], recording: bool) -> float:
        asked.append(overrides)
        return seconds if recording else 5.0

    monkeypatch.setattr(recording, "train", train)
    monkeypatch.setattr(machine, "conditions", lambda others, pulse: ("It was quiet.", ""))
    before = (here / "README.md").read_text()
    assert recording.main(["--rounds", "2", "model.hidden_size=4"]) == code
    assert len(asked) == 6 and asked[0][0] == "experiment=power_load_pmgru"
    assert all(one[-1] == "model.hidden_size=4" for one in asked)
    said = capsys.readouterr()
    assert (
        f"with recording {seconds:.2f} s, without 5.00 s: {20 * (seconds - 5):+.1f} %" in said.out
    )
    missed = "study: missed: time of recording to time of training is 0.040, at most 0.03\n"
    assert said.err == (missed if code else "")
    assert (here / "README.md").read_text() == before
