"""Losses, rollouts, optimiser and replay beside plain re-writes; whole runs, alone and side by side."""

import dataclasses
import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch.distributions import Bernoulli, Categorical, Normal, kl_divergence

from tutorlib.lab import Context, UsageError
from tutorlib.lab.errors import NonFiniteError
from tutorlib.nn import no_moments
from tutorlib.papers.mbrl import algorithm
from tutorlib.papers.mbrl.algorithm import (
    AGENTS,
    TUNED,
    Config,
    Experience,
    Setting,
    Transitions,
    act,
    adamw_step,
    as_replayed,
    begin,
    dqn_loss,
    dream,
    evaluate,
    latent_loss,
    simple_loss,
    simulate,
    train,
)
from tutorlib.papers.mbrl.maze import MazeState, ProcMaze, maze_bank
from tutorlib.papers.mbrl.model import MLP, LatentModel, SimpleModel, draw
from tutorlib.papers.mbrl.problem import OpenGrid, PanFlute
from tutorlib.rl import sample_from

SMALL = Config(
    environment="flute",
    size=2,
    steps=24,
    learning_starts=8,
    target_period=4,
    batch=4,
    length=3,
    capacity=16,
    hidden=8,
    layers=1,
    eval_every=12,
    eval_episodes=2,
    eval_length=5,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=generator(seed)).clamp(min=1e-7)


def experience(seeds=2, batch=5, bits=4, actions=3, seed=0):
    a = torch.randint(actions, (seeds, batch), generator=generator(seed))
    o, following = ((drawn(seeds, batch, bits, seed=seed + s) < 0.5).float() for s in (1, 2))
    done = torch.arange(batch).expand(seeds, -1) % 3 == 1
    return Experience(o, a, drawn(seeds, batch, seed=seed + 3), following, done, ())


def small(config=SMALL, **changes):
    return dataclasses.replace(config, **changes)


# Q


def test_the_loss_of_q_is_that_of_loops():
    net = MLP(4, 3, hidden=6, layers=1)
    theta, target_params = (net.initial_parameters(2, generator(s)) for s in (0, 1))
    b = experience()
    t = Transitions(b.o, b.action, b.reward, b.next, drawn(2, 5, seed=8), drawn(2, 5, seed=9))
    q, following = net(theta, t.x).tolist(), net(target_params, t.next).tolist()
    for s in range(2):
        total = 0.0
        for i in range(5):
            target = float(t.reward[s, i]) + 0.9 * float(t.not_done[s, i]) * max(following[s][i])
            total += float(t.weight[s, i]) * (q[s][i][int(t.action[s, i])] - target) ** 2 / 5
        assert float(dqn_loss(net, theta, target_params, t, 0.9)[s]) == pytest.approx(total, rel=1e-5)


def test_no_gradient_goes_through_the_target_or_to_another_seed():
    net = MLP(4, 3, hidden=6, layers=1)
    theta = net.initial_parameters(2, generator()).requires_grad_()
    target_params = net.initial_parameters(2, generator(1)).requires_grad_()
    loss = dqn_loss(net, theta, target_params, as_replayed(experience()), 0.9)
    g, of_copy = torch.autograd.grad(loss[0], (theta, target_params), allow_unused=True)
    assert of_copy is None
    assert g[0].abs().max() > 0
    assert g[1].abs().max() == 0


def test_replayed_transitions_end_at_terminals():
    t = as_replayed(experience())
    assert t.not_done.tolist() == 2 * [[1, 0, 1, 1, 0]]
    assert (t.weight == 1).all()


# The model


def test_the_simple_loss_is_minus_the_log_likelihood():
    model = SimpleModel(4, 3, hidden=6, layers=1)
    theta, b = model.initial_parameters(2, generator()), experience()
    p = model.predict(theta, b.o, torch.nn.functional.one_hot(b.action, 3).float())
    plain = -Bernoulli(logits=p.next).log_prob(b.next).sum(-1) * (~b.done)
    plain = plain - Normal(p.reward, 1.0).log_prob(b.reward) - 0.5 * math.log(2 * math.pi)
    plain = plain - Bernoulli(logits=p.not_done).log_prob((~b.done).float())
    assert torch.allclose(simple_loss(model, theta, b), plain.mean(dim=-1), atol=1e-5)
    other = b._replace(next=torch.where(b.done[..., None], 1 - b.next, b.next))
    assert torch.equal(simple_loss(model, theta, other), simple_loss(model, theta, b)), "nothing follows a terminal"


