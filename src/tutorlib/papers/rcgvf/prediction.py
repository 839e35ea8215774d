"""Predictors alone, under a policy that never changes: three small cases of what RC-GVF (2211.10282) rests on.

``fade``: in the lock, how fast error, disagreement and their product fall. ``explore_maze``: two corridors that look
alike, of which one was never entered. ``spread``: what lambda_z does to targets, where the true values are known. The
cases are ours; the paper argues for the same in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange

from tutorlib.envs.lock import GOOD, LockState
from tutorlib.envs.tensors import one_hot, pick
from tutorlib.lab import Cell, Context
from tutorlib.lab.batching import common
from tutorlib.lab.errors import MOST_SIZE, bad_argument, expect_fields
from tutorlib.lab.finite import expect_finite
from tutorlib.nn import adam_step, no_moments
from tutorlib.papers.rcgvf.algorithm import (
    VARIES,
    Batch,
    Config,
    Log,
    Noise,
    Rollout,
    State,
    descend,
    dis,
    draw_noise,
    err,
    hyper,
    initial_state,
    intrinsic,
    look_back,
    predictor_objective,
    shuffled,
    targets,
)
from tutorlib.papers.rcgvf.baselines import novelty
from tutorlib.papers.rcgvf.model import MLP, predict, run
from tutorlib.shapes import Float, Tensor

# How bonuses fade in the lock.


@dataclass(frozen=True)
class Fading:
    """Predictors in the lock, under a policy that takes the right action more often than chance."""

    learner: Config
    """all but its policy; its bonus is looked at and never paid"""
    right: float = 0.5
    """share of steps in which the policy knows the right action; in the others it takes any"""
    scale: float = 1.0
    """c: Z is multiplied by it"""

    def __post_init__(self) -> None:
        expect_fields(self, positive=("scale",))
        if not 0 <= self.right < 1:
            raise bad_argument("right", self.right, "a number from 0, below 1")
        if self.learner.method == "ppo":
            raise bad_argument("learner.method", "ppo", "a method with predictors")


FADING_VARIES = tuple(f"learner.{name}" for name in VARIES)
"""fields in which runs side by side may differ, besides the seed"""


def mixed_policy(c: Config, right: float, e: LockState) -> Float[Tensor, "*batch actions"]:
    """Return the logarithms of pi(a) = right [a = a*] + (1 - right) / A."""
    best = pick(e.table.flatten(-2), e.row.clamp(max=GOOD - 1) * c.horizon + e.column)
    return (right * one_hot(best, c.actions) + (1 - right) / c.actions).log()


@torch.no_grad()
def walk(c: Config, right: float, e: LockState, noise: Noise) -> tuple[Rollout, LockState]:
    """Return what T steps of the mixed policy bring, and the environments after them. There is no critic: v is 0."""
    env = c.env
    observations, actions, log_pi, rewards, ended, columns = [], [], [], [], [], []
    for t in range(c.steps):
        log_p = mixed_policy(c, right, e)
        a = (log_p + noise.gumbel[:, t]).argmax(dim=-1)
        observations.append(env.observe(e))
        columns.append(e.good_column)
        e, r, end = env.step(e, a, noise.step[:, t])
        actions.append(a)
        log_pi.append(log_p.gather(-1, a.unsqueeze(-1)).squeeze(-1))
        rewards.append(r)
        ended.append(end)
    observations.append(env.observe(e))
    o = torch.stack(observations, dim=1)
    return Rollout(
        o=o,
        actions=torch.stack(actions, dim=1),
        log_pi=torch.stack(log_pi, dim=1),
        v=o.new_zeros(o.shape[:3]),
        r=torch.stack(rewards, dim=1),
        ended=torch.stack(ended, dim=1),
        columns=torch.stack(columns, dim=1),
    ), e


def scaled(c: Config, state: State, scale: float) -> State:
    """Return ``state`` with ``scale`` Z in place of Z, which is its last layer times ``scale``."""
    zeta, last = state.zeta.clone(), (c.hidden_z + 1) * c.d
    zeta[:, -last:] *= scale
    return state._replace(zeta=zeta)


def learn(c: Config, state: State, batch: Batch, noise: Noise, number: int) -> State:
    """Return the state after the predictors have learned from update ``number``, as they do in RC-GVF."""
    phi, moments = state.phi, state.phi_moments
    step = number * c.epochs * (c.frames // c.minibatch)
    for epoch in range(c.epochs):
        parts = [shuffled(x, noise.order[:, epoch]).split(c.minibatch, dim=1) for x in batch]
        for part in zip(*parts, strict=True):
            b, slow = Batch(*part), c.predictor_rate * c.rate
            own = partial(predictor_objective, c, b=b)
            phi, moments = descend(own, phi, moments, step, slow, c.largest)
            step += 1
    return state._replace(phi=phi.detach(), phi_moments=moments)


@torch.no_grad()
def first_predictions(c: Config, state: State) -> Float[Tensor, "seeds d"]:
    """Return what the heads predict on average in row 0 of column 0, seen without noise."""
    table = state.e.table[:, 0]
    zero = torch.zeros(len(table), dtype=torch.long, device=table.device)
    start = LockState(table, zero, zero, state.phi.new_zeros(len(table), c.env.entries))
    return predict(c.predictor, c.ensemble, state.phi, c.env.observe(start).unsqueeze(1)).mean(dim=1).squeeze(1)


class Faded(NamedTuple):
    """What predictors leave."""

    log: Log
    """with a first axis of updates"""
    looks: list[Tensor]
    """``first_predictions``, each time"""


def fade(cells: Sequence[Cell], context: Context) -> Faded:
    """Train the predictors of ``cells``, whose configurations are ``Fading``, side by side.

    Raises ``UsageError`` for cells that cannot run as one batch, and ``NonFiniteError`` at the first look after which a
    weight or a bonus is not finite.
    """
    own: Fading = common(cells, FADING_VARIES)
    c, seeds = own.learner, [cell.seed for cell in cells]
    h = hyper([Cell(cell.config.learner, cell.seed) for cell in cells], context.device)
    state = scaled(c, initial_state(c, seeds, context.device), own.scale)
    logs, looks, every = [], [], c.updates // c.looks
    context.progress.start(c.updates, f"{c.method}, {len(cells)} side by side")
    for number in range(c.updates):
        noise = draw_noise(c, seeds, number, context.device)
        past, e = walk(c, own.right, state.e, noise)
        batch, log = look_back(c, h, state, past)
        state = learn(c, state._replace(e=e), batch, noise, number)
        logs.append(log)
        if (number + 1) % every == 0:
            when, advice = f"after update {number + 1} of {c.updates}", f"a smaller rate than {c.rate} may help"
            expect_finite(state._asdict() | {"a bonus": log.bonus}, when, seeds, advice)
            looks.append(first_predictions(c, state))
            context.progress.advance(every)
    context.progress.close()
    return Faded(Log(*(torch.stack(part) for part in zip(*logs, strict=True))), looks)


# Two corridors that look alike.

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
    epochs: int = 5
    """Adam steps on each walk"""
    rate: float = 1e-3
    """Adam's learning rate"""
    heads: int = 2
    """K (RC-GVF)"""
    d: int = 16
    """pseudo-rewards"""
    hidden: int = 32
    """units of the hidden layers of Z, which has one, and of predictors, which have two"""
    looks: int = 40
    """how often to look at both corridors, evenly spaced, besides the beginning"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("length", "walks", "epochs", "looks"),
            sizes=("heads", "d", "hidden"),
            most={"length": MOST_SIZE},
            shares=("gamma_z", "lambda_z"),
            positive=("rate",),
            choices={"method": METHODS},
        )
        if self.walks % self.looks:
            raise bad_argument("looks", self.looks, f"a divisor of walks={self.walks}")
        if self.method == "rcgvf" and self.heads < 2:
            raise bad_argument("heads", self.heads, "at least 2: one cannot disagree")

    @property
    def ensemble(self) -> int:
        """K, 1 for RND."""
        return self.heads if self.method == "rcgvf" else 1

    @property
    def remembers(self) -> bool:
        """Whether predictors have a memory."""
        return self.memory and self.method == "rcgvf"

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


def maze_targets(
    c: Maze, z: Float[Tensor, "time d"], v: Float[Tensor, "heads time d"]
) -> Float[Tensor, "heads time d"]:
    """Return the predictors' targets on a walk, at whose end the episode ends; z itself for RND."""
    if c.method == "rnd":
        return z.unsqueeze(0)
    ended = torch.zeros(1, len(z), 1, dtype=torch.bool, device=z.device)
    ended[:, -1] = True
    gamma, lam = (torch.tensor([value], device=z.device) for value in (c.gamma_z, c.lambda_z))
    last = torch.zeros_like(v[:, 0])
    return targets(z[None, :, None], v[None, :, :, None], last[None, :, None], ended, gamma, lam)[0, :, :, 0]


