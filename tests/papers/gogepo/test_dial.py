"""The return dial: what is recorded of a generator can be played again, and shows what the page says of it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorlib.envs.classic import ControlState
from tutorlib.lab import Context, Trial, UsageError, recorded
from tutorlib.lab.reading import config_of
from tutorlib.nn import step_generator
from tutorlib.papers.gogepo import explorers
from tutorlib.papers.gogepo.algorithm import begin, reference_states, swept, train
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.dial import kept_numbers, run_dial
from tutorlib.show.explorer import MAX_DATA_BYTES, to_json

TINY = Config(
    environment="pend", steps=24 * 20, episodes=24, horizon=20, width=8, block=4, embedding=2, net_width=8, states=3,
    batch=5, evaluator_steps=2, generator_steps=3, generator_lr=1e-3, eval_episodes=2, sweep_every=24,
    sweep_commands=3, sweep_episodes=2, policies=2, normalised=True,
)  # fmt: skip


@pytest.fixture(scope="module")
def metrics():
    return run_dial([Trial(TINY, 3), Trial(TINY, 4)], Context())


@pytest.fixture(scope="module")
def record():
    (found,) = recorded("gogepo.dial", "study")
    return found


def test_each_stage_is_the_generator_of_one_run_in_thousandths(metrics):
    stages = metrics[1]["stages"]
    assert [stage["episodes"] for stage in stages] == [0, 2, 4, 10, 24]
    assert [stage["steps"] for stage in stages] == [0, 40, 80, 200, 480]
    half = train([Trial(replace(TINY, episodes=10, sweep_every=10), 4)], Context()).state
    whole = train([Trial(TINY, 4)], Context()).state
    for stage, state in ((stages[3], half), (stages[4], whole)):
        np.testing.assert_allclose(np.array(stage["rho"]) / 1000, state.learner.rho[0], atol=6e-4)
        np.testing.assert_allclose(stage["mean"], state.statistics.mean[0], rtol=1e-4, atol=1e-6)
        assert stage["best"] == pytest.approx(state.best[0].item(), rel=1e-3)
    assert stages[3]["rho"] != stages[4]["rho"]
    setting, _ = begin(TINY, [3, 4], torch.device("cpu"))
    both = train([Trial(replace(TINY, episodes=10, sweep_every=10), seed) for seed in (3, 4)], Context()).state
    again = swept(setting, kept_numbers(both), [3, 4], 10)
    np.testing.assert_allclose(stages[3]["achieved"], again.achieved[1], rtol=1e-2, atol=1e-2)
    assert stages[0]["scale"] == [1.0, 1.0, 1.0], "nothing was seen"


def test_runs_side_by_side_are_the_runs(metrics):
    (alone,) = run_dial([Trial(TINY, 4)], Context())
    for here, there in zip(metrics[1]["stages"], alone["stages"], strict=True):
        np.testing.assert_allclose(here["rho"], there["rho"], atol=1)
    assert metrics[0]["stages"][0]["rho"] != metrics[1]["stages"][0]["rho"]


def policies(record, stage):
    """The recorded generator's policies for all commands, [1, commands, weights], by the library."""
    c, found = config_of(record, Config), record.metrics["stages"][stage]
    rho = torch.tensor([found["rho"]], dtype=torch.double) / 1000
    return c, found, c.generator.generate(rho, torch.tensor([record.metrics["commands"]], dtype=torch.double) / 100)


@pytest.mark.parametrize("stage", [0, 2, 4])
def test_the_recorded_generators_earn_what_was_recorded_of_them(record, stage):
    """From the same starts: single commands may differ where rounding decides on a swing more, means do not."""
    c, found, theta = policies(record, stage)
    mean, scale = (torch.tensor(found[name], dtype=torch.double) for name in ("mean", "scale"))
    luck = step_generator(record.seed, c.episodes + found["episodes"], torch.device("cpu"))
    u = torch.rand(1, c.sweep_episodes, c.env.start_noise, generator=luck).double()
    state, total = c.env.start(u.expand(1, theta.shape[1], -1, -1)), 0.0
    for _ in range(c.horizon):
        state, reward, _ = c.env.advance(state, c.policy.act(theta, (c.env.observe(state) - mean) / scale))
        total = total + reward
    played = total.mean(dim=-1)[0].numpy()
    assert np.abs(played - found["achieved"]).mean() < 0.5
    assert np.abs(played - found["achieved"]).max() < 6


def test_places_on_the_map_are_of_one_plane(record):
    """Distances on the map are never more than those of the actions, and near them where the plane holds the most."""
    c, found, theta = policies(record, 4)
    setting, _ = begin(c, [0], torch.device("cpu"))
    actions = c.policy.act(theta, reference_states(setting, torch.device("cpu")).double()).flatten(2)[0]
    places = np.array(found["places"])
    apart = np.linalg.norm(places[0] - places[20])
    true = (actions[0] - actions[20]).norm().item()
    assert 0.5 * true < apart <= true * 1.01
    assert 0.3 < sum(record.metrics["map"]["shares"]) <= 1


def test_the_dial_opens_on_what_the_chapter_says_of_it(record):
    """At first, nearly what was asked for is earned; and before any training, the same for every command."""
    data = explorers.dial_explorer(record).data
    asked = data["commands"][data["start"]["command"]]
    stage = data["stages"][data["start"]["stage"]]
    assert asked == 35
    assert stage["episodes"] == 960
    assert abs(stage["achieved"][data["start"]["command"]] - asked) < 3
    assert np.corrcoef(data["commands"], stage["achieved"])[0, 1] > 0.8
    assert np.ptp(data["stages"][0]["achieved"]) < 0.1
    assert len(to_json(data)) < MAX_DATA_BYTES
    assert max(data["commands"]) == 57.5, "the best return and a little more"
    assert len(stage["places"]) == len(data["commands"])


def test_the_page_s_world_and_commands_are_those_of_the_run(record):
    c = config_of(record, Config)
    data = explorers.dial_explorer(record).data
    for command in (0.0, 35.0):
        assert (command - data["scaling"][0]) * data["scaling"][1] == pytest.approx(command / 100)
    world, start = data["world"], torch.tensor([[math.pi, 0.0]], dtype=torch.double)
    state = ControlState(start, torch.zeros(1, dtype=torch.long))
    after, reward, _ = c.env.advance(state, torch.full((1, 1), 0.7, dtype=torch.double))
    speed = world["dt"] * (world["gravity"] * math.sin(math.pi) + world["torque"] * 0.7)
    angle = math.pi + world["dt"] * speed
    assert after.x[0].tolist() == pytest.approx([angle, speed])
    costs = world["speed_cost"] * speed**2 + world["action_cost"] * 0.7**2
    assert reward.item() == pytest.approx((1 + math.cos(angle)) / 2 - costs)


def test_other_records_are_refused(record):
    with pytest.raises(UsageError, match=r"gogepo\.dial"):
        explorers.dial_explorer(replace(record, experiment="gogepo.worlds"))
