"""The network that predicts the next H values of a time series."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rnnexp.errors import UserError
from rnnexp.nn.readouts import Readout, outputs_of
from rnnexp.nn.recurrence import Recurrence
from rnnexp.nn.representations import Features
from rnnexp.nn.scaling import Scaling
from rnnexp.tasks.horizon.spec import HorizonSpec

Base = Literal["season", "week", "mean"]
DAYS = 7  # seasons that the bases look back


class EncoderDecoder(nn.Module):
    """Windows in original units -> quantiles of the next H values in original units, float64.

    A recurrence reads the window; a second one, in both directions, runs over the horizon and reads
    what is known of it: the time features, the known columns, what the series was at the same place
    of earlier seasons, and the last state of the first, as the context of every step. A readout
    gives the outputs of a step. The structure is that of the MQ-RNN (Wen et al. 2017, arXiv
    1711.11053, section 3), with a recurrence in place of its local network.

    Outputs are relative to a base and to the scale of the series:

        season  the last season, repeated
        week    the last seven seasons, repeated
        mean    the mean of the last seven seasons

    So a network that gives 0 is a seasonal naive forecast.

    memory: half-lives, in steps, of exponential means of the known columns, which both recurrences
    read beside them, since a house is as warm as the last day was. quantiles: levels, ascending,
    with 0.5; none: one output. They do not cross: the median is an output, and the others lie above
    and below it by sums of positive outputs. dropout: also of what context and readout read.

    Raises:
        UserError: the window is too short for the base, or a setting is not as said.
    """

    means: Tensor  # (memories, T + H, T + H): the weights of exponential means
    seasonal: Tensor  # (S,) float64: the mean of |y(t) - y(t-season)| over the training span

    def __init__(
        self,
        spec: HorizonSpec,
        recurrence: Callable[..., Recurrence],
        readout: Callable[..., Readout],
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        base: Base = "season",
        memory: Sequence[float] = (),
        quantiles: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.horizon, self.season = spec.horizon, spec.season
        self.levels = checked_levels(quantiles)
        self.base = base
        seasons = {"season": 1, "week": DAYS, "mean": 1}
        if base not in seasons:
            raise UserError(f"model.base is {base!r}: it must be one of {', '.join(seasons)}")
        if spec.look_back < seasons[base] * spec.season:
            raise UserError(
                f"model.base={base} needs windows of {seasons[base] * spec.season} steps, but "
                f"data.look_back is {spec.look_back}: raise it"
            )
        self.scaling = Scaling.unfitted(len(spec.series), len(spec.columns))
        self.register_buffer("seasonal", torch.ones(len(spec.series), dtype=torch.float64))
        self.known = [spec.columns.index(name) for name in spec.known]
        if not all(half_life > 0 for half_life in memory):
            raise UserError(f"model.memory is {list(memory)}: a half-life is a number above 0")
        length = spec.look_back + spec.horizon
        means = [exponential_mean(length, half_life) for half_life in memory]
        self.register_buffer(
            "means", torch.stack(means) if means else torch.empty(0, length, length), False
        )
        remembered = len(memory) * len(spec.known)
        inputs = len(spec.columns) + spec.calendar + remembered
        self.recurrence = recurrence(
            input_size=inputs, hidden_size=hidden_size, num_layers=num_layers, dropout=dropout
        )
        self.context = nn.Linear(self.recurrence.output_size, hidden_size)
        ahead = spec.calendar + len(spec.known) + remembered + 3 + hidden_size
        self.decoder = recurrence(
            input_size=ahead,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=True,
        )
        self.readout = readout(
            input_size=ahead,
            hidden_size=self.decoder.output_size,
            outputs=max(len(self.levels), 1),
        )
        if not self.readout.every_step:
            raise UserError(
                "model.readout must give an output at every step of the horizon: choose "
                "model/readout=every_step"
            )
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor, calendar: Tensor, known: Tensor, series: Tensor) -> Tensor:
        """values (B, T, C), calendar (B, T + H, K), known (B, H, N), series (B,) -> outputs
        (B, H, Q), relative to the base and the scale."""
        steps = values.shape[1]
        past = self.scaling(values, series)
        past[..., 0] = self._relative(values[..., 0], values, series)
        # (B, T + H, N)
        scaled = self._scaled_known(torch.cat([values[..., self.known], known], 1), series)
        memory = torch.einsum("mts,bsn->btmn", self.means.to(scaled.dtype), scaled).flatten(2)
        read = torch.cat([past, calendar[:, :steps], memory[:, :steps]], -1)
        _, state = self.recurrence(Features(read.transpose(0, 1)), every_step=False)
        context = torch.tanh(self.context(self.dropout(state[0])))
        earlier = [self._repeated(values, 1), self._repeated(values, DAYS), self._mean(values)]
        ahead = [
            calendar[:, steps:],
            scaled[:, steps:],
            memory[:, steps:],
            torch.stack([self._relative(one, values, series) for one in earlier], -1),
            context.unsqueeze(1).expand(-1, self.horizon, -1),
        ]
        x = Features(torch.cat(ahead, -1).transpose(0, 1))
        hidden, final = self.decoder(x)
        return ordered(outputs_of(self.readout, x, self.dropout(hidden), final), self.levels)

    def scale(self, target: Tensor, values: Tensor, series: Tensor) -> Tensor:
        """Targets (B, H) as the outputs are: relative to the base and the scale."""
        above = target - self._base(values)
        return (above / self.seasonal[series].unsqueeze(1)).to(self.context.weight.dtype)

    def invert(self, outputs: Tensor, values: Tensor, series: Tensor) -> Tensor:
        """The inverse of `scale`: (B, H, Q) -> original units, float64."""
        unit = self.seasonal[series].view(-1, 1, 1)
        return outputs * unit + self._base(values).unsqueeze(-1)

    def _relative(self, y: Tensor, values: Tensor, series: Tensor) -> Tensor:
        """y (B, n) of the target's column, less the mean of the window, in units of the scale."""
        centre = values[..., 0].mean(1, keepdim=True)
        relative = (y - centre) / self.seasonal[series].unsqueeze(1)
        return relative.to(self.context.weight.dtype)

    def _scaled_known(self, known: Tensor, series: Tensor) -> Tensor:
        minimum, extent = self.scaling.minimum[series], self.scaling.range[series]
        above = known - minimum[:, self.known].unsqueeze(1)
        return 4 * (above.to(extent.dtype) / extent[:, self.known].unsqueeze(1) - 0.5)

    def _base(self, values: Tensor) -> Tensor:
        """(B, H) float64, original units."""
        if self.base == "mean":
            return self._mean(values)
        return self._repeated(values, DAYS if self.base == "week" else 1)

    def _repeated(self, values: Tensor, seasons: int) -> Tensor:
        """The last seasons, repeated; the whole window if it is shorter."""
        length = min(seasons * self.season, values.shape[1])
        last = values[:, -length:, 0]
        return last[:, torch.arange(self.horizon, device=last.device) % length]

    def _mean(self, values: Tensor) -> Tensor:
        """The mean of the last seasons of the window, at most seven, by the place in the season."""
        count = min(DAYS, values.shape[1] // self.season)
        if count == 0:
            return values[..., 0].mean(1, keepdim=True).expand(-1, self.horizon)
        last = values[:, -count * self.season :, 0].unflatten(1, (count, self.season)).mean(1)
        return last[:, torch.arange(self.horizon, device=last.device) % self.season]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "EncoderDecoder":
        """`to`, `float`, and Lightning's precisions move `seasonal`, but do not cast it."""
        exact = self.seasonal
        super()._apply(fn, recurse)
        if self.seasonal.dtype != exact.dtype:
            self.seasonal = exact.to(self.seasonal.device)
        return self


def exponential_mean(length: int, half_life: float) -> Tensor:
    """(length, length): row t has the weights, which sum to 1, of the steps up to t in their
    exponential mean."""
    age = torch.arange(length).unsqueeze(1) - torch.arange(length)
    weight = torch.where(age >= 0, 0.5 ** (age / half_life), 0.0)
    return weight / weight.sum(1, keepdim=True)


def checked_levels(quantiles: Sequence[float]) -> tuple[float, ...]:
    """The levels of quantiles.

    Raises:
        UserError: they are not ascending numbers between 0 and 1 with 0.5 among them.
    """
    levels = tuple(quantiles)
    if not all(isinstance(level, float) and 0 < level < 1 for level in levels):
        raise UserError(f"task.quantiles is {list(levels)}: a level lies between 0 and 1")
    if list(levels) != sorted(set(levels)):
        raise UserError(f"task.quantiles is {list(levels)}: the levels must ascend")
    if levels and 0.5 not in levels:
        raise UserError(
            f"task.quantiles is {list(levels)}: it must contain 0.5, the point forecast"
        )
    return levels


def ordered(outputs: Tensor, levels: Sequence[float]) -> Tensor:
    """Outputs (..., Q) as quantiles that do not cross; without levels as they are."""
    if len(levels) < 2:
        return outputs
    middle = levels.index(0.5)
    median = outputs[..., middle : middle + 1]
    gaps = functional.softplus(outputs)
    above = median + gaps[..., middle + 1 :].cumsum(-1)
    below = median - gaps[..., :middle].flip(-1).cumsum(-1).flip(-1)
    return torch.cat([below, median, above], -1)
