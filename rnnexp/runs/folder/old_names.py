"""Translates the names of earlier versions when a run folder is read. No other module knows them.

- Classes that have moved.
- run.json: `headline` was a list of metric names; `spec` also held the task and the scaling, and
  first called the number of test windows `windows`.
- run.json had no hashes of the files that the run kept of its training data.
- metrics.json: the baselines of forecasts had other names.
- The path of a recurrence was said by `fused` and `compiled`, the first of which was the default.
- The fused path computed with fixed sizes, and with oneDNN where the vendor's name said so.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnnexp.errors import UserError
from rnnexp.nn.fast import tuning

MODULES = {  # old -> current module, for the classes that a config names
    "rnnexp.callbacks.classification_figures": "rnnexp.tasks.classification.figures",
    "rnnexp.callbacks.figures": "rnnexp.tasks.forecasting.figures",
    "rnnexp.data.characters": "rnnexp.data.text.characters",
    "rnnexp.data.chunking": "rnnexp.data.series.chunking",
    "rnnexp.data.cleaning": "rnnexp.data.series.cleaning",
    "rnnexp.data.conditioning": "rnnexp.data.series.conditioning",
    "rnnexp.data.lecture_reviews": "rnnexp.data.sources.lecture_reviews",
    "rnnexp.data.names": "rnnexp.data.sources.names",
    "rnnexp.data.ngrams": "rnnexp.data.text.ngrams",
    "rnnexp.data.normalization": "rnnexp.data.series.normalization",
    "rnnexp.data.power_load": "rnnexp.data.sources.power_load",
    "rnnexp.data.reviews": "rnnexp.data.sources.reviews",
    "rnnexp.data.series_csv": "rnnexp.data.sources.series_csv",
    "rnnexp.data.synthetic": "rnnexp.data.sources.synthetic_load",
    "rnnexp.data.synthetic_names": "rnnexp.data.sources.synthetic_names",
    "rnnexp.data.synthetic_recall": "rnnexp.data.sources.synthetic_recall",
    "rnnexp.data.synthetic_reviews": "rnnexp.data.sources.synthetic_reviews",
    "rnnexp.data.tokenization": "rnnexp.data.text.tokenization",
    "rnnexp.data.vectors": "rnnexp.data.vectors.word_vectors",
    "rnnexp.nn.classifier": "rnnexp.tasks.classification.network",
    "rnnexp.nn.forecaster": "rnnexp.tasks.forecasting.network",
    "rnnexp.tasks.classification": "rnnexp.tasks.classification.task",
    "rnnexp.tasks.forecasting": "rnnexp.tasks.forecasting.task",
    "rnnexp.tasks.horizon.network": "rnnexp.tasks.horizon.networks.encoder_decoder",
}
RECURRENCE = "rnnexp.nn.recurrence.CellRecurrence"
BASELINES = {  # old -> current name
    "last_value": "naive",
    "same_hour_yesterday": "seasonal_naive_day",
    "same_hour_last_week": "seasonal_naive_week",
    "one_season_ago": "seasonal_naive",
    "yesterdays_change": "naive_seasonal_change",
    "last_seasons_change": "naive_seasonal_change",
}
# Prefixes of the metrics for which lower is better; other metrics were shares.
ERROR_PREFIXES = ("smape", "mape", "mae", "rmse", "loss", "nll")


def translated_config(config: Any) -> Any:
    """A recorded config, of dicts, lists and values, with the current names of its classes.

    Raises:
        UserError: the name of a class is no text.
    """
    if isinstance(config, list):
        return [translated_config(branch) for branch in config]
    if not isinstance(config, dict):
        return config
    found = {key: translated_config(branch) for key, branch in config.items()}
    if "_target_" in found:
        if not isinstance(target := found["_target_"], str):
            raise UserError(f"_target_ is {target!r}, it must be the name of a class")
        module, _, name = target.rpartition(".")
        found["_target_"] = f"{MODULES.get(module, module)}.{name}"
        if found["_target_"] == RECURRENCE:
            if "path" not in found:
                fused, compiled = found.pop("fused", True), found.pop("compiled", False)
                found["path"] = "compiled" if compiled else "fused" if fused else "plain"
            found.setdefault("tuning", earlier_tuning())
    return found


def earlier_tuning() -> dict[str, int | None]:
    """The sizes with which the fused path computed before runs recorded them."""
    is_amd = str(tuning.CPU.get("cpu_name", "")).startswith("AMD")
    slow_for_mkl = is_amd and bool(tuning.CPU.get("avx512_f"))
    return asdict(
        tuning.Tuning(
            onednn_from=64 * 192 * 192 if slow_for_mkl else None,
            sigmoid_from=32 * 128 if slow_for_mkl else None,
            augment_from=0,
            joint_below=0,
            group_sequences=512,
            block_rows=4096,
        )
    )


def translated_run(run: dict[str, Any]) -> dict[str, Any]:
    """run.json in the current format."""
    headline = [_metric(one) if isinstance(one, str) else one for one in run.get("headline", [])]
    translated = run | {"headline": headline} if headline else run
    spec = run.get("spec", {})
    if "windows" in spec:  # from when forecasting was the only task
        spec = spec | {"tested": spec["windows"], "things": "windows"}
        translated = translated | {"spec": spec}
    return translated


def _metric(name: str) -> dict[str, Any]:
    return {"name": name, "unit": "", "lower_is_better": name.startswith(ERROR_PREFIXES)}


def translated_metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    """metrics.json with the current names of the baselines."""
    return {_translated_metric(name): value for name, value in metrics.items()}


def _translated_metric(name: str) -> str:
    kind, _, rest = name.partition("/")
    baseline, _, metric = rest.partition("/")
    return f"{kind}/{BASELINES.get(baseline, baseline)}/{metric}" if kind == "baseline" else name


def kept(folder: Path, run: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What a run without hashes kept of its training data, by file name.

    found: the content of the files that exist, by name.

    Raises:
        UserError: the vocabulary differs from its fingerprint in run.json.
    """
    tokens = found.get("vocabulary.json")
    if tokens is not None:
        fingerprint = hashlib.sha256(json.dumps(tokens).encode()).hexdigest()
        if fingerprint != run.get("fingerprints", {}).get("vocabulary"):
            raise UserError(f"{folder / 'vocabulary.json'} has been changed since the run wrote it")
    scaling = run.get("spec", {}).get("scaling")
    return found if scaling is None else {"scaling.json": scaling} | found
