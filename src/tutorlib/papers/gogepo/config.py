"""What can be set in a run of GoGePo (2207.01570); the defaults are the paper's for MountainCarContinuous.

Two fields, ``policies`` and ``normalised``, are departures that small worlds need; their defaults switch them off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeVar

from tutorlib.lab.errors import MOST_SIZE, bad_argument, expect_fields
from tutorlib.papers.gogepo.model import Evaluator, Generator, Policy
from tutorlib.papers.gogepo.problem import WORLDS
from tutorlib.shapes import Tensor

COMMANDS: Mapping[str, str] = MappingProxyType(
    {"best": "the best return so far, and a little more", "first": "the first command, over and over"}
)
"""What a generator is asked for while it explores."""
CAPACITY = 10_000
"""policies that D holds at most"""

N = TypeVar("N", float, Tensor)


@dataclass(frozen=True)
class Config:
    """One run."""

    environment: str = "mountaincar"
    """one of ``problem.WORLDS``"""
    steps: int = 100_000
    """steps in the environment, after which a run ends with its episode"""
    episodes: int = 1000
    """episodes at most: 100,000 steps are 101 of the longest, and hundreds where the flag is reached"""
    horizon: int = 999
    """steps of an episode at most"""
    width: int = 256
    """units of each hidden layer of a policy"""
    layers: int = 2
    """hidden layers of a policy, and of all networks"""
    block: int = 16
    """f: the generator writes blocks of f x f weights"""
    embedding: int = 8
    """entries of the embedding of a block"""
    net_width: int = 256
    """units of each hidden layer of the generator's shared networks, and of the evaluator's U"""
    states: int = 200
    """K, probing states"""
    sigma: float = 0.1
    """deviation of the noise on each generated weight, drawn once for an episode"""
    first_command: float = 1.0
    """asked for in the first episode, in units of return"""
    command: str = "best"
    """what is asked for afterwards, one of ``COMMANDS``"""
    drive: float = 20.0
    """asked for beyond the best return so far"""
    batch: int = 16
    """policies in a batch of either loss"""
    recency: float = 1.1
    """the k-th newest policy is sampled with probability proportional to k^-recency"""
    evaluator_steps: int = 4
    """steps along L_V after each episode, or after each round of them"""
    generator_steps: int = 19
    """steps along L_G after each episode, or after each round of them"""
    evaluator_lr: float = 5e-3
    """Adam's learning rate for w"""
    generator_lr: float = 2e-6
    """Adam's learning rate for rho"""
    eval_episodes: int = 10
    """episodes behind an evaluation of the best command, which is made after each episode"""
    sweep_every: int = 10
    """episodes between two sweeps of commands over the range of returns"""
    sweep_commands: int = 21
    """commands of a sweep, evenly spaced"""
    sweep_episodes: int = 10
    """episodes behind each of them"""
    policies: int = 1
    """perturbed policies that try one command side by side, an episode each, in one round; then follow the updates. One
    in the paper"""
    normalised: bool = False
    """whether commands and the evaluator's targets are (r - r_min) / (r_max - r_min). In the paper commands are
    r / (r_max - r_min), and targets are returns as they are"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("steps", "episodes", "horizon", "eval_episodes", "sweep_every", "sweep_episodes"),
            sizes=("width", "layers", "block", "embedding", "net_width", "states", "batch", "policies"),
            minimum={"sweep_commands": 2},
            maximum={
                "layers": 100, "sweep_commands": 1000, "evaluator_steps": MOST_SIZE, "generator_steps": MOST_SIZE,
            },
            not_negative=("sigma", "recency"),
            positive=("evaluator_lr", "generator_lr"),
            choices={"environment": tuple(WORLDS), "command": tuple(COMMANDS)},
        )  # fmt: skip
        if self.width % self.block:
            raise bad_argument("block", self.block, f"a divisor of width={self.width}")
        if self.episodes % self.sweep_every:
            raise bad_argument("sweep_every", self.sweep_every, f"a divisor of episodes={self.episodes}")
        if self.sweep_every % self.policies:
            raise bad_argument("policies", self.policies, f"a divisor of sweep_every={self.sweep_every}")

    @property
    def capacity(self) -> int:
        """Policies that D holds: 10,000 in the paper's code, more than there are episodes."""
        return min(self.episodes, CAPACITY) // self.policies * self.policies

    @property
    def rounds(self) -> int:
        """Rounds of ``policies`` episodes, at most."""
        return self.episodes // self.policies

    @property
    def env(self) -> Any:
        """The environment."""
        return replace(WORLDS[self.environment].env, horizon=self.horizon)

    @property
    def scale(self) -> float:
        """1 / (r_max - r_min): what commands are multiplied with before the generator reads them."""
        return 1 / (WORLDS[self.environment].high - WORLDS[self.environment].low)

    def input_for(self, r: N) -> N:
        """Return what the generator reads where a return ``r`` is asked for."""
        return (r - WORLDS[self.environment].low) * self.scale if self.normalised else r * self.scale

    def target(self, r: N) -> N:
        """Return what V says of a policy that is expected to get ``r``."""
        return (r - WORLDS[self.environment].low) * self.scale if self.normalised else r

    def expected(self, v: N) -> N:
        """Return the return that V expects where it says ``v``: the inverse of ``target``."""
        return WORLDS[self.environment].low + v / self.scale if self.normalised else v

    @property
    def policy(self) -> Policy:
        """Whose weights the generator writes."""
        env = WORLDS[self.environment].env
        return Policy(env.observations, env.action_size, env.action_limit, (self.width,) * self.layers)

    @property
    def generator(self) -> Generator:
        """G."""
        return Generator(self.policy, self.block, self.embedding, (self.net_width,) * self.layers)

    @property
    def evaluator(self) -> Evaluator:
        """V."""
        return Evaluator(self.policy, self.states, (self.net_width,) * self.layers)


__all__ = ["COMMANDS", "Config"]
