"""The recurrent agent (2211.10282): PPO with a memory and a bonus, in MiniGrid, of which it sees 7 x 7 cells.

The algorithm is that of ``algorithm``; three things are new. Actor-critic and predictors have an LSTM, so a rollout
starts from what they remember, and learning goes back ``bptt`` steps from stored memories. The bonus may look all
round, at a panorama, which the policy never sees. And some methods know how often the agent has been where it is in
this episode, N_ep, which it could not know by itself. What differs between methods stands in ``methods``, what they
make of a rollout in ``recurrent_bonuses``.

Rewards are cut: R_t = clip(r_t + beta R^i_t, -1, 1). As in ``algorithm`` there is a leading axis of seeds, and what is
random is a function of (seed, update).

Where the released code has faults, this one has none of them: both learning rates are annealed; NovelD's predictor has
each observation's own target; and what the predictors read of the step before is forgotten at the start of an episode.
Every second pass of the released code leaves out frames (``passes``), and its predictors' rate falls after each
minibatch, not after each update.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch

from tutorlib.envs.minigrid import MiniGrid, MiniGridState
from tutorlib.envs.tensors import one_hot
from tutorlib.lab import Context, Trial
from tutorlib.lab.errors import bad_argument, choose
from tutorlib.lab.loop import repeat
from tutorlib.nn import adam_step, clip_by_norm, gumbel, no_moments, slope, step_generator, uniform
from tutorlib.papers.rcgvf import memory as nets
from tutorlib.papers.rcgvf.algorithm import Act, Steps, hyper, shuffled
from tutorlib.papers.rcgvf.config import Hyper
from tutorlib.papers.rcgvf.levels import offered
from tutorlib.papers.rcgvf.memory import MEMORY
from tutorlib.papers.rcgvf.methods import TABLE
from tutorlib.papers.rcgvf.passes import kept, leaves_out, refreshed, segments, span, steps_before
from tutorlib.papers.rcgvf.recurrent_config import METHODS, Config
from tutorlib.papers.rcgvf.recurrent_data import Batch, Curiosity, Log, Noise, Rollout, State
from tutorlib.rl import advantages, entropy, policy_loss, value_loss
from tutorlib.shapes import Bool, Float, Int, Tensor


def settings(method: str, task: str = "KeyCorridorS4R3") -> Config:
    """Return the released code's settings of ``method``; raise ``UsageError`` for an unknown one.

    RND, NovelD, AGAC and PPO with counts have theirs; PPO without counts has PPO's without a bonus.
    """
    return Config(method, task, **TABLE[choose("method", method, METHODS)].settings)


# Acting.


Seen = dict[str, Tensor]
"""What stands before a step, by the names of ``Rollout``."""


def sense(
    c: Config,
    env: MiniGrid,
    theta: Float[Tensor, "seeds parameters"],
    e: MiniGridState,
    is_first: Tensor,
    memory: Tensor,
) -> tuple[Seen, Float[Tensor, "seeds envs 7"], Float[Tensor, "seeds envs 128"]]:
    """Return what stands before a step, the logits there, and the memory after it."""
    layers, image = nets.actor_critic().layers(theta), env.image(e)
    after = nets.lstm_step(
        layers["lstm"], nets.features(layers["convolutions"], image), memory * (~is_first).unsqueeze(-1)
    )
    hidden = after.chunk(2, dim=-1)[0]  # h of (h, c)
    y, v = nets.logits_of(layers, hidden), nets.values_of(layers, hidden)
    look = env.panorama(e) if c.panorama else image
    return {"image": image, "look": look, "is_first": is_first, "memory": memory, "v": v}, y, after


def act(
    c: Config,
    env: MiniGrid,
    theta: Float[Tensor, "seeds parameters"],
    e: MiniGridState,
    is_first: Bool[Tensor, "seeds envs"],
    memory: Float[Tensor, "seeds envs 128"],
    gumbel: Float[Tensor, "seeds envs 7"],
    noise: Float[Tensor, "seeds envs 1"],
) -> tuple[Seen, MiniGridState, Tensor, Tensor]:
    """Return what a step of the policy brings, and environments, fresh starts and memory after it."""
    seen, y, memory = sense(c, env, theta, e, is_first, memory)
    a = (y + gumbel).argmax(dim=-1)  # a_t ~ softmax(y)
    after, r, done = env.step(e, a, noise)  # begins a new episode by itself
    return seen | {"logits": y, "actions": a, "visits": env.count(e), "r": r, "done": done}, after, done, memory


@torch.no_grad()
def rollout(
    c: Config, env: MiniGrid, state: State, noise: Noise, act: Act = act
) -> tuple[Rollout, MiniGridState, Bool[Tensor, "seeds envs"], Float[Tensor, "seeds envs 128"]]:
    """Return what T steps of the policy bring, and environments, fresh starts and memory after them."""
    now: Sequence = (state.e, state.is_first, state.memory)
    seen: list[Seen] = []
    for t in range(c.num_steps):
        row, *now = act(c, env, state.theta, *now, noise.gumbel[:, t], noise.step[:, t])
        seen.append(row)
    seen.append(sense(c, env, state.theta, *now)[0])  # o_T, from whose value advantages bootstrap
    past = {name: torch.stack([row[name] for row in seen if name in row], dim=1) for name in Rollout._fields}
    return Rollout(**past), *now


# Looking back.


@torch.no_grad()
def curiosity(c: Config, h: Hyper, state: State, past: Rollout) -> Curiosity:
    """Return rewards and targets from a rollout, before any learning from it."""
    return TABLE[c.method].judge(c, h, state, past)


@torch.no_grad()
def look_back(c: Config, h: Hyper, state: State, past: Rollout) -> tuple[Batch, Log, Curiosity]:
    """Return the frames to learn from, what is to be kept of a rollout, and what the bonus made of it."""
    judged = curiosity(c, h, state, past)
    r = (past.r + judged.reward).clamp(-1, 1)  # R_t = clip(r_t + beta R^i_t, -1, 1), as in the released code
    v = past.v[:, :-1]
    first = [x.transpose(0, 1) for x in (r, v, past.done)]  # time first
    a = advantages(  # rcgvf-method-gae
        first[0], first[1], past.v[:, -1], first[2], c.gamma, c.gae_lambda
    ).transpose(0, 1)
    # The released AGAC changes advantages and values after the estimate, and takes returns from both sums.
    advantage, v = a + judged.more_advantage, v + judged.more_value
    frames = Batch(
        image=past.image[:, :-1],
        look=past.look[:, :-1],
        is_first=past.is_first[:, :-1],
        memory=past.memory[:, :-1],
        actions=past.actions,
        logits=past.logits,
        v=v,
        advantage=advantage,
        returns=v + advantage,
        g=judged.g,
        bonus_memory=judged.memory[:, :-1],
        last_actions=judged.last_actions[:, :-1],
        last_pseudo_rewards=judged.last_pseudo_rewards[:, :-1],
    )
    sums = (past.done, past.done & (past.r > 0), past.r)
    episodes, successes, returns = (x.float().sum(dim=(1, 2)) for x in sums)
    return frames, Log(episodes, successes, returns, judged.reward.mean(dim=(1, 2))), judged


def segmented(c: Config, frames: Batch, shifted: bool = False) -> Batch:
    """Return the frames of a rollout in segments, or in the shifted ones that leave some out (``passes``).

    Gradients go back through a segment and no further: of memories those before its first frame are enough.
    """
    steps = span(c.num_steps, c.bptt, shifted)
    parts = Batch(*(segments(x[:, steps], c.bptt) for x in frames))
    return parts._replace(memory=parts.memory[:, :, 0], bonus_memory=parts.bonus_memory[:, :, 0])


# Learning.


def policy_states(theta: Float[Tensor, "seeds parameters"], b: Batch) -> tuple[Tensor, Tensor]:
    """Return what ``memory.unroll_segments`` does for the actor-critic."""
    layers = nets.actor_critic().layers(theta)
    return nets.unroll_segments(layers["lstm"], nets.features(layers["convolutions"], b.image), b.is_first, b.memory)


def bonus_states(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> tuple[Tensor, Tensor]:
    """Return what ``memory.unroll_segments`` does for RC-GVF's predictor or AGAC's adversary."""
    states = TABLE[c.method].states
    if states is None:
        raise bad_argument("method", c.method, "a method whose bonus remembers")
    return states(c, phi, b)


def policy_objective(c: Config, theta: Float[Tensor, "seeds parameters"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return PPO's loss over segments, the mean over their frames; advantages are not normalised."""
    layers = nets.actor_critic().layers(theta)
    hidden = policy_states(theta, b)[0]  # [seeds, n, bptt, 64]
    logits, v = nets.logits_of(layers, hidden), nets.values_of(layers, hidden)
    log_pi, old = logits.log_softmax(dim=-1), b.logits.log_softmax(dim=-1)
    ratio = (log_pi - old).gather(-1, b.actions.unsqueeze(-1)).squeeze(-1).exp()
    policy = policy_loss(ratio.flatten(1), b.advantage.flatten(1), c.clip_coef)
    value = value_loss(v.flatten(1), b.v.flatten(1), b.returns.flatten(1), c.clip_coef)
    return policy - c.ent_coef * entropy(log_pi.flatten(1, 2)) + c.vf_coef * value


