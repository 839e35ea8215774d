"""RC-GVF (2211.10282): reward an agent where it cannot yet predict a random function of its future.

Z turns each observation into d pseudo-rewards z_t = Z(o_t). K predictors learn their discounted sums under the present
policy, which are d general value functions: v_j(o) = E sum_k gamma_z^k z_{t+k,j}. The intrinsic reward of a step is
high where the predictors are wrong AND disagree; noise alone makes them wrong, but not for long different.

Repeat: (1) act for T steps in P environments; (2) targets G^(k), errors and disagreement, rewards R_t = r_t + beta
R^i_t, advantages; (3) some passes over shuffled minibatches, each one Adam step of PPO and one of the predictors.

Every tensor has a leading axis of seeds: independent runs of one shape, each with its own lock, weights, beta, gamma_z
and lambda_z. What is random is a function of (seed, update), so runs side by side are the runs one by one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from einops import rearrange

from tutorlib.envs.lock import Lock, LockState
from tutorlib.lab import Cell, Context
from tutorlib.lab.batching import column, common
from tutorlib.lab.checkpoint import Rows
from tutorlib.lab.errors import NonFiniteError, bad_argument, checked, choose, expect_fields
from tutorlib.lab.finite import expect_finite
from tutorlib.nn import Moments, adam_, adam_step, clip_by_norm, no_moments, slope, step_generator
from tutorlib.papers.rcgvf.baselines import noveld_bonus, novelty
from tutorlib.papers.rcgvf.model import MLP, Apart, policy_and_value, predict, run
from tutorlib.papers.rcgvf.passes import expect_passes, kept, leaves_out, steps_before
from tutorlib.rl import advantages, entropy, lambda_returns, policy_loss, value_loss
from tutorlib.shapes import Bool, Float, Int, Tensor

METHODS = ("rcgvf", "rnd", "noveld", "ppo")
BONUSES = ("product", "std", "error", "variance", "norm")
EVALUATIONS = ("greedy", "sampled")


@dataclass(frozen=True)
class Config:
    """One run on the lock. Defaults are the released code's for RC-GVF; ``settings`` has those of other methods."""

    method: str = "rcgvf"
    """rcgvf, rnd, noveld, or ppo, which has no bonus"""
    bonus: str = "product"
    """R^i of RC-GVF: product; std, the product with the root of the disagreement; error or variance; or norm, the root
    of the summed error; else unused"""
    horizon: int = 100
    """H, columns of the lock"""
    actions: int = 10
    """of the lock"""
    noise: float = 0.1
    """standard deviation of the noise of the lock's observations"""
    envs: int = 16
    """P, environments of a seed; all have the same lock"""
    steps: int = 100
    """T, steps of an environment between two updates"""
    updates: int = 12_500
    """2e7 frames"""
    minibatch: int = 200
    """frames of a minibatch, a divisor of T P"""
    epochs: int = 5
    """passes over the frames of an update"""
    rate: float = 5e-4
    """Adam's learning rate for the actor-critic"""
    predictor_rate: float = 0.5
    """that of the predictors, as a multiple of ``rate``"""
    anneal: float = 1e8
    """frames after which both rates would have fallen to 0, linearly, a step after each update (in the released code
    after each minibatch); inf: never"""
    beta: float = 20.0
    """weight of R^i; what is right depends on method and sizes, for R^i is quartic in the scale of Z"""
    gamma_z: float = 0.6
    """discount of the pseudo-rewards (RC-GVF; else unused)"""
    lambda_z: float = 0.9
    """lambda of their targets (RC-GVF; else unused)"""
    heads: int = 2
    """K, predictors (RC-GVF; else 1)"""
    alpha: float = 0.5
    """share of the present novelty that the next one must exceed (NovelD; else unused)"""
    d: int = 128
    """pseudo-rewards"""
    hidden_z: int = 128
    """units of the hidden layer of Z"""
    hidden: int = 256
    """units of the hidden layers of a predictor"""
    layers: int = 2
    """hidden layers of a predictor"""
    width: int = 256
    """units of the three hidden layers of the actor-critic"""
    gamma: float = 0.99
    """discount"""
    lam: float = 0.95
    """lambda of the generalised advantage estimate"""
    clip: float = 0.2
    """how far PPO's ratio and values may move and still gain"""
    entropy: float = 0.01
    """weight of the policy's entropy"""
    value: float = 0.5
    """weight of the critic's loss"""
    largest: float = 2.5
    """largest norm of a gradient"""
    looks: int = 10
    """how often to stop and look, evenly spaced, the last update included"""
    passes: str = "whole"
    """whole, or released: every second pass leaves out the last step of each environment (``passes``)"""
    prize: float = 10.0
    """what the end of the lock pays in a good row"""
    shared: bool = True
    """whether actor and critic share a trunk; else each has two hidden layers of its own"""
    evaluation: str = "greedy"
    """which actions are judged at looks: greedy, the most probable ones, or sampled from the policy"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("updates", "epochs", "looks"),
            sizes=(
                "horizon",
                "actions",
                "envs",
                "steps",
                "minibatch",
                "heads",
                "d",
                "hidden_z",
                "hidden",
                "layers",
                "width",
            ),
            least={"horizon": 2, "actions": 2},
            most={"layers": 1_000},
            positive=("rate", "predictor_rate", "clip", "largest", "anneal"),
            not_negative=("noise", "beta", "alpha", "entropy", "value"),
            shares=("gamma_z", "lambda_z", "gamma", "lam"),
            endless=("anneal",),
            choices={"method": METHODS, "bonus": BONUSES, "evaluation": EVALUATIONS},
        )
        if self.frames % self.minibatch:
            raise bad_argument("minibatch", self.minibatch, f"a divisor of the {self.frames} frames of an update")
        if self.updates % self.looks:
            raise bad_argument("looks", self.looks, f"a divisor of updates={self.updates}")
        if self.method == "rcgvf" and self.bonus in ("product", "std", "variance") and self.heads < 2:
            raise bad_argument("heads", self.heads, f"at least 2 for bonus={self.bonus!r}: one cannot disagree")
        expect_passes(self.passes, self.steps)

    @property
    def env(self) -> Lock:
        """The environment."""
        return Lock(self.horizon, self.actions, self.noise, self.prize)

    @property
    def frames(self) -> int:
        """N = T P, frames of an update."""
        return self.steps * self.envs

    @property
    def ensemble(self) -> int:
        """K, 1 for methods other than RC-GVF."""
        return self.heads if self.method == "rcgvf" else 1

    @property
    def actor_critic(self) -> MLP | Apart:
        """Observation to logits and value."""
        if not self.shared:
            hidden = self.env.observations, self.width, self.width
            return Apart(MLP((*hidden, self.actions)), MLP((*hidden, 1)))
        return MLP((self.env.observations, *3 * (self.width,), self.actions + 1))

    @property
    def z(self) -> MLP:
        """Z, observation to pseudo-rewards."""
        return MLP((self.env.observations, self.hidden_z, self.d))

    @property
    def predictor(self) -> MLP:
        """V^(k), observation to predictions."""
        return MLP((self.env.observations, *self.layers * (self.hidden,), self.d))


def settings(method: str) -> Config:
    """Return the released code's settings of ``method`` on the lock of 100 columns.

    It has none for NovelD there; those of RND stand for them. Raises ``UsageError`` for an unknown method.
    """
    if choose("method", method, METHODS) in ("rnd", "noveld"):
        return Config(method, beta=0.5, predictor_rate=0.25, hidden=128, layers=1)
    return Config(method)


class Hyper(NamedTuple):
    """What may differ between runs side by side."""

    beta: Float[Tensor, "seeds"]
    gamma_z: Float[Tensor, "seeds"]
    lambda_z: Float[Tensor, "seeds"]


class State(NamedTuple):
    """All that changes while runs learn, and Z, which does not."""

    e: LockState
    """the environments"""
    theta: Float[Tensor, "seeds parameters"]
    """actor-critic"""
    theta_moments: Moments
    phi: Float[Tensor, "seeds weights"]
    """the K predictors, one after the other"""
    phi_moments: Moments
    zeta: Float[Tensor, "seeds fixed"]
    """Z"""


VARIES = Hyper._fields
"""fields in which runs side by side may differ, besides the seed"""


class Noise(NamedTuple):
    """All that is random in an update."""

    gumbel: Float[Tensor, "seeds time envs actions"]
    """added to logits: the largest sum is then a sample of their softmax"""
    step: Float[Tensor, "seeds time envs step_noise"]
    """the environments'"""
    order: Int[Tensor, "seeds epochs frames"]
    """in which the passes go through the frames"""


