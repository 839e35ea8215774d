"""The experiments of RC-GVF: one entry per figure, each with its tiers. Reduced settings stand here and nowhere else.

Every method is given the same number of weights beta, a factor of 5 apart around one that suits it, because R^i has
another scale in each of them. ``analysis.at_best`` takes the best of them.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from tutorlib.lab import Context, Experiment, Metrics, Tier, Trial, grid, rounded
from tutorlib.papers.rcgvf import recurrent
from tutorlib.papers.rcgvf.algorithm import Trained, farthest, greedy_returns, settings, train
from tutorlib.papers.rcgvf.chain import Chain, spread
from tutorlib.papers.rcgvf.config import VARIES, Config
from tutorlib.papers.rcgvf.fading import VARIES as FADING_VARIES
from tutorlib.papers.rcgvf.fading import Fading, fade
from tutorlib.papers.rcgvf.maze import LEFT, RIGHT, Maze, explore_maze
from tutorlib.shapes import Float, Tensor

DIGITS = 4
"""significant digits of a number in a record"""
EPISODES = 10
"""greedy episodes behind a return"""
LAMBDAS = tuple(round(0.1 * i, 1) for i in range(11))
"""at which the spread of targets is measured"""


def run_lock(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Train ``trials`` in the lock and return how far each came.

    Metrics, ``evals``: ``frames`` so far; ``farthest``, the farthest column in whose good rows any environment has been
    up to then; ``greedy``, the return of the most probable actions; and over the updates since the evaluation before,
    ``returns`` (per episode), ``bonus``, ``error`` and ``disagreement`` (means of a step) and ``reached``, the share of
    episodes that were in a good row of each column.
    """
    c, seeds = trials[0].config, [trial.seed for trial in trials]
    trained = train(trials, context, lambda state, done: greedy_returns(c, state, seeds, EPISODES))
    return [_course(c, trained, i) for i in range(len(trials))]


def _course(c: Config, trained: Trained, i: int) -> Metrics:
    """Return the metrics of the run number ``i`` of those that ran side by side."""
    every, log = c.updates // c.num_evals, trained.log
    episodes = every * c.frames / c.horizon
    evals: Metrics = {
        "frames": [every * (place + 1) * c.frames for place in range(c.num_evals)],
        "farthest": farthest(log.visits)[every - 1 :: every, i].tolist(),
        "greedy": rounded(torch.stack(trained.evals)[:, i], DIGITS),
    }
    for name in ("returns", "bonus", "error", "disagreement"):
        evals[name] = rounded(getattr(log, name)[:, i].view(c.num_evals, every).mean(dim=1), DIGITS)
    reached = log.visits[:, i].view(c.num_evals, every, c.horizon).sum(dim=1) / episodes
    return {"evals": evals | {"reached": rounded(reached, 3)}}


