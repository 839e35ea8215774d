"""The environments of SymLA (2109.10781): what agents are meta-trained in, and what they are tested in.

Environments and wrappers are ``tutorlib.envs``; this room names those of the paper's figures. All tests keep theta
fixed, and change what an agent meets: other families of bandits, more arms, permuted observations and actions, another
meaning of rewards, another environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from types import MappingProxyType
from typing import cast

import torch

from tutorlib.envs import (
    BanditState,
    BernoulliBandit,
    CartPole,
    ContextualBandit,
    DarkRoom,
    Duplicated,
    Environment,
    HeartGrid,
    MountainCar,
    OrderState,
    Padded,
    Permuted,
    Projected,
    SignFlipped,
    environment,
    expected_regret,
)
from tutorlib.lab.errors import bad_argument, choose
from tutorlib.shapes import Float, Int, Tensor

ENVIRONMENTS = ("bandit", "contextual-bandit", "cartpole", "acrobot", "mountaincar", "heart-grid", "dark-room")
PERMUTED = ("none", "observations", "actions", "both")
MATRIX = ("independent", "dependent", "easy", "medium", "hard")
"""families of two-armed bandits, the rows and columns of Fig. 3"""
ARMS = (2, 3, 5, 10, 20)
"""numbers of arms of Fig. 4"""
SHAPED = 20.0
"""bonus for energy in meta-training on MountainCar, whose own reward a beginner never meets"""


def make(
    name: str, size: int = 2, family: str = "independent", bias: float = 0.5, permuted: str = "none"
) -> Environment:
    """Return an environment of meta-training; ``permuted`` draws new orders in each lifetime.

    ``size``: arms of a bandit, contexts and actions of a contextual bandit, side of a grid; else unused. ``bias``:
    bandits of independent arms, the probability that the first of two arms is the better one; .5 is no bias.

    Raises ``UsageError`` for names and sizes that cannot be used.
    """
    choose("environment", name, ENVIRONMENTS)
    choose("permuted", permuted, PERMUTED)
    if name == "bandit":
        env: Environment = BernoulliBandit(size, family, None if bias == 0.5 else bias)
    elif name == "contextual-bandit":
        env = ContextualBandit(size, size)
    elif name == "heart-grid":
        env = HeartGrid(size, view="relative")
    elif name == "dark-room":
        env = DarkRoom(size)
    elif name == "mountaincar":
        env = MountainCar(shaped=SHAPED)
    else:
        env = environment(name)
    return env if permuted == "none" else shuffled(env, permuted)


def shuffled(env: Environment, what: str, at: int = 0) -> Environment:
    """Return ``env`` with its observations, its actions or both permuted anew in each lifetime, from step ``at`` on."""
    choose("what", what, PERMUTED[1:])
    return Permuted(env, what != "actions", what != "observations", at)


def tests(name: str, size: int, length: int, any_size: bool) -> dict[str, Environment]:
    """Return the meta-test environments of agents that were meta-trained in environment ``name``.

    ``any_size`` adds those with other numbers of observations or actions, which a MetaRNN cannot enter. ``moved``
    changes the order in mid-life.
    """
    half = length // 2
    if name == "bandit":
        return _bandits(size, half, any_size)
    if name == "contextual-bandit":
        plain, other = ContextualBandit(size, size), ContextualBandit(size, size, shuffled=True)
        result: dict[str, Environment] = {"standard": plain, "shuffled": other, "moved": shuffled(plain, "both", half)}
        if any_size:
            result |= {f"size {n}": ContextualBandit(n, n, shuffled=True) for n in (2, 3, 4, 5)}
            result |= {"more actions": ContextualBandit(size, size + 1, shuffled=True)}
        return result | _observed(other, any_size)
    if name == "heart-grid":
        grid = HeartGrid(size, view="relative")
        swapped = HeartGrid(size, swapped=True, view="relative")
        result = {"standard": grid, "swapped": swapped, "both": shuffled(grid, "both")}
        more: dict[str, Environment] = {"larger": HeartGrid(size + 1, view="relative"), "cartpole": CartPole()}
        return result | (more if any_size else {})
    env = MountainCar() if name == "mountaincar" else make(name, size)  # without the bonus for energy
    result = {"standard": env} | {what: shuffled(env, what) for what in PERMUTED[1:]}
    return result | {"moved": shuffled(env, "both", half)} | _observed(env, any_size)


def _bandits(arms: int, half: int, any_size: bool) -> dict[str, Environment]:
    result: dict[str, Environment] = {}
    if arms == 2:
        result = {family: BernoulliBandit(2, family) for family in (*MATRIX, "biased", "flipped")}
    result["moved"] = shuffled(BernoulliBandit(arms, "easy"), "actions", half)
    if any_size:
        result |= {f"arms {n}": BernoulliBandit(n) for n in ARMS}
        result |= {"duplicated": Duplicated(BernoulliBandit(arms)), "padded": Padded(BernoulliBandit(arms))}
    return result


def _observed(env: Environment, any_size: bool) -> dict[str, Environment]:
    """Return ``env`` seen otherwise: turned by a random rotation, with signs, and twice or with zeros beside it."""
    result: dict[str, Environment] = {"projected": Projected(env), "signs": SignFlipped(env)}
    return result | ({"duplicated": Duplicated(env), "padded": Padded(env, 2)} if any_size else {})


@dataclass(frozen=True)
class EveryOrder(Permuted):
    """An environment in all orders of its observations and actions at once, one for each member."""

    @property
    def orders(self) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """The orders of observations and of actions, the first ones those of the environment inside."""
        seen, done = (list(permutations(range(n))) for n in (self.observations, self.actions))
        return [(s, d) for d in done for s in seen]

    @property
    def names(self) -> list[str]:
        """What the orders are called, such as ``1032/10``: entry 0 is entry 1 inside, action 0 is action 1."""
        return [f"{_digits(s)}/{_digits(d)}" for s, d in self.orders]

    def start(self, u: Float[Tensor, "*runs members lifetimes start_noise"]) -> OrderState:
        """Return the state inside with the members' orders."""
        shown = [torch.tensor(part).to(u.device)[:, None] for part in zip(*self.orders, strict=True)]
        state = super().start(u)
        observation, action = (order.expand(*u.shape[:-1], -1) for order in shown)
        return state._replace(observation=observation, action=action)


