"""Seeds and generators."""

import torch

from rnnexp.determinism import available_cores, derive, generator, global_stream


def test_seeds_differ_by_name_and_seed_and_zero_is_a_seed() -> None:
    seeds = [derive(s, *name) for s in (0, 1) for name in (("a",), ("b",), ("a", 0), ("a", 1))]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive(0, "a", 1) == derive(0, "a", 1)


def test_generators_are_independent_of_each_other() -> None:
    first = torch.rand(3, generator=generator(0, "weights"))
    torch.rand(3, generator=generator(0, "order"))
    again = torch.rand(3, generator=generator(0, "weights"))
    assert torch.equal(first, again)


def test_global_stream_gives_back_what_was_outside() -> None:
    torch.manual_seed(5)
    undisturbed = torch.rand(2)
    torch.manual_seed(5)
    with global_stream(0, "weights"):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), undisturbed)
    with global_stream(0, "weights"):
        assert torch.equal(torch.rand(2), inside)
    with global_stream(1, "weights"):
        assert not torch.equal(torch.rand(2), inside)


def test_at_least_one_core() -> None:
    assert available_cores() >= 1
