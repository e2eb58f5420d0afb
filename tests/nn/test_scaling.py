"""The scaling: what is subtracted is float64, whatever the precision of the network."""

import copy

import pytest
import torch

from rnnexp.nn.scaling import Scaling

METER: dict[str, list] = {"minimum": [[1_000_000_103.25]], "range": [[50.0]], "change": [4.0]}
SERIES = torch.tensor([0])


def values(*above: float) -> torch.Tensor:
    return 1_000_000_103.25 + torch.tensor([above], dtype=torch.float64)


def test_values_are_subtracted_before_they_are_rounded() -> None:
    scaling = Scaling(**METER)
    expected = torch.tensor([[0.0, 0.01, 0.5]])
    given = values(0, 0.5, 25)
    assert torch.equal(scaling(given.unsqueeze(-1), SERIES).squeeze(-1), expected)
    assert torch.equal(scaling.scale_target(given, SERIES), expected)
    assert torch.equal(scaling.scale_change(given.diff(), SERIES), torch.tensor([[0.125, 6.125]]))
    back = scaling.invert_target(expected, SERIES)
    assert back.dtype == torch.float64
    torch.testing.assert_close(back, given, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_minimum_keeps_its_digits_in_every_precision(dtype: torch.dtype) -> None:
    network = torch.nn.Sequential(Scaling(**METER)).to(dtype)
    for scaling in (network[0], copy.deepcopy(network)[0].float().to("cpu")):
        assert isinstance(scaling, Scaling)
        assert scaling.minimum.dtype == torch.float64
        assert scaling.minimum.item() == 1_000_000_103.25
    assert network[0].range.dtype == dtype
    assert network[0](values(25).unsqueeze(-1), SERIES).dtype == dtype


def test_a_float32_checkpoint_of_an_earlier_version_loads() -> None:
    earlier = {name: torch.tensor(limits) for name, limits in METER.items()}
    assert earlier["minimum"].dtype == torch.float32
    scaling = Scaling.unfitted(1, 1)
    scaling.load_state_dict(earlier)
    assert scaling.minimum.dtype == torch.float64
    assert scaling.minimum.item() == earlier["minimum"].item()
