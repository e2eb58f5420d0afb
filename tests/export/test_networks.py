"""An exported network gives what the network in torch gives."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnexp.data.loading.module import Spec
from rnnexp.errors import UserError
from rnnexp.nn import cells
from rnnexp.nn.readouts import EveryStep, LastHidden, LastInputAndPreviousHidden, Pooled, Readout
from rnnexp.nn.recurrence import CellRecurrence, Recurrence, TorchRecurrence
from rnnexp.nn.representations import Embeddings, OneHotTokens, Vectors
from rnnexp.tasks.classification.network import Classifier
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.forecasting.spec import ForecastingSpec
from rnnexp.tasks.horizon.networks.direct import Direct
from rnnexp.tasks.horizon.networks.encoder_decoder import EncoderDecoder
from rnnexp.tasks.horizon.networks.recursive import Recursive
from rnnexp.tasks.horizon.spec import HorizonSpec
from tests.nn.running import KINDS
from tests.support.networks import spec_of

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

LENGTHS = torch.tensor([1, 2, 3, 17, 100, 499, 500])
RECURRENCES: dict[str, Callable[..., Recurrence]] = {
    **{kind.__name__: partial(CellRecurrence, kind) for kind in KINDS},
    "nn.GRU": partial(TorchRecurrence, nn.GRU),
    "nn.LSTM": partial(TorchRecurrence, nn.LSTM),
}


def session(network: nn.Module, spec: Spec) -> Any:
    from rnnexp.export.networks import exported, to_onnx

    model = to_onnx(exported(network, spec))
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString())


def run(model: Any, inputs: Mapping[str, Tensor]) -> np.ndarray:
    names = [one.name for one in model.get_inputs()]
    return model.run(None, {name: inputs[name].numpy() for name in names})[0]


def close(found: np.ndarray, expected: Tensor) -> None:
    assert found.dtype == expected.numpy().dtype and found.shape == tuple(expected.shape)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)


# Texts ------------------------------------------------------------------------------------------


def classifier(
    representation: Callable[..., nn.Module],
    recurrence: Callable[..., Recurrence],
    readout: Callable[..., Readout] = LastHidden,
    **settings: Any,
) -> tuple[Classifier, Spec]:
    sizes = {key: settings.pop(key) for key in ("vectors", "extra") if key in settings}
    spec = spec_of(classes=3, **sizes)
    torch.manual_seed(0)
    return Classifier(spec, representation, recurrence, readout, 5, **settings).eval(), spec


def check_texts(network: Classifier, spec: Spec, lengths: Tensor = LENGTHS, extra: int = 0) -> None:
    model = session(network, spec)
    for own in (lengths, lengths[:1]):  # the second has one step alone
        shape = len(own), int(own.max())
        draw = torch.Generator().manual_seed(1)
        tokens = torch.randint(11, shape, generator=draw)
        more = torch.rand(*shape, extra, generator=draw) if extra else None
        with torch.no_grad():
            expected = network(tokens, own, more)
        inputs = {"tokens": tokens, "lengths": own}
        close(run(model, inputs if more is None else inputs | {"extra": more}), expected)


@pytest.mark.parametrize("name", RECURRENCES)
def test_every_recurrence_reads_embeddings(name: str) -> None:
    check_texts(*classifier(partial(Embeddings, dimension=4), RECURRENCES[name]))


@pytest.mark.parametrize("kind", KINDS)
def test_every_cell_reads_one_hot_words(kind: type[cells.Cell]) -> None:
    check_texts(*classifier(partial(OneHotTokens, sparse=True), partial(CellRecurrence, kind)))


@pytest.mark.parametrize("name", ["MGU", "GRU", "LSTM", "nn.GRU", "nn.LSTM"])
def test_two_layers_in_two_directions(name: str) -> None:
    settings: Any = {"num_layers": 2, "bidirectional": True}
    rep = partial(Embeddings, dimension=4)
    check_texts(*classifier(rep, RECURRENCES[name], Pooled, **settings))


@pytest.mark.parametrize("representation", [partial(Embeddings, dimension=4), OneHotTokens])
@pytest.mark.parametrize("name", ["LSTM", "TEXTnetOrder2"])
def test_every_readout(name: str, representation: Callable[..., nn.Module]) -> None:
    lengths = torch.tensor([1, 2, 9, 20])
    readouts: list[Callable[..., Readout]] = [
        partial(LastHidden, before="relu", activation="tanh"),
        partial(Pooled, pooling=["mean", "max", "last"]),
        partial(LastInputAndPreviousHidden, middle=3),
        partial(LastInputAndPreviousHidden, states=[0, 1]),
    ]
    for readout in readouts:
        check_texts(*classifier(representation, RECURRENCES[name], readout), lengths)


def test_frozen_vectors_and_ngrams() -> None:
    network, spec = classifier(
        Embeddings, RECURRENCES["GRU"], vectors=Vectors(dimension=4, known=7), extra=3
    )
    known = torch.arange(11) % 3 > 0
    network.representation.take_vectors(torch.rand(11, 4), known)  # type: ignore[operator]
    check_texts(network, spec, torch.tensor([1, 2, 20]), extra=3)


def test_a_large_table_of_one_hot_words_is_stored_once() -> None:
    network, spec = classifier(OneHotTokens, RECURRENCES["GRU"])
    from rnnexp.export.networks import exported, to_onnx

    weights = to_onnx(exported(network, spec)).graph.initializer
    assert [list(one.dims) for one in weights if 11 in one.dims] == [[11, 15]]


# Series -----------------------------------------------------------------------------------------


def check_series(network: Any, spec: Any, *steps: int) -> None:
    from rnnexp.export.networks import exported

    if hasattr(network, "margins"):
        network.margins += torch.linspace(-0.4, 0.4, len(network.levels))
    model, shapes = session(network, spec), exported(network, spec).shapes
    draw = torch.Generator().manual_seed(1)
    series = torch.tensor([1, 0, 1, 1, 0])
    scaling = network.scaling
    scaling.minimum = torch.tensor([[1e9], [5.0]], dtype=torch.float64).expand(2, len(spec.columns))
    scaling.range = torch.tensor([[10.0], [3.0]]).expand(2, len(spec.columns))
    scaling.change = torch.tensor([0.5, 2.0])
    rows = {name: getattr(scaling, name)[series] for name in ("minimum", "range", "change")}
    if hasattr(network, "seasonal"):
        network.seasonal = torch.tensor([4.0, 2.0], dtype=torch.float64)
        rows |= {name: getattr(network, name)[series] for name in ("seasonal", "static")}
        if network.vectors is not None:
            rows["vector"] = network.vectors.weight.detach()[series]
    for number in steps:
        inputs: dict[str, Tensor] = {}
        for name, (dtype, shape) in shapes.items():
            sizes = [5, *(number if one == "steps" else int(one) for one in shape)]
            drawn = torch.rand(sizes, generator=draw, dtype=torch.float64)
            inputs[name] = drawn > 0.2 if dtype == torch.bool else drawn.to(dtype)
        low = rows["minimum"][:, None]
        for name in {"values", "known"} & set(inputs):
            inputs[name] = low[..., : inputs[name].shape[2]] + 3 * inputs[name]
        read = inputs["values"], inputs["calendar"]
        masks = {"mask": inputs["mask"]} if "mask" in inputs else {}
        with torch.no_grad():
            if isinstance(spec, ForecastingSpec):
                expected = network.predict(*read, series, **masks)
            else:
                outputs = network(*read, inputs["known"], series, **masks)
                expected = network.predict(outputs, inputs["values"], series)
        shift = rows["minimum"][:, 0].view(-1, *[1] * (expected.dim() - 1))
        close(run(model, inputs | rows) - shift.numpy(), expected - shift)


def forecaster(
    name: str, readout: Any = EveryStep, columns: int = 1, calendar: int = 0, **settings: Any
) -> tuple[Forecaster, ForecastingSpec]:
    names, masks = ["y", "x"][:columns], settings.pop("masks", False)
    spec = ForecastingSpec("", 1, "windows", ["a", "b"], names, "", calendar, 30, "last", masks)
    torch.manual_seed(0)
    return Forecaster(spec, RECURRENCES[name], readout, 4, **settings).eval(), spec


@pytest.mark.parametrize("name", sorted(set(RECURRENCES) - {"Linear"}))  # which grows
def test_every_recurrence_reads_features(name: str) -> None:
    check_series(*forecaster(name), 1, 2, 500)


@pytest.mark.parametrize("readout", [EveryStep, LastHidden, Pooled, LastInputAndPreviousHidden])
@pytest.mark.parametrize("masks", [False, True])
def test_forecasts_of_levels_and_changes(readout: Any, masks: bool) -> None:
    for name in ("MGU", "nn.LSTM"):
        change: Any = {"inputs": ["level", "change"], "target": "change", "masks": masks}
        check_series(*forecaster(name, readout, 2, 4, **change), 1, 2, 40)


@pytest.mark.parametrize("kind", [Direct, EncoderDecoder])
@pytest.mark.parametrize("base", ["season", "week", "mean"])
@pytest.mark.parametrize("levels", [(), (0.1, 0.25, 0.5, 0.9)])
def test_forecasts_over_a_horizon(kind: Any, base: str, levels: tuple[float, ...]) -> None:
    more: Any = {"memory": [3.0, 5.0], "rectified": True, "series_vector": 3, "centre": "series"}
    each: list[dict[str, Any]] = [{}, more]
    for settings in each:
        masks, known = bool(settings), ["k"] if settings else []
        spec = HorizonSpec(
            *("", 1, "windows", ["a", "b"], ["y", "k", "o"], known, "", 0 if masks else 4),
            *(50, 6, 6, 2, 1, ["s"] if masks else [], masks),
        )
        torch.manual_seed(0)
        name = "MGU" if levels else "nn.LSTM"
        own = {"recurrence": RECURRENCES[name], "readout": EveryStep, "hidden_size": 4}
        network = kind(spec, **own, base=base, quantiles=levels, **settings).eval()
        check_series(network, spec, 50)


# What is refused --------------------------------------------------------------------------------


class Odd(cells.Vanilla):
    def forward(self, x: Tensor, state: cells.State) -> cells.State:
        return (torch.special.erf(x + state[0]),)


def test_an_operation_that_is_not_known_is_named() -> None:
    network, spec = classifier(OneHotTokens, partial(CellRecurrence, Odd))
    with pytest.raises(UserError, match=r"the operation aten\..*erf\.default"):
        session(network, spec)


def test_networks_that_are_not_known_are_named() -> None:
    _, spec = classifier(OneHotTokens, RECURRENCES["GRU"])
    with pytest.raises(UserError, match=r"does not know the network torch\.nn\.modules\.linear"):
        session(nn.Linear(2, 2), spec)
    horizon = HorizonSpec("", 1, "windows", ["a"], ["y"], [], "", 0, 50, 6, 6)
    recursive = Recursive(horizon, recurrence=RECURRENCES["GRU"], hidden_size=2)
    with pytest.raises(UserError, match="horizon_recursive"):
        session(recursive, horizon)


def test_a_cell_of_ones_own_is_exported_by_its_equations() -> None:
    class Leaky(cells.Vanilla):
        def forward(self, x: Tensor, state: cells.State) -> cells.State:
            (h,) = state
            return (0.9 * h + 0.1 * torch.tanh(x + h @ self.U),)

    check_texts(*classifier(OneHotTokens, partial(CellRecurrence, Leaky)))
