"""RC-GVF and what it is compared with in MiniGrid (2211.10282): agents that see 7 x 7 cells, and remember.

The algorithm is that of ``algorithm``; three things are new. Actor-critic and predictors have an LSTM, so a rollout
starts from what they remember, and learning goes back ``bptt`` steps from stored memories. The bonus may look all
round, at a panorama, which the policy never sees. And some methods are told how often the agent has been where it is in
this episode, N_ep, which it could not know.

Rewards are cut: R_t = clip(r_t + beta R^i_t, -1, 1). As in ``algorithm`` there is a leading axis of seeds, and what is
random is a function of (seed, update).

Where the released code has faults, this one has none of them: both learning rates are annealed; NovelD's predictor has
each observation's own target; and what the predictors are told of the step before is forgotten at the start of an
episode. Every second pass of the released code leaves out frames (``passes``), and its predictors' rate falls after
each minibatch, not after each update.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from einops import rearrange

from tutorlib.envs.minigrid import MiniGrid, MiniGridState
from tutorlib.envs.minigrid_rooms import TASKS
from tutorlib.envs.tensors import one_hot
from tutorlib.lab import Cell, Context
from tutorlib.lab.errors import MOST_SIZE, NonFiniteError, bad_argument, choose, expect_fields
from tutorlib.nn import Moments, no_moments, step_generator
from tutorlib.papers.rcgvf import memory as nets
from tutorlib.papers.rcgvf.algorithm import (
    Hyper,
    descend,
    dis,
    err,
    gumbel,
    hyper,
    intrinsic,
    repeat,
    shuffled,
    targets,
    uniform,
)
from tutorlib.papers.rcgvf.baselines import noveld_bonus, novelty
from tutorlib.papers.rcgvf.levels import bank, offered, places, ring
from tutorlib.papers.rcgvf.memory import MEMORY, Network, Predictor
from tutorlib.papers.rcgvf.passes import (
    expect_passes,
    kept,
    leaves_out,
    refreshed,
    segments,
    span,
    steps_before,
)
from tutorlib.rl import advantages, entropy, policy_loss, value_loss
from tutorlib.shapes import Bool, Float, Int, Tensor

METHODS = ("rcgvf", "rnd", "noveld", "agac", "ppo")


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
    envs: int = 16
    """P, environments of a seed"""
    steps: int = 128
    """T, steps of an environment between two updates"""
    updates: int = 14_650
    """3e7 frames"""
    minibatch: int = 256
    """frames of a minibatch, a divisor of T P and a multiple of ``bptt``"""
    bptt: int = 4
    """steps that gradients go back, a divisor of T"""
    epochs: int = 4
    """passes over the frames of an update"""
    rate: float = 2e-4
    """Adam's learning rate for the actor-critic"""
    predictor_rate: float = 0.75
    """that of predictors and adversary, as a multiple of ``rate``"""
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
    lam: float = 0.95
    """lambda of the generalised advantage estimate"""
    clip: float = 0.2
    """how far PPO's ratio and values may move and still gain"""
    entropy: float = 1e-5
    """weight of the policy's entropy"""
    value: float = 0.5
    """weight of the critic's loss"""
    largest: float = 0.5
    """largest norm of a gradient"""
    looks: int = 10
    """how often to stop and look, evenly spaced, the last update included"""
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
            counts=("updates", "epochs", "looks"),
            sizes=("levels", "envs", "steps", "minibatch", "bptt", "heads", "d"),
            most={"width": MOST_SIZE, "renew": MOST_SIZE},
            positive=("rate", "predictor_rate", "clip", "largest", "anneal"),
            not_negative=("beta", "beta_counts", "adversary", "alpha", "entropy", "value"),
            shares=("gamma_z", "lambda_z", "gamma", "lam"),
            endless=("anneal",),
            choices={"method": METHODS, "task": TASKS},
        )
        if self.steps % self.bptt:
            raise bad_argument("bptt", self.bptt, f"a divisor of steps={self.steps}")
        if self.frames % self.minibatch or self.minibatch % self.bptt:
            expected = f"a divisor of the {self.frames} frames of an update, and a multiple of bptt={self.bptt}"
            raise bad_argument("minibatch", self.minibatch, expected)
        if self.updates % self.looks:
            raise bad_argument("looks", self.looks, f"a divisor of updates={self.updates}")
        if self.method == "rcgvf" and self.heads < 2:
            raise bad_argument("heads", self.heads, "at least 2: one cannot disagree")
        expect_passes(self.passes, self.steps, self.bptt)
        _ = self.predictor  # it refuses sizes that cannot be

    @property
    def frames(self) -> int:
        """N = T P, frames of an update."""
        return self.steps * self.envs

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
    def bonus_net(self) -> Network | None:
        """What learns besides the actor-critic: predictors or adversary; None for PPO."""
        if self.method == "ppo":
            return None
        if self.method == "agac":
            return nets.adversary(self.channels)
        return self.predictor.network if self.method == "rcgvf" else self.z

    @property
    def bonus_memory(self) -> int:
        """Entries of its memory, 0 if it has none."""
        return {"rcgvf": self.predictor.memory, "agac": MEMORY}.get(self.method, 0)

    @property
    def held(self) -> int:
        """Updates whose levels are held at once, with ``renew``."""
        return places(TASKS[self.task].max_steps, self.steps)

    def env(self, device: torch.device, number: int = 0) -> MiniGrid:
        """The environment of update ``number``, on ``device``."""
        if self.renew:
            levels = ring(self.task, self.renew, number, self.held, device)
        else:
            levels = bank(self.task, self.levels, device)
        return MiniGrid(levels, TASKS[self.task].max_steps)


