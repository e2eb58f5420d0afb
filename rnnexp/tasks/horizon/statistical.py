"""Statistical models (statsforecast) as further baselines, with prediction intervals."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnexp.errors import UserError
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.horizon.baselines import SEASONS, ahead, history, pooled_metrics, within_a_day
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.metrics import described
from rnnexp.tasks.horizon.networks.quantiles import point_of
from rnnexp.tasks.horizon.windows import HorizonWindows

MOST_WINDOWS = 100  # each is fitted anew, on all that lies before it
LIBRARIES = ("statsforecast", "statsmodels")  # that compute


def require_statsforecast(windows: int) -> None:
    """Check that statsforecast can be used, and for so many windows.

    Raises:
        UserError: it or a library that it needs is not installed, or there are too many windows.
    """
    try:
        import statsforecast.models  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            "statsforecast is not installed: pip install 'rnnexp[statsforecast]', or leave out "
            "task.statsforecast (--statsforecast of a back-test)"
        ) from error
    except (ImportError, OSError) as error:
        raise UserError(f"statsforecast is installed but cannot be loaded: {error}") from error
    if windows > MOST_WINDOWS:
        raise UserError(
            f"statsforecast fits its models anew for each of the {windows:,} windows, and at most "
            f"{MOST_WINDOWS} are allowed: lower data.test_windows, the number of them in each "
            "series (raise --every of a back-test), or leave out task.statsforecast"
        )


def statistical_baselines(
    data: HorizonData, windows: HorizonWindows, levels: Sequence[float], cache: BaselineCache
) -> dict[str, dict[str, float]]:
    """The metrics of `statistical_forecasts`, pooled over the windows: name -> metric -> value.

    Raises:
        UserError: as for `require_statsforecast`.
    """
    require_statsforecast(len(windows))
    identity = {
        "baseline": "statsforecast",
        "libraries": {name: version(name) for name in LIBRARIES},
        "levels": list(levels),
        **data.identity(windows),
    }
    names = [metric.name for metric in described(data.source.unit, levels)]

    def compute() -> dict[str, dict[str, float]]:
        return {
            name: _metrics(data, windows, found, levels)
            for name, found in statistical_forecasts(data, windows, levels).items()
        }

    return cache.get(identity, names, compute)


def _metrics(
    data: HorizonData, windows: HorizonWindows, found: Tensor, levels: Sequence[float]
) -> dict[str, float]:
    more = (found, levels) if levels else ()
    return pooled_metrics(data, windows, point_of(found, levels), *more)


def statistical_forecasts(
    data: HorizonData, windows: HorizonWindows, levels: Sequence[float]
) -> dict[str, Tensor]:
    """Quantiles (n, H, Q) of each model, the ends of its central intervals; without levels the mean
    (n, H, 1).

    mstl      the decomposition into seasons by LOESS, and exponential smoothing of what is left
    auto_ets  exponential smoothing, whose form is chosen by AICc

    A model is fitted for each window on all values of the target before the horizon. MSTL has the
    season, and that of seven of them for steps below a day. A model is left out if the series has
    fewer than two of its seasons before some window, or is too short for it.
    """
    from statsforecast.models import MSTL, AutoETS

    season = data.source.season
    least = int(history(data.source, windows.start + data.source.look_back).min())
    lengths = [season, SEASONS * season] if within_a_day(data.source) else [season]
    lengths = [length for length in lengths if length > 1 and 2 * length <= least]
    models: dict[str, Callable[[], Any]] = {"auto_ets": lambda: AutoETS(season_length=season)}
    if lengths:
        models = {"mstl": lambda: MSTL(season_length=lengths), **models}
    found = {}
    for name, model in models.items():
        try:
            found[name] = _quantiles(data, windows, levels, model)
        except NotImplementedError:  # the series is too short for it
            continue
    return found


def _quantiles(
    data: HorizonData, windows: HorizonWindows, levels: Sequence[float], model: Callable[[], Any]
) -> Tensor:
    """(n, H, Q)"""
    source, store, steps = data.source, data.source.store, ahead(data.source).numpy()
    shares = [round(abs(100 - 200 * level), 6) for level in levels]  # percent
    issued = windows.start + source.look_back
    first = issued - history(source, issued)
    rows = []
    for begin, end in zip(first.tolist(), issued.tolist(), strict=True):
        found = model().forecast(
            y=store.values[begin:end, 0].numpy().copy(),
            h=int(steps[-1]) + 1,
            level=sorted(set(shares)) or None,
        )
        ends = [
            found[f"{'lo' if level < 0.5 else 'hi'}-{share}"]
            for level, share in zip(levels, shares, strict=True)
        ]
        rows.append(np.stack(ends or [found["mean"]], -1)[steps])
    return torch.from_numpy(np.stack(rows))
