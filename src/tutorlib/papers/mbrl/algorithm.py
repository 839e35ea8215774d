"""Five agents that differ in where their transitions come from, and in nothing else (2211.02222).

All are DQN with a softmax behaviour policy. Each update of Q takes 320 transitions:

- ``er``: experience replay, 320 real ones, that is a perfect model of what was seen and of nothing else;
- ``simple``, ``gaussian``, ``categorical``: 32 real observations, and from each 10 steps of a learned model;
- ``perfect``: 32 real states, and from each 10 steps of the true environment.

Every tensor is ``[seeds, batch, ...]``: independent runs side by side, each with random numbers of its own, so that a
batch of runs is what its runs are one by one, up to rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from tutorlib.envs.tensors import one_hot, pick
from tutorlib.lab import Context
from tutorlib.lab.checkpoint import Rows
from tutorlib.lab.errors import bad_argument, choose, expect_fields
from tutorlib.lab.finite import expect_finite
from tutorlib.nn import Moments, adam_step, no_moments, step_generator
from tutorlib.papers.mbrl.model import MLP, LatentModel, SimpleModel, draw, held, kl
from tutorlib.papers.mbrl.problem import ButtonGrid, OpenGrid, PanFlute, ProcMaze, Simulator, maze_bank
from tutorlib.rl import Experience, Replay, dqn_targets, empty_replay, recall, softmax_action, store, td_loss
from tutorlib.shapes import Float, Int, Tensor

AGENTS = ("er", "simple", "gaussian", "categorical", "perfect")
ENVIRONMENTS = ("flute", "buttons", "maze", "open")
EPISODIC = ("maze", "open")
"""environments with episodes; the others never end"""
KEEP = 20
"""evaluations from one checkpoint to the next: a full replay is large"""
MAZES = 50_000
"""mazes of the bank that episodes are drawn from"""
LARGEST = MappingProxyType({"maze": 12, "flute": 64, "buttons": 64, "open": 64})
"""``size`` in each environment; 10 s are needed to make the bank of mazes of 12 x 12"""

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
class Config:
    """One run. The defaults are the paper's regime of much data; its one of little data is
    ``steps=100_000, updates=10, copy_every=10, look_every=50``. Both make about a million updates.
    """

    agent: str = "simple"
    """one of ``AGENTS``"""
    environment: str = "maze"
    """one of ``ENVIRONMENTS``"""
    size: int = 4
    """cells of a side, or pipes"""
    buttons: int = 3
    """of ButtonGrid"""
    steps: int = 1_000_000
    """steps in the environment"""
    warm_up: int = 1000
    """steps before the first update, at least a batch of them"""
    updates: int = 1
    """in each step from then on"""
    copy_every: int = 100
    """steps after which Q^- becomes Q"""
    batch: int = 32
    """real transitions that a model starts from, and learns from"""
    length: int = 10
    """L, steps of a rollout; replay takes as many transitions as all rollouts of an update have"""
    starts: int = 0
    """real transitions that rollouts start from, if others than those of the batch; 0: the batch, as in the paper"""
    rate: float = 2e-4
    """Adam's learning rate for Q"""
    model_rate: float = 2e-4
    """Adam's learning rate for the model"""
    temperature: float = 0.8
    """of the softmax over Q"""
    gamma: float = 0.9
    capacity: int = 100_000
    """transitions that replay holds, at least a batch"""
    hidden: int = 200
    """units of each hidden layer, of all networks"""
    model_hidden: int = 0
    """units of each hidden layer of the model, if others; 0: as many, as in the paper"""
    layers: int = 3
    look_every: int = 500
    """steps between evaluations"""
    look_episodes: int = 32
    """episodes of an evaluation"""
    look_length: int = 100
    """steps after which an episode of an evaluation is cut"""
    official_bernoulli_logit: bool = False
    """simple model: sample bits with logits for probabilities, as the paper's code does"""
    official_stale_observation: bool = False
    """show the last observation of an episode once more when the next one has begun, as the paper's code does: the
    first action is chosen from it, and a transition from the old maze to the new one is stored"""

    def __post_init__(self) -> None:
        choose("agent", self.agent, AGENTS)
        choose("environment", self.environment, ENVIRONMENTS)
        counts = ("steps", "updates", "copy_every", "batch", "length", "capacity", "hidden", "layers", "warm_up")
        expect_fields(self, counts=(*counts, "look_every", "look_episodes", "look_length"))
        largest = LARGEST[self.environment]
        if type(self.size) is not int or not 2 <= self.size <= largest:
            raise bad_argument(
                "size", self.size, f"a whole number from 2 to {largest} in environment={self.environment}"
            )
        for name in ("starts", "model_hidden"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 0:
                raise bad_argument(name, getattr(self, name), "a whole number from 0")
        expect_fields(self, positive=("rate", "model_rate", "temperature"))
        for name in ("warm_up", "capacity"):
            if getattr(self, name) < self.batch:
                expected = f"at least batch={self.batch}, for replay to hold a batch before the first update"
                raise bad_argument(name, getattr(self, name), expected)
        if not 0 <= self.gamma < 1:
            raise bad_argument("gamma", self.gamma, "a number from 0, below 1")

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
            return SimpleModel(o, a, hidden, self.layers, self.official_bernoulli_logit)
        if self.agent in ("gaussian", "categorical"):
            return LatentModel(o, a, self.agent, hidden=hidden, layers=self.layers)
        return None


class Transitions(NamedTuple):
    """What Q learns from: real or imagined transitions (x, a, r, x', c, w)."""

    x: Float[Tensor, "seeds batch inputs"]
    """what Q reads: an observation, or a latent state phi"""
    action: Int[Tensor, "seeds batch"]
    reward: Float[Tensor, "seeds batch"]
    next: Float[Tensor, "seeds batch inputs"]
    continues: Float[Tensor, "seeds batch"]
    """c, probability that the episode goes on"""
    weight: Float[Tensor, "seeds batch"]
    """w, probability that it went on until here"""


Policy = Callable[[Tensor, Tensor], Tensor]
"""actions, from x and a uniform for each"""


# Q


def dqn_loss(
    net: MLP,
    theta: Float[Tensor, "seeds parameters"],
    copy: Float[Tensor, "seeds parameters"],
    b: Transitions,
    gamma: float,
) -> Float[Tensor, "seeds"]:
    """Return the mean of w (Q(x, a) - [r + gamma c max_a' Q^-(x', a')])^2 over the batch of each seed."""
    with torch.no_grad():
        target = dqn_targets(b.reward, b.continues, net(copy, b.next), gamma)
    return td_loss(pick(net(theta, b.x), b.action), target, b.weight)


def as_replayed(b: Experience) -> Transitions:
    """Return real transitions as Q learns from them: c = 1 - terminal, w = 1."""
    return Transitions(b.o, b.action, b.reward, b.next, 1.0 - b.terminal.float(), torch.ones_like(b.reward))


# The model


def bits_loss(
    logits: Float[Tensor, "seeds batch observations"], o: Float[Tensor, "seeds batch observations"]
) -> Float[Tensor, "seeds batch"]:
    """Return -log p(o) of independent Bernoulli bits: sum_i BCE(o_i, sigmoid(l_i))."""
    return F.binary_cross_entropy_with_logits(logits, o, reduction="none").sum(dim=-1)


def outcome_loss(
    reward: Float[Tensor, "seeds batch"], continues: Float[Tensor, "seeds batch"], b: Experience
) -> Float[Tensor, "seeds batch"]:
    """Return L_rew + L_term: (r - mu)^2 / 2, that is -log N(r; mu, 1) but for a constant, and BCE(1 - terminal)."""
    on = 1.0 - b.terminal.float()
    l_term = F.binary_cross_entropy_with_logits(continues, on, reduction="none")
    return (b.reward - reward).square() / 2 + l_term


def simple_loss(model: SimpleModel, theta: Float[Tensor, "seeds parameters"], b: Experience) -> Float[Tensor, "seeds"]:
    """Return L_next + L_rew + L_term, the mean over the batch; after a terminal step there is no next observation."""
    p = model.predict(theta, b.o, one_hot(b.action, model.actions))
    l_next = bits_loss(p.next, b.next) * ~b.terminal
    return (l_next + outcome_loss(p.reward, p.continues, b)).mean(dim=-1)


def latent_loss(
    model: LatentModel,
    theta: Float[Tensor, "seeds parameters"],
    b: Experience,
    u: Float[Tensor, "seeds batch latents"],
) -> Float[Tensor, "seeds"]:
    """Return L_recon + .8 KL(sg q || p) + .2 KL(q || sg p) + L_rew + L_term, the mean over the batch.

    q = q(.|o') is what the encoder says of the next observation, p = p(.|phi, a) what the transition expected; the
    weights train p four times as fast as q. As in the paper's code L_recon is of the current observation and dropped at
    terminal steps, where the KL is not.
    """
    phi = draw(model.encode(theta, b.o), u)
    prediction = model.predict(theta, phi, one_hot(b.action, model.actions))
    q, p = model.encode(theta, b.next), prediction.next
    l_recon = bits_loss(model.decode(theta, phi), b.o) * ~b.terminal
    l_next = l_recon + 0.8 * kl(held(q), p) + 0.2 * kl(q, held(p))
    return (l_next + outcome_loss(prediction.reward, prediction.continues, b)).mean(dim=-1)


# Rollouts


def dream(
    model: SimpleModel | LatentModel,
    theta: Float[Tensor, "seeds parameters"],
    policy: Policy,
    x: Float[Tensor, "seeds batch inputs"],
    chance: Float[Tensor, "seeds length batch"],
    u: Float[Tensor, "seeds length batch noise"],
    episodic: bool,
) -> Transitions:
    """Return what the learned model imagines from ``x`` on: L steps, one after the other in the batch axis.

    At step k: a_k ~ policy at x_k by ``chance``; r_k is the mean; c_k the probability to go on; x_{k+1} is sampled by
    ``u``; w_1 = 1, and w_{k+1} = w_k c_k if there are episodes, else 1.
    """
    w, found = torch.ones_like(chance[:, 0]), []
    for k in range(chance.shape[1]):
        a = policy(x, chance[:, k])
        r, c, following = model.step(theta, x, one_hot(a, model.actions), u[:, k])
        found.append(Transitions(x, a, r, following, c, w))
        w = w * c if episodic else w
        x = following
    return Transitions(*(torch.cat(part, dim=1) for part in zip(*found, strict=True)))


def simulate(
    env: Simulator,
    policy: Policy,
    state: Any,
    chance: Float[Tensor, "seeds length batch"],
    u: Float[Tensor, "seeds length batch noise"],
) -> Transitions:
    """Return what the perfect model, the environment itself, says from the true ``state`` on; w = 0 after an end."""
    x, w, found = env.observe(state), torch.ones_like(chance[:, 0]), []
    for k in range(chance.shape[1]):
        a = policy(x, chance[:, k])
        state, r, terminal = env.transition(state, a, u[:, k])
        following, c = env.observe(state), 1.0 - terminal.float()
        found.append(Transitions(x, a, r, following, c, w))
        x, w = following, w * c
    return Transitions(*(torch.cat(part, dim=1) for part in zip(*found, strict=True)))


# The optimiser


def adamw_step(
    theta: Float[Tensor, "seeds parameters"],
    moments: Moments,
    g: Float[Tensor, "seeds parameters"],
    step: int,
    rate: float | Float[Tensor, "seeds 1"],
    decay: float = 1e-6,
) -> tuple[Float[Tensor, "seeds parameters"], Moments]:
    """Return theta after one step of Adam (beta = .9, .99, eps = 1e-5) and a decay that the rate does not multiply."""
    after, moments = adam_step(theta, moments, g, step, rate, beta1=0.9, beta2=0.99, eps=1e-5)
    return after - decay * theta, moments


# The agents


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
    net = MLP(model.inputs if model else env.observations, env.actions, config.hidden, config.layers)
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


def read(setting: Setting, learner: Learner, o: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Return what Q reads of the observations: themselves, or a sample phi of each."""
    if not isinstance(setting.model, LatentModel):
        return o
    return setting.model.state(learner.model, o, uniforms(generators, (o.shape[1], setting.model.noise), o.device))


def model_step(setting: Setting, learner: Learner, b: Experience, generators: Sequence[torch.Generator]) -> Learner:
    """Return the learner after one step of the model on real transitions."""
    theta = learner.model.detach().requires_grad_()
    if isinstance(setting.model, LatentModel):
        u = uniforms(generators, (b.o.shape[1], setting.model.noise), b.o.device)
        loss = latent_loss(setting.model, theta, b, u)
    else:
        assert setting.model is not None
        loss = simple_loss(setting.model, theta, b)
    (g,) = torch.autograd.grad(loss.sum(), theta)  # seeds share nothing, so each gets its own gradient
    rate = setting.config.model_rate
    after, moments = adamw_step(theta.detach(), learner.model_moments, g, learner.updates, rate)
    return learner._replace(model=after, model_moments=moments)


@torch.no_grad()
def imagine(setting: Setting, learner: Learner, b: Experience, generators: Sequence[torch.Generator]) -> Transitions:
    """Return rollouts from real transitions' starts, by the learned or the perfect model, under the current policy."""
    c, env, model = setting.config, setting.env, setting.model
    device, batch = b.o.device, b.o.shape[1]

    def policy(x: Tensor, u: Tensor) -> Tensor:
        return softmax_action(setting.net(learner.q, x), setting.temperature, u)

    chance = uniforms(generators, (c.length, batch), device)
    u = uniforms(generators, (c.length, batch, model.noise if model else env.step_noise), device)
    if model is None:
        return simulate(env, policy, b.state, chance, u)
    x = read(setting, learner, b.o, generators)
    return dream(model, learner.model, policy, x, chance, u, c.episodic)


def update(
    setting: Setting, learner: Learner, replay: Replay, stored: int, generators: Sequence[torch.Generator]
) -> Learner:
    """Return the learner after one update: of the model, and then of Q on what the updated model imagines."""
    c, device = setting.config, learner.q.device
    if c.agent == "er":
        b = as_replayed(recall(replay, stored, uniforms(generators, (c.transitions,), device), c.batch))
    else:
        real = recall(replay, stored, uniforms(generators, (c.batch,), device), c.batch)
        learner = model_step(setting, learner, real, generators) if setting.model else learner
        if c.starts:
            real = recall(replay, stored, uniforms(generators, (c.starts,), device), c.batch)
        b = imagine(setting, learner, real, generators)
    theta = learner.q.detach().requires_grad_()
    (g,) = torch.autograd.grad(dqn_loss(setting.net, theta, learner.copy, b, c.gamma).sum(), theta)
    after, moments = adamw_step(theta.detach(), learner.q_moments, g, learner.updates, setting.rate)
    return learner._replace(q=after, q_moments=moments, updates=learner.updates + 1)


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
        x = read(setting, learner, env.observe(state), generators)
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
    done, steps, looks = 0, [], []
    points = range(config.look_every, config.steps + 1, config.look_every)

    def like(done: int) -> dict[str, Any]:
        looked = done // config.look_every
        own = _kept(learner, replay, done, luck, state, o)
        return own | {"steps": looked * [int], "looks": Rows(looked)}

    if context.checkpoint and (saved := context.checkpoint.resume(device, "done", points, like)):
        learner, state, o = _taken_up(saved, replay, luck, type(state))
        done, steps, looks = saved["done"], saved["steps"], saved["looks"]
    context.progress.start(config.steps, f"{config.agent} in {config.environment}")
    context.progress.advance(done)
    for t in range(done, config.steps):
        with torch.no_grad():
            q = setting.net(learner.q, read(setting, learner, o, luck))
            a = softmax_action(q, setting.temperature, uniforms(luck, (1,), device))
            u = uniforms(luck, (1, env.step_noise), device)
            after, r, terminal = env.transition(state, a, u)
            seen = env.observe(after)
            kept = state if config.agent == "perfect" else ()
            store(replay, t, Experience(o, a, r, seen, terminal, kept))
            state, _, _ = env.step(state, a, u)  # the same luck; where the episode ended, the next one begins
            o = seen if config.official_stale_observation else env.observe(state)
        if t >= config.warm_up:
            if t % config.copy_every == 0:
                learner = learner._replace(copy=learner.q)
            for _ in range(config.updates):
                learner = update(setting, learner, replay, t + 1, luck)
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
