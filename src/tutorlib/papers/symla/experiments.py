"""The experiments of SymLA: one entry per figure, each with its tiers. Reduced settings stand here and nowhere else.

Every run is one ``Config`` and one seed: meta-train, then live many lifetimes with theta fixed in the environments of
``problem.tests``. Meta-test lifetimes are as long as those of meta-training and come from noise of their own.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from tutorlib.envs import BernoulliBandit, Environment
from tutorlib.lab import Context, Experiment, Metrics, Tier, Trial, grid, rounded
from tutorlib.lab.batching import common
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.symla import baselines, game, problem
from tutorlib.papers.symla.algorithm import Config, Life, draw_noise, lifetime, meta_train
from tutorlib.papers.symla.model import MetaRNN
from tutorlib.shapes import Float, Tensor

LIFETIMES = 300
"""lifetimes behind a final number"""
FEW = 100
"""lifetimes behind each point of a curve during meta-training, and behind each of many orders"""
PIECES = 20
"""points of a curve over a lifetime, where a lifetime has more steps"""
POLE_LIFE = 400
"""steps of a life on CartPole of an agent from a grid: long enough to fall, to learn and to show it"""
TEST, EVAL = 1_000_003, 2_000_003
"""added to the seed: no noise of meta-training is met again"""


@torch.no_grad()
def live(
    config: Config,
    theta: Float[Tensor, "*members parameters"],
    env: Environment,
    seed: int | Sequence[int],
    lifetimes: int,
) -> Life:
    """Return meta-test lifetimes of ``theta`` in ``env``.

    With a sequence of seeds, ``theta`` is ``[runs, members, parameters]``: as many runs, in lifetimes of their own.
    """
    agent = config.agent_in(env)

    def generator(seed: int) -> torch.Generator:
        return torch.Generator(theta.device).manual_seed(seed)

    generators = generator(seed) if isinstance(seed, int) else [generator(each) for each in seed]
    return lifetime(agent, theta, env, draw_noise(agent, env, lifetimes, config.length, generators))


def scores(
    config: Config,
    theta: Float[Tensor, "*members parameters"],
    env: Environment,
    seed: int | Sequence[int],
    lifetimes: int = LIFETIMES,
    name: str | None = None,
) -> Float[Tensor, "*members lifetimes time"]:
    """Return what counts in each step of meta-test lifetimes (``problem.UNITS``); ``name``: of another environment."""
    life = live(config, theta, env, seed, lifetimes)
    return problem.score(name or config.environment, life.task, life.rewards, life.actions)


def summary(score: Float[Tensor, "lifetimes time"]) -> Metrics:
    """Return the metrics of one test: means of a step over all of life, its first and its last quarter, and a curve.

    ``error`` is the standard error of the first over lifetimes.
    """
    score = score.cpu()
    quarter = max(1, score.shape[1] // 4)
    means = score.mean(dim=1)
    return {
        "mean": rounded(means.mean()),
        "error": rounded(means.std() / len(means) ** 0.5),
        "first": rounded(score[:, :quarter].mean()),
        "last": rounded(score[:, -quarter:].mean()),
        "curve": pieces(score),
    }


def pieces(score: Float[Tensor, "lifetimes time"]) -> list[float]:
    """Return the mean over lifetimes, averaged over at most ``PIECES`` equal pieces of a lifetime."""
    curve = score.mean(dim=0)
    count = max(n for n in range(1, PIECES + 1) if len(curve) % n == 0)
    return rounded(curve.view(count, -1).mean(dim=1))


def eval_steps(config: Config) -> list[int]:
    """Return the generations after which theta is evaluated."""
    every = config.generations // config.num_evals
    return [every * (i + 1) for i in range(config.num_evals)]


def sized(config: Config) -> bool:
    """Return whether the agent fits environments of any size."""
    return config.agent == "symla"


def meta_tests(config: Config) -> dict[str, Environment]:
    """Return the environments that a run is tested in."""
    size = int(config.sizes.split(",")[0])
    return problem.tests(config.environment, size, config.length, sized(config))


def run_meta_training(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Meta-train ``trials``, which differ in their seeds, and return what they do in ``meta_tests``.

    Metrics: for each test those of ``summary``; and the course of meta-training, ``evals``: at ``steps`` (generations)
    the mean ``reward`` of a step of the population since the evaluation before, and the mean ``score`` of a step of
    theta itself, in environments of meta-training.
    """
    return _trained_and_tested(trials, context)[0]


