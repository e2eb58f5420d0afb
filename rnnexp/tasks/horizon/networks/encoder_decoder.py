"""A second recurrence over the horizon."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rnnexp.errors import UserError
from rnnexp.nn.readouts import Readout, outputs_of
from rnnexp.nn.recurrence import Recurrence
from rnnexp.nn.representations import Features
from rnnexp.tasks.horizon.networks.network import HorizonNetwork
from rnnexp.tasks.horizon.spec import HorizonSpec


class EncoderDecoder(HorizonNetwork):
    """A second recurrence of the same kind runs over the steps ahead. It reads what is known of
    them, and the last hidden state of the first one at every step; a readout gives the outputs of a
    step. It is the MQ-RNN (Wen et al. 2017, arXiv 1711.11053, section 3) with a recurrence in place
    of its local network.

    bidirectional: whether the second recurrence runs in both directions: a forecast for Tuesday may
    depend on what is known of Wednesday. Other settings: `HorizonNetwork`.

    Raises:
        UserError: the readout does not give an output at every step; and as `HorizonNetwork`.
    """

    def __init__(
        self,
        spec: HorizonSpec,
        recurrence: Callable[..., Recurrence],
        readout: Callable[..., Readout],
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = True,
        **settings: Any,
    ) -> None:
        super().__init__(spec, recurrence, hidden_size, num_layers, dropout, **settings)
        self.context = nn.Linear(self.recurrence.output_size, hidden_size)
        inputs = self.ahead_size + hidden_size
        self.decoder = recurrence(
            input_size=inputs,
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.readout = readout(
            input_size=inputs, hidden_size=self.decoder.output_size, outputs=self.output_count
        )
        if not self.readout.every_step:
            raise UserError(
                "model.readout must give an output at every step of the horizon: choose "
                "model/readout=every_step"
            )

    def outputs_from(self, hidden: Tensor, ahead: Tensor) -> Tensor:
        context = torch.tanh(self.context(self.dropout(hidden)))
        read = torch.cat([ahead, context.unsqueeze(1).expand(-1, self.ahead, -1)], -1)
        x = Features(read.transpose(0, 1))
        decoded, final = self.decoder(x)
        return outputs_of(self.readout, x, self.dropout(decoded), final)
