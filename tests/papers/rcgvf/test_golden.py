"""RC-GVF beside what the papers' own codes compute: whole rollouts and whole updates, in float64, to 1e-9.

Observations, actions and weights are theirs; an environment that plays them back stands in for the real one.
"""

from dataclasses import dataclass, field, replace

import pytest
import torch

from tutorlib.envs.lock import Lock, LockState
from tutorlib.envs.minigrid import MiniGrid, MiniGridState
from tutorlib.nn import no_moments
from tutorlib.papers.rcgvf import algorithm, bonus, recurrent
from tutorlib.papers.rcgvf.config import Hyper
from tutorlib.papers.rcgvf.methods import TABLE


def same(found, known):
    assert found.shape == known.shape
    assert found.dtype == known.dtype == torch.float64
    assert (found - known).abs().max() < 1e-9


def tensors(arrays):
    found = {name: torch.from_numpy(x) for name, x in arrays.items()}
    return {name: x.double() if x.dtype == torch.float32 else x for name, x in found.items()}


def only(action, actions):
    """Return Gumbel noise [1, time, envs, actions] with which the given action is taken whatever the logits are."""
    return 1e6 * torch.nn.functional.one_hot(action.long(), actions).double().unsqueeze(0)


def hyper(**values):
    return Hyper(*(torch.tensor([values.get(name, 0.0)], dtype=torch.float64) for name in Hyper._fields))


# The lock.

