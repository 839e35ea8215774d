"""Two corridors that look alike, of which one was never entered (a case of ours for 2211.10282).

A bonus of one observation cannot tell them apart. Predictions of the future from a memory can; the paper argues so in
words.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange

from tutorlib.envs.tensors import one_hot
from tutorlib.lab import Context
from tutorlib.lab.errors import MOST_SIZE, bad_argument, expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import Moments, adam_step, no_moments
from tutorlib.papers.rcgvf.bonus import Curiosity
from tutorlib.papers.rcgvf.config import Hyper
from tutorlib.papers.rcgvf.methods import TABLE
from tutorlib.papers.rcgvf.model import MLP, predict, run
from tutorlib.shapes import Float, Tensor

METHODS = ("rcgvf", "rnd")
LEFT, RIGHT = 0, 1
"""the corridor that is walked again and again, and the one that never is"""
KINDS = 4
"""what can be seen: the junction, a corridor, the left end, the right end"""


@dataclass(frozen=True)
class Maze:
    """A junction, and two corridors whose cells all look the same, with different ends: T = length + 2 steps.

    The agent always goes left. What would it be paid if it went right for once?
    """

    method: str = "rcgvf"
    """rcgvf, or rnd, which has one predictor and looks neither back nor ahead"""
    memory: bool = True
    """whether predictors know which corridor was chosen, and how many steps ago (RC-GVF)"""
    gamma_z: float = 0.9
    lambda_z: float = 0.9
    length: int = 6
    """cells of a corridor"""
    walks: int = 400
    """to the left"""
    update_epochs: int = 5
    """Adam steps on each walk"""
    lr: float = 1e-3
    """Adam's learning rate"""
    heads: int = 2
    """K (RC-GVF)"""
    d: int = 16
    """pseudo-rewards"""
    hidden: int = 32
    """units of the hidden layers of Z, which has one, and of predictors, which have two"""
    num_evals: int = 40
    """how many evaluations of both corridors, evenly spaced, besides the beginning"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("length", "walks", "update_epochs", "num_evals"),
            sizes=("heads", "d", "hidden"),
            maximum={"length": MOST_SIZE},
            shares=("gamma_z", "lambda_z"),
            positive=("lr",),
            choices={"method": METHODS},
        )
        if self.walks % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of walks={self.walks}")
        if self.disagrees and self.heads < 2:
            raise bad_argument("heads", self.heads, "at least 2: one cannot disagree")

    @property
    def disagrees(self) -> bool:
        """Whether the method has K predictors, as RC-GVF has; they alone may have a memory."""
        return self.method == "rcgvf"

    @property
    def ensemble(self) -> int:
        """K, 1 for RND."""
        return self.heads if self.disagrees else 1

    @property
    def remembers(self) -> bool:
        """Whether predictors have a memory."""
        return self.memory and self.disagrees

    @property
    def z(self) -> MLP:
        """Z, what is seen to pseudo-rewards."""
        return MLP((KINDS, self.hidden, self.d))

    @property
    def predictor(self) -> MLP:
        """V^(k), what is seen and remembered to predictions."""
        return MLP((KINDS + self.length + 4, self.hidden, self.hidden, self.d))


def seen(c: Maze, arm: int) -> Float[Tensor, "time kinds"]:
    """Return the observations of a walk, one-hot: the junction, the corridor's cells, the end of ``arm``."""
    return one_hot(torch.tensor([0, *c.length * (1,), 2 + arm]), KINDS)


def remembered(c: Maze, arm: int) -> Float[Tensor, "time memory"]:
    """Return the memory of a walk: the corridor that was chosen, one-hot after the junction, and one-hot steps.

    Zeros where predictors have none.
    """
    time = torch.arange(c.length + 2)
    chosen = one_hot(torch.full_like(time, arm), 2) * (time > 0).unsqueeze(-1)
    return torch.cat([chosen, one_hot(time, c.length + 2)], dim=-1) * float(c.remembers)


