"""What all networks of the horizon task share: their inputs, and the units of their outputs."""

import copy
from collections.abc import Callable, Sequence
from typing import Literal, Self

import torch
from torch import Tensor, nn

from rnnexp.errors import UserError
from rnnexp.nn.recurrence import Recurrence
from rnnexp.nn.representations import Features
from rnnexp.nn.scaling import Scaling, with_mask
from rnnexp.tasks.horizon.conformal import moved
from rnnexp.tasks.horizon.networks.quantiles import checked_levels, ordered
from rnnexp.tasks.horizon.spec import HorizonSpec

Base = Literal["season", "week", "mean"]
Centre = Literal["window", "series"]
DAYS = 7  # seasons that the bases look back


class HorizonNetwork(nn.Module):
    """Windows in original units -> quantiles of the next H values, float64, original units.

    A recurrence reads the window. From its hidden state and from what is known of the steps ahead,
    a subclass makes the outputs (`outputs_from`). Known are the time features, the columns of
    `data.known` and `data.static`, and what the series was at the same place of earlier seasons.

    Outputs are relative to a base and to the scale of the series:

        season  the last season, repeated
        week    the last seven seasons, repeated
        mean    the mean of the last seven seasons

    So a network that gives 0 is a seasonal naive forecast.

    Forking (Wen et al. 2017, arXiv 1711.11053, section 3.3): in training, a forecast is made not
    only from the last step of a window but from each of its last `forks` steps. Nothing after a
    fork reaches its forecast but what is known beforehand.

    With `data.cleaning.missing=mask`, a missing value is 0 in scaled units, and every column has
    its mask beside it. Forecasts from earlier seasons, and the centre, take the repair.

    base: as above. centre: what the inputs of the target's column are relative to: `window`, the
    mean of the window's last seven seasons, which follows a series wherever it goes; `series`, the
    middle of the training span of the series, so that the network reads its level. memory: half-
    lives, in steps, of exponential means of the known columns, which are read beside them, since a
    house is as warm as the last day was. rectified: whether the positive part of each known column
    is read beside it: heating and cooling both need electricity. series_vector: size of a learnt
    vector for each series; a series that is new has the mean of them. quantiles: levels, ascending,
    with 0.5; none: one output. dropout: also of the hidden states from which the outputs are made.

    Raises:
        UserError: the window is too short for the base, or a setting is not as said.
    """

    means: Tensor  # (memories, T + A, T + A): the weights of exponential means
    static: Tensor  # (S, K): the static columns, standardised
    seasonal: Tensor  # (S,) float64: the mean of |y(t) - y(t-season)| over the training span
    margins: Tensor  # (Q,) float64: how far the conformal adjustment moves the quantiles

    def __init__(
        self,
        spec: HorizonSpec,
        recurrence: Callable[..., Recurrence],
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        base: Base = "season",
        centre: Centre = "window",
        memory: Sequence[float] = (),
        rectified: bool = False,
        series_vector: int = 0,
        quantiles: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.lead, self.ahead, self.season = spec.lead, spec.lead + spec.horizon, spec.season
        self.levels = checked_levels(quantiles)
        self.base, self.centre, self.rectified = base, centre, rectified
        seasons = {"season": 1, "week": DAYS, "mean": 1}
        if spec.look_back - spec.forks + 1 < seasons[base] * spec.season:
            before = " before the first of data.forks" if spec.forks > 1 else ""
            raise UserError(
                f"model.base={base} needs windows of {seasons[base] * spec.season} steps{before}, "
                f"but data.look_back is {spec.look_back}: raise it"
            )
        if not all(half_life > 0 for half_life in memory):
            raise UserError(f"model.memory is {list(memory)}: a half-life is a number above 0")
        self.scaling = Scaling.unfitted(len(spec.series), len(spec.columns))
        self.register_buffer("seasonal", torch.ones(len(spec.series), dtype=torch.float64))
        constants = torch.zeros(len(spec.series), len(spec.static))
        self.register_buffer("static", constants, persistent=bool(spec.static))
        self.known = [spec.columns.index(name) for name in spec.known]
        self.observed = [i for i in range(1, len(spec.columns)) if i not in self.known]
        length = spec.look_back + self.ahead
        means = [exponential_mean(length, half_life) for half_life in memory]
        self.register_buffer(
            "means", torch.stack(means) if means else torch.empty(0, length, length), False
        )
        self.register_buffer("margins", torch.zeros(len(self.levels), dtype=torch.float64))
        self.vectors = nn.Embedding(len(spec.series), series_vector) if series_vector else None
        columns = len(spec.known) * (1 + spec.masks + rectified + len(memory))
        covariates = spec.calendar + columns + len(spec.static) + series_vector
        self.recurrence = recurrence(
            input_size=(1 + len(self.observed)) * (1 + spec.masks) + covariates,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
        )
        if spec.forks > 1 and self.recurrence.output_size > hidden_size:
            raise UserError(
                "with data.forks a recurrence that reads backwards too would see what it has to "
                "predict: set model.recurrence.bidirectional=false, or data.forks=1"
            )
        # The last season and the last week at the same place, and their mean if it is the base.
        self.ahead_size = covariates + (3 if base == "mean" else 2)
        self.output_count = max(len(self.levels), 1)
        self.dropout = nn.Dropout(dropout)

    def outputs_from(self, hidden: Tensor, ahead: Tensor) -> Tensor:
        """hidden (N, output_size of the recurrence), the hidden state at the issue time; ahead
        (N, A, ahead_size), what is known of the A steps after it -> (N, A, Q)."""
        raise NotImplementedError

    def forward(
        self,
        values: Tensor,
        calendar: Tensor,
        known: Tensor,
        series: Tensor,
        forks: int = 1,
        mask: Tensor | None = None,
    ) -> Tensor:
        """values (B, T, C), calendar (B, T + A, K), known (B, A, N), series (B,), mask (B, T + A,
        C), which values were observed -> (B F, H, Q), relative to the base and the scale: for each
        window the forecasts of its F forks, in order.

        A is the number of steps to the end of the horizon, with the lead.
        """
        steps = values.shape[1]
        covariates = self._covariates(values, calendar, known, series, mask)
        y = self._relative(values[..., 0], values, series, forks)
        observed = self.scaling(values, series)[..., self.observed]
        own = None if mask is None else mask[:, :steps, [0, *self.observed]]
        unknown = with_mask(torch.cat([y.unsqueeze(-1), observed], -1), own)
        read = torch.cat([unknown, covariates[:, :steps]], -1)
        hidden, state = self.recurrence(Features(read.transpose(0, 1)), every_step=forks > 1)
        forked = hidden[-forks:].transpose(0, 1) if forks > 1 else state[0].unsqueeze(1)
        earlier = [self._repeated(values, 1, forks), self._repeated(values, DAYS, forks)]
        if self.base == "mean":
            earlier.append(self._mean(values, forks))
        level = [
            self._relative(one.flatten(1), values, series, forks).view_as(one) for one in earlier
        ]
        # (B, F, A, n): the A steps after each of the last F steps of the window.
        after = covariates[:, steps - forks + 1 :].unfold(1, self.ahead, 1).transpose(2, 3)
        ahead = torch.cat([after, torch.stack(level, -1)], -1)
        outputs = self.outputs_from(forked.flatten(0, 1), ahead.flatten(0, 1))
        return ordered(outputs[:, self.lead :], self.levels)

    def scale(self, target: Tensor, values: Tensor, series: Tensor, forks: int = 1) -> Tensor:
        """Targets (B F, H) as the outputs are: relative to the base and the scale."""
        above = target - self._base(values, forks)
        return (above / self._unit(series, forks)).to(self.scaling.range.dtype)

    def invert(self, outputs: Tensor, values: Tensor, series: Tensor) -> Tensor:
        """The inverse of `scale`: (B, H, Q) -> original units, float64."""
        return outputs * self._unit(series).unsqueeze(-1) + self._base(values).unsqueeze(-1)

    def predict(self, outputs: Tensor, values: Tensor, series: Tensor) -> Tensor:
        """As `invert`, with the quantiles moved by their margins."""
        quantiles = self.invert(outputs, values, series)
        return moved(quantiles, self.margins, self.seasonal[series], self.levels)

    def of_series(self, place: int | None, scaling: dict[str, list]) -> Self:
        """A copy of the network for one series alone. place: its index among those of the training;
        None: it is new. scaling: its entries, of one series."""
        alone = copy.deepcopy(self)
        alone.seasonal = torch.tensor(scaling["seasonal"], dtype=torch.float64)
        alone.scaling = Scaling(**{key: scaling[key] for key in ("minimum", "range", "change")})
        alone.static = torch.as_tensor(scaling.get("static", torch.zeros(1, 0)))
        if self.vectors is not None:
            learnt = self.vectors.weight.detach()
            own = learnt.mean(0) if place is None else learnt[place]
            alone.vectors = nn.Embedding.from_pretrained(own.unsqueeze(0))
        return alone

    def _unit(self, series: Tensor, forks: int = 1) -> Tensor:
        """(B F, 1) float64: the scale of the series."""
        return self.seasonal[series].repeat_interleave(forks).unsqueeze(1)

    def _relative(self, y: Tensor, values: Tensor, series: Tensor, forks: int) -> Tensor:
        """y (B, n) of the target's column, less the centre, in units of the scale. The centre of a
        window lies before its first fork."""
        if self.centre == "series":
            centre = self.scaling.minimum[series, :1] + self.scaling.range[series, :1] / 2
        else:
            before = values[:, : values.shape[1] - forks + 1, 0]
            centre = before[:, -DAYS * self.season :].mean(1, keepdim=True)
        return ((y - centre) / self._unit(series)).to(self.scaling.range.dtype)

    def _covariates(
        self,
        values: Tensor,
        calendar: Tensor,
        known: Tensor,
        series: Tensor,
        mask: Tensor | None,
    ) -> Tensor:
        """(B, T + A, n): the time features, the known columns and what is derived from them, the
        static columns, and the vector of the series."""
        column = torch.cat([values[..., self.known], known], 1)
        minimum, extent = self.scaling.minimum[series], self.scaling.range[series]
        above = (column - minimum[:, self.known].unsqueeze(1)).to(extent.dtype)
        scaled = 4 * (above / extent[:, self.known].unsqueeze(1) - 0.5)  # roughly standardised
        read = with_mask(scaled, None if mask is None else mask[..., self.known])
        scaled = read[..., : len(self.known)]
        remembered = torch.einsum("mts,bsn->btmn", self.means.to(scaled.dtype), scaled).flatten(2)
        parts = [calendar, read, remembered]
        if self.rectified:
            parts.append(scaled.relu())
        if self.static.shape[1]:
            parts.append(self.static[series].unsqueeze(1).expand(-1, calendar.shape[1], -1))
        if self.vectors is not None:
            parts.append(self.vectors(series).unsqueeze(1).expand(-1, calendar.shape[1], -1))
        return torch.cat(parts, -1)

    def _base(self, values: Tensor, forks: int = 1) -> Tensor:
        """(B F, H) float64, original units."""
        if self.base == "mean":
            base = self._mean(values, forks)
        else:
            base = self._repeated(values, DAYS if self.base == "week" else 1, forks)
        return base[..., self.lead :].flatten(0, 1)

    def _repeated(self, values: Tensor, seasons: int, forks: int) -> Tensor:
        """(B, F, A): the last seasons before each fork, repeated; all that comes before the first
        fork if that is shorter."""
        ends = self._ends(values, forks)
        length = min(seasons * self.season, int(ends[0]))
        place = torch.arange(self.ahead, device=values.device) % length
        return values[:, ends.unsqueeze(1) - length + place, 0]

    def _mean(self, values: Tensor, forks: int) -> Tensor:
        """(B, F, A): the mean of the last seasons before each fork, at most seven, by the place in
        the season."""
        ends = self._ends(values, forks)
        count = min(DAYS, int(ends[0]) // self.season)
        if count == 0:
            means = [values[:, :end, 0].mean(1) for end in ends.tolist()]
            return torch.stack(means, 1).unsqueeze(2).expand(-1, -1, self.ahead)
        place = torch.arange(self.ahead, device=values.device) % self.season
        seasons = self.season * torch.arange(-count, 0, device=values.device).view(-1, 1, 1)
        return values[:, ends.unsqueeze(1) + place + seasons, 0].mean(1)

    def _ends(self, values: Tensor, forks: int) -> Tensor:
        """(F,): the number of steps of the window that each fork has seen."""
        steps = values.shape[1]
        return torch.arange(steps - forks + 1, steps + 1, device=values.device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """`to`, `float`, and Lightning's precisions move `seasonal` and `margins`, but do not cast
        them."""
        exact = {"seasonal": self.seasonal, "margins": self.margins}
        super()._apply(fn, recurse)
        for name, value in exact.items():
            if getattr(self, name).dtype != value.dtype:
                setattr(self, name, value.to(getattr(self, name).device))
        return self


def exponential_mean(length: int, half_life: float) -> Tensor:
    """(length, length): row t has the weights, which sum to 1, of the steps up to t in their
    exponential mean."""
    age = torch.arange(length).unsqueeze(1) - torch.arange(length)
    weight = torch.where(age >= 0, 0.5 ** (age / half_life), 0.0)
    return weight / weight.sum(1, keepdim=True)