@pytest.mark.parametrize("kind", ["gaussian", "categorical"])
def test_the_latent_loss_is_the_sum_of_its_parts(kind):
    model = LatentModel(4, 3, kind, latents=2, classes=3, hidden=6, layers=1)
    theta, b, u = model.initial_parameters(2, generator()), experience(), drawn(2, 5, 2)
    a = torch.nn.functional.one_hot(b.action, 3).float()

    def parts(theta):
        phi = draw(model.encode(theta, b.o), u)
        prediction = model.predict(theta, phi, a)
        laws = [model.encode(theta, b.next), prediction.next]
        if kind == "gaussian":
            q, p = (Normal(*law) for law in laws)
        else:
            q, p = (Categorical(logits=law.logits) for law in laws)
        recon = -Bernoulli(logits=model.decode(theta, phi)).log_prob(b.o).sum(-1) * (~b.done)
        outcome = (b.reward - prediction.reward) ** 2 / 2
        outcome = outcome - Bernoulli(logits=prediction.not_done).log_prob((~b.done).float())
        return recon.mean(-1), kl_divergence(q, p).sum(-1).mean(-1), outcome.mean(-1)

    recon, divergence, outcome = parts(theta)
    assert torch.allclose(latent_loss(model, theta, b, u), recon + divergence + outcome, atol=1e-4)
    # Only the KL reaches the transition; without the stopped gradients it would be all of it, so it is .8 of that.
    theta = theta.requires_grad_()
    (g,) = torch.autograd.grad(latent_loss(model, theta, b, u).sum(), theta)
    (of_kl,) = torch.autograd.grad(parts(theta)[1].sum(), theta)
    first = model.nets["encoder"].parameters + model.nets["decoder"].parameters
    transition = slice(first, first + model.nets["next"].parameters)
    assert of_kl[:, transition].abs().max() > 1e-3
    assert torch.allclose(g[:, transition], 0.8 * of_kl[:, transition], atol=1e-5)
    other = b._replace(next=torch.where(b.done[..., None], 1 - b.next, b.next))
    assert not torch.equal(latent_loss(model, theta, other, u), latent_loss(model, theta, b, u)), "the KL stays"


# Rollouts


class Scripted(SimpleModel):
    """Counts its steps in the first bit, and goes on with probability .9, .8, .7, ..."""

    def outcome(self, theta, x, a):
        return 10 * x[..., 0] + a.argmax(-1), 0.9 - 0.1 * x[..., 0]

    def transition(self, theta):
        return lambda x, a, u: x + 1


def test_weights_are_products_of_the_chances_to_go_on():
    model = Scripted(1, 2)
    theta, x = torch.zeros(1, model.parameters), torch.zeros(1, 2, 1)

    def policy(x, u):
        return (u > 0.5).long()

    chance = torch.tensor([[0.1, 0.9], [0.9, 0.1], [0.1, 0.1]])[None]
    found = dream(model, theta, policy, x, chance, torch.zeros(1, 3, 2, 1), True)
    assert found.weight.view(3, 2)[:, 0].tolist() == pytest.approx([1.0, 0.9, 0.72])
    assert found.not_done.view(3, 2)[:, 0].tolist() == pytest.approx([0.9, 0.8, 0.7])
    assert found.x.flatten().tolist() == [0, 0, 1, 1, 2, 2]
    assert found.next.flatten().tolist() == [1, 1, 2, 2, 3, 3]
    assert found.action.flatten().tolist() == [0, 1, 1, 0, 0, 0]
    assert found.reward.flatten().tolist() == [0, 1, 11, 10, 20, 20]
    endless = dream(model, theta, policy, x, chance, torch.zeros(1, 3, 2, 1), False)
    assert (endless.weight == 1).all()
    assert torch.equal(endless.not_done, found.not_done)


