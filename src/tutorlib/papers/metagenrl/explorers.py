"""Explorers of MetaGenRL: an objective that was learned, and a figure in which it runs."""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import torch
from torch.func import grad

from tutorlib.lab import Context, Trial
from tutorlib.lab.errors import bad_argument
from tutorlib.papers.metagenrl.algorithm import act, look
from tutorlib.papers.metagenrl.baselines import gae
from tutorlib.papers.metagenrl.config import Config
from tutorlib.papers.metagenrl.experiments import MINUTE
from tutorlib.papers.metagenrl.model import INPUTS, Seen, standardised
from tutorlib.papers.metagenrl.population import flat
from tutorlib.papers.metagenrl.training import settings, train, ways
from tutorlib.rl.windows import windows_from
from tutorlib.shapes import Float, Tensor
from tutorlib.show.explorer import Explorer, rounded
from tutorlib.show.push import push_data, push_picture
from tutorlib.show.style import png

SEED = 1000
"""of the recorded objective: the first of those that are for tuning, so no test stands on it"""
RECORD = files("tutorlib.papers.metagenrl").joinpath("recorded", "microscope.json")
"""What ``examined(MINUTE, SEED)`` returned."""


def examined(config: Config, seed: int, context: Context | None = None) -> dict[str, Any]:
    """Meta-train an objective, and return it with a batch of windows of the first fresh agent that learned by it.

    Keys: ``alpha`` (the running mean at the end), ``environment``, ``returns`` (of the fresh agents there, by way to
    learn, the mean), ``reward`` [windows, steps], ``value`` [windows, steps + 1], ``action`` and ``policy`` [windows,
    steps], ``slope`` (of its critic by the action, at the policy's, [windows, steps]), ``config``, ``seed``. For an
    environment with one action. Raises ``UsageError`` for another one.
    """
    trained = train([Trial(config, seed)], context or Context())
    _, fresh = settings(config, 1, torch.device("cpu"))
    if fresh.envs[0].action_size != 1:
        raise bad_argument("test_environments", config.test_environments, "one with a single action first")
    names = ways(config)
    agent = names.index(f"learned {config.snapshots}") * config.test_agents
    learner, replay = flat(trained.state.fresh.learner), flat(trained.state.fresh.replay)
    u = torch.rand(fresh.each, config.batch, 2, generator=torch.Generator().manual_seed(seed))
    w = windows_from(replay, config.test_steps, config.window, u)
    pi, seen = act(fresh, learner.phi, w.o), look(fresh, learner.phi, learner.theta, w)
    slope = grad(lambda a: fresh.ac.q(learner.theta, w.o, a).sum())(pi)
    values = torch.cat([seen.value, seen.following[..., -1:]], dim=-1)
    means = trained.looks.fresh[-1, 0, 0].mean(dim=-1).tolist()
    return {
        "alpha": rounded(trained.state.snapshots[0, -1], 7),
        "environment": config.test_environments[0],
        "returns": rounded(dict(zip(names, means, strict=True))),
        "reward": rounded(seen.reward[agent], 5),
        "value": rounded(values[agent], 5),
        "action": rounded(w.action[agent, ..., 0], 5),
        "policy": rounded(pi[agent, ..., 0], 5),
        "slope": rounded(slope[agent, ..., 0], 5),
        "config": "MINUTE" if config == MINUTE else repr(config),
        "seed": seed,
    }


def recorded_objective() -> dict[str, Any]:
    """Return the objective and the windows that the package ships, see ``examined``."""
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def batch_of(record: Mapping[str, Any], dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Seen]:
    """Return alpha, what the policy would do and what the objective reads, from what ``examined`` returned."""

    def numbers(name: str) -> Tensor:
        return torch.tensor(record[name], dtype=dtype).unsqueeze(0)

    reward, value = numbers("reward"), numbers("value")
    one = torch.ones_like(reward)
    seen = Seen(numbers("action").unsqueeze(-1), reward, 0 * one, value[..., :-1], value[..., 1:], one, one[:, 0, :1])
    return numbers("alpha").float().to(dtype), numbers("policy").unsqueeze(-1), seen


