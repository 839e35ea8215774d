"""What can be set in a run of the recurrent agent in MiniGrid (2211.10282)."""

from dataclasses import KW_ONLY, dataclass

import torch

from tutorlib.envs.minigrid import MiniGrid
from tutorlib.envs.minigrid_rooms import TASKS
from tutorlib.lab.errors import MOST_SIZE, bad_argument, expect_fields
from tutorlib.papers.rcgvf import memory as nets
from tutorlib.papers.rcgvf.config import Learning
from tutorlib.papers.rcgvf.levels import bank, places, ring
from tutorlib.papers.rcgvf.memory import Network, Predictor
from tutorlib.papers.rcgvf.passes import expect_passes

METHODS = ("rcgvf", "rnd", "noveld", "agac", "ppo")
"""those of ``methods.TABLE``, all of which run in MiniGrid"""


@dataclass(frozen=True)
class Config(Learning):
    """One run in MiniGrid. Defaults are the released code's for RC-GVF; ``settings`` has those of other methods.

    A minibatch is a multiple of ``bptt``, and the sizes of Z and of predictors follow from ``d``, or from ``width``.
    """

    task: str = "KeyCorridorS4R3"
    """one of ``minigrid_rooms.TASKS``; the released scripts name KeyCorridorS4R3 and ObstructedMaze-2Dlhb, and the
    paper's list is recalled, not known"""
    _: KW_ONLY
    levels: int = 2048
    """how many levels episodes are drawn from, the same for all seeds; unused with ``renew``"""
    panorama: bool = False
    """whether the bonus looks all round (all but ppo)"""
    counts: bool = False
    """whether episodic counts are told: every bonus is divided by their root; agac and ppo are paid for it alone"""
    bptt: int = 4
    """steps that gradients go back, a divisor of T"""
    beta_counts: float = 0.0
    """weight of 1 / sqrt(N_ep), paid to agac and ppo"""
    adversary: float = 0.0
    """c, weight of what AGAC adds to advantages and values"""
    width: int = 0
    """units of the predictors' LSTM, from which the inner sizes of Z and predictors follow; 0: d. The released code has
    128, whatever d is"""
    renew: int = 0
    """levels that each update makes anew, from which its episodes are drawn; 0: all from one bank. The released code
    makes one for each episode (``levels``)"""

    num_steps: int = 128
    updates: int = 14_650  # 3e7 frames
    minibatch_size: int = 256
    update_epochs: int = 4
    lr: float = 2e-4
    predictor_lr: float = 0.75
    anneal: float = 3e7
    beta: float = 0.1
    ent_coef: float = 1e-5
    max_grad_norm: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_fields(
            self,
            sizes=("levels", "bptt"),
            maximum={"width": MOST_SIZE, "renew": MOST_SIZE},
            not_negative=("beta_counts", "adversary"),
            endless=("anneal",),
            choices={"method": METHODS, "task": TASKS},
        )
        if self.num_steps % self.bptt:
            raise bad_argument("bptt", self.bptt, f"a divisor of num_steps={self.num_steps}")
        if self.minibatch_size % self.bptt:
            raise bad_argument("minibatch_size", self.minibatch_size, f"a multiple of bptt={self.bptt}")
        if self.disagrees and self.heads < 2:
            raise bad_argument("heads", self.heads, "at least 2: one cannot disagree")
        expect_passes(self.passes, self.num_steps, self.bptt)
        _ = self.predictor  # it refuses sizes that cannot be

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
