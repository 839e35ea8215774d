"""Learners that VSML (2012.14905) is compared with and that are meta-trained like it.

Every learner answers example t with logits that come from the examples before t and from x_t alone. They are networks
whose weights are meta-variables, V_M, and whose state during a stream are the learned variables, V_L:

    meta-rnn                an LSTM reads x_t and the error and label of the example before (the paper's section 1)
    hebbian, oja            one linear map whose weights also grow by a local rule, without a loss
    fast-weight-memory      an LSTM with a matrix that it writes to and reads from
    fast-weight-programmer  one matrix that a slow linear map writes by the delta rule
    delta-rule              the same idea with bounded keys and two looks; our own, not the code's

Their theta has one length for one number of inputs and of classes: that is what padding is for, and what VSML spares.
Methods, sizes and starting values are those of the paper's code, but for the delta rule. (Online gradient descent is in
``descent``.)
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tutorlib.lab.errors import bad_argument, checked, choose, expect_fields
from tutorlib.papers.vsml.descent import affine, check_shapes, outer, squash
from tutorlib.papers.vsml.problem import truncated_normal
from tutorlib.shapes import Float, Int, Tensor

CUT = 0.8796256610342398
"""sd of the standard normal distribution cut at two sd"""

Generators = torch.Generator | list[torch.Generator] | None


@dataclass(frozen=True)
class Sizes:
    """Sizes of the meta-trained baselines. Defaults are the code's, but for the size of a value of our delta rule."""

    rnn: int = 128
    """units of the Meta RNN's LSTM"""
    micro_ticks: int = 2
    """its updates for each example"""
    controller: int = 32
    """units of the LSTM of the fast-weight memory"""
    slots: int = 16
    """entries of a value, and of each of the two halves of a key, in that memory: a matrix of slots x slots^2"""
    fast: int = 64
    """entries of a key of the two that use the delta rule"""
    coefficient: float = 0.01
    """start of the factors before the plastic weights"""
    plasticity: float = -4.5
    """start of the logit of their learning rate eta, a sigmoid"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("rnn", "micro_ticks", "controller", "slots", "fast"))


class Online(nn.Module, ABC):
    """A learner for ``inputs`` and ``classes``: ``forward(x, y)`` answers every example before it reads its label.

    A kind of learner says what it keeps in mind (``start``), how it answers (``predict``), and what it does with the
    label afterwards (``learn``). The error and label of an example also reach ``predict`` for the next one.

    Parameters called ``w_...`` are matrices [from, to], to be drawn by ``initial``; others start as they stand here.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.inputs, self.classes = inputs, classes

    @abstractmethod
    def start(self, like: Float[Tensor, "sequences inputs"], drawn: Tensor | None) -> Any:
        """Return V_L before the first example; ``drawn`` is what ``first_memory`` gives."""

    @abstractmethod
    def predict(self, state: Any, x: Tensor, error: Tensor, label: Tensor) -> tuple[Any, Tensor]:
        """Return V_L and the outputs z for ``x``; ``error`` and ``label`` are those of the example before."""

    def learn(self, state: Any, x: Tensor, error: Tensor, label: Tensor) -> Any:
        """Return V_L after the example ``x`` with its own ``error`` and ``label``."""
        return state

    def forward(
        self, x: Float[Tensor, "sequences time entries"], y: Int[Tensor, "sequences time"], drawn: Tensor | None = None
    ) -> Float[Tensor, "sequences time classes"]:
        """Return the logits. Inputs with fewer entries than ``inputs`` are padded with zeros.

        ``drawn`` is the random start of V_L where a kind has one (see ``first_memory``); without it V_L starts as 0.

        Raises ``UsageError`` if x has more entries, or y not one label for each example.
        """
        if x.shape[-1] > self.inputs:
            raise bad_argument("x", tuple(x.shape), f"at most {self.inputs} entries in the last axis")
        check_shapes(x, y)
        x = F.pad(x, (0, self.inputs - x.shape[-1]))
        labels = F.one_hot(y, self.classes).to(x.dtype)
        error = label = torch.zeros_like(labels[:, 0])
        state = self.start(x[:, 0], drawn)
        answers = []
        for t in range(x.shape[1]):
            state, z = self.predict(state, x[:, t], error, label)
            answers.append(squash(z))
            label = labels[:, t]
            error = answers[-1].softmax(dim=-1) - label  # the gradient of the cross-entropy at the output
            state = self.learn(state, x[:, t], error, label)
        return torch.stack(answers, dim=1)