def settings(method: str, task: str = "KeyCorridorS4R3") -> Config:
    """Return the released code's settings of ``method``; raise ``UsageError`` for an unknown one.

    RND, NovelD, AGAC and PPO with counts have theirs; PPO without counts has PPO's without a bonus.
    """
    own: dict[str, dict[str, Any]] = {
        "rcgvf": {},
        "rnd": {"beta": 5e-4},
        "noveld": {"beta": 0.01, "counts": True},
        "agac": {"adversary": 5e-5, "beta_counts": 1e-3, "counts": True, "predictor_rate": 0.25, "entropy": 1e-4},
        "ppo": {"beta_counts": 0.1, "counts": True, "updates": 43_950, "anneal": 9e7},
    }
    return Config(method, task, **own[choose("method", method, METHODS)])


# Acting.


class State(NamedTuple):
    """All that changes while runs learn, and Z, which does not. PPO has networks of no weights beside its own."""

    e: MiniGridState
    """the environments, ``[seeds, envs]``"""
    fresh: Bool[Tensor, "seeds envs"]
    """whether an episode begins with the next step"""
    memory: Float[Tensor, "seeds envs 128"]
    """of the actor-critic"""
    bonus_memory: Float[Tensor, "seeds envs entries"]
    """of predictors or adversary"""
    before: Float[Tensor, "seeds envs 7"]
    """the action before, one-hot; zeros before the first step of an episode"""
    felt: Float[Tensor, "seeds envs d"]
    """the pseudo-rewards before; zeros before the first step of an episode"""
    theta: Float[Tensor, "seeds parameters"]
    """actor-critic"""
    theta_moments: Moments
    phi: Float[Tensor, "seeds weights"]
    """predictors or adversary"""
    phi_moments: Moments
    zeta: Float[Tensor, "seeds fixed"]
    """Z"""


class Noise(NamedTuple):
    """All that is random in an update."""

    gumbel: Float[Tensor, "seeds time envs 7"]
    """added to logits: the largest sum is then a sample of their softmax"""
    step: Float[Tensor, "seeds time envs 1"]
    """the environments'"""
    order: Int[Tensor, "seeds epochs segments"]
    """in which the passes go through segments of ``bptt`` frames"""