def test_the_perfect_model_stops_counting_after_an_end():
    """A corridor: two steps to the goal, the episode ends with the third."""
    env = ProcMaze(3, chance=0.0)
    wall = torch.tensor([False, False, False, True, True, True, True, True, True])
    state = MazeState(torch.tensor([[0, 2]]), torch.tensor([[2, 2]]), wall.expand(1, 2, 9))
    found = simulate(
        env, lambda x, u: torch.full_like(u, 4, dtype=torch.long), state, drawn(1, 4, 2), drawn(1, 4, 2, 1)
    )
    assert found.not_done.view(4, 2).T.tolist() == [[1, 1, 0, 0], [0, 0, 0, 0]]
    assert found.weight.view(4, 2).T.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert (found.reward == -1).all()
    assert torch.equal(found.next[:, :6], found.x[:, 2:])
    assert torch.equal(found.x[:, :2], env.observe(state))


# The optimiser


def test_without_a_gradient_a_parameter_shrinks_by_a_millionth():
    theta = torch.tensor([[2.0, -3.0]], dtype=torch.double)
    moments = no_moments(theta)
    for step in range(3):
        for rate in (1e-5, 1.0):
            after, _ = adamw_step(theta, moments, torch.zeros_like(theta), step, rate)
            assert torch.allclose(after / theta, torch.full_like(theta, 1 - 1e-6), rtol=1e-14, atol=0)


def test_the_optimiser_is_torchs_with_the_decay_over_the_rate():
    """Torch multiplies the decay by the rate; each seed has a rate of its own."""
    rates = [1e-2, 3e-4]
    theta = torch.randn(2, 5, generator=generator(), dtype=torch.double)
    gradients = torch.randn(6, 2, 5, generator=generator(1), dtype=torch.double)
    found, moments = theta, no_moments(theta)
    for step, g in enumerate(gradients):
        found, moments = adamw_step(found, moments, g, step, torch.tensor(rates).double()[:, None], decay=1e-3)
    for i, rate in enumerate(rates):
        p = theta[i].clone().requires_grad_()
        own = torch.optim.AdamW([p], lr=rate, betas=(0.9, 0.99), eps=1e-5, weight_decay=1e-3 / rate)
        for g in gradients:
            p.grad = g[i].clone()
            own.step()
        assert torch.allclose(found[i], p.detach(), atol=1e-10)


# Runs


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("environment", ["flute", "maze"])
def test_runs_side_by_side_are_runs_alone(agent, environment, monkeypatch):
    monkeypatch.setattr("tutorlib.papers.mbrl.config.MAZES", 5)
    config = small(agent=agent, environment=environment)
    together = train(config, [3, 4], Context(), lrs=[1e-2, 1e-3], temperatures=[0.5, 2.0])
    assert together.steps == [12, 24]
    assert together.learner.updates == 16
    assert together.evals.shape == (2, 2)
    for i, (rate, temperature) in enumerate(((1e-2, 0.5), (1e-3, 2.0))):
        alone = train(small(config, lr=rate, temperature=temperature), [3 + i], Context())
        assert torch.allclose(alone.learner.q[0], together.learner.q[i], atol=1e-4)
        assert torch.allclose(alone.learner.model[0], together.learner.model[i], atol=1e-4)
        assert torch.allclose(alone.evals[:, 0], together.evals[:, i], atol=1e-4)
    _, before = begin(config, [3, 4], torch.device("cpu"))
    assert (together.learner.q - before.q).abs().max() > 1e-2
    learns = agent not in ("er", "perfect")
    assert (before.model.shape[1] > 0) == learns
    if learns:
        assert (together.learner.model - before.model).abs().max() > 1e-4