def _weights(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


def lstm(z: Float[Tensor, "sequences gates"], c: Float[Tensor, "sequences hidden"]) -> tuple[Tensor, Tensor]:
    """Return h and c from the summed inputs z of the gates (i, g, f, o); the forget gate has a fixed bias of +1."""
    i, g, f, o = z.chunk(4, dim=-1)
    c = torch.sigmoid(f + 1.0) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


class MetaRNN(Online):
    """An LSTM that reads [x_t, e_{t-1}, y_{t-1}], ``micro_ticks`` times, and a linear map of its h. V_L is (h, c)."""

    def __init__(self, inputs: int, classes: int, sizes: Sizes) -> None:
        super().__init__(inputs, classes)
        self.hidden, self.micro_ticks = sizes.rnn, sizes.micro_ticks
        self.w_lstm = _weights(inputs + 2 * classes + self.hidden, 4 * self.hidden)
        self.b_lstm = _weights(4 * self.hidden)
        self.w_out, self.b_out = _weights(self.hidden, classes), _weights(classes)

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
        self.w_out, self.b_out = _weights(inputs + 2 * classes, classes), _weights(classes)
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
        v = self.outputs(state, u).softmax(dim=-1)
        eta = torch.sigmoid(self.eta)
        if self.oja:
            return state + eta * (outer(u, v) - v.square().unsqueeze(-2) * state)
        return (1 - eta) * state + eta * outer(u, v)


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
        self.w_lstm = _weights(inputs + 2 * classes + self.hidden, 4 * self.hidden)
        self.b_lstm = _weights(4 * self.hidden)
        self.w_memory, self.b_memory = _weights(self.hidden, 5 * self.slots + 1), _weights(5 * self.slots + 1)
        self.w_read, self.b_read = _weights(self.slots, self.hidden), _weights(self.hidden)
        self.w_out, self.b_out = _weights(self.hidden, classes), _weights(classes)

    def start(self, like: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return h = c = 0 and M = 0."""
        h = like.new_zeros(len(like), self.hidden)
        return h, h, like.new_zeros(len(like), self.slots, self.slots**2)

    def predict(self, state: tuple, x: Tensor, error: Tensor, label: Tensor) -> tuple[tuple, Tensor]:
        """Return (h, c, M) after a write, and the outputs after a read."""
        h, c, memory = state
        h, c = lstm(torch.cat([x, error, label, h], dim=-1) @ self.w_lstm + self.b_lstm, c)
        *parts, beta = (h @ self.w_memory + self.b_memory).split([self.slots] * 5 + [1], dim=-1)
        k1, k2, v, q1, q2 = (torch.tanh(part) for part in parts)
        memory = delta_rule(memory, outer(k1, k2).flatten(1), v, torch.sigmoid(beta))
        memory = memory / torch.linalg.vector_norm(memory, dim=(1, 2), keepdim=True).clamp(min=1.0)
        found = (memory @ outer(q1, q2).flatten(1).unsqueeze(-1)).squeeze(-1)
        found = F.layer_norm(found, (self.slots,))
        return (h, c, memory), (h + found @ self.w_read + self.b_read) @ self.w_out + self.b_out


class FastWeightProgrammer(Online):
    """A fast-weight programmer: one slow linear map makes keys and values, which the delta rule writes into M.

    With u = [x_t, o_{t-1}, e_{t-1}, y_{t-1}], where o is what was answered to the example before, each example does::

        [k, v, q, beta] = u W + b     M <- M + sigmoid(beta) (v - M k) k^T     o = squash(M q)

    M [classes, 64] starts random (see ``first_memory``), values have one entry for each class, and neither keys nor
    queries go through a nonlinearity. V_L is (M, o).

    Nothing bounds a key: a write multiplies what M holds along k by ``1 - sigmoid(beta) |k|^2``, and keys drawn
    by ``initial`` have a ``|k|^2`` far above 4. M then grows without end, and meta-training does not get off the
    ground.
    """

    def __init__(self, inputs: int, classes: int, sizes: Sizes) -> None:
        super().__init__(inputs, classes)
        self.fast = sizes.fast
        made = 2 * self.fast + classes + 1
        self.w_slow, self.b_slow = _weights(inputs + 3 * classes, made), _weights(made)

    def start(self, like: Tensor, drawn: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return M as it is drawn, or 0, and o = 0."""
        memory = like.new_zeros(len(like), self.classes, self.fast) if drawn is None else drawn
        return memory, like.new_zeros(len(like), self.classes)

    def predict(self, state: tuple, x: Tensor, error: Tensor, label: Tensor) -> tuple[tuple, Tensor]:
        """Return (M, o) after a write, and what M then holds for the query."""
        memory, answer = state
        made = torch.cat([x, answer, error, label], dim=-1) @ self.w_slow + self.b_slow
        k, v, q, beta = made.split([self.fast, self.classes, self.fast, 1], dim=-1)
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
        self.w_query, self.w_key, self.w_value = _weights(u, self.fast), _weights(u, self.fast), _weights(u, self.fast)
        self.w_beta, self.b_beta = _weights(u, 1), _weights(1)
        self.w_out, self.b_out = _weights(self.fast, classes), _weights(classes)

    def start(self, like: Tensor, drawn: Tensor | None = None) -> Tensor:
        """Return M = 0."""
        return like.new_zeros(len(like), self.fast, self.fast)

    def predict(self, state: Tensor, x: Tensor, error: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return M and what it holds for the query."""
        q = (F.pad(x, (0, 2 * self.classes)) @ self.w_query).softmax(dim=-1)
        return state, (state @ q.unsqueeze(-1)).squeeze(-1) @ self.w_out + self.b_out

    def learn(self, state: Tensor, x: Tensor, error: Tensor, label: Tensor) -> Tensor:
        """Return M after the example is written."""
        u = torch.cat([x, error, label], dim=-1)
        beta = torch.sigmoid(u @ self.w_beta + self.b_beta)
        return delta_rule(state, (u @ self.w_key).softmax(dim=-1), u @ self.w_value, beta)


def first_memory(
    module: Online, x: Float[Tensor, "*members sequences time entries"], generator: Generators
) -> Float[Tensor, "*members sequences classes fast"] | None:
    """Return the random start of V_L for the streams ``x``; None if the learner has none, or without a ``generator``.

    That of the fast-weight programmer is normal, cut at two sd, of sd 1/sqrt(fast) after the cut. As with VSML's
    initial states, one generator for many members is that of an evolution strategy, where both members of a pair start
    alike: the first half of the members draws, and the second half repeats it. A list has one generator for each.

    Raises ``UsageError`` for an odd number of members under one generator.
    """
    if generator is None or not isinstance(module, FastWeightProgrammer):
        return None
    shape = (x.shape[-3], module.classes, module.fast)
    if isinstance(generator, list):
        drawn = torch.stack([truncated_normal(shape, own) for own in generator])
    elif x.dim() == 4:
        if len(x) % 2:
            raise bad_argument("x", tuple(x.shape), "an even number of members: pairs that start alike")
        drawn = truncated_normal((len(x) // 2, *shape), generator).repeat(2, 1, 1, 1)
    else:
        drawn = truncated_normal(shape, generator)
    return (drawn / (CUT * math.sqrt(module.fast))).to(x)


def delta_rule(
    memory: Float[Tensor, "sequences values keys"],
    key: Float[Tensor, "sequences keys"],
    value: Float[Tensor, "sequences values"],
    beta: Float[Tensor, "sequences 1"],
) -> Float[Tensor, "sequences values keys"]:
    """Return M + beta (v - M k) k^T: what M holds for the key moves towards the value."""
    held = (memory @ key.unsqueeze(-1)).squeeze(-1)
    return memory + outer(beta * (value - held), key)


LEARNERS = ("meta-rnn", "hebbian", "oja", "fast-weight-memory", "delta-rule", "fast-weight-programmer")
"""Baselines that are meta-trained, by name."""


def build(name: str, inputs: int, classes: int, sizes: Sizes | None = None) -> Online:
    """Return the baseline called ``name``, its matrices zero until ``initial`` draws them.

    Raises ``UsageError`` for an unknown name, or sizes that are not positive.
    """
    choose("name", name, LEARNERS)
    for argument, value in (("inputs", inputs), ("classes", classes)):
        if value < 1:
            raise bad_argument(argument, value, "a positive whole number")
    sizes = sizes or Sizes()
    if name == "meta-rnn":
        return MetaRNN(inputs, classes, sizes)
    if name == "fast-weight-memory":
        return FastWeightMemory(inputs, classes, sizes)
    if name == "delta-rule":
        return DeltaRule(inputs, classes, sizes)
    if name == "fast-weight-programmer":
        return FastWeightProgrammer(inputs, classes, sizes)
    return Plastic(inputs, classes, sizes, oja=name == "oja")


@checked()
def initial(module: Online, generator: torch.Generator) -> Float[Tensor, "parameters"]:
    """Return theta before meta-training, in the order of the module's parameters.

    Matrices are normal with sd 1/sqrt(fan-in), cut at two sd; everything else starts as the module holds it.
    """
    pieces = []
    for name, p in module.named_parameters():
        drawn = name.startswith("w_")
        start = truncated_normal(tuple(p.shape), generator) / math.sqrt(p.shape[0]) if drawn else p.detach().clone()
        pieces.append(start.flatten())
    return torch.cat(pieces)