class Rollout(NamedTuple):
    """What happened in T steps; ``times`` includes o_T."""

    image: Tensor
    """uint8 [seeds, times, envs, 7, 7, 3], what the policy saw"""
    look: Tensor
    """uint8 [seeds, times, envs, 7, 7, channels], what the bonus sees"""
    fresh: Bool[Tensor, "seeds times envs"]
    memory: Float[Tensor, "seeds times envs 128"]
    """before each step"""
    logits: Float[Tensor, "seeds time envs 7"]
    actions: Int[Tensor, "seeds time envs"]
    v: Float[Tensor, "seeds times envs"]
    r: Float[Tensor, "seeds time envs"]
    ended: Bool[Tensor, "seeds time envs"]
    visits: Int[Tensor, "seeds time envs"]
    """N_ep, the present visit included"""


@torch.no_grad()
def rollout(
    c: Config, env: MiniGrid, state: State, noise: Noise
) -> tuple[Rollout, MiniGridState, Bool[Tensor, "seeds envs"], Float[Tensor, "seeds envs 128"]]:
    """Return what T steps of the policy bring, and environments, fresh starts and memory after them."""
    layers = nets.actor_critic().layers(state.theta)
    e, fresh, memory = state.e, state.fresh, state.memory
    found: dict[str, list[Tensor]] = {name: [] for name in Rollout._fields}

    def sense() -> tuple[Tensor, Tensor, Tensor]:
        image = env.image(e)
        found["image"].append(image)
        found["look"].append(env.panorama(e) if c.panorama else image)
        found["fresh"].append(fresh)
        found["memory"].append(memory)
        after = nets.lstm_step(layers[3:5], nets.features(layers, image), memory * (~fresh).unsqueeze(-1))
        y, v = nets.heads_of(layers, after.chunk(2, dim=-1)[0])
        found["v"].append(v)
        return y, v, after

    for t in range(c.steps):
        y, _, memory_after = sense()
        a = (y + noise.gumbel[:, t]).argmax(dim=-1)  # a_t ~ softmax(y)
        found["visits"].append(env.count(e))
        e, r, fresh = env.step(e, a, noise.step[:, t])  # begins a new episode by itself
        memory = memory_after
        for name, x in (("logits", y), ("actions", a), ("r", r), ("ended", fresh)):
            found[name].append(x)
    sense()
    return Rollout(**{name: torch.stack(x, dim=1) for name, x in found.items()}), e, fresh, memory


# What the bonus makes of a rollout.


class Curiosity(NamedTuple):
    """What predictors or adversary make of a rollout."""

    reward: Float[Tensor, "seeds time envs"]
    """beta R^i, and what is paid for counts"""
    more_advantage: Float[Tensor, "seeds time envs"]
    """AGAC's c (log pi - log pi_adv) of the action taken"""
    more_value: Float[Tensor, "seeds time envs"]
    """AGAC's c KL(pi || pi_adv)"""
    g: Float[Tensor, "seeds time envs heads d"]
    """targets of the predictors"""
    memory: Float[Tensor, "seeds times envs entries"]
    """of predictors or adversary, before each step"""
    before: Float[Tensor, "seeds times envs 7"]
    felt: Float[Tensor, "seeds times envs d"]


def told(first: Tensor, x: Float[Tensor, "seeds time envs n"], fresh: Bool[Tensor, "seeds times envs"]) -> Tensor:
    """Return x of the step before for T + 1 times, ``first`` before step 0, and zeros where an episode begins."""
    return torch.cat([first.unsqueeze(1), x], dim=1) * (~fresh).unsqueeze(-1)


