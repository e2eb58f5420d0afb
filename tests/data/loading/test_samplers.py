"""Class-uniform draws with replacement, and batches that are drawn again."""

from collections import Counter

import pytest
import torch

from rnnexp.data.loading.samplers import ClassUniformBatches

LABEL = torch.tensor([2, 0, 0, 5, 2, 0, 0, 0, 2, 0])  # classes 0, 2 and 5 with 6, 3 and 1 items


def drawn(seed: int = 0, epoch: int = 0, reshuffle: bool = True) -> list[list[int]]:
    sampler = ClassUniformBatches(LABEL, 4, 5, seed, reshuffle)
    sampler.set_epoch(epoch)
    return [batch.tolist() for batch in sampler]


def test_every_class_is_as_likely_and_so_is_every_item_of_it() -> None:
    sampler = ClassUniformBatches(LABEL, batch_size=3, iterations=6000, seed=0)
    batches = list(sampler)
    assert len(sampler) == len(batches) == 6000
    assert {len(batch) for batch in batches} == {3}
    count = Counter(torch.cat(batches).tolist())
    assert count.total() == 18_000 and set(count) == set(range(10))
    for label, size in ((0, 6), (2, 3), (5, 1)):
        expected = 6000 / size
        for item in torch.nonzero(torch.eq(LABEL, label)).flatten().tolist():
            assert abs(count[item] - expected) < 5 * expected**0.5


def test_the_draws_are_a_function_of_seed_and_epoch() -> None:
    assert drawn(0, 3) == drawn(0, 3)
    assert drawn(0, 3) != drawn(0, 4)
    assert drawn(0, 3) != drawn(1, 3)
    assert drawn(0, 3, reshuffle=False) == drawn(0, 0)


def test_they_leave_the_global_stream_alone_and_are_hashed() -> None:
    before = torch.get_rng_state()
    samplers = [ClassUniformBatches(LABEL, 1, 20, seed) for seed in (0, 0, 1)]
    for sampler in samplers:
        list(sampler)
    assert torch.equal(before, torch.get_rng_state())
    prints = [sampler.seen.hexdigest() for sampler in samplers]
    assert prints[0] == prints[1] != prints[2]


def test_the_batches_of_an_interrupted_run_are_drawn_again() -> None:
    whole, again = (ClassUniformBatches(LABEL, 4, 5, seed=0) for _ in range(2))
    last: list[list[int]] = []
    for epoch in range(3):
        whole.set_epoch(epoch)
        last = [batch.tolist() for batch in whole]
    again.replay([5, 5, 2])
    again.set_epoch(2)
    assert [batch.tolist() for batch in again] == last[2:]
    assert again.seen.hexdigest() == whole.seen.hexdigest()


def test_an_epoch_never_had_more_batches_than_there_are() -> None:
    sampler = ClassUniformBatches(LABEL, 4, 5, seed=0)
    with pytest.raises(ValueError, match="an epoch has 5 batches, and 6 were trained on"):
        sampler.replay([6, 1])
    sampler.replay([5, 9])
    with pytest.raises(ValueError, match="an epoch has 5 batches, and 9 were trained on"):
        list(sampler)