def learned_advantages(
    config: Config, alpha: Float[Tensor, "nets parameters"], seen: Seen
) -> Float[Tensor, "nets batch time"]:
    """Return e_t of a structured objective, whose number for a step is e_t times the distance of the actions."""
    apart = seen._replace(action=torch.ones_like(seen.action))  # so that the distance is 1
    return config.objective(alpha, torch.zeros_like(seen.action), apart)


def microscope_explorer(record: Mapping[str, Any] | None = None, config: Config = MINUTE) -> Explorer:
    """Return the figure in which a learned objective runs: rewards, values, actions -> pushes on the policy.

    ``record``: what ``examined`` returned for ``config``, the shipped one if none is given. Raises ``UsageError`` for
    an objective of another form than a structured one that reads everything.
    """
    c = config
    if c.kind != "structured" or c.head_layers or c.inputs != INPUTS:
        raise bad_argument("config", c.kind, "structured, with head_layers=0 and all inputs in order")
    record = record or recorded_objective()
    alpha, pi, seen = batch_of(record)
    learned = learned_advantages(c, alpha, seen)[0]
    by_gae = standardised(gae(seen, c.gamma, c.gae_lambda), seen.mask)[0]
    slope = torch.tensor(record["slope"], dtype=torch.float64)
    away = 2 * (seen.action - pi)[0, ..., 0]
    spreads = [float(push.square().mean().sqrt()) for push in (learned * away, by_gae * away, slope)]
    correlation = float(torch.corrcoef(torch.stack([learned.flatten(), by_gae.flatten()]))[0, 1])
    shared = float((learned.sign() == by_gae.sign()).double().mean())
    low, high = _range(record["reward"])
    step = c.window - 2  # one before the last, so that there is something on both sides
    returns = record["returns"]
    data = push_data(
        title=f"Step {step + 1} is paid more: who gets the credit? A learned objective under a microscope",
        alpha=alpha[0].numpy(),
        sizes={
            "hidden": c.objective_hidden, "other_layers": c.other_layers, "summary": c.summary, "memory": c.memory,
        },
        discounts=(c.gamma, c.gae_lambda),
        rewards=record["reward"],
        values=record["value"],
        actions=record["action"][0],
        policy=record["policy"][0],
        slopes=record["slope"][0],
        spreads=spreads,
        reward_range=(low, high),
        value_range=_range(record["value"]),
        start={"row": "reward", "step": step, "number": high},
        note=(
            f"The objective was meta-trained for a minute on a point and a pendulum ({len(record['alpha']):,} weights, "
            f"of the structured kind), and runs in this page. The window is one of {len(record['reward'])} that a "
            f"fresh agent recorded on a cart with a pole, which the objective never met; the others stay as they are. "
            f"Over all of them the advantages of both have one sign in {100 * shared:.0f} % of steps and correlate at "
            f"{correlation:.2f}. Such agents earn "
            f"{returns[f'learned {c.snapshots}']:.0f} by it at the end, {returns['learned 0']:.0f} by the same network "
            f"before meta-training, {returns['gae']:.0f} by GAE and {returns['ddpg']:.0f} by DDPG: means of "
            f"{c.test_agents} agents of one seed, an example and no result. The critic's slope is that of the agent's "
            f"own critic; it reads states alone, so it stays when you drag. Lengths of arrows are relative to each "
            f"kind's own spread over the windows."
        ),
    )  # fmt: skip
    label = (
        "A window of ten steps with rewards, values and actions, the credit that a learned objective and GAE give to "
        "each, and arrows for how they and the critic's slope push the policy"
    )
    after = seen._replace(reward=seen.reward.clone())
    after.reward[0, 0, step] = high
    then = learned_advantages(c, alpha, after)[0], standardised(gae(after, c.gamma, c.gae_lambda), after.mask)[0]
    picture = push_picture(
        data, *([a[0].tolist(), b[0].tolist()] for a, b in zip((learned, by_gae), then, strict=True))
    )
    return Explorer("push_explorer", data, label, png(picture))


def _range(rows: list[list[float]]) -> tuple[float, float]:
    """Return two round numbers with all numbers between them."""
    numbers = [x for row in rows for x in row]
    low, high = min(0.0, *numbers), max(*numbers)
    step = 0.5 if high - low < 4 else 1.0
    return step * (low // step), step * -(-high // step)


__all__ = ["batch_of", "examined", "learned_advantages", "microscope_explorer", "recorded_objective"]
