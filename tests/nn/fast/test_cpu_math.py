"""With any library, products are in float32 and tanh is accurate; torch's setting is restored."""

import numpy as np
import pytest
import torch

from rnnexp.nn.fast import cpu_math

LARGE, SMALL = (512, 256, 256), (8, 16, 16)


@pytest.fixture
def with_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_math, "USE_ONEDNN", True)


@pytest.mark.parametrize("sizes", [LARGE, (64, 192, 192), (4096, 272, 256)])
def test_products_are_in_float32(sizes: tuple[int, int, int]) -> None:
    """bfloat16 rounds 1 + 2^-12 to 1, so every sum would be wrong by a factor of 1 + 2^-12.

    Plain, transposed and in-place products, with the library that this processor uses.
    """
    rows, inner, columns = sizes
    x, weight = torch.full((rows, inner), 1 + 2.0**-12), torch.ones(inner, columns)
    expected = torch.full((rows, columns), inner * (1 + 2.0**-12))
    into = torch.zeros(rows, columns)
    with cpu_math.fast_products(*sizes):
        assert torch.equal(torch.mm(x, weight), expected)
        assert torch.equal(torch.mm(x, torch.ones(columns, inner).t()), expected)
        assert torch.equal(torch.mm(x.t().contiguous().t(), weight), expected)
        assert torch.equal(into.addmm_(x, weight), expected)


def test_they_agree_with_double_precision() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(512, 256), torch.randn(256, 256)
    with cpu_math.fast_products(*LARGE):
        found = x @ weight
    torch.testing.assert_close(found, (x.double() @ weight.double()).float(), rtol=0, atol=2e-4)


def test_the_setting_holds_inside_alone(with_onednn: None) -> None:
    before = cpu_math.MATMUL_SETTINGS.fp32_precision
    with cpu_math.fast_products(*LARGE):
        assert cpu_math.MATMUL_SETTINGS.fp32_precision == "bf16"
        with cpu_math.fast_products(*LARGE):
            pass
        assert cpu_math.MATMUL_SETTINGS.fp32_precision == "bf16"
    assert cpu_math.MATMUL_SETTINGS.fp32_precision == before
    with pytest.raises(RuntimeError, match="in the middle"), cpu_math.fast_products(*LARGE):
        raise RuntimeError("in the middle")
    assert cpu_math.MATMUL_SETTINGS.fp32_precision == before


def test_small_products_and_other_processors_stay_with_mkl(
    with_onednn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cpu_math.MATMUL_SETTINGS.fp32_precision
    with cpu_math.fast_products(*SMALL):
        assert cpu_math.MATMUL_SETTINGS.fp32_precision == before
    monkeypatch.setattr(cpu_math, "USE_ONEDNN", False)
    with cpu_math.fast_products(*LARGE):
        assert cpu_math.MATMUL_SETTINGS.fp32_precision == before


def test_rows_are_padded_to_a_few_sizes(with_onednn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [cpu_math.padded_rows(rows, 512, 512) for rows in range(16, 4097)]
    assert len(set(sizes)) == 24
    for rows, size in zip(range(16, 4097), sizes, strict=True):
        assert rows <= size <= max(1.25 * rows, rows + 31)
        assert cpu_math.padded_rows(size, 512, 512) == size
    assert cpu_math.padded_rows(15, 512, 512) == 15  # padding would cost more than it saves
    assert cpu_math.padded_rows(33, 16, 16) == 33  # too small for oneDNN
    monkeypatch.setattr(cpu_math, "USE_ONEDNN", False)
    assert cpu_math.padded_rows(33, 512, 512) == 33


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
    assert cpu_math._is_fast_for_onednn(processor) is offers
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not cpu_math._is_fast_for_onednn(processor)


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("shape", [(1, 64), (64, 128)], ids=["few", "many"])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 2e-7), (torch.float64, 4e-16)])
def test_either_way_of_computing_tanh(
    sigmoid: bool,
    shape: tuple[int, int],
    dtype: torch.dtype,
    error: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Write to new memory, to some columns of a wider tensor, and in place; x from -100 to 100."""
    monkeypatch.setattr(cpu_math, "USE_SIGMOID", sigmoid)
    x = torch.linspace(-4, 4, shape[0] * shape[1], dtype=dtype).view(shape)
    x[0, :4] = torch.tensor([0.0, -0.0, -100.0, 100.0])
    expected = torch.from_numpy(np.tanh(x.double().numpy()))
    wide = torch.full((shape[0], shape[1] + 16), 7, dtype=dtype)
    for out in (torch.empty_like(x), wide[:, :-16]):
        assert cpu_math.tanh(x.clone(), out=out) is out
        assert (out - expected).abs().max() < error
        assert out[0, :4].tolist() == [0, 0, -1, 1]
    assert bool((wide[:, -16:] == 7).all())
    cpu_math.tanh(x, out=x)
    assert torch.equal(x, out)
