"""Five agents that differ in where their transitions come from, and in nothing else (2211.02222).

All are DQN with a softmax behaviour policy. Each update of Q takes 320 transitions:

- ``er``: experience replay, 320 real ones, that is a perfect model of what was seen and of nothing else;
- ``simple``, ``gaussian``, ``categorical``: 32 real observations, and from each 10 steps of a learned model;
- ``perfect``: 32 real states, and from each 10 steps of the true environment.

Every tensor is ``[seeds, batch, ...]``: independent runs side by side, each with random numbers of its own, so that a
batch of runs is what its runs are one by one, up to rounding.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from tutorlib.lab import Context
from tutorlib.lab.checkpoint import Rows
from tutorlib.lab.errors import bad_argument, checked
from tutorlib.lab.finite import expect_finite
from tutorlib.nn import Moments, no_moments, slope, step_generator
from tutorlib.papers.mbrl.config import AGENTS, ENVIRONMENTS, EPISODIC, TUNED, Config
from tutorlib.papers.mbrl.losses import (
    adamw_step,
    as_replayed,
    dqn_loss,
    latent_loss,
    outcome_loss,
    simple_loss,
)
from tutorlib.papers.mbrl.model import MLP, LatentModel, SimpleModel
from tutorlib.papers.mbrl.problem import Simulator
from tutorlib.papers.mbrl.rollouts import Policy, Transitions, dream, simulate
from tutorlib.rl import Experience, Replay, empty_replay, held, recall, recall_of, softmax_action, store
from tutorlib.shapes import Float, Tensor

KEEP = 20
"""evaluations from one checkpoint to the next: a full replay is large"""


class Learner(NamedTuple):
    """All that is learned, and how far the learning has come."""

    q: Float[Tensor, "seeds parameters"]
    copy: Float[Tensor, "seeds parameters"]
    """Q^-"""
    q_moments: Moments
    model: Float[Tensor, "seeds parameters"]
    """of no length where there is no model to learn"""
    model_moments: Moments
    updates: int


class Setting(NamedTuple):
    """What stays the same in a batch of runs."""

    config: Config
    env: Simulator
    net: MLP
    model: SimpleModel | LatentModel | None
    rate: Float[Tensor, "seeds 1"]
    temperature: Float[Tensor, "seeds 1 1"]


@checked()
def uniforms(generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> Tensor:
    """Return uniforms in (0, 1), ``[seeds, *shape]``: each seed's from its own generator."""
    drawn = torch.stack([torch.rand(*shape, generator=g, device=g.device) for g in generators])
    return drawn.clamp(min=1e-7).to(device)  # rand may return 0, of which there is no normal number


def begin(
    config: Config,
    seeds: Sequence[int],
    device: torch.device,
    rates: Sequence[float] | None = None,
    temperatures: Sequence[float] | None = None,
) -> tuple[Setting, Learner]:
    """Return a batch of runs before its first step; ``rates`` and ``temperatures`` give each run its own.

    Raises ``UsageError`` if there are no seeds, or not one rate or temperature for each.
    """
    if not seeds:
        raise bad_argument("seeds", seeds, "at least one")
    for name, values in (("rates", rates), ("temperatures", temperatures)):
        if values is not None and len(values) != len(seeds):
            raise bad_argument(name, values, f"one for each of {len(seeds)} seeds, or None")
    env = config.world(device)
    model = config.model(env)
    inputs = model.inputs if model else env.observations
    net = MLP(inputs, env.actions, config.hidden, config.layers, config.activation)
    q, of_model = [], []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        q.append(net.initial_parameters(1, generator))
        of_model.append(model.initial_parameters(1, generator) if model else q[-1].new_zeros(1, 0))
    theta, m = torch.cat(q).to(device), torch.cat(of_model).to(device)
    rate = torch.tensor(rates or len(seeds) * [config.rate], device=device)
    temperature = torch.tensor(temperatures or len(seeds) * [config.temperature], device=device)
    setting = Setting(config, env, net, model, rate[:, None], temperature[:, None, None])
    return setting, Learner(theta, theta.clone(), no_moments(theta), m, no_moments(m), 0)


# Luck: all that is random in a step is drawn before it, so that the step is a function


class Luck(NamedTuple):
    """Uniforms of one update, in the order in which they are drawn; parts that an agent does not need are empty."""

    batch: Float[Tensor, "seeds batch"]
    """which transitions are recalled"""
    loss: Float[Tensor, "seeds batch latents"]
    """phi in the loss of a latent model"""
    starts: Float[Tensor, "seeds starts"]
    """which transitions rollouts start from, if others"""
    chance: Float[Tensor, "seeds length starts"]
    """actions of the rollouts"""
    noise: Float[Tensor, "seeds length starts noise"]
    """their next states"""
    phi: Float[Tensor, "seeds starts latents"]
    """the latent states that they start from"""


