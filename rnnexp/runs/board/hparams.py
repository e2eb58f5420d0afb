"""The table of HPARAMS: its columns, and the row of a run."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from torch.utils.tensorboard.summary import hparams

from rnnexp.tasks.metric import unit_beside

NUMBER, FLAG = (int, float), bool


def row(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> list[Summary]:
    """The beginning and the end of a run: its hyperparameters, and that it is done."""
    _, start, end = hparams(_plain(settings), dict(metrics))
    return [start, end]


def columns(
    runs: Sequence[Mapping[str, Any]], first: Collection[str], metrics: Mapping[str, str]
) -> Summary:
    """What the table of these runs has columns for.

    runs: the hyperparameters of each. first: those that stand first, since the runs differ in them.
    metrics: tag -> unit, in the order of their columns.
    """
    plain = [_plain(one) for one in runs]
    keys = dict.fromkeys(key for one in plain for key in one)
    values = {key: [one[key] for one in plain if key in one] for key in keys}
    experiment = api_pb2.Experiment(
        hparam_infos=[_info(key, values[key], differs=key in first) for key in keys],
        metric_infos=[_metric(tag, unit) for tag, unit in metrics.items()],
    )
    content = plugin_data_pb2.HParamsPluginData(
        experiment=experiment, version=metadata.PLUGIN_DATA_VERSION
    )
    value = Summary.Value(
        tag=metadata.EXPERIMENT_TAG,
        metadata=metadata.create_summary_metadata(content),
        tensor=metadata.NULL_TENSOR,
    )
    return Summary(value=[value])


def _metric(tag: str, unit: str) -> api_pb2.MetricInfo:
    shown = f", {beside}" if (beside := unit_beside(tag, unit)) else ""
    return api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=f"{tag}{shown}")


def _info(key: str, values: Sequence[Any], differs: bool) -> api_pb2.HParamInfo:
    """TensorBoard sorts hyperparameters by whether they differ, then by name."""
    info = api_pb2.HParamInfo(name=key, differs=differs, type=api_pb2.DATA_TYPE_STRING)
    if all(isinstance(value, FLAG) for value in values):
        info.type = api_pb2.DATA_TYPE_BOOL
    elif all(isinstance(value, NUMBER) and not isinstance(value, FLAG) for value in values):
        info.type = api_pb2.DATA_TYPE_FLOAT64
        info.domain_interval.min_value, info.domain_interval.max_value = min(values), max(values)
    else:
        info.domain_discrete.extend(sorted(set(map(str, values))))
    return info


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value if isinstance(value, (bool, int, float)) else str(value)
        for key, value in settings.items()
    }