def bonus_objective(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return the loss of predictors, a mean square, or of the adversary, E KL(pi || pi_adv)."""
    objective = TABLE[c.method].objective
    if objective is None:
        raise bad_argument("method", c.method, "a method with a network beside the actor-critic")
    return objective(c, phi, b)


def policy_gradient(c: Config, theta: Float[Tensor, "seeds parameters"], b: Batch) -> Float[Tensor, "seeds parameters"]:
    """Return the gradient of PPO's loss, each seed's cut by its own norm."""
    return clip_by_norm(slope(partial(policy_objective, c, b=b), theta), c.max_grad_norm)


def bonus_gradient(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds weights"]:
    """Return the gradient of the loss of predictors or adversary, each seed's cut by its own norm."""
    return clip_by_norm(slope(partial(bonus_objective, c, b=b), phi), c.max_grad_norm)


EAGER = Steps(act, policy_gradient, bonus_gradient)


@torch.no_grad()
def newer_memories(c: Config, theta: Tensor, phi: Tensor, b: Batch) -> tuple[Tensor, Tensor]:
    """Return the memories within segments that present weights make, of the actor-critic and of what the bonus has."""
    states = TABLE[c.method].states
    return policy_states(theta, b)[1], states(c, phi, b)[1] if states else b.bonus_memory


def learn(
    c: Config,
    state: State,
    frames: Batch,
    order: Int[Tensor, "seeds epochs segments"],
    number: int,
    steps: Steps = EAGER,
) -> State:
    """Return the state after the passes over what update ``number`` brought."""
    theta, theta_moments, phi, phi_moments = state.theta, state.theta_moments, state.phi, state.phi_moments
    method, released = TABLE[c.method], c.passes == "released"
    lr = c.lr * max(0.0, 1 - number * c.frames / c.anneal)  # that of the bonus's network falls with it
    first, size = number * c.update_epochs, c.minibatch_size // c.bptt
    step = steps_before(c.passes, first, c.frames // c.bptt, c.num_envs, size)
    batch = segmented(c, frames)
    for epoch in range(c.update_epochs):
        chosen, shifted = order[:, epoch], leaves_out(c.passes, first + epoch)
        if released:
            batch = segmented(c, frames, shifted)
        if shifted:
            chosen = kept(chosen, c.frames // c.bptt - c.num_envs)
        parts = [shuffled(x, chosen).split(size, dim=1) for x in batch]
        newer = []
        for part in zip(*parts, strict=True):
            b = Batch(*part)
            if released:
                newer.append(newer_memories(c, theta, phi, b))
            theta, theta_moments = adam_step(theta, theta_moments, steps.policy_gradient(c, theta, b), step, lr)
            if method.objective:
                g = steps.predictor_gradient(c, phi, b)
                phi, phi_moments = adam_step(phi, phi_moments, g, step, c.predictor_lr * lr)
            step += 1
        if newer:
            memory, bonus_memory = (torch.cat(x, dim=1) for x in zip(*newer, strict=True))
            frames = frames._replace(memory=refreshed(frames.memory, memory, chosen, c.bptt, shifted))
            if method.states:
                last = refreshed(frames.bonus_memory, bonus_memory, chosen, c.bptt, shifted)
                frames = frames._replace(bonus_memory=last)
    return state._replace(theta=theta.detach(), theta_moments=theta_moments, phi=phi.detach(), phi_moments=phi_moments)


def update(
    c: Config, env: MiniGrid, h: Hyper, state: State, noise: Noise, number: int, steps: Steps = EAGER
) -> tuple[State, Log]:
    """Return the state after update ``number``, counted from 0: act, look back, learn."""
    past, e, is_first, memory = rollout(c, env, state, noise, steps.act)
    frames, log, judged = look_back(c, h, state, past)
    after = learn(c, state, frames, noise.order, number, steps)._replace(
        e=e,
        is_first=is_first,
        memory=memory,
        bonus_memory=judged.memory[:, -1],
        last_actions=one_hot(past.actions[:, -1], nets.ACTIONS),
        last_pseudo_rewards=last_pseudo_rewards(c, state, past),
    )
    return after, log


@torch.no_grad()
def last_pseudo_rewards(c: Config, state: State, past: Rollout) -> Float[Tensor, "seeds envs d"]:
    """Return the pseudo-rewards of a rollout's last step, which the next one reads, if the method does."""
    read = TABLE[c.method].last_pseudo_rewards
    return read(c, state, past) if read else state.last_pseudo_rewards


# Randomness, and the start.


def draw_noise(c: Config, seeds: Sequence[int], number: int, device: torch.device) -> Noise:
    """Return the noise of update ``number``, each seed's from a generator of its own."""
    gumbels, steps, orders = [], [], []
    for seed in seeds:
        generator = step_generator(seed, number, device)
        gumbels.append(gumbel(generator, c.num_steps, c.num_envs, nets.ACTIONS))
        u = uniform(generator, c.num_steps, c.num_envs, 1)
        steps.append(offered(u, number, c.num_updates_held) if c.renew else u)
        orders.append(uniform(generator, c.update_epochs, c.frames // c.bptt).argsort(dim=-1))
    return Noise(torch.stack(gumbels), torch.stack(steps), torch.stack(orders))


def initial_state(c: Config, env: MiniGrid, seeds: Sequence[int], device: torch.device) -> State:
    """Return the state before the first update."""
    method, weights = TABLE[c.method], []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        u = uniform(generator, c.num_envs, 1)
        start = offered(u, 0, c.num_updates_held) if c.renew else u
        theta, zeta = nets.actor_critic().initial(generator), c.z.initial(generator)
        phi = method.network(c).initial(generator) if method.network else torch.zeros(0)
        weights.append((start, theta, phi, zeta))
    start, theta, phi, zeta = (torch.stack(x).to(device) for x in zip(*weights, strict=True))

    def zeros(entries: int) -> Float[Tensor, "seeds envs entries"]:
        return torch.zeros(len(seeds), c.num_envs, entries, device=device)

    return State(
        e=env.start(start),
        is_first=torch.ones(len(seeds), c.num_envs, dtype=torch.bool, device=device),
        memory=zeros(MEMORY),
        bonus_memory=zeros(method.memory(c)),
        last_actions=zeros(nets.ACTIONS),
        last_pseudo_rewards=zeros(c.d if method.last_pseudo_rewards else 0),
        theta=theta,
        theta_moments=no_moments(theta),
        phi=phi,
        phi_moments=no_moments(phi),
        zeta=zeta,
    )


class Trained(NamedTuple):
    """What training leaves."""

    state: State
    log: Log
    """with a first axis of updates"""


def train(trials: Sequence[Trial], context: Context) -> Trained:
    """Train ``trials``, which may differ in seed, beta, gamma_z and lambda_z, side by side.

    For what is kept, and for runs that diverge, see ``lab.loop.repeat``. Raises ``UsageError`` for trials that
    differ in more.
    """
    h, c, seeds = hyper(trials, context.device), trials[0].config, [trial.seed for trial in trials]
    env = c.env(context.device)
    steps = EAGER.compiled(context)

    def step(state: State, number: int) -> tuple[State, Log]:
        levels = c.env(context.device, number) if c.renew else env
        return update(c, levels, h, state, draw_noise(c, seeds, number, context.device), number, steps)

    course = repeat(
        step,
        initial_state(c, env, seeds, context.device),
        c.updates,
        context,
        title=f"{c.method} in {c.task}, {len(trials)} side by side",
        seeds=seeds,
        eval_every=c.updates // c.num_evals,
        log=Log,
        advice=f"a smaller lr than {c.lr} may help",
    )
    return Trained(course.state, course.log)


__all__ = [
    "Trained",
    "bonus_gradient",
    "bonus_objective",
    "bonus_states",
    "curiosity",
    "draw_noise",
    "initial_state",
    "last_pseudo_rewards",
    "learn",
    "look_back",
    "newer_memories",
    "policy_gradient",
    "policy_objective",
    "policy_states",
    "rollout",
    "segmented",
    "settings",
    "train",
    "update",
]
