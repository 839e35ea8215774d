"""The experiments of MetaGenRL, each with its tiers. Reduced settings stand here and nowhere else."""

from collections.abc import Sequence
from dataclasses import replace

from tutorlib.lab import Context, Experiment, Metrics, Tier, Trial, grid, rounded
from tutorlib.lab.batching import common
from tutorlib.papers.metagenrl import evolved, ppo
from tutorlib.papers.metagenrl.config import Config
from tutorlib.papers.metagenrl.model import INPUTS
from tutorlib.papers.metagenrl.training import VARIES, train, ways


def run_train(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Let populations learn an objective, and fresh agents learn with it.

    Metrics: ``returns``, by environment of the fresh agents and by way to learn (``training.ways``) those of each agent
    at the end, the mean of its last two episodes; ``evals``, at each of some ``iterations``, meta-training first:
    ``population``, by environment the mean return of its agents, ``alignment``, the mean cosine of -dL/da and dQ/da,
    ``fresh``, by environment and way the mean return, and ``loss``, the mean loss of alpha over its steps since the
    look before, 0 if there was none.
    """
    c: Config = common(trials, VARIES)
    trained = train(trials, context)
    looks = [x.double().cpu() for x in trained.looks]
    total, steps = (x.unflatten(0, (c.num_evals, -1)).sum(dim=1).double().cpu() for x in trained.log)
    loss = total / steps.clamp(min=1)
    metrics: list[Metrics] = []
    for i in range(len(trials)):
        population, fresh, cosine = (x[:, i] for x in looks)
        metrics.append(
            {
                "returns": {
                    env: {way: rounded(fresh[-1, e, w]) for w, way in enumerate(ways(c))}
                    for e, env in enumerate(c.test_environments)
                },
                "evals": {
                    "iterations": trained.iterations,
                    "population": {e: rounded(population[:, k].mean(dim=-1)) for k, e in enumerate(c.environments)},
                    "alignment": {e: rounded(cosine[:, k].mean(dim=-1)) for k, e in enumerate(c.environments)},
                    "loss": rounded(loss[:, i]),
                    "fresh": {
                        env: {way: rounded(fresh[:, e, w].mean(dim=-1)) for w, way in enumerate(ways(c))}
                        for e, env in enumerate(c.test_environments)
                    },
                },
            }
        )
    return metrics


MINUTE = Config(
    environments=("point", "pend"),
    agents=8,
    steps=900,
    test_agents=4,
    test_steps=800,
    num_evals=17,
    hidden=64,
    capacity=60 * 8 * 100,
    batch=16,
    window=10,
    gamma=0.95,
    scaled_advantages=True,
    critic_lr=3e-3,
    polyak=0.98,
    exploration=0.2,
    random_steps=100,
    hold=300,
    anneal=100,
    meta_starts=150,
    meta_lr=5e-3,
    average=0.95,
    inner_scale="normalised",
    inner_lr=0.3,
    scaled_gain=True,
    reset_every=50,
    reset=0.1,
    penalty=0.02,
    copies=8,
    kind="structured",
    objective_hidden=16,
    action_layers=2,
    other_layers=1,
    summary=8,
    memory=16,
    head_layers=0,
    second_order="product",
    time_limit_ends=False,
    initial="fan-in",
    last_scale=0.1,
    norm_epsilon=1e-5,
)
"""a population of a minute: each departure from the paper stands here"""

RATES = (3e-4, 1e-3, 3e-3, 1e-2)
"""of policies, among which that of each way to learn is chosen"""
TUNED = MINUTE
"""each way to learn at its best rate in the tuning tier; the study has five moments besides"""
SEEDS = tuple(range(10, 20))
"""of the studies: others than those of live runs that were looked at before"""
ALL = ("point", "pend", "cartup", "reach")
PAPER = Config(snapshots=5, num_evals=20)
"""The paper's sizes and rates in our environments."""

TRAIN = Experiment(
    name="metagenrl.train",
    title="An objective learnt on a point and a pendulum trains fresh agents on a cart and an arm",
    figure="Table 1 and Fig. 3, in small",
    run=run_train,
    tiers={
        "live": Tier((MINUTE,), seeds=(0,)),
        "tuning": Tier(
            tuple(replace(MINUTE, policy_lr=lr, gae_lr=lr, ddpg_lr=lr) for lr in RATES), seeds=(1000, 1001, 1002)
        ),
        "study": Tier((replace(TUNED, snapshots=5),), SEEDS),
        "paper": Tier((PAPER,), seeds=tuple(range(6))),
    },
    varies=VARIES,
)


def study(name: str, title: str, figure: str, configs: tuple[Config, ...]) -> Experiment:
    """Return an experiment whose study is of ``configs``, and whose live run is the first of them."""
    tiers = {"live": Tier(configs[:1], seeds=(0,)), "study": Tier(configs, SEEDS)}
    return Experiment(f"metagenrl.{name}", title, figure, run_train, tiers, VARIES)


LEFT_OUT = study(
    "left-out",
    "Each of four environments is left out of meta-training, and tests what was learnt on the others",
    "Table 1, in small",
    tuple(
        replace(TUNED, environments=tuple(env for env in ALL if env != out), test_environments=(out,), agents=12)
        for out in ALL
    ),
)
WITHOUT = (("value", "following"), ("value",), ("following",), ("time",))
ABLATED = study(
    "inputs",
    "The objective without values, without one of the two, and without the time",
    "Fig. 5",
    grid(TUNED, inputs=[tuple(name for name in INPUTS if name not in out) for out in WITHOUT]),
)
INNER = study(
    "inner",
    "The objective is learnt through three and five inner steps in place of one",
    "Fig. 6",
    grid(replace(TUNED, second_order="exact"), inner_steps=(3, 5)),
)
POPULATION = study(
    "population",
    "Fewer agents learn the objective: one in Point, or one and two in Point and in Pend",
    "the ablation of population size",
    (replace(TUNED, environments=("point",), agents=1), replace(TUNED, agents=2), replace(TUNED, agents=4)),
)


def run_evolved(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Evolve objectives, and let fresh agents learn with them.

    Metrics: ``returns``, as those of ``run_train``, by the ways of ``evolved.WAYS``; ``fitness``, the mean return of
    the members of each generation.
    """
    c: Config = common(trials, ()).base
    course = evolved.evolve(trials, context)
    returns = course.state.fresh.place.returns.mean(dim=(-1, -2)).double().cpu()
    returns = returns.unflatten(1, (len(c.test_environments), len(evolved.WAYS), c.test_agents))
    fitness = course.fitness.double().cpu()
    return [
        {
            "returns": {
                env: {way: rounded(returns[i, e, w]) for w, way in enumerate(evolved.WAYS)}
                for e, env in enumerate(c.test_environments)
            },
            "fitness": rounded(fitness[:, i]),
        }
        for i in range(len(trials))
    ]


ES = evolved.Evolved(TUNED)
"""as many steps of the environments as the population takes in meta-training"""
EVOLVED = Experiment(
    "metagenrl.evolved",
    "Evolution strategies over the same objective, at equal steps of the environments and at ten times as many",
    "EPG, in small",
    run_evolved,
    {
        "live": Tier((ES,), seeds=(0,)),
        "tuning": Tier(grid(ES, sigma=(0.03, 0.1, 0.3), es_lr=(0.01, 0.03, 0.1)), seeds=(1000, 1001, 1002)),
        "study": Tier(grid(ES, generations=(2, 20)), SEEDS),
    },
    VARIES,
)


def run_ppo(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Let fresh agents learn by PPO.

    Metrics: ``returns``, as those of ``run_train``, the only way being ``ppo``; ``evals``, after each rollout:
    ``steps`` of each copy, and ``fresh``, by environment the mean return.
    """
    c: ppo.PPO = common(trials, ())
    names = c.base.test_environments
    _, log = ppo.ppo(trials, context)
    returns = log.double().cpu().unflatten(2, (len(names), -1))
    return [
        {
            "returns": {name: {"ppo": rounded(returns[-1, i, e])} for e, name in enumerate(names)},
            "evals": {
                "steps": [c.rollout * (k + 1) for k in range(len(returns))],
                "fresh": {name: rounded(returns[:, i, e].mean(dim=-1)) for e, name in enumerate(names)},
            },
        }
        for i in range(len(trials))
    ]


ON_POLICY = ppo.PPO(TUNED, lr=1e-3)
"""at its best rate in the tuning tier"""
PPO = Experiment(
    "metagenrl.ppo",
    "Fresh agents learn by PPO in as many steps as others",
    "PPO of Table 1, in small",
    run_ppo,
    {
        "live": Tier((ON_POLICY,), seeds=(0,)),
        "tuning": Tier(grid(ppo.PPO(MINUTE), lr=(1e-4, *RATES)), seeds=(1000, 1001, 1002)),
        "study": Tier((ON_POLICY,), SEEDS),
    },
    VARIES,
)

EXPERIMENTS = (TRAIN, LEFT_OUT, ABLATED, INNER, POPULATION, EVOLVED, PPO)
