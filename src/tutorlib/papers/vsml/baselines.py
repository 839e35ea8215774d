"""What VSML (2012.14905) is compared with: online gradient descent, and other learners that are meta-trained alike.

Every learner answers example t with logits that come from the examples before t and from x_t alone.

Gradient descent is written out, without autograd, so that many streams run as one batch. The meta-trained learners are
networks whose weights are meta-variables, V_M, and whose state during a stream are the learned variables, V_L:

    meta-rnn            an LSTM reads x_t and the error and label of the example before (section 1 of the paper)
    hebbian, oja        one linear map whose weights also grow by a local rule, without a loss
    fast-weight-memory  an LSTM with a matrix that it writes to and reads from
    delta-rule          one matrix that is written by the delta rule: a fast-weight programmer

Their theta has one length for one number of inputs and of classes: that is what padding is for, and what VSML spares.
Sizes and starting values are those of the paper's code unless a line says otherwise.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tutorlib.lab.errors import bad_argument, checked, choose, expect_fields
from tutorlib.papers.vsml.problem import truncated_normal
from tutorlib.shapes import Float, Int, Tensor

SQUASH = 100.0
"""Every model's outputs are SQUASH tanh(z / SQUASH)."""
SGD_RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
"""Learning rates among which online SGD takes its best [.01]."""
ADAM_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""Learning rates among which online Adam takes its best [.001]."""
HIDDEN = 160
"""tanh units of the two-layer network of SGD and Adam"""

Inputs = Float[Tensor, "*batch time inputs"]
Labels = Int[Tensor, "*batch time"]
Logits = Float[Tensor, "*batch time classes"]
Gradients = list[Tensor]
Update = Callable[[int, Gradients], Gradients]
"""(number of the example, gradients) to the changes of the weights"""


def squash(z: Tensor) -> Tensor:
    """Return 100 tanh(z / 100), which keeps a diverging learner finite."""
    return SQUASH * torch.tanh(z / SQUASH)


# Online gradient descent


def online_sgd(
    x: Inputs, y: Labels, classes: int, rate: float, hidden: int = 0, generator: torch.Generator | None = None
) -> Logits:
    """Return the logits of a network that takes one step of SGD on each example after its answer to it.

    ``hidden``: tanh units of a hidden layer; none is softmax regression. Weights start as ``start_weights`` says.
    Raises ``UsageError`` if x and y do not fit, or for a ``rate`` that is not positive.
    """
    check_rate(rate)
    return descend_online(x, y, classes, lambda t, g: [-rate * own for own in g], hidden, generator)


def online_adam(
    x: Inputs,
    y: Labels,
    classes: int,
    rate: float,
    hidden: int = 0,
    generator: torch.Generator | None = None,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
) -> Logits:
    """Return the logits of a network that takes one step of Adam on each example after its answer to it.

    Arguments and errors are those of ``online_sgd``.
    """
    check_rate(rate)
    m: list[Tensor] = []
    v: list[Tensor] = []

    def adam(t: int, g: Gradients) -> Gradients:
        if t == 0:
            m[:], v[:] = ([torch.zeros_like(own) for own in g] for _ in range(2))
        changes = []
        for i, own in enumerate(g):
            m[i] = beta1 * m[i] + (1 - beta1) * own
            v[i] = beta2 * v[i] + (1 - beta2) * own.square()
            m_hat, v_hat = m[i] / (1 - beta1 ** (t + 1)), v[i] / (1 - beta2 ** (t + 1))
            changes.append(-rate * m_hat / (v_hat.sqrt() + eps))
        return changes

    return descend_online(x, y, classes, adam, hidden, generator)


def descend_online(
    x: Inputs, y: Labels, classes: int, update: Update, hidden: int, generator: torch.Generator | None
) -> Logits:
    """Return the logits of networks, one for each stream, that ``update`` changes after each example.

    With e = dCE/dz, and z the outputs before they are squashed, the gradients are::

        one layer    z = x W + b                                dW = x e^T   db = e
        two layers   h = tanh(x W_1 + b_1), z = h W_2 + b_2     dW_2 = h e^T, db_2 = e, and with
                     d = (1 - h^2) * (W_2 e)                    dW_1 = x d^T, db_1 = d
    """
    check_stream(x, y, classes)
    weights = start_weights(x, classes, hidden, generator)
    answers = []
    for t in range(x.shape[-2]):
        x_t, h = x[..., t, :], x[..., t, :]
        if hidden:
            h = torch.tanh(_affine(x_t, *weights[:2]))
        logits = squash(_affine(h, *weights[-2:]))
        answers.append(logits)
        error = logits.softmax(dim=-1) - F.one_hot(y[..., t], classes)
        e = error * (1 - (logits / SQUASH).square())  # the derivative of the squashing is 1 - tanh^2
        g = [_outer(h, e), e]
        if hidden:
            d = (1 - h.square()) * (weights[2] @ e.unsqueeze(-1)).squeeze(-1)
            g = [_outer(x_t, d), d, *g]
        weights = [w + change for w, change in zip(weights, update(t, g), strict=True)]
    return torch.stack(answers, dim=-2)


def start_weights(x: Inputs, classes: int, hidden: int, generator: torch.Generator | None) -> list[Tensor]:
    """Return W and b of each layer, one network for each stream of ``x``.

    Matrices are normal with sd 1/sqrt(inputs), cut at two sd, and offsets 0. Without a ``generator`` the matrix of
    softmax regression is 0 too. Raises ``UsageError`` if a hidden layer has no generator: units that start alike
    would stay alike.
    """
    if hidden < 0:
        raise bad_argument("hidden", hidden, "0 (softmax regression) or a positive whole number")
    if hidden and generator is None:
        raise bad_argument("generator", generator, f"a torch.Generator, to start hidden={hidden} units apart")
    sizes = (x.shape[-1], hidden, classes) if hidden else (x.shape[-1], classes)
    weights = []
    for a, b in pairwise(sizes):
        shape = (*x.shape[:-2], a, b)
        w = truncated_normal(shape, generator) / math.sqrt(a) if generator else x.new_zeros(shape)
        weights += [w.to(x), x.new_zeros(*x.shape[:-2], b)]
    return weights


def _affine(x: Float[Tensor, "*batch a"], w: Float[Tensor, "*batch a b"], b: Float[Tensor, "*batch b"]) -> Tensor:
    return (x.unsqueeze(-2) @ w).squeeze(-2) + b


def _outer(x: Float[Tensor, "*batch a"], e: Float[Tensor, "*batch b"]) -> Float[Tensor, "*batch a b"]:
    return x.unsqueeze(-1) * e.unsqueeze(-2)


def check_rate(rate: float) -> None:
    """Raise ``UsageError`` unless ``rate`` is positive and finite."""
    if not 0 < rate < math.inf:
        raise bad_argument("rate", rate, "a positive number")


def check_stream(x: Tensor, y: Tensor, classes: int) -> None:
    """Raise ``UsageError`` unless x has one label for each example, all of ``classes`` classes."""
    if classes < 1:
        raise bad_argument("classes", classes, "a positive whole number")
    check_shapes(x, y)
    if not bool(((y >= 0) & (y < classes)).all()):
        raise bad_argument("y", f"labels from {int(y.min())} to {int(y.max())}", f"labels from 0 to {classes - 1}")


def check_shapes(x: Tensor, y: Tensor) -> None:
    """Raise ``UsageError`` unless there are examples and each has a label."""
    if y.shape != x.shape[:-1] or y.numel() == 0:
        raise bad_argument("y", tuple(y.shape), f"one label for each of x's examples, {tuple(x.shape[:-1])}")


# Learners that are meta-trained


@dataclass(frozen=True)
class Sizes:
    """Sizes of the meta-trained baselines. Defaults are the code's; where it is not known, the line says so."""

    rnn: int = 128
    """units of the Meta RNN's LSTM"""
    micro_ticks: int = 2
    """its updates for each example"""
    controller: int = 32
    """units of the LSTM of the fast-weight memory"""
    slots: int = 16
    """entries of a value, and of each of the two halves of a key, in that memory: a matrix of slots x slots^2"""
    fast: int = 64
    """entries of a key and of a value of the delta rule"""
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
    def start(self, like: Float[Tensor, "sequences inputs"]) -> Any:
        """Return V_L before the first example."""

    @abstractmethod
    def predict(self, state: Any, x: Tensor, error: Tensor, label: Tensor) -> tuple[Any, Tensor]:
        """Return V_L and the outputs z for ``x``; ``error`` and ``label`` are those of the example before."""

    def learn(self, state: Any, x: Tensor, error: Tensor, label: Tensor) -> Any:
        """Return V_L after the example ``x`` with its own ``error`` and ``label``."""
        return state

    def forward(
        self, x: Float[Tensor, "sequences time entries"], y: Int[Tensor, "sequences time"]
    ) -> Float[Tensor, "sequences time classes"]:
        """Return the logits. Inputs with fewer entries than ``inputs`` are padded with zeros.

        Raises ``UsageError`` if x has more entries, or y not one label for each example.
        """
        if x.shape[-1] > self.inputs:
            raise bad_argument("x", tuple(x.shape), f"at most {self.inputs} entries in the last axis")
        check_shapes(x, y)
        x = F.pad(x, (0, self.inputs - x.shape[-1]))
        labels = F.one_hot(y, self.classes).to(x.dtype)
        error = label = torch.zeros_like(labels[:, 0])
        state = self.start(x[:, 0])
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

    def start(self, like: Tensor) -> tuple[Tensor, Tensor]:
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
    example's own, and with v the softmax of the outputs then

        Hebb   F_ab <- (1 - eta) F_ab + eta u_a v_b
        Oja    F_ab <- F_ab + eta v_b (u_a - v_b F_ab)

    w, b, eta and one alpha for each weight are meta-learned. (Whether the code has one alpha or one for each weight is
    not known.)
    """

    def __init__(self, inputs: int, classes: int, sizes: Sizes, oja: bool) -> None:
        super().__init__(inputs, classes)
        self.oja = oja
        self.w_out, self.b_out = _weights(inputs + 2 * classes, classes), _weights(classes)
        self.alpha = nn.Parameter(torch.full_like(self.w_out, sizes.coefficient))
        self.eta = nn.Parameter(torch.tensor([sizes.plasticity]))

    def start(self, like: Tensor) -> Tensor:
        """Return F = 0."""
        return like.new_zeros(len(like), *self.w_out.shape)

    def outputs(self, fast: Tensor, u: Tensor) -> Tensor:
        """Return u (w + alpha F) + b."""
        return _affine(u, self.w_out + self.alpha * fast, self.b_out.expand(len(u), -1))

    def predict(self, state: Tensor, x: Tensor, error: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return F and the outputs for [x, 0, 0]."""
        return state, self.outputs(state, F.pad(x, (0, 2 * self.classes)))

    def learn(self, state: Tensor, x: Tensor, error: Tensor, label: Tensor) -> Tensor:
        """Return F after the second look, at [x, e, y]."""
        u = torch.cat([x, error, label], dim=-1)
        v = squash(self.outputs(state, u)).softmax(dim=-1)
        eta = torch.sigmoid(self.eta)
        if self.oja:
            return state + eta * (_outer(u, v) - v.square().unsqueeze(-2) * state)
        return (1 - eta) * state + eta * _outer(u, v)