def maze_bonus(c: Maze, z: Float[Tensor, "time d"], v: Float[Tensor, "heads time d"]) -> Float[Tensor, "time"]:
    """Return R^i in each step of a walk."""
    if c.method == "rnd":
        return novelty(z, v[0])
    g = maze_targets(c, z, v)
    return intrinsic("product", err(g[None], v[None]), dis(v[None]))[0]


def explore_maze(c: Maze, seed: int, device: torch.device) -> Float[Tensor, "looks arms time"]:
    """Walk to the left again and again, learn from it, and return what a walk to either side would pay.

    That is R^i in each of its steps, before the first walk and at every look. Raises ``NonFiniteError`` at the first
    look at which a weight is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    z_layers = c.z.layers(c.z.initial(generator)[None].to(device))
    phi = torch.cat([c.predictor.initial(generator) for _ in range(c.ensemble)])[None].to(device)
    moments, step, found = no_moments(phi), 0, []
    o = torch.stack([seen(c, arm) for arm in (LEFT, RIGHT)]).to(device)
    x = torch.cat([o, torch.stack([remembered(c, arm) for arm in (LEFT, RIGHT)]).to(device)], dim=-1)
    z = run(z_layers, o.flatten(0, 1)[None])[0].unflatten(0, (2, -1))

    def predicted(phi: Tensor, arm: int) -> Tensor:
        return predict(c.predictor, c.ensemble, phi, x[arm][None])[0]

    def look() -> Tensor:
        return torch.stack([maze_bonus(c, z[arm], predicted(phi, arm)) for arm in (LEFT, RIGHT)])

    found.append(look())
    for number in range(c.walks):
        g = maze_targets(c, z[LEFT], predicted(phi, LEFT))  # fixed while they are learned from
        for _ in range(c.epochs):
            phi = phi.detach().requires_grad_()
            (slope,) = torch.autograd.grad((predicted(phi, LEFT) - g).square().mean(), phi)
            phi, moments = adam_step(phi.detach(), moments, slope, step, c.rate)
            step += 1
        if (number + 1) % (c.walks // c.looks) == 0:
            when, advice = f"after walk {number + 1} of {c.walks}", f"a smaller rate than {c.rate} may help"
            expect_finite({"phi": phi, "Adam's state": moments}, when, [seed], advice)
            found.append(look())
    return torch.stack(found)


# What lambda_z does to targets.


@dataclass(frozen=True)
class Chain:
    """A ring of states with a pseudo-reward each, walked at random, and predictions that are wrong by known errors."""

    states: int = 7
    """on the ring; a step goes to one of the two neighbours"""
    gamma_z: float = 0.9
    wrong: float = 1.0
    """standard deviation of the predictions' errors over states"""
    steps: int = 20
    """T: a target bootstraps at its end at the latest"""
    walks: int = 4000
    """from each state"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            sizes=("states", "steps", "walks"),
            least={"states": 3, "walks": 2},
            not_negative=("wrong",),
        )
        if not 0 <= self.gamma_z < 1:
            raise bad_argument("gamma_z", self.gamma_z, "a number from 0, below 1")


def exact_values(z: Float[Tensor, "states"], gamma_z: float) -> Float[Tensor, "states"]:
    """Return v = (I - gamma_z P)^-1 z of the random walk on the ring."""
    identity = torch.eye(len(z), dtype=z.dtype)
    p = (identity.roll(1, dims=1) + identity.roll(-1, dims=1)) / 2
    return torch.linalg.solve(identity - gamma_z * p, z)


class Spread(NamedTuple):
    """How the first target of a walk is spread around the true value, averaged over states."""

    bias: Float[Tensor, "lambdas"]
    """mean of (E G - v)^2"""
    variance: Float[Tensor, "lambdas"]
    """mean of Var G"""


def spread(c: Chain, lambdas: Sequence[float], seed: int) -> Spread:
    """Return squared bias and variance of targets for each lambda_z, over the same walks."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(c.states, generator=generator, dtype=torch.float64)
    v = exact_values(z, c.gamma_z)
    wrong = v + c.wrong * torch.randn(c.states, generator=generator, dtype=torch.float64)
    moves = 2 * torch.randint(0, 2, (c.steps, c.states, c.walks), generator=generator) - 1
    start = torch.arange(c.states).unsqueeze(-1).expand(-1, c.walks)
    place = torch.cat([start[None], start + moves.cumsum(dim=0)]) % c.states  # [T + 1, states, walks]
    place = rearrange(place, "t s w -> t (s w)")
    n = len(lambdas)
    z_t, v_t = z[place[:-1]], wrong[place]
    g = targets(
        z_t.float().expand(n, -1, -1).unsqueeze(-1),
        v_t[:-1].float().expand(n, 1, -1, -1).unsqueeze(-1),
        v_t[-1].float().expand(n, 1, -1).unsqueeze(-1),
        torch.zeros(n, c.steps, place.shape[1], dtype=torch.bool),
        torch.full((n,), c.gamma_z),
        torch.tensor(list(lambdas)),
    )[:, 0, 0, :, 0]
    g = rearrange(g, "l (s w) -> l s w", s=c.states).double()
    return Spread((g.mean(dim=-1) - v).square().mean(dim=-1), g.var(dim=-1).mean(dim=-1))


__all__ = [
    "FADING_VARIES",
    "LEFT",
    "RIGHT",
    "Chain",
    "Faded",
    "Fading",
    "Maze",
    "Spread",
    "exact_values",
    "explore_maze",
    "fade",
    "first_predictions",
    "learn",
    "maze_bonus",
    "maze_targets",
    "mixed_policy",
    "remembered",
    "scaled",
    "seen",
    "spread",
    "walk",
]
