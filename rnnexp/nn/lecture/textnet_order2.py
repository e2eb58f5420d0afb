"""TEXTnetOrder2, the lecture's text network that feeds a gate back after two words, from its slides
on TEXTnetOrder2 and DLStudio's classes TEXTnetOrder2 and TEXTnetOrder2WithEmbeddings."""

import torch
from torch import Tensor, nn

from rnnexp.nn.lecture.words import Words


class TEXTnetOrder2(nn.Module):
    """For the words x_1 .. x_T of a document, with h_0 = 0 and c_1 = c_2 = 0:

    h_t    = tanh(W_h [x_t; h_{t-1}; c_t] + b_h)
    cell_t = sigma(W_c h_t + b_c)
    c_t    = cell_{t-2}
    output = log-softmax(W_o dropout(relu(W_m [x_T; h_{T-1}; c_T] + b_m)) + b_o)

    The slide has no tanh (tanh=False); DLStudio has it.
    """

    def __init__(
        self, inputs: int, hidden: int, classes: int, dropout: float = 0.1, tanh: bool = True
    ) -> None:
        super().__init__()
        self.hidden, self.tanh = hidden, tanh
        self.combined_to_hidden = nn.Linear(inputs + 2 * hidden, hidden)
        self.combined_to_middle = nn.Linear(inputs + 2 * hidden, 100)
        self.middle_to_out = nn.Linear(100, classes)
        self.linear_for_cell = nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, words: Words) -> Tensor:
        """words: T rows (1, I) -> log-probabilities (1, classes)."""
        h = cell = c = self.combined_to_hidden.bias.new_zeros(1, self.hidden)
        for t in range(len(words) - 1):
            h, cell, c = self.step(words[t], h, cell, c)
        combined = torch.cat([words[len(words) - 1], h, c], dim=1)  # [x_T; h_{T-1}; c_T]
        middle = torch.relu(self.combined_to_middle(combined))
        return torch.log_softmax(self.middle_to_out(self.dropout(middle)), dim=1)

    def step(self, x: Tensor, h: Tensor, cell: Tensor, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x_t (1, I) and h_{t-1}, cell_{t-1}, c_t, all (1, H) -> h_t, cell_t, c_{t+1}."""
        h = self.combined_to_hidden(torch.cat([x, h, c], dim=1))
        h = torch.tanh(h) if self.tanh else h
        return h, torch.sigmoid(self.linear_for_cell(h)), cell
