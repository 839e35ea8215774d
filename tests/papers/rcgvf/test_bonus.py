"""RC-GVF's bonus: targets, errors, disagreement and reward against worked numbers and loops."""

import math
from dataclasses import replace

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.papers.rcgvf.algorithm import curiosity
from tutorlib.papers.rcgvf.bonus import dis, err, intrinsic, targets
from tutorlib.papers.rcgvf.config import BONUSES, Config, Hyper

SMALL = Config(
    horizon=5, actions=3, num_envs=6, num_steps=8, updates=4, minibatch_size=16, d=6, hidden_z=8, hidden=8, num_evals=2
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_known_reward():
    v, g = torch.tensor([1.0, 3.0]).view(1, 2, 1), torch.tensor([2.0, 2.0]).view(1, 2, 1)
    assert (err(g, v).item(), dis(v).item()) == (1.0, 2.0)
    assert intrinsic("product", err(g, v), dis(v)).item() == 2.0


def test_errors_disagreement_and_reward_are_the_plain_sums():
    g, v = normal(2, 3, 4, 5), normal(2, 3, 4, 5, seed=1)  # seeds, heads, frames, d
    found = {bonus: intrinsic(bonus, err(g, v), dis(v)) for bonus in BONUSES}
    for s in range(2):
        for n in range(4):
            product = error = variance = std = 0.0
            for j in range(5):
                own, target = v[s, :, n, j].tolist(), g[s, :, n, j].tolist()
                e = sum((a - b) ** 2 for a, b in zip(own, target, strict=True)) / 3
                u = sum((a - sum(own) / 3) ** 2 for a in own) / 2  # K - 1
                product, error, variance, std = product + u * e, error + e, variance + u, std + u**0.5 * e
            plain = {"product": product, "std": std, "error": error, "variance": variance, "norm": math.sqrt(error)}
            for bonus in BONUSES:
                assert float(found[bonus][s, n]) == pytest.approx(plain[bonus], rel=1e-4)
    with pytest.raises(UsageError, match="bonus='products'"):
        intrinsic("products", err(g, v), dis(v))


def test_targets_are_the_plain_recursion_for_each_head_alone():
    z, v, last = normal(2, 6, 3, 4), normal(2, 2, 6, 3, 4, seed=1), normal(2, 2, 3, 4, seed=2)
    done = torch.rand(2, 6, 3, generator=torch.Generator().manual_seed(3)) < 0.3
    gamma, lam = [0.6, 0.9], [0.9, 0.4]
    found = targets(z, v, last, done, torch.tensor(gamma), torch.tensor(lam))
    for s in range(2):
        for k in range(2):
            for p in range(3):
                for j in range(4):
                    g = after = float(last[s, k, p, j])
                    for t in reversed(range(6)):
                        m = 0.0 if done[s, t, p] else 1.0
                        g = float(z[s, t, p, j]) + gamma[s] * m * (lam[s] * g + (1 - lam[s]) * after)
                        after = float(v[s, k, t, p, j])
                        assert float(found[s, k, t, p, j]) == pytest.approx(g, abs=1e-5)


@pytest.mark.parametrize(
    ("own", "power"),
    [
        ({}, 4),
        ({"bonus": "std"}, 3),
        ({"bonus": "error"}, 2),
        ({"bonus": "variance"}, 2),
        ({"bonus": "norm"}, 1),
        ({"method": "rnd"}, 1),
    ],
)
def test_the_reward_is_quartic_in_the_scale_of_z(own, power):
    c, h = replace(SMALL, **own), Hyper(torch.ones(1), torch.tensor([0.6]), torch.tensor([0.9]))
    z, v = normal(1, 9, 6, 6), normal(1, c.ensemble, 9, 6, 6, seed=1)
    done = torch.zeros(1, 8, 6, dtype=torch.bool)
    plain, scaled = (curiosity(c, h, scale * z, scale * v, done).bonus for scale in (1.0, 3.0))
    assert torch.allclose(scaled, 3.0**power * plain, rtol=1e-4)
