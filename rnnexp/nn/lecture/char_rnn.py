"""The char RNN, the lecture's network for last names, from its slides on Robertson's tutorial
"Classifying Names with a Character-Level RNN" (PyTorch)."""

import torch
from torch import Tensor, nn

from rnnexp.nn.lecture.words import Words


class CharRNN(nn.Module):
    """For the characters x_1 .. x_T of a name, with h_0 = 0:

    h_t    = W_h [x_t; h_{t-1}] + b_h
    output = log-softmax(W_o [x_T; h_{T-1}] + b_o)
    """

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.c2h = nn.Linear(inputs + hidden, hidden)
        self.c2o = nn.Linear(inputs + hidden, classes)

    def forward(self, characters: Words) -> Tensor:
        """characters: T rows (1, I) -> log-probabilities (1, classes)."""
        h = self.c2h.bias.new_zeros(1, self.hidden)
        for t in range(len(characters) - 1):
            h = self.c2h(torch.cat([characters[t], h], dim=1))
        combined = torch.cat([characters[len(characters) - 1], h], dim=1)  # [x_T; h_{T-1}]
        return torch.log_softmax(self.c2o(combined), dim=1)
