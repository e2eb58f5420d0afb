"""What is exported of each kind of network: its inputs, and what it gives."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import onnx
import torch
from torch import Tensor, nn

from rnnexp.data.loading.module import Spec
from rnnexp.errors import UserError
from rnnexp.export.graph import value_info
from rnnexp.export.operators import OPERATORS
from rnnexp.export.recorder import Recorder, Sizes, onnx_type
from rnnexp.export.recurrences import recorded
from rnnexp.nn.representations import OneHotTokens
from rnnexp.tasks.classification.lecture import LiteralClassifier
from rnnexp.tasks.classification.network import Classifier
from rnnexp.tasks.classification.spec import ClassificationSpec
from rnnexp.tasks.forecasting.lecture import LiteralForecaster
from rnnexp.tasks.forecasting.network import Forecaster
from rnnexp.tasks.forecasting.spec import ForecastingSpec
from rnnexp.tasks.horizon.networks.network import HorizonNetwork
from rnnexp.tasks.horizon.networks.recursive import Recursive
from rnnexp.tasks.horizon.spec import HorizonSpec

Inputs = Mapping[str, Tensor]
Shapes = dict[str, tuple[torch.dtype, list[str | int]]]


@dataclass(frozen=True)
class Exported:
    """A network as a function of named inputs, all with the batch as their first axis.

    kind: classification, forecasting or horizon. output: the name of what it gives. shapes: of the
    inputs: name -> type and the sizes after the batch; `steps` is a size that may differ, and the
    model does not have an input with a size of 0. call:
    the function.
    """

    kind: str
    network: nn.Module
    output: str
    shapes: Shapes
    call: Callable[[Inputs], Tensor]

    @property
    def any_steps(self) -> bool:
        """Whether sequences may have any number of steps."""
        return any("steps" in shape for _, shape in self.shapes.values())


def exported(network: nn.Module, spec: Spec) -> Exported:
    """What is exported of a network.

    Raises:
        UserError: it is of no known kind.
    """
    if isinstance(network, LiteralClassifier | LiteralForecaster):
        raise UserError(
            "a network of the lecture's slides runs step by step in Python and has no ONNX form: "
            "train the fast network with the same equations (another model=..., docs/lecture.md)"
        )
    if isinstance(network, Recursive):
        raise UserError(
            "a recursive forecast (model/network=horizon_recursive) is not exported: train "
            "model/network=horizon_direct or horizon_encoder_decoder in its place"
        )
    if isinstance(network, Classifier) and isinstance(spec, ClassificationSpec):
        return _classifier(network, spec)
    if isinstance(network, Forecaster) and isinstance(spec, ForecastingSpec):
        return _forecaster(network, spec)
    if isinstance(network, HorizonNetwork) and isinstance(spec, HorizonSpec):
        return _horizon(network, spec)
    kind = type(network)
    raise UserError(
        f"rnnexp export does not know the network {kind.__module__}.{kind.__qualname__}: it "
        "exports Classifier, Forecaster and HorizonNetwork, and classes that inherit from them"
    )


def to_onnx(exported: Exported) -> onnx.ModelProto:
    """Record the network as an ONNX model.

    Raises:
        UserError: it has something that is not translated, and the sentence says what.
    """
    others = [n for value in exported.network.state_dict().values() for n in value.shape]
    others += [n for _, shape in exported.shapes.values() for n in shape if isinstance(n, int)]
    sizes = Sizes(others, exported.any_steps)
    recorder = Recorder(sizes, OPERATORS)
    taken: dict[str, int] = {}
    given, infos = {}, []
    with torch.inference_mode():
        for name, (dtype, shape) in exported.shapes.items():
            numbers = [sizes.steps if size == "steps" else int(size) for size in shape]
            if 0 in numbers:
                given[name] = torch.zeros(sizes.batch, *numbers, dtype=dtype)
                continue
            given[name] = recorder.stand_in(name, sizes.batch, *numbers, dtype=dtype)
            infos.append(value_info(name, onnx_type(dtype), ["batch", *shape]))
            if not taken or ("steps" in shape and "steps" not in taken):
                taken = {"batch": 0} | ({"steps": 1} if "steps" in shape else {})
                source = name
        recorder.take_sizes(source, taken)
        with recorded(exported.network, recorder), recorder:
            result = exported.call(given)
        recorder.graph.add("Identity", recorder.name(result))
    recorder.graph.nodes[-1].output[0] = exported.output
    output = value_info(exported.output, onnx_type(result.dtype), ["batch", *result.shape[1:]])
    return recorder.graph.model(infos, [output])


# The three kinds --------------------------------------------------------------------------------


def _classifier(network: Classifier, spec: ClassificationSpec) -> Exported:
    shapes: Shapes = {
        "tokens": (torch.int64, ["steps"]),
        "lengths": (torch.int64, []),
    }
    if spec.extra:
        shapes["extra"] = torch.float32, ["steps", spec.extra]
    if isinstance(network.representation, OneHotTokens):
        network = copy.deepcopy(network)
        cast(OneHotTokens, network.representation).sparse = False  # the same rows, looked up

    def call(inputs: Inputs) -> Tensor:
        return network(inputs["tokens"], inputs["lengths"], inputs.get("extra"))

    return Exported("classification", network, "log_probability", shapes, call)


def _forecaster(network: Forecaster, spec: ForecastingSpec) -> Exported:
    network, columns = copy.deepcopy(network), len(spec.columns)
    shapes: Shapes = {
        "values": (torch.float64, ["steps", columns]),
        "calendar": (torch.float32, ["steps", spec.calendar]),
        **_scaling(columns),
    }
    if spec.masks:
        shapes["mask"] = torch.bool, ["steps", columns]

    def call(inputs: Inputs) -> Tensor:
        series = _each_its_own(network, inputs)
        return network.predict(inputs["values"], inputs["calendar"], series, inputs.get("mask"))

    return Exported("forecasting", network, "prediction", shapes, call)


def _horizon(network: HorizonNetwork, spec: HorizonSpec) -> Exported:
    network, columns = copy.deepcopy(network), len(spec.columns)
    ahead = spec.lead + spec.horizon
    shapes: Shapes = {
        "values": (torch.float64, [spec.look_back, columns]),
        "calendar": (torch.float32, [spec.look_back + ahead, spec.calendar]),
        "known": (torch.float64, [ahead, len(spec.known)]),
        **_scaling(columns),
        "seasonal": (torch.float64, []),
    }
    if spec.static:
        shapes["static"] = torch.float32, [len(spec.static)]
    if network.vectors is not None:
        shapes["vector"] = torch.float32, [network.vectors.embedding_dim]
    if spec.masks:
        shapes["mask"] = torch.bool, [spec.look_back + ahead, columns]

    def call(inputs: Inputs) -> Tensor:
        series = _each_its_own(network, inputs)
        network.seasonal = inputs["seasonal"]
        if spec.static:
            network.static = inputs["static"]
        if network.vectors is not None:
            network.vectors = Rows(inputs["vector"])  # type: ignore[assignment]
        values, masks = inputs["values"], {}
        if spec.masks:
            masks = {"mask": inputs["mask"]}
        outputs = network(values, inputs["calendar"], inputs["known"], series, **masks)
        return network.predict(outputs, values, series)

    return Exported("horizon", network, "quantiles", shapes, call)


class Rows(nn.Module):
    """An embedding whose table (S, n) is an input."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, series: Tensor) -> Tensor:
        return self.table[series]


def _scaling(columns: int) -> Shapes:
    """The inputs that scale a series: those of a series that is new are fitted on its history."""
    return {
        "minimum": (torch.float64, [columns]),
        "range": (torch.float32, [columns]),
        "change": (torch.float32, []),
    }


def _each_its_own(network: Forecaster | HorizonNetwork, inputs: Inputs) -> Tensor:
    """Scale each window by its row of the inputs. Returns the indices of these rows."""
    for name in ("minimum", "range", "change"):
        setattr(network.scaling, name, inputs[name])
    return torch.arange(inputs["values"].shape[0])
