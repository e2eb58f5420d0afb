"""Padded batches and their order."""

import numpy as np
import torch

from rnnexp.data.loading.samplers import POOL, BatchesByLength, ShuffledBatches
from rnnexp.data.text.tokens import TokenStore

SEQUENCES = [[5, 6, 7], [8], [9, 10], [11, 12, 13]]


def test_a_batch_is_padded_to_its_longest_sequence() -> None:
    store = TokenStore(SEQUENCES, [0, 1, 0, 1])
    batch = store.batch(torch.tensor([2, 0, 1]))
    assert batch.tokens.tolist() == [[9, 10, 0], [5, 6, 7], [8, 0, 0]]
    assert batch.lengths is not None and batch.lengths.tolist() == [2, 3, 1]
    assert batch.label.tolist() == [0, 0, 1]
    assert batch.row.tolist() == [2, 0, 1]


def test_sequences_of_one_length_need_no_lengths() -> None:
    batch = TokenStore(SEQUENCES, [0, 1, 0, 1]).batch(torch.tensor([3, 0]))
    assert batch.tokens.tolist() == [[11, 12, 13], [5, 6, 7]]
    assert batch.lengths is None


def test_further_inputs_come_with_their_tokens_and_padding_has_none() -> None:
    extra = [np.array([[token, -token] for token in one], dtype=np.float32) for one in SEQUENCES]
    batch = TokenStore(SEQUENCES, [0, 1, 0, 1], extra).batch(torch.tensor([2, 0]))
    assert batch.extra is not None
    assert batch.extra[:, :, 0].tolist() == [[9, 10, 0], [5, 6, 7]]
    assert torch.equal(batch.extra[:, :, 1], -batch.extra[:, :, 0])


def many_lengths(count: int) -> torch.Tensor:
    return torch.randint(1, 400, (count,), generator=torch.Generator().manual_seed(0))


def batches(seed: int, epoch: int, count: int = 1003, size: int = 8) -> list[torch.Tensor]:
    everything = torch.arange(count)
    sampler = ShuffledBatches(lambda epoch: everything, size, seed, lengths=many_lengths(count))
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_sequence_comes_once_an_epoch_beside_others_of_about_its_length() -> None:
    lengths = many_lengths(1003)
    given = batches(seed=0, epoch=0)
    assert sorted(torch.cat(given).tolist()) == list(range(1003))
    assert [len(batch) for batch in given] == [8] * 125 + [3]
    spread = torch.tensor([float(lengths[b].max() - lengths[b].min()) for b in given])
    assert spread.mean() < 400 / POOL * 4  # unsorted it would be around 300


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    first = torch.cat(batches(seed=0, epoch=0))
    assert torch.equal(first, torch.cat(batches(seed=0, epoch=0)))
    assert not torch.equal(first, torch.cat(batches(seed=1, epoch=0)))
    assert not torch.equal(first, torch.cat(batches(seed=0, epoch=1)))
    lengths = many_lengths(1003)
    longest = [int(lengths[batch].max()) for batch in batches(seed=0, epoch=0)]
    assert longest != sorted(longest)  # short and long batches are mixed


def test_evaluation_batches_are_limited_in_number_and_in_padded_steps() -> None:
    lengths = torch.tensor([5, 100_000, 3, 4, 40, 30, 2])
    given = list(BatchesByLength(lengths, batch_size=3, steps=80))
    assert [batch.tolist() for batch in given] == [[6, 2, 3], [0, 5], [4], [1]]
