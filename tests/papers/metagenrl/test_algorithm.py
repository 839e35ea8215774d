"""The second-order gradient three ways in float64, closed paths, and agents side by side."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from tutorlib.papers.metagenrl.algorithm import (
    Config,
    act,
    alignment,
    critic_gradient,
    learned_loss,
    look,
    meta_gradient,
    meta_loss,
    policy_gradient,
    setting_of,
    updated,
)
from tutorlib.papers.metagenrl.baselines import gae_objective
from tutorlib.rl.windows import Windows

SMALL = Config(
    environments=("point", "pend"), agents=4, hidden=6, batch=3, window=5, objective_hidden=4, action_layers=2,
    other_layers=1, summary=3, memory=4, head_layers=1, inner_lr=0.2, copies=1, terminal_bonus=0.5,
)  # fmt: skip
CPU = torch.device("cpu")


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


class Case:
    """Two agents of each of two environments, in networks of one size."""

    def __init__(self, batches=2, **changes):
        c = replace(SMALL, **changes)
        setting = setting_of(c, CPU, c.environments, per=2)
        self.setting = s = setting._replace(used=setting.used.double())
        self.phi = 0.5 * drawn(4, s.ac.policy.parameters)
        self.theta = 0.5 * drawn(4, 2 * s.ac.critic.parameters, seed=1)
        self.alpha = drawn(4, s.objective.parameters, seed=2)
        b = batches * c.batch
        mask = (torch.arange(5) < torch.tensor([5, 5, 3] * (4 * b // 3)).view(4, b, 1)).double()
        o, following, a = drawn(4, b, 5, 4, seed=3), drawn(4, b, 5, 4, seed=4), drawn(4, b, 5, 2, seed=5).tanh()
        for x in (o, following):
            x[2:, ..., 3] = 0  # a pendulum shows three numbers
        a = a * s.used[:, None, None]
        done = (drawn(4, b, 5, seed=7) > 1).double()
        self.windows = Windows(o, a, drawn(4, b, 5, seed=6), following, done, mask)
        self.windows = Windows(*(x * mask.reshape(*mask.shape, *(1 for _ in x.shape[3:])) for x in self.windows))
        self.all = (s, self.alpha, self.phi, self.theta, self.windows)


def far(x, y):
    return float((x - y).norm() / y.norm())


def differences(case, h=1e-7):
    """Return slopes of the meta-loss by alpha along random lines, one for each agent, and the lines."""
    e = drawn(*case.alpha.shape, seed=11)
    s, alpha, *rest = case.all
    return (meta_loss(s, alpha + h * e, *rest) - meta_loss(s, alpha - h * e, *rest)) / (2 * h), e


SCALES = {"raw": 0.2, "clipped": 0.2, "normalised": 0.3}


@pytest.mark.parametrize(
    ("kind", "scale", "scaled"), [*product(("full", "structured"), SCALES, (False,)), ("full", "normalised", True)]
)
def test_the_second_order_gradient_three_ways(kind, scale, scaled):
    """Through the update, as a product with how actions move, and by central differences."""
    case = Case(kind=kind, inner_scale=scale, inner_lr=SCALES[scale], scaled_gain=scaled)
    exact, losses = meta_gradient(*case.all, "exact")
    product, same = meta_gradient(*case.all, "product")
    assert far(product, exact) < 1e-9
    torch.testing.assert_close(losses, same)
    torch.testing.assert_close(losses, meta_loss(*case.all))
    slopes, e = differences(case)
    assert exact.norm(dim=-1).min() > 1e-4
    assert far(slopes, (exact * e).sum(dim=-1)) < 1e-6


@pytest.mark.parametrize("steps", [2, 3])
def test_several_inner_steps_beside_central_differences(steps):
    case = Case(inner_steps=steps, batches=steps + 1)
    exact, _ = meta_gradient(*case.all)
    s, alpha, phi, theta, w = case.all
    parts = [Windows(*(x[:, 3 * k : 3 * k + 3] for x in w)) for k in range(steps)]
    seen, at = [], phi
    for part in parts:  # values are those of the policies that the steps really pass
        seen.append(look(s, at, theta, part))
        at = updated(s._replace(config=replace(s.config, inner_steps=1)), alpha, at, theta, part)

    def total(p, alpha, o, own):
        return (s.objective(alpha, act(s, p, o), own) * own.mask).sum()

    def loss(alpha):
        p = phi
        for part, own in zip(parts, seen, strict=True):
            p = p - s.config.inner_lr * torch.func.grad(total)(p, alpha, part.o, own)
        q = s.ac.q(theta, w.o, act(s, p, w.o))
        return -(q * w.mask).sum(dim=(1, 2)) / w.mask.sum(dim=(1, 2))

    e, h = drawn(*alpha.shape, seed=11), 1e-7
    slopes = (loss(alpha + h * e) - loss(alpha - h * e)) / (2 * h)
    assert far(slopes, (exact * e).sum(dim=-1)) < 1e-6
    one = Case(batches=steps + 1)
    assert far(meta_gradient(*one.all)[0], exact) > 0.1, "further steps matter"


def test_inner_steps_take_windows_of_their_own():
    case = Case(inner_steps=2, batches=3)
    s, alpha, phi, theta, w = case.all
    first, second = (Windows(*(x[:, i : i + 3] for x in w)) for i in (0, 3))
    one = s._replace(config=replace(s.config, inner_steps=1))
    twice = updated(one, alpha, updated(one, alpha, phi, theta, first), theta, second)
    torch.testing.assert_close(updated(s, alpha, phi, theta, w), twice)
    changed = w._replace(reward=torch.cat([w.reward[:, :6], w.reward[:, 6:] + 9], dim=1))
    assert torch.equal(updated(s, alpha, phi, theta, changed), updated(s, alpha, phi, theta, w))


@pytest.mark.parametrize("scale", SCALES)
def test_the_length_of_an_inner_step(scale):
    case = Case(kind="structured", inner_scale=scale, inner_lr=0.01)
    s, alpha, phi, theta, w = case.all
    near = act(s, phi, w.o) + 0.1 * (w.action - act(s, phi, w.o))
    w = w._replace(action=torch.cat([near[:2], w.action[2:]]))  # two agents have small gradients
    length = (updated(s, alpha, phi, theta, w) - phi).norm(dim=-1)
    raw = s._replace(config=replace(s.config, inner_scale="raw"))
    norm = (updated(raw, alpha, phi, theta, w) - phi).norm(dim=-1) / 0.01
    assert norm.min() < 1 < norm.max(), norm
    expected = {"raw": norm, "clipped": norm.clamp(max=1), "normalised": torch.ones_like(norm)}[scale]
    torch.testing.assert_close(length, 0.01 * expected)


# Paths


def test_no_gradient_flows_through_the_values():
    """With V as a function of phi, the loss would have another slope."""
    case = Case()
    s, alpha, phi, theta, w = case.all
    closed = torch.func.grad(lambda p: learned_loss(s, p, alpha, look(s, p, theta, w), w.o).sum())(phi)
    seen = look(s, phi, theta, w)
    torch.testing.assert_close(closed, torch.func.grad(lambda p: learned_loss(s, p, alpha, seen, w.o).sum())(phi))

    def with_open_path(p):
        values = s.ac.q(theta, w.o, act(s, p, w.o)) * w.mask
        return learned_loss(s, p, alpha, seen._replace(value=values), w.o).sum()

    assert far(torch.func.grad(with_open_path)(phi), closed) > 0.01
    torch.testing.assert_close(seen.value, s.ac.q(theta, w.o, act(s, phi, w.o)))


def test_the_second_order_gradient_sees_no_values_move():
    """After the first of two inner steps the values are new, and constants."""
    case = Case(inner_steps=2, batches=3)
    slopes, e = differences(case)  # values do move in these: they are read again at the new policy
    exact, _ = meta_gradient(*case.all)
    assert far(slopes, (exact * e).sum(dim=-1)) > 1e-6


def test_values_after_a_window_are_of_what_was_seen_last():
    case = Case()
    s, _, phi, theta, w = case.all
    seen = look(s, phi, theta, w)
    after = s.ac.q(theta, w.next, act(s, phi, w.next))
    for n, b in product(range(4), range(6)):
        steps = int(w.mask[n, b].sum())
        torch.testing.assert_close(seen.following[n, b, : steps - 1], seen.value[n, b, 1:steps])
        torch.testing.assert_close(seen.following[n, b, steps - 1], after[n, b, steps - 1])


# The steps of critic and policy


def test_the_critics_slope_is_that_of_td3s_loss():
    case = Case()
    s, _, phi, theta, w = case.all
    target_phi, target_theta = drawn(*phi.shape, seed=21), drawn(*theta.shape, seed=22)
    noise = 4 * drawn(4, 6, 5, 2, seed=23)
    ours = critic_gradient(s, theta, target_phi, target_theta, w, noise)
    a = (act(s, target_phi, w.next) + (0.2 * noise).clamp(-0.5, 0.5)).clamp(-1, 1) * s.used[:, None, None]
    size = s.ac.critic.parameters
    q = torch.stack([s.ac.q(part, w.next, a) for part in (target_theta[:, :size], target_theta[:, size:])])
    y = w.reward + 0.5 * w.done + 0.99 * (1 - w.done) * q.amin(dim=0)

    def loss(t):
        errors = [(s.ac.q(part, w.o, w.action) - y).square() * w.mask for part in (t[:, :size], t[:, size:])]
        return sum((x.sum(dim=(1, 2)) / w.mask.sum(dim=(1, 2))).sum() for x in errors)

    torch.testing.assert_close(ours, torch.func.grad(loss)(theta))


def test_the_policys_slope_is_that_of_its_three_parts():
    case = Case(penalty=0.1)
    s, alpha, phi, theta, w = case.all
    s = s._replace(config=replace(s.config, max_grad_norm=0.05))
    weights = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.3, 0.2, 0.5]], dtype=torch.double)
    ours = policy_gradient(s, phi, theta, alpha, weights, w)
    seen = look(s, phi, theta, w)

    def loss(p):
        pi, z = act(s, p, w.o), s.ac.before_limit(p, w.o)
        parts = [s.objective(alpha, pi, seen), -s.ac.q(theta, w.o, pi), gae_objective(pi, seen, 0.99, 0.97, 0.5)]
        means = torch.stack([(part * w.mask).mean(dim=(1, 2)) for part in parts], dim=-1)
        squares = (z.square() * s.used[:, None, None]).sum(dim=-1) / s.used.sum(dim=-1)[:, None, None]
        return ((means * weights).sum(dim=-1) + 0.1 * (squares * w.mask).sum(dim=(1, 2)) / w.mask.sum(dim=(1, 2))).sum()

    g = torch.func.grad(loss)(phi)
    norm = g.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(ours, g * (0.05 / norm).clamp(max=1))
    assert norm.max() > 0.05
    some = policy_gradient(s, phi, theta, alpha, weights[:1].expand(4, -1), w, (True, False, False))
    torch.testing.assert_close(some, policy_gradient(s, phi, theta, alpha, weights[:1].expand(4, -1), w))


# Agents side by side


def test_an_agent_in_padding_learns_what_it_learns_in_networks_of_its_own_size():
    """A pendulum's agent: 3 numbers to see and 1 action, in networks for 4 and 2."""
    case = Case(inner_scale="normalised", inner_lr=0.1)
    s, alpha, phi, theta, w = case.all
    small = setting_of(s.config, CPU, ("pend",), per=2)
    small = small._replace(used=small.used.double())
    n = slice(2, 4)

    def cut(theta, net, inside, outside):
        """Return the weights that are in use, and where they lie."""
        places = torch.arange(net.parameters).split(net.pieces)
        kept = []
        for i, part in enumerate(places):
            at = part
            if i == 0:
                at = part.view(net.sizes[0])[inside].flatten()
            if i == len(places) - 2:
                at = part.view(net.sizes[-1])[:, outside].flatten()
            if i == len(places) - 1:
                at = part[outside]
            kept.append(at)
        return theta[:, torch.cat(kept)], torch.cat(kept)

    ac = s.ac
    own_phi, at = cut(phi[n], ac.policy, [0, 1, 2], [0])
    halves = [cut(half, ac.critic, [0, 1, 2, 4], [0])[0] for half in theta[n].chunk(2, dim=-1)]
    own_theta = torch.cat(halves, dim=-1)
    own = Windows(w.o[n, ..., :3], w.action[n, ..., :1], w.reward[n], w.next[n, ..., :3], w.done[n], w.mask[n])
    g, losses = meta_gradient(*case.all)
    small_g, small_losses = meta_gradient(small, alpha[n], own_phi, own_theta, own)
    torch.testing.assert_close(g[n], small_g)
    torch.testing.assert_close(losses[n], small_losses)
    weights = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.double).expand(4, -1)
    padded = policy_gradient(s, phi, theta, alpha, weights, w)
    torch.testing.assert_close(padded[n][:, at], policy_gradient(small, own_phi, own_theta, alpha[n], weights[n], own))
    out = torch.ones(padded.shape[1], dtype=torch.bool)
    out[at] = False
    assert (padded[n][:, out] == 0).all()