LOCK = algorithm.Config(
    horizon=20, num_envs=3, num_steps=30, updates=1, minibatch_size=18, update_epochs=2, d=8, hidden_z=8,
    hidden=12, width=12, num_evals=1,
    anneal=float("inf"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class PlayedLock(Lock):
    """A lock in which happens what happened."""

    known: dict = field(default_factory=dict, repr=False)

    def observe(self, state):
        return self.known["observation"][int(state.column.max())].unsqueeze(0)

    def step(self, state, action, u):
        t = int(state.column.max())
        assert torch.equal(action, self.known["action"][t].unsqueeze(0))
        done = self.known["mask"][t + 1].unsqueeze(0) == 0
        return state._replace(column=state.column + 1), self.known["reward"][t].unsqueeze(0), done


@pytest.fixture(scope="module")
def lock(golden):
    return tensors(golden("rl/rcgvf_lock_rcgvf"))


def test_rcgvf_in_the_lock(lock, monkeypatch):
    c, known = LOCK, lock
    known["action"] = known["action"].long()
    played = PlayedLock(c.horizon, c.actions, c.noise, known=known)
    monkeypatch.setattr(algorithm.Config, "env", property(lambda self: played))
    place = torch.zeros(1, 3, dtype=torch.long)
    e = LockState(torch.zeros(1, 3, 2, 20, dtype=torch.long), place, place, torch.zeros(1, 3, 24))
    theta, phi, zeta = (known[name].unsqueeze(0) for name in ("theta", "phi", "zeta"))
    state = algorithm.State(e, theta, no_moments(theta), phi, no_moments(phi), zeta)
    h = hyper(beta=20.0, gamma_z=0.6, lambda_z=0.9)
    noise = algorithm.Noise(only(known["action"], 10), torch.zeros(1, 30, 3, 25), known["order"].long().unsqueeze(0))

    past, _ = algorithm.rollout(c, state.theta, state.e, noise)
    same(past.log_pi[0], known["log_prob"])
    same(past.v[0, :-1], known["value"])
    o = past.o.flatten(1, 2)
    z = algorithm.run(c.z.layers(zeta), o).unflatten(1, (-1, 3))
    v = algorithm.predict(c.predictor, 2, phi, o).unflatten(2, (-1, 3))
    same(z[0, :-1], known["cumulant"])
    same(v[0, :, :-1], known["prediction"])
    found = algorithm.curiosity(c, h, z, v, past.done)
    same(found.g[0], known["target"])
    same(bonus.err(found.g, v[:, :, :-1])[0], known["err"])
    same(bonus.dis(v[:, :, :-1])[0], known["dis"])
    same(20 * found.bonus[0], known["bonus_times_beta"])
    batch, _ = algorithm.look_back(c, h, state, past)
    same(batch.advantage[0], known["advantage"].flatten())
    same(batch.returns[0], known["returns"].flatten())
    after, _ = algorithm.update(c, h, state, noise, 0)
    same(after.theta[0], known["theta_after"])
    same(after.phi[0], known["phi_after"])
    assert (after.theta - theta).abs().max() > 1e-3


# MiniGrid.


class Played(MiniGrid):
    """MiniGrid in which happens what happened."""

    def __init__(self, known):
        self.known = known

    def image(self, state):
        return self.known["image"][int(state.t.max())].unsqueeze(0)

    def count(self, state):
        counts = self.known.get("count", torch.ones(16, 2))
        return counts[int(state.t.max())].long().unsqueeze(0)

    def step(self, state, action, u):
        t = int(state.t.max())
        assert torch.equal(action, self.known["action"][t].long().unsqueeze(0))
        done = self.known["mask"][t + 1].unsqueeze(0) == 0
        return state._replace(t=state.t + 1), self.known["reward"][t].double().unsqueeze(0), done


GRID = recurrent.Config(
    task="KeyCorridorS3R3", levels=1, num_envs=2, num_steps=16, updates=1, minibatch_size=16, update_epochs=2, d=16,
    num_evals=1,
    anneal=float("inf"),
)  # fmt: skip
RUNS = {
    "rcgvf": (GRID, {"beta": 5.0, "gamma_z": 0.6, "lambda_z": 0.9}),
    "rnd": (replace(GRID, method="rnd"), {"beta": 0.1}),
    "agac": (
        replace(GRID, method="agac", counts=True, beta_counts=0.1, adversary=0.05, predictor_lr=0.25),
        {},
    ),
}


def began(name, arrays):
    """Return what the code's run ``name`` is called with here: configuration, weights of Hyper, state, noise."""
    c, weights = RUNS[name]
    known = {"theta": arrays["theta"]} | {
        own.removeprefix(f"{name}_"): x for own, x in arrays.items() if own.startswith(f"{name}_")
    }
    theta, phi = (known[own].unsqueeze(0) for own in ("theta", "phi"))
    bytes_, whole = torch.zeros(1, 2, 1, 1, dtype=torch.int16), torch.zeros(1, 2, 2, dtype=torch.long)
    zeros = {
        "memory": 128,
        "bonus_memory": TABLE[name].memory(c),
        "last_actions": 7,
        "last_pseudo_rewards": c.d if name == "rcgvf" else 0,
    }
    state = recurrent.State(
        e=MiniGridState(bytes_, bytes_, whole, whole[..., 0], bytes_[..., 0, 0], whole[..., 0], whole[..., 0]),
        is_first=known["mask"][0].unsqueeze(0) == 0,
        **{own: torch.zeros(1, 2, n, dtype=torch.float64) for own, n in zeros.items()},
        theta=theta,
        theta_moments=no_moments(theta),
        phi=phi,
        phi_moments=no_moments(phi),
        zeta=known.get("zeta", torch.zeros(0, dtype=torch.float64)).unsqueeze(0),
    )
    noise = recurrent.Noise(only(known["action"], 7), torch.zeros(1, 16, 2, 1), known["order"].long().unsqueeze(0))
    return c, hyper(**weights), known, state, noise


@pytest.mark.parametrize("name", RUNS)
def test_methods_in_minigrid(name, golden):
    c, h, known, state, noise = began(name, tensors(golden("rl/rcgvf_minigrid")))
    past, _, _, memory = recurrent.rollout(c, Played(known), state, noise)
    same(past.logits[0].log_softmax(-1), known["logits"])
    same(memory[0], known["memory_last"])
    frames, _, found = recurrent.look_back(c, h, state, past)
    reward = (past.r + found.reward).clamp(-1, 1)
    same(reward[0], known["reward_with_bonus"])
    for own, theirs in ((frames.v, "value"), (frames.advantage, "advantage"), (frames.returns, "returns")):
        same(own[0], known[theirs])
    if name == "agac":
        same(found.more_advantage[0], known["c_log_ratio"])
        same(found.more_value[0], known["c_kl"])
    if name == "rnd":
        same(found.g[0].squeeze(-2), known["target"])
    if name == "rcgvf":
        same(found.g[0].movedim(-2, 0), known["target"])
        layers, all_but_last = c.predictor.network.layers(state.phi), slice(None, -1)
        x = c.predictor.lstm_inputs(layers, past.look, found.last_actions, found.last_pseudo_rewards)
        hidden, _ = recurrent.nets.unroll(layers["lstm"], x, past.is_first, state.bonus_memory)
        same(c.predictor.predictions(layers, hidden)[0, :, all_but_last], known["prediction"])
        same(
            recurrent.nets.see_all(c.z.layers(state.zeta)["convolutions"], past.look)[0, all_but_last],
            known["cumulant"],
        )
    after, _ = recurrent.update(c, Played(known), h, state, noise, 0)
    same(after.theta[0, ::8], known["theta_after_every_8th"])
    same(after.phi[0, ::4], known["phi_after_every_4th"])
    assert (after.theta - state.theta).abs().max() > 1e-4
