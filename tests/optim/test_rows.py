"""Optimisers of rows against torch's on dense gradients."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils._python_dispatch import TorchDispatchMode

from rnnexp.nn.fast.tables import lookup
from rnnexp.optim import idle, rows
from rnnexp.optim.schedules import Cosine

VOCABULARY, SIZE, STEPS = 200, 3, 300
Read = Callable[[Tensor, Tensor], Tensor]
Schedule = Callable[[Optimizer], Any]


@pytest.fixture(autouse=True)
def _short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a run has many of them, and rows lie idle over several."""
    monkeypatch.setattr(idle, "BLOCK", 40)


def dense(table: Tensor, indices: Tensor) -> Tensor:
    """As `lookup`, with a dense gradient."""
    return functional.embedding(indices, table)


def new_table(dtype: torch.dtype = torch.double, seed: int = 0) -> nn.Parameter:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(VOCABULARY, SIZE, generator=generator, dtype=torch.double)
    return nn.Parameter(values.to(dtype))


def batches(steps: int, seed: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    """Words of which most are rare, and where their rows are drawn to."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        words = (VOCABULARY * torch.rand(4, generator=generator) ** 6).long()
        yield words, torch.randn(4, SIZE, generator=generator, dtype=torch.double)


def loss(read: Tensor, drawn_to: Tensor) -> Tensor:
    return ((read - drawn_to.to(read.dtype)) ** 2).sum() / 2


def one_step(
    optimizer: Optimizer, table: nn.Parameter, read: Read, words: Tensor, drawn_to: Tensor
) -> None:
    optimizer.zero_grad()
    loss(read(table, words), drawn_to).backward()
    optimizer.step()


def train(
    optimizer: Optimizer,
    table: nn.Parameter,
    read: Read,
    schedule: Schedule | None = None,
    steps: int = STEPS,
) -> Tensor:
    """The table after so many steps, at each of which most of its rows are not in use."""
    scheduler = schedule(optimizer) if schedule else None
    for batch in batches(steps):
        one_step(optimizer, table, read, *batch)
        if scheduler:
            scheduler.step()
    if isinstance(optimizer, rows.RowOptimizer):
        optimizer.catch_up()
    return table.detach()


def difference(ours: Tensor, theirs: Tensor) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


class ForgetfulSGD(rows.SGD):
    """The control: the steps at which a row was not in use are forgotten."""

    def _step_rows(self, table: Tensor, *step: Any) -> None:
        super()._step_rows(table, *step)
        self._idle[table].used(torch.arange(len(table)))


class ForgetfulAdam(rows.Adam):
    """The control: what torch calls SparseAdam."""

    def _step_rows(self, table: Tensor, *step: Any) -> None:
        super()._step_rows(table, *step)
        self._idle[table].used(torch.arange(len(table)))


# SGD --------------------------------------------------------------------------------------------

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "long momentum": {"momentum": 0.99},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "decay": {"weight_decay": 0.01},
    "momentum and decay": {"momentum": 0.9, "weight_decay": 0.01},
    "nesterov and decay": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "dampening and decay": {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.01},
    "maximize": {"momentum": 0.9, "maximize": True, "lr": 1e-4},
}
SCHEDULES: dict[str, Schedule | None] = {
    "constant": None,
    "cosine": lambda optimizer: Cosine(optimizer, steps=STEPS),
    # of the momentum too
    "one cycle": lambda optimizer: OneCycleLR(optimizer, max_lr=0.02, total_steps=STEPS + 1),
}
TOLERANCES = [(torch.double, 1e-12), (torch.float, 1e-5)]
CASES = [(name, "cosine") for name in SETTINGS] + [
    ("momentum and decay", "constant"),
    ("nesterov and decay", "one cycle"),
]


def compare(
    kind: type[rows.SGD], settings: dict[str, Any], dtype: torch.dtype, schedule: Schedule | None
) -> float:
    """How far a table is from torch's after the same training."""
    settings = {"lr": 0.02, **settings}
    ours, theirs = new_table(dtype), new_table(dtype)
    result = train(kind([ours], **settings), ours, lookup, schedule)
    expected = train(torch.optim.SGD([theirs], **settings), theirs, dense, schedule)
    return difference(result, expected)


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize(("name", "schedule"), CASES)
def test_sgd(name: str, schedule: str, dtype: torch.dtype, tolerance: float) -> None:
    assert compare(rows.SGD, SETTINGS[name], dtype, SCHEDULES[schedule]) < tolerance


@pytest.mark.parametrize(
    ("name", "schedule"), [case for case in CASES if case[0] not in ("plain", "maximize")]
)
def test_without_catching_up_the_same_test_fails(name: str, schedule: str) -> None:
    assert compare(ForgetfulSGD, SETTINGS[name], torch.double, SCHEDULES[schedule]) > 1e-3


def test_sgd_in_blocks_as_long_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert idle.BLOCK > STEPS
    settings = SETTINGS["momentum and decay"]
    assert compare(rows.SGD, settings, torch.double, SCHEDULES["cosine"]) < 1e-12


def test_the_state_of_every_row_is_torchs_too() -> None:
    ours, theirs = new_table(), new_table()
    settings = {"lr": 0.02, **SETTINGS["momentum and decay"]}
    optimizer, reference = rows.SGD([ours], **settings), torch.optim.SGD([theirs], **settings)
    train(optimizer, ours, lookup)
    train(reference, theirs, dense)
    momentum = optimizer.state[ours]["momentum_buffer"]
    assert difference(momentum, reference.state[theirs]["momentum_buffer"]) < 1e-12


def test_momentum_that_comes_and_goes() -> None:
    results = []
    for kind, read in ((rows.SGD, lookup), (torch.optim.SGD, dense)):
        table = new_table()
        optimizer = kind([table], lr=0.02, weight_decay=0.01)
        for number, batch in enumerate(batches(90)):
            optimizer.param_groups[0]["momentum"] = 0.9 if number // 30 == 1 else 0.0
            one_step(optimizer, table, read, *batch)
        if isinstance(optimizer, rows.RowOptimizer):
            optimizer.catch_up()
        results.append(table.detach())
    assert difference(*results) < 1e-12


# What lies idle ---------------------------------------------------------------------------------


def test_rows_idle_for_very_long() -> None:
    """Where powers of the momentum are zero even in double precision, and nothing else is."""
    lr, momentum, steps = 0.02, 0.9, 10_000
    table = new_table()
    optimizer = rows.SGD([table], lr=lr, momentum=momentum)
    pushed = torch.tensor([3])
    lookup(table, pushed).sum().backward()  # the gradient is 1
    optimizer.step()
    start = table.detach()[3].clone()
    optimizer.zero_grad(set_to_none=False)  # now no row is in use
    for _ in range(steps):
        optimizer.step()
    expected = start - lr * momentum / (1 - momentum)
    torch.testing.assert_close(lookup(table, pushed)[0], expected, rtol=1e-13, atol=0)


def test_what_is_kept_does_not_grow_with_the_steps() -> None:
    sizes = []
    for steps in (200, 2000):
        table = new_table()
        optimizer = rows.SGD([table], lr=0.02, momentum=0.9)
        for batch in batches(steps):
            one_step(optimizer, table, lookup, *batch)
        state = optimizer.state_dict()["state"][0]["idle"]
        sizes.append(sum(t.numel() for t in state.values() if isinstance(t, Tensor)))
    assert max(sizes) <= VOCABULARY * 5 + (idle.BLOCK + 1) * 4
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("kind", [rows.SGD, rows.Adam])
def test_a_row_that_was_never_touched_keeps_its_bits(kind: type[rows.RowOptimizer]) -> None:
    table = new_table(torch.float)
    before = table.detach().clone()
    optimizer = kind([table], lr=0.02, **({"momentum": 0.9} if kind is rows.SGD else {}))
    train(optimizer, table, lookup)
    touched = torch.cat([words for words, _ in batches(STEPS)]).unique()
    idle_rows = torch.ones(VOCABULARY, dtype=torch.bool).index_fill_(0, touched, False)
    assert 0 < idle_rows.sum() < VOCABULARY
    assert torch.equal(table.detach()[idle_rows], before[idle_rows])
    assert not torch.equal(table.detach(), before)


class LargestResult(TorchDispatchMode):
    """How many numbers the largest dense tensor has that an operation allocates."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {a.data_ptr() for a in args if isinstance(a, Tensor) and not a.is_sparse}
        for out in result if isinstance(result, tuple) else (result,):
            if isinstance(out, Tensor) and not out.is_sparse and out.data_ptr() not in given:
                self.largest = max(self.largest, out.numel())
        return result


@pytest.mark.parametrize(
    "make",
    [
        lambda table: rows.SGD([table], lr=0.02, momentum=0.9, weight_decay=0.01),
        lambda table: rows.AdamW([table], lr=0.02),
    ],
)
def test_nothing_of_the_size_of_the_table_is_computed(
    make: Callable[[nn.Parameter], rows.RowOptimizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    table = nn.Parameter(torch.zeros(1000, SIZE, dtype=torch.double))
    optimizer = make(table)
    one_step(optimizer, table, lookup, *next(batches(1)))  # allocates its state
    with LargestResult() as seen:
        for batch in batches(20):
            one_step(optimizer, table, lookup, *batch)
    assert 0 < seen.largest < 1000
    with seen:
        optimizer.catch_up()
    assert seen.largest >= 1000  # the measure measures


# Reading ----------------------------------------------------------------------------------------


def snapshot(optimizer: Optimizer, table: nn.Parameter) -> list[Any]:
    """Everything that a run consists of, as a checkpoint gives it back."""
    buffer = io.BytesIO()
    torch.save([table.detach(), optimizer.state_dict()], buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def assert_same_bits(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def partly_trained(
    kind: type[rows.RowOptimizer] = rows.SGD, steps: int = 100, **settings: Any
) -> tuple[rows.RowOptimizer, nn.Parameter]:
    """Rows that are behind."""
    table = new_table(torch.float)
    if kind is rows.SGD:
        settings = {"momentum": 0.9, "weight_decay": 0.01, **settings}
    optimizer = kind([table], lr=0.02, **settings)
    for batch in batches(steps):
        one_step(optimizer, table, lookup, *batch)
    return optimizer, table


@pytest.mark.parametrize("kind", [rows.SGD, rows.AdamW])
def test_reading_and_saving_change_nothing(kind: type[rows.RowOptimizer]) -> None:
    optimizer, table = partly_trained(kind)
    before = snapshot(optimizer, table)
    words = torch.arange(VOCABULARY)
    read = lookup(table, words)
    read.sum().backward()  # and then an exception keeps the step from being taken
    assert torch.equal(lookup(table, words), read)
    assert_same_bits(snapshot(optimizer, table), before)
    assert not torch.equal(read, table)  # rows were behind
    optimizer.catch_up()
    assert torch.equal(lookup(table, words), table)
    torch.testing.assert_close(read, table, rtol=1e-6, atol=1e-7)


def test_several_reads_and_backward_passes_before_a_step() -> None:
    results = []
    for kind, read in ((rows.SGD, lookup), (torch.optim.SGD, dense)):
        first, second = new_table(), new_table(seed=1)
        optimizer = kind([first, second], lr=0.01, momentum=0.9, weight_decay=0.01)
        for number, (words, drawn_to) in enumerate(batches(200)):
            # one table twice, the other of other words; a step every second time
            both = read(first, words) + read(first, words.flip(0)) * read(second, words[:1])
            loss(both, drawn_to).backward()
            if number % 2:
                optimizer.step()
                optimizer.zero_grad()
        if isinstance(optimizer, rows.RowOptimizer):
            optimizer.catch_up()
        results.append(torch.cat([first.detach(), second.detach()]))
    assert difference(*results) < 1e-12


def test_steps_without_a_gradient_and_with_an_empty_one() -> None:
    """None: the table is passed by, as in torch. No rows: a step at which all are idle."""
    results = []
    for kind, read in ((rows.SGD, lookup), (torch.optim.SGD, dense)):
        table = new_table()
        optimizer = kind([table], lr=0.02, momentum=0.9)
        for number, batch in enumerate(batches(60)):
            if number % 3 == 0:
                one_step(optimizer, table, read, *batch)
            else:
                optimizer.zero_grad(set_to_none=number % 3 == 1)
                optimizer.step()
        if isinstance(optimizer, rows.RowOptimizer):
            optimizer.catch_up()
        results.append(table.detach())
    assert difference(*results) < 1e-12


def test_catching_up_in_the_middle_even_in_inference_mode() -> None:
    ours, theirs = new_table(), new_table()
    optimizer = rows.SGD([ours], lr=0.02, momentum=0.9)
    reference = torch.optim.SGD([theirs], lr=0.02, momentum=0.9)
    for number, batch in enumerate(batches(100)):
        one_step(optimizer, ours, lookup, *batch)
        one_step(reference, theirs, dense, *batch)
        if number % 17 == 0:
            with torch.inference_mode():
                optimizer.catch_up()
                assert difference(lookup(ours, torch.arange(VOCABULARY)), theirs) < 1e-12
            assert difference(ours.detach(), theirs.detach()) < 1e-12
    assert difference(lookup(ours, torch.arange(VOCABULARY)), theirs) < 1e-12


def test_a_table_that_is_read_past_the_lookup_is_refused() -> None:
    optimizer, table = partly_trained()
    optimizer.zero_grad()
    loss(dense(table, torch.tensor([0, 5])), torch.zeros(2, SIZE)).backward()
    with pytest.raises(RuntimeError, match="dense gradient"):
        optimizer.step()


def test_dense_gradients_before_and_between() -> None:
    results = []
    for kind in (rows.SGD, torch.optim.SGD):
        table = new_table()
        optimizer = kind([table], lr=0.02, momentum=0.9, weight_decay=0.01)
        ours = isinstance(optimizer, rows.RowOptimizer)
        for number, batch in enumerate(batches(90)):
            sparse = ours and 30 <= number < 60
            if isinstance(optimizer, rows.RowOptimizer) and number >= 60:
                optimizer.catch_up()
            one_step(optimizer, table, lookup if sparse else dense, *batch)
        results.append(table.detach())
    assert difference(*results) < 1e-12


def test_a_table_that_was_changed_from_outside_is_refused() -> None:
    optimizer, table = partly_trained()
    with torch.no_grad():
        table.mul_(2)
    with pytest.raises(RuntimeError, match="changed from outside"):
        lookup(table, torch.tensor([1]))
    with pytest.raises(RuntimeError, match="changed from outside"):
        optimizer.catch_up()

    optimizer, table = partly_trained()
    optimizer.catch_up()
    with torch.no_grad():
        table.fill_(2)  # as the weights of another checkpoint
    assert torch.equal(lookup(table, torch.arange(VOCABULARY)), torch.full_like(table, 2))


def test_another_optimiser_goes_on_where_the_rows_are() -> None:
    first, table = partly_trained()
    current = lookup(table, torch.arange(VOCABULARY)).detach()
    second = rows.SGD([table], lr=0.0)
    one_step(second, table, lookup, *next(batches(1)))
    torch.testing.assert_close(table.detach(), current, rtol=1e-6, atol=1e-7)
    first.catch_up()  # has nothing to do any more
    torch.testing.assert_close(table.detach(), current, rtol=1e-6, atol=1e-7)


# Saving -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [rows.SGD, rows.AdamW])
def test_a_run_goes_on_from_a_checkpoint_bit_by_bit(kind: type[rows.RowOptimizer]) -> None:
    optimizer, table = partly_trained(kind)
    saved, state = snapshot(optimizer, table)
    resumed = nn.Parameter(saved)
    restored = kind([resumed])
    restored.load_state_dict(state)
    everything = torch.arange(VOCABULARY)
    assert torch.equal(lookup(resumed, everything), lookup(table, everything))
    for batch in batches(100, seed=1):
        one_step(optimizer, table, lookup, *batch)
        one_step(restored, resumed, lookup, *batch)
    assert torch.equal(resumed, table)
    assert_same_bits(snapshot(restored, resumed), snapshot(optimizer, table))

    forgetful = nn.Parameter(saved)  # the control: the rows without their last steps
    del state["state"][0]["idle"]
    without = kind([forgetful])
    without.load_state_dict(state)
    assert not torch.equal(lookup(forgetful, everything), lookup(table, everything))


def test_loading_leaves_what_was_saved_alone() -> None:
    optimizer, table = partly_trained()
    state = optimizer.state_dict()
    copy = nn.Parameter(table.detach().clone())
    other = rows.SGD([copy])
    other.load_state_dict(state)
    last = state["state"][0]["idle"]["last"].clone()
    for batch in batches(50):
        one_step(other, copy, lookup, *batch)
    assert torch.equal(state["state"][0]["idle"]["last"], last)


# Adam -------------------------------------------------------------------------------------------


def compare_adam(
    kind: type[rows.AdamRows],
    reference: type[Optimizer],
    schedule: Schedule | None,
    **settings: Any,
) -> float:
    ours, theirs = new_table(), new_table()
    result = train(kind([ours], **settings), ours, lookup, schedule)
    expected = train(reference([theirs], **settings), theirs, dense, schedule)
    return difference(result, expected)


ADAMS = [
    (rows.Adam, torch.optim.Adam, {}, "constant"),
    (rows.Adam, torch.optim.Adam, {"betas": (0.0, 0.99)}, "cosine"),
    (rows.AdamW, torch.optim.AdamW, {"weight_decay": 0.05}, "one cycle"),
]


@pytest.mark.parametrize(("kind", "reference", "settings", "schedule"), ADAMS)
def test_adam_is_torchs_where_eps_is_nothing(
    kind: type[rows.AdamRows], reference: type[Optimizer], settings: Any, schedule: str
) -> None:
    chosen = SCHEDULES[schedule]
    settings = {"lr": 0.01, "eps": 1e-30, **settings}
    assert compare_adam(kind, reference, chosen, **settings) < 1e-11


def test_adam_is_torchs_but_for_eps() -> None:
    """Gradients are about 1 here: the difference is far below, and it is that of eps."""
    small, larger = (
        compare_adam(rows.Adam, torch.optim.Adam, None, lr=0.01, eps=eps) for eps in (1e-8, 1e-4)
    )
    assert 1e-12 < small < 1e-6 < larger


def test_without_catching_up_adam_is_not_torchs() -> None:
    assert compare_adam(ForgetfulAdam, torch.optim.Adam, None, lr=0.01, eps=1e-30) > 1e-3


@pytest.mark.parametrize("used", [1, 5])
@pytest.mark.parametrize("eps", [1e-4, 0.1])
def test_how_far_eps_leads_away(eps: float, used: int) -> None:
    """As the docstring says: the first idle move is exact, the others all but a part of them."""
    ours, theirs = new_table(), new_table()
    optimizer = rows.Adam([ours], lr=0.01, eps=eps)
    reference = torch.optim.Adam([theirs], lr=0.01, eps=eps)
    word, others = torch.tensor([7]), torch.tensor([3])
    target = torch.zeros(1, SIZE, dtype=torch.double)
    for _ in range(used):
        one_step(optimizer, ours, lookup, word, target)
        one_step(reference, theirs, dense, word, target)
    assert difference(lookup(ours, word), theirs[word]) < 1e-14
    start = theirs[word].detach()
    v = reference.state[theirs]["exp_avg_sq"][word].clone()
    bound = 2 * eps / (v / (1 - 0.999 ** (used + 1))).sqrt()
    for idle_steps in range(1, 100):
        one_step(optimizer, ours, lookup, others, target)
        one_step(reference, theirs, dense, others, target)
        error = (lookup(ours, word) - theirs[word]).abs()
        moved = (theirs[word] - start).abs()
        if idle_steps == 1:
            assert (error < 1e-14 * theirs[word].abs()).all()
        assert (error < bound * moved).all()
    assert (error > 1e-7 * moved).all()  # it is not exact


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (rows.Adam, {"weight_decay": 0.1}, r"weight_decay=0\.1 of Adam .*: use AdamW"),
        (rows.AdamW, {"amsgrad": True}, r"amsgrad=True .*: set it to False"),
        (rows.Adam, {"betas": (0.99, 0.9)}, r"betas=\(0\.99, 0\.9\): the first must be below"),
    ],
)
def test_settings_with_which_rows_cannot_be_updated_late(
    kind: Any, settings: Any, message: str
) -> None:
    """Refused by the first step, or before it."""
    table = new_table()
    optimizer = kind([table], **settings)
    with pytest.raises(ValueError, match=message):
        one_step(optimizer, table, lookup, *next(batches(1)))
    with pytest.raises(ValueError, match=message):
        optimizer.check_tables()


@pytest.mark.parametrize("kind", [rows.SGD, rows.Adam, rows.AdamW])
def test_other_settings_are_accepted(kind: Any) -> None:
    kind([new_table()], lr=0.1).check_tables()


# Everything else --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reference", "settings"),
    [
        (rows.SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
        (rows.SGD, torch.optim.SGD, {"momentum": 0.9, "fused": True}),
        (rows.Adam, torch.optim.Adam, {"weight_decay": 0.01}),
        (rows.AdamW, torch.optim.AdamW, {"foreach": True}),
    ],
)
def test_parameters_that_are_no_tables_have_torchs_bits(
    kind: Any, reference: Any, settings: dict[str, Any]
) -> None:
    weights = []
    for make, read in ((kind, lookup), (reference, dense)):
        table = nn.Parameter(torch.ones(5, SIZE))
        table.requires_grad_(settings.get("weight_decay") is None or make is not rows.Adam)
        weight = new_table(torch.float)
        optimizer = make([table, weight], lr=0.01, **settings)
        for words, drawn_to in batches(100):
            optimizer.zero_grad()
            # The table has a part of the step, and none in the weight's gradient.
            (loss(dense(weight, words), drawn_to) + read(table, words % 5).sum()).backward()
            optimizer.step()
        weights.append(weight.detach())
    assert torch.equal(*weights)
