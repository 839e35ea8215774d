"""What the paper's own code computes from given weights and transitions: one agent, 12 windows of 7 steps.

The inner step is on the sum over the first 6 windows; all 12 are then evaluated.
"""

from dataclasses import replace

import pytest
import torch

from tutorlib.papers.metagenrl.algorithm import (
    Config,
    future_value,
    learned_loss,
    look,
    meta_gradient,
    meta_loss,
    policy_gradient,
    setting_of,
)
from tutorlib.papers.metagenrl.baselines import gae
from tutorlib.papers.metagenrl.model import Objective
from tutorlib.rl.windows import Windows

SMALL = Config(
    environments=("point",), agents=1, hidden=12, limit=1.5, batch=6, window=7, inner_lr=0.05,
    objective_hidden=8, summary=4, memory=8, official_moments=True,
)  # fmt: skip


def numbered(name, i):
    return f"{name}_{i}" if i else name


def dense(i, norm=None):
    """The names of a layer: weights, biases and, where it has them, gains and offsets."""
    names = [f"{numbered('dense', i)}/kernel", f"{numbered('dense', i)}/bias"]
    return names + (
        [] if norm is None else [f"{numbered('LayerNorm', norm)}/gamma", f"{numbered('LayerNorm', norm)}/beta"]
    )


NETWORK = [*dense(0, 0), *dense(1, 1), *dense(2)]
OBJECTIVE = [
    *dense(0, 0), *dense(1, 1), *dense(2, 2),  # actions
    *dense(3), *dense(4), *dense(5),  # the other inputs
    "rnn/lstm_cell/kernel", "rnn/lstm_cell/bias",
    *dense(6, 3), *dense(7, 4), *dense(8),  # the head
]  # fmt: skip


def flat(arrays, prefix, names, dtype=torch.float32):
    """Return a network's weights as one vector, a stack of one."""
    return torch.cat([torch.tensor(arrays[f"{prefix}{name}"]).flatten() for name in names])[None].to(dtype)


class Case:
    """The paper's weights and transitions in the form of this library."""

    def __init__(self, arrays, config=SMALL, dtype=torch.double):
        self.arrays, self.dtype = arrays, dtype
        setting = setting_of(config, torch.device("cpu"), observations=5, actions=3)
        self.setting = setting._replace(used=setting.used.to(dtype))
        self.phi = flat(arrays, "weights/agent/main/policy/", NETWORK, dtype)
        one = flat(arrays, "weights/agent/main/critic/", NETWORK, dtype)
        self.theta = torch.cat([one, one], dim=-1)  # the second critic is in the targets alone
        self.alpha = flat(arrays, "weights/objective/", OBJECTIVE, dtype)
        x, a, x2 = (self.tensor(name) for name in ("x", "a", "x2"))
        r, d = self.tensor("r")[..., 0], self.tensor("d")[..., 0]
        self.windows = Windows(x, a, r, x2, d, torch.ones_like(r))
        self.all = (self.setting, self.alpha, self.phi, self.theta, self.windows)

    def tensor(self, name):
        return torch.tensor(self.arrays[name])[None].to(self.dtype)


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def case(golden, request):
    return Case(golden("metagenrl"), dtype=request.param)


def far(ours, theirs):
    """Return how far apart two results are, relative to theirs."""
    theirs = torch.as_tensor(theirs)[None].double()
    assert ours.shape == theirs.shape
    return float((ours.double() - theirs).norm() / theirs.norm())


def rounding(arrays, what):
    """Return how far float32 alone moves a result, relative: ours in both precisions."""
    one, other = (what(Case(arrays, dtype=dtype)).double() for dtype in (torch.float32, torch.float64))
    return float((one - other).norm() / other.norm())


def pi_of(case):
    return case.setting.ac.act(case.phi, case.windows.o)


def objective_of(case):
    return case.setting.objective(case.alpha, pi_of(case), look(case.setting, case.phi, case.theta, case.windows))


def by_policy(case):
    seen = look(case.setting, case.phi, case.theta, case.windows)
    return torch.func.grad(lambda p: learned_loss(case.setting, p, case.alpha, seen, case.windows.o).sum())(case.phi)


def by_action(case):
    seen = look(case.setting, case.phi, case.theta, case.windows)
    return torch.func.grad(lambda p: case.setting.objective(case.alpha, p, seen).sum())(pi_of(case))


