"""GoGePo: a generator of policies that is asked for a return, and for a little more each time (2207.01570).

::

    init rho, w; D = {}
    for each episode:
        c = best return so far + drive           (1 in the first episode)
        theta = G_rho(c / (r_max - r_min)) + sigma N(0, I)
        r = return of one episode of pi_theta    (theta, r) goes to D
        4 times:   w   descends along  L_V = E (V_w(theta) - r)^2
        19 times:  rho descends along  L_G = E (V_w(G_rho(r)) - r)^2

Noise is drawn once for an episode. Both losses sample D, newer pairs more often: L_G takes its commands from there, and
leaves w as it is.

Every tensor begins with an axis of runs, each with random numbers of its own, so that a batch of runs is what its runs
are one by one, up to rounding. A run whose steps are used up stays as it is, while others go on.

Beyond the paper: the best of all policies so far is kept, and looked at beside what the generator makes of the command
for its return. Evaluations come after each episode, not after 1,000 steps, and the last episode is played to its end.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar, cast, runtime_checkable

import torch
from torch.utils import _pytree as pytree

from tutorlib.lab import Context, Trial
from tutorlib.lab.batching import column, common
from tutorlib.lab.errors import bad_argument, checked
from tutorlib.lab.loop import repeat
from tutorlib.nn import Moments, adam_step, no_moments, slope, step_generator
from tutorlib.papers.gogepo.buffer import Buffer, recency_table, recency_weights, sample
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.model import Evaluator, Policy
from tutorlib.papers.gogepo.problem import WORLDS, Played, Statistics, no_statistics, play
from tutorlib.shapes import Bool, Float, Int, Tensor

VARIES = ("generator_lr", "sigma")
"""Fields in which runs side by side may differ, besides the seed."""
REFERENCES = 64
"""states in which policies of all stages are compared, normal numbers: normalised observations have these moments"""


@runtime_checkable
class Writer(Protocol):
    """What writes policies: ``Generator``, or what takes its place."""

    def initial(self, generator: torch.Generator) -> Float[Tensor, "generator"]:
        """Return rho before training."""

    def generate(
        self, rho: Float[Tensor, "runs generator"], c: Float[Tensor, "runs policies"]
    ) -> Float[Tensor, "runs policies weights"]:
        """Return a policy for each command."""


class Setting(NamedTuple):
    """What stays the same in a batch of runs."""

    config: Config
    policy: Policy
    generator: Writer
    evaluator: Evaluator
    lr: float | Float[Tensor, "runs 1"]
    """Adam's learning rate for rho"""
    sigma: float | Float[Tensor, "runs 1 1"]
    """deviation of the noise on weights"""


class Learner(NamedTuple):
    """All that is learned."""

    rho: Float[Tensor, "runs generator"]
    w: Float[Tensor, "runs evaluator"]
    rho_moments: Moments
    w_moments: Moments


class State(NamedTuple):
    """All that changes while runs learn."""

    learner: Learner
    buffer: Buffer
    statistics: Statistics
    """of all observations of training"""
    best: Float[Tensor, "runs"]
    """the best return so far"""
    champion: Float[Tensor, "runs weights"]
    """the policy that got it"""
    used: Int[Tensor, "runs"]
    """steps in the environment so far"""


class Log(NamedTuple):
    """What each episode tells."""

    command: Float[Tensor, "runs"]
    """what was asked for"""
    r: Float[Tensor, "runs"]
    """what the perturbed policy got; of several side by side the mean"""
    used: Int[Tensor, "runs"]
    """steps in the environment so far"""
    played: Bool[Tensor, "runs"]
    """whether there was an episode: not if the run's steps were used up before"""
    greedy: Float[Tensor, "runs"]
    """after learning, the mean return of G(best), without noise"""
    champion: Float[Tensor, "runs"]
    """the same for the best policy so far"""
    predicted: Float[Tensor, "runs"]
    """V(G(best))"""


def nothing(state: State) -> Log:
    """Return the log of an episode that no run plays any more."""
    zero = torch.zeros_like(state.best)
    return Log(zero, zero, state.used, torch.zeros_like(zero, dtype=torch.bool), zero, zero, zero)


class Draws(NamedTuple):
    """What is random in an episode."""

    start: Float[Tensor, "runs policies 1 start_noise"]
    noise: Float[Tensor, "runs policies weights"]
    """of the weights"""
    batches: Float[Tensor, "runs updates batch"]
    """which policies are sampled, for the evaluator's steps and then for the generator's"""
    starts: Float[Tensor, "runs 1 episodes start_noise"]
    """of the evaluation; both policies have the same"""


# Learning


