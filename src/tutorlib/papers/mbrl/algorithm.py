"""Five agents that differ in where their transitions come from, and in nothing else (2211.02222).

All are DQN with a softmax behaviour policy. Each update of Q takes 320 transitions:

- ``er``: experience replay, 320 real ones, that is a perfect model of what was seen and of nothing else;
- ``simple``, ``gaussian``, ``categorical``: 32 real observations, and from each 10 steps of a learned model;
- ``perfect``: 32 real states, and from each 10 steps of the true environment.

Every tensor is ``[seeds, batch, ...]``: independent runs side by side, each with random numbers of its own, so that a
batch of runs is what its runs are one by one, up to rounding.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from tutorlib.lab import Context
from tutorlib.lab.loop import repeat
from tutorlib.nn import Moments, eval_generator, slope, step_generator
from tutorlib.papers.mbrl.acting import act, act_shapes, evaluate
from tutorlib.papers.mbrl.config import AGENTS, ENVIRONMENTS, EPISODIC, TUNED, Config
from tutorlib.papers.mbrl.learner import (
    Learner,
    Setting,
    Shapes,
    begin,
    dealt,
    phi_noise,
    phi_size,
    read,
    total,
    uniforms,
)
from tutorlib.papers.mbrl.losses import (
    adamw_step,
    as_replayed,
    dqn_loss,
    latent_loss,
    outcome_loss,
    simple_loss,
)
from tutorlib.papers.mbrl.model import LatentModel
from tutorlib.papers.mbrl.rollouts import Policy, Transitions, dream, simulate
from tutorlib.rl import Experience, Replay, add, empty_replay, num_stored, sample, sample_from, softmax_action
from tutorlib.shapes import Float, Tensor


class Noise(NamedTuple):
    """Uniforms of one update, in the order in which they are drawn; parts that an agent does not need are empty."""

    batch: Float[Tensor, "seeds batch"]
    """which transitions are sampled"""
    loss: Float[Tensor, "seeds batch latents"]
    """phi in the loss of a latent model"""
    starts: Float[Tensor, "seeds starts"]
    """which transitions rollouts start from, if others"""
    actions: Float[Tensor, "seeds length starts"]
    """actions of the rollouts"""
    transitions: Float[Tensor, "seeds length starts noise"]
    """their next states"""
    phi: Float[Tensor, "seeds starts latents"]
    """the latent states that they start from"""


def noise_shapes(setting: Setting) -> Shapes:
    """Return the shapes of ``Noise``, each for one seed."""
    c, model = setting.config, setting.model
    if c.agent == "er":
        return ((c.transitions,), *5 * ((0,),))
    starts, latents = c.starts or c.batch, phi_size(setting)
    noise = model.noise if model else setting.env.step_noise
    return (c.batch,), (c.batch, latents), (c.starts,), (c.length, starts), (c.length, starts, noise), (starts, latents)


def optimised(
    setting: Setting, theta: Tensor, moments: Moments, g: Tensor, step: int | Tensor, lr: float | Tensor
) -> tuple[Tensor, Moments]:
    """Return theta and its moments after a step of this run's optimiser."""
    c = setting.config
    return adamw_step(theta, moments, g, step, lr, c.beta1, c.beta2, c.epsilon, c.decay)


def model_step(setting: Setting, learner: Learner, b: Experience, u: Tensor, step: int | Tensor) -> Learner:
    """Return the learner after one step of the model on real transitions; ``u`` is the noise of a latent loss."""
    model = setting.model
    assert model is not None

    def loss(theta: Tensor) -> Tensor:
        return latent_loss(model, theta, b, u) if isinstance(model, LatentModel) else simple_loss(model, theta, b)

    g = slope(loss, learner.model)
    after, moments = optimised(setting, learner.model, learner.model_moments, g, step, setting.config.model_lr)
    return learner._replace(model=after, model_moments=moments)


@torch.no_grad()
def imagine(setting: Setting, learner: Learner, b: Experience, noise: Noise) -> Transitions:
    """Return rollouts from real transitions' starts, by the learned or the perfect model, under the current policy."""
    q = setting.net.of(learner.q)

    def policy(x: Tensor, u: Tensor) -> Tensor:
        return softmax_action(q(x), setting.temperature, u)

    if setting.model is None:
        return simulate(setting.env, policy, b.state, noise.actions, noise.transitions)
    x = read(setting, learner, b.o, noise.phi)
    return dream(setting.model, learner.model, policy, x, noise.actions, noise.transitions, setting.config.episodic)


def learn(
    setting: Setting,
    learner: Learner,
    replay: Replay,
    among: int | Tensor,
    step: int | Tensor,
    u: Float[Tensor, "seeds noise"],
) -> Learner:
    """Return the learner after one step: of the model, and then of Q on what the updated model imagines.

    ``among``: transitions that replay holds; ``step``: updates before this one; ``u``: uniforms of ``noise_shapes``.
    """
    c, noise = setting.config, Noise(*dealt(u, noise_shapes(setting)))
    real = sample_from(replay, among, noise.batch)
    if c.agent == "er":
        b = as_replayed(real)
    else:
        learner = model_step(setting, learner, real, noise.loss, step) if setting.model else learner
        b = imagine(setting, learner, sample_from(replay, among, noise.starts) if c.starts else real, noise)
    g = slope(lambda theta: dqn_loss(setting.net, theta, learner.target_params, b, c.gamma), learner.q)
    q, moments = optimised(setting, learner.q, learner.q_moments, g, step, setting.lr)
    return learner._replace(q=q, q_moments=moments)