def _trained_and_tested(
    trials: Sequence[Trial], context: Context
) -> tuple[list[Metrics], Float[Tensor, "runs parameters"]]:
    c: Config = common(trials)
    seeds = [trial.seed for trial in trials]

    def evaluate(theta: Tensor) -> Tensor:
        later = [seed + EVAL for seed in seeds]
        return scores(c, theta.unsqueeze(1), c.environments[0], later, FEW).mean(dim=(1, 2, 3))

    trained = meta_train(trials, context, evaluate)
    result: list[Metrics] = [
        {
            "evals": {
                "steps": eval_steps(c),
                "reward": rounded(-losses.view(c.num_evals, -1).mean(dim=1)),
                "score": rounded(score),
            }
        }
        for losses, score in zip(trained.losses.T.contiguous(), torch.stack(trained.evals, dim=1), strict=True)
    ]
    for name, env in meta_tests(c).items():
        lives = _scores_in(name, c, trained.theta.unsqueeze(1), env, seeds)
        for metrics, (life,) in zip(result, lives, strict=True):
            metrics[name] = summary(life)
    return result, trained.theta


def _scores_in(
    name: str, config: Config, theta: Tensor, env: Environment, seeds: Sequence[int]
) -> Float[Tensor, "runs members lifetimes time"]:
    """Return the scores of a meta-test; in the test ``cartpole`` of agents from a grid, those of a longer life."""
    later = [seed + TEST for seed in seeds]
    if name == "cartpole":
        return scores(replace(config, length=POLE_LIFE), theta, env, later, name=name)
    return scores(config, theta, env, later)


