"""What can be set in a run of MetaGenRL (1910.04098); the defaults are those of the paper's code.

Fields in the second part are departures that a population of a minute needs; their defaults switch them off.
"""

from dataclasses import KW_ONLY, dataclass
from typing import NamedTuple

import torch

from tutorlib.envs import CONTROL, ControlEnvironment, control_environment
from tutorlib.lab.errors import MOST, bad_argument, expect_fields
from tutorlib.nn.normed import INITIALS
from tutorlib.papers.metagenrl.model import INPUTS, KINDS, Objective
from tutorlib.rl.td3 import ActorCritic
from tutorlib.rl.windows import MOST_STEPS
from tutorlib.shapes import Float, Tensor

SCALES = ("raw", "clipped", "normalised")
"""The inner step: along the gradient of the sum; along that cut to norm 1; along that of norm 1."""
FORMS = ("exact", "product")
"""The second-order gradient: through the update; or as a product with how actions move (one inner step alone)."""


@dataclass(frozen=True)
class Config:
    """A population, the objective that it learns, and fresh agents that learn with it."""

    environments: tuple[str, ...] = ("point", "pend")
    """of the population; each has as many agents"""
    agents: int = 20
    """of the population"""
    steps: int = 700_000
    """iterations of meta-training, as in the paper's code: steps of each copy of an agent's environment"""
    test_environments: tuple[str, ...] = ("cartup", "reach")
    """of the fresh agents"""
    test_agents: int = 4
    """fresh agents of each environment and each way to learn"""
    test_steps: int = 700_000
    """iterations of meta-testing, as in the paper's code"""
    _: KW_ONLY
    snapshots: int = 1
    """M: the objective is taken at M evenly spaced moments, the last at the end, and each is tested"""
    num_evals: int = 10
    """how often returns are looked at, evenly spaced over all iterations"""

    hidden: int = 350
    """units of a hidden layer of policies and critics, which have two"""
    limit: float = 1.0
    """the largest action"""
    capacity: int = 1_000_000
    """steps that an agent's replay holds"""
    batch: int = 100
    """B, windows of a step of critic and policy, and of an inner step"""
    window: int = 20
    """T, steps of a window"""
    gamma: float = 0.99
    gae_lambda: float = 0.97
    """of the baseline"""
    scaled_advantages: bool = False
    """whether the baseline's advantages are standardised over the batch, as the structured objective's are"""
    critic_lr: float = 1e-3
    policy_lr: float = 1e-3
    """of the population, and of fresh agents that learn by the objective"""
    gae_lr: float = 1e-3
    """of fresh policies that learn by REINFORCE with GAE"""
    ddpg_lr: float = 1e-3
    """of fresh policies that learn by DDPG"""
    max_grad_norm: float = 1.0
    """of policies, and of each agent's gradient of the objective"""
    polyak: float = 0.995
    """share of a target that stays"""
    delay: int = 2
    """iterations of the critic for each of the policy and of the objective"""
    target_noise: float = 0.2
    noise_clip: float = 0.5
    exploration: float = 0.1
    """standard deviation of the noise on actions"""
    random_steps: int = 10_000
    """iterations of uniformly random actions"""
    anneal: int = 10_000
    """iterations over which policies change from DDPG to the objective, in meta-training"""
    meta_lr: float = 1e-3
    inner_lr: float = 1e-3
    """eta, of one step of plain descent on a SUM"""
    inner_steps: int = 1
    """K"""

    kind: str = "full"
    """of the objective: full is the paper's; structured is given the distance of actions"""
    objective_hidden: int = 32
    action_layers: int = 3
    other_layers: int = 2
    summary: int = 8
    memory: int = 32
    """units of the objective's LSTM"""
    head_layers: int = 2
    inputs: tuple[str, ...] = INPUTS

    second_order: str = "exact"
    """one of ``FORMS``"""
    terminal_bonus: float = 0.0
    """paid at terminals in targets; the paper's code pays 1, its text does not"""
    official_padding: bool = False
    """the fault of the paper's code with episodes shorter than a window"""
    official_moments: bool = False
    """whether second derivatives take the means in layer normalisation for constants, as the paper's code does: its
    meta-gradient is then another one"""
    time_limit_ends: bool = True
    """whether nothing is worth anything after the last step of an episode that time alone ended, as in their code"""

    copies: int = 1
    """of its environment, in which an agent acts at the same time"""
    hold: int = 0
    """iterations before the change from DDPG begins"""
    meta_starts: int = 0
    """iterations before the objective first changes"""
    inner_scale: str = "raw"
    """one of ``SCALES``"""
    scaled_gain: bool = False
    """whether the critic's gain is divided by its standard deviation"""
    average: float = 0.0
    """share of the running mean of alpha that stays; policies and tests use that mean"""
    reset_every: int = 50
    """iterations between two times at which policies may be made anew"""
    reset: float = 0.0
    """with this probability"""
    penalty: float = 0.0
    """times the mean square of what the policy's tanh is given"""
    initial: str = "glorot"
    """one of ``nn.normed.INITIALS``"""
    last_scale: float = 1.0
    """the policy's last layer begins this much larger"""
    norm_epsilon: float = 1e-12
    """added to a variance in layer normalisation"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("steps", "test_steps", "capacity", "num_evals", "snapshots", "reset_every", "delay", "anneal"),
            sizes=("agents", "test_agents", "hidden", "batch", "window", "objective_hidden", "summary", "memory",
                   "inner_steps", "copies"),
            maximum={"random_steps": MOST, "hold": MOST, "meta_starts": MOST, "capacity": MOST_STEPS,
                     "other_layers": 64, "head_layers": 64, "action_layers": 64, "inner_steps": 64},
            minimum={"action_layers": 1},
            positive=("limit", "critic_lr", "policy_lr", "gae_lr", "ddpg_lr", "max_grad_norm", "meta_lr", "inner_lr",
                      "norm_epsilon"),
            not_negative=("target_noise", "noise_clip", "exploration", "penalty", "last_scale"),
            shares=("gamma", "gae_lambda", "polyak", "average", "reset"),
            choices={
                "environments": CONTROL, "test_environments": CONTROL, "kind": KINDS, "inputs": INPUTS,
                "second_order": FORMS, "inner_scale": SCALES, "initial": INITIALS,
            },
        )  # fmt: skip
        for name in ("environments", "test_environments"):
            if not getattr(self, name):
                raise bad_argument(name, (), "at least one environment")
        if self.agents % len(self.environments):
            raise bad_argument("agents", self.agents, f"a multiple of {len(self.environments)}, the environments")
        every = (*self.environments, *self.test_environments)
        shortest = min(control_environment(name).horizon for name in every)
        if self.window > shortest:
            raise bad_argument("window", self.window, f"at most {shortest}, the length of the shortest episode")
        longest = max(control_environment(name).horizon for name in every)
        if self.capacity // self.copies < longest:
            expected = f"at least {longest * self.copies}, the longest episode in each of {self.copies} copies"
            raise bad_argument("capacity", self.capacity, expected)
        if self.second_order == "product" and self.inner_steps > 1:
            raise bad_argument("second_order", self.second_order, "exact, where there are several inner steps")
        if (self.steps + self.test_steps) % self.num_evals:
            total = self.steps + self.test_steps
            raise bad_argument("num_evals", self.num_evals, f"a divisor of steps + test_steps={total}")
        if self.snapshots > self.steps:
            raise bad_argument("snapshots", self.snapshots, f"at most steps={self.steps}")
        _ = self.objective  # it refuses inputs that cannot be

    @property
    def objective(self) -> Objective:
        """L_alpha."""
        return Objective(
            self.kind, self.objective_hidden, self.action_layers, self.other_layers, self.summary, self.memory,
            self.head_layers, inputs=self.inputs, official_padding=self.official_padding, epsilon=self.norm_epsilon,
            constant_mean=self.official_moments,
        )  # fmt: skip


class Setting(NamedTuple):
    """What stays the same of agents side by side: ``[runs, environments, twins, per]`` of them, in one axis of nets.

    All have networks of one size, that of the largest environment: observations and actions are padded with zeros. A
    weight that only ever meets a zero gets no gradient, so each agent learns what it would learn in networks of its own
    size, and a step is a few large products instead of as many small ones for each environment.
    """

    config: Config
    envs: tuple[ControlEnvironment, ...]
    twins: int
    """agents that share their luck: the ways to learn that are compared"""
    per: int
    """agents of each environment and twin"""
    ac: ActorCritic
    objective: Objective
    used: Float[Tensor, "nets actions"]
    """1 for actions that the agent's environment has"""

    @property
    def each(self) -> int:
        """Agents of a run."""
        return len(self.envs) * self.twins * self.per


