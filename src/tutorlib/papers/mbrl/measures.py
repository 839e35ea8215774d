"""What is measured of runs of model-based generalisation: sets are counted, Q is held against q*, agents are seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tutorlib.lab import Context, Metrics, Trial, rounded
from tutorlib.lab.batching import common
from tutorlib.lab.errors import bad_argument, checked, expect_fields
from tutorlib.nn import eval_generator
from tutorlib.papers.mbrl import ensemble, offline, version_space
from tutorlib.papers.mbrl.algorithm import train
from tutorlib.papers.mbrl.learner import Learner, Setting
from tutorlib.papers.mbrl.model import SimpleModel
from tutorlib.papers.mbrl.offline import GROUPS
from tutorlib.papers.mbrl.version_space import BitModels, Data, Hypotheses
from tutorlib.rl import Replay
from tutorlib.shapes import Bool, Float, Int, Tensor

BINS = 20
"""of the histogram of values that stay possible"""
DREAMT = 10
"""steps of a dream"""
DREAM_SEED = 3_000_017
"""added to the seed: the noise of a dream is no other run's"""


@dataclass(frozen=True)
class Sets:
    """One class of models, and how much of it data leave."""

    bits: int = 2
    """k, of the state"""
    more: int = 0
    """how many more bits are read than in the factored class, where each bit reads itself: no. of ``dial(bits)``"""
    models: int = 40
    """true models that transitions are drawn from"""
    transitions: int = 20
    """n"""
    gamma: float = 0.9

    def __post_init__(self) -> None:
        expect_fields(self, sizes=("models", "transitions", "bits"), maximum={"bits": 20, "more": 400})
        _ = self.family  # it refuses classes that cannot be

    @property
    def family(self) -> BitModels:
        """The class of models."""
        classes = list(version_space.dial(self.bits, gamma=self.gamma))
        if not classes:
            expected = f"fewer: a class of more models than {version_space.LARGEST} is not listed"
            raise bad_argument("bits", self.bits, expected)
        if not isinstance(self.more, int) or not 0 <= self.more < len(classes):
            raise bad_argument("more", self.more, f"0 to {len(classes) - 1} for {self.bits} bits: more are not listed")
        return classes[self.more]


# What runs return