def run_orders(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Do what ``run_meta_training`` does, and test every order of observations and actions.

    Further metrics: of ``orders`` the ``names`` (see ``problem.orders``), and for each of them the ``mean`` and the
    ``curve``, every second of its ``PIECES``, over the same ``FEW`` lifetimes. Acrobot has too many orders for that.
    """
    result, theta = _trained_and_tested(trials, context)
    c: Config = trials[0].config
    standard = problem.tests(c.environment, 2, c.length, False)["standard"]
    if standard.observations > problem.MOST_ORDERED:
        return result
    every = problem.orders(standard)
    copies = theta.unsqueeze(1).expand(-1, len(every.names), -1)  # one member for each order, in the same lifetimes
    lives = scores(c, copies, every, [trial.seed + TEST for trial in trials], FEW)
    for metrics, of_run in zip(result, lives, strict=True):
        metrics["orders"] = {
            "names": list(every.names),
            "mean": rounded(of_run.mean(dim=(1, 2))),
            "curve": [pieces(life)[::2] for life in of_run],
        }
    return result


def run_keeping_theta(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Do what ``run_meta_training`` does and keep ``theta``, rounded to 5 significant digits."""
    result, thetas = _trained_and_tested(trials, context)
    for metrics, theta in zip(result, thetas, strict=True):
        metrics["theta"] = rounded(theta)
    return result


def run_references(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Return what players without meta-training do in the same tests, in lifetimes of their own.

    For the player ``random``, and with bandits for ``thompson`` and ``ucb``: for each test the metrics of ``summary``.
    """
    return [_references(trial, context.device) for trial in trials]


def _references(trial: Trial, device: torch.device) -> Metrics:
    c: Config = trial.config
    metrics: Metrics = {"random": {}}
    if len(c.environments) > 1:
        raise bad_argument("sizes", c.sizes, "one size: nobody here is meta-trained in several")
    for name, env in problem.tests(c.environment, int(c.sizes), c.length, any_size=True).items():
        agent = MetaRNN(env.observations, env.actions, 1)
        indifferent = replace(c, agent="meta-rnn", hidden=1)  # with theta = 0 all logits are 0
        theta = torch.zeros(1, 1, agent.parameters, device=device)
        metrics["random"][name] = summary(_scores_in(name, indifferent, theta, env, [trial.seed])[0, 0])
        if isinstance(env, BernoulliBandit):
            draw = game.drawn(torch.Generator(device).manual_seed(trial.seed + TEST), LIFETIMES)
            for player, play in (("thompson", game.thompson), ("ucb", game.ucb1)):
                course = play(env, c.length, draw)
                lost = course.p.amax(dim=-1, keepdim=True) - course.p.gather(-1, course.actions)
                metrics.setdefault(player, {})[name] = summary(lost)
    return metrics


def run_rl2(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Train the MetaRNN by PPO in place of evolution strategies (RL^2), and test it like the others.

    ``generations`` counts batches, each of 2 ``pairs`` lifetimes; ``sigma`` and ``lifetimes`` mean nothing here.
    """
    result = []
    for trial in trials:
        c, env = trial.config, trial.config.environments[0]
        settings = baselines.PPOConfig(iterations=c.generations, lifetimes=2 * c.pairs, length=c.length, lr=c.lr)
        agent = MetaRNN(env.observations, env.actions, c.hidden)
        theta, rewards = baselines.ppo(agent, env, settings, trial.seed, context)
        means = rewards.view(c.num_evals, -1).mean(dim=1)
        metrics: Metrics = {"evals": {"steps": eval_steps(c), "reward": rounded(means)}}
        for name, test in meta_tests(c).items():
            metrics[name] = summary(_scores_in(name, c, theta[None, None], test, [trial.seed])[0, 0])
        result.append(metrics)
    return result


SYMLA = Config()
RNN = Config(agent="meta-rnn", hidden=32)
SEEDS = (0, 1, 2, 3, 4)
PAPER_SEEDS = tuple(range(5))
"""The paper's bandits have three meta-training runs, as recalled; of the rest nothing is known."""

BANDITS = Experiment(
    name="symla.bandits",
    title="Two-armed bandits: families of meta-training x families of meta-test, and unseen numbers of arms",
    figure="Fig. 3, and Fig. 4 for unseen arms",
    run=run_meta_training,
    varies=(),
    tiers={
        "live": Tier((replace(SYMLA, generations=60, num_evals=6),), seeds=(0,)),
        "study": Tier(
            (
                *grid(replace(SYMLA, generations=70), family=problem.MATRIX),
                # An LSTM is cheaper and slower to meta-train: more generations in less time.
                *grid(replace(RNN, generations=200), family=problem.MATRIX),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            (
                *grid(replace(SYMLA, length=100, pairs=512, lifetimes=16, generations=10_000), family=problem.MATRIX),
                *grid(replace(RNN, length=100, pairs=512, lifetimes=16, generations=10_000), family=problem.MATRIX),
            ),
            seeds=PAPER_SEEDS,
        ),
    },
)
"""100 pulls are the paper's, as recalled, and its 3 seeds are 5 here; its population and generations are unknown."""

BIASED = Experiment(
    name="symla.biased",
    title="Bandits whose first arm is the better one in meta-training, tested with the arms exchanged",
    figure="Fig. 4, biased training",
    run=run_meta_training,
    varies=(),
    tiers={
        "live": Tier(
            (
                replace(SYMLA, family="biased", generations=50, num_evals=5),
                replace(RNN, family="biased", generations=50, num_evals=5),
            ),
            seeds=(0,),
        ),
        "study": Tier(
            (
                replace(SYMLA, family="biased", generations=70),
                replace(RNN, family="biased", generations=200),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            tuple(
                replace(c, family="biased", length=100, pairs=512, lifetimes=16, generations=10_000)
                for c in (SYMLA, RNN)
            ),
            seeds=PAPER_SEEDS,
        ),
    },
)
"""The paper's biased family is unknown; this one was chosen here."""

EXCHANGED = Experiment(
    name="symla.exchanged",
    title="SymLA after biased meta-training, with the arms exchanged, on seeds that ran after the bar was fixed",
    figure="Fig. 4, biased training",
    run=run_meta_training,
    varies=(),
    tiers={
        "live": Tier((replace(SYMLA, family="biased", generations=50, num_evals=5),), seeds=(5,)),
        "study": Tier((replace(SYMLA, family="biased", generations=70),), seeds=tuple(range(5, 15))),
    },
)
"""What ``symla.biased`` is for SymLA, with other seeds."""

PLAYER = Experiment(
    name="symla.player",
    title="A SymLA of bandits with 2, 3 and 5 arms, its theta recorded to be played against",
    figure="none; the explorer",
    run=run_keeping_theta,
    varies=(),
    tiers={
        "live": Tier((replace(SYMLA, sizes="2,3,5", lifetimes=6, generations=20, num_evals=2),), seeds=(0,)),
        "study": Tier((replace(SYMLA, sizes="2,3,5", length=100, lifetimes=6, generations=100),), seeds=(0,)),
    },
)

CONTEXT = Config(environment="contextual-bandit", length=30)
CONTEXT_RNN = replace(CONTEXT, agent="meta-rnn", hidden=32)
CONTEXTUAL = Experiment(
    name="symla.contextual",
    title="One fixed map from contexts to actions in meta-training, any map in meta-test",
    figure="none; a small stand-in for Fig. 5",
    run=run_meta_training,
    varies=(),
    tiers={
        "live": Tier((replace(CONTEXT_RNN, sizes="3", generations=150),), seeds=(0,)),
        "study": Tier(
            (
                replace(CONTEXT, generations=600, num_evals=20),
                *grid(replace(CONTEXT_RNN, generations=160, num_evals=20), sizes=("2", "3")),
                replace(CONTEXT_RNN, generations=300, num_evals=20, permuted="both"),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            (
                *grid(replace(CONTEXT, pairs=512, lifetimes=16, generations=10_000), sizes=("2", "3", "2,3,4")),
                *grid(replace(CONTEXT_RNN, pairs=512, lifetimes=16, generations=10_000), sizes=("2", "3")),
            ),
            seeds=SEEDS,
        ),
    },
)

POLE = Config(environment="cartpole", length=100, lifetimes=4)
POLE_RNN = replace(POLE, agent="meta-rnn", hidden=32)
CARTPOLE = Experiment(
    name="symla.cartpole",
    title="CartPole with observations and actions in the order of meta-training and in every other",
    figure="Fig. 5, CartPole",
    run=run_orders,
    varies=(),
    tiers={
        "live": Tier((replace(POLE_RNN, generations=150, num_evals=5),), seeds=(0,)),
        "study": Tier(
            (
                replace(POLE, generations=240, num_evals=20),
                replace(POLE_RNN, generations=240, num_evals=20),
                replace(POLE_RNN, generations=240, num_evals=20, permuted="both"),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            tuple(
                replace(c, environment=name, length=500, pairs=512, lifetimes=16, generations=20_000, num_evals=100)
                for name in ("cartpole", "acrobot", "mountaincar")
                for c in (POLE, POLE_RNN, replace(POLE_RNN, permuted="both"))
            ),
            seeds=PAPER_SEEDS,
        ),
    },
)
"""The paper's three tasks of classic control at its tier; lifetimes and all of the outer loop are unknown."""

HEARTS = Config(environment="heart-grid", sizes="2", length=50, lifetimes=8)
HEARTS_RNN = replace(HEARTS, agent="meta-rnn", hidden=32)
GRID = Experiment(
    name="symla.grid",
    title="Hearts and traps whose rewards are swapped in meta-test; and from the grid to CartPole",
    figure="Figs. 6 and 7, and the last one",
    run=run_keeping_theta,
    varies=(),
    tiers={
        "live": Tier((replace(HEARTS_RNN, generations=100, num_evals=5),), seeds=(0,)),
        "study": Tier(
            (
                replace(HEARTS, generations=300, num_evals=20),
                replace(HEARTS_RNN, generations=300, num_evals=20),
            ),
            seeds=SEEDS,
        ),
        "paper": Tier(
            tuple(
                replace(c, sizes="5", length=200, pairs=256, lifetimes=8, generations=20_000)
                for c in (HEARTS, HEARTS_RNN, replace(HEARTS_RNN, permuted="both"))
            ),
            seeds=PAPER_SEEDS,
        ),
    },
)
"""The paper's layout is unknown. Here: 2 x 2 trials, offsets from the agent to both items as one-hot entries."""

REFERENCES = Experiment(
    name="symla.references",
    title="Players that were not meta-trained in the same tests: random, Thompson sampling, UCB1",
    figure="none",
    run=run_references,
    tiers={
        "live": Tier((SYMLA,), seeds=(0,)),
        "study": Tier((SYMLA, CONTEXT, replace(CONTEXT, sizes="3"), POLE, HEARTS), seeds=SEEDS),
        "paper": Tier(
            (replace(SYMLA, length=100), replace(POLE, length=500), replace(HEARTS, sizes="5", length=200)),
            seeds=tuple(range(10)),
        ),
    },
)
"""Of a configuration the environment, its size and the length of lifetimes count here, and nothing else."""

PPO = replace(RNN, generations=60, pairs=32, lr=0.02)
RL2 = Experiment(
    name="symla.rl2",
    title="RL^2: the recurrent policy trained by PPO, on the same bandits and biases",
    figure="none; a second black-box baseline",
    run=run_rl2,
    tiers={
        "live": Tier((replace(PPO, generations=50, num_evals=5),), seeds=(0,)),
        "study": Tier((PPO, replace(PPO, family="biased")), seeds=SEEDS),
    },
)

EXPERIMENTS = (BANDITS, BIASED, EXCHANGED, PLAYER, CONTEXTUAL, CARTPOLE, GRID, REFERENCES, RL2)