class Rollout(NamedTuple):
    """What happened in T steps."""

    o: Float[Tensor, "seeds times envs observations"]
    """o_0 to o_T"""
    actions: Int[Tensor, "seeds time envs"]
    log_pi: Float[Tensor, "seeds time envs"]
    """of the actions taken"""
    v: Float[Tensor, "seeds times envs"]
    """the critic's values of o_0 to o_T"""
    r: Float[Tensor, "seeds time envs"]
    ended: Bool[Tensor, "seeds time envs"]
    """whether an episode ended with the step"""
    columns: Int[Tensor, "seeds time envs"]
    """before the step, -1 where dead"""


class Curiosity(NamedTuple):
    """What the predictors make of a rollout."""

    g: Float[Tensor, "seeds heads time envs d"]
    """their targets"""
    bonus: Float[Tensor, "seeds time envs"]
    """R^i"""
    error: Float[Tensor, "seeds time envs"]
    """sum_j err_j"""
    disagreement: Float[Tensor, "seeds time envs"]
    """sum_j dis_j; 0 if K = 1"""


class Log(NamedTuple):
    """What is kept of each update, with ``*updates`` none or one axis."""

    returns: Float[Tensor, "*updates seeds"]
    """extrinsic reward of H steps, the length of an episode, averaged over all steps"""
    bonus: Float[Tensor, "*updates seeds"]
    """mean R^i"""
    error: Float[Tensor, "*updates seeds"]
    """mean sum_j err_j"""
    disagreement: Float[Tensor, "*updates seeds"]
    """mean sum_j dis_j"""
    visits: Int[Tensor, "*updates seeds horizon"]
    """how often an agent was in a good row of each column, before a step"""