@checked()
def evaluator_loss(
    setting: Setting,
    w: Float[Tensor, "runs evaluator"],
    theta: Float[Tensor, "runs batch weights"],
    r: Float[Tensor, "runs batch"],
) -> Float[Tensor, "runs"]:
    """L_V: the mean of (V_w(theta) - r)^2, whose minimum is the conditional mean, the expected return of theta."""
    return (setting.evaluator.value(w, theta) - setting.config.target(r)).square().mean(dim=-1)  # gogepo-idea-losses


@checked()
def generator_loss(
    setting: Setting,
    rho: Float[Tensor, "runs generator"],
    w: Float[Tensor, "runs evaluator"],
    r: Float[Tensor, "runs batch"],
) -> Float[Tensor, "runs"]:
    """L_G: the mean of (V_w(G_rho(r)) - r)^2: whoever is asked for r shall write a policy that is expected to get r."""
    theta = setting.generator.generate(rho, setting.config.input_for(r))
    return (setting.evaluator.value(w, theta) - setting.config.target(r)).square().mean(dim=-1)  # gogepo-idea-losses


def evaluator_step(setting: Setting, learner: Learner, theta: Tensor, r: Tensor, step: int | Tensor) -> Learner:
    """Return the learner after a step of Adam along L_V; ``step``: such steps before this one."""
    g = slope(lambda w: evaluator_loss(setting, w, theta, r), learner.w)
    w, moments = adam_step(learner.w, learner.w_moments, g, step, setting.config.evaluator_lr)
    return learner._replace(w=w, w_moments=moments)


def generator_step(setting: Setting, learner: Learner, r: Tensor, step: int | Tensor) -> Learner:
    """Return the learner after a step of Adam along L_G; ``step``: such steps before this one."""
    g = slope(lambda rho: generator_loss(setting, rho, learner.w, r), learner.rho)
    rho, moments = adam_step(learner.rho, learner.rho_moments, g, step, setting.lr)
    return learner._replace(rho=rho, rho_moments=moments)


def learn(
    setting: Setting,
    learner: Learner,
    buffer: Buffer,
    table: Tensor,
    number: int,
    u: Float[Tensor, "runs updates batch"],
    of_evaluator: Callable[..., Learner] = evaluator_step,
    of_generator: Callable[..., Learner] = generator_step,
) -> Learner:
    """Return the learner after the updates that follow round ``number``, from 0; ``u`` are uniforms.

    ``of_evaluator``, ``of_generator``: the steps, or the steps compiled.
    """
    c, device, newest = setting.config, learner.rho.device, (number + 1) * setting.config.policies - 1

    def before(each: int, so_far: int) -> Tensor:  # as a tensor, for which a compiled step is not compiled anew
        return torch.full((), number * each + so_far, dtype=torch.double, device=device)

    for i in range(c.evaluator_steps):
        theta, r = sample(buffer, table, newest, u[:, i])
        learner = of_evaluator(setting, learner, theta, r, before(c.evaluator_steps, i))
    for j in range(c.generator_steps):
        _, r = sample(buffer, table, newest, u[:, c.evaluator_steps + j])
        learner = of_generator(setting, learner, r, before(c.generator_steps, j))
    return learner


# Runs


def begin(config: Config, seeds: Sequence[int], device: torch.device) -> tuple[Setting, State]:
    """Return a batch of runs before the first episode."""
    return begin_with(config.generator, config, seeds, device)


def begin_with(writer: Writer, config: Config, seeds: Sequence[int], device: torch.device) -> tuple[Setting, State]:
    """Return a batch of runs before the first episode, whose policies ``writer`` writes."""
    setting = Setting(config, config.policy, writer, config.evaluator, config.generator_lr, config.sigma)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    rho, w = (
        torch.stack([net.initial(g) for g in generators]).to(device) for net in (setting.generator, setting.evaluator)
    )
    runs, n = len(seeds), setting.policy.size
    zeros = torch.zeros(runs, device=device)
    state = State(
        Learner(rho, w, no_moments(rho), no_moments(w)),
        Buffer(torch.zeros(runs, config.capacity, n, device=device), torch.zeros(runs, config.capacity, device=device)),
        no_statistics(runs, setting.policy.observations, device),
        best=zeros,
        champion=torch.zeros(runs, n, device=device),
        used=zeros.long(),
    )
    return setting, state


