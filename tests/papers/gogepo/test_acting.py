"""DDPG and UDRL beside GoGePo: what is stored of episodes, what is sampled, and each update beside PyTorch's own."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tutorlib.envs import MountainCarContinuous
from tutorlib.lab import Context, Trial, UsageError
from tutorlib.papers.gogepo import acting
from tutorlib.papers.gogepo.acting import (
    Acting,
    Batch,
    Met,
    act_out,
    ddpg_step,
    drawn_batch,
    train_actors,
    udrl_step,
    with_command,
)
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.contest import Contest, reduced, run_contest
from tutorlib.papers.gogepo.problem import no_statistics, observed

CPU = torch.device("cpu")
BASE = Config(
    environment="point", steps=10_000, episodes=12, horizon=7, width=8, block=4, embedding=2, net_width=8, states=3,
    drive=6.0, eval_episodes=3, sweep_every=4, sweep_commands=2, sweep_episodes=1, policies=4, normalised=True,
)  # fmt: skip
DDPG = Acting("ddpg", BASE, 1e-2, 0.3, updates=5, batch=6)
UDRL = replace(DDPG, method="udrl")


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def batch(observations):
    return Batch(
        draw(2, 6, observations), draw(2, 6, 2, seed=1).tanh(), draw(2, 6, seed=2), draw(2, 6, observations, seed=3),
        (draw(2, 6, seed=4) > 0).float(), -60 + 20 * draw(2, 6, seed=5),
    )  # fmt: skip


def by_autograd(theta, losses, lr, steps=3):
    """Return theta after steps of PyTorch's Adam along the sum of ``losses``."""
    theta = theta.clone().requires_grad_()
    adam = torch.optim.Adam([theta], lr=lr)
    for step in range(steps):
        adam.zero_grad()
        losses(theta, step).sum().backward()
        adam.step()
    return theta.detach()


def test_a_step_of_ddpg_is_that_of_its_critics_and_then_of_its_policy():
    nets, b = DDPG.nets, batch(4)
    old = acting._begin(DDPG, [0, 1], CPU).learned
    learned, ws, targets = old, [], []
    for step in range(3):
        ws.append(learned.w), targets.append((learned.target_phi, learned.target_w))
        learned = ddpg_step(DDPG, nets, learned, b, torch.full((2, 1), 1e-2), step)

    def critics(w, step):
        phi, copies = targets[step]
        q = nets.both(copies, b.following, (nets.policy(phi, b.following)).tanh()).min(dim=1).values
        y = b.r + 0.99 * (1 - b.done) * q
        return (nets.both(w, b.o, b.a) - y.unsqueeze(1)).square().sum(dim=1).mean(dim=1)

    torch.testing.assert_close(by_autograd(old.w, critics, DDPG.critic_lr), learned.w, rtol=1e-4, atol=1e-5)
    after = [*ws[1:], learned.w]
    climbed = by_autograd(old.phi, lambda phi, step: -nets.q(after[step], b.o, nets.act(phi, b.o)).mean(1), 1e-2)
    torch.testing.assert_close(climbed, learned.phi, rtol=1e-3, atol=1e-4)
    one = ddpg_step(DDPG, nets, old, b, torch.full((2, 1), 1e-2), 0)
    torch.testing.assert_close(one.target_phi, 0.99 * old.phi + 0.01 * one.phi)
    torch.testing.assert_close(one.target_w, 0.99 * old.w + 0.01 * one.w)


def test_a_step_of_udrl_copies_the_actions_of_episodes_that_got_the_command():
    nets, b = UDRL.nets, batch(4)
    assert nets.observations == 5
    old = acting._begin(UDRL, [0, 1], CPU).learned
    learned = old
    for step in range(3):
        learned = udrl_step(UDRL, nets, learned, b, torch.full((2, 1), 1e-2), step)
    x = torch.cat([b.o, ((b.total + 120) / 120).unsqueeze(-1)], dim=-1)
    torch.testing.assert_close(with_command(UDRL, b.o, b.total), x)
    expected = by_autograd(old.phi, lambda phi, step: (nets.act(phi, x) - b.a).square().sum(-1).mean(-1), 1e-2)
    torch.testing.assert_close(expected, learned.phi, rtol=1e-4, atol=1e-5)
    assert learned.w is old.w