def setting_of(
    config: Config,
    device: torch.device,
    environments: tuple[str, ...] = (),
    *,
    runs: int = 1,
    twins: int = 1,
    per: int = 1,
    observations: int = 0,
    actions: int = 0,
) -> Setting:
    """Return the setting of ``runs`` times ``twins`` times ``per`` agents in each of ``environments``.

    ``observations`` and ``actions``: the smallest sizes that networks have. Without an environment, these are theirs.
    Raises ``UsageError`` if policies may act beyond the bounds of environments.
    """
    envs = tuple(control_environment(name) for name in environments)
    if envs and config.limit > 1:
        raise bad_argument("limit", config.limit, "at most 1, the largest action that environments take")
    observations = max([observations, *(env.observations for env in envs)])
    actions = max([actions, *(env.action_size for env in envs)])
    ac = ActorCritic(observations, actions, config.hidden, epsilon=config.norm_epsilon, limit=config.limit,
                     constant_mean=config.official_moments)  # fmt: skip
    sizes = torch.tensor([env.action_size for env in envs] or [actions], device=device)
    rows = (torch.arange(actions, device=device) < sizes[:, None]).float()  # [environments, actions]
    used = rows.repeat_interleave(twins * per, dim=0).repeat(runs, 1)
    return Setting(config, envs, twins, per, ac, config.objective, used)


__all__ = ["FORMS", "SCALES", "Config", "Setting", "setting_of"]