# The curiosity: targets, errors, disagreement, R^i.


def targets(
    z: Float[Tensor, "seeds time envs d"],
    v: Float[Tensor, "seeds heads time envs d"],
    last: Float[Tensor, "seeds heads envs d"],
    ended: Bool[Tensor, "seeds time envs"],
    gamma_z: Float[Tensor, "seeds"],
    lambda_z: Float[Tensor, "seeds"],
) -> Float[Tensor, "seeds heads time envs d"]:
    """Return G^(k)_t = z_t + gamma_z m_{t+1} (lambda_z G^(k)_{t+1} + (1 - lambda_z) V^(k)_{t+1}), G^(k)_T = V^(k)_T.

    Every head stands on its own values, ``last`` being those of o_T; this keeps heads different.
    """
    g = lambda_returns(
        rearrange(z, "s t p d -> t s 1 p d"),
        rearrange(v, "s k t p d -> t s k p d"),
        last,
        rearrange(ended, "s t p -> t s 1 p 1"),
        gamma_z.view(-1, 1, 1, 1),
        lambda_z.view(-1, 1, 1, 1),
    )
    return rearrange(g, "t s k p d -> s k t p d")


def err(
    g: Float[Tensor, "seeds heads *batch d"], v: Float[Tensor, "seeds heads *batch d"]
) -> Float[Tensor, "seeds *batch d"]:
    """Return err_j = (1/K) sum_k (G^(k)_j - V^(k)_j)^2."""
    return (g - v).square().mean(dim=1)


