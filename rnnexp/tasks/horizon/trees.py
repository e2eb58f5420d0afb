"""Gradient-boosted trees (LightGBM) as a further baseline, for those who ask for them."""

import numpy as np
import torch
from torch import Tensor

from rnnexp.data.series.source import SeriesSource
from rnnexp.process import cores
from rnnexp.tasks.baseline_cache import BaselineCache
from rnnexp.tasks.forecasting.trees import TREES, require_lightgbm
from rnnexp.tasks.horizon.baselines import (
    LEAST_WINDOWS,
    SEASONS,
    ahead,
    earlier,
    history,
    last_seasons,
    pooled_metrics,
    season_before,
    training_positions,
)
from rnnexp.tasks.horizon.data import HorizonData
from rnnexp.tasks.horizon.metrics import described
from rnnexp.tasks.horizon.windows import HorizonWindows

ROWS = 200_000  # most training rows of a series; a window has one for each step
LAST = 3  # values before the issue time that are inputs


def lightgbm_baselines(
    data: HorizonData, windows: HorizonWindows, cache: BaselineCache
) -> dict[str, dict[str, float]]:
    """The metrics of `lightgbm`, a point forecast, pooled over the windows: name -> metric ->
    value.

    Raises:
        UserError: as for `require_lightgbm`.
    """
    identity = {
        "baseline": "lightgbm",
        "version": require_lightgbm(),
        **TREES,
        **data.identity(windows),
    }
    names = [metric.name for metric in described(data.source.unit)]

    def compute() -> dict[str, dict[str, float]]:
        return {"lightgbm": pooled_metrics(data, windows, lightgbm_forecasts(data, windows))}

    return cache.get(identity, names, compute)


def lightgbm_forecasts(data: HorizonData, windows: HorizonWindows) -> Tensor:
    """Forecasts (n, H) of one model per series for all steps, of which the step is an input.

    The target is the change from the value at the same place of the last season, because trees
    cannot predict a level outside the training data. A series with fewer than two values to learn
    from repeats its last season.
    """
    from lightgbm import LGBMRegressor

    source = data.source
    issued = windows.start + source.look_back
    forecasts = last_seasons(source, issued, 1)
    number = source.store.series_of(windows.start)
    for series, span in enumerate(source.training_spans()):
        training = training_positions(source, span, max(ROWS // source.horizon, 1))
        position = training.unsqueeze(1) + ahead(source)
        kept = source.store.observed[position].flatten().numpy()
        tested = number == series
        if kept.sum() < LEAST_WINDOWS or not tested.any():
            continue
        change = source.store.values[position, 0] - last_seasons(source, training, 1)
        model = LGBMRegressor(**TREES, n_jobs=cores.free(), verbosity=-1)
        model.fit(_inputs(data, training)[kept], change.flatten().numpy()[kept])
        found = np.asarray(model.predict(_inputs(data, issued[tested])))
        forecasts[tested] += torch.from_numpy(found).view(-1, source.horizon)
    return forecasts


def _inputs(data: HorizonData, issued: Tensor) -> np.ndarray:
    """(n H, F): a model's inputs for each step after each position `issued` (n,), original units.

    They are the bases of the network, the value at the same place of the last season, of the season
    a week before, and the mean of seven seasons; the last three values, and their changes over one
    season and over seven; the known columns, at the step and at that place of the last season; the
    step, the minute of the day and the days of the week and of the year.
    """
    source, store, steps = data.source, data.source.store, ahead(data.source)
    position = issued.unsqueeze(1) + steps  # (n, H)
    season = last_seasons(source, issued, 1)
    last = _last(source, issued, 0)  # (n, 3)
    changes = [last - _last(source, issued, seasons * source.season) for seasons in (1, SEASONS)]
    known = store.values[:, data.known]
    last_place = earlier(store, issued, min(source.season, source.look_back), steps)
    minute, weekday, _, day, *_ = store.calendar_at(position).double().unbind(-1)
    columns = [
        season,
        last_seasons(source, issued, SEASONS) - season,
        _mean_season(source, issued) - season,
        *(one.unsqueeze(1) - season for one in last.unbind(1)),
        *(one.unsqueeze(1).expand_as(season) for one in torch.cat(changes, 1).unbind(1)),
        *known[position].unbind(-1),
        *known[last_place].unbind(-1),
        steps.expand_as(position).double(),
        minute,
        weekday,
        day,
    ]
    return torch.stack(columns, -1).flatten(0, 1).numpy()


def _last(source: SeriesSource, issued: Tensor, lag: int) -> Tensor:
    """(n, 3): the last values before each position, fewer if the window is shorter, or the values
    `lag` steps before them, of which whole days are those of the clock; where the series does not
    reach back so far, they themselves."""
    place = issued.unsqueeze(1) - torch.arange(min(LAST, source.look_back), 0, -1)
    first = (issued - history(source, issued)).unsqueeze(1)
    before = source.store.before(place, lag)
    return source.store.values[torch.where(before >= first, before, place), 0]


def _mean_season(source: SeriesSource, issued: Tensor) -> Tensor:
    """(n, H): the mean of the window's last seasons, at most seven, by the place in the season; of
    the whole window if it is shorter."""
    store, season, steps = source.store, source.season, ahead(source)
    count = min(SEASONS, source.look_back // season)
    if count == 0:
        window = store.values[:, 0].unfold(0, source.look_back, 1)[issued - source.look_back]
        return window.mean(1, keepdim=True).expand(-1, len(steps))
    last = earlier(store, issued, season, steps)
    places = [season_before(store, last, k * season, issued) for k in range(count)]
    return torch.stack([store.values[place, 0] for place in places]).mean(0)