def test_what_is_met_is_the_episode_up_to_its_end():
    env = MountainCarContinuous(60)
    x = torch.tensor([[[0.40, 0.06], [-0.5, 0.0]]])

    class Near(MountainCarContinuous):
        def _first(self, u):
            return x

    near = Near(60)
    out = act_out(near, lambda x: torch.ones(1, 2, 1), no_statistics(1, 2, CPU), torch.zeros(1, 2, 1), learn=True)
    met, length = out.met, int(out.met.length[0, 0])
    assert met.length.tolist() == [[length, 60]]
    assert length < 5, "the first car reaches the flag at once"
    assert met.done[0, 0].nonzero().flatten().tolist() == [length - 1]
    assert met.done[0, 1].sum() == 0, "time alone ends the other one"
    assert float(met.total[0, 0]) == pytest.approx(100 - 0.1 * length, rel=1e-4)
    assert float(out.statistics.seen[0]) == length + 60
    state, rewards = env.start(torch.zeros(2, 1))._replace(x=x[0]), []
    for _ in range(length):
        state, reward, _ = env.advance(state, torch.ones(2, 1))
        rewards.append(reward[0])
    np.testing.assert_allclose(met.o[0, 0, length], state.x[0], rtol=1e-5)
    np.testing.assert_allclose(met.r[0, 0, :length], torch.stack(rewards), rtol=1e-5)
    assert met.r[0, 0, length:].abs().sum() == 0


def test_a_batch_has_steps_of_their_episodes():
    o = draw(1, 3, 8, 2)
    met = Met(o, draw(1, 3, 7, 1), draw(1, 3, 7), torch.zeros(1, 3, 7), torch.tensor([[7, 2, 7]]), draw(1, 3))
    statistics = observed(no_statistics(1, 2, CPU), o.flatten(1, 2), torch.ones(1, 24, dtype=torch.bool))
    u = torch.rand(1, 200, generator=torch.Generator().manual_seed(0))
    found = drawn_batch(met, statistics, torch.ones(1, 200, dtype=torch.long), u)
    t = (2 * u).long()
    assert set(t[0].tolist()) == {0, 1}, "of the two steps that the episode had"
    flat = o.flatten(1, 2)[0]
    z = (met.o[0, 1] - flat.mean(0)) / flat.std(0, unbiased=False)
    torch.testing.assert_close(found.o[0], z[t[0]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.following[0], z[t[0] + 1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.r[0], met.r[0, 1, t[0]])
    assert (found.total == met.total[0, 1]).all()


@pytest.mark.parametrize("config", [DDPG, UDRL], ids=["ddpg", "udrl"])
def test_a_run_in_a_batch_is_the_run_alone_and_ends_with_its_steps(config):
    config = replace(config, base=replace(BASE, steps=50))
    trials = [Trial(config, 3), Trial(replace(config, lr=1e-3, noise=0.6), 4)]
    both = train_actors(trials, Context())
    assert both.log.used.tolist() == [[28, 28], [56, 56], [56, 56]]
    assert both.log.played[:, 0].tolist() == [True, True, False]
    for i, trial in enumerate(trials):
        alone = train_actors([trial], Context())
        torch.testing.assert_close(alone.state.learned.phi[0], both.state.learned.phi[i], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(alone.log.greedy[:, 0], both.log.greedy[:, i], rtol=1e-2, atol=1e-2)
    assert both.state.met.total[:, 8:].abs().sum() == 0, "the third round was not played"
    start = acting._begin(config, [3, 4], CPU).learned
    assert (both.state.learned.phi - start.phi).abs().max() > 1e-3
    assert torch.equal(both.state.learned.w, start.w) == (config.method == "udrl")


def test_noise_is_on_actions_and_actions_stay_in_bounds():
    found = train_actors([Trial(replace(DDPG, noise=0.3, updates=1), 3)], Context()).state.met.a[0, :4]
    assert found.abs().max() <= 1
    wild = train_actors([Trial(replace(DDPG, noise=3.0, updates=1), 3)], Context()).state.met.a[0, :4]
    assert (wild.abs() == 1).float().mean() > 0.5
    still = train_actors([Trial(replace(DDPG, noise=0.0, updates=1), 3)], Context()).state.met.a[0, :4]
    assert 0.15 < float((found - still).std()) < 0.45


def test_they_stand_in_the_contest():
    base = replace(reduced("point"), episodes=160, sweep_every=160, horizon=30)
    (ddpg,) = run_contest([Trial(Contest("ddpg", base, 1e-3, 0.2, points=5), 1000)], Context())
    assert set(ddpg["course"]) == {"steps", "returns", "greedy"}
    assert ddpg["course"]["steps"][-1] == 160 * 30
    assert ddpg["course"]["greedy"][-1] > ddpg["course"]["greedy"][0] + 10, "it learns"


def test_bad_settings_are_named():
    with pytest.raises(UsageError, match="method='sac'"):
        Acting("sac")
    with pytest.raises(UsageError, match="gamma=1.5"):
        Acting(gamma=1.5)
