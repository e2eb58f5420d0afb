"""With any library, products are in float32 and tanh is accurate; torch's setting is restored."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rnnexp.nn.fast import tuning
from rnnexp.nn.fast.tuning import CALLS, MATMUL_SETTINGS, Tuning

LARGE, SMALL = (512, 256, 256), (8, 16, 16)
MKL = Tuning(
    onednn_from=None,
    sigmoid_from=None,
    augment_from=None,
    joint_below=0,
    group_sequences=512,
    block_rows=4096,
)
ONEDNN = replace(MKL, onednn_from=64 * 192 * 192)


@pytest.fixture
def with_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "HAS_ONEDNN", True)


@pytest.mark.parametrize("sizes", [LARGE, (64, 192, 192), (4096, 272, 256)])
def test_products_are_in_float32(sizes: tuple[int, int, int]) -> None:
    """bfloat16 rounds 1 + 2^-12 to 1, so every sum would be wrong by a factor of 1 + 2^-12.

    Plain, transposed and in-place products, with the library that this processor uses.
    """
    rows, inner, columns = sizes
    x, weight = torch.full((rows, inner), 1 + 2.0**-12), torch.ones(inner, columns)
    expected = torch.full((rows, columns), inner * (1 + 2.0**-12))
    into = torch.zeros(rows, columns)
    with ONEDNN.products(*sizes):
        assert torch.equal(torch.mm(x, weight), expected)
        assert torch.equal(torch.mm(x, torch.ones(columns, inner).t()), expected)
        assert torch.equal(torch.mm(x.t().contiguous().t(), weight), expected)
        assert torch.equal(into.addmm_(x, weight), expected)


def test_they_agree_with_double_precision() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(512, 256), torch.randn(256, 256)
    with ONEDNN.products(*LARGE):
        found = x @ weight
    torch.testing.assert_close(found, (x.double() @ weight.double()).float(), rtol=0, atol=2e-4)


def test_the_setting_holds_inside_alone(with_onednn: None) -> None:
    before = MATMUL_SETTINGS.fp32_precision
    with ONEDNN.products(*LARGE):
        assert MATMUL_SETTINGS.fp32_precision == "bf16"
        with ONEDNN.products(*LARGE):
            pass
        assert MATMUL_SETTINGS.fp32_precision == "bf16"
    assert MATMUL_SETTINGS.fp32_precision == before
    with pytest.raises(RuntimeError, match="in the middle"), ONEDNN.products(*LARGE):
        raise RuntimeError("in the middle")
    assert MATMUL_SETTINGS.fp32_precision == before


def test_small_products_and_other_processors_stay_with_mkl(
    with_onednn: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = MATMUL_SETTINGS.fp32_precision
    with ONEDNN.products(*SMALL):
        assert MATMUL_SETTINGS.fp32_precision == before
    with MKL.products(*LARGE):
        assert MATMUL_SETTINGS.fp32_precision == before
    monkeypatch.setattr(tuning, "HAS_ONEDNN", False)
    with ONEDNN.products(*LARGE):
        assert MATMUL_SETTINGS.fp32_precision == before


def test_rows_are_padded_to_a_few_sizes(with_onednn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [ONEDNN.padded_rows(rows, 512, 512) for rows in range(16, 4097)]
    assert len(set(sizes)) == 24
    for rows, size in zip(range(16, 4097), sizes, strict=True):
        assert rows <= size <= max(1.25 * rows, rows + 31)
        assert ONEDNN.padded_rows(size, 512, 512) == size
    assert ONEDNN.padded_rows(15, 512, 512) == 15  # padding would cost more than it saves
    assert ONEDNN.padded_rows(33, 16, 16) == 33  # too small for oneDNN
    assert MKL.padded_rows(33, 512, 512) == 33
    monkeypatch.setattr(tuning, "HAS_ONEDNN", False)
    assert ONEDNN.padded_rows(33, 512, 512) == 33


@pytest.mark.parametrize("sigmoid_from", [None, 0])
@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 2e-7), (torch.float64, 4e-16)])
def test_either_way_of_computing_tanh(
    sigmoid_from: int | None, dtype: torch.dtype, error: float
) -> None:
    """Write to new memory, to some columns of a wider tensor, and in place; x from -100 to 100."""
    own = replace(MKL, sigmoid_from=sigmoid_from)
    x = torch.linspace(-4, 4, 64 * 128, dtype=dtype).view(64, 128)
    x[0, :4] = torch.tensor([0.0, -0.0, -100.0, 100.0])
    expected = torch.from_numpy(np.tanh(x.double().numpy()))
    wide = torch.full((64, 128 + 16), 7, dtype=dtype)
    for out in (torch.empty_like(x), wide[:, :-16]):
        assert own.tanh(x)(x.clone(), out=out) is out
        assert (out - expected).abs().max() < error
        assert out[0, :4].tolist() == [0, 0, -1, 1]
    assert bool((wide[:, -16:] == 7).all())
    assert own.tanh_in_place(x)(x) is x and torch.equal(x, out)


def test_only_large_steps_compute_tanh_from_a_sigmoid() -> None:
    own, step = replace(MKL, sigmoid_from=64), torch.zeros(8, 8)
    assert own.tanh(step) is tuning.tanh_by_sigmoid is own.tanh_in_place(step)
    assert own.tanh(step[1:]) is torch.tanh


def test_when_torchs_layer_is_taken_by_size() -> None:
    own = replace(MKL, torch_below_training=64, torch_below_inference=None)
    assert own.takes_torch(7, 9, training=True) and not own.takes_torch(8, 8, training=True)
    assert own.takes_torch(10**6, 10**6, training=False)
    assert not MKL.takes_torch(1, 1, training=True)


def test_the_plain_path_by_steps_and_their_elements() -> None:
    own = replace(MKL, plain_below_training=5 * CALLS, plain_below_inference=None)
    assert own.takes_plain(4, 1, 8, training=True) and not own.takes_plain(5, 1, 8, training=True)
    assert not own.takes_plain(3, 64, 128, training=True)
    assert own.takes_plain(2, 64, 128, training=True)
    assert own.takes_plain(1000, 64, 128, training=False)
    assert not MKL.takes_plain(1, 1, 1, training=True)
