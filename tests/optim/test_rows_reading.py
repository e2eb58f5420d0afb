"""Reading and saving a table with outdated rows."""

import pytest
import torch
from torch import nn

from rnnexp.nn.fast.tables import lookup
from rnnexp.optim import rows
from tests.optim.training import (
    SIZE,
    VOCABULARY,
    assert_same_bits,
    batches,
    dense,
    difference,
    loss,
    new_table,
    one_step,
    partly_trained,
    snapshot,
)

pytestmark = pytest.mark.usefixtures("short_blocks")


# Reading ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [rows.SGD, rows.AdamW])
def test_reading_and_saving_change_nothing(kind: type[rows.RowOptimizer]) -> None:
    optimizer, table = partly_trained(kind)
    before = snapshot(optimizer, table)
    words = torch.arange(VOCABULARY)
    read = lookup(table, words)
    read.sum().backward()  # no step follows, as after an exception
    assert torch.equal(lookup(table, words), read)
    assert_same_bits(snapshot(optimizer, table), before)
    assert not torch.equal(read, table)  # some rows were outdated
    optimizer.catch_up()
    assert torch.equal(lookup(table, words), table)
    torch.testing.assert_close(read, table, rtol=1e-6, atol=1e-7)


def test_several_reads_and_backward_passes_before_a_step() -> None:
    results = []
    for kind, read in ((rows.SGD, lookup), (torch.optim.SGD, dense)):
        first, second = new_table(), new_table(seed=1)
        optimizer = kind([first, second], lr=0.01, momentum=0.9, weight_decay=0.01)
        for number, (words, target) in enumerate(batches(200)):
            # read one table twice, the other table at other words; step every second time
            both = read(first, words) + read(first, words.flip(0)) * read(second, words[:1])
            loss(both, target).backward()
            if number % 2:
                optimizer.step()
                optimizer.zero_grad()
        if isinstance(optimizer, rows.RowOptimizer):
            optimizer.catch_up()
        results.append(torch.cat([first.detach(), second.detach()]))
    assert difference(*results) < 1e-12


def test_steps_without_a_gradient_and_with_an_empty_one() -> None:
    """Gradient None: the step skips the table, as in torch. Gradient without rows: all are idle."""
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


def test_a_table_that_is_read_without_lookup_is_refused() -> None:
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
        table.fill_(2)  # like loading another checkpoint
    assert torch.equal(lookup(table, torch.arange(VOCABULARY)), torch.full_like(table, 2))


def test_another_optimiser_goes_on_where_the_rows_are() -> None:
    first, table = partly_trained()
    current = lookup(table, torch.arange(VOCABULARY)).detach()
    second = rows.SGD([table], lr=0.0)
    one_step(second, table, lookup, *next(batches(1)))
    torch.testing.assert_close(table.detach(), current, rtol=1e-6, atol=1e-7)
    first.catch_up()  # the second optimiser is the reader now
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

    forgetful = nn.Parameter(saved)  # control: the rows without their pending steps
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
