"""The experiments of GoGePo, each with its tiers. Reduced settings stand here and nowhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from tutorlib.lab import Context, Experiment, Metrics, Tier, Trial, grid, rounded
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.gogepo.algorithm import VARIES, Sweep, Trained, sweep_commands, train
from tutorlib.papers.gogepo.baselines import SEARCH_VARIES, Ars, train_ars, train_single
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.contest import EPISODES, SMALL, Contest, reduced, run_contest
from tutorlib.papers.gogepo.contest import VARIES as CONTEST_VARIES
from tutorlib.papers.gogepo.dial import policy_plane, run_dial
from tutorlib.papers.gogepo.modes import VARIES as MODES_VARIES
from tutorlib.papers.gogepo.modes import Modes, run_modes
from tutorlib.papers.gogepo.terms import FEW, TUNING

DIGITS = 4
"""significant digits of a number in a record"""
STAGES = 10
"""parts of a run's steps, after each of which a sweep is recorded; the paper's code makes one each 10,000 steps"""


def run_commands(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Train generators and return what they made of their commands.

    Metrics: ``course``, one entry for each episode: ``steps`` in the environment up to its end, the ``command``, the
    ``returns`` of the perturbed policy, and after learning the mean returns, without noise, of the policy for the best
    return so far (``greedy``, and what V says of it: ``predicted``) and of the best policy so far (``champion``).
    ``sweeps``, one entry for each stage, the first before any learning: ``steps``, and for each of the ``commands`` the
    mean return ``achieved`` and ``predicted``. ``map``: see ``policy_map``.
    """
    trained = train(trials, context)
    return [_metrics(trained, i) for i in range(len(trials))]


