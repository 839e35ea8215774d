"""What can be set in a run of model-based generalisation, and the paper's tuned settings (2211.02222)."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType

import torch

from tutorlib.lab.errors import MOST_SIZE, bad_argument, expect_fields
from tutorlib.papers.mbrl.maze import ProcMaze, maze_bank
from tutorlib.papers.mbrl.model import ACTIVATIONS, LatentModel, SimpleModel
from tutorlib.papers.mbrl.problem import LARGEST_SIZE, ButtonGrid, OpenGrid, PanFlute, Simulator

AGENTS = ("er", "simple", "gaussian", "categorical", "perfect")
ENVIRONMENTS = ("flute", "buttons", "maze", "open")
EPISODIC = ("maze", "open")
"""environments with episodes; the others never end"""
MAZES = 50_000
"""mazes of the bank that episodes are drawn from"""
LARGEST_MAZE = 12
"""side of a maze; a bank of larger ones takes more than 10 s to make"""

TUNED: Mapping[tuple[str, str], tuple[tuple[float, float], tuple[float, float]]] = MappingProxyType(
    {
        ("simple", "maze"): ((2e-4, 0.8), (2.5e-5, 0.4)),
        ("simple", "buttons"): ((2e-4, 1.6), (5e-5, 0.4)),
        ("simple", "flute"): ((1e-4, 0.4), (2e-4, 0.2)),
        ("perfect", "maze"): ((1e-4, 0.4), (4e-4, 0.4)),
        ("perfect", "buttons"): ((2e-4, 0.0125), (2e-4, 0.0125)),
        ("perfect", "flute"): ((2e-4, 0.1), (1e-4, 0.1)),
        ("er", "maze"): ((5e-5, 0.1), (2.5e-5, 1.6)),
        ("er", "buttons"): ((5e-5, 0.0125), (2.5e-5, 0.1)),
        ("er", "flute"): ((1e-4, 0.1), (3.125e-6, 0.8)),
        ("categorical", "maze"): ((2e-4, 1.6), (1e-4, 0.8)),
        ("categorical", "buttons"): ((1e-4, 0.05), (2e-4, 0.1)),
        ("categorical", "flute"): ((8e-4, 0.05), (1.6e-3, 0.05)),
        ("gaussian", "maze"): ((3.125e-6, 12.8), (3.125e-6, 0.8)),
        ("gaussian", "buttons"): ((1.25e-5, 0.1), (2.5e-5, 0.8)),
        ("gaussian", "flute"): ((2e-4, 0.1), (2e-4, 0.1)),
    }
)
"""the paper's learning rate of Q and temperature for each agent and environment: with much data, with little data"""


