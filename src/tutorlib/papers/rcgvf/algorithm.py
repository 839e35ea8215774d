"""RC-GVF (2211.10282) on the lock: reward an agent where it cannot yet predict a random function of its future.

Z turns each observation into d pseudo-rewards z_t = Z(o_t). K predictors learn their discounted sums under the present
policy, which are d general value functions: v_j(o) = E sum_k gamma_z^k z_{t+k,j}. The intrinsic reward of a step is
high where the predictors are wrong AND disagree; noise alone makes them wrong, but not for long different.

Repeat: (1) act for T steps in P environments; (2) look back: targets G^(k), errors and disagreement (``bonus``),
rewards R_t = r_t + beta R^i_t, advantages; (3) learn: some passes over shuffled minibatches, each one Adam step of PPO
and one of the predictors. What differs between RC-GVF, RND, NovelD and PPO stands in ``methods``.

Every tensor has a leading axis of seeds: independent runs of one shape, each with its own lock, weights, beta, gamma_z
and lambda_z. What is random is a function of (seed, update), so runs side by side are the runs one by one.

Names such as rcgvf-method-gae are labels of equations in ``notebooks/rcgvf``.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from einops import rearrange

from tutorlib.envs.lock import LockState
from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import column, common
from tutorlib.lab.errors import bad_argument, choose
from tutorlib.lab.loop import Evaluate, repeat
from tutorlib.nn import Moments, adam_, adam_step, eval_generator, gumbel, no_moments, slope, step_generator, uniform
from tutorlib.papers.rcgvf.bonus import Curiosity
from tutorlib.papers.rcgvf.config import METHODS, VARIES, Config, Hyper
from tutorlib.papers.rcgvf.methods import TABLE
from tutorlib.papers.rcgvf.model import policy_and_value, predict, run
from tutorlib.papers.rcgvf.passes import kept, leaves_out, steps_before
from tutorlib.rl import advantages, clip_by_norm, entropy, policy_loss, value_loss
from tutorlib.shapes import Bool, Float, Int, Tensor


def settings(method: str) -> Config:
    """Return the released code's settings of ``method`` on the lock of 100 columns.

    It has none for NovelD there; those of RND stand for them. Raises ``UsageError`` for an unknown method.
    """
    return Config(method, **(TABLE[choose("method", method, METHODS)].lock_settings or {}))


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
    done: Bool[Tensor, "seeds time envs"]
    """whether an episode ended with the step"""
    columns: Int[Tensor, "seeds time envs"]
    """before the step, -1 where dead"""


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


# Step 1: act.


def act(
    c: Config,
    theta: Float[Tensor, "seeds parameters"],
    e: LockState,
    gumbel: Float[Tensor, "seeds envs actions"],
    noise: Float[Tensor, "seeds envs step_noise"],
) -> tuple[LockState, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the environments after a step of the policy, then its o, logits, v, a, r, done and good columns."""
    env = c.env
    o = env.observe(e)  # [seeds, envs, observations]
    y, v = policy_and_value(c.actor_critic.layers(theta), o, c.shared)
    a = (y + gumbel).argmax(dim=-1)  # a_t ~ softmax(y)
    after, r, done = env.step(e, a, noise)  # begins a new episode by itself
    return after, o, y, v, a, r, done, e.good_column


Act = Callable[..., tuple]
"""``act``, as it stands or compiled."""


@torch.no_grad()
def rollout(
    c: Config, theta: Float[Tensor, "seeds parameters"], e: LockState, noise: Noise, act: Act = act
) -> tuple[Rollout, LockState]:
    """Return what T steps of the policy bring, and the environments after them."""
    seen: list[list[Tensor]] = []
    for t in range(c.num_steps):
        e, *row = act(c, theta, e, noise.gumbel[:, t], noise.step[:, t])
        seen.append(row)
    o, y, v, action, r, done, columns = (torch.stack(x, dim=1) for x in zip(*seen, strict=True))
    last = c.env.observe(e)
    last_v = policy_and_value(c.actor_critic.layers(theta), last, c.shared)[1]
    log_pi = y.log_softmax(dim=-1)
    return Rollout(
        o=torch.cat([o, last.unsqueeze(1)], dim=1),
        actions=action,
        log_pi=log_pi.gather(-1, action.unsqueeze(-1)).squeeze(-1),
        v=torch.cat([v, last_v.unsqueeze(1)], dim=1),  # that of o_T, from which advantages bootstrap
        r=r,
        done=done,
        columns=columns,
    ), e


# Step 2: look back.


def curiosity(
    c: Config,
    h: Hyper,
    z: Float[Tensor, "seeds times envs d"],
    v: Float[Tensor, "seeds heads times envs d"],
    done: Bool[Tensor, "seeds time envs"],
) -> Curiosity:
    """Return targets and R^i from z and V of the T + 1 observations of a rollout, before any learning from it.

    Raises ``UsageError`` for a method that predicts nothing.
    """
    judge = TABLE[c.method].curiosity
    if judge is None:
        raise bad_argument("method", c.method, "a method with predictors")
    return judge(h, z, v, done, c.bonus, c.alpha)