def maze_curiosity(c: Maze, z: Float[Tensor, "time d"], v: Float[Tensor, "heads time d"]) -> Curiosity:
    """Return targets and R^i on a walk, of one seed and one environment, at whose end the episode ends."""
    judge = TABLE[c.method].curiosity
    assert judge is not None  # that of both methods here
    h = Hyper(*(torch.full((1,), value, device=z.device) for value in (1.0, c.gamma_z, c.lambda_z)))
    done = torch.zeros(1, len(z), 1, dtype=torch.bool, device=z.device)
    done[:, -1] = True
    # Functions of the table expect z and V of T + 1 observations. After the end there is none, and 0 stands for it.
    z, v = (torch.cat([x, torch.zeros_like(x[..., :1, :])], dim=-2) for x in (z, v))
    return judge(h, rearrange(z, "t d -> 1 t 1 d"), rearrange(v, "k t d -> 1 k t 1 d"), done)


def maze_targets(
    c: Maze, z: Float[Tensor, "time d"], v: Float[Tensor, "heads time d"]
) -> Float[Tensor, "heads time d"]:
    """Return the predictors' targets on a walk; z itself for RND."""
    return maze_curiosity(c, z, v).g[0, :, :, 0]


def maze_bonus(c: Maze, z: Float[Tensor, "time d"], v: Float[Tensor, "heads time d"]) -> Float[Tensor, "time"]:
    """Return R^i in each step of a walk."""
    return maze_curiosity(c, z, v).bonus[0, :, 0]


def explore_maze(c: Maze, seed: int, context: Context) -> Float[Tensor, "evals arms time"]:
    """Walk to the left again and again, learn from it, and return what a walk to either side would pay.

    That is R^i in each of its steps, before the first walk and at every evaluation. For what is kept, and for a run
    that diverges, see ``lab.loop.repeat``.
    """
    device = context.device
    generator = torch.Generator().manual_seed(seed)
    z_layers = c.z.layers(c.z.initial(generator)[None].to(device))
    phi = torch.cat([c.predictor.initial(generator) for _ in range(c.ensemble)])[None].to(device)
    o = torch.stack([seen(c, arm) for arm in (LEFT, RIGHT)]).to(device)
    x = torch.cat([o, torch.stack([remembered(c, arm) for arm in (LEFT, RIGHT)]).to(device)], dim=-1)
    z = run(z_layers, o.flatten(0, 1)[None])[0].unflatten(0, (2, -1))

    def predicted(phi: Tensor, arm: int) -> Tensor:
        return predict(c.predictor, c.ensemble, phi, x[arm][None])[0]

    def evaluate(state: Walker, done: int) -> Tensor:
        return torch.stack([maze_bonus(c, z[arm], predicted(state.phi, arm)) for arm in (LEFT, RIGHT)])

    def walk(state: Walker, number: int) -> tuple[Walker, Tensor]:
        phi, moments = state
        g = maze_targets(c, z[LEFT], predicted(phi, LEFT))  # fixed while they are learned from
        off = torch.zeros(1, device=device)
        for epoch in range(c.update_epochs):
            phi = phi.detach().requires_grad_()
            off = (predicted(phi, LEFT) - g).square().mean()[None]
            (slope,) = torch.autograd.grad(off.sum(), phi)
            phi, moments = adam_step(phi.detach(), moments, slope, number * c.update_epochs + epoch, c.lr)
        return Walker(phi, moments), off.detach()

    start = Walker(phi, no_moments(phi))
    course = repeat(
        walk,
        start,
        c.walks,
        context,
        title=f"{c.method} in two corridors",
        seeds=[seed],
        eval_every=c.walks // c.num_evals,
        evaluate=evaluate,
        advice=f"a smaller lr than {c.lr} may help",
    )
    return torch.stack([evaluate(start, 0), *course.evals])


class Walker(NamedTuple):
    """What changes from walk to walk: the predictors."""

    phi: Float[Tensor, "one weights"]
    moments: Moments


__all__ = [
    "LEFT",
    "RIGHT",
    "Maze",
    "explore_maze",
    "maze_bonus",
    "maze_curiosity",
    "maze_targets",
    "remembered",
    "seen",
]
