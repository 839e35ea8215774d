"""Which value functions do the data leave possible: the theorem of the paper (2211.02222, Theorem 1.1), counted out.

A class M of models induces the class Q(M) = {q*_m : m in M} of optimal value functions. Data D prune it in two ways:

- model-based: drop the models that disagree with D, and keep Q_MB(D) = {q*_m : m in M agrees with D};
- model-free: Q_MF(D) = {q in Q(M) : q obeys the Bellman optimality equation at each transition of D}.

Theorem: Q_MB(D) is a subset of Q_MF(D), and for some M and D a proper one. Where M holds every model that differs from
one of its own in a single pair (s, a), so that no pair says anything about another, the two are equal.

Here models are deterministic and few enough to list: every set is an axis of a tensor, every subset a mask.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch

from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.shapes import Bool, Float, Int, Tensor

LARGEST = 2**20
"""models of a class that is listed"""
CHUNK = 2**16
"""models whose values are iterated at once"""
TOLERANCE = 1e-6
"""below this two values are the same; value iteration stops far below it"""


class Hypotheses(NamedTuple):
    """A class of models M and the class of value functions Q(M) that it induces."""

    next: Int[Tensor, "models states actions"]
    """the state that follows"""
    reward: Float[Tensor, "models states actions"]
    values: Float[Tensor, "values states actions"]
    """Q(M): the different q*_m, each once"""
    which: Int[Tensor, "models"]
    """q*_m is ``values[which[m]]``"""
    gamma: float


class Data(NamedTuple):
    """D: transitions of one true model, or of a batch of them."""

    state: Int[Tensor, "*batch n"]
    action: Int[Tensor, "*batch n"]
    reward: Float[Tensor, "*batch n"]
    next: Int[Tensor, "*batch n"]


@dataclass(frozen=True)
class BitModels:
    """Models of k bits: bit i of the next state is f_i(the bits that it reads, action), and each f_i is a free table.

    The dial of structure is how many bits a bit reads: itself alone makes the class fully factored, all k make it
    tabular. The reward is known: 1 in the state of all ones, else 0.
    """

    reads: tuple[int, ...] = (1, 1)
    """for each bit i how many it reads: i, i + 1, ... around the circle of all bits; 0: the action alone"""
    actions: int = 2
    """number of actions"""
    gamma: float = 0.9
    """discount"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("actions",), maximum={"reads": 20})
        k = len(self.reads)
        if not 1 <= k <= 20 or not all(p <= k for p in self.reads):
            raise bad_argument("reads", self.reads, f"for each of the bits a whole number from 0 to {max(k, 1)}")
        _expect_discount(self.gamma)
        exponent = sum(2**p * self.actions for p in self.reads)
        if exponent > math.log2(LARGEST):
            raise bad_argument("reads", self.reads, f"at most {LARGEST} models, not 2^{exponent}")

    @property
    def bits(self) -> int:
        """The number of bits, k."""
        return len(self.reads)

    @property
    def states(self) -> int:
        """2^k; bit i of state s is s // 2^i % 2."""
        return 2**self.bits

    @property
    def tables(self) -> tuple[int, ...]:
        """How many tables f_i there are for each bit: 2 to the number of entries."""
        return tuple(2 ** (2**p * self.actions) for p in self.reads)

    @property
    def models(self) -> int:
        """The size of the class: 16^k if each bit reads itself alone and there are 2 actions."""
        return math.prod(self.tables)

    def hypotheses(self, device: torch.device | None = None) -> Hypotheses:
        """Return all models of the class with their optimal values."""
        following = self.next_states(device)
        ones = torch.arange(self.states, device=device) == self.states - 1
        reward = ones.double()[:, None].expand(following.shape)
        return induced(following, reward, self.gamma)

    def next_states(self, device: torch.device | None = None) -> Int[Tensor, "models states actions"]:
        """Return where each action leads from each state in each model."""
        model = torch.arange(self.models, device=device)
        state = torch.arange(self.states, device=device)
        action = torch.arange(self.actions, device=device)
        following: Tensor = torch.zeros(self.models, self.states, self.actions, dtype=torch.long, device=device)
        for i, (p, tables) in enumerate(zip(self.reads, self.tables, strict=True)):
            table, model = model % tables, model // tables  # f_i as a number: entry j is its bit j
            read: Tensor = torch.zeros_like(state)
            for j in range(p):
                read = read + 2**j * (state >> (i + j) % self.bits & 1)
            entry = read[:, None] * self.actions + action
            following = following + 2**i * (table[:, None, None] >> entry & 1)
        return following


