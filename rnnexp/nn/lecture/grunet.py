"""GRUnet, the lecture's stack of gated recurrent units for text, from its slides on GRUnet and
DLStudio's classes GRUnet and GRUnetWithEmbeddings."""

import torch
from torch import Tensor, nn

from rnnexp.nn.lecture.words import Words


class GRUnet(nn.Module):
    """For the words t = 1 .. T of a document, with h_0 = 0, each layer of torch.nn.GRU computes

    r_t    = sigma(W_r x_t + b_r + U_r h_{t-1} + d_r)
    z_t    = sigma(W_z x_t + b_z + U_z h_{t-1} + d_z)
    h~_t   = tanh(W_h x_t + b_h + r_t * (U_h h_{t-1} + d_h))
    h_t    = (1 - z_t) * h~_t + z_t * h_{t-1}

    where x_t is word t in the first layer, and h_t of the layer below in the others. The output is

    output = log-softmax(W_fc relu(h_T) + b_fc)

    with h_T of the last layer. The slide has dropout 0.2 between the layers; DLStudio has none.
    """

    def __init__(
        self, inputs: int, hidden: int, classes: int, layers: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.gru = nn.GRU(inputs, hidden, layers, dropout=dropout)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, words: Words) -> Tensor:
        """words: T rows (1, I) -> log-probabilities (1, classes)."""
        h = self.fc.bias.new_zeros(self.layers, 1, self.hidden)
        for t in range(len(words)):
            _, h = self.gru(words[t].unsqueeze(0), h)
        return torch.log_softmax(self.fc(torch.relu(h[-1])), dim=1)