def test_agents_side_by_side_are_the_agents_alone():
    case = Case()
    s, alpha, phi, theta, w = case.all
    g, _ = meta_gradient(*case.all)
    for i in range(4):
        n = slice(i, i + 1)
        alone = s._replace(used=s.used[n])
        torch.testing.assert_close(
            meta_gradient(alone, alpha[n], phi[n], theta[n], Windows(*(x[n] for x in w)))[0], g[n]
        )


def test_alignment_is_a_mean_cosine():
    case = Case()
    s, alpha, phi, theta, w = case.all
    seen, pi = look(s, phi, theta, w), act(s, phi, w.o)
    push = -torch.func.grad(lambda p: (s.objective(alpha, p, seen) * w.mask).sum())(pi)
    rise = torch.func.grad(lambda p: s.ac.q(theta, w.o, p).sum())(pi) * s.used[:, None, None]
    found = alignment(*case.all)
    for n in range(4):
        cosines = [
            float(push[n, b, t] @ rise[n, b, t] / (push[n, b, t].norm() * rise[n, b, t].norm()))
            for b in range(6) for t in range(5) if w.mask[n, b, t]
        ]  # fmt: skip
        assert abs(float(found[n]) - sum(cosines) / len(cosines)) < 1e-9
    assert (found.abs() < 1).all()
