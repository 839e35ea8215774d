"""Problems of control beside a plain re-write with Python's own numbers, and what physics says of them."""

import math
import random
from dataclasses import replace

import pytest
import torch
from lives import live, uniform

from tutorlib.envs import CartUp, ControlState, Pend, Point, Reach
from tutorlib.lab import UsageError

# As two papers have them: MetaGenRL's are the defaults.
GOGEPO_POINT = Point(
    horizon=60, centre=(-1.0, -1.0), spread=0.05, law="normal", goal=(1.0, 1.0), reward_at_goal=0.0
)  # fmt: skip
GOGEPO_PEND = Pend(
    gravity=15.0, torque=6.0, speed_cost=0.0, action_cost=0.004, angle=math.pi, angle_spread=0.1, angle_law="normal",
    speed_spread=0.1,
)  # fmt: skip
GOGEPO_CART = CartUp(
    horizon=150, force=10.0, track_cost=1.0, form="product", angle=math.pi, angle_spread=0.1, angle_law="normal",
    max_spin=math.inf,
)  # fmt: skip


def clip(x, bound):
    return max(-bound, min(bound, x))


def point(x, a, goal=(0.5, -0.5), top=1.0):
    px, py, vx, vy = x
    vx, vy = 0.9 * vx + 0.1 * a[0], 0.9 * vy + 0.1 * a[1]
    px, py = clip(px + 0.2 * vx, 3.0), clip(py + 0.2 * vy, 3.0)
    return [px, py, vx, vy], top - math.sqrt((px - goal[0]) ** 2 + (py - goal[1]) ** 2)


def other_point(x, a):
    return point(x, a, (1.0, 1.0), 0.0)


def pend(x, a):
    th, w = x
    w = clip(w + (10 * math.sin(th) + 3 * 3 * a[0]) * 0.05, 8.0)
    th = th + 0.05 * w
    return [th, w], (1 + math.cos(th)) / 2 - 0.005 * w**2


def other_pend(x, a):
    th, w = x
    u = 2 * a[0]
    w = clip(w + (15 * math.sin(th) + 3 * u) * 0.05, 8.0)
    th = th + 0.05 * w
    return [th, w], (1 + math.cos(th)) / 2 - 0.001 * u**2


def swing(x, a, force, spin):
    px, v, th, w = x
    total, ml = 1.1, 0.1 * 0.5
    temp = (force * a[0] + ml * w**2 * math.sin(th)) / total
    alpha = (9.8 * math.sin(th) - math.cos(th) * temp) / (0.5 * (4 / 3 - 0.1 * math.cos(th) ** 2 / total))
    acc = temp - ml * alpha * math.cos(th) / total
    v, w = v + 0.04 * acc, clip(w + 0.04 * alpha, spin)
    px += 0.04 * v
    if abs(px) > 2.4:
        px, v = clip(px, 2.4), -0.5 * v
    return [px, v, th + 0.04 * w, w]


def cart(x, a):
    x = swing(x, a, 15.0, 12.0)
    return x, (1 + math.cos(x[2])) / 2 - 0.1 * (x[0] / 2.4) ** 2


def other_cart(x, a):
    x = swing(x, a, 10.0, math.inf)
    return x, (1 + math.cos(x[2])) / 2 * (1 - (x[0] / 2.4) ** 2)


def reach(x, a):
    q1, q2, gx, gy = x
    q1, q2 = q1 + 0.2 * a[0], q2 + 0.2 * a[1]
    tip = math.cos(q1) + math.cos(q1 + q2), math.sin(q1) + math.sin(q1 + q2)
    return [q1, q2, gx, gy], 1 - math.dist(tip, (gx, gy))