@pytest.mark.parametrize("agent", AGENTS)
def test_luck_is_drawn_in_one_piece_and_in_order(agent):
    """What is drawn at once are the numbers of one draw after the other, as recorded runs drew them."""
    config = small(agent=agent, starts=5)
    setting, _ = begin(config, [0, 1], torch.device("cpu"))
    shapes = algorithm.noise_shapes(setting)
    draw_ = partial(algorithm.uniforms, [generator(3), generator(4)], device=torch.device("cpu"))
    whole = algorithm.uniforms([generator(3), generator(4)], (algorithm.total(shapes),), torch.device("cpu"))
    latents = setting.model.noise if agent in ("gaussian", "categorical") else 0
    noise = setting.model.noise if setting.model else setting.env.step_noise
    expected = [(15,)] if agent == "er" else [(4,), (4, latents), (5,), (3, 5), (3, 5, noise), (5, latents)]
    found = [part for part in algorithm.dealt(whole, shapes) if part.numel()]
    expected = [draw_(shape) for shape in expected if 0 not in shape]
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.equal(mine, theirs)


OPTIMISERS = {"beta1": 0.5, "beta2": 0.7, "epsilon": 1e-3, "decay": 1e-2}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_optimisers_constants_are_settings(name, monkeypatch):
    """Of both optimisers: that of the model and that of Q."""
    used, step = [], algorithm.adamw_step
    monkeypatch.setattr(algorithm, "adamw_step", lambda *a: used.append(a[5:]) or step(*a))
    config = small(agent="simple", steps=9, **{name: OPTIMISERS[name]})
    train(config, [0], Context())
    constants = {"beta1": 0.9, "beta2": 0.99, "epsilon": 1e-5, "decay": 1e-6} | {name: OPTIMISERS[name]}
    assert used == 2 * [tuple(constants.values())]


def test_the_activation_is_that_of_all_networks():
    setting, _ = begin(small(agent="categorical", activation="tanh"), [0], torch.device("cpu"))
    assert {net.activation for net in (setting.net, *setting.model.nets.values())} == {"tanh"}
    setting, _ = begin(small(agent="simple", activation="relu"), [0], torch.device("cpu"))
    assert {net.activation for net in (setting.net, *setting.model.nets.values())} == {"relu"}


def test_the_target_is_copied_when_it_should_be():
    config = small(agent="er", target_period=5)
    found = train(small(config, steps=15), [0], Context()).learner
    assert torch.equal(found.target_params, train(small(config, steps=10), [0], Context()).learner.q), (
        "at t = 10, before updates"
    )
    _, start = begin(config, [0], torch.device("cpu"))
    assert torch.equal(train(small(config, steps=10), [0], Context()).learner.target_params, start.q)


@pytest.mark.parametrize("agent", ["er", "simple"])
def test_an_update_may_recall_the_newest_transition(agent, monkeypatch):
    """Before the ring is full, and after; the agent that has just seen something learns from it at once."""
    written, recalled = [], []

    def numbered(*arguments):
        b, state, o = act(*arguments)
        written.append(len(written))
        return b._replace(reward=torch.full_like(b.reward, written[-1])), state, o

    def learning(setting, learner, replay, among, step, u):
        one_by_one = torch.arange(16).expand(1, -1) / 16 + 1e-3
        recalled.append((written[-1], set(sample_from(replay, among, one_by_one).reward.flatten().tolist())))
        return learner

    monkeypatch.setattr(algorithm, "act", numbered)
    monkeypatch.setattr(algorithm, "learn", learning)
    train(small(agent=agent), [0], Context())
    assert recalled == [(t, set(range(max(0, t - 15), t + 1))) for t in range(8, 24)]


def recorded(config, monkeypatch):
    """Return all transitions that a run stores."""
    found = []
    monkeypatch.setattr("tutorlib.papers.mbrl.config.MAZES", 50)
    monkeypatch.setattr(algorithm, "add", lambda replay, t, b: found.append(b))
    train(small(config, steps=300, learning_starts=300, eval_every=400), [0], Context())
    return found


def test_the_bug_of_the_stale_observation_is_off_unless_asked_for(monkeypatch):
    config = small(agent="er", environment="maze", size=3)
    for stale in (False, True):
        found = recorded(small(config, official_stale_observation=stale), monkeypatch)
        jumps, after_ends, ends = 0, 0, 0
        for before, after in pairwise(found):
            same = torch.equal(before.next, after.o)
            if not before.done:
                assert same
                continue
            ends += 1
            after_ends += same
            walls = [x.view(9, 4)[:, 2] for x in (after.o, after.next)]
            jumps += not torch.equal(*walls)
        assert ends > 5
        if stale:
            assert after_ends == ends, "the last observation is shown once more"
            assert jumps > ends / 2, "and stored as if it led into the new maze"
        else:
            assert after_ends < ends
            assert jumps == 0