@dataclass(frozen=True)
class Learning:
    """What an agent is and how it learns, whatever it learns from: online and in the illustrative example."""

    agent: str = "simple"
    """one of ``AGENTS``"""
    _: KW_ONLY
    batch: int = 32
    """real transitions that a model starts from, and learns from"""
    length: int = 10
    """L, steps of a rollout; replay takes as many transitions as all rollouts of an update have"""
    starts: int = 0
    """real transitions that rollouts start from, if others than those of the batch; 0: the batch, as in the paper"""
    lr: float = 2e-4
    """Adam's learning rate for Q"""
    model_lr: float = 2e-4
    """Adam's learning rate for the model"""
    temperature: float = 0.8
    """of the softmax over Q"""
    gamma: float = 0.9
    hidden: int = 200
    """units of each hidden layer, of all networks"""
    model_hidden: int = 0
    """units of each hidden layer of the model, if others; 0: as many, as in the paper"""
    layers: int = 3
    official_bernoulli_logit: bool = False
    """simple model: sample bits with logits for probabilities, as the paper's code does"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("length",),
            sizes=("batch", "hidden", "layers"),
            maximum={"layers": 1_000, "starts": MOST_SIZE, "model_hidden": MOST_SIZE},
            positive=("lr", "model_lr", "temperature"),
            choices={"agent": AGENTS},
        )
        if not 0 <= self.gamma < 1:
            raise bad_argument("gamma", self.gamma, "a number from 0, below 1")


@dataclass(frozen=True)
class Config(Learning):
    """One run. The defaults are the paper's regime of much data; its one of little data is
    ``steps=100_000, updates=10, target_period=10, eval_every=50``. Both make about a million updates.
    """

    environment: str = "maze"
    """one of ``ENVIRONMENTS``"""
    size: int = 4
    """cells of a side, or pipes"""
    buttons: int = 3
    """of ButtonGrid"""
    steps: int = 1_000_000
    """steps in the environment"""
    learning_starts: int = 1000
    """steps before the first update, at least a batch of them"""
    updates: int = 1
    """in each step from then on"""
    target_period: int = 100
    """steps after which Q^- becomes Q"""
    capacity: int = 100_000
    """transitions that replay holds, at least a batch"""
    activation: str = "elu"
    """of the hidden layers of all networks, one of ``model.ACTIVATIONS``"""
    beta1: float = 0.9
    """of Adam, for Q and for the model"""
    beta2: float = 0.99
    epsilon: float = 1e-5
    """of Adam, added to the root"""
    decay: float = 1e-6
    """share that a parameter loses in each step, whatever the rate"""
    eval_every: int = 500
    """steps between evaluations"""
    eval_episodes: int = 32
    """episodes of an evaluation"""
    eval_length: int = 100
    """steps after which an episode of an evaluation is cut"""
    official_stale_observation: bool = False
    """show the last observation of an episode once more when the next one has begun, as the paper's code does: the
    first action is chosen from it, and a transition from the old maze to the new one is stored"""

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_fields(
            self,
            counts=("steps", "learning_starts", "updates", "target_period", "capacity", "eval_every", "eval_length"),
            sizes=("buttons", "eval_episodes"),
            minimum={"size": 2},
            maximum={"size": LARGEST_SIZE},
            positive=("epsilon",),
            choices={"environment": ENVIRONMENTS, "activation": tuple(ACTIVATIONS)},
        )
        if self.environment == "maze" and self.size > LARGEST_MAZE:
            raise bad_argument("size", self.size, f"a whole number from 2 to {LARGEST_MAZE} in environment=maze")
        for name in ("learning_starts", "capacity"):
            if getattr(self, name) < self.batch:
                expected = f"at least batch={self.batch}, for replay to hold a batch before the first update"
                raise bad_argument(name, getattr(self, name), expected)
        for name in ("beta1", "beta2", "decay"):
            if not 0 <= getattr(self, name) < 1:
                raise bad_argument(name, getattr(self, name), "a number from 0, below 1")

    @property
    def episodic(self) -> bool:
        """Whether there are episodes."""
        return self.environment in EPISODIC

    @property
    def transitions(self) -> int:
        """What Q learns from in an update, the same number for all agents: 320 in the paper."""
        return (self.starts or self.batch) * self.length

    def world(self, device: torch.device | None = None) -> Simulator:
        """Return the environment; the bank of mazes is the same for all runs."""
        if self.environment == "flute":
            return PanFlute(self.size)
        if self.environment == "buttons":
            return ButtonGrid(self.size, self.buttons)
        if self.environment == "open":
            return OpenGrid(self.size)
        return ProcMaze(self.size, maze_bank(self.size, MAZES, torch.Generator().manual_seed(0)).to(device))

    def model(self, env: Simulator) -> SimpleModel | LatentModel | None:
        """Return the model that the agent learns, if it learns one."""
        o, a, hidden = env.observations, env.actions, self.model_hidden or self.hidden
        if self.agent == "simple":
            return SimpleModel(o, a, hidden, self.layers, self.official_bernoulli_logit, self.activation)
        if self.agent in ("gaussian", "categorical"):
            return LatentModel(o, a, self.agent, hidden=hidden, layers=self.layers, activation=self.activation)
        return None


__all__ = ["AGENTS", "ENVIRONMENTS", "EPISODIC", "MAZES", "TUNED", "Config", "Learning"]