Shapes = tuple[tuple[int, ...], ...]


def luck_shapes(setting: Setting) -> Shapes:
    """Return the shapes of ``Luck``, each for one seed."""
    c, model = setting.config, setting.model
    if c.agent == "er":
        return ((c.transitions,), *5 * ((0,),))
    starts, latents = c.starts or c.batch, noise_of_phi(setting)
    noise = model.noise if model else setting.env.step_noise
    return (c.batch,), (c.batch, latents), (c.starts,), (c.length, starts), (c.length, starts, noise), (starts, latents)


def noise_of_phi(setting: Setting) -> int:
    """Return how many uniforms a latent state takes: 0 where Q reads observations."""
    return setting.model.noise if isinstance(setting.model, LatentModel) else 0


def total(shapes: Shapes) -> int:
    """Return how many numbers tensors of these shapes hold together."""
    return sum(math.prod(shape) for shape in shapes)


def dealt(u: Float[Tensor, "seeds total"], shapes: Shapes) -> list[Tensor]:
    """Return the numbers of each seed as tensors of these shapes, one after the other."""
    parts = u.split([math.prod(shape) for shape in shapes], dim=-1)
    return [part.unflatten(-1, shape) for part, shape in zip(parts, shapes, strict=True)]


# One step of learning, and one of acting: functions of what was learned and of luck


def read(setting: Setting, learner: Learner, o: Tensor, u: Float[Tensor, "seeds batch latents"]) -> Tensor:
    """Return what Q reads of the observations: themselves, or a sample phi of each by ``u``."""
    return setting.model.state(learner.model, o, u) if isinstance(setting.model, LatentModel) else o


def phi_luck(setting: Setting, batch: int, generators: Sequence[torch.Generator], device: torch.device) -> Tensor:
    """Return the uniforms that ``read`` takes of ``batch`` observations."""
    return uniforms(generators, (batch, noise_of_phi(setting)), device)


def optimised(
    setting: Setting, theta: Tensor, moments: Moments, g: Tensor, step: int | Tensor, rate: float | Tensor
) -> tuple[Tensor, Moments]:
    """Return theta and its moments after a step of this run's optimiser."""
    c = setting.config
    return adamw_step(theta, moments, g, step, rate, c.beta1, c.beta2, c.epsilon, c.decay)


def model_step(setting: Setting, learner: Learner, b: Experience, u: Tensor, step: int | Tensor) -> Learner:
    """Return the learner after one step of the model on real transitions; ``u`` is the luck of a latent loss."""
    model = setting.model
    assert model is not None

    def loss(theta: Tensor) -> Tensor:
        return latent_loss(model, theta, b, u) if isinstance(model, LatentModel) else simple_loss(model, theta, b)

    g = slope(loss, learner.model)
    after, moments = optimised(setting, learner.model, learner.model_moments, g, step, setting.config.model_rate)
    return learner._replace(model=after, model_moments=moments)


@torch.no_grad()
def imagine(setting: Setting, learner: Learner, b: Experience, luck: Luck) -> Transitions:
    """Return rollouts from real transitions' starts, by the learned or the perfect model, under the current policy."""
    q = setting.net.of(learner.q)

    def policy(x: Tensor, u: Tensor) -> Tensor:
        return softmax_action(q(x), setting.temperature, u)

    if setting.model is None:
        return simulate(setting.env, policy, b.state, luck.chance, luck.noise)
    x = read(setting, learner, b.o, luck.phi)
    return dream(setting.model, learner.model, policy, x, luck.chance, luck.noise, setting.config.episodic)


def learn(
    setting: Setting,
    learner: Learner,
    replay: Replay,
    among: int | Tensor,
    step: int | Tensor,
    u: Float[Tensor, "seeds luck"],
) -> Learner:
    """Return the learner after one step: of the model, and then of Q on what the updated model imagines.

    ``among``: transitions that replay holds; ``step``: updates before this one; ``u``: uniforms of ``luck_shapes``.
    """
    c, luck = setting.config, Luck(*dealt(u, luck_shapes(setting)))
    real = recall_of(replay, among, luck.batch)
    if c.agent == "er":
        b = as_replayed(real)
    else:
        learner = model_step(setting, learner, real, luck.loss, step) if setting.model else learner
        b = imagine(setting, learner, recall_of(replay, among, luck.starts) if c.starts else real, luck)
    g = slope(lambda theta: dqn_loss(setting.net, theta, learner.copy, b, c.gamma), learner.q)
    q, moments = optimised(setting, learner.q, learner.q_moments, g, step, setting.rate)
    return learner._replace(q=q, q_moments=moments)


