"""Bandits: a lifetime is a sequence of pulls, and nothing moves."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch

from tutorlib.envs.protocol import expect_last
from tutorlib.envs.tensors import as_integer, as_permutation, one_hot, pick
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.shapes import Bool, Float, Int, Tensor

GAPS = {"easy": (0.9, 0.1), "medium": (0.75, 0.25), "hard": (0.6, 0.4)}
"""Success probabilities of the good arm and of the others"""

FAMILIES = ("independent", "dependent", *GAPS, "biased", "flipped")
TWO_ARMED = ("dependent", "biased", "flipped")


class BanditState(NamedTuple):
    """A bandit; it never changes within a lifetime."""

    p: Float[Tensor, "*batch arms"]
    """success probabilities"""


@runtime_checkable
class HasArms(Protocol):
    """A state from which the success probability of each action can be read."""

    @property
    def p(self) -> Float[Tensor, "*batch arms"]:
        """Success probabilities in the order of the actions."""


@dataclass(frozen=True)
class BernoulliBandit:
    """Arm b pays 1 with probability p_b, else 0 (SymLA 2109.10781, after Wang et al. 2016).

    p is drawn once for the lifetime. An observation says nothing: it is the constant 1. One uniform u decides a pull,
    which pays if u < p_b.

    The families, of which all but the first are two-armed in the literature:

    - independent: p_b ~ U(0, 1)
    - dependent: p_1 ~ U(0, 1), p_2 = 1 - p_1
    - easy, medium, hard: one arm, any with the same probability, has .9 (.75, .6), and the others .1 (.25, .4)
    - biased: p_1 ~ U(.5, 1), p_2 ~ U(0, .5), so the first arm is always the better one
    - flipped: the same with the arms exchanged
    """

    arms: int = 2
    """the number of arms"""
    family: str = "independent"
    """one of ``FAMILIES``"""
    bias: float | None = None
    """independent, two arms: probability that the first arm is the better one of the pair (.5 is as None)"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("arms",), minimum={"arms": 2}, shares=("bias",), choices={"family": FAMILIES})
        if self.family in TWO_ARMED and self.arms != 2:
            raise bad_argument("arms", self.arms, f"2 with family={self.family!r}")
        if self.bias is not None and (self.family != "independent" or self.arms != 2):
            raise bad_argument("bias", self.bias, "None, unless family='independent' and arms=2")

    @property
    def observations(self) -> int:
        """O = 1: the constant."""
        return 1

    @property
    def actions(self) -> int:
        """One action for each arm."""
        return self.arms

    @property
    def start_noise(self) -> int:
        """One uniform says which arm is good, the others draw p."""
        return 1 + self.arms

    @property
    def step_noise(self) -> int:
        """One uniform for the reward."""
        return 1

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> BanditState:
        """Return a bandit of the family for each lifetime."""
        expect_last("u", u, self.start_noise)
        chance, u = u[..., :1], u[..., 1:]
        if self.family == "dependent":
            return BanditState(torch.cat([u[..., :1], 1 - u[..., :1]], dim=-1))
        if self.family == "biased":
            return BanditState(torch.cat([0.5 + 0.5 * u[..., :1], 0.5 * u[..., 1:]], dim=-1))
        if self.family == "flipped":
            return BanditState(torch.cat([0.5 * u[..., :1], 0.5 + 0.5 * u[..., 1:]], dim=-1))
        if self.family in GAPS:
            good, rest = GAPS[self.family]
            is_good = as_integer(chance, self.arms) == torch.arange(self.arms, device=u.device)
            return BanditState(torch.where(is_good, good, rest).to(u.dtype))
        if self.bias is None:
            return BanditState(u)
        low, high = u.amin(dim=-1, keepdim=True), u.amax(dim=-1, keepdim=True)
        first = chance < self.bias  # the first arm is the better one
        return BanditState(torch.where(first, torch.cat([high, low], dim=-1), torch.cat([low, high], dim=-1)))

    def observe(self, state: BanditState) -> Float[Tensor, "*batch 1"]:
        """Return the constant 1."""
        return torch.ones_like(state.p[..., :1])

    def step(
        self, state: BanditState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[BanditState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the same bandit, what the pull pays, and False: a bandit has no episodes."""
        expect_last("u", u, self.step_noise)
        reward = (u[..., 0] < pick(state.p, action)).to(state.p.dtype)
        return state, reward, torch.zeros_like(reward, dtype=torch.bool)


@checked()
def expected_regret(state: HasArms, action: Int[Tensor, "*actions"]) -> Float[Tensor, "*actions"]:
    """Return what each pull is expected to pay less than the best arm, max_b p_b - p_a.

    ``action`` is ``[*batch]`` for the batch axes of the state, or ``[*batch, time]`` for whole lifetimes; summed over
    time it is the regret of a lifetime. Raises ``UsageError`` for another number of axes.
    """
    p = state.p
    if not isinstance(p, Tensor):
        raise bad_argument("state.p", p, "a tensor of probabilities")
    if action.dim() == p.dim():
        p = p.unsqueeze(-2)
    elif action.dim() != p.dim() - 1:
        batch = tuple(p.shape[:-1])
        raise bad_argument("action", tuple(action.shape), f"the batch axes {batch}, with or without one of time")
    if any(n != k and 1 not in (n, k) for n, k in zip(action.shape, p.shape[:-1], strict=True)):
        raise bad_argument("action", tuple(action.shape), f"the batch axes {tuple(state.p.shape[:-1])}")
    return p.amax(dim=-1) - pick(p, action)


class ContextState(NamedTuple):
    """The map of the lifetime and what is shown now."""

    correct: Int[Tensor, "*batch contexts"]
    """the action that each context asks for"""
    context: Int[Tensor, "*batch"]


@dataclass(frozen=True)
class ContextualBandit:
    """Each context has one correct action: reward 1 for it and -1 for every other.

    Not in SymLA's paper: a small stand-in for control with an observation that matters. Contexts are uniform and
    one-hot. The map from contexts to actions is the identity, or drawn for each lifetime, different contexts then
    asking for different actions.
    """

    contexts: int = 2
    """the number of contexts"""
    actions: int = 2
    """the number of actions, at least one for each context"""
    shuffled: bool = False
    """whether the map is random in each lifetime; if not, context c asks for action c"""

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("contexts", "actions"), minimum={"actions": 2})
        if self.actions < self.contexts:
            raise bad_argument("actions", self.actions, f"a whole number from {self.contexts}, one for each context")

    @property
    def observations(self) -> int:
        """O: one entry for each context."""
        return self.contexts

    @property
    def start_noise(self) -> int:
        """One uniform for the first context, the others for the map."""
        return 1 + self.actions

    @property
    def step_noise(self) -> int:
        """One uniform for the next context."""
        return 1

    def start(self, u: Float[Tensor, "*batch start_noise"]) -> ContextState:
        """Return the map of each lifetime and its first context."""
        expect_last("u", u, self.start_noise)
        order = as_permutation(u[..., 1:])
        if not self.shuffled:
            order = torch.arange(self.actions, device=u.device).expand_as(order)
        return ContextState(order[..., : self.contexts], as_integer(u[..., 0], self.contexts))

    def observe(self, state: ContextState) -> Float[Tensor, "*batch contexts"]:
        """Return the context, one-hot."""
        return one_hot(state.context, self.contexts)

    def step(
        self, state: ContextState, action: Int[Tensor, "*#batch"], u: Float[Tensor, "*#batch step_noise"]
    ) -> tuple[ContextState, Float[Tensor, "*batch"], Bool[Tensor, "*batch"]]:
        """Return the next context, the reward, and False: there are no episodes."""
        expect_last("u", u, self.step_noise)
        right = action == pick(state.correct, state.context)
        following = as_integer(u[..., 0], self.contexts).expand_as(right)
        return state._replace(context=following), 2.0 * right - 1.0, torch.zeros_like(right)


__all__ = [
    "FAMILIES",
    "BanditState",
    "BernoulliBandit",
    "ContextState",
    "ContextualBandit",
    "HasArms",
    "expected_regret",
]
