"""The Meta RNN, an LSTM that learns in its state (the paper's section 1 compares VSML, 2012.14905, with it)."""

import torch

from tutorlib import nn
from tutorlib.papers.vsml.online import Online, Sizes, weights
from tutorlib.shapes import Float, Tensor


def lstm(z: Float[Tensor, "sequences gates"], c: Float[Tensor, "sequences hidden"]) -> tuple[Tensor, Tensor]:
    """Return h and c from the summed inputs z of the gates (i, g, f, o); the forget gate has a fixed bias of +1."""
    i, g, f, o = z.chunk(4, dim=-1)
    return nn.lstm(i, f + 1.0, g, o, c)


class MetaRNN(Online):
    """An LSTM that reads [x_t, e_{t-1}, y_{t-1}], ``micro_ticks`` times, and a linear map of its h. V_L is (h, c)."""

    def __init__(self, inputs: int, classes: int, sizes: Sizes) -> None:
        super().__init__(inputs, classes)
        self.hidden, self.micro_ticks = sizes.rnn, sizes.micro_ticks
        self.w_lstm = weights(inputs + 2 * classes + self.hidden, 4 * self.hidden)
        self.b_lstm = weights(4 * self.hidden)
        self.w_out, self.b_out = weights(self.hidden, classes), weights(classes)

    def start(self, like: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return h = c = 0."""
        h = like.new_zeros(len(like), self.hidden)
        return h, h

    def predict(self, state: tuple, x: Tensor, error: Tensor, label: Tensor) -> tuple[tuple, Tensor]:
        """Return (h, c) and z = h W + b."""
        h, c = state
        for _ in range(self.micro_ticks):
            h, c = lstm(torch.cat([x, error, label, h], dim=-1) @ self.w_lstm + self.b_lstm, c)
        return (h, c), h @ self.w_out + self.b_out
