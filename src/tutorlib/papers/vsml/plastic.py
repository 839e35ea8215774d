"""Local rules, by Hebb and by Oja: weights that grow without a loss (compared with VSML, 2012.14905)."""

import torch
import torch.nn.functional as F
from torch import nn

from tutorlib.papers.vsml.descent import affine, outer
from tutorlib.papers.vsml.online import Online, Sizes, weights
from tutorlib.shapes import Tensor


class Plastic(Online):
    """One linear map u (w + alpha * F) + b of u = [x, e, y], whose fast weights F grow by a local rule. V_L is F.

    An example is seen twice. The first time e = y = 0, and the outputs are the answer. The second time e and y are the
    example's own, and with v the softmax of the outputs then, which are not squashed,

        Hebb   F_ab <- (1 - eta) F_ab + eta u_a v_b
        Oja    F_ab <- F_ab + eta v_b (u_a - v_b F_ab)

    w, b, eta and one alpha for each weight are meta-learned.
    """

    def __init__(self, inputs: int, classes: int, sizes: Sizes, oja: bool) -> None:
        super().__init__(inputs, classes)
        self.oja = oja
        self.w_out, self.b_out = weights(inputs + 2 * classes, classes), weights(classes)
        self.alpha = nn.Parameter(torch.full_like(self.w_out, sizes.coefficient))
        self.eta = nn.Parameter(torch.tensor([sizes.plasticity]))

    def start(self, like: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Return F = 0."""
        return like.new_zeros(len(like), *self.w_out.shape)

    def outputs(self, fast: Tensor, u: Tensor) -> Tensor:
        """Return u (w + alpha F) + b."""
        return affine(u, self.w_out + self.alpha * fast, self.b_out.expand(len(u), -1))

    def predict(self, state: Tensor, x: Tensor, error: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return F and the outputs for [x, 0, 0]."""
        return state, self.outputs(state, F.pad(x, (0, 2 * self.classes)))

    def learn(self, state: Tensor, x: Tensor, error: Tensor, label: Tensor) -> Tensor:
        """Return F after the second look, at [x, e, y]."""
        u = torch.cat([x, error, label], dim=-1)
        v = self.outputs(state, u).softmax(dim=-1)  # [sequences, classes]
        eta = torch.sigmoid(self.eta)  # within (0, 1), so Hebb's F stays an average of outer products
        if self.oja:  # the last term is a decay, stronger the larger v_b is: it bounds F without (1 - eta)
            return state + eta * (outer(u, v) - v.square().unsqueeze(-2) * state)
        return (1 - eta) * state + eta * outer(u, v)