def test_actions_and_values(case):
    ac, seen = case.setting.ac, look(case.setting, case.phi, case.theta, case.windows)
    assert far(pi_of(case), case.arrays["action"]) < 1e-6
    assert far(seen.value, case.arrays["value"]) < 1e-6
    assert far(ac.q(case.theta, case.windows.o, case.windows.action), case.arrays["q1"]) < 1e-6


def test_the_objective_of_each_step_and_its_mean(case):
    assert far(objective_of(case), case.arrays["objective"]) < 1e-5
    seen = look(case.setting, case.phi, case.theta, case.windows)
    loss = learned_loss(case.setting, case.phi, case.alpha, seen, case.windows.o)
    assert far(loss, case.arrays["policy_loss"]) < 1e-5


@pytest.mark.parametrize("what", [by_policy, by_action])
def test_gradients_of_the_objective(case, what):
    """Float32 alone moves them by 2e-5, theirs and ours."""
    theirs = {
        by_policy: flat(case.arrays, "grad_policy_loss/agent/main/policy/", NETWORK)[0],
        by_action: case.arrays["objective_wrt_action"],
    }[what]
    assert 1e-6 < rounding(case.arrays, what) < 5e-5
    assert far(what(case), theirs) < 3e-5


def test_the_policy_step_takes_that_gradient_and_no_other(case):
    """With all weight on the learned objective: no path leads through the values."""
    weights = torch.tensor([[1.0, 0.0, 0.0]], dtype=case.dtype)
    g = policy_gradient(case.setting, case.phi, case.theta, case.alpha, weights, case.windows)
    theirs = flat(case.arrays, "grad_policy_loss/agent/main/policy/", NETWORK)[0]
    assert theirs.norm() > SMALL.max_grad_norm, "it is cut"
    assert far(g, theirs * SMALL.max_grad_norm / theirs.norm()) < 3e-5


def test_one_inner_step_and_what_the_critic_then_says(case):
    """The step is long, 13 beside weights of norm 7: float32 alone moves what comes of it by 1e-4."""
    assert 1e-5 < rounding(case.arrays, lambda own: future_value(*own.all)) < 2e-4
    assert far(future_value(*case.all), case.arrays["future_value"]) < 3e-4
    assert abs(float(meta_loss(*case.all)) - float(case.arrays["meta_loss"])) < 1e-4


@pytest.mark.parametrize("form", ["exact", "product"])
def test_the_second_order_gradient(case, form):
    theirs = flat(case.arrays, "grad_meta_loss/objective/", OBJECTIVE)[0]
    assert 1e-5 < rounding(case.arrays, lambda own: meta_gradient(*own.all, form)[0]) < 3e-4
    assert far(meta_gradient(*case.all, form)[0], theirs) < 6e-4


@pytest.mark.parametrize("form", ["exact", "product"])
def test_the_papers_code_takes_another_gradient_than_that_of_its_loss(golden, form):
    """Its layer normalisation holds means constant in second derivatives; central differences say who is right."""
    mended = Case(golden("metagenrl"), replace(SMALL, official_moments=False))
    g, losses = meta_gradient(*mended.all, form)
    theirs = flat(mended.arrays, "grad_meta_loss/objective/", OBJECTIVE)[0]
    assert 0.1 < far(g, theirs) < 0.3
    torch.testing.assert_close(losses, meta_gradient(*Case(mended.arrays).all, form)[1])
    e, h = torch.randn(g.shape, generator=torch.Generator().manual_seed(0), dtype=torch.double), 1e-7

    def loss(step):
        return float(meta_loss(mended.setting, mended.alpha + step * e, *mended.all[2:]))

    slope = (loss(h) - loss(-h)) / (2 * h)
    assert abs(slope - float((g * e).sum())) < 1e-6 * abs(slope)
    assert abs(slope - float((theirs * e).sum())) > 0.05 * abs(slope)


def test_advantages_of_terminals_that_pay_one(case):
    seen = look(case.setting, case.phi, case.theta, case.windows)
    assert far(gae(seen, 0.99, 0.97, bonus=1.0), case.arrays["gae_bonus_on_terminals"]) < 1e-6
    assert far(gae(seen, 0.99, 0.97), case.arrays["gae_bonus_on_terminals"]) > 0.1, "the quirk shows"


def test_the_objective_of_the_paper_has_its_number_of_weights():
    assert Objective().parameters == 15_497
