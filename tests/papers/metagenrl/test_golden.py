"""What the paper's own code computes from given weights and transitions: one agent, 12 windows of 7 steps.

The inner step is on the sum over the first 6 windows; all 12 are then evaluated.
"""

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

LAYERS = {"policy": (0, 1, 2), "critic": (0, 1, 2)}
CLOSE = {"rtol": 1e-5, "atol": 2e-7}
SMALL = Config(
    environments=("point",), agents=1, hidden=12, limit=1.5, batch=6, window=7, inner_lr=0.05,
    objective_hidden=8, summary=4, memory=8,
)  # fmt: skip


def numbered(name, i):
    return f"{name}_{i}" if i else name


def dense(i, norm=None):
    """The names of a layer: weights, biases and, where it has them, gains and offsets."""
    names = [f"{numbered('dense', i)}/kernel", f"{numbered('dense', i)}/bias"]
    return names + ([] if norm is None else [f"{numbered('LayerNorm', norm)}/gamma", f"{numbered('LayerNorm', norm)}/beta"])


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

    def __init__(self, arrays, dtype=torch.float32):
        self.arrays, self.dtype = arrays, dtype
        self.setting = setting_of(SMALL, torch.device("cpu"), observations=5, actions=3)
        self.phi = flat(arrays, "weights/agent/main/policy/", NETWORK, dtype)
        one = flat(arrays, "weights/agent/main/critic/", NETWORK, dtype)
        self.theta = torch.cat([one, one], dim=-1)  # the second critic is in the targets alone
        self.alpha = flat(arrays, "weights/objective/", OBJECTIVE, dtype)
        x, a, x2 = (self.tensor(name) for name in ("x", "a", "x2"))
        r, d = self.tensor("r")[..., 0], self.tensor("d")[..., 0]
        self.windows = Windows(x, a, r, x2, d, torch.ones_like(r))

    def tensor(self, name):
        return torch.tensor(self.arrays[name])[None].to(self.dtype)


@pytest.fixture
def case(golden):
    return Case(golden("metagenrl"))


def close(ours, theirs, **how):
    torch.testing.assert_close(ours.float(), torch.as_tensor(theirs)[None], **(CLOSE | how))


def test_actions_and_values(case):
    ac = case.setting.ac
    seen = look(case.setting, case.phi, case.theta, case.windows)
    close(ac.act(case.phi, case.windows.o), case.arrays["action"])
    close(seen.value, case.arrays["value"])
    close(ac.q(case.theta, case.windows.o, case.windows.action), case.arrays["q1"])


def test_the_objective_of_each_step_and_its_gradients(case):
    seen = look(case.setting, case.phi, case.theta, case.windows)
    pi = case.setting.ac.act(case.phi, case.windows.o)
    found = case.setting.objective(case.alpha, pi, seen)
    close(found, case.arrays["objective"], atol=1e-6)
    loss = learned_loss(case.setting, case.phi, case.alpha, seen)
    close(loss, case.arrays["policy_loss"])
    g = torch.func.grad(lambda p: learned_loss(case.setting, p, case.alpha, seen).sum())(case.phi)
    theirs = flat(case.arrays, "grad_policy_loss/agent/main/policy/", NETWORK)[0]
    close(g, theirs, atol=1e-7 * float(theirs.norm()))
    by_action = torch.func.grad(lambda p: case.setting.objective(case.alpha, p, seen).sum())(pi)
    close(by_action, case.arrays["objective_wrt_action"], atol=1e-6)


def test_the_policy_step_takes_that_gradient_and_no_other(case):
    """With all weight on the learned objective: no path leads through the values."""
    weights = torch.tensor([[1.0, 0.0, 0.0]])
    g, _ = policy_gradient(case.setting, case.phi, case.theta, case.alpha, weights, case.windows)
    theirs = flat(case.arrays, "grad_policy_loss/agent/main/policy/", NETWORK)[0]
    theirs = theirs * min(1.0, SMALL.max_grad_norm / float(theirs.norm()))
    close(g, theirs, atol=1e-7)


def test_one_inner_step_and_what_the_critic_then_says(case):
    found = future_value(case.setting, case.alpha, case.phi, case.theta, case.windows)
    close(found, case.arrays["future_value"], atol=1e-6)
    close(meta_loss(case.setting, case.alpha, case.phi, case.theta, case.windows), case.arrays["meta_loss"])


@pytest.mark.parametrize("form", ["exact", "product"])
def test_the_second_order_gradient(case, form):
    g, _ = meta_gradient(case.setting, case.alpha, case.phi, case.theta, case.windows, form)
    theirs = flat(case.arrays, "grad_meta_loss/objective/", OBJECTIVE)[0]
    # Their entries are sums in float32, too: what is near zero is near to within the norm's rounding.
    close(g, theirs, atol=1e-6 * float(theirs.norm()))
    assert float((g[0] - theirs).norm() / theirs.norm()) < 1e-5


def test_advantages_of_terminals_that_pay_one(case):
    seen = look(case.setting, case.phi, case.theta, case.windows)
    close(gae(seen, 0.99, 0.97, bonus=1.0), case.arrays["gae_bonus_on_terminals"], atol=1e-6)
    without = gae(seen, 0.99, 0.97)
    assert (without - torch.tensor(case.arrays["gae_bonus_on_terminals"])[None]).abs().max() > 0.5, "the quirk shows"


def test_the_objective_of_the_paper_has_its_number_of_weights():
    assert Objective().parameters == 15_497
