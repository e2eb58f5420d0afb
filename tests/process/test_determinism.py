"""Seeds and generators."""

import gc
import weakref
from collections.abc import Iterator

import pytest
import torch

from rnnexp.process.determinism import derive, generator, global_stream, prepare


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


@pytest.fixture
def settings_of_torch() -> Iterator[None]:
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)
    torch.set_float32_matmul_precision("highest")
    torch.set_flush_denormal(False)
    gc.unfreeze()


@pytest.mark.usefixtures("settings_of_torch")
def test_strict_refuses_what_has_no_deterministic_form_and_fast_allows_it() -> None:
    places, values = torch.tensor([1, 1]), torch.tensor([1.0, 2.0])
    prepare(deterministic=True, threads=1)
    assert torch.get_num_threads() == 1
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(places, values)
    prepare(deterministic=False, threads=1)
    assert torch.zeros(3).put_(places, values)[1] in (1.0, 2.0)


@pytest.mark.usefixtures("settings_of_torch")
def test_the_precision_of_products() -> None:
    prepare(deterministic=True, threads=1, matmul_precision="medium")
    assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"  # type: ignore[attr-defined]
    prepare(deterministic=True, threads=1)
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.usefixtures("settings_of_torch")
def test_garbage_is_looked_for_in_what_comes_after() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    gc.unfreeze()
    prepare(deterministic=True, threads=1)
    spared = gc.get_freeze_count()
    assert spared > 100 * len(gc.get_objects())
    garbage = weakref.ref(Cycle())
    prepare(deterministic=True, threads=1)  # of a further run
    gc.collect()
    assert garbage() is None
    assert gc.get_freeze_count() <= spared


@pytest.mark.usefixtures("settings_of_torch")
def test_what_is_too_small_for_a_normal_number_is_zero() -> None:
    prepare(deterministic=True, threads=1)
    assert torch.tensor([1e-38]).mul(0.01).item() == 0