def dis(v: Float[Tensor, "seeds heads *batch d"]) -> Float[Tensor, "seeds *batch d"]:
    """Return dis_j = Var_k V^(k)_j with 1/(K - 1), which is (V^(1) - V^(2))^2 / 2 for K = 2; 0 if K = 1."""
    if v.shape[1] < 2:
        return torch.zeros_like(v[:, 0])
    # Written out, since ``var`` along an axis that is not the last takes as long as all the products of a prediction.
    return (v - v.mean(dim=1, keepdim=True)).square().sum(dim=1) / (v.shape[1] - 1)


def intrinsic(
    bonus: str, e: Float[Tensor, "seeds *batch d"], u: Float[Tensor, "seeds *batch d"]
) -> Float[Tensor, "seeds *batch"]:
    """Return R^i from the errors e and the disagreement u: sum_j u_j e_j, or another one of ``BONUSES``."""
    if choose("bonus", bonus, BONUSES) == "product":
        return (u * e).sum(dim=-1)
    if bonus == "std":
        return (u.sqrt() * e).sum(dim=-1)
    if bonus == "norm":
        return e.sum(dim=-1).sqrt()
    return (e if bonus == "error" else u).sum(dim=-1)


def curiosity(
    c: Config,
    h: Hyper,
    z: Float[Tensor, "seeds times envs d"],
    v: Float[Tensor, "seeds heads times envs d"],
    ended: Bool[Tensor, "seeds time envs"],
) -> Curiosity:
    """Return targets and R^i from z and V of the T + 1 observations of a rollout, before any learning from it."""
    now = v[:, :, :-1]
    if c.method == "rcgvf":
        g = targets(z[:, :-1], now, v[:, :, -1], ended, h.gamma_z, h.lambda_z)
        e, u = err(g, now), dis(now)
        return Curiosity(g, intrinsic(c.bonus, e, u), e.sum(dim=-1), u.sum(dim=-1))
    n = novelty(z, v[:, 0])
    bonus = n[:, :-1] if c.method == "rnd" else noveld_bonus(n, ended, c.alpha)
    return Curiosity(z[:, None, :-1], bonus, n[:, :-1].square(), torch.zeros_like(bonus))


# Acting and learning.


@torch.no_grad()
def rollout(
    c: Config, theta: Float[Tensor, "seeds parameters"], e: LockState, noise: Noise
) -> tuple[Rollout, LockState]:
    """Return what T steps of the policy bring, and the environments after them."""
    env, layers = c.env, c.actor_critic.layers(theta)
    observations, logits, values, actions, rewards, ended, columns = [], [], [], [], [], [], []
    for t in range(c.steps):
        o = env.observe(e)
        y, v = policy_and_value(layers, o, c.shared)
        a = (y + noise.gumbel[:, t]).argmax(dim=-1)  # a_t ~ softmax(y)
        columns.append(e.good_column)
        e, r, end = env.step(e, a, noise.step[:, t])  # begins a new episode by itself
        observations.append(o)
        logits.append(y)
        values.append(v)
        actions.append(a)
        rewards.append(r)
        ended.append(end)
    observations.append(env.observe(e))
    values.append(policy_and_value(layers, observations[-1], c.shared)[1])
    taken = torch.stack(actions, dim=1)
    log_pi = torch.stack(logits, dim=1).log_softmax(dim=-1)
    return Rollout(
        o=torch.stack(observations, dim=1),
        actions=taken,
        log_pi=log_pi.gather(-1, taken.unsqueeze(-1)).squeeze(-1),
        v=torch.stack(values, dim=1),
        r=torch.stack(rewards, dim=1),
        ended=torch.stack(ended, dim=1),
        columns=torch.stack(columns, dim=1),
    ), e