def dial(bits: int, actions: int = 2, gamma: float = 0.9) -> Iterator[BitModels]:
    """Yield classes of less and less structure, from fully factored towards tabular: each lets one bit read one more.

    It stops where a class becomes too large to be listed.
    """
    if not isinstance(bits, int) or bits < 1:
        raise bad_argument("bits", bits, "a whole number from 1")
    if 2 * actions * bits > math.log2(LARGEST):
        return  # not even the fully factored class, before its bits are counted one by one
    for more in range(bits * (bits - 1) + 1):
        reads = tuple(1 + more // bits + (i < more % bits) for i in range(bits))
        if math.prod(2 ** (2**p * actions) for p in reads) > LARGEST:
            return
        yield BitModels(reads, actions, gamma)


def optimal_values(
    following: Int[Tensor, "models states actions"], reward: Float[Tensor, "models states actions"], gamma: float
) -> Float[Tensor, "models states actions"]:
    """Return q*_m of each model: the fixed point of (T_m q)(s, a) = r_m(s, a) + gamma max_a' q(s', a'), iterated.

    T_m is a gamma-contraction, so t rounds from 0 leave an error of at most gamma^t max|r| / (1 - gamma).
    """
    _expect_discount(gamma)
    rounds = math.ceil(math.log(1e-12 * (1 - gamma)) / math.log(gamma)) if gamma else 1
    parts = []
    for at, r in zip(following.flatten(1).split(CHUNK), reward.split(CHUNK), strict=True):
        q = torch.zeros_like(r)
        for _ in range(rounds):
            q = r + gamma * q.amax(dim=-1).gather(1, at).view_as(r)  # mbrl-idea-bellman
        parts.append(q)
    return torch.cat(parts)


def induced(
    following: Int[Tensor, "models states actions"], reward: Float[Tensor, "models states actions"], gamma: float
) -> Hypotheses:
    """Return the models with the different value functions that they induce: Q(M)."""
    q = optimal_values(following, reward, gamma)  # mbrl-idea-induced
    grid = (q / (TOLERANCE / 100)).round().long().flatten(1)
    _, which = grid.unique(dim=0, return_inverse=True)
    values = q.new_empty(int(which.max()) + 1, *q.shape[1:])
    values[which] = q  # any model's q will do: they agree to rounding
    return Hypotheses(following, reward, values, which, gamma)


def transitions(
    h: Hypotheses, model: Int[Tensor, "*batch"], state: Int[Tensor, "*batch n"], action: Int[Tensor, "*batch n"]
) -> Data:
    """Return what the true ``model`` answers to actions in states."""
    at = model.unsqueeze(-1), state, action
    return Data(state, action, h.reward[at], h.next[at])


@checked()
def draw(h: Hypotheses, models: int, n: int, generator: torch.Generator) -> Data:
    """Return ``n`` transitions from uniformly random pairs (s, a) of each of ``models`` random true models of M."""
    device = h.next.device

    def integers(below: int, *shape: int) -> Tensor:
        return torch.randint(below, shape, generator=generator, device=generator.device).to(device)

    total, states, actions = h.next.shape
    true = integers(total, models)
    return transitions(h, true, integers(states, models, n), integers(actions, models, n))


def agrees(h: Hypotheses, data: Data) -> Bool[Tensor, "*batch n models"]:
    """Return which models say of each transition what the data say: r_m(s, a) = r and p_m(s, a) = s'."""
    at = slice(None), data.state, data.action
    same = (h.next[at] == data.next) & ((h.reward[at] - data.reward).abs() < TOLERANCE)
    return same.movedim(0, -1)


def obeys(h: Hypotheses, data: Data) -> Bool[Tensor, "*batch n values"]:
    """Return which value functions obey each transition's equation: q(s, a) = r + gamma max_a' q(s', a')."""
    target = data.reward + h.gamma * h.values.amax(dim=-1)[:, data.next]
    return ((h.values[:, data.state, data.action] - target).abs() < TOLERANCE).movedim(0, -1)


def induces(h: Hypotheses, models: Bool[Tensor, "*batch models"]) -> Bool[Tensor, "*batch values"]:
    """Return which value functions are those of at least one of the ``models``."""
    counts = torch.zeros(*models.shape[:-1], len(h.values), dtype=torch.int32, device=models.device)
    return counts.index_add(-1, h.which, models.int()) > 0


def model_based(h: Hypotheses, data: Data) -> Bool[Tensor, "*batch values"]:
    """Return Q_MB(D) as a mask over Q(M): the value functions of the models that agree with all of the data."""
    return induces(h, agrees(h, data).all(dim=-2))  # mbrl-idea-sets


def model_free(h: Hypotheses, data: Data) -> Bool[Tensor, "*batch values"]:
    """Return Q_MF(D) as a mask over Q(M): the value functions that obey all equations of the data."""
    return obeys(h, data).all(dim=-2)  # mbrl-idea-sets


class Sizes(NamedTuple):
    """Sizes of the sets after the first 0, 1, 2, ... transitions."""

    models: Int[Tensor, "*batch counts"]
    """models that agree, M_D"""
    based: Int[Tensor, "*batch counts"]
    """``|Q_MB(D)|``"""
    free: Int[Tensor, "*batch counts"]
    """``|Q_MF(D)|``"""
    violations: Int[Tensor, "*batch counts"]
    """value functions in Q_MB(D) that are not in Q_MF(D); the theorem says none"""


def sizes(h: Hypotheses, data: Data) -> Sizes:
    """Return the sizes of all sets while the data come in, one transition after the other; there are n + 1 of each."""
    batch, n = data.state.shape[:-1], data.state.shape[-1]
    device = h.next.device
    models = torch.ones(*batch, len(h.next), dtype=torch.bool, device=device)
    free = torch.ones(*batch, len(h.values), dtype=torch.bool, device=device)
    result = []
    for t in range(n + 1):
        if t:
            one = Data(*(part[..., t - 1 : t] for part in data))
            models = models & agrees(h, one).squeeze(-2)
            free = free & obeys(h, one).squeeze(-2)
        based = induces(h, models)
        result.append([mask.sum(dim=-1) for mask in (models, based, free, based & ~free)])
    return Sizes(*(torch.stack(part, dim=-1) for part in zip(*result, strict=True)))


def possible_values(
    h: Hypotheses, mask: Bool[Tensor, "values"], state: int, action: int
) -> tuple[Float[Tensor, "found"], Int[Tensor, "found"]]:
    """Return the values that q(state, action) can still have, rising, and how many functions of ``mask`` have each."""
    for name, value, size in (("state", state, h.values.shape[1]), ("action", action, h.values.shape[2])):
        if not 0 <= value < size:
            raise bad_argument(name, value, f"0 to {size - 1}")
    grid = (h.values[mask, state, action] / TOLERANCE).round()
    values, counts = grid.unique(return_counts=True)
    return values * TOLERANCE, counts


def every_table(
    states: int = 2, actions: int = 2, rewards: tuple[float, ...] = (0.0, 1.0), gamma: float = 0.9
) -> Hypotheses:
    """Return the class without structure: any reward of ``rewards`` and any next state in each pair, freely combined.

    Raises ``UsageError`` if that is more than ``LARGEST`` models.
    """
    pairs, choices = states * actions, states * len(rewards)
    if choices**pairs > LARGEST:
        raise bad_argument("states", states, f"at most {LARGEST} models, not {choices**pairs}")
    table = torch.tensor(list(product(range(choices), repeat=pairs))).view(-1, states, actions)
    return induced(table % states, torch.tensor(rewards, dtype=torch.double)[table // states], gamma)


def strictness_example(gamma: float = 0.9) -> tuple[Hypotheses, Data]:
    """Return a class of two models and one transition for which Q_MB(D) is a proper subset of Q_MF(D).

    States x = 0, y = 1, u1 = 2, u2 = 3 and an end, 4; one action. Model 1 goes from x to u1 and pays 1 in y; model 2
    goes from x to u2 and pays 0 in y. Both pay 0 elsewhere and end after y, u1 and u2. That x leads to u1 tells which
    model is true, and so what y is worth. But u1 and u2 are worth the same: the Bellman equation at x hears nothing.
    """
    following = torch.tensor([[2, 4, 4, 4, 4], [3, 4, 4, 4, 4]]).unsqueeze(-1)
    reward = torch.tensor([[0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=torch.double).unsqueeze(-1)
    h = induced(following, reward, gamma)
    return h, transitions(h, torch.tensor(0), torch.tensor([0]), torch.tensor([0]))


def _expect_discount(gamma: float) -> None:
    if not 0 <= gamma < 1:
        raise bad_argument("gamma", gamma, "a number from 0, below 1")


__all__ = [
    "BitModels",
    "Data",
    "Hypotheses",
    "Sizes",
    "agrees",
    "dial",
    "draw",
    "every_table",
    "induced",
    "induces",
    "model_based",
    "model_free",
    "obeys",
    "optimal_values",
    "possible_values",
    "sizes",
    "strictness_example",
    "transitions",
]