def no_curiosity(past: Rollout) -> Curiosity:
    """Return what is left without predictors: no targets, no bonus."""
    seeds, steps, envs = past.r.shape
    nothing = torch.zeros_like(past.r)
    return Curiosity(past.r.new_zeros(seeds, 1, steps, envs, 0), nothing, nothing, nothing)


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
    """Return what is to be learned from a rollout, and what is to be kept of it: "look back" above."""
    if TABLE[c.method].curiosity is None:
        judged = no_curiosity(past)
    else:
        o = past.o.flatten(1, 2)  # networks have one axis of observations
        z = run(c.z.layers(state.zeta), o).unflatten(1, (-1, c.num_envs))  # rcgvf-idea-z, [seeds, times, envs, d]
        v = predict(c.predictor, c.ensemble, state.phi, o).unflatten(
            2, (-1, c.num_envs)
        )  # [seeds, heads, times, envs, d]
        judged = curiosity(c, h, z, v, past.done)
    r = past.r + h.beta.view(-1, 1, 1) * judged.bonus  # rcgvf-idea-reward, R_t = r_t + beta R^i_t
    # One critic and one discount for both rewards. The estimate goes along the first axis, so time comes first.
    time_first = [x.transpose(0, 1) for x in (r, past.v[:, :-1], past.done)]
    a = advantages(  # rcgvf-method-gae
        time_first[0], time_first[1], past.v[:, -1], time_first[2], c.gamma, c.gae_lambda
    ).transpose(0, 1)
    v = past.v[:, :-1]
    batch = Batch(
        o=past.o[:, :-1].flatten(1, 2),
        actions=past.actions.flatten(1, 2),
        log_pi=past.log_pi.flatten(1, 2),
        v=v.flatten(1, 2),
        advantage=a.flatten(1, 2),
        returns=(a + v).flatten(1, 2),
        g=rearrange(judged.g, "s k t p d -> s (t p) k d"),
    )
    column = torch.arange(c.horizon, device=r.device)
    returns, *means = (x.mean(dim=(1, 2)) for x in (past.r, judged.bonus, judged.error, judged.disagreement))
    visits = (past.columns.unsqueeze(-1) == column).sum(dim=(1, 2))
    return batch, Log(c.horizon * returns, means[0], means[1], means[2], visits)


# Step 3: learn.