def update(
    setting: Setting,
    learner: Learner,
    replay: Replay,
    stored: int,
    generators: Sequence[torch.Generator],
    learning: Callable[..., Learner] = learn,
) -> Learner:
    """Return the learner after one update, with luck from the generators; ``learning``: ``learn``, or it compiled.

    Raises ``UsageError`` if replay does not hold a batch yet.
    """
    device = learner.q.device
    among = _number(held(replay, stored, setting.config.batch), torch.long, device)
    step = _number(learner.updates, torch.double, device)
    u = uniforms(generators, (total(luck_shapes(setting)),), device)
    after = learning(setting, learner._replace(updates=0), replay, among, step, u)
    return after._replace(updates=learner.updates + 1)


def _number(value: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a number as a tensor, for which a compiled step is not compiled anew."""
    return torch.full((), value, dtype=dtype, device=device)


def act_shapes(setting: Setting) -> Shapes:
    """Return the shapes of the luck of one step in the environment: phi, the action, what follows."""
    return (1, noise_of_phi(setting)), (1,), (1, setting.env.step_noise)


def act(
    setting: Setting, learner: Learner, state: Any, o: Float[Tensor, "seeds 1 observations"], u: Tensor
) -> tuple[Experience, Any, Tensor]:
    """Return the transition of one step in the environment, and the state and observation to go on from.

    Where the episode ended these are the first of the next one; ``u``: uniforms of ``act_shapes``.
    """
    c, env = setting.config, setting.env
    phi, chance, luck = dealt(u, act_shapes(setting))
    with torch.no_grad():
        a = softmax_action(setting.net(learner.q, read(setting, learner, o, phi)), setting.temperature, chance)
    after, r, terminal = env.transition(state, a, luck)
    seen = env.observe(after)
    b = Experience(o, a, r, seen, terminal, state if c.agent == "perfect" else ())
    if not c.episodic:
        return b, after, seen
    state = env.renewed(after, terminal, luck)
    return b, state, seen if c.official_stale_observation else env.observe(state)


@torch.no_grad()
def evaluate(setting: Setting, learner: Learner, generators: Sequence[torch.Generator]) -> Float[Tensor, "seeds"]:
    """Return how good the greedy policy is, the mean over fresh episodes of at most ``look_length`` steps.

    With episodes: the undiscounted return until the end. Without: the reward of a step.
    """
    c, env, device = setting.config, setting.env, learner.q.device
    state = env.start(uniforms(generators, (c.look_episodes, env.start_noise), device))
    total: Tensor = torch.zeros(len(generators), c.look_episodes, device=device)
    alive = torch.ones_like(total)
    for _ in range(c.look_length):
        o = env.observe(state)
        x = read(setting, learner, o, phi_luck(setting, c.look_episodes, generators, device))
        a = setting.net(learner.q, x).argmax(dim=-1)
        u = uniforms(generators, (c.look_episodes, env.step_noise), device)
        state, reward, terminal = env.transition(state, a, u)
        total = total + alive * reward
        alive = alive * ~terminal
    return (total if c.episodic else total / c.look_length).mean(dim=-1)


class Trained(NamedTuple):
    """What a batch of runs leaves."""

    learner: Learner
    steps: list[int]
    """steps in the environment before each evaluation"""
    looks: Float[Tensor, "looks seeds"]
    """what ``evaluate`` returned"""


def train(
    config: Config,
    seeds: Sequence[int],
    context: Context,
    rates: Sequence[float] | None = None,
    temperatures: Sequence[float] | None = None,
) -> Trained:
    """Train one agent for each seed, online.

    All of the run, replay included, is kept in the context's checkpoint at every ``KEEP``-th evaluation and at the end,
    and taken up from there. Raises ``NonFiniteError`` if Q is no longer finite at an evaluation; the checkpoint then
    still holds the last finite state.
    """
    setting, learner = begin(config, seeds, context.device, rates, temperatures)
    env, device = setting.env, context.device
    luck = [step_generator(seed, 0, device) for seed in seeds]
    state = env.start(uniforms(luck, (1, env.start_noise), device))
    o = env.observe(state)
    replay = empty_replay(
        env.observations, state if config.agent == "perfect" else (), len(seeds), config.capacity, device
    )
    learning, acting, step_luck = context.compiled(learn), context.compiled(act), total(act_shapes(setting))
    done, steps, looks = 0, [], []
    points = range(config.look_every, config.steps + 1, config.look_every)

    def like(done: int) -> dict[str, Any]:
        looked = done // config.look_every
        own = _kept(learner, replay, done, luck, state, o)
        return own | {"steps": looked * [int], "looks": Rows(looked)}

    if context.checkpoint and (saved := context.checkpoint.resume(device, "done", points, like)):
        learner, state, o = _taken_up(saved, replay, luck, type(state))
        done, steps, looks = saved["done"], saved["steps"], saved["looks"]
    context.progress.start(config.steps, f"{config.agent} in {config.environment}", done)
    for t in range(done, config.steps):
        b, state, o = acting(setting, learner._replace(updates=0), state, o, uniforms(luck, (step_luck,), device))
        store(replay, t, b)
        if t >= config.warm_up:
            if t % config.copy_every == 0:
                learner = learner._replace(copy=learner.q.clone())  # no alias: a compiled step asks
            for _ in range(config.updates):
                learner = update(setting, learner, replay, t + 1, luck, learning)
        if (t + 1) % config.look_every == 0:
            refuse_non_finite(learner, f"step {t + 1}")
            own = [step_generator(seed, t + 1, device) for seed in seeds]
            looks.append(evaluate(setting, learner, own))
            steps.append(t + 1)
            if context.checkpoint and (len(looks) % KEEP == 0 or t + 1 == config.steps):
                kept = _kept(learner, replay, t + 1, luck, state, o)
                context.checkpoint.save(kept | {"done": t + 1, "steps": steps, "looks": looks})
            context.progress.advance(config.look_every)
    context.progress.close()
    found = torch.stack(looks) if looks else torch.zeros(0, len(seeds), device=device)
    return Trained(learner, steps, found)


def pack(learner: Learner) -> list[Any]:
    """Return a learner as a list, for a checkpoint holds no tuples of ours."""
    return [list(part) if isinstance(part, Moments) else part for part in learner]


def unpack(parts: Sequence[Any]) -> Learner:
    """Return the learner that ``pack`` made a list of."""
    q, copy, q_moments, model, model_moments, updates = parts
    return Learner(q, copy, Moments(*q_moments), model, Moments(*model_moments), updates)


def _kept(
    learner: Learner, replay: Replay, t: int, luck: Sequence[torch.Generator], state: Any, o: Tensor
) -> dict[str, Any]:
    """Return what a run needs to go on after ``t`` steps; of replay the filled part, copied, as files hold bases."""
    filled = min(t, replay.reward.shape[1])
    return {
        "learner": pack(learner),
        "replay": [part[:, :filled].clone() for part in (*replay[:-1], *replay.state)],
        "luck": [generator.get_state() for generator in luck],
        "state": list(state),
        "o": o,
    }


def _taken_up(
    saved: Mapping[str, Any], replay: Replay, luck: Sequence[torch.Generator], kind: Callable[..., Any]
) -> tuple[Learner, Any, Tensor]:
    """Return learner, state and observation; fill replay and set the generators as they were."""
    for part, own in zip((*replay[:-1], *replay.state), saved["replay"], strict=True):
        part[:, : own.shape[1]] = own
    for generator, own in zip(luck, saved["luck"], strict=True):
        generator.set_state(own.cpu())
    return unpack(saved["learner"]), kind(*saved["state"]), saved["o"]


def refuse_non_finite(learner: Learner, when: str) -> None:
    """Raise ``NonFiniteError`` if Q, the model or Adam's state is not finite; ``when`` is such as 'step 500'."""
    parts = {"Q": learner.q, "the model": learner.model, "Adam's state": [learner.q_moments, learner.model_moments]}
    expect_finite(parts, f"after {when}", advice="a smaller rate may help")


__all__ = [
    "AGENTS",
    "ENVIRONMENTS",
    "EPISODIC",
    "KEEP",
    "TUNED",
    "Config",
    "Experience",
    "Learner",
    "Luck",
    "Policy",
    "Replay",
    "Setting",
    "Trained",
    "Transitions",
    "act",
    "act_shapes",
    "adamw_step",
    "as_replayed",
    "begin",
    "dealt",
    "dqn_loss",
    "dream",
    "empty_replay",
    "evaluate",
    "imagine",
    "latent_loss",
    "learn",
    "luck_shapes",
    "model_step",
    "outcome_loss",
    "pack",
    "phi_luck",
    "read",
    "recall",
    "refuse_non_finite",
    "simple_loss",
    "simulate",
    "softmax_action",
    "store",
    "total",
    "train",
    "uniforms",
    "unpack",
    "update",
]