def drawn(setting: Setting, generators: Sequence[torch.Generator], device: torch.device) -> Draws:
    """Return what is random in a round of episodes, each run's from its own generator."""
    c, noise = setting.config, setting.config.env.start_noise
    updates = c.evaluator_steps + c.generator_steps
    parts = [
        (
            torch.rand(c.policies, 1, noise, generator=g, device=device),
            torch.randn(c.policies, setting.policy.size, generator=g, device=device),
            torch.rand(updates, c.batch, generator=g, device=device),
            torch.rand(1, c.eval_episodes, noise, generator=g, device=device),
        )
        for g in generators
    ]
    return Draws(*(torch.stack(part) for part in zip(*parts, strict=True)))


def explored(setting: Setting, state: State, number: int, draws: Draws) -> tuple[Tensor, Tensor, Played]:
    """Return the command of round ``number``, the perturbed policies that were written for it, and their episodes.

    The first episode shows observations as they are, for there are no statistics yet; from then on each step's
    observation enters them before the policy sees it.
    """
    c = setting.config
    asking = c.command == "best" and number > 0
    command = state.best + c.drive if asking else torch.full_like(state.best, c.first_command)
    theta = setting.generator.generate(state.learner.rho, c.input_for(command.unsqueeze(-1)))
    theta = theta + setting.sigma * draws.noise
    played = play(c.env, setting.policy, theta, state.statistics, draws.start, normalise=number > 0, learn=True)
    return command, theta, played


def looked_at(setting: Setting, state: State, draws: Draws) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean returns of G(best) and of the best policy so far, from equal starts, and V(G(best))."""
    c = setting.config
    greedy = setting.generator.generate(state.learner.rho, c.input_for(state.best.unsqueeze(-1)))
    both = torch.cat([greedy, state.champion.unsqueeze(1)], dim=1)
    starts = draws.starts.expand(-1, 2, -1, -1)
    means = play(c.env, setting.policy, both, state.statistics, starts).returns.mean(dim=-1)
    return means[:, 0], means[:, 1], c.expected(setting.evaluator.value(state.learner.w, greedy)[:, 0])


T = TypeVar("T")


def kept_where(going: Bool[Tensor, "runs"], new: T, old: T) -> T:
    """Return ``new`` for runs that are going on and ``old`` for the others: tensors, or NamedTuples of them."""
    choice = pytree.tree_map(lambda x, y: torch.where(going.view(-1, *(1,) * (x.dim() - 1)), x, y), new, old)
    return cast(T, choice)


@checked()
def ask(
    setting: Setting, rho: Float[Tensor, "runs generator"], commands: Sequence[float]
) -> Float[Tensor, "runs commands weights"]:
    """Return the policies that generators write for ``commands``, in units of return, without noise.

    Raises ``UsageError`` for a command that is not finite, and for no commands.
    """
    if not commands:
        raise bad_argument("commands", list(commands), "at least one command")
    c = setting.config.input_for(torch.tensor(commands, dtype=rho.dtype, device=rho.device))
    return setting.generator.generate(rho, c.expand(len(rho), -1))


class Sweep(NamedTuple):
    """What a generator makes of commands all over the range of returns."""

    used: Int[Tensor, "runs"]
    """steps in the environment before"""
    achieved: Float[Tensor, "runs commands"]
    """mean returns, without noise"""
    predicted: Float[Tensor, "runs commands"]
    """V(G(c))"""
    actions: Float[Tensor, "runs commands places"]
    """what these policies do in the reference states"""


def sweep_commands(c: Config, device: torch.device) -> Float[Tensor, "commands"]:
    """Return the commands of a sweep, from r_min to r_max."""
    world = WORLDS[c.environment]
    return torch.linspace(world.low, world.high, c.sweep_commands, device=device)


def reference_states(setting: Setting, device: torch.device) -> Float[Tensor, "1 1 places observations"]:
    """Return the states in which policies are compared, the same for all runs and stages."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, 1, REFERENCES, setting.policy.observations, generator=generator).to(device)


@torch.no_grad()
def swept(setting: Setting, state: State, seeds: Sequence[int], number: int) -> Sweep:
    """Return what the generator makes of each command after ``number`` episodes; all commands have equal starts."""
    c, device = setting.config, state.best.device
    commands = sweep_commands(c, device).expand(len(seeds), -1)
    theta = setting.generator.generate(state.learner.rho, c.input_for(commands))
    # Not the generators of the episodes, which are numbered likewise.
    generators = [step_generator(seed, c.episodes + number, device) for seed in seeds]
    shape = (1, c.sweep_episodes, c.env.start_noise)
    u = torch.stack([torch.rand(shape, generator=g, device=device) for g in generators])
    seen = play(
        c.env, setting.policy, theta, state.statistics, u.expand(-1, c.sweep_commands, -1, -1), normalise=number > 0
    )
    actions = setting.policy.act(theta, reference_states(setting, device).expand(len(seeds), -1, -1, -1)).flatten(2)
    predicted = c.expected(setting.evaluator.value(state.learner.w, theta))
    return Sweep(state.used, seen.returns.mean(dim=-1), predicted, actions)


