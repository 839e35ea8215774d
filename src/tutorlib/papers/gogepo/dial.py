"""The return dial: one generator at some stages of its training, with all its numbers, so that a page can ask it.

What is recorded is what can be played again: the generator's numbers are rounded first, and only then asked.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch

from tutorlib.lab import Context, Metrics, Trial, rounded
from tutorlib.lab.batching import common
from tutorlib.papers.gogepo.algorithm import (
    Config,
    Setting,
    State,
    Trained,
    begin,
    reference_states,
    sweep_commands,
    swept,
    train,
)
from tutorlib.papers.gogepo.problem import EPSILON
from tutorlib.shapes import Float, Tensor

PARTS = (1 / 12, 1 / 6, 5 / 12, 1.0)
"""of a run's rounds, after which its generator is kept; before the first it is kept, too"""
UNIT = 1000
"""numbers of a generator are kept in thousandths"""
DIGITS = 4
"""significant digits of other numbers"""
ON_MAP = 200
"""policies of the buffer on the map, evenly spaced in time"""


def run_dial(trials: Sequence[Trial], context: Context) -> list[Metrics]:
    """Train generators, and return them at some stages with what they made of their commands.

    Metrics: ``commands``; ``stages``, each with the ``episodes`` and ``steps`` before it, the ``best`` return so far,
    the generator's numbers ``rho`` in whole thousandths, ``mean`` and ``scale`` by which its policies normalise what
    they see, and for each command the mean return ``achieved``, and ``places``, where the policy lies on the map;
    ``map``: where ``policies`` of the last buffer lie on the plane on which their actions in the same states differ
    most, their ``returns``, and the ``shares`` of the variance that the two axes hold.

    Each stage is a run of its own up to there, which is the same run: what is random is a function of seed and round.
    """
    c: Config = common(trials, ())
    seeds = [trial.seed for trial in trials]
    rounds = sorted({max(1, round(part * c.rounds)) for part in PARTS})

    def trained_for(count: int, context: Context) -> Trained:
        config = replace(c, episodes=count * c.policies, sweep_every=count * c.policies)
        return train([Trial(config, seed) for seed in seeds], context)

    whole = trained_for(rounds[-1], context)
    brief = replace(context, checkpoint=None)  # what is kept is the whole run; the others are parts of it
    parts = [*(trained_for(count, brief) for count in rounds[:-1]), whole]
    setting, fresh = begin(c, seeds, context.device)
    states = [fresh, *(part.state for part in parts)]
    episodes = [0, *(count * c.policies for count in rounds)]
    return [_metrics(setting, seeds, episodes, states, whole, i) for i in range(len(trials))]


def _metrics(
    setting: Setting, seeds: Sequence[int], episodes: Sequence[int], states: Sequence[State], whole: Trained, i: int
) -> Metrics:
    """Return the metrics of run ``i``."""
    mean, axes, shares, on_map = policy_plane(whole, i)
    stages = []
    for count, state in zip(episodes, states, strict=True):
        kept = kept_numbers(state)
        sweep = swept(setting, kept, seeds, count)
        deviation = (kept.statistics.squares[i] / kept.statistics.seen[i].clamp(min=1)).sqrt() + EPSILON
        stages.append(
            {
                "episodes": count,
                "steps": int(state.used[i]),
                "best": rounded(state.best[i], DIGITS),
                "rho": (kept.learner.rho[i].double() * UNIT).round().long().tolist(),
                "mean": rounded(kept.statistics.mean[i], 9),
                "scale": rounded(deviation, 9) if count else [1.0] * len(deviation),
                "achieved": rounded(sweep.achieved[i], DIGITS),
                "places": rounded((sweep.actions[i] - mean) @ axes, DIGITS),
            }
        )
    return {
        "commands": rounded(sweep_commands(setting.config, mean.device), DIGITS),
        "stages": stages,
        "map": on_map | {"shares": rounded(shares, DIGITS)},
    }


def kept_numbers(state: State) -> State:
    """Return the state with its generator's numbers in whole thousandths."""
    return state._replace(learner=state.learner._replace(rho=(state.learner.rho * UNIT).round() / UNIT))


def policy_plane(trained: Trained, i: int) -> tuple[Tensor, Tensor, Tensor, Metrics]:
    """Return the plane of run ``i`` (see ``plane``), and ``policies`` of its buffer on it with their ``returns``."""
    setting, buffer, c = trained.setting, trained.state.buffer, trained.setting.config
    stored = min(int(trained.log.played[:, i].sum()) * c.policies, buffer.r.shape[1])
    chosen = torch.linspace(0, stored - 1, min(stored, ON_MAP), device=buffer.r.device).round().long()
    theta = buffer.theta[i : i + 1, chosen]
    actions = setting.policy.act(theta, reference_states(setting, theta.device)).flatten(2)[0]
    mean, axes, shares = plane(actions)
    on_map = {
        "policies": rounded((actions - mean) @ axes, DIGITS),
        "returns": rounded(buffer.r[i, chosen], DIGITS),
    }
    return mean, axes, shares, on_map


def plane(
    x: Float[Tensor, "points entries"],
) -> tuple[Float[Tensor, "entries"], Float[Tensor, "entries 2"], Float[Tensor, "2"]]:
    """Return the mean of points, the two directions in which they vary most, and the shares of the variance there.

    Of a direction and its opposite that one is returned whose entries have a sum that is not negative.
    """
    mean = x.mean(dim=0)
    off = x - mean
    variances, directions = torch.linalg.eigh(off.mT @ off)  # in rising order
    axes = directions[:, [-1, -2]]
    axes = axes * torch.where(axes.sum(dim=0) < 0, -1.0, 1.0)
    return mean, axes, variances[[-1, -2]].clamp(min=0) / variances.sum().clamp(min=1e-30)


__all__ = ["ON_MAP", "PARTS", "UNIT", "kept_numbers", "plane", "policy_plane", "run_dial"]