def run_sets(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Draw true models and transitions, and count what the class still holds after each of them.

    Metrics, lists over 0, 1, ..., n transitions: ``models``, ``based`` and ``free``, mean sizes of M_D, Q_MB and Q_MF;
    ``violations``, value functions in Q_MB and not in Q_MF, a sum; ``class``, how many ``models`` and ``values`` all
    are. And one true model in whose state 0 something can be gained: ``example``, with sizes of the same names and
    ``value``, that of its action 0 there; ``histogram``, how many functions of each set, ``based`` and ``free``, lie in
    each of ``BINS`` equal parts of 0 to ``high`` with their value of that pair.
    """
    return [_counted(trial, context.device) for trial in trials]


def _counted(trial: Trial, device: torch.device) -> Metrics:
    c: Sets = trial.config
    h = c.family.hypotheses(device)
    true, data = drawn(h, c, torch.Generator().manual_seed(trial.seed))
    sizes = version_space.sizes(h, data)
    values = h.values[h.which[true], 0, 0]
    chosen = int((values > 0).int().argmax())  # the first of them, else model 0
    transitions = Data(*(part[chosen] for part in data))
    high = 1 / (1 - c.gamma)
    histograms = {}
    for name, keep in (("based", version_space.model_based), ("free", version_space.model_free)):
        masks = [keep(h, Data(*(part[:n] for part in transitions))) for n in range(c.transitions + 1)]
        histograms[name] = [histogram(h.values[:, 0, 0], mask, high) for mask in masks]
    sets = ("models", "based", "free")
    return {
        "class": {"models": len(h.next), "values": len(h.values)},
        **{name: rounded(getattr(sizes, name).double().mean(dim=0)) for name in sets},
        "violations": int(sizes.violations.sum()),
        "example": {
            **{name: getattr(sizes, name)[chosen].tolist() for name in sets},
            "value": rounded(values[chosen]),
        },
        "histogram": histograms,
        "high": rounded(torch.tensor(high, dtype=torch.double)),
    }


@checked()
def drawn(h: Hypotheses, c: Sets, generator: torch.Generator) -> tuple[Int[Tensor, "models"], Data]:
    """Return random true models of the class, and transitions of each from uniformly random pairs (s, a)."""
    device, (total, states, actions) = h.next.device, h.next.shape
    true = torch.randint(total, (c.models,), generator=generator).to(device)
    state, action = (
        torch.randint(below, (c.models, c.transitions), generator=generator).to(device) for below in (states, actions)
    )
    return true, version_space.transitions(h, true, state, action)


def histogram(values: Float[Tensor, "values"], mask: Bool[Tensor, "values"], high: float) -> list[int]:
    """Return how many of the chosen values lie in each of ``BINS`` equal parts of 0 to ``high``, the ends included."""
    # Rounding may leave a value just below an end that it should lie on: such a value belongs above the end.
    place = (values[mask] / high * BINS + 1e-6).long().clamp(0, BINS - 1)
    return torch.bincount(place, minlength=BINS).tolist()


def run_offline(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Let agents learn from K random transitions of a flute, and hold Q against q*.

    Metrics: ``evals``, at each of some ``updates``: ``rmse`` for each of the groups of patterns ``offline.GROUPS``,
    ``rate`` of the greedy policy and, for the simple model, ``missed`` for some groups (``offline.measure``).
    ``patterns``: how many patterns each group has; errors of a group of none are 0.
    """
    return _learned(trials, context)[0]


def run_dreams(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Do what ``run_offline`` does with a simple model, and let it dream at each evaluation.

    Further metrics, of ``DREAMT`` actions of the best player from empty pipes on, with the same noise at all
    evaluations: ``actions``; ``truth``, the patterns before and after them; and in ``evals`` ``probability`` of each
    cell after each step, ``dreamt``, the patterns of a dream, and ``official``, those of one sampled as the paper's
    code does.
    """
    c, seeds = common(trials), [trial.seed for trial in trials]
    if c.agent != "simple":
        raise bad_argument("agent", c.agent, "simple: nobody else dreams in patterns")
    actions = offline.tune(c.pipes, DREAMT)
    generators = [torch.Generator().manual_seed(seed + DREAM_SEED) for seed in seeds]
    u = [torch.rand(DREAMT, c.env.observations, generator=g).to(context.device) for g in generators]

    def dream(setting: Setting, learner: Learner, i: int) -> offline.Dream:
        assert isinstance(setting.model, SimpleModel)
        return offline.imagined(c.env, setting.model, learner.model[i], actions, u[i])

    def dreams(setting: Setting, learner: Learner) -> Tensor:
        return torch.stack([torch.cat(dream(setting, learner, i)).flatten() for i in range(len(seeds))], dim=-1)

    metrics, evals = _learned(trials, context, dreams)
    for i, of_seed in enumerate(metrics):
        rows = [numbers[:, i].view(-1, c.env.observations) for numbers in evals]
        parts = [row.split([DREAMT + 1, DREAMT, DREAMT + 1, DREAMT + 1]) for row in rows]
        of_seed |= {"actions": actions, "truth": parts[0][0].int().tolist()}
        of_seed["evals"] |= {
            "probability": [rounded(part[1], 3) for part in parts],
            "dreamt": [part[2].int().tolist() for part in parts],
            "official": [part[3].int().tolist() for part in parts],
        }
    return metrics


def _learned(
    trials: Sequence[Trial], context: Context, more: Callable[[Setting, Learner], Tensor] | None = None
) -> tuple[list[Metrics], list[Tensor]]:
    """Return the metrics of ``run_offline`` and what ``more``, ``[numbers, seeds]``, returned at each evaluation."""
    c, seeds = common(trials), [trial.seed for trial in trials]
    truth = offline.listed(c.env, c.gamma, context.device)

    def evaluate(setting: Setting, learner: Learner, replay: Replay, updates: int) -> Tensor:
        # Training has number 0, that of the data, and one for each of its updates.
        generators = [eval_generator(seed, 1 + c.updates, context.device, updates - 1) for seed in seeds]
        groups = offline.groups(replay, truth.reachable)
        numbers = offline.measure(setting, learner, truth, groups, generators)
        return torch.cat([numbers, more(setting, learner).double()]) if more else numbers

    learned = offline.learn(c, seeds, context, evaluate)
    table = torch.stack(learned.evals).cpu()  # [evals, measures and more, seeds]
    members = offline.groups(learned.replay, truth.reachable)
    measures = offline.measures(c.agent)
    metrics: list[Metrics] = []
    for i in range(len(seeds)):
        evals: Metrics = {"updates": learned.updates}
        for place, (name, *group) in enumerate(measures):
            values = rounded(table[:, place, i])
            if group:
                evals.setdefault(name, {})[group[0]] = values
            else:
                evals[name] = values
        metrics.append({"evals": evals, "patterns": {group: int(members[group][i].sum()) for group in GROUPS}})
    return metrics, list(table[:, len(measures) :].unbind())


def run_ensemble(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Let the members of ensembles learn from the same data, and see how far they are apart.

    Metrics: ``evals``, at each of some ``updates`` what ``ensemble.measure`` says: ``residual``, one for each member;
    ``fit``; ``spread``, ``shape``, ``error`` and, with a learned model, ``missed``, each for pairs ``seen`` and
    ``unseen``; ``rate``. Where ``fit`` is below 2 there is no spread, and a 0 stands for it.
    """
    c, seeds = common(trials), [trial.seed for trial in trials]
    learned = ensemble.train(c, seeds, context)
    table = torch.stack(learned.evals).cpu()  # [evals, measures, runs]
    metrics: list[Metrics] = []
    for of_run in table.unbind(dim=-1):
        evals: Metrics = {"updates": learned.updates, "residual": [rounded(row) for row in of_run[:, : c.members]]}
        for place, (name, *where) in enumerate(ensemble.measures(c)[c.members :], c.members):
            values = of_run[:, place].int().tolist() if name == "fit" else rounded(of_run[:, place])
            if where:
                evals.setdefault(name, {})[where[0]] = values
            else:
                evals[name] = values
        metrics.append({"evals": evals})
    return metrics


ONLINE_VARIES = ("lr", "temperature")
"""fields in which runs side by side may differ, besides the seed"""


def run_online(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Let agents act and learn.

    Metrics: ``evals``, at each of some ``steps`` in the environment ``score``, what the greedy policy does
    (``algorithm.evaluate``); ``score``, the mean over all evaluations, which is the area under that curve, and
    ``last``, that of the last quarter of them; ``updates``; and ``transitions``, those that Q learned from, real or
    imagined.
    """
    c, seeds = common(trials, ONLINE_VARIES), [trial.seed for trial in trials]
    if c.steps < c.eval_every:
        raise bad_argument(
            "steps", c.steps, f"at least eval_every={c.eval_every}: without an evaluation nothing is known"
        )
    lrs, temperatures = [trial.config.lr for trial in trials], [trial.config.temperature for trial in trials]
    trained = train(c, seeds, context, lrs, temperatures)
    quarter = max(1, len(trained.evals) // 4)
    return [
        {
            "evals": {"steps": trained.steps, "score": rounded(scores)},
            "score": rounded(scores.mean()),
            "last": rounded(scores[-quarter:].mean()),
            "updates": trained.learner.updates,
            "transitions": trained.learner.updates * c.transitions,
        }
        for scores in trained.evals.double().cpu().unbind(dim=-1)
    ]


__all__ = [
    "BINS",
    "DREAMT",
    "DREAM_SEED",
    "ONLINE_VARIES",
    "Sets",
    "drawn",
    "histogram",
    "run_dreams",
    "run_ensemble",
    "run_offline",
    "run_online",
    "run_sets",
]