@torch.no_grad()
def curiosity(c: Config, h: Hyper, state: State, past: Rollout) -> Curiosity:
    """Return rewards and targets from a rollout, before any learning from it."""
    look = past.look
    beta = h.beta.view(-1, 1, 1)
    root = past.visits.to(past.v.dtype).sqrt()
    share = root if c.counts else 1.0
    no_reward = torch.zeros_like(past.r)
    before = told(state.before, one_hot(past.actions, nets.ACTIONS), past.fresh)
    z = past.v.new_zeros(*look.shape[:3], 0)
    g, memory, felt = z[:, :-1].unsqueeze(-2), state.bonus_memory.unsqueeze(1), z
    if c.method == "ppo":
        reward = c.beta_counts / root if c.counts else no_reward
        return Curiosity(reward, no_reward, no_reward, g, memory.expand(-1, c.steps + 1, -1, -1), before, felt)
    net = c.bonus_net
    assert net is not None
    layers = net.layers(state.phi)
    if c.method == "agac":
        x = nets.features(layers, look[:, :-1])
        hidden, memory = nets.unroll(layers[3:5], x, past.fresh[:, :-1], state.bonus_memory)
        log_pi, log_adv = past.logits.log_softmax(-1), nets.adversary_logits(layers, hidden).log_softmax(-1)
        gap = log_pi - log_adv
        more = c.adversary * gap.gather(-1, past.actions.unsqueeze(-1)).squeeze(-1)
        kl = c.adversary * (log_pi.exp() * gap).sum(dim=-1)
        reward = c.beta_counts / root if c.counts else no_reward
        return Curiosity(reward, more, kl, g, memory, before, felt)
    z = nets.see_all(c.z.layers(state.zeta), look)
    if c.method == "rcgvf":
        felt = told(state.felt, z[:, :-1], past.fresh)
        x = c.predictor.taken_in(layers, look, before, felt)
        hidden, memories = nets.unroll(layers[6:8], x, past.fresh, state.bonus_memory)
        v = c.predictor.predictions(layers, hidden)
        now = v[:, :, :-1]
        g_k = targets(z[:, :-1], now, v[:, :, -1], past.ended, h.gamma_z, h.lambda_z)
        bonus = intrinsic("product", err(g_k, now), dis(now)) / share
        g = rearrange(g_k, "s k t p d -> s t p k d")
        # The one step more, at o_T, is taken again as the first of the next rollout.
        return Curiosity(beta * bonus, no_reward, no_reward, g, memories[:, :-1], before, felt)
    n = novelty(z, nets.see_all(layers, look))
    bonus = (n[:, :-1] if c.method == "rnd" else noveld_bonus(n, past.ended, c.alpha)) / share
    memory = memory.expand(-1, c.steps + 1, -1, -1)
    return Curiosity(beta * bonus, no_reward, no_reward, z[:, :-1].unsqueeze(-2), memory, before, felt)


class Batch(NamedTuple):
    """What is to be learned from: ``frames`` of a rollout, time by envs, or of n segments, n by ``bptt``.

    Memories, of which there is one for each of ``starts``, stand before each frame, or before each segment.
    """

    image: Tensor
    """uint8 ``[seeds, *frames, 7, 7, 3]``"""
    look: Tensor
    """uint8 ``[seeds, *frames, 7, 7, channels]``"""
    fresh: Bool[Tensor, "seeds *frames"]
    memory: Float[Tensor, "seeds *starts 128"]
    """of the actor-critic"""
    actions: Int[Tensor, "seeds *frames"]
    logits: Float[Tensor, "seeds *frames 7"]
    """before learning"""
    v: Float[Tensor, "seeds *frames"]
    """before learning; for AGAC V + c KL(pi || pi_adv)"""
    advantage: Float[Tensor, "seeds *frames"]
    returns: Float[Tensor, "seeds *frames"]
    """v + A"""
    g: Float[Tensor, "seeds *frames heads d"]
    bonus_memory: Float[Tensor, "seeds *starts entries"]
    """of predictors or adversary"""
    before: Float[Tensor, "seeds *frames 7"]
    felt: Float[Tensor, "seeds *frames d"]


def segmented(c: Config, frames: Batch, shifted: bool = False) -> Batch:
    """Return the frames of a rollout in segments, or in the shifted ones that leave some out (``passes``)."""
    own = span(c.steps, c.bptt, shifted)
    parts = Batch(*(segments(x[:, own], c.bptt) for x in frames))
    return parts._replace(memory=parts.memory[:, :, 0], bonus_memory=parts.bonus_memory[:, :, 0])


class Log(NamedTuple):
    """What is kept of each update, with ``*updates`` none or one axis."""

    episodes: Float[Tensor, "*updates seeds"]
    """how many ended"""
    successes: Float[Tensor, "*updates seeds"]
    """how many of them with success"""
    returns: Float[Tensor, "*updates seeds"]
    """sum of their returns: reward comes with the end alone"""
    bonus: Float[Tensor, "*updates seeds"]
    """mean of what is paid besides, before it is cut"""