CASES = {
    "point": (Point(), point), "point, GoGePo": (GOGEPO_POINT, other_point),
    "pend": (Pend(), pend), "pend, GoGePo": (GOGEPO_PEND, other_pend),
    "cartup": (CartUp(), cart), "cartup, GoGePo": (GOGEPO_CART, other_cart),
    "reach": (Reach(), reach),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("push", ["random", "full"])
def test_fifty_steps_are_a_plain_rewrites(case, push):
    """At full push, that is beyond it and cut, ends and clips are met."""
    env, plain = CASES[case]
    env = replace(env, horizon=1000)
    rng = random.Random(3)
    state = env.start(
        torch.tensor([[rng.uniform(0.01, 0.99) for _ in range(env.start_noise)] for _ in range(5)]).double()
    )
    xs = state.x.tolist()
    for t in range(50):
        actions = [
            [rng.uniform(-1, 1) if push == "random" else 1.5 for _ in range(env.action_size)] for _ in range(5)
        ]  # fmt: skip
        state, reward, ended = env.step(
            state, torch.tensor(actions, dtype=torch.double), uniform(5, env.step_noise).double()
        )
        expected = [plain(x, [clip(a, 1.0) for a in own]) for x, own in zip(xs, actions, strict=True)]
        xs = [x for x, _ in expected]
        torch.testing.assert_close(state.x, torch.tensor(xs, dtype=torch.double), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(
            reward, torch.tensor([r for _, r in expected], dtype=torch.double), rtol=1e-9, atol=1e-9
        )
        assert state.t.tolist() == 5 * [t + 1]
        assert not ended.any()


def test_observations():
    x = torch.tensor([0.3, -0.6, 2.0, 0.5])
    at = ControlState(x, torch.tensor(0))
    assert torch.equal(Point().observe(at), x)
    pole = torch.tensor([0.3 / 2.4, -0.2, math.cos(2), math.sin(2), 0.1])
    torch.testing.assert_close(CartUp().observe(at), pole)
    arm = torch.tensor(
        [math.cos(0.3), math.cos(-0.6), math.sin(0.3), math.sin(-0.6), 2.0 - math.cos(0.3) - math.cos(-0.3),
         0.5 - math.sin(0.3) - math.sin(-0.3)]
    )  # fmt: skip
    torch.testing.assert_close(Reach().observe(at), arm)
    pendulum = Pend().observe(ControlState(x[:2], torch.tensor(0)))
    torch.testing.assert_close(pendulum, torch.tensor([math.cos(0.3), math.sin(0.3), -0.15]))


# Where episodes begin


MANY = 20_000


def firsts(env):
    return env.start(uniform(MANY, env.start_noise).double()).x


def test_even_and_normal_starts():
    p = firsts(Point())
    assert (p[:, 2:] == 0).all()
    assert 1.97 < p[:, :2].abs().max() <= 2
    assert (p[:, :2].std(dim=0) - 2 / math.sqrt(3)).abs().max() < 0.02
    near = firsts(GOGEPO_POINT)[:, :2]
    assert (near.mean(dim=0) + 1).abs().max() < 2e-3
    assert (near.std(dim=0) - 0.05).abs().max() < 1e-3
    assert near.min() < -1 - 0.15, "a normal law has tails"
    angle, speed = firsts(Pend()).unbind(dim=-1)
    assert 3.1 < angle.abs().max() <= math.pi + 1e-9
    assert abs(float(speed.std()) - 1) < 0.02
    hanging = firsts(GOGEPO_PEND)
    assert abs(float(hanging[:, 0].mean()) - math.pi) < 4e-3
    assert (hanging.std(dim=0) - 0.1).abs().max() < 2e-3
    x, v, angle, w = firsts(CartUp()).unbind(dim=-1)
    assert 3.1 < angle.abs().max() <= math.pi + 1e-9
    assert all(abs(float(n.std()) - 0.1) < 2e-3 for n in (x, v, w))
    far = firsts(Reach())[:, 2:].norm(dim=-1)
    assert 0.3 <= far.min() < 0.31
    assert 1.69 < far.max() <= 1.7
    assert abs(float(far.mean()) - 1) < 0.01


def test_an_episode_ends_at_its_horizon_and_the_next_one_begins():
    env = Reach(horizon=4)
    start, step = uniform(3, 4).double(), uniform(9, 3, 4, seed=1).double()
    lives = live(env, torch.zeros(9, 3, 2).double(), start, step)
    assert lives.ended.tolist() == [3 * [t in (3, 7)] for t in range(9)]
    assert torch.equal(lives.states[4].x, env.start(step[3]).x)
    assert torch.equal(lives.states[3].x, lives.states[0].x), "without a push nothing moves, the goal neither"
    assert [int(s.t[0]) for s in lives.states] == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_the_halves_of_a_step_show_the_last_state_of_an_episode():
    env = Point(horizon=1)
    state = env.start(uniform(3, 2))
    after, reward, ended = env.advance(state, torch.ones(3, 2))
    assert ended.all()
    assert torch.equal(after.x[:, 2:], torch.full((3, 2), 0.1))
    assert after.t.tolist() == [1, 1, 1]
    u = uniform(3, 2, seed=4)
    whole, same, _ = env.step(state, torch.ones(3, 2), u)
    assert torch.equal(same, reward)
    assert torch.equal(whole.x, env.start(u).x)
    assert torch.equal(env.renew(after, ~ended, u).x, after.x)


# Physics


def test_a_pendulum_without_a_push_keeps_its_energy():
    env = Pend(dt=1e-3, horizon=10_000)
    state = env.start(uniform(8, 2).double())

    def energy(s):
        return s.x[:, 1].square() / 2 + 10 * s.x[:, 0].cos()

    first = energy(state)
    for _ in range(3000):
        state, _, _ = env.step(state, torch.zeros(8, 1).double(), uniform(8, 2).double())
    assert (energy(state) - first).abs().max() < 0.05
    assert (state.x[:, 0] - env.start(uniform(8, 2).double()).x[:, 0]).abs().min() > 1e-2, "they do swing"


def test_a_cart_without_a_push_keeps_its_energy_and_its_momentum():
    env = CartUp(dt=1e-3, track=1e3, horizon=10_000)
    u = uniform(8, 4).double()

    def energy(s):
        _, v, th, w = s.x.unbind(dim=-1)
        inertia = 0.1 * 0.5**2 * 4 / 3  # a rod of length 1 about its end, 4/3 m l^2
        kinetic = 1.1 * v**2 / 2 + 0.1 * 0.5 * v * w * th.cos() + inertia * w**2 / 2
        return kinetic + 0.1 * 9.8 * 0.5 * th.cos()

    def momentum(s):
        _, v, th, w = s.x.unbind(dim=-1)
        return 1.1 * v + 0.1 * 0.5 * w * th.cos()

    state = env.start(u)
    first, along = energy(state), momentum(state)
    for _ in range(2000):
        state, _, _ = env.step(state, torch.zeros(8, 1).double(), u)
    assert (energy(state) - first).abs().max() < 5e-3
    assert (momentum(state) - along).abs().max() < 5e-3


@pytest.mark.parametrize("env", [Pend(), CartUp()], ids=["pend", "cartup"])
def test_left_is_right_in_a_mirror(env):
    state = env.start(uniform(6, env.start_noise).double())
    mirror = ControlState(-state.x, state.t)
    for t in range(40):
        a = 2 * uniform(6, 1, seed=t).double() - 1
        u = uniform(6, env.step_noise).double()
        state, r, _ = env.step(state, a, u)
        mirror, same, _ = env.step(mirror, -a, u)
        torch.testing.assert_close(mirror.x, -state.x)
        torch.testing.assert_close(same, r)


def test_a_turned_arm_sees_a_turned_goal():
    env, turn = Reach(horizon=1000), 0.7
    state = env.start(uniform(6, 4).double())
    c, s = math.cos(turn), math.sin(turn)
    q1, q2, x, y = state.x.unbind(dim=-1)
    turned = ControlState(torch.stack([q1 + turn, q2, c * x - s * y, s * x + c * y], dim=-1), state.t)
    for t in range(20):
        a, u = 2 * uniform(6, 2, seed=t).double() - 1, uniform(6, 4).double()
        state, r, _ = env.step(state, a, u)
        turned, same, _ = env.step(turned, a, u)
        torch.testing.assert_close(same, r)


def test_bounds_hold_and_actions_are_cut():
    for env in (Point(horizon=500), Pend(horizon=500), CartUp(horizon=500)):
        state = env.start(uniform(50, env.start_noise))
        for t in range(300):
            state, reward, _ = env.step(
                state, 20 * torch.ones(50, env.action_size), uniform(50, env.step_noise, seed=t)
            )
            assert reward.max() <= 1
        x = state.x.abs().amax(dim=0)
        if isinstance(env, Point):
            assert x[:2].tolist() == [3, 3]
            assert x[2:].max() <= 1.0001, "the velocity at full push"
        if isinstance(env, Pend):
            assert x[1] == 8
        if isinstance(env, CartUp):
            assert x[0] <= 2.4
            assert x[3] <= 12


@pytest.mark.parametrize(
    ("make", "wrong", "words"),
    [
        (Point, {"horizon": 0}, "horizon=0"),
        (Point, {"law": "even"}, "law='even': expected one of uniform, normal"),
        (Point, {"dt": 0.0}, "dt=0.0"),
        (Point, {"drag": 1.5}, "drag=1.5"),
        (Pend, {"max_speed": -1.0}, "max_speed=-1.0"),
        (Pend, {"angle_law": "x"}, "angle_law='x'"),
        (CartUp, {"form": "power"}, "form='power': expected one of sum, product"),
        (CartUp, {"track": math.inf}, "track=inf"),
        (CartUp, {"rebound": 2.0}, "rebound=2.0"),
        (Reach, {"farthest": 0.1}, "farthest=0.1: expected at least nearest=0.3"),
        (Reach, {"turn": math.nan}, "turn=nan"),
    ],
)
def test_constants_that_cannot_be_are_named(make, wrong, words):
    with pytest.raises(UsageError, match=words):
        make(**wrong)


def test_actions_of_another_size_are_named():
    env = CartUp()
    state = env.start(uniform(3, 4))
    with pytest.raises(UsageError, match=r"action=\(3, 2\): expected a shape that ends with 1"):
        env.step(state, torch.zeros(3, 2), uniform(3, 4))