class FastWeightMemory(Online):
    """An LSTM on [x_t, e_{t-1}, y_{t-1}] with a memory matrix M that it writes and reads. V_L is (h, c, M).

    From h come k_1, k_2, v and beta to write, q_1 and q_2 to read (tanh; beta: sigmoid). Keys are tensor products::

        k = vec(k_1 k_2^T)     M <- M + beta (v - M k) k^T     M <- M / max(1, |M|)
        q = vec(q_1 q_2^T)     z = (h + LayerNorm(M q) W) W_out + b

    The LSTM is updated once for each example. (Updates for each example, the nonlinearities before keys and values,
    and a single read are not known of the code; they are the choice made here.)
    """

    def __init__(self, inputs: int, classes: int, sizes: Sizes) -> None:
        super().__init__(inputs, classes)
        self.hidden, self.slots = sizes.controller, sizes.slots
        self.w_lstm = _weights(inputs + 2 * classes + self.hidden, 4 * self.hidden)
        self.b_lstm = _weights(4 * self.hidden)
        self.w_memory, self.b_memory = _weights(self.hidden, 5 * self.slots + 1), _weights(5 * self.slots + 1)
        self.scale, self.offset = nn.Parameter(torch.ones(self.slots)), _weights(self.slots)
        self.w_read, self.b_read = _weights(self.slots, self.hidden), _weights(self.hidden)
        self.w_out, self.b_out = _weights(self.hidden, classes), _weights(classes)

    def start(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return h = c = 0 and M = 0."""
        h = like.new_zeros(len(like), self.hidden)
        return h, h, like.new_zeros(len(like), self.slots, self.slots**2)

    def predict(self, state: tuple, x: Tensor, error: Tensor, label: Tensor) -> tuple[tuple, Tensor]:
        """Return (h, c, M) after a write, and the outputs after a read."""
        h, c, memory = state
        h, c = lstm(torch.cat([x, error, label, h], dim=-1) @ self.w_lstm + self.b_lstm, c)
        *parts, beta = (h @ self.w_memory + self.b_memory).split([self.slots] * 5 + [1], dim=-1)
        k1, k2, v, q1, q2 = (torch.tanh(part) for part in parts)
        memory = delta_rule(memory, _outer(k1, k2).flatten(1), v, torch.sigmoid(beta))
        memory = memory / torch.linalg.vector_norm(memory, dim=(1, 2), keepdim=True).clamp(min=1.0)
        found = (memory @ _outer(q1, q2).flatten(1).unsqueeze(-1)).squeeze(-1)
        found = F.layer_norm(found, (self.slots,), self.scale, self.offset)
        return (h, c, memory), (h + found @ self.w_read + self.b_read) @ self.w_out + self.b_out


class DeltaRule(Online):
    """A fast-weight programmer: slow weights make keys and values, which the delta rule writes into M. V_L is M.

    An example is seen twice, as by ``Plastic``: [x, 0, 0] is turned into a query, and [x, e, y] into what is written.

        q = softmax(u W_q)     z = M q W_out + b
        k = softmax(u W_k)     v = u W_v     beta = sigmoid(u W_beta + b_beta)     M <- M + beta (v - M k) k^T

    Only the size, 64, is known of the code: the two looks and the softmax are the choice made here.
    """

    def __init__(self, inputs: int, classes: int, sizes: Sizes) -> None:
        super().__init__(inputs, classes)
        self.fast = sizes.fast
        u = inputs + 2 * classes
        self.w_query, self.w_key, self.w_value = _weights(u, self.fast), _weights(u, self.fast), _weights(u, self.fast)
        self.w_beta, self.b_beta = _weights(u, 1), _weights(1)
        self.w_out, self.b_out = _weights(self.fast, classes), _weights(classes)

    def start(self, like: Tensor) -> Tensor:
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


def delta_rule(
    memory: Float[Tensor, "sequences values keys"],
    key: Float[Tensor, "sequences keys"],
    value: Float[Tensor, "sequences values"],
    beta: Float[Tensor, "sequences 1"],
) -> Float[Tensor, "sequences values keys"]:
    """Return M + beta (v - M k) k^T: what M holds for the key moves towards the value."""
    held = (memory @ key.unsqueeze(-1)).squeeze(-1)
    return memory + _outer(beta * (value - held), key)


LEARNERS = ("meta-rnn", "hebbian", "oja", "fast-weight-memory", "delta-rule")
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
