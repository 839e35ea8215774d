"""Fast weights: matrices that a network writes by the delta rule and reads (compared with VSML, 2012.14905)."""

import torch
import torch.nn.functional as F

from tutorlib.papers.vsml.descent import outer, squash
from tutorlib.papers.vsml.online import Online, Sizes, weights
from tutorlib.papers.vsml.recurrent import lstm
from tutorlib.shapes import Float, Tensor


class FastWeightMemory(Online):
    """An LSTM on [x_t, e_{t-1}, y_{t-1}] with a memory matrix M that it writes and reads. V_L is (h, c, M).

    From h come k_1, k_2, v and beta to write, q_1 and q_2 to read (tanh; beta: sigmoid). Keys are tensor products::

        k = vec(k_1 k_2^T)     M <- M + beta (v - M k) k^T     M <- M / max(1, |M|)
        q = vec(q_1 q_2^T)     z = (h + LayerNorm(M q) W + b_W) W_out + b

    ``|M|`` is the root of the sum of squares, and the layer norm has neither scale nor offset. The LSTM is updated once
    for each example.
    """

    def __init__(self, inputs: int, classes: int, sizes: Sizes) -> None:
        super().__init__(inputs, classes)
        self.hidden, self.slots = sizes.controller, sizes.slots
        self.w_lstm = weights(inputs + 2 * classes + self.hidden, 4 * self.hidden)
        self.b_lstm = weights(4 * self.hidden)
        self.w_memory, self.b_memory = weights(self.hidden, 5 * self.slots + 1), weights(5 * self.slots + 1)
        self.w_read, self.b_read = weights(self.slots, self.hidden), weights(self.hidden)
        self.w_out, self.b_out = weights(self.hidden, classes), weights(classes)

    def start(self, like: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return h = c = 0 and M = 0."""
        h = like.new_zeros(len(like), self.hidden)
        return h, h, like.new_zeros(len(like), self.slots, self.slots**2)

    def predict(self, state: tuple, x: Tensor, error: Tensor, label: Tensor) -> tuple[tuple, Tensor]:
        """Return (h, c, M) after a write, and the outputs after a read."""
        h, c, memory = state
        h, c = lstm(torch.cat([x, error, label, h], dim=-1) @ self.w_lstm + self.b_lstm, c)
        *parts, beta = (h @ self.w_memory + self.b_memory).split([self.slots] * 5 + [1], dim=-1)
        k1, k2, v, q1, q2 = (torch.tanh(part) for part in parts)  # [sequences, slots] each
        memory = delta_rule(memory, outer(k1, k2).flatten(1), v, torch.sigmoid(beta))
        # At most of norm 1: a key may be longer than 1, and writes could then make M larger and larger.
        memory = memory / torch.linalg.vector_norm(memory, dim=(1, 2), keepdim=True).clamp(min=1.0)
        # M [sequences, slots, slots^2] reads slots numbers for a query of slots^2.
        read = (memory @ outer(q1, q2).flatten(1).unsqueeze(-1)).squeeze(-1)
        read = F.layer_norm(read, (self.slots,))
        return (h, c, memory), (h + read @ self.w_read + self.b_read) @ self.w_out + self.b_out


class FastWeightProgrammer(Online):
    """A fast-weight programmer: one slow linear map makes keys and values, which the delta rule writes into M.

    With u = [x_t, o_{t-1}, e_{t-1}, y_{t-1}], where o is what was answered to the example before, each example does::

        [k, v, q, beta] = u W + b     M <- M + sigmoid(beta) (v - M k) k^T     o = squash(M q)

    M [classes, 64] starts random (see ``baselines.initial_memory``), values have one entry for each class, and neither
    keys nor queries go through a nonlinearity. V_L is (M, o).

    Nothing bounds a key: a write multiplies what M holds along k by ``1 - sigmoid(beta) |k|^2``, and keys drawn by
    ``baselines.initial_parameters`` have a ``|k|^2`` far above 4. M then grows without end, and meta-training does not
    get off the ground.
    """

    def __init__(self, inputs: int, classes: int, sizes: Sizes) -> None:
        super().__init__(inputs, classes)
        self.fast = sizes.fast
        made = 2 * self.fast + classes + 1
        self.w_slow, self.b_slow = weights(inputs + 3 * classes, made), weights(made)

    def start(self, like: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return M as it is drawn, or 0, and o = 0."""
        memory = like.new_zeros(len(like), self.classes, self.fast) if drawn is None else drawn
        return memory, like.new_zeros(len(like), self.classes)

    def predict(self, state: tuple, x: Tensor, error: Tensor, label: Tensor) -> tuple[tuple, Tensor]:
        """Return (M, o) after a write, and what M then holds for the query."""
        memory, answer = state
        made = torch.cat([x, answer, error, label], dim=-1) @ self.w_slow + self.b_slow
        k, v, q, beta = made.split([self.fast, self.classes, self.fast, 1], dim=-1)
        # First the write, then the read: what the example before taught counts already.
        memory = delta_rule(memory, k, v, torch.sigmoid(beta))
        z = (memory @ q.unsqueeze(-1)).squeeze(-1)
        return (memory, squash(z)), z


class DeltaRule(Online):
    """Slow weights make keys and values, which the delta rule writes into M. V_L is M. Ours, not the paper's code's.

    An example is seen twice, as by ``Plastic``: [x, 0, 0] is turned into a query, and [x, e, y] into what is written.
    Keys and queries are positive and sum to 1, so that M stays bounded, and what is read goes through a linear map.

        q = softmax(u W_q)     z = M q W_out + b
        k = softmax(u W_k)     v = u W_v     beta = sigmoid(u W_beta + b_beta)     M <- M + beta (v - M k) k^T

    The code's own fast-weight programmer, ``FastWeightProgrammer``, has none of this.
    """

    def __init__(self, inputs: int, classes: int, sizes: Sizes) -> None:
        super().__init__(inputs, classes)
        self.fast = sizes.fast
        u = inputs + 2 * classes
        self.w_query, self.w_key, self.w_value = weights(u, self.fast), weights(u, self.fast), weights(u, self.fast)
        self.w_beta, self.b_beta = weights(u, 1), weights(1)
        self.w_out, self.b_out = weights(self.fast, classes), weights(classes)

    def start(self, like: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Return M = 0."""
        return like.new_zeros(len(like), self.fast, self.fast)

    def predict(self, state: Tensor, x: Tensor, error: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return M and what it holds for the query."""
        # Of the example itself no error and no label is known yet, so zeros stand there.
        q = (F.pad(x, (0, 2 * self.classes)) @ self.w_query).softmax(dim=-1)
        return state, (state @ q.unsqueeze(-1)).squeeze(-1) @ self.w_out + self.b_out

    def learn(self, state: Tensor, x: Tensor, error: Tensor, label: Tensor) -> Tensor:
        """Return M after the example is written."""
        u = torch.cat([x, error, label], dim=-1)
        beta = torch.sigmoid(u @ self.w_beta + self.b_beta)
        return delta_rule(state, (u @ self.w_key).softmax(dim=-1), u @ self.w_value, beta)


def delta_rule(
    memory: Float[Tensor, "sequences values keys"],
    key: Float[Tensor, "sequences keys"],
    value: Float[Tensor, "sequences values"],
    beta: Float[Tensor, "sequences 1"],
) -> Float[Tensor, "sequences values keys"]:
    """Return M + beta (v - M k) k^T: what M holds for the key moves towards the value."""
    stored = (memory @ key.unsqueeze(-1)).squeeze(-1)
    return memory + outer(beta * (value - stored), key)