class Batch(NamedTuple):
    """Frames to learn from, ``n`` of each seed."""

    o: Float[Tensor, "seeds n observations"]
    actions: Int[Tensor, "seeds n"]
    log_pi: Float[Tensor, "seeds n"]
    """before learning"""
    v: Float[Tensor, "seeds n"]
    """before learning"""
    advantage: Float[Tensor, "seeds n"]
    returns: Float[Tensor, "seeds n"]
    """V + A"""
    g: Float[Tensor, "seeds n heads d"]
    """targets of the predictors; d = 0 for PPO"""


@torch.no_grad()
def look_back(c: Config, h: Hyper, state: State, past: Rollout) -> tuple[Batch, Log]:
    """Return what is to be learned from a rollout, and what is to be kept of it: step 2 of the algorithm."""
    silent = torch.zeros_like(past.r)
    if c.method == "ppo":
        found = Curiosity(past.r.new_zeros(len(past.r), 1, c.steps, c.envs, 0), silent, silent, silent)
    else:
        o = past.o.flatten(1, 2)
        z = run(c.z.layers(state.zeta), o).unflatten(1, (-1, c.envs))
        v = predict(c.predictor, c.ensemble, state.phi, o).unflatten(2, (-1, c.envs))
        found = curiosity(c, h, z, v, past.ended)
    r = past.r + h.beta.view(-1, 1, 1) * found.bonus  # R_t = r_t + beta R^i_t
    time_first = [x.transpose(0, 1) for x in (r, past.v[:, :-1], past.ended)]
    a = advantages(time_first[0], time_first[1], past.v[:, -1], time_first[2], c.gamma, c.lam).transpose(0, 1)
    v = past.v[:, :-1]
    batch = Batch(
        o=past.o[:, :-1].flatten(1, 2),
        actions=past.actions.flatten(1, 2),
        log_pi=past.log_pi.flatten(1, 2),
        v=v.flatten(1, 2),
        advantage=a.flatten(1, 2),
        returns=(a + v).flatten(1, 2),
        g=rearrange(found.g, "s k t p d -> s (t p) k d"),
    )
    column = torch.arange(c.horizon, device=r.device)
    returns, *means = (x.mean(dim=(1, 2)) for x in (past.r, found.bonus, found.error, found.disagreement))
    visits = (past.columns.unsqueeze(-1) == column).sum(dim=(1, 2))
    return batch, Log(c.horizon * returns, means[0], means[1], means[2], visits)