MOST_ORDERED = 4
"""most observations, and actions, of an environment whose orders are all tried"""


def orders(env: Environment) -> EveryOrder:
    """Return ``env`` in every order of its observations and of its actions.

    Raises ``UsageError`` if it has more than 4 of either.
    """
    if env.observations > MOST_ORDERED or env.actions > MOST_ORDERED:
        raise bad_argument("env", (env.observations, env.actions), "at most 4 observations and 4 actions")
    return EveryOrder(env)


def _digits(order: tuple[int, ...]) -> str:
    return "".join(map(str, order))


UNITS: Mapping[str, str] = MappingProxyType(
    {
        "bandit": "expected regret",
        "contextual-bandit": "share of right actions",
        "cartpole": "failures",
        "acrobot": "goals reached",
        "mountaincar": "goals reached",
        "heart-grid": "reward",
        "dark-room": "reward",
    }
)
"""what ``score`` counts in a step of each environment"""


def score(
    name: str, task: object, rewards: Float[Tensor, "*batch time"], actions: Int[Tensor, "*batch time"]
) -> Float[Tensor, "*batch time"]:
    """Return what counts in each step of lifetimes in environment ``name``, see ``UNITS``.

    ``task`` is the state at the start of the lifetimes, from which a bandit's probabilities are read. Where its arms
    move in mid-life, the regret counts what a pull paid, not what it was expected to pay.
    """
    choose("environment", name, ENVIRONMENTS)
    if name == "bandit" and isinstance(task, OrderState):
        return task.p.amax(dim=-1, keepdim=True) - rewards
    if name == "bandit":
        return expected_regret(cast(BanditState, task), actions)
    if name == "contextual-bandit":
        return (rewards + 1) / 2
    if name == "cartpole":
        return -rewards
    return rewards + 1 if name in ("acrobot", "mountaincar") else rewards