def run_single(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Train one policy in place of a generator (PSSVF); metrics are those of ``run_commands``."""
    trained = train_single(trials, context)
    return [_metrics(trained, i) for i in range(len(trials))]


def run_ars(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Search at random (ARS) and return how far it came.

    Metrics: ``course``, one entry for each iteration: ``steps`` in the environment so far, the mean of the perturbed
    policies' ``returns``, the ``best`` of them so far, and the mean return of the policy itself (``greedy``).
    """
    log = train_ars(trials, context).log
    played = [int(count) for count in log.played.sum(dim=0)]
    return [
        {
            "course": {
                "steps": log.used[:count, i].tolist(),
                "returns": rounded(log.r[:count, i], DIGITS),
                "best": rounded(log.best[:count, i], DIGITS),
                "greedy": rounded(log.greedy[:count, i], DIGITS),
            }
        }
        for i, count in enumerate(played)
    ]


def _metrics(trained: Trained, i: int) -> Metrics:
    """Return the metrics of the run number ``i`` of those that ran side by side."""
    log, c = trained.log, trained.setting.config
    played = int(log.played[:, i].sum())
    names = {"command": "command", "r": "returns", "greedy": "greedy", "champion": "champion", "predicted": "predicted"}
    course = {new: rounded(getattr(log, old)[:played, i], DIGITS) for old, new in names.items()}
    stages = stages_of([int(sweep.used[i]) for sweep in trained.sweeps], c.steps)
    sweeps = [trained.sweeps[stage] for stage in stages]
    return {
        "course": {"steps": log.used[:played, i].tolist()} | course,
        "sweeps": {
            "steps": [int(sweep.used[i]) for sweep in sweeps],
            "commands": rounded(sweep_commands(c, log.r.device), DIGITS),
            "achieved": [rounded(sweep.achieved[i], DIGITS) for sweep in sweeps],
            "predicted": [rounded(sweep.predicted[i], DIGITS) for sweep in sweeps],
        },
        "map": policy_map(trained, sweeps, i),
    }


def stages_of(used: Sequence[int], steps: int) -> list[int]:
    """Return the places of the sweeps to record: of each tenth of ``steps`` the first that comes at it or later.

    ``used``: the steps before each sweep, in order. A run that was cut has its last sweep as its last stage.
    """
    places = []
    for stage in range(STAGES + 1):
        later = [place for place, so_far in enumerate(used) if so_far * STAGES >= stage * steps]
        places.append(later[0] if later else len(used) - 1)
    return list(dict.fromkeys(places))


def policy_map(trained: Trained, sweeps: Sequence[Sweep], i: int) -> Metrics:
    """Return what policies of run ``i`` do in the same states, on the plane in which those of the buffer differ most.

    Metrics: ``policies``, where up to ``ON_MAP`` policies of the buffer lie; their ``returns``; ``chains``, for each
    stage where the policies for rising commands lie, without noise; ``shares`` of the variance that the two axes hold.
    """
    mean, axes, shares, on_map = policy_plane(trained, i)
    return on_map | {
        "chains": [rounded((sweep.actions[i] - mean) @ axes, DIGITS) for sweep in sweeps],
        "shares": rounded(shares, DIGITS),
    }


PAPER = Config()
NOISE = replace(PAPER, command="first", evaluator_steps=0, generator_steps=0)
"""nothing is learned: deep policies at random, around one network that was never trained"""
LIVE = Config(
    steps=20_000, episodes=40, width=32, block=8, net_width=64, states=32, sigma=0.25, generator_lr=3e-4,
    sweep_every=20, sweep_episodes=4,
)  # fmt: skip
"""a policy of 32 units with noise as wide before each unit, a generator of 64, and a rate that moves it"""

MOUNTAINCAR = Experiment(
    name="gogepo.mountaincar",
    title="A generator of deep policies for MountainCarContinuous, asked for the best return so far and a little more",
    figure="return against steps, and the command sweep; MountainCarContinuous",
    run=run_commands,
    tiers={
        "live": Tier((LIVE,), seeds=(0,)),
        "paper": Tier((PAPER, NOISE), seeds=tuple(range(20))),
    },
    varies=VARIES,
)

SINGLE = Experiment(
    name="gogepo.single",
    title="One deep policy that climbs its value (PSSVF), in place of a generator",
    figure="none",
    run=run_single,
    tiers={
        "live": Tier((replace(LIVE, steps=5_000, episodes=10, sweep_every=10, generator_lr=1e-3),), seeds=(0,)),
        "tuning": Tier(grid(PAPER, generator_lr=(1e-5, 1e-4, 1e-3, 1e-2)), seeds=TUNING),
    },
    varies=VARIES,
)

SEARCH = Experiment(
    name="gogepo.ars",
    title="Augmented random search with the same deep policies",
    figure="return against steps; MountainCarContinuous",
    run=run_ars,
    tiers={
        "live": Tier((Ars(replace(LIVE, steps=16_000), iterations=4),), seeds=(0,)),
        "tuning": Tier(grid(Ars(PAPER), lr=(0.01, 0.03, 0.1, 0.3, 1.0), noise=(0.03, 0.1, 0.3)), seeds=TUNING),
    },
    varies=SEARCH_VARIES,
)
"""Its rates are unknown of the paper, so they are chosen on seeds of their own before it is compared."""

TUNED: Mapping[tuple[str, str], tuple[float, float]] = MappingProxyType(
    {("ars", "pend"): (0.1, 0.3), ("ars", "point"): (0.03, 0.1), ("ars", "cartup"): (0.03, 0.1)}
)
"""Of a method and a small world the rate and the noise, chosen on seeds of their own: see ``contest.Contest``.

Those of random search in cartup are to be chosen again: there a rate of 0.3 with a noise of 1, the largest that was
tried at first, is a little better than these, and a noise of 3 has not been tried.
"""
RATES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "ars": (0.01, 0.03, 0.1, 0.3, 1.0),
        "pssvf": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
        "ddpg": (1e-4, 3e-4, 1e-3, 3e-3),
        "udrl": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    }
)
"""that are tried of each method; those of GoGePo were fixed before, on no seed of these"""
NOISES: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {"ars": (0.03, 0.1, 0.3, 1.0, 3.0), "pssvf": (0.25,), "ddpg": (0.05, 0.1, 0.2, 0.4), "udrl": (0.1, 0.2, 0.4, 0.8)}
)