def policy_objective(c: Config, theta: Float[Tensor, "seeds parameters"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return PPO's loss: clipped policy loss - c_ent H + 0.5 clipped value loss; advantages are not normalised."""
    logits, v = policy_and_value(c.actor_critic.layers(theta), b.o, c.shared)
    log_pi = logits.log_softmax(dim=-1)
    ratio = (log_pi.gather(-1, b.actions.unsqueeze(-1)).squeeze(-1) - b.log_pi).exp()
    policy, value = policy_loss(ratio, b.advantage, c.clip), value_loss(v, b.v, b.returns, c.clip)
    return policy - c.entropy * entropy(log_pi) + c.value * value


def predictor_objective(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return the predictors' loss, (1/K) sum_k of the mean of (V^(k)_j - G^(k)_j)^2 over frames and j."""
    v = predict(c.predictor, c.ensemble, phi, b.o)
    return (v - rearrange(b.g, "s n k d -> s k n d")).square().mean(dim=(1, 2, 3))


def descend(
    objective: Callable[[Tensor], Tensor],
    theta: Float[Tensor, "seeds parameters"],
    moments: Moments,
    step: int,
    rate: float,
    largest: float,
) -> tuple[Float[Tensor, "seeds parameters"], Moments]:
    """Return weights and moments after one Adam step, each seed's gradient cut by its own norm.

    ``objective`` returns one loss for each seed.
    """
    return adam_step(theta, moments, clip_by_norm(slope(objective, theta), largest), step, rate)


def policy_gradient(c: Config, theta: Float[Tensor, "seeds parameters"], b: Batch) -> Float[Tensor, "seeds parameters"]:
    """Return the gradient of PPO's loss, each seed's cut by its own norm."""
    return clip_by_norm(slope(partial(policy_objective, c, b=b), theta), c.largest)


def predictor_gradient(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds weights"]:
    """Return the gradient of the predictors' loss, each seed's cut by its own norm."""
    return clip_by_norm(slope(partial(predictor_objective, c, b=b), phi), c.largest)


class Gradients(NamedTuple):
    """What a minibatch is learned by, as it stands or compiled: each takes c, weights and a ``Batch``."""

    policy: Callable[..., Tensor] = policy_gradient
    predictor: Callable[..., Tensor] = predictor_gradient


EAGER = Gradients()


def shuffled(x: Tensor, order: Int[Tensor, "seeds n"]) -> Tensor:
    """Return the entries of ``x`` ``[seeds, n, ...]`` in each seed's own order."""
    first = x.shape[1] * torch.arange(len(x), device=x.device)  # rows of the seeds before
    return x.flatten(0, 1)[order + first.unsqueeze(-1)]


def learn(
    c: Config,
    state: State,
    batch: Batch,
    order: Int[Tensor, "seeds epochs frames"],
    number: int,
    gradients: Gradients = EAGER,
) -> State:
    """Return the state after the passes over what update ``number`` brought: step 3 of the algorithm."""
    theta, phi = state.theta.clone(), state.phi.clone()  # our own, to be changed in place
    theta_moments, phi_moments = (Moments(*map(torch.clone, own)) for own in (state.theta_moments, state.phi_moments))
    rate = c.rate * max(0.0, 1 - number * c.frames / c.anneal)
    first = number * c.epochs
    step = steps_before(c.passes, first, c.frames, c.envs, c.minibatch)
    for epoch in range(c.epochs):
        own_order = order[:, epoch]
        if leaves_out(c.passes, first + epoch):
            own_order = kept(own_order, c.frames - c.envs)  # frames go time by time, so the last step's come last
        parts = [shuffled(x, own_order).split(c.minibatch, dim=1) for x in batch]
        for part in zip(*parts, strict=True):
            b = Batch(*part)
            adam_(theta, theta_moments, gradients.policy(c, theta, b), step, rate)
            if c.method != "ppo":
                adam_(phi, phi_moments, gradients.predictor(c, phi, b), step, c.predictor_rate * rate)
            step += 1
    return State(state.e, theta, theta_moments, phi, phi_moments, state.zeta)


def update(
    c: Config, h: Hyper, state: State, noise: Noise, number: int, gradients: Gradients = EAGER
) -> tuple[State, Log]:
    """Return the state after update ``number``, counted from 0: act, look back, learn."""
    past, e = rollout(c, state.theta, state.e, noise)
    batch, log = look_back(c, h, state, past)
    return learn(c, state._replace(e=e), batch, noise.order, number, gradients), log


# Randomness, and the loop.


@checked()
def uniform(generator: torch.Generator, *shape: int) -> Tensor:
    """Return numbers in (0, 1), on the generator's device."""
    # rand may return 0, of which there is no logarithm and no normal number.
    return torch.rand(*shape, generator=generator, device=generator.device).clamp(min=1e-7)


def gumbel(generator: torch.Generator, *shape: int) -> Tensor:
    """Return Gumbel noise, on the generator's device."""
    return -(-uniform(generator, *shape).log()).log()


def draw_noise(c: Config, seeds: Sequence[int], number: int, device: torch.device) -> Noise:
    """Return the noise of update ``number``, each seed's from a generator of its own."""
    luck, step, order = [], [], []
    for seed in seeds:
        generator = step_generator(seed, number, device)
        luck.append(gumbel(generator, c.steps, c.envs, c.actions))
        step.append(uniform(generator, c.steps, c.envs, c.env.step_noise))
        order.append(uniform(generator, c.epochs, c.frames).argsort(dim=-1))
    return Noise(torch.stack(luck), torch.stack(step), torch.stack(order))


def initial_state(c: Config, seeds: Sequence[int], device: torch.device) -> State:
    """Return the state before the first update: weights, and the lock of each seed, which its environments share."""
    theta, phi, zeta, start = [], [], [], []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        u = uniform(generator, c.envs, c.env.start_noise)
        u[:, : c.env.table_noise] = u[:1, : c.env.table_noise]
        start.append(u)
        theta.append(c.actor_critic.initial_unit(generator))
        zeta.append(c.z.initial(generator))
        phi.append(torch.cat([c.predictor.initial(generator) for _ in range(c.ensemble)]))
    theta_, phi_, zeta_, start_ = (torch.stack(x).to(device) for x in (theta, phi, zeta, start))
    return State(c.env.start(start_), theta_, no_moments(theta_), phi_, no_moments(phi_), zeta_)


def hyper(cells: Sequence[Cell], device: torch.device) -> Hyper:
    """Return what differs between ``cells``; raise ``UsageError`` unless the rest is the same for all."""
    common(cells, VARIES)
    return Hyper(*(column(cells, name, device) for name in VARIES))


Look = Callable[[State], Tensor]


class Trained(NamedTuple):
    """What training leaves."""

    state: State
    log: Log
    """with a first axis of updates"""
    looks: list[Tensor]
    """what ``look`` returned, each time"""


def train(cells: Sequence[Cell], context: Context, look: Look | None = None) -> Trained:
    """Train ``cells``, which may differ in seed, beta, gamma_z and lambda_z, side by side.

    The state is kept in the context's checkpoint at every look, and taken up from there. Raises ``UsageError`` for
    cells that cannot run as one batch, and ``NonFiniteError`` at the first look after which a reward, a bonus or a
    weight is not finite; the checkpoint then still holds the last finite state.
    """
    h, c, seeds = hyper(cells, context.device), cells[0].config, [cell.seed for cell in cells]
    gradients = Gradients(*map(context.compiled, EAGER))

    def step(state: State, number: int) -> tuple[State, Log]:
        return update(c, h, state, draw_noise(c, seeds, number, context.device), number, gradients)

    title, start = f"{c.method}, {len(cells)} side by side", initial_state(c, seeds, context.device)
    return Trained(*repeat(c, context, title, start, step, Log, _unpack, partial(_refuse_non_finite, cells), look))


def repeat(
    c: Any,
    context: Context,
    title: str,
    state: Any,
    step: Callable[[Any, int], tuple[Any, Any]],
    kind: Any,
    unpack: Callable[[list], Any],
    refuse: Callable[[Any, Any], None],
    look: Callable[[Any], Tensor] | None = None,
) -> tuple[Any, Any, list[Tensor]]:
    """Return the state after all updates, the logs with a first axis of updates, and what ``look`` returned.

    ``step(state, number)`` returns the state after an update, and its log, of type ``kind``. At every look
    ``refuse(log, state)`` may raise; then the state is kept in the context's checkpoint, from which it is taken up.
    """
    begin, every = 0, c.updates // c.looks
    logs: list[Any] = []
    looks: list[Tensor] = []

    def like(update: int) -> dict[str, Any]:
        logged, looked = [Rows(update)] * len(kind._fields), Rows(update // every if look else 0)
        return {"state": pack(state), "log": logged, "looks": looked}

    points = range(every, c.updates + 1, every)
    if context.checkpoint and (saved := context.checkpoint.resume(context.device, "update", points, like)):
        state, begin, looks = unpack(saved["state"]), saved["update"], saved["looks"]
        logs = [kind(*row) for row in zip(*saved["log"], strict=True)]
    context.progress.start(c.updates, title, begin)
    for number in range(begin, c.updates):
        state, log = step(state, number)
        logs.append(log)
        if (number + 1) % every == 0:
            refuse(stack_logs(logs), state)
            expect_finite(state._asdict(), f"after update {number + 1} of {c.updates}")
            if look:
                looks.append(look(state))
            if context.checkpoint:
                kept = {"state": pack(state), "update": number + 1, "log": list(stack_logs(logs)), "looks": looks}
                context.checkpoint.save(kept)
            context.progress.advance(every)
    context.progress.close()
    return state, stack_logs(logs), looks


def stack_logs(logs: list[Any]) -> Any:
    """Return logs of one kind as one, with a first axis of updates."""
    return type(logs[0])(*(torch.stack(part) for part in zip(*logs, strict=True)))


def pack(state: tuple) -> list:
    """Return a state as lists of tensors, for a checkpoint holds no tuples of ours."""
    return [list(part) if isinstance(part, tuple) else part for part in state]


def _unpack(parts: list) -> State:
    e, theta, theta_moments, phi, phi_moments, zeta = parts
    return State(LockState(*e), theta, Moments(*theta_moments), phi, Moments(*phi_moments), zeta)


def _refuse_non_finite(cells: Sequence[Cell], log: Log, state: State) -> None:
    for name, what in (("returns", "rewards"), ("bonus", "R^i")):
        bad = (~getattr(log, name).isfinite()).nonzero()
        if len(bad):
            number, i = bad[0].tolist()
            raise NonFiniteError(
                f"{what} of update {number + 1} (seed {cells[i].seed}): expected finite numbers, found a mean of "
                f"{getattr(log, name)[number, i].item()}; the last finite checkpoint is kept"
            )
    for name in ("theta", "phi"):
        bad = (~getattr(state, name).isfinite().all(dim=-1)).nonzero()
        if len(bad):
            raise NonFiniteError(
                f"{name} of seed {cells[int(bad[0])].seed} after update {len(log.returns)}: expected finite numbers; "
                f"the last finite checkpoint is kept, a smaller rate than {cells[0].config.rate} may help"
            )


# What is reported.


def farthest(visits: Int[Tensor, "updates seeds horizon"]) -> Int[Tensor, "updates seeds"]:
    """Return the farthest column in whose good rows any environment of the seed has been up to each update.

    Columns count from 0, and the last one seen before a step is H - 1. A maximum over time and environments flatters;
    ``greedy_returns`` is the other measure.
    """
    column = torch.arange(visits.shape[-1], device=visits.device)
    return ((visits.cumsum(dim=0) > 0) * column).amax(dim=-1)


@torch.no_grad()
def greedy_returns(c: Config, state: State, seeds: Sequence[int], episodes: int = 10) -> Float[Tensor, "seeds"]:
    """Return the mean return of episodes in which each agent takes its most probable action, in its own lock.

    With ``evaluation`` sampled, actions are drawn from its policy.
    """
    if episodes < 1:
        raise bad_argument("episodes", episodes, "at least 1")
    env, layers = c.env, c.actor_critic.layers(state.theta)
    # A number of an update that training never reaches.
    generators = [step_generator(seed, c.updates, state.theta.device) for seed in seeds]
    e = env.start(torch.stack([uniform(generator, episodes, env.start_noise) for generator in generators]))
    e = e._replace(table=state.e.table[:, :1].expand_as(e.table))
    total = state.theta.new_zeros(len(seeds))
    for _ in range(c.horizon):
        y = policy_and_value(layers, env.observe(e), c.shared)[0]
        if c.evaluation == "sampled":
            y = y + torch.stack([gumbel(generator, episodes, c.actions) for generator in generators])
        u = torch.stack([uniform(generator, episodes, env.step_noise) for generator in generators])
        e, r, _ = env.step(e, y.argmax(dim=-1), u)
        total = total + r.mean(dim=-1)
    return total
