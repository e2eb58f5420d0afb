"""All steps of the horizon at once, from one hidden state."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from rnnexp.nn.readouts import Readout
from rnnexp.nn.recurrence import Recurrence
from rnnexp.tasks.horizon.networks.network import HorizonNetwork
from rnnexp.tasks.horizon.spec import HorizonSpec


class Direct(HorizonNetwork):
    """The MQ-RNN (Wen et al. 2017, arXiv 1711.11053, section 3.1): a global layer turns the hidden
    state at the issue time into a context for each step ahead and one for all steps,

        (c_1, ..., c_A, c_a) = relu(W h + b)

    and a local network, the same at every step, reads them and what is known of the step:

        q_k = V relu(U [c_k, c_a, x_k] + d) + e

    context_size: of a context. Other settings: `HorizonNetwork`. The outputs are those of the local
    network, so a readout is not used.
    """

    def __init__(
        self,
        spec: HorizonSpec,
        recurrence: Callable[..., Recurrence],
        hidden_size: int,
        num_layers: int = 1,
        dropout: float = 0.0,
        context_size: int = 8,
        readout: Callable[..., Readout] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(spec, recurrence, hidden_size, num_layers, dropout, **settings)
        self.context_size = context_size
        contexts = (self.ahead + 1) * context_size
        self.contexts = nn.Sequential(
            nn.Linear(self.recurrence.output_size, contexts),
            nn.ReLU(),
        )
        self.local = nn.Sequential(
            nn.Linear(2 * context_size + self.ahead_size, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, self.output_count),
        )

    def outputs_from(self, hidden: Tensor, ahead: Tensor) -> Tensor:
        contexts = self.contexts(self.dropout(hidden)).unflatten(1, (-1, self.context_size))
        each, all_steps = contexts[:, :-1], contexts[:, -1:].expand(-1, self.ahead, -1)
        return self.local(torch.cat([each, all_steps, ahead], -1))