def update(
    setting: Setting,
    learner: Learner,
    replay: Replay,
    added: int,
    generators: Sequence[torch.Generator],
    learning: Callable[..., Learner] = learn,
) -> Learner:
    """Return the learner after one update, with noise from the generators; ``learning``: ``learn``, or it compiled.

    Raises ``UsageError`` if replay does not hold a batch yet.
    """
    device = learner.q.device
    among = _number(num_stored(replay, added, setting.config.batch), torch.long, device)
    step = _number(learner.updates, torch.double, device)
    u = uniforms(generators, (total(noise_shapes(setting)),), device)
    after = learning(setting, learner._replace(updates=0), replay, among, step, u)
    return after._replace(updates=learner.updates + 1)


def _number(value: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a number as a tensor, for which a compiled step is not compiled anew."""
    return torch.full((), value, dtype=dtype, device=device)


class State(NamedTuple):
    """All that changes while runs act and learn."""

    learner: Learner
    replay: Replay
    """written in place: of a run that is set back, it keeps what was stored since"""
    env: Any
    """the environment's state, ``[seeds, 1, ...]``"""
    o: Float[Tensor, "seeds 1 observations"]
    """what is seen of it; with the stale observation, of the one before"""


class Nothing(NamedTuple):
    """What a step logs: nothing, for runs are looked at instead."""


class Trained(NamedTuple):
    """What a batch of runs leaves."""

    learner: Learner
    steps: list[int]
    """steps in the environment before each evaluation"""
    evals: Float[Tensor, "evals seeds"]
    """what ``evaluate`` returned"""


def train(
    config: Config,
    seeds: Sequence[int],
    context: Context,
    lrs: Sequence[float] | None = None,
    temperatures: Sequence[float] | None = None,
) -> Trained:
    """Train one agent for each seed, online; ``lrs`` and ``temperatures`` give each run its own.

    For what is kept, replay included, and for runs that diverge, see ``lab.loop.repeat``.
    """
    c, device = config, context.device
    setting, learner = begin(c, seeds, device, lrs, temperatures)
    env = setting.env
    # The noise of a run is one course of numbers, of acting and learning in turn; a checkpoint keeps how far it came.
    generators = [step_generator(seed, 0, device) for seed in seeds]
    learning, acting, num_act = context.compiled(learn), context.compiled(act), total(act_shapes(setting))

    def step(state: State, t: int) -> tuple[State, Nothing]:
        learner, replay = state.learner, state.replay
        u = uniforms(generators, (num_act,), device)
        b, after, o = acting(setting, learner._replace(updates=0), state.env, state.o, u)
        add(replay, t, b)  # before the updates, which may sample it
        if t >= c.learning_starts:
            if t % c.target_period == 0:
                learner = learner._replace(target_params=learner.q.clone())  # no alias: a compiled step asks
            for _ in range(c.updates):
                learner = update(setting, learner, replay, t + 1, generators, learning)
        return State(learner, replay, after, o), Nothing()

    def evaluated(state: State, steps: int) -> Tensor:
        # Training is one course of numbers, and has number 0 alone.
        return evaluate(setting, state.learner, [eval_generator(seed, 1, device, steps - 1) for seed in seeds])

    start = env.start(uniforms(generators, (1, env.start_noise), device))
    replay = empty_replay(env.observations, start if c.agent == "perfect" else (), len(seeds), c.capacity, device)
    course = repeat(
        step,
        State(learner, replay, start, env.observe(start)),
        c.steps,
        context,
        title=f"{c.agent} in {c.environment}",
        seeds=seeds,
        eval_every=c.eval_every,
        evaluate=evaluated,
        log=Nothing,
        generators=generators,
    )
    evals = torch.stack(course.evals) if course.evals else torch.zeros(0, len(seeds), device=device)
    return Trained(course.state.learner, list(range(c.eval_every, c.steps + 1, c.eval_every)), evals)


__all__ = [
    "AGENTS",
    "ENVIRONMENTS",
    "EPISODIC",
    "TUNED",
    "Config",
    "Experience",
    "Learner",
    "Noise",
    "Nothing",
    "Policy",
    "Replay",
    "Setting",
    "State",
    "Trained",
    "Transitions",
    "act",
    "act_shapes",
    "adamw_step",
    "add",
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
    "model_step",
    "noise_shapes",
    "outcome_loss",
    "phi_noise",
    "read",
    "sample",
    "simple_loss",
    "simulate",
    "softmax_action",
    "total",
    "train",
    "uniforms",
    "update",
]