@torch.no_grad()
def look_back(c: Config, h: Hyper, state: State, past: Rollout) -> tuple[Batch, Log, Curiosity]:
    """Return the frames to learn from, what is to be kept of a rollout, and what the bonus made of it."""
    found = curiosity(c, h, state, past)
    r = (past.r + found.reward).clamp(-1, 1)
    v = past.v[:, :-1]
    first = [x.transpose(0, 1) for x in (r, v, past.ended)]  # time first
    a = advantages(first[0], first[1], past.v[:, -1], first[2], c.gamma, c.lam).transpose(0, 1)
    # The released AGAC changes advantages and values after the estimate, and takes returns from both sums.
    advantage, v = a + found.more_advantage, v + found.more_value
    frames = Batch(
        image=past.image[:, :-1],
        look=past.look[:, :-1],
        fresh=past.fresh[:, :-1],
        memory=past.memory[:, :-1],
        actions=past.actions,
        logits=past.logits,
        v=v,
        advantage=advantage,
        returns=v + advantage,
        g=found.g,
        bonus_memory=found.memory[:, :-1],
        before=found.before[:, :-1],
        felt=found.felt[:, :-1],
    )
    sums = (past.ended, past.ended & (past.r > 0), past.r)
    episodes, successes, returns = (x.float().sum(dim=(1, 2)) for x in sums)
    return frames, Log(episodes, successes, returns, found.reward.mean(dim=(1, 2))), found


# Learning.


def unrolled(
    layers: nets.Layers, x: Tensor, fresh: Bool[Tensor, "seeds n bptt"], memory: Float[Tensor, "seeds n entries"]
) -> tuple[Float[Tensor, "seeds n bptt units"], Float[Tensor, "seeds n less entries"]]:
    """Return h of every frame of segments, from the memories before them, and the memory before all but the first."""
    h, memories = nets.unroll(layers, x.transpose(1, 2), fresh.transpose(1, 2), memory)
    return h.transpose(1, 2), memories[:, 1:-1].transpose(1, 2)


def policy_states(theta: Float[Tensor, "seeds parameters"], b: Batch) -> tuple[Tensor, Tensor]:
    """Return what ``unrolled`` does for the actor-critic."""
    layers = nets.actor_critic().layers(theta)
    return unrolled(layers[3:5], nets.features(layers, b.image), b.fresh, b.memory)


