"""What GoGePo is compared with, of methods that explore in actions and learn from single steps: DDPG and UDRL.

- DDPG (Lillicrap et al. 2016), here with the twin critics of ``rl.td3``: pi climbs Q along actions.
- UDRL (Schmidhuber 2019; Srivastava et al. 2019) with a command for the whole episode: pi(o, c) learns which action was
  taken where the episode got c. It explores with the best return so far and a little more, as GoGePo does.

Both play as many episodes in a round as GoGePo does, with noise on actions, see observations normalised alike, and then
take ``updates`` steps on batches of what they have met. Policies have the layers and units of GoGePo's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import column, common
from tutorlib.lab.errors import expect_fields
from tutorlib.lab.loop import repeat
from tutorlib.nn import Moments, adam_step, no_moments, slope, step_generator
from tutorlib.papers.gogepo.algorithm import kept_where
from tutorlib.papers.gogepo.buffer import recency_table
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.problem import Statistics, no_statistics, normalised, observed
from tutorlib.rl.td3 import ActorCritic, polyak, td3_targets, twin_loss
from tutorlib.shapes import Bool, Float, Int, Tensor

VARIES = ("lr", "noise")
"""Fields in which runs side by side may differ, besides the seed."""
ACTORS = ("ddpg", "udrl")


@dataclass(frozen=True)
class Acting:
    """One run."""

    method: str = "ddpg"
    """one of ``ACTORS``"""
    base: Config = field(default_factory=Config)
    """the world, the steps, the policy's layers, the drive, recency and evaluations"""
    lr: float = 1e-3
    """of the policy"""
    noise: float = 0.1
    """deviation of the noise on actions, in shares of the largest action"""
    updates: int = 100
    """steps of learning after each round of episodes"""
    batch: int = 64
    """transitions of such a step"""
    critic_lr: float = 1e-3
    gamma: float = 0.99
    keep: float = 0.99
    """share of a target that stays in a step"""

    def __post_init__(self) -> None:
        expect_fields(
            self, counts=("updates",), sizes=("batch",), positive=("lr", "critic_lr"), not_negative=("noise",),
            shares=("gamma", "keep"), choices={"method": ACTORS},
        )  # fmt: skip

    @property
    def nets(self) -> ActorCritic:
        """Policy and critics. UDRL's policy has the command as one more input, and no use for critics."""
        p = self.base.policy
        return ActorCritic(p.observations + (self.method == "udrl"), p.actions, self.base.width, self.base.layers,
                           normed=False, limit=p.limit)  # fmt: skip


class Met(NamedTuple):
    """All that was met, a ring of episodes that is written in place."""

    o: Float[Tensor, "runs episodes steps_and_one observations"]
    a: Float[Tensor, "runs episodes steps actions"]
    r: Float[Tensor, "runs episodes steps"]
    done: Float[Tensor, "runs episodes steps"]
    """1 where the episode ended, and not by time"""
    length: Int[Tensor, "runs episodes"]
    total: Float[Tensor, "runs episodes"]
    """the episodes' returns"""


class Learned(NamedTuple):
    """All that is learned."""

    phi: Float[Tensor, "runs policy"]
    w: Float[Tensor, "runs critics"]
    target_phi: Float[Tensor, "runs policy"]
    target_w: Float[Tensor, "runs critics"]
    phi_moments: Moments
    w_moments: Moments


class ActState(NamedTuple):
    """All that changes while runs learn."""

    learned: Learned
    met: Met
    statistics: Statistics
    best: Float[Tensor, "runs"]
    used: Int[Tensor, "runs"]


class ActLog(NamedTuple):
    """What each round of episodes tells."""

    r: Float[Tensor, "runs"]
    """mean return, with noise on actions"""
    used: Int[Tensor, "runs"]
    played: Bool[Tensor, "runs"]
    greedy: Float[Tensor, "runs"]
    """after learning, the mean return without noise; of UDRL for the best return so far"""


class Batch(NamedTuple):
    """Transitions, observations normalised."""

    o: Float[Tensor, "runs batch observations"]
    a: Float[Tensor, "runs batch actions"]
    r: Float[Tensor, "runs batch"]
    following: Float[Tensor, "runs batch observations"]
    done: Float[Tensor, "runs batch"]
    total: Float[Tensor, "runs batch"]
    """the return of the whole episode"""


class Outing(NamedTuple):
    """Episodes that were played."""

    met: Met
    statistics: Statistics