class Trained(NamedTuple):
    """What a batch of runs leaves."""

    setting: Setting
    state: State
    log: Log
    """with a first axis of rounds"""
    sweeps: list[Sweep]
    """before the first episode, and after each ``sweep_every`` of them"""


def train(
    trials: Sequence[Trial],
    context: Context,
    begin: Callable[[Config, Sequence[int], torch.device], tuple[Setting, State]] = begin,
    generator_step: Callable[..., Learner] = generator_step,
) -> Trained:
    """Run ``trials`` side by side; for what is kept, and for runs that diverge, see ``lab.loop.repeat``.

    ``begin`` and ``generator_step``: others, for a baseline.
    """
    c, device = common(trials, VARIES), context.device
    seeds = [trial.seed for trial in trials]
    setting, start = begin(c, seeds, device)
    rates, deviations = (column(trials, name, device).unsqueeze(-1) for name in VARIES)
    setting = setting._replace(lr=rates, sigma=deviations.unsqueeze(-1))
    table = recency_table(c.capacity, c.recency, device)
    of_evaluator, of_generator = context.compiled(evaluator_step), context.compiled(generator_step)
    first = swept(setting, start, seeds, 0)
    over = False  # a look says when all runs have used up their steps; what follows would change nothing

    @torch.no_grad()
    def step(state: State, number: int) -> tuple[State, Log]:
        if over:
            return state, nothing(state)
        draws = drawn(setting, [step_generator(seed, number, device) for seed in seeds], device)
        going = state.used < c.steps
        command, theta, played = explored(setting, state, number, draws)
        r = (played.returns - WORLDS[c.environment].bonus * played.steps)[..., 0]
        place = number * c.policies % c.capacity
        stored = slice(place, place + c.policies)
        state.buffer.theta[:, stored] = kept_where(going, theta, state.buffer.theta[:, stored])
        state.buffer.r[:, stored] = kept_where(going, r, state.buffer.r[:, stored])
        best, which = r.max(dim=1)
        champion = theta.gather(1, which[:, None, None].expand(-1, 1, theta.shape[-1])).squeeze(1)
        better = going & ((best > state.best) | (number == 0))
        learner = learn(setting, state.learner, state.buffer, table, number, draws.batches, of_evaluator, of_generator)
        after = State(
            kept_where(going, learner, state.learner),
            state.buffer,
            kept_where(going, played.statistics, state.statistics),
            kept_where(better, best, state.best),
            kept_where(better, champion, state.champion),
            state.used + torch.where(going, played.steps.sum(dim=(1, 2)), 0),
        )
        return after, Log(command, r.mean(dim=1), after.used, going, *looked_at(setting, after, draws))

    def look(state: State, done: int) -> Tensor:
        nonlocal over
        over = bool((state.used >= c.steps).all())
        used, *rest = swept(setting, state, seeds, done * c.policies)
        return torch.cat([used.to(rest[0].dtype).unsqueeze(-1), *(x.flatten(1) for x in rest)], dim=-1)

    course = repeat(
        step,
        start,
        c.rounds,
        context,
        title=f"commanding in {c.environment}",
        seeds=seeds,
        eval_every=c.sweep_every // c.policies,
        evaluate=look,
        log=Log,
        advice=f"a smaller generator_lr than {c.generator_lr} may help",
    )
    return Trained(setting, course.state, course.log, [first, *(_unpacked(c, x) for x in course.evals)])


def _unpacked(c: Config, seen: Float[Tensor, "runs numbers"]) -> Sweep:
    """Return a sweep from its numbers in one row for each run."""
    n = c.sweep_commands
    used, achieved, predicted, actions = seen.split([1, n, n, seen.shape[-1] - 1 - 2 * n], dim=-1)
    return Sweep(used.squeeze(-1).long(), achieved, predicted, actions.unflatten(-1, (n, -1)))


__all__ = [
    "Buffer",
    "Config",
    "Draws",
    "Learner",
    "Log",
    "Setting",
    "State",
    "Sweep",
    "Trained",
    "Writer",
    "ask",
    "begin",
    "begin_with",
    "drawn",
    "evaluator_loss",
    "evaluator_step",
    "explored",
    "generator_loss",
    "generator_step",
    "learn",
    "looked_at",
    "recency_table",
    "recency_weights",
    "reference_states",
    "sample",
    "sweep_commands",
    "swept",
    "train",
]