def contest(method: str, world: str) -> Contest:
    """Return the run of a method in a small world with what was chosen for it.

    GoGePo, and noise alone beside it, have the rate and the noise of ``reduced``, which were not chosen on any seed.
    Raises ``UsageError`` for a method that was not tuned.
    """
    base = reduced(world)
    if method in ("gogepo", "noise"):
        return Contest(method, base, base.generator_lr, base.sigma)
    if (method, world) not in TUNED:
        raise bad_argument("method", method, f"gogepo, noise, or one that was tuned in {world}")
    return Contest(method, base, *TUNED[method, world])


def _quick(method: str, world: str) -> Contest:
    """Return a run of which only its course is wanted."""
    base = replace(reduced(world), sweep_every=EPISODES, sweep_commands=2, sweep_episodes=1)
    return Contest(method, base, points=10)


STORED = Modes(replace(reduced("pend"), sweep_every=EPISODES, sweep_commands=2, sweep_episodes=1))
"""how policies are stored from which others learn: sweeps, at which nobody looks, are short"""

CONTEST = Experiment(
    name="gogepo.worlds",
    title="GoGePo, one policy, random search and noise alone, with the same deep policies in three small worlds",
    figure="return against steps, and the command sweep; small worlds of ours",
    run=run_contest,
    tiers={
        "live": Tier((Contest(base=replace(reduced("pend"), steps=16_000, episodes=160, sweep_every=40)),), seeds=(0,)),
        "tuning": Tier(
            tuple(
                config
                for world in SMALL
                for method in RATES
                for config in grid(_quick(method, world), lr=RATES[method], noise=NOISES[method])
            ),
            seeds=TUNING,
        ),
        "study": Tier(tuple(contest(method, world) for method in ("gogepo", "noise", "ars") for world in SMALL), FEW),
    },
    varies=CONTEST_VARIES,
)

SHOWN = replace(reduced("pend"), net_width=32)
"""a generator small enough to be carried by a page, five times"""
DIAL = Experiment(
    name="gogepo.dial",
    title="A small generator for the pendulum at five stages of training, to be asked by a reader",
    figure="none",
    run=run_dial,
    tiers={
        "live": Tier((replace(SHOWN, steps=16_000, episodes=160, sweep_every=160),), seeds=(0,)),
        "study": Tier((SHOWN,), seeds=(0,)),
    },
    varies=(),
)

MODES = Experiment(
    name="gogepo.modes",
    title="The evaluator's loss and regression on weights, on stored policies of one run and of two",
    figure="none: a claim of the introduction",
    run=run_modes,
    tiers={
        "live": Tier(
            (
                Modes(
                    replace(reduced("pend"), steps=16_000, episodes=160, sweep_every=160, sweep_commands=2),
                    rounds=20,
                    commands=11,
                ),
            ),
            seeds=(0,),
        ),
        "tuning": Tier(
            tuple(replace(STORED, lr=lr, regression_lr=lr) for lr in (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)), seeds=TUNING
        ),
    },
    varies=MODES_VARIES,
)

BALANCING = Config(environment="inverted-pendulum", episodes=2000, horizon=1000, sweep_every=100, sweep_episodes=1)
PENDULUM = Experiment(
    name="gogepo.pendulum",
    title="A generator of deep policies for InvertedPendulum, asked for the best return so far and a little more",
    figure="return against steps, and the command sweep; InvertedPendulum",
    run=run_commands,
    tiers={
        "live": Tier(
            (replace(LIVE, environment="inverted-pendulum", steps=2000, horizon=1000, states=50),), seeds=(0,)
        ),
        "paper": Tier(
            (BALANCING, replace(BALANCING, command="first", evaluator_steps=0, generator_steps=0)),
            seeds=tuple(range(10)),
        ),
    },
    varies=VARIES,
    cpu_only=True,
)
"""Needs the extra ``control``. Episodes are short until a policy balances: after 2,000 of them a run ends, too."""

EXPERIMENTS = (MOUNTAINCAR, SINGLE, SEARCH, CONTEST, MODES, PENDULUM, DIAL)