def act_out(
    env: Any,
    act: Callable[[Float[Tensor, "runs episodes observations"]], Float[Tensor, "runs episodes actions"]],
    statistics: Statistics,
    u: Float[Tensor, "runs episodes start_noise"],
    *,
    learn: bool = False,
) -> Outing:
    """Play episodes with ``act``, which is given normalised observations; ``learn``: these enter the statistics."""
    state = env.start(u)
    playing = torch.ones(u.shape[:2], dtype=torch.bool, device=u.device)
    seen, rows = [env.observe(state)], []
    for t in range(env.horizon):
        if learn:
            statistics = observed(statistics, seen[-1], playing)
        action = act(normalised(statistics, seen[-1]))
        state, reward, ended = env.advance(state, action)
        done = playing & ended if t + 1 < env.horizon else torch.zeros_like(playing)
        rows.append((action, torch.where(playing, reward, 0.0), done.to(reward.dtype), playing))
        seen.append(env.observe(state))
        playing = playing & ~ended
    a, r, done, on = (torch.stack(part, dim=2) for part in zip(*rows, strict=True))
    return Outing(Met(torch.stack(seen, dim=2), a, r, done, on.sum(dim=2), r.sum(dim=2)), statistics)


def drawn_batch(
    met: Met, statistics: Statistics, episode: Int[Tensor, "runs batch"], u: Float[Tensor, "runs batch"]
) -> Batch:
    """Return a transition of each ``episode``, drawn evenly from its steps by ``u``."""
    run = torch.arange(len(u), device=u.device).unsqueeze(-1)
    t = (u * met.length[run, episode]).long()
    o, following = (normalised(statistics, met.o[run, episode, at]) for at in (t, t + 1))
    a, r, done = (part[run, episode, t] for part in (met.a, met.r, met.done))
    return Batch(o, a, r, following, done, met.total[run, episode])


def ddpg_step(c: Acting, nets: ActorCritic, old: Learned, b: Batch, lr: Float[Tensor, "runs 1"], step: int) -> Learned:
    """Return what is learned after a step of the critics, and then of the policy along Q1(o, pi(o))."""
    y = td3_targets(b.r, b.done, nets.both(old.target_w, b.following, nets.act(old.target_phi, b.following)), c.gamma)
    g = slope(lambda w: twin_loss(nets.both(w, b.o, b.a), y, torch.ones_like(y)), old.w)
    w, w_moments = adam_step(old.w, old.w_moments, g, step, c.critic_lr)
    g = slope(lambda phi: -nets.q(w, b.o, nets.act(phi, b.o)).mean(dim=-1), old.phi)
    phi, phi_moments = adam_step(old.phi, old.phi_moments, g, step, lr)
    targets = polyak(old.target_phi, phi, c.keep), polyak(old.target_w, w, c.keep)
    return Learned(phi, w, *targets, phi_moments, w_moments)


def udrl_step(c: Acting, nets: ActorCritic, old: Learned, b: Batch, lr: Float[Tensor, "runs 1"], step: int) -> Learned:
    """Return what is learned after a step along (pi(o, c) - a)^2, c being the return that the episode got."""
    x = with_command(c, b.o, b.total)
    g = slope(lambda phi: (nets.act(phi, x) - b.a).square().sum(dim=-1).mean(dim=-1), old.phi)
    phi, moments = adam_step(old.phi, old.phi_moments, g, step, lr)
    return old._replace(phi=phi, phi_moments=moments)


def with_command(
    c: Acting, o: Float[Tensor, "runs batch observations"], command: Float[Tensor, "runs #batch"]
) -> Tensor:
    """Return observations and after them what the policy reads of a command, in units of return."""
    return torch.cat([o, c.base.input_for(command).unsqueeze(-1).expand(*o.shape[:-1], 1)], dim=-1)


class Acted(NamedTuple):
    """What a batch of runs leaves."""

    state: ActState
    log: ActLog
    """with a first axis of rounds"""