def setting_of(env, episodes=32, length=100, environment="open"):
    config = small(agent="er", environment=environment, eval_episodes=episodes, eval_length=length)
    setting, learner = begin(config, [0], torch.device("cpu"))
    net = MLP(env.observations, env.actions, 2, 1)
    setting = Setting(config, env, net, None, setting.lr, setting.temperature)
    return setting, learner._replace(q=torch.zeros(1, net.parameters))


def test_an_evaluation_of_an_idle_agent_counts_until_the_end():
    env = OpenGrid(2, chance=0.0)
    setting, learner = setting_of(env)
    found = evaluate(setting, learner, [generator(5)])
    on_goal = int((env.start(torch.rand(32, 1, generator=generator(5))).agent == 3).sum())
    assert 0 < on_goal < 32
    assert float(found) == pytest.approx(-(on_goal + 100 * (32 - on_goal)) / 32)


def test_an_evaluation_without_episodes_is_the_reward_of_a_step():
    setting, learner = setting_of(PanFlute(2, chance=1.0), environment="flute")
    assert float(evaluate(setting, learner, [generator()])) == pytest.approx(0.99), "all but the first step pay"


def test_runs_that_diverge_are_refused():
    config = small(agent="er", environment="open", lr=1e30, learning_starts=4)
    with pytest.raises(NonFiniteError, match=r"^learner\.q after step 12 of 24 is not finite \(seed 0\)"):
        train(config, [0], Context())


def test_the_perfect_model_teaches_the_way_in_an_open_grid():
    """From any cell of 3 x 3 the corner is two steps away in the mean, so the best return is about -3."""
    config = small(
        agent="perfect", environment="open", size=3, steps=400, learning_starts=50, target_period=20, batch=16, length=4
    )
    config = small(config, capacity=1000, hidden=32, lr=3e-3, temperature=0.5, eval_every=400)
    found = train(small(config, eval_episodes=100, eval_length=50), [0, 1], Context())
    assert found.evals.min() > -3.6


def test_the_papers_rates_are_known_for_all():
    assert {agent for agent, _ in TUNED} == set(AGENTS)
    assert len(TUNED) == 15
    assert TUNED["er", "flute"] == ((1e-4, 0.1), (3.125e-6, 0.8))
    assert TUNED["categorical", "buttons"] == ((1e-4, 0.05), (2e-4, 0.1))


def test_the_bank_of_mazes_is_the_same_for_all(monkeypatch):
    monkeypatch.setattr("tutorlib.papers.mbrl.config.MAZES", 7)
    env = Config().world()
    assert isinstance(env, ProcMaze)
    assert torch.equal(env.mazes, maze_bank(4, 7, generator(0)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Config(agent="perfct"), "agent='perfct'.*did you mean 'perfect'"),
        (lambda: Config(environment="mazes"), "environment='mazes'.*did you mean 'maze'"),
        (lambda: Config(length=0), "length=0: expected a whole number from 1"),
        (lambda: Config(learning_starts=0), "learning_starts=0"),
        (lambda: Config(learning_starts=31), "learning_starts=31: expected at least batch=32"),
        (lambda: Config(capacity=31), "capacity=31: expected at least batch=32"),
        (lambda: Config(lr=0.0), "lr=0.0: expected a positive number"),
        (lambda: Config(gamma=1.0), "gamma=1.0"),
        (lambda: Config(beta2=1.0), "beta2=1.0: expected a number from 0, below 1"),
        (lambda: Config(epsilon=0.0), "epsilon=0.0: expected a positive number"),
        (lambda: Config(activation="elo"), "activation='elo'.*did you mean 'elu'"),
        (lambda: train(SMALL, [], Context()), "seeds=\\[\\]: expected at least one"),
        (lambda: train(SMALL, [1, 2], Context(), lrs=[0.1]), "lrs=\\[0.1\\]: expected one for each of 2 seeds"),
    ],
)
def test_runs_that_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make()