def run_dissipation(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Train predictors under a fixed policy and return what each update's bonus would be.

    Metrics, one entry for each update: ``bonus``, ``error`` and ``disagreement`` (means of a step, before learning from
    it). ``evals``, after some ``updates``: ``first``, what is predicted in the first column, d numbers.
    """
    faded = fade(trials, context)
    c = trials[0].config.learner
    return [
        {
            **{name: rounded(getattr(faded.log, name)[:, i], DIGITS) for name in ("bonus", "error", "disagreement")},
            "evals": {
                "updates": [c.updates // c.num_evals * (place + 1) for place in range(c.num_evals)],
                "first": rounded(torch.stack(faded.evals)[:, i], DIGITS),
            },
        }
        for i in range(len(trials))
    ]


def run_aliasing(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Walk through one of two corridors that look alike and return what both would pay.

    Metrics, ``evals``, after some ``walks``, 0 included: ``visited`` and ``unvisited``, of that corridor the mean bonus
    of a ``cell`` and that of its ``end``.
    """
    return [_paid(trial.config, explore_maze(trial.config, trial.seed, context)) for trial in trials]


def _paid(c: Maze, bonus: Float[Tensor, "evals arms time"]) -> Metrics:
    evals: Metrics = {"walks": [c.walks // c.num_evals * place for place in range(c.num_evals + 1)]}
    for name, arm in (("visited", LEFT), ("unvisited", RIGHT)):
        cells, end = bonus[:, arm, 1:-1], bonus[:, arm, -1]
        evals[name] = {"cell": rounded(cells.mean(dim=1), DIGITS), "end": rounded(end, DIGITS)}
    return {"evals": evals}


def run_spread(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Return how targets are spread around the true values of a chain, whatever the device.

    Metrics, one entry for each of ``lambdas``: ``bias``, squared, and ``variance``, both averaged over states.
    """
    spreads = [spread(trial.config, LAMBDAS, trial.seed) for trial in trials]
    return [
        {"lambdas": list(LAMBDAS), "bias": rounded(s.bias, DIGITS), "variance": rounded(s.variance, DIGITS)}
        for s in spreads
    ]


def run_minigrid(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Train ``trials`` in MiniGrid and return how often they succeeded.

    Metrics, ``evals``: ``frames`` so far; and over the updates since the evaluation before, ``episodes`` that ended,
    ``success``, the share of them that did so with success, ``returns``, their mean return (both 0 if none ended), and
    ``bonus``, what a step was paid besides, in the mean.
    """
    c, trained = trials[0].config, recurrent.train(trials, context)
    every = c.updates // c.num_evals
    metrics: list[Metrics] = []
    for i in range(len(trials)):
        episodes, successes, returns, bonus = (part[:, i].view(c.num_evals, every) for part in trained.log)
        total = episodes.sum(dim=1)
        evals = {
            "frames": [every * (place + 1) * c.frames for place in range(c.num_evals)],
            "episodes": total.long().tolist(),
            "success": rounded(successes.sum(dim=1) / total.clamp(min=1), DIGITS),
            "returns": rounded(returns.sum(dim=1) / total.clamp(min=1), DIGITS),
            "bonus": rounded(bonus.mean(dim=1), DIGITS),
        }
        metrics.append({"evals": evals})
    return metrics


SEEDS = (0, 1, 2, 3, 4)

RCGVF = Config(
    horizon=20, num_envs=64, num_steps=20, updates=96, minibatch_size=160, d=64, hidden_z=64, hidden=128,
    width=128, beta=100.0, num_evals=16,
)  # fmt: skip
"""A lock of 20 columns, 1.2e5 frames, networks half as wide as the released code's."""
RND = replace(RCGVF, method="rnd", beta=0.5, predictor_lr=0.25, hidden=64, layers=1)
"""With the released code's smaller and slower predictor."""
NOVELD = replace(RND, method="noveld", beta=1.0)
PPO = replace(RCGVF, method="ppo", beta=0.0)

LOCK = Experiment(
    name="rcgvf.lock",
    title="The diabolical lock: RC-GVF, RND and NovelD with three weights each, and PPO without a bonus",
    figure="the lock, farthest column over frames",
    run=run_lock,
    tiers={
        "live": Tier(tuple(replace(c, updates=48, num_evals=8) for c in (PPO, RND, RCGVF)), seeds=(0,)),
        "study": Tier(
            (
                PPO,
                *grid(RND, beta=(0.1, 0.5, 2.5)),
                *grid(NOVELD, beta=(0.2, 1.0, 5.0)),
                *grid(RCGVF, beta=(20.0, 100.0, 500.0)),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            tuple(replace(settings(method), num_evals=100) for method in ("ppo", "rnd", "noveld", "rcgvf")),
            seeds=tuple(range(10)),
        ),
    },
    varies=VARIES,
)
"""The paper's 100 columns are 20 here; its 10 seeds are as recalled, and its weight for NovelD is unknown."""

LARGE_RND = replace(RCGVF, bonus="norm", gamma_z=0.0, heads=1, beta=0.5)
"""RND whose predictor is as large and as fast as one of RC-GVF's: what a larger network alone does."""
# So that beta R^i is about the same under a fixed policy: at gamma_z = 0 the product is about a seventh of that at .6,
# and at .9 fifteen times it.
ABLATIONS = Experiment(
    name="rcgvf.ablations",
    title="RC-GVF in parts: no future, shorter and longer futures, error or disagreement alone, more predictors",
    figure="ablations, as recalled from the appendix",
    run=run_lock,
    tiers={
        "live": Tier((replace(RCGVF, gamma_z=0.0, beta=700.0, updates=48, num_evals=8),), seeds=(0,)),
        "study": Tier(
            (
                *grid(replace(RCGVF, gamma_z=0.0), beta=(140.0, 700.0, 3500.0)),
                *grid(LARGE_RND, beta=(0.1, 0.5, 2.5)),
                replace(RCGVF, gamma_z=0.3, beta=350.0),
                replace(RCGVF, gamma_z=0.9, beta=7.0),
                *grid(replace(RCGVF, bonus="error"), beta=(0.1, 0.5)),
                *grid(replace(RCGVF, bonus="variance"), beta=(0.6, 3.0)),
                replace(RCGVF, heads=4),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            (
                *(
                    replace(settings("rcgvf"), num_evals=100, gamma_z=gamma, beta=beta)
                    for gamma, beta in ((0.0, 60.0), (0.3, 45.0), (0.6, 20.0), (0.9, 1.5))
                ),
                replace(settings("rcgvf"), num_evals=100, bonus="error", beta=0.25),
                replace(settings("rcgvf"), num_evals=100, bonus="variance", beta=2.5),
            ),
            seeds=tuple(range(10)),
        ),
    },
    varies=VARIES,
)
"""At the paper tier the weights of parts are ours, for the paper's are unknown: each pays about as much as the released
one does under a fixed policy, on tuning seed 1000 over the first 40 updates at the released sizes."""

SHORT_LOCK = replace(
    RCGVF,
    horizon=8,
    actions=6,
    num_steps=8,
    updates=168,
    minibatch_size=128,
    d=32,
    hidden_z=32,
    hidden=64,
    width=64,
    num_evals=12,
)
"""A lock of 8 columns, which agents open within 8.6e4 frames."""
PASSES = Experiment(
    name="rcgvf.passes",
    title="RC-GVF with whole passes, and with those of the released code, half of which leave out the last step",
    figure="none; the released code",
    run=run_lock,
    tiers={
        "live": Tier((replace(SHORT_LOCK, passes="released", updates=24, num_evals=4),), seeds=(0,)),
        "study": Tier(grid(SHORT_LOCK, passes=("whole", "released")), seeds=tuple(range(10))),
        "paper": Tier(
            grid(replace(settings("rcgvf"), num_evals=100), passes=("whole", "released")), seeds=tuple(range(10))
        ),
    },
    varies=VARIES,
)
"""In a lock that is opened, so that the step which pays the prize counts."""

PREDICTORS = replace(RCGVF, updates=80, num_evals=2)
SHORT = replace(PREDICTORS, updates=40, num_evals=1)
SMALL = replace(PREDICTORS, predictor_lr=0.25, hidden=64, layers=1)
"""The predictor of RND."""
DISSIPATION = Experiment(
    name="rcgvf.dissipation",
    title="Predictors under a fixed policy: how error, disagreement, product and RND's bonus fall",
    figure="none; argued in the text",
    run=run_dissipation,
    tiers={
        "live": Tier(tuple(Fading(replace(SHORT, gamma_z=gamma)) for gamma in (0.0, 0.6)), seeds=(0,)),
        "study": Tier(
            (
                *(Fading(replace(PREDICTORS, gamma_z=gamma)) for gamma in (0.0, 0.3, 0.6, 0.9)),
                Fading(replace(SMALL, method="rnd")),
                # RND as the special case that it is.
                Fading(replace(SMALL, bonus="norm", gamma_z=0.0, heads=1)),
                # Another policy.
                *(Fading(replace(SHORT, gamma_z=gamma), right=0.9) for gamma in (0.0, 0.6)),
                # Another scale of Z.
                *(Fading(c, scale=scale) for c in (SHORT, replace(SMALL, method="rnd", updates=40, num_evals=1))
                  for scale in (0.5, 2.0)),
            ),
            seeds=SEEDS,
        ),
        # The released sizes of the lock, with a fixed policy in place of the agent.
        "paper": Tier(
            (
                *(Fading(replace(settings("rcgvf"), gamma_z=gamma, updates=1000)) for gamma in (0.0, 0.3, 0.6, 0.9)),
                Fading(replace(settings("rnd"), updates=1000)),
            ),
            seeds=tuple(range(10)),
        ),
    },
    varies=FADING_VARIES,
)  # fmt: skip

ALIASING = Experiment(
    name="rcgvf.aliasing",
    title="Two corridors that look alike, one of them never entered: what each bonus pays there",
    figure="none; argued in the text",
    run=run_aliasing,
    tiers={
        "live": Tier((Maze("rnd"), Maze()), seeds=(0,)),
        "study": Tier((Maze("rnd"), *grid(Maze(), memory=(True, False), gamma_z=(0.0, 0.6, 0.9))), seeds=SEEDS),
    },
)

TD_LAMBDA = Experiment(
    name="rcgvf.tdlambda",
    title="Bias and variance of the targets over lambda_z, on a chain whose values are known",
    figure="none",
    run=run_spread,
    cpu_only=True,
    tiers={
        "live": Tier((Chain(walks=1000),), seeds=(0,)),
        "study": Tier(grid(Chain(), gamma_z=(0.3, 0.6, 0.9)), seeds=SEEDS),
    },
)

GRID = recurrent.Config(task="KeyCorridorS3R1", d=64, updates=96, lr=1e-3, anneal=1e9, num_evals=12)
"""The smallest corridor with a key, 1.97e5 frames, predictors half as wide, a larger rate that hardly falls; the
environments of a seed, their steps, minibatches, epochs and entropy are the released code's."""
GRID_PPO = replace(GRID, method="ppo", beta=0.0)
GRID_AGAC = replace(GRID, method="agac", beta=0.0, predictor_lr=0.25, ent_coef=1e-4)
BLIND = (
    GRID_PPO,
    *grid(replace(GRID, method="rnd"), beta=(2e-3, 1e-2, 5e-2)),
    *grid(replace(GRID, method="noveld"), beta=(4e-3, 2e-2, 1e-1)),
    *grid(GRID_AGAC, adversary=(4e-4, 2e-3, 1e-2)),
    *grid(GRID, beta=(2.0, 10.0, 50.0)),
)
"""Methods that know nothing of counts, each bonus with three weights a factor of 5 apart. They bracket what the
released code pays for NovelD alone (``untrained``)."""

PAPER_SEEDS = tuple(range(10))
"""as recalled of the lock; the paper's number of seeds is unknown"""
FRAMES = {"KeyCorridorS4R3": 30_000_000, "ObstructedMaze-2Dlhb": 90_000_000}
"""of the tasks that the released scripts name; of a task that they do not name, as of the first"""


def released(method: str, task: str = "KeyCorridorS4R3") -> recurrent.Config:
    """Return the released settings of ``method`` with the task's frames: as many for all methods.

    The released scripts give 9e7 to PPO and to counts because they run them in the larger maze alone.
    """
    released = recurrent.settings(method, task)
    frames = FRAMES.get(task, FRAMES["KeyCorridorS4R3"])
    return replace(released, updates=10 * round(frames / released.frames / 10), anneal=float(frames), levels=LEVELS)


LEVELS = 16_384
"""levels of a bank, made before training; the released code makes a level for each episode, one by one on the host"""

MINIGRID = Experiment(
    name="rcgvf.minigrid",
    title="A corridor with a key: PPO, RND, NovelD, AGAC and RC-GVF, none of them told how often it was where",
    figure="MiniGrid without episodic counts, return over frames",
    run=run_minigrid,
    tiers={
        "live": Tier((replace(GRID, task="MultiRoom-N2-S4", updates=12, num_evals=4),), seeds=(0,)),
        "study": Tier(BLIND, seeds=SEEDS),
        "paper": Tier(
            tuple(replace(released(method), counts=False) for method in ("ppo", "rnd", "noveld", "agac", "rcgvf")),
            seeds=PAPER_SEEDS,
        ),
    },
    varies=VARIES,
)
"""The paper's tasks are larger (the released code names KeyCorridorS4R3), with 3e7 frames and more."""

PRIVILEGED = Experiment(
    name="rcgvf.privileged",
    title="A corridor with a key: PPO, NovelD and AGAC, told how often they were where, and RC-GVF with a panorama",
    figure="MiniGrid with episodic counts or a panorama, return over frames",
    run=run_minigrid,
    tiers={
        "live": Tier((replace(GRID, task="MultiRoom-N2-S4", panorama=True, updates=12, num_evals=4),), seeds=(0,)),
        "study": Tier(
            (
                *grid(replace(GRID_PPO, counts=True), beta_counts=(1e-3, 5e-3, 2.5e-2)),
                *grid(replace(GRID, method="noveld", counts=True), beta=(4e-3, 2e-2, 1e-1)),
                *grid(replace(GRID_AGAC, counts=True, adversary=5e-5), beta_counts=(1e-3, 5e-3, 2.5e-2)),
                *grid(replace(GRID, panorama=True), beta=(2.0, 10.0, 50.0)),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            tuple(
                replace(released(method, task), panorama=method == "rcgvf")
                for task in FRAMES
                for method in ("ppo", "noveld", "agac", "rcgvf")
            ),
            seeds=PAPER_SEEDS,
        ),
    },
    varies=VARIES,
)

ROOMS = Experiment(
    name="rcgvf.rooms",
    title="A chain of three rooms: PPO, RND, NovelD, AGAC and RC-GVF, none of them told how often it was where",
    figure="MiniGrid without episodic counts, where reward is rarely found by chance",
    run=run_minigrid,
    tiers={
        "live": Tier((replace(GRID, task="MultiRoom-N3-S6", updates=12, num_evals=4),), seeds=(0,)),
        "study": Tier(tuple(replace(c, task="MultiRoom-N3-S6", updates=192) for c in BLIND), seeds=SEEDS),
        "paper": Tier(
            tuple(
                replace(released(method, task), counts=False)
                for task in ("MultiRoom-N7-S8", "MultiRoom-N10-S10")
                for method in ("ppo", "rnd", "noveld", "agac", "rcgvf")
            ),
            seeds=PAPER_SEEDS,
        ),
    },
    varies=VARIES,
)
"""Three rooms of sides up to 6, the smallest chain we tried in which PPO alone learned nothing in 2e5 frames; they were
tried with eyes that lacked their last ReLU. At the paper tier it is the chains of the paper's list, as recalled, with
the released settings of KeyCorridorS4R3: their own, in the paper's appendix, are unknown."""

EXPERIMENTS = (LOCK, ABLATIONS, PASSES, DISSIPATION, ALIASING, TD_LAMBDA, MINIGRID, PRIVILEGED, ROOMS)