def train_actors(trials: Sequence[Trial], context: Context) -> Acted:
    """Learn, all trials side by side; a run whose steps are used up stays as it is."""
    c: Acting = common(trials, VARIES)
    base, nets, device, seeds = c.base, c.nets, context.device, [trial.seed for trial in trials]
    env, policy, hears = base.env, base.policy, c.method == "udrl"
    lr, noise = (column(trials, name, device).unsqueeze(-1) for name in VARIES)
    update = udrl_step if hears else ddpg_step
    table = recency_table(base.capacity, base.recency, device)

    def act(phi: Tensor, command: Tensor, eps: Tensor | None = None) -> Callable[[Tensor], Tensor]:
        count = iter(range(env.horizon))

        def chosen(x: Tensor) -> Tensor:
            a = nets.act(phi, with_command(c, x, command) if hears else x)
            if eps is not None:
                a = a + policy.limit * noise.unsqueeze(-1) * eps[:, next(count)]
            return a.clamp(-policy.limit, policy.limit)

        return chosen

    @torch.no_grad()
    def step(state: ActState, number: int) -> tuple[ActState, ActLog]:
        generators = [step_generator(seed, number, device) for seed in seeds]

        def drawn(*shape: int, normal: bool = False) -> Tensor:
            draw = torch.randn if normal else torch.rand
            return torch.stack([draw(shape, generator=g, device=device) for g in generators])

        u, eps = drawn(base.policies, env.start_noise), drawn(env.horizon, base.policies, policy.actions, normal=True)
        command = state.best + base.drive if number else torch.full_like(state.best, base.first_command)
        out = act_out(env, act(state.learned.phi, command.unsqueeze(-1), eps), state.statistics, u, learn=True)
        going = state.used < base.steps
        place = number * base.policies % base.capacity
        for kept, new in zip(state.met, out.met, strict=True):
            kept[:, place : place + base.policies] = kept_where(going, new, kept[:, place : place + base.policies])
        stored, newest = min((number + 1) * base.policies, base.capacity), (number + 1) * base.policies - 1
        which, when, learned = drawn(c.updates, c.batch), drawn(c.updates, c.batch), state.learned
        for i in range(c.updates):
            if hears:  # newer episodes more often, as GoGePo samples its policies
                back = torch.searchsorted(table[:stored], which[:, i] * table[stored - 1], right=True)
                episode = (newest - back.clamp(max=stored - 1)) % base.capacity
            else:
                episode = (which[:, i] * stored).long()
            batch = drawn_batch(state.met, out.statistics, episode, when[:, i])
            learned = update(c, nets, learned, batch, lr, number * c.updates + i)
        top = out.met.total.max(dim=1).values
        after = ActState(
            kept_where(going, learned, state.learned),
            state.met,
            kept_where(going, out.statistics, state.statistics),
            kept_where(going, torch.maximum(state.best, top) if number else top, state.best),
            state.used + torch.where(going, out.met.length.sum(dim=1), 0),
        )
        best = act(after.learned.phi, after.best.unsqueeze(-1))
        greedy = act_out(env, best, after.statistics, drawn(base.eval_episodes, env.start_noise)).met.total.mean(dim=1)
        return after, ActLog(out.met.total.mean(dim=1), after.used, going, greedy)

    start = _begin(c, seeds, device)
    course = repeat(step, start, base.rounds, context, title=f"{c.method} in {base.environment}", seeds=seeds,
                    log=ActLog, advice=f"a smaller lr than {c.lr} may help")  # fmt: skip
    return Acted(course.state, course.log)


def _begin(c: Acting, seeds: Sequence[int], device: torch.device) -> ActState:
    """Return a batch of runs before the first episode."""
    base, nets, runs = c.base, c.nets, len(seeds)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    phi, w = (
        torch.cat([net.initial_parameters(1, g, "fan-in") for g in generators]).to(device)
        for net in (nets.policy, nets.critic)
    )
    w = torch.cat(
        [w, torch.cat([nets.critic.initial_parameters(1, g, "fan-in") for g in generators]).to(device)], dim=1
    )
    size = base.capacity, base.horizon

    def zeros(*shape: int) -> Tensor:
        return torch.zeros(runs, *shape, device=device)

    met = Met(
        zeros(size[0], size[1] + 1, base.policy.observations), zeros(*size, base.policy.actions), zeros(*size),
        zeros(*size), zeros(size[0]).long(), zeros(size[0]),
    )  # fmt: skip
    learned = Learned(phi, w, phi, w, no_moments(phi), no_moments(w))
    return ActState(learned, met, no_statistics(runs, base.policy.observations, device), zeros(), zeros().long())


__all__ = [
    "ACTORS",
    "VARIES",
    "ActLog",
    "ActState",
    "Acted",
    "Acting",
    "Batch",
    "Learned",
    "Met",
    "Outing",
    "act_out",
    "ddpg_step",
    "drawn_batch",
    "train_actors",
    "udrl_step",
    "with_command",
]
