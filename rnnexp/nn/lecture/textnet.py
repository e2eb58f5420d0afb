"""TEXTnet, the lecture's simple recurrent network for text, from its slides on TEXTnet and
DLStudio's classes TEXTnet and TEXTnetWithEmbeddings."""

import torch
from torch import Tensor, nn

from rnnexp.nn.lecture.words import Words


class TEXTnet(nn.Module):
    """For the words x_1 .. x_T of a document, with h_0 = 0:

    h_t    = tanh(W_h [x_t; h_{t-1}] + b_h)
    output = log-softmax(W_o dropout(relu(W_m [x_T; h_{T-1}] + b_m)) + b_o)

    The slide has no tanh (tanh=False); DLStudio has it. TEXTnetWithEmbeddings has no dropout.
    """

    def __init__(
        self, inputs: int, hidden: int, classes: int, dropout: float = 0.1, tanh: bool = True
    ) -> None:
        super().__init__()
        self.hidden, self.tanh = hidden, tanh
        self.combined_to_hidden = nn.Linear(inputs + hidden, hidden)
        self.combined_to_middle = nn.Linear(inputs + hidden, 100)
        self.middle_to_out = nn.Linear(100, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, words: Words) -> Tensor:
        """words: T rows (1, I) -> log-probabilities (1, classes)."""
        h = self.combined_to_hidden.bias.new_zeros(1, self.hidden)
        for t in range(len(words) - 1):
            h = self.step(words[t], h)
        combined = torch.cat([words[len(words) - 1], h], dim=1)  # [x_T; h_{T-1}]
        middle = torch.relu(self.combined_to_middle(combined))
        return torch.log_softmax(self.middle_to_out(self.dropout(middle)), dim=1)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """x_t (1, I) and h_{t-1} (1, H) -> h_t (1, H)."""
        h = self.combined_to_hidden(torch.cat([x, h], dim=1))
        return torch.tanh(h) if self.tanh else h