def bonus_states(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> tuple[Tensor, Tensor]:
    """Return what ``unrolled`` does for RC-GVF's predictor or AGAC's adversary."""
    if c.method == "agac":
        layers = nets.adversary(c.channels).layers(phi)
        return unrolled(layers[3:5], nets.features(layers, b.look), b.fresh, b.bonus_memory)
    layers = c.predictor.network.layers(phi)
    return unrolled(layers[6:8], c.predictor.taken_in(layers, b.look, b.before, b.felt), b.fresh, b.bonus_memory)


def policy_objective(c: Config, theta: Float[Tensor, "seeds parameters"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return PPO's loss over segments, the mean over their frames; advantages are not normalised."""
    logits, v = nets.heads_of(nets.actor_critic().layers(theta), policy_states(theta, b)[0])
    log_pi, old = logits.log_softmax(dim=-1), b.logits.log_softmax(dim=-1)
    ratio = (log_pi - old).gather(-1, b.actions.unsqueeze(-1)).squeeze(-1).exp()
    policy = policy_loss(ratio.flatten(1), b.advantage.flatten(1), c.clip)
    value = value_loss(v.flatten(1), b.v.flatten(1), b.returns.flatten(1), c.clip)
    return policy - c.entropy * entropy(log_pi.flatten(1, 2)) + c.value * value


def bonus_objective(c: Config, phi: Float[Tensor, "seeds weights"], b: Batch) -> Float[Tensor, "seeds"]:
    """Return the loss of predictors, a mean square, or of the adversary, E KL(pi || pi_adv)."""
    net = c.bonus_net
    assert net is not None
    layers = net.layers(phi)
    if c.method == "agac":
        log_adv = nets.adversary_logits(layers, bonus_states(c, phi, b)[0]).log_softmax(-1)
        log_pi = b.logits.log_softmax(-1)
        return (log_pi.exp() * (log_pi - log_adv)).sum(dim=-1).mean(dim=(1, 2))
    if c.method == "rcgvf":
        v = c.predictor.predictions(layers, bonus_states(c, phi, b)[0])
        return (rearrange(v, "s k n l d -> s n l k d") - b.g).square().mean(dim=(1, 2, 3, 4))
    return (nets.see_all(layers, b.look) - b.g.squeeze(-2)).square().mean(dim=(1, 2, 3))


@torch.no_grad()
def newer_memories(c: Config, theta: Tensor, phi: Tensor, b: Batch) -> tuple[Tensor, Tensor]:
    """Return the memories within segments that present weights make, of the actor-critic and of what the bonus has."""
    return policy_states(theta, b)[1], bonus_states(c, phi, b)[1] if c.bonus_memory else b.bonus_memory


def learn(c: Config, state: State, frames: Batch, order: Int[Tensor, "seeds epochs segments"], number: int) -> State:
    """Return the state after the passes over what update ``number`` brought."""
    theta, theta_moments, phi, phi_moments = state.theta, state.theta_moments, state.phi, state.phi_moments
    rate = c.rate * max(0.0, 1 - number * c.frames / c.anneal)
    first, size = number * c.epochs, c.minibatch // c.bptt
    step = steps_before(c.passes, first, c.frames // c.bptt, c.envs, size)
    batch = segmented(c, frames)
    for epoch in range(c.epochs):
        own_order, shifted = order[:, epoch], leaves_out(c.passes, first + epoch)
        if c.passes == "released":
            batch = segmented(c, frames, shifted)
        if shifted:
            own_order = kept(own_order, c.frames // c.bptt - c.envs)
        parts = [shuffled(x, own_order).split(size, dim=1) for x in batch]
        newer = []
        for part in zip(*parts, strict=True):
            b = Batch(*part)
            if c.passes == "released":
                newer.append(newer_memories(c, theta, phi, b))
            own = partial(policy_objective, c, b=b)
            theta, theta_moments = descend(own, theta, theta_moments, step, rate, c.largest)
            if c.method != "ppo":
                slow = c.predictor_rate * rate
                own = partial(bonus_objective, c, b=b)
                phi, phi_moments = descend(own, phi, phi_moments, step, slow, c.largest)
            step += 1
        if newer:
            memory, bonus_memory = (torch.cat(found, dim=1) for found in zip(*newer, strict=True))
            frames = frames._replace(memory=refreshed(frames.memory, memory, own_order, c.bptt, shifted))
            if c.bonus_memory:
                last = refreshed(frames.bonus_memory, bonus_memory, own_order, c.bptt, shifted)
                frames = frames._replace(bonus_memory=last)
    return state._replace(theta=theta.detach(), theta_moments=theta_moments, phi=phi.detach(), phi_moments=phi_moments)


def update(c: Config, env: MiniGrid, h: Hyper, state: State, noise: Noise, number: int) -> tuple[State, Log]:
    """Return the state after update ``number``, counted from 0: act, look back, learn."""
    past, e, fresh, memory = rollout(c, env, state, noise)
    frames, log, found = look_back(c, h, state, past)
    after = learn(c, state, frames, noise.order, number)._replace(
        e=e,
        fresh=fresh,
        memory=memory,
        bonus_memory=found.memory[:, -1],
        before=one_hot(past.actions[:, -1], nets.ACTIONS),
        felt=felt_last(c, state, past),
    )
    return after, log


@torch.no_grad()
def felt_last(c: Config, state: State, past: Rollout) -> Float[Tensor, "seeds envs d"]:
    """Return the pseudo-rewards of a rollout's last step, which the next one is told (RC-GVF)."""
    if c.method != "rcgvf":
        return state.felt
    return nets.see_all(c.z.layers(state.zeta), past.look[:, -2])


# Randomness, and the loop.


def draw_noise(c: Config, seeds: Sequence[int], number: int, device: torch.device) -> Noise:
    """Return the noise of update ``number``, each seed's from a generator of its own."""
    luck, step, order = [], [], []
    for seed in seeds:
        generator = step_generator(seed, number, device)
        luck.append(gumbel(generator, c.steps, c.envs, nets.ACTIONS))
        u = uniform(generator, c.steps, c.envs, 1)
        step.append(offered(u, number, c.held) if c.renew else u)
        order.append(uniform(generator, c.epochs, c.frames // c.bptt).argsort(dim=-1))
    return Noise(torch.stack(luck), torch.stack(step), torch.stack(order))


def initial_state(c: Config, env: MiniGrid, seeds: Sequence[int], device: torch.device) -> State:
    """Return the state before the first update."""
    theta, phi, zeta, start = [], [], [], []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        u = uniform(generator, c.envs, 1)
        start.append(offered(u, 0, c.held) if c.renew else u)
        theta.append(nets.actor_critic().initial(generator))
        zeta.append(c.z.initial(generator))
        phi.append(c.bonus_net.initial(generator) if c.bonus_net else torch.zeros(0))
    theta_, phi_, zeta_, start_ = (torch.stack(x).to(device) for x in (theta, phi, zeta, start))
    felt = c.d if c.method == "rcgvf" else 0
    memory, bonus_memory, before, felt_ = (
        torch.zeros(len(seeds), c.envs, n, device=device) for n in (MEMORY, c.bonus_memory, nets.ACTIONS, felt)
    )
    fresh = torch.ones(len(seeds), c.envs, dtype=torch.bool, device=device)
    moments = no_moments(theta_), no_moments(phi_)
    return State(
        env.start(start_), fresh, memory, bonus_memory, before, felt_, theta_, moments[0], phi_, moments[1], zeta_
    )


class Trained(NamedTuple):
    """What training leaves."""

    state: State
    log: Log
    """with a first axis of updates"""


def train(cells: Sequence[Cell], context: Context) -> Trained:
    """Train ``cells``, which may differ in seed, beta, gamma_z and lambda_z, side by side.

    The state is kept in the context's checkpoint at every look, and taken up from there. Raises ``UsageError`` for
    cells that cannot run as one batch, and ``NonFiniteError`` at the first look after which a bonus or a weight is not
    finite; the checkpoint then still holds the last finite state.
    """
    h, c, seeds = hyper(cells, context.device), cells[0].config, [cell.seed for cell in cells]
    env = c.env(context.device)

    def step(state: State, number: int) -> tuple[State, Log]:
        own = c.env(context.device, number) if c.renew else env
        return update(c, own, h, state, draw_noise(c, seeds, number, context.device), number)

    title, start = f"{c.method} in {c.task}, {len(cells)} side by side", initial_state(c, env, seeds, context.device)
    state, log, _ = repeat(c, context, title, start, step, Log, _unpack, partial(_refuse_non_finite, seeds))
    return Trained(state, log)


def _unpack(parts: list) -> State:
    own = State(*parts)
    return own._replace(
        e=MiniGridState(*own.e),
        theta_moments=Moments(*own.theta_moments),
        phi_moments=Moments(*own.phi_moments),
    )


def _refuse_non_finite(seeds: Sequence[int], log: Log, state: State) -> None:
    for name, x in (("the bonus", log.bonus.T), ("theta", state.theta), ("phi", state.phi)):
        bad = (~x.isfinite().all(dim=-1)).nonzero()
        if len(bad):
            raise NonFiniteError(
                f"{name} of seed {seeds[int(bad[0])]} by update {len(log.bonus)}: expected finite numbers; the last "
                f"finite checkpoint is kept, a smaller rate may help"
            )


__all__ = [
    "METHODS",
    "Batch",
    "Config",
    "Curiosity",
    "Log",
    "Noise",
    "Rollout",
    "State",
    "Trained",
    "bonus_objective",
    "bonus_states",
    "curiosity",
    "draw_noise",
    "felt_last",
    "initial_state",
    "learn",
    "look_back",
    "policy_objective",
    "policy_states",
    "rollout",
    "segmented",
    "settings",
    "told",
    "train",
    "unrolled",
    "update",
]