def policy_objective(c: Config, theta: Float[Tensor, "seeds parameters"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return PPO's loss: clipped policy loss - c_ent H + 0.5 clipped value loss; advantages are not normalised."""
    logits, v = policy_and_value(c.actor_critic.layers(theta), b.o, c.shared)
    log_pi = logits.log_softmax(dim=-1)
    ratio = (log_pi.gather(-1, b.actions.unsqueeze(-1)).squeeze(-1) - b.log_pi).exp()
    policy, value = policy_loss(ratio, b.advantage, c.clip_coef), value_loss(v, b.v, b.returns, c.clip_coef)
    return policy - c.ent_coef * entropy(log_pi) + c.vf_coef * value


def predictor_objective(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return the predictors' loss, (1/K) sum_k of the mean of (V^(k)_j - G^(k)_j)^2 over frames and j."""
    v = predict(c.predictor, c.ensemble, phi, b.o)
    return (v - rearrange(b.g, "s n k d -> s k n d")).square().mean(dim=(1, 2, 3))


def descend(
    objective: Callable[[Tensor], Tensor],
    theta: Float[Tensor, "seeds parameters"],
    moments: Moments,
    step: int,
    lr: float,
    max_grad_norm: float,
) -> tuple[Float[Tensor, "seeds parameters"], Moments]:
    """Return weights and moments after one Adam step, each seed's gradient cut by its own norm.

    ``objective`` returns one loss for each seed.
    """
    return adam_step(theta, moments, clip_by_norm(slope(objective, theta), max_grad_norm), step, lr)


def policy_gradient(c: Config, theta: Float[Tensor, "seeds parameters"], b: Batch) -> Float[Tensor, "seeds parameters"]:
    """Return the gradient of PPO's loss, each seed's cut by its own norm."""
    return clip_by_norm(slope(partial(policy_objective, c, b=b), theta), c.max_grad_norm)


def predictor_gradient(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds weights"]:
    """Return the gradient of the predictors' loss, each seed's cut by its own norm."""
    return clip_by_norm(slope(partial(predictor_objective, c, b=b), phi), c.max_grad_norm)


class Steps(NamedTuple):
    """What an update does over and over, as it stands or compiled."""

    act: Act
    policy_gradient: Callable[..., Tensor]
    """of c, theta and a ``Batch``"""
    predictor_gradient: Callable[..., Tensor]
    """of c, phi and a ``Batch``"""

    def compiled(self, context: Context) -> "Steps":
        """Return them compiled, if the run is to be."""
        return Steps(context.compiled(self.act), *map(context.compiled, self[1:]))


EAGER = Steps(act, policy_gradient, predictor_gradient)


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
    steps: Steps = EAGER,
) -> State:
    """Return the state after the passes over what update ``number`` brought: "learn" above."""
    theta, phi = state.theta.clone(), state.phi.clone()  # to be changed in place, unlike the state
    theta_moments, phi_moments = (Moments(*map(torch.clone, m)) for m in (state.theta_moments, state.phi_moments))
    lr = c.lr * max(0.0, 1 - number * c.frames / c.anneal)  # that of the predictors falls with it
    first = number * c.update_epochs
    step = steps_before(c.passes, first, c.frames, c.num_envs, c.minibatch_size)
    predicts = TABLE[c.method].curiosity is not None
    for epoch in range(c.update_epochs):
        frames = order[:, epoch]
        if leaves_out(c.passes, first + epoch):
            frames = kept(frames, c.frames - c.num_envs)  # they go time by time, so the last step's come last
        parts = [shuffled(x, frames).split(c.minibatch_size, dim=1) for x in batch]
        for part in zip(*parts, strict=True):
            b = Batch(*part)
            adam_(theta, theta_moments, steps.policy_gradient(c, theta, b), step, lr)
            if predicts:
                adam_(phi, phi_moments, steps.predictor_gradient(c, phi, b), step, c.predictor_lr * lr)
            step += 1
    return State(state.e, theta, theta_moments, phi, phi_moments, state.zeta)


def update(c: Config, h: Hyper, state: State, noise: Noise, number: int, steps: Steps = EAGER) -> tuple[State, Log]:
    """Return the state after update ``number``, counted from 0: act, look back, learn."""
    past, e = rollout(c, state.theta, state.e, noise, steps.act)
    batch, log = look_back(c, h, state, past)
    return learn(c, state._replace(e=e), batch, noise.order, number, steps), log


# Randomness, and the start.


def draw_noise(c: Config, seeds: Sequence[int], number: int, device: torch.device) -> Noise:
    """Return the noise of update ``number``, each seed's from a generator of its own."""
    gumbels, steps, orders = [], [], []
    for seed in seeds:
        generator = step_generator(seed, number, device)
        gumbels.append(gumbel(generator, c.num_steps, c.num_envs, c.actions))
        steps.append(uniform(generator, c.num_steps, c.num_envs, c.env.step_noise))
        orders.append(uniform(generator, c.update_epochs, c.frames).argsort(dim=-1))
    return Noise(torch.stack(gumbels), torch.stack(steps), torch.stack(orders))


def initial_state(c: Config, seeds: Sequence[int], device: torch.device) -> State:
    """Return the state before the first update: weights, and the lock of each seed, which its environments share."""
    theta, phi, zeta, start = [], [], [], []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        u = uniform(generator, c.num_envs, c.env.start_noise)
        u[:, : c.env.table_noise] = u[:1, : c.env.table_noise]
        start.append(u)
        theta.append(c.actor_critic.initial_unit(generator))
        zeta.append(c.z.initial(generator))
        phi.append(torch.cat([c.predictor.initial(generator) for _ in range(c.ensemble)]))
    theta_, phi_, zeta_, start_ = (torch.stack(x).to(device) for x in (theta, phi, zeta, start))
    return State(c.env.start(start_), theta_, no_moments(theta_), phi_, no_moments(phi_), zeta_)


def hyper(trials: Sequence[Trial], device: torch.device) -> Hyper:
    """Return what differs between ``trials``; raise ``UsageError`` unless the rest is the same for all."""
    common(trials, VARIES)
    return Hyper(*(column(trials, name, device) for name in VARIES))


class Trained(NamedTuple):
    """What training leaves."""

    state: State
    log: Log
    """with a first axis of updates"""
    evals: list[Tensor]
    """what ``evaluate`` returned, each time"""


def train(trials: Sequence[Trial], context: Context, evaluate: Evaluate | None = None) -> Trained:
    """Train ``trials``, which may differ in seed, beta, gamma_z and lambda_z, side by side.

    For what is kept, and for runs that diverge, see ``lab.loop.repeat``. Raises ``UsageError`` for trials that
    differ in more.
    """
    h, c, seeds = hyper(trials, context.device), trials[0].config, [trial.seed for trial in trials]
    steps = EAGER.compiled(context)

    def step(state: State, number: int) -> tuple[State, Log]:
        return update(c, h, state, draw_noise(c, seeds, number, context.device), number, steps)

    course = repeat(
        step,
        initial_state(c, seeds, context.device),
        c.updates,
        context,
        title=f"{c.method}, {len(trials)} side by side",
        seeds=seeds,
        eval_every=c.updates // c.num_evals,
        evaluate=evaluate,
        log=Log,
        advice=f"a smaller lr than {c.lr} may help",
    )
    return Trained(*course)


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
    generators = [eval_generator(seed, c.updates, state.theta.device) for seed in seeds]
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
