"""What can be set in a run of the recurrent agent in MiniGrid (2211.10282)."""

from dataclasses import dataclass

import torch

from tutorlib.envs.minigrid import MiniGrid
from tutorlib.envs.minigrid_rooms import TASKS
from tutorlib.lab.errors import MOST_SIZE, bad_argument, expect_fields
from tutorlib.papers.rcgvf import memory as nets
from tutorlib.papers.rcgvf.levels import bank, places, ring
from tutorlib.papers.rcgvf.memory import Network, Predictor
from tutorlib.papers.rcgvf.passes import expect_passes

METHODS = ("rcgvf", "rnd", "noveld", "agac", "ppo")
"""those of ``methods.TABLE``, all of which run in MiniGrid"""


@dataclass(frozen=True)
class Config:
    """One run in MiniGrid. Defaults are the released code's for RC-GVF; ``settings`` has those of other methods."""

    method: str = "rcgvf"
    """rcgvf, rnd, noveld, agac, or ppo, which has no bonus but counts"""
    task: str = "KeyCorridorS4R3"
    """one of ``minigrid_rooms.TASKS``; the released scripts name KeyCorridorS4R3 and ObstructedMaze-2Dlhb, and the
    paper's list is recalled, not known"""
    levels: int = 2048
    """how many levels episodes are drawn from, the same for all seeds; unused with ``renew``"""
    panorama: bool = False
    """whether the bonus looks all round (all but ppo)"""
    counts: bool = False
    """whether episodic counts are told: every bonus is divided by their root; agac and ppo are paid for it alone"""
    num_envs: int = 16
    """P, environments of a seed"""
    num_steps: int = 128
    """T, steps of an environment between two updates"""
    updates: int = 14_650
    """3e7 frames"""
    minibatch_size: int = 256
    """frames of a minibatch, a divisor of T P and a multiple of ``bptt``"""
    bptt: int = 4
    """steps that gradients go back, a divisor of T"""
    update_epochs: int = 4
    """passes over the frames of an update"""
    lr: float = 2e-4
    """Adam's learning rate for the actor-critic"""
    predictor_lr: float = 0.75
    """that of predictors and adversary, as a multiple of ``lr``"""
    anneal: float = 3e7
    """frames after which rates would have fallen to 0, linearly; inf: never"""
    beta: float = 0.1
    """weight of R^i"""
    beta_counts: float = 0.0
    """weight of 1 / sqrt(N_ep), paid to agac and ppo"""
    adversary: float = 0.0
    """c, weight of what AGAC adds to advantages and values"""
    gamma_z: float = 0.6
    """discount of the pseudo-rewards (RC-GVF; else unused)"""
    lambda_z: float = 0.9
    """lambda of their targets (RC-GVF; else unused)"""
    heads: int = 2
    """K (RC-GVF; else unused)"""
    alpha: float = 0.5
    """share of the present novelty that the next one must exceed (NovelD; else unused)"""
    d: int = 128
    """pseudo-rewards; other sizes of Z and of predictors follow from it, or from ``width``"""
    gamma: float = 0.99
    """discount"""
    gae_lambda: float = 0.95
    """lambda of the generalised advantage estimate"""
    clip_coef: float = 0.2
    """how far PPO's ratio and values may move and still gain"""
    ent_coef: float = 1e-5
    """weight of the policy's entropy"""
    vf_coef: float = 0.5
    """weight of the critic's loss"""
    max_grad_norm: float = 0.5
    """largest norm of a gradient"""
    num_evals: int = 10
    """how many evaluations, evenly spaced, the last update included"""
    passes: str = "whole"
    """whole, or released: every second pass has shifted segments and newer memories, and leaves out frames
    (``passes``)"""
    width: int = 0
    """units of the predictors' LSTM, from which the inner sizes of Z and predictors follow; 0: d. The released code has
    128, whatever d is"""
    renew: int = 0
    """levels that each update makes anew, from which its episodes are drawn; 0: all from one bank. The released code
    makes one for each episode (``levels``)"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("updates", "update_epochs", "num_evals"),
            sizes=("levels", "num_envs", "num_steps", "minibatch_size", "bptt", "heads", "d"),
            most={"width": MOST_SIZE, "renew": MOST_SIZE},
            positive=("lr", "predictor_lr", "clip_coef", "max_grad_norm", "anneal"),
            not_negative=("beta", "beta_counts", "adversary", "alpha", "ent_coef", "vf_coef"),
            shares=("gamma_z", "lambda_z", "gamma", "gae_lambda"),
            endless=("anneal",),
            choices={"method": METHODS, "task": TASKS},
        )
        if self.num_steps % self.bptt:
            raise bad_argument("bptt", self.bptt, f"a divisor of num_steps={self.num_steps}")
        if self.frames % self.minibatch_size or self.minibatch_size % self.bptt:
            expected = f"a divisor of the {self.frames} frames of an update, and a multiple of bptt={self.bptt}"
            raise bad_argument("minibatch_size", self.minibatch_size, expected)
        if self.updates % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of updates={self.updates}")
        if self.disagrees and self.heads < 2:
            raise bad_argument("heads", self.heads, "at least 2: one cannot disagree")
        expect_passes(self.passes, self.num_steps, self.bptt)
        _ = self.predictor  # it refuses sizes that cannot be

    @property
    def disagrees(self) -> bool:
        """Whether the method has K predictors, as RC-GVF has."""
        return self.method == "rcgvf"

    @property
    def frames(self) -> int:
        """N = T P, frames of an update."""
        return self.num_steps * self.num_envs

    @property
    def channels(self) -> int:
        """Numbers in each cell of what the bonus sees."""
        return 12 if self.panorama else 3

    @property
    def predictor(self) -> Predictor:
        """RC-GVF's predictor."""
        return Predictor(self.channels, self.d, self.heads, self.width)

    @property
    def z(self) -> Network:
        """Z, and the predictor of RND and NovelD."""
        return nets.z_network(self.channels, self.d, self.width)

    @property
    def num_updates_held(self) -> int:
        """Updates whose levels are held at once, with ``renew``."""
        return places(TASKS[self.task].max_steps, self.num_steps)

    def env(self, device: torch.device, number: int = 0) -> MiniGrid:
        """The environment of update ``number``, on ``device``."""
        if self.renew:
            levels = ring(self.task, self.renew, number, self.num_updates_held, device)
        else:
            levels = bank(self.task, self.levels, device)
        return MiniGrid(levels, TASKS[self.task].max_steps)
