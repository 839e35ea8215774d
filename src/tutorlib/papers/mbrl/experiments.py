"""The experiments of model-based generalisation, each with its tiers. Reduced settings stand here and nowhere else.

``mbrl.sets`` counts version spaces out, and ``mbrl.ensemble`` asks the same of networks; ``mbrl.offline``,
``mbrl.ablations`` and ``mbrl.dreams`` are the illustrative example, which learns from K random transitions of a small
flute; ``mbrl.online`` and ``mbrl.bugs`` are agents that act.
"""

from dataclasses import replace

from tutorlib.lab import Experiment, Tier, grid
from tutorlib.papers.mbrl.config import AGENTS, TUNED, Config
from tutorlib.papers.mbrl.ensemble import Ensemble
from tutorlib.papers.mbrl.measures import (
    ONLINE_VARIES,
    Sets,
    run_dreams,
    run_ensemble,
    run_offline,
    run_online,
    run_sets,
)
from tutorlib.papers.mbrl.offline import Offline

SEEDS = (0, 1, 2, 3, 4)
THREE = ("er", "simple", "perfect")
"""the agents of the illustrative example"""

FEW_SETS = Sets(models=20, transitions=12)
SETS = Experiment(
    name="mbrl.sets",
    title="What data leave of classes of models, and of the value functions that they induce",
    figure="Fig. 1, the theorem, counted out",
    run=run_sets,
    tiers={
        "live": Tier((*grid(FEW_SETS, more=(0, 1)), replace(FEW_SETS, bits=3)), seeds=(0,)),
        "study": Tier(
            (
                *grid(Sets(), bits=(2, 3, 4)),  # the number of factors
                Sets(bits=2, more=1),  # and the dial of structure
                Sets(bits=2, more=2),
                Sets(bits=3, more=1),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            (*grid(Sets(models=200), bits=(2, 3)), *grid(Sets(bits=2, models=200), more=(1, 2))), seeds=SEEDS
        ),
    },
)
"""The paper proves; nothing is counted there. Classes of more models than 2^20 cannot be listed."""

OFFLINE = Experiment(
    name="mbrl.offline",
    title="The illustrative example: Q of K random transitions of a flute against the exact q*",
    figure="the illustrative example; the paper's own is unknown",
    run=run_offline,
    tiers={
        "live": Tier(grid(Offline(transitions=60, updates=600, num_evals=3), agent=THREE), seeds=(0,)),
        "study": Tier(grid(Offline(), agent=THREE, transitions=(60, 200, 1000, 3000)), seeds=SEEDS),
        "paper": Tier(
            (
                *grid(Offline(updates=10_000), agent=AGENTS, transitions=(60, 200, 600, 1000, 3000)),
                *grid(Offline(pipes=5, updates=10_000), agent=AGENTS, transitions=(300, 1000, 3000)),
            ),
            seeds=tuple(range(30)),
        ),
    },
    varies=(),
)

ALONE = Offline(transitions=200)
ABLATIONS = Experiment(
    name="mbrl.ablations",
    title="Length of rollouts, width of the model, one step of the truth, logits for probabilities; K = 200",
    figure="none",
    run=run_offline,
    tiers={
        "live": Tier((replace(ALONE, agent="perfect", length=1, starts=320, updates=600, num_evals=3),), seeds=(0,)),
        "study": Tier(
            (
                # As many transitions in each update, from more starts: length 10 is in mbrl.offline.
                *(replace(ALONE, length=n, starts=320 // n) for n in (1, 2, 5, 20)),
                *(replace(ALONE, agent="perfect", length=n, starts=320 // n) for n in (1, 20)),
                *grid(ALONE, model_hidden=(20, 50, 200)),
                replace(ALONE, official_bernoulli_logit=True),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            (
                *(
                    replace(ALONE, agent=agent, updates=10_000, length=n, starts=320 // n)
                    for agent in ("simple", "gaussian", "categorical", "perfect")
                    for n in (1, 2, 5, 20)
                ),
                *grid(replace(ALONE, updates=10_000), model_hidden=(10, 20, 50, 200, 400)),
                replace(ALONE, updates=10_000, official_bernoulli_logit=True),
            ),
            seeds=tuple(range(30)),
        ),
    },
    varies=(),
)

DREAMS = Experiment(
    name="mbrl.dreams",
    title="What a simple model imagines while it learns, step by step",
    figure="none; the explorer",
    run=run_dreams,
    tiers={
        "live": Tier((Offline(updates=600, num_evals=3),), seeds=(0,)),
        "study": Tier((Offline(num_evals=10),), seeds=(0,)),
    },
    varies=(),
)

PERIODS = (25, 50, 100)
"""updates after which Q^- becomes Q, in the study of ensembles; with 5 or 10 few members fit on tuning seeds"""
RATE = 1e-3
"""of Q, of all ensembles: that with which members of tuning seeds fit the data best, with a model and without"""

ENSEMBLE = Experiment(
    name="mbrl.ensemble",
    title="How far apart networks are that fit the same pairs of a flute, with a model and without",
    figure="the illustrative example; the paper's own is unknown",
    run=run_ensemble,
    tiers={
        "live": Tier(grid(Ensemble(members=4, updates=600, num_evals=2), agent=("er", "simple")), seeds=(0,)),
        "tuning": Tier(
            grid(Ensemble(members=4, updates=2000, num_evals=4), agent=("er", "simple"), lr=(3e-4, 1e-3, 3e-3, 1e-2)),
            seeds=(1000, 1001),
        ),
        "study": Tier(
            tuple(
                Ensemble(agent, lr=RATE, target_period=period)
                for agent in ("er", "simple", "perfect")
                for period in (PERIODS if agent != "perfect" else (25,))
            ),
            seeds=tuple(range(10)),
        ),
        "paper": Tier(
            tuple(
                Ensemble(
                    agent, pipes=4, pairs=512, members=30, updates=10_000, num_evals=5, target_period=p, hidden=200
                )
                for agent in ("er", "simple", "perfect")
                for p in PERIODS
            ),
            seeds=tuple(range(30)),
        ),
    },
    varies=(),
)
"""The perfect model is the line that an ensemble with a model cannot be expected to pass; one period is enough."""

MAZE = Config(
    environment="maze",
    size=3,
    steps=2250,
    learning_starts=250,
    updates=1,
    target_period=100,
    lr=1e-3,
    model_lr=1e-3,
    temperature=0.5,
    capacity=10_000,
    hidden=64,
    eval_every=225,
)
"""much data: as many updates as with little data, 2,000, from four times as many steps"""
FLUTE = replace(MAZE, environment="flute", size=4, temperature=0.1)

LITTLE_MAZE, LITTLE_FLUTE = (
    replace(base, steps=750, updates=4, target_period=25, eval_every=75) for base in (MAZE, FLUTE)
)
"""little data: 4 updates in each step"""

WORLDS = {"flute": 4, "maze": 3, "buttons": 4}
"""sizes of the worlds at the study's tier; the paper's are ``PAPER_SIZES``"""
TEMPERATURES = {
    "maze": (0.1, 0.4, 1.6, 6.4),
    "flute": (0.0125, 0.05, 0.2, 0.8),
    "buttons": (0.0125, 0.05, 0.2, 0.8),
}
"""tried in each world, around what the paper chose for its own"""
RATES = (1e-4, 4e-4, 1.6e-3, 6.4e-3)


def control(environment: str, little: bool) -> Config:
    """Return the reduced setting of Fig. 4 in one world, with 21,000 or 20,000 updates: a fiftieth of the paper's.

    As in the paper, ten times fewer steps have ten times more updates each, and Q^- is copied every 100 updates. No
    evaluation comes before the first update.
    """
    much = Config(
        environment=environment,
        size=WORLDS[environment],
        steps=22_000,
        learning_starts=1000,
        capacity=22_000,
        hidden=64,
        model_lr=1e-3,
        eval_every=2200,
    )
    if not little:
        return much
    return replace(much, steps=2200, learning_starts=200, updates=10, target_period=10, eval_every=220)


def learners(environment: str) -> tuple[str, ...]:
    """Return the agents of the reduced setting: a latent model only where the simple one cannot say what happens.

    In ButtonGrid a success renews all bits at once, which independent bits cannot. The categorical model takes ten
    times longer than the simple one, and is left to the paper's tier.
    """
    return ("er", "simple", "perfect", *(["gaussian"] if environment == "buttons" else []))


def tuning() -> tuple[Config, ...]:
    """Return what each agent is tuned over, in each world and regime, for half as long as it then learns."""
    return tuple(
        config
        for environment in WORLDS
        for little in (True, False)
        for agent in learners(environment)
        for base in [control(environment, little)]
        for config in grid(
            replace(base, agent=agent, steps=base.steps // 2), lr=RATES, temperature=TEMPERATURES[environment]
        )
    )


PAPER_SIZES = {"maze": 4, "buttons": 10, "flute": 5}
"""of the main figure; those of buttons and flute are the code's defaults, for the figure's are unknown"""


def paper_config(agent: str, environment: str, little: bool) -> Config:
    """Return the paper's own setting, with its tuned rate and temperature."""
    rate, temperature = TUNED[agent, environment][int(little)]
    config = Config(agent, environment, PAPER_SIZES[environment], lr=rate, temperature=temperature)
    return replace(config, steps=100_000, updates=10, target_period=10, eval_every=50) if little else config


ONLINE = Experiment(
    name="mbrl.online",
    title="Replay, three learned models and a perfect one, in a maze and a flute, with much and with little data",
    figure="Fig. 4, without ButtonGrid",
    run=run_online,
    tiers={
        "live": Tier(
            grid(replace(LITTLE_MAZE, steps=500, eval_every=125, eval_length=60), agent=("er", "perfect")), seeds=(0,)
        ),
        "tuning": Tier(tuning(), seeds=(1000, 1001)),
        "study": Tier(
            tuple(c for base in (MAZE, LITTLE_MAZE, FLUTE, LITTLE_FLUTE) for c in grid(base, agent=AGENTS)), seeds=SEEDS
        ),
        "paper": Tier(
            tuple(
                paper_config(agent, environment, little)
                for agent in AGENTS
                for environment in PAPER_SIZES
                for little in (False, True)
            ),
            seeds=tuple(range(30)),
        ),
    },
    varies=ONLINE_VARIES,
)
"""One rate and one temperature for all agents here; the paper tunes both for each agent and environment."""

BUGS = Experiment(
    name="mbrl.bugs",
    title="Two faults of the paper's code: the stale observation, and logits for probabilities; little data",
    figure="none",
    run=run_online,
    tiers={
        "live": Tier(
            (replace(LITTLE_MAZE, agent="er", steps=500, eval_every=125, official_stale_observation=True),), seeds=(0,)
        ),
        "study": Tier(
            (
                *grid(replace(LITTLE_MAZE, official_stale_observation=True), agent=("er", "simple")),
                *(replace(c, agent="simple", official_bernoulli_logit=True) for c in (LITTLE_MAZE, LITTLE_FLUTE)),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            (
                *(
                    replace(paper_config(agent, "maze", little), official_stale_observation=True)
                    for agent in ("er", "simple", "gaussian", "categorical")
                    for little in (False, True)
                ),
                *(
                    replace(paper_config("simple", environment, little), official_bernoulli_logit=True)
                    for environment in PAPER_SIZES
                    for little in (False, True)
                ),
            ),
            seeds=tuple(range(30)),
        ),
    },
    varies=ONLINE_VARIES,
)
"""The same runs without the faults are in mbrl.online."""

EXPERIMENTS = (SETS, OFFLINE, ENSEMBLE, ABLATIONS, DREAMS, ONLINE, BUGS)
