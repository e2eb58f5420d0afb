"""pmGRU, the lecture's minimal gated unit for load prediction, from its slides on pmGRU and
DLStudio's class pmGRU. The unit is from Zhou et al. 2016 (arXiv 1603.09420, eqs. 8-10)."""

import torch
from torch import Tensor, nn


class pmGRU(nn.Module):
    """For the hours x_1 .. x_T of a window, with h_0 = 0:

    f_t    = sigma(W_f [x_t; h_{t-1}] + b_f)
    h~_t   = tanh(W_h [x_t; f_t * h_{t-1}] + b_h)
    h_t    = (1 - f_t) * h_{t-1} + f_t * h~_t
    output = tanh(W_o h_T + b_o)
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.project1 = nn.Sequential(nn.Linear(inputs + hidden, hidden), nn.Sigmoid())
        self.project2 = nn.Sequential(nn.Linear(inputs + hidden, hidden), nn.Tanh())
        self.project3 = nn.Sequential(nn.Linear(hidden, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """x: scaled windows (B, T, I) -> scaled load of the hour after each window, (B, 1)."""
        h = x.new_zeros(len(x), self.hidden)
        for t in range(x.shape[1]):
            h = self.step(x[:, t], h)
        return self.project3(h)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """x_t (B, I) and h_{t-1} (B, H) -> h_t (B, H)."""
        f = self.project1(torch.cat([x, h], dim=1))
        candidate = self.project2(torch.cat([x, f * h], dim=1))
        return (1 - f) * h + f * candidate
