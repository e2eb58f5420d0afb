"""Whichever kernels are taken: products are in float32, and torch's setting is what it was; a tanh
is one."""

import numpy as np
import pytest
import torch

from rnnexp.nn.fast import kernels

LARGE, SMALL = (512, 256, 256), (8, 16, 16)


@pytest.fixture
def with_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "ONEDNN", True)


@pytest.mark.parametrize("sizes", [LARGE, (64, 192, 192), (4096, 272, 256)])
def test_products_are_in_float32(sizes: tuple[int, int, int]) -> None:
    """1 + 2^-12 is no number of bfloat16: there it is 1, and each of these sums is off by 2^-12.

    Forward, transposed and added in place, on the kernels that this processor is given.
    """
    rows, inner, columns = sizes
    x, weight = torch.full((rows, inner), 1 + 2.0**-12), torch.ones(inner, columns)
    expected = torch.full((rows, columns), inner * (1 + 2.0**-12))
    into = torch.zeros(rows, columns)
    with kernels.for_products(*sizes):
        assert torch.equal(torch.mm(x, weight), expected)
        assert torch.equal(torch.mm(x, torch.ones(columns, inner).t()), expected)
        assert torch.equal(torch.mm(x.t().contiguous().t(), weight), expected)
        assert torch.equal(into.addmm_(x, weight), expected)


def test_they_agree_with_double_precision() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(512, 256), torch.randn(256, 256)
    with kernels.for_products(*LARGE):
        found = x @ weight
    torch.testing.assert_close(found, (x.double() @ weight.double()).float(), rtol=0, atol=2e-4)


def test_the_setting_holds_inside_alone(with_onednn: None) -> None:
    before = kernels.PRECISION.fp32_precision
    with kernels.for_products(*LARGE):
        assert kernels.PRECISION.fp32_precision == "bf16"
        with kernels.for_products(*LARGE):
            pass
        assert kernels.PRECISION.fp32_precision == "bf16"
    assert kernels.PRECISION.fp32_precision == before
    with pytest.raises(RuntimeError, match="in the middle"), kernels.for_products(*LARGE):
        raise RuntimeError("in the middle")
    assert kernels.PRECISION.fp32_precision == before


def test_small_products_and_other_processors_stay_with_mkl(
    with_onednn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kernels.PRECISION.fp32_precision
    with kernels.for_products(*SMALL):
        assert kernels.PRECISION.fp32_precision == before
    monkeypatch.setattr(kernels, "ONEDNN", False)
    with kernels.for_products(*LARGE):
        assert kernels.PRECISION.fp32_precision == before


def test_rows_are_rounded_to_a_few_sizes(
    with_onednn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = [kernels.rounded(rows, 512, 512) for rows in range(16, 4097)]
    assert len(set(sizes)) == 24
    for rows, size in zip(range(16, 4097), sizes, strict=True):
        assert rows <= size <= max(1.25 * rows, rows + 31)
        assert kernels.rounded(size, 512, 512) == size
    assert kernels.rounded(15, 512, 512) == 15  # others beside them would take longer
    assert kernels.rounded(33, 16, 16) == 33  # too small for oneDNN
    monkeypatch.setattr(kernels, "ONEDNN", False)
    assert kernels.rounded(33, 512, 512) == 33


AMD = {"cpu_name": "AMD EPYC", "avx512_f": True, "amx_tile": False}


@pytest.mark.parametrize(
    ("processor", "offers"),
    [
        (AMD, True),
        (AMD | {"amx_tile": True}, False),
        (AMD | {"avx512_f": False}, False),
        (AMD | {"cpu_name": "Intel Xeon"}, False),
        ({}, False),
    ],
)
def test_which_processors(
    processor: dict[str, object], offers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert kernels._offers_onednn(processor) is offers
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not kernels._offers_onednn(processor)


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("shape", [(1, 64), (64, 128)], ids=["few", "many"])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 2e-7), (torch.float64, 4e-16)])
def test_a_tanh_by_either_kernel(
    sigmoid: bool,
    shape: tuple[int, int],
    dtype: torch.dtype,
    error: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Into memory of its own, into a part of wider rows, and in place; from -100 to 100."""
    monkeypatch.setattr(kernels, "SIGMOID", sigmoid)
    x = torch.linspace(-4, 4, shape[0] * shape[1], dtype=dtype).view(shape)
    x[0, :4] = torch.tensor([0.0, -0.0, -100.0, 100.0])
    expected = torch.from_numpy(np.tanh(x.double().numpy()))
    wide = torch.full((shape[0], shape[1] + 16), 7, dtype=dtype)
    for out in (torch.empty_like(x), wide[:, :-16]):
        assert kernels.tanh(x.clone(), out=out) is out
        assert (out - expected).abs().max() < error
        assert out[0, :4].tolist() == [0, 0, -1, 1]
    assert bool((wide[:, -16:] == 7).all())
    kernels.tanh(x, out=x)
    assert torch.equal(x, out)
