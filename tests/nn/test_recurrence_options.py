"""Each recurrence of the config group on every representation."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from rnnexp import config
from rnnexp.config import targets
from rnnexp.nn.cell import Cell
from rnnexp.nn.cells import MGU2
from rnnexp.nn.recurrence import Recurrence
from rnnexp.nn.representations import Embeddings, Features, OneHotTokens, Sequences
from tests.nn.running import KINDS, close
from tests.support import REPOSITORY
from tests.support.networks import EMBEDDINGS, classifier

FILES = sorted((REPOSITORY / "conf/model/recurrence").glob("[!_]*.yaml"))
RECURRENCES = [file.stem for file in FILES]
OWN = [file.stem for file in FILES if "TorchRecurrence" not in file.read_text()]


@cache
def config_with(name: str) -> DictConfig:
    """The config of `rnnexp train model/recurrence=NAME`."""
    options = ("model=rnn", "model/readout=last_hidden", f"model/recurrence={name}")
    return config.compose(["task=classification", "~experiment", *options])


def recurrence_of(name: str, input_size: int) -> Recurrence:
    """Two layers in two directions."""
    torch.manual_seed(0)
    sizes = {"input_size": input_size, "hidden_size": 6, "num_layers": 2}
    return config.instantiate(config_with(name), "model.recurrence")(**sizes, bidirectional=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_cell_has_an_option_and_may_be_named_in_a_config(kind: type[Cell]) -> None:
    target = f"{kind.__module__}.{kind.__name__}"
    assert target in [config_with(name).model.recurrence.cell._target_ for name in OWN]
    assert targets.locate({"_target_": target}, "cell") is kind


def one_hot(tokens: Tensor) -> Callable[[Tensor], Sequences]:
    return lambda lengths: OneHotTokens(11)(tokens, lengths)


def embedded(tokens: Tensor) -> Callable[[Tensor], Sequences]:
    torch.manual_seed(1)
    table = Embeddings(11, dimension=4).double()
    return lambda lengths: table(tokens, lengths)


def features(tokens: Tensor) -> Callable[[Tensor], Sequences]:
    """A feature vector for every token; NaN for the token of the padding."""
    table = torch.randn(11, 4, generator=torch.Generator().manual_seed(2)).double()
    table[10] = torch.nan
    return lambda lengths: Features(table[tokens.t()], lengths)


REPRESENTATIONS = {"one_hot": (one_hot, 11), "embeddings": (embedded, 4), "features": (features, 4)}
LENGTHS = torch.tensor([4, 1, 3, 4, 2])


@pytest.mark.parametrize("representation", REPRESENTATIONS)
@pytest.mark.parametrize("name", RECURRENCES)
def test_every_recurrence_on_every_representation(name: str, representation: str) -> None:
    """Two layers, two directions, lengths: padding affects neither states nor gradients. In
    evaluation, every sequence gives the same states alone as in the batch."""
    represent, input_size = REPRESENTATIONS[representation]
    recurrence = recurrence_of(name, input_size).double()
    tokens = torch.randint(10, (5, 4))
    if name not in OWN and representation == "one_hot":
        with pytest.raises(ValueError, match="one-hot vectors are never built"):
            recurrence(represent(tokens)(LENGTHS))
        return

    def results(tokens: Tensor) -> list[Tensor]:
        """Hidden states without padding, final state, and the gradient of every parameter."""
        hidden, final = recurrence(represent(tokens)(LENGTHS))
        real = hidden[torch.arange(len(hidden)).unsqueeze(1) < LENGTHS]
        assert real.shape == (14, 12) and [tuple(s.shape) for s in final] == [(5, 12)] * len(final)
        outputs = torch.cat([real, *final])
        counts = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs)
        gradients = torch.autograd.grad((outputs * counts).sum(), list(recurrence.parameters()))
        return [real, *final, *gradients]

    before = results(tokens)
    assert all(tensor.isfinite().all() and tensor.abs().sum() > 0 for tensor in before)
    padding = torch.arange(4) >= LENGTHS.unsqueeze(1)
    longer = torch.cat([tokens.masked_fill(padding, 10), torch.full((5, 2), 10)], dim=1)
    for tensor, expected in zip(results(longer), before, strict=True):
        torch.testing.assert_close(tensor, expected, rtol=1e-11, atol=1e-12)

    recurrence.eval()
    hidden, final = recurrence(represent(longer)(LENGTHS))
    for b, length in enumerate(LENGTHS.tolist()):
        alone, of_alone = recurrence(represent(tokens[b : b + 1, :length])(LENGTHS[b : b + 1]))
        close(hidden[:length, b], alone[:, 0])
        close([tensor[b] for tensor in final], [tensor[0] for tensor in of_alone])


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("representation", ["one_hot", "features"])
def test_every_cell_under_autocast(name: str, representation: str) -> None:
    """Products in bfloat16: about the same states, and gradients in the dtype of the parameters."""
    represent, input_size = REPRESENTATIONS[representation]
    recurrence = recurrence_of(name, input_size)
    x = represent(torch.randint(10, (5, 4)))(LENGTHS)
    if isinstance(x, Features):
        x = Features(x.values.float(), LENGTHS)
    expected, _ = recurrence(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden, final = recurrence(x)
        (hidden.float().square().mean() + sum(tensor.float().mean() for tensor in final)).backward()
    assert not torch.equal(hidden.float(), expected)
    torch.testing.assert_close(hidden.float(), expected, rtol=0.1, atol=0.1)
    for parameter in recurrence.parameters():
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all()


@pytest.mark.parametrize("model", ["rnn", "gru", "lstm", "pmgru", "grunet", "textnet"])
def test_every_model_takes_another_cell(model: str) -> None:
    network: Any = classifier(f"model={model}", "model/recurrence=mgu2", EMBEDDINGS, hidden_size=6)
    assert isinstance(network.recurrence.layers[0], MGU2)
    assert network(torch.randint(11, (3, 4)), torch.tensor([4, 2, 3])).shape == (3, 2)
